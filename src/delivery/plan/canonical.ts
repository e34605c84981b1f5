/** One plan for URLs that mean the same: what they say of the result as a whole is said once. */
import type { Options, Plan, Step } from "./plan.ts";

type Said = "quality" | "format";

const anywhere = (steps: readonly Step[], name: Said): boolean =>
  steps.some((step) =>
    "when" in step
      ? anywhere(step.then, name) || anywhere(step.otherwise, name)
      : step.options[name] !== undefined,
  );

/** Said under a condition, it must stay where it is. */
const conditional = (steps: readonly Step[], name: Said): boolean =>
  steps.some((step) => "when" in step && anywhere([step], name));

function hoist<Name extends Said>(plan: Plan, name: Name): Plan {
  const { steps, defaults } = plan;
  if (conditional(steps, name) || !anywhere(steps, name)) return plan;
  const words = steps.flatMap((step) => ("options" in step ? [step.options[name]] : []));
  const last = words.findLast((word) => word !== undefined) as Options[Name];
  const rest = steps.map((step): Step => {
    if ("when" in step || step.options[name] === undefined) return step;
    const { [name]: _, ...options } = step.options;
    return { options, layers: step.layers };
  });
  const explicit = name === "quality" ? { explicitQuality: true as const } : {};
  return { steps: rest, defaults: { ...defaults, [name]: last, ...explicit } };
}

/** The last word on quality and format becomes the plan's own; steps that say nothing any more are gone. */
export function canonical(plan: Plan): Plan {
  const { steps, defaults } = hoist(hoist(plan, "quality"), "format");
  const kept = steps.filter(
    (step) => "when" in step || step.layers.length > 0 || Object.keys(step.options).length > 0,
  );
  return { steps: kept, defaults };
}
