/** Where a layer lies on its film, and when. Places are those of layers of pictures. */
import type { Values } from "../image/resolve.ts";
import type { Size } from "../image/surface.ts";
import { evaluate } from "../plan/expression.ts";
import type { Expression, Placement, Position } from "../plan/plan.ts";

/** −1: left or top, 0: middle, 1: right or bottom. */
const SIDES: Readonly<Record<Position, readonly [across: -1 | 0 | 1, down: -1 | 0 | 1]>> = {
  center: [0, 0],
  top: [0, -1],
  left: [-1, 0],
  bottom: [0, 1],
  right: [1, 0],
  top_left: [-1, -1],
  top_right: [1, -1],
  bottom_left: [-1, 1],
  bottom_right: [1, 1],
};

/** The point that a position names, by fractions of the picture. */
export function pointOf(at: Position): { x: number; y: number } {
  const [across, down] = SIDES[at];
  return { x: (across + 1) / 2, y: (down + 1) / 2 };
}

/**
 * As for pictures (`spotOf` of image/layers.ts, which brings the codecs of pictures along): the layer stays within the
 * base as far as it fits.
 */
export function spotOf(
  placement: Placement,
  base: Size,
  layer: Size,
  values: Values,
): { left: number; top: number } {
  const { x, y, centreX, centreY } = placement;
  const named = [x, y, centreX, centreY].some((one) => one !== undefined);
  const [across, down] = SIDES[named ? (placement.anchor ?? "top_left") : (placement.focus ?? "center")];
  return {
    left: along({ base: base.width, layer: layer.width, side: across, edge: x, centre: centreX }, values),
    top: along({ base: base.height, layer: layer.height, side: down, edge: y, centre: centreY }, values),
  };
}

interface Line {
  readonly base: number;
  readonly layer: number;
  readonly side: -1 | 0 | 1;
  readonly edge: Expression | undefined;
  readonly centre: Expression | undefined;
}

/** Offsets go inwards from the anchor; negative ones from the left or the top count from the other edge. */
function along({ base, layer, side, edge, centre }: Line, values: Values): number {
  const free = base - layer;
  const offset = Math.round(evaluate(edge ?? centre ?? 0, values));
  let at: number;
  if (edge === undefined && centre !== undefined) {
    const fromEnd = side === 1 || offset < 0;
    const middle = side === 0 ? base / 2 + offset : fromEnd ? base - Math.abs(offset) : offset;
    at = Math.round(middle - layer / 2);
  } else if (side === 0) at = Math.round(free / 2) + offset;
  else at = side === 1 || offset < 0 ? free - Math.abs(offset) : offset;
  return Math.max(Math.min(0, free), Math.min(Math.max(0, free), at));
}

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
