/** What every request for a result asks of its plan. */
import type { FormatChoice, Plan, Step, StepOptions } from "./plan.ts";
import { layersOf, optionsOf, pathsOf } from "./steps.ts";
import { planText } from "./text.ts";

export interface Summary {
  /** As `planText` says. */
  readonly text: string;
  /** As `pathsOf` says. */
  readonly paths: readonly string[];
  readonly said: Said;
  /** There is something that a detector would have to find. */
  readonly finds: boolean;
}

/** A plan never changes, and that of an address which is asked for all the time is one object. */
const SUMMARIES = new WeakMap<Plan, Summary>();

export function summaryOf(plan: Plan): Summary {
  const known = SUMMARIES.get(plan);
  if (known !== undefined) return known;
  const { steps, defaults } = plan;
  const layered = layersOf(steps).flatMap((layer) => ("steps" in layer ? layer.steps : []));
  const summary: Summary = {
    text: planText(plan),
    paths: pathsOf(plan),
    said: optionsSaid(steps, [defaults.format]),
    finds: optionsOf([...steps, ...layered]).some(finds),
  };
  SUMMARIES.set(plan, summary);
  return summary;
}

const finds = ({ focus }: StepOptions): boolean => focus?.at === "face" || focus?.at === "object";

/**
 * What the steps leave to the client, and the formats that the result may have: the last word of all, or any of a
 * condition's branches behind it.
 */
interface Said {
  readonly formats: readonly FormatChoice[];
  readonly width?: "auto";
  readonly height?: "auto";
  readonly dpr?: "auto";
}

/** `before`: the formats that it may have without these steps. */
function optionsSaid(steps: readonly Step[], before: readonly FormatChoice[]): Said {
  let said: Said = { formats: before };
  for (const step of steps) {
    if ("when" in step) {
      const then = optionsSaid(step.then, said.formats);
      const otherwise = optionsSaid(step.otherwise, said.formats);
      const formats = [...new Set([...then.formats, ...otherwise.formats])];
      said = { ...said, ...then, ...otherwise, formats };
    } else {
      const { format, width, height, dpr } = step.options;
      said = {
        ...said,
        ...(format === undefined ? {} : { formats: [format] }),
        ...(width === "auto" ? { width } : {}),
        ...(height === "auto" ? { height } : {}),
        ...(dpr === "auto" ? { dpr } : {}),
      };
    }
  }
  return said;
}
