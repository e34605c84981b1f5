/** What a step does to the size of a picture: pure arithmetic, so that limits are checked before any work. */
import { DeliveryError } from "../errors.ts";
import { evaluate } from "../plan/expression.ts";
import type { Crop, CropMode, Expression, Options, Placement, Position } from "../plan/plan.ts";
import type { Values, Wanted } from "./resolve.ts";
import type { Size } from "./surface.ts";

export interface Rectangle extends Size {
  readonly left: number;
  readonly top: number;
}

/**
 * Cut `window` out of the input, resize it to `scaled`, cut `crop` out of that, or set it on a canvas of `pad`. What is
 * not there is not done. Where the window and the crop lie is told by the focus; here is only how large they are.
 */
export interface Geometry {
  readonly window?: Size;
  readonly scaled?: Size;
  readonly crop?: Size;
  readonly pad?: Size;
}

export const same = (one: Size, other: Size): boolean =>
  one.width === other.width && one.height === other.height;

const scale = ({ width, height }: Size, by: number): Size => ({
  width: Math.max(1, Math.round(width * by)),
  height: Math.max(1, Math.round(height * by)),
});

/** So much smaller that no side is longer than this. */
export const shrunkTo = (side: number, size: Size): Size =>
  scale(size, Math.min(1, side / Math.max(size.width, size.height)));

/** @throws DeliveryError InvalidParameter */
export function geometryOf(
  from: Size,
  wanted: Wanted,
  options: Readonly<Pick<Partial<Options>, "crop" | "cropMode">>,
): Geometry {
  const { width, height, ratio } = wanted;
  if (width === undefined && height === undefined)
    return ratio === undefined ? {} : { window: largest(from, ratio) };
  if (options.cropMode !== undefined) return modeGeometry(options.cropMode, from, wanted);
  if (width === undefined || height === undefined) {
    const by = width === undefined ? height! / from.height : width / from.width;
    const enlarges = options.crop !== "at_max" && options.crop !== "maintain_ratio_no_enlarge";
    return { scaled: exact(scale(from, enlarges ? by : Math.min(1, by)), wanted, by, enlarges) };
  }
  return cropGeometry(options.crop ?? "maintain_ratio", from, { width, height });
}

/** The side that was named is that side, whatever rounding makes of the ratio. */
function exact(size: Size, { width, height }: Wanted, by: number, enlarges: boolean): Size {
  if (by > 1 && !enlarges) return size;
  return { width: width ?? size.width, height: height ?? size.height };
}

/** The largest part of a picture that has this ratio. */
function largest(from: Size, ratio: number): Size {
  const width = Math.min(from.width, Math.round(from.height * ratio));
  return { width: Math.max(1, width), height: Math.max(1, Math.min(from.height, Math.round(width / ratio))) };
}

function cropGeometry(crop: Crop, from: Size, to: Size): Geometry {
  const inside = Math.min(to.width / from.width, to.height / from.height);
  const outside = Math.max(to.width / from.width, to.height / from.height);
  if (crop === "force") return { scaled: to };
  if (crop === "at_max") return { scaled: scale(from, Math.min(1, inside)) };
  if (crop === "at_max_enlarge") return { scaled: scale(from, inside) };
  if (crop === "at_least") return { scaled: scale(from, outside) };
  if (outside <= 1) return { scaled: scale(from, outside), crop: to };
  return crop === "maintain_ratio" ? enlarged(from, to) : { window: largest(from, to.width / to.height) };
}

/**
 * What is to be enlarged is cut first, so that no more is made than is shown: the pixels that are seen in part are made
 * whole, and cut off again.
 */
function enlarged(from: Size, to: Size): Geometry {
  const isWide = to.width * from.height > to.height * from.width;
  const window = isWide
    ? { width: from.width, height: Math.ceil((to.height * from.width) / to.width) }
    : { width: Math.ceil((to.width * from.height) / to.height), height: from.height };
  const by = isWide ? to.width / from.width : to.height / from.height;
  // A single pixel is of one colour: it may be stretched, and however little is seen of it, no more is made.
  const side = (part: number, shown: number): number => (part === 1 ? shown : Math.round(part * by));
  const scaled = { width: side(window.width, to.width), height: side(window.height, to.height) };
  const isWhole = scaled.width === to.width && scaled.height === to.height;
  return isWhole ? { window, scaled } : { window, scaled, crop: to };
}

function modeGeometry(mode: CropMode, from: Size, wanted: Wanted): Geometry {
  if (mode === "pad_resize" || mode === "pad_resize_no_enlarge") {
    const { width, height } = wanted;
    if (width === undefined || height === undefined) {
      return geometryOf(from, wanted, mode === "pad_resize" ? {} : { crop: "at_max" });
    }
    const by = Math.min(width / from.width, height / from.height);
    return { scaled: scale(from, mode === "pad_resize" ? by : Math.min(1, by)), pad: { width, height } };
  }
  const to = { width: wanted.width ?? from.width, height: wanted.height ?? from.height };
  const window = { width: Math.min(to.width, from.width), height: Math.min(to.height, from.height) };
  if (mode === "extract") return { window };
  if (mode === "pad_extract") return { window, pad: to };
  return { pad: { width: Math.max(to.width, from.width), height: Math.max(to.height, from.height) } };
}

/** The size that comes out. */
export function resultOf(from: Size, { window, scaled, crop, pad }: Geometry): Size {
  return pad ?? crop ?? scaled ?? window ?? { width: from.width, height: from.height };
}

/** A point by fractions of the picture: where the focus is. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

export const POINTS: Readonly<Record<Position, Point>> = {
  center: { x: 0.5, y: 0.5 },
  top: { x: 0.5, y: 0 },
  bottom: { x: 0.5, y: 1 },
  left: { x: 0, y: 0.5 },
  right: { x: 1, y: 0.5 },
  top_left: { x: 0, y: 0 },
  top_right: { x: 1, y: 0 },
  bottom_left: { x: 0, y: 1 },
  bottom_right: { x: 1, y: 1 },
};

/** The smallest part in which all of these lie. */
export function union(boxes: readonly Rectangle[]): Rectangle {
  const left = Math.min(...boxes.map((box) => box.left));
  const top = Math.min(...boxes.map((box) => box.top));
  const right = Math.max(...boxes.map((box) => box.left + box.width));
  const bottom = Math.max(...boxes.map((box) => box.top + box.height));
  return { left, top, width: right - left, height: bottom - top };
}

/** Where a part of that size lies around a point, as far within the picture as it can. */
export function around(point: Point, part: Size, whole: Size): Rectangle {
  return {
    left: along(point.x, part.width, whole.width),
    top: along(point.y, part.height, whole.height),
    width: part.width,
    height: part.height,
  };
}

const along = (at: number, size: number, all: number): number =>
  Math.max(0, Math.min(all - size, Math.round(at * all - size / 2)));

/** Undefined: the focus says. */
interface Edges {
  readonly left: number | undefined;
  readonly top: number | undefined;
}

/**
 * Where an extract begins, as far as it names its corner or its centre; what is no extract names nothing.
 * @throws DeliveryError InvalidParameter when it doesn't lie within the picture
 */
export function named(
  options: Readonly<Pick<Partial<Options>, "cropMode" | "x" | "y" | "centreX" | "centreY">>,
  part: Size,
  whole: Size,
  values: Values,
): Edges {
  const { cropMode, x, y, centreX, centreY } = options;
  if (cropMode !== "extract" && cropMode !== "pad_extract") return { left: undefined, top: undefined };
  const edge = (
    at: Options["x"] | undefined,
    centre: Options["x"] | undefined,
    size: number,
    all: number,
    axis: string,
  ): number | undefined => {
    let start: number | undefined;
    if (centre !== undefined) start = Math.round(evaluate(centre, values) - size / 2);
    else if (at !== undefined) start = Math.round(evaluate(at, values));
    if (start === undefined || (start >= 0 && start + size <= all)) return start;
    throw new DeliveryError(
      "InvalidParameter",
      `${axis}${centre === undefined ? "" : "c"}: an extract of ${size} pixels that begins at ${start} doesn't lie within the picture's ${all}.`,
    );
  };
  return {
    left: edge(x, centreX, part.width, whole.width, "x"),
    top: edge(y, centreY, part.height, whole.height, "y"),
  };
}

/** Where a layer goes on its base. It stays within the base as far as it fits. */
export function spotOf(
  placement: Placement,
  base: Size,
  layer: Size,
  values: Values,
): { left: number; top: number } {
  const { x, y, centreX, centreY } = placement;
  const isNamed = [x, y, centreX, centreY].some((one) => one !== undefined);
  const from = POINTS[isNamed ? (placement.anchor ?? "top_left") : (placement.focus ?? "center")];
  return {
    left: spotAlong({ base: base.width, layer: layer.width, from: from.x, edge: x, centre: centreX }, values),
    top: spotAlong(
      { base: base.height, layer: layer.height, from: from.y, edge: y, centre: centreY },
      values,
    ),
  };
}

interface Line {
  readonly base: number;
  readonly layer: number;
  /** 0: left or top, 0.5: middle, 1: right or bottom. */
  readonly from: number;
  readonly edge: Expression | undefined;
  readonly centre: Expression | undefined;
}

/**
 * Along one side. Offsets are counted from the anchor inwards, between the edges that are named alike; from the middle,
 * to the right and downwards. A negative offset from the left or the top counts from the other edge.
 */
function spotAlong({ base, layer, from, edge, centre }: Line, values: Values): number {
  const free = base - layer;
  const offset = Math.round(evaluate(edge ?? centre ?? 0, values));
  const fromEnd = from === 1 || offset < 0;
  let at: number;
  if (edge === undefined && centre !== undefined) {
    const middle = from === 0.5 ? base / 2 + offset : fromEnd ? base - Math.abs(offset) : offset;
    at = Math.round(middle - layer / 2);
  } else if (from === 0.5) at = Math.round(free / 2) + offset;
  else at = fromEnd ? free - Math.abs(offset) : offset;
  return Math.max(Math.min(0, free), Math.min(Math.max(0, free), at));
}
