/** What is shown of a film, and when a layer is on it. Where it lies is told as for pictures. */
import { DeliveryError } from "../errors.ts";
import type { Values } from "../image/resolve.ts";
import { evaluate } from "../plan/expression.ts";
import type { Expression, Placement, StepOptions } from "../plan/plan.ts";

/** What is shown of a film, in seconds. */
export interface Cut {
  readonly start: number;
  /** Infinity: as long as there are frames; the film doesn't say how long it is. */
  readonly seconds: number;
}

/** All of a film. `duration`: 0 where it isn't known. */
export const wholeOf = ({ duration }: { readonly duration: number }): Cut => ({
  start: 0,
  seconds: duration > 0 ? duration : Infinity,
});

/**
 * What a step leaves of what the steps before have left. `parentSeconds`: of the film that this one lies on.
 * @throws DeliveryError InvalidParameter
 */
export function cutFurther(left: Cut, options: StepOptions, parentSeconds: number | undefined): Cut {
  const values = { idu: left.seconds, bdu: parentSeconds ?? left.seconds };
  const said = (name: "startOffset" | "endOffset" | "duration"): number | undefined => {
    const value = options[name];
    return value === undefined ? undefined : evaluate(value, values);
  };
  const start = said("startOffset") ?? 0;
  if (start < 0 || start >= left.seconds) {
    throw new DeliveryError("InvalidParameter", `so-${start}: the film lasts ${left.seconds} seconds here.`);
  }
  const end = said("endOffset");
  const asked = end === undefined ? (said("duration") ?? Infinity) : end - start;
  if (asked <= 0) {
    const [name, value] = end === undefined ? ["du", asked] : ["eo", end];
    throw new DeliveryError(
      "InvalidParameter",
      `${name}-${value}: nothing is left of a film from ${start} on.`,
    );
  }
  return { start: left.start + start, seconds: Math.min(asked, left.seconds - start) };
}

/** When a layer is there, in seconds of what is shown of its film. */
export interface Times {
  /** Below 0 where later steps cut off its beginning. */
  readonly from: number;
  /** Undefined: to its end. */
  readonly to: number | undefined;
}

/** `lso`, `leo`, `ldu`; `leo` wins over `ldu`. `lostSeconds`: of the film's beginning, which later steps cut off. */
export function timesOf(
  { start, end, duration }: Pick<Placement, "start" | "end" | "duration">,
  values: Values,
  lostSeconds: number,
): Times {
  const seconds = (value: Expression | undefined): number | undefined =>
    value === undefined ? undefined : Math.max(0, evaluate(value, values));
  const from = seconds(start) ?? 0;
  const length = seconds(duration);
  const to = seconds(end) ?? (length === undefined ? undefined : from + length);
  return { from: from - lostSeconds, to: to === undefined ? undefined : to - lostSeconds };
}
