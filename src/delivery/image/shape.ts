/**
 * Turning, mirroring, rounding, bordering: what changes a picture's outline. Each works on a settled still, `trim` on
 * animations too.
 */
import { evaluate } from "../plan/expression.ts";
import type { Colour, Expression, Options, Radius } from "../plan/plan.ts";
import { everyFrame } from "./animation.ts";
import { same, union, type Rectangle } from "./geometry.ts";
import type { Values } from "./resolve.ts";
import {
  blank,
  over,
  pipedTo,
  pixelsOf,
  rgba,
  settle,
  settled,
  surfaceOf,
  type Environment,
  type Size,
  type Surface,
} from "./surface.ts";

/**
 * Clockwise. Right angles lose nothing; others leave corners free, which are `fill`.
 * @throws DeliveryError LimitExceeded
 */
export async function rotate(
  surface: Surface,
  degrees: number,
  fill: Colour,
  env: Environment,
): Promise<Surface> {
  const turn = turnOf(degrees);
  if (turn === 0) return surface;
  env.spend(turnedSize(surface, degrees));
  return settled(surface.image.rotate(turn, { background: rgba(fill) }));
}

/** 0 and above, below 360. */
const turnOf = (degrees: number): number => ((degrees % 360) + 360) % 360;

export function turnedSize({ width, height }: Size, degrees: number): Size {
  const turn = turnOf(degrees);
  if (turn % 90 === 0) return turn % 180 === 0 ? { width, height } : { width: height, height: width };
  const angle = (turn * Math.PI) / 180;
  const [sin, cos] = [Math.abs(Math.sin(angle)), Math.abs(Math.cos(angle))];
  return { width: Math.ceil(width * cos + height * sin), height: Math.ceil(width * sin + height * cos) };
}

export async function flip(surface: Surface, { horizontal, vertical }: Options["flip"]): Promise<Surface> {
  const { image } = surface;
  if (horizontal) image.flop();
  if (vertical) image.flip();
  return { ...surface, image, fresh: false };
}

/** The smallest picture whose edges sharp looks at. */
const TRIM_SIDE_MIN = 3;

/**
 * Cuts off edges of the colour of the left top corner; a picture of one colour stays as it is. Of an animation it cuts
 * off what is such an edge in each frame.
 */
export async function trim(surface: Surface, threshold: number): Promise<Surface> {
  if (Math.min(surface.width, surface.height) < TRIM_SIDE_MIN) return surface;
  const ready = await settle(surface);
  const boxes = await everyFrame(ready, (frame) => trimmedBox(frame, threshold));
  const shown = union(boxes);
  return same(shown, ready) ? ready : pipedTo(ready, shown, ready.image.extract(shown));
}

async function trimmedBox(frame: Surface, threshold: number): Promise<Rectangle> {
  const { info } = await frame.image.trim({ threshold }).raw().toBuffer({ resolveWithObject: true });
  const { trimOffsetLeft = 0, trimOffsetTop = 0, width, height } = info;
  return { left: Math.abs(trimOffsetLeft), top: Math.abs(trimOffsetTop), width, height };
}

type Four = [number, number, number, number];
type Corners = Readonly<Four>;

function cornersOf(radius: Radius, { width, height }: Size, values: Values): Corners | "max" {
  if (radius === "max") return radius;
  const limit = Math.min(width, height) / 2;
  const one = (corner: Expression): number => Math.max(0, Math.min(limit, evaluate(corner, values)));
  return [one(radius[0]), one(radius[1]), one(radius[2]), one(radius[3])];
}

/** How much of a pixel lies within: 0 to 1, by the distance of its middle from the outline. */
function coverage(x: number, y: number, { width, height }: Size, corners: Corners | "max"): number {
  if (corners === "max") {
    const [rx, ry] = [width / 2, height / 2];
    const [dx, dy] = [(x - rx) / rx, (y - ry) / ry];
    const from = Math.hypot(dx, dy);
    // First-order distance from an ellipse.
    const slope = Math.hypot(dx / rx, dy / ry);
    return slope === 0 ? 1 : clamp(0.5 + ((1 - from) * from) / slope);
  }
  const [topLeft, topRight, bottomRight, bottomLeft] = corners;
  const left = x < width / 2;
  const radius = y < height / 2 ? (left ? topLeft : topRight) : left ? bottomLeft : bottomRight;
  const dx = radius - (left ? x : width - x);
  const dy = radius - (y < height / 2 ? y : height - y);
  return dx <= 0 || dy <= 0 ? 1 : clamp(0.5 + radius - Math.hypot(dx, dy));
}
const clamp = (value: number): number => Math.max(0, Math.min(1, value));

/** Rounds the corners: what lies outside becomes transparent. */
export async function round(surface: Surface, radius: Radius, values: Values): Promise<Surface> {
  const corners = cornersOf(radius, surface, values);
  if (corners !== "max" && corners.every((corner) => corner === 0)) return surface;
  const pixels = await pixelsOf(surface);
  eachEdge(pixels, corners, (n, part) => {
    if (part < 1) pixels.data[n + 3] = Math.round(pixels.data[n + 3]! * part);
  });
  return surfaceOf(pixels);
}

/** The pixels that the outline may touch, by where their bytes begin. What lies between the corners is left out. */
function eachEdge(
  { width, height }: Size,
  corners: Corners | "max",
  touch: (byte: number, coverage: number) => void,
): void {
  const size = { width, height };
  const [topLeft, topRight, bottomRight, bottomLeft] =
    corners === "max" ? [width, width, width, width] : corners;
  for (let y = 0; y < height; y++) {
    const upper = y < height / 2;
    const left = Math.min(width, Math.ceil(upper ? topLeft : bottomLeft));
    const right = Math.max(left, Math.floor(width - (upper ? topRight : bottomRight)));
    for (let x = 0; x < left; x++) touch((y * width + x) * 4, coverage(x + 0.5, y + 0.5, size, corners));
    for (let x = right; x < width; x++) touch((y * width + x) * 4, coverage(x + 0.5, y + 0.5, size, corners));
  }
}

export function borderedSize({ width, height }: Size, thickness: Expression, values: Values): Size {
  const wide = Math.max(0, Math.round(evaluate(thickness, values)));
  return { width: width + 2 * wide, height: height + 2 * wide };
}

/**
 * Around the picture, along its corners where they are rounded: they have been cut already, and become the inner
 * outline. @throws DeliveryError LimitExceeded
 */
export async function border(
  surface: Surface,
  { width: thickness, colour }: Options["border"],
  radius: Radius | undefined,
  values: Values,
  env: Environment,
): Promise<Surface> {
  const size = borderedSize(surface, thickness, values);
  const wide = (size.width - surface.width) / 2;
  if (wide === 0) return surface;
  env.spend(size);
  if (radius === undefined) {
    const edges = { top: wide, bottom: wide, left: wide, right: wide };
    return settled(surface.image.extend({ ...edges, background: rgba(colour) }));
  }
  const corners = cornersOf(radius, surface, values);
  const outer = corners === "max" ? corners : (corners.map((one) => (one === 0 ? 0 : one + wide)) as Four);
  const ring = await pixelsOf(await round(blank(size, colour), outer, values));
  for (let y = 0; y < surface.height; y++) {
    const from = ((y + wide) * size.width + wide) * 4;
    for (let x = 0; x < surface.width; x++) {
      // A hole where the picture is whole: its own transparent parts are not to be filled with the border's colour.
      if (coverage(x + 0.5, y + 0.5, surface, corners) === 1) ring.data[from + x * 4 + 3] = 0;
    }
  }
  return settle(await over(surfaceOf(ring), surface, { left: wide, top: wide }));
}

/** 0–100. */
export async function fade(surface: Surface, opacity: number): Promise<Surface> {
  const { data, width, height } = await pixelsOf(surface);
  for (let n = 3; n < data.length; n += 4) data[n] = Math.round((data[n]! * opacity) / 100);
  return surfaceOf({ data, width, height });
}
