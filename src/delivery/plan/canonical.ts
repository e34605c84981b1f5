/**
 * One plan for URLs that mean the same: what they say of the result as a whole is said once, and what says nothing is
 * left out.
 */
import type { Layer, Options, Plan, Step, StepOptions } from "./plan.ts";
import { said } from "./steps.ts";

type Said = "quality" | "format";

/** Said under a condition, it must stay where it is. */
const conditional = (steps: readonly Step[], name: Said): boolean =>
  said(
    steps.filter((step) => "when" in step),
    name,
  ).length > 0;

function hoist(plan: Plan, name: Said): Plan {
  const { steps, defaults } = plan;
  const last = said(steps, name).at(-1);
  if (last === undefined || conditional(steps, name)) return plan;
  const rest = steps.map((step): Step => {
    if ("when" in step || step.options[name] === undefined) return step;
    const { [name]: _, ...options } = step.options;
    return { options, layers: step.layers };
  });
  const explicit = name === "quality" ? { explicitQuality: true as const } : {};
  return { steps: rest, defaults: { ...defaults, [name]: last, ...explicit } };
}

/** What says only what holds anyway. */
const IDLE: { readonly [Name in keyof Options]?: (value: Options[Name]) => boolean } = {
  crop: (crop) => crop === "maintain_ratio",
  focus: ({ at }) => at === "center",
  zoom: (zoom) => zoom === 1,
  dpr: (dpr) => dpr === 1,
  rotate: (degrees) => degrees !== "auto" && degrees % 360 === 0,
  flip: ({ horizontal, vertical }) => !horizontal && !vertical,
  radius: (radius) => radius !== "max" && radius.every((corner) => corner === 0),
  opacity: (opacity) => opacity === 100,
  grayscale: (grey) => !grey,
  contrast: (stretched) => !stretched,
  brightness: (factor) => factor === 1,
  saturation: (factor) => factor === 1,
  hue: (degrees) => degrees % 360 === 0,
};

function needed(options: StepOptions): Partial<Options> {
  const kept = { ...options };
  for (const [row, idle] of Object.entries(IDLE) as [keyof Options, (value: unknown) => boolean][]) {
    if (kept[row] !== undefined && idle(kept[row])) delete kept[row];
  }
  const { width, height, aspectRatio, crop } = kept;
  const sides = [width, height].filter((side) => side !== undefined).length;
  // A crop is about what doesn't fit: one side alone fits always, though it may not be enlarged.
  const fits = sides === 0 || (sides === 1 && aspectRatio === undefined);
  if (fits && (crop === "force" || crop === "at_least" || crop === "at_max_enlarge")) delete kept.crop;
  return kept;
}

/** Steps without what says nothing; those that say nothing else are gone. */
export function withoutIdle(steps: readonly Step[]): readonly Step[] {
  return steps.flatMap((step): Step[] => {
    if ("when" in step) {
      const [then, otherwise] = [withoutIdle(step.then), withoutIdle(step.otherwise)];
      // oxlint-disable-next-line unicorn/no-thenable -- as in imagekit.ts
      return [{ when: step.when, then, otherwise }];
    }
    const options = needed(step.options);
    const layers = step.layers.map((layer): Layer =>
      "steps" in layer ? { ...layer, steps: withoutIdle(layer.steps) } : layer,
    );
    return layers.length === 0 && Object.keys(options).length === 0 ? [] : [{ options, layers }];
  });
}

/**
 * The last word on quality and format becomes the plan's own. What says nothing is no part of the plan, rather than of
 * its text alone: what it left behind would be kept for the URLs that don't say it.
 */
export function canonical(plan: Plan): Plan {
  const { steps, defaults } = hoist(hoist(plan, "quality"), "format");
  return { steps: withoutIdle(steps), defaults };
}
