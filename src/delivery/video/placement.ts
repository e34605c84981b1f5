/** When a layer is on its film. Where it lies is told as for pictures. */
import type { Values } from "../image/resolve.ts";
import { evaluate } from "../plan/expression.ts";
import type { Expression, Placement } from "../plan/plan.ts";

/** What is shown of a film, in seconds. */
export interface Cut {
  readonly start: number;
  readonly seconds: number;
}

/** When a layer is there, in seconds of what is shown of its film. */
export interface Times {
  readonly from: number;
  /** Undefined: to its end. */
  readonly to: number | undefined;
}

/** `lso`, `leo`, `ldu`; `leo` wins over `ldu`. */
export function timesOf(
  { start, end, duration }: Pick<Placement, "start" | "end" | "duration">,
  values: Values,
): Times {
  const seconds = (value: Expression | undefined): number | undefined =>
    value === undefined ? undefined : Math.max(0, evaluate(value, values));
  const from = seconds(start) ?? 0;
  const length = seconds(duration);
  return { from, to: seconds(end) ?? (length === undefined ? undefined : from + length) };
}
