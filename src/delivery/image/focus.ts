/** Where the interesting part of a picture is. */
import type { Focus, Position } from "../plan/plan.ts";
import { firstFrame } from "./animation.ts";
import { detect } from "./detector.ts";
import { POINTS, shrunkTo, union, type Point, type Rectangle } from "./geometry.ts";
import { copyOf, settle, settled, type Environment, type Size, type Surface } from "./surface.ts";

/** Whether the focus is a place, whatever is to be seen there. */
export const isPlace = (focus: Focus | undefined): focus is { readonly at: Position } =>
  focus !== undefined && Object.hasOwn(POINTS, focus.at);

/** The middle where the focus is no place. */
export const placeOf = (focus: Focus | undefined): Point =>
  isPlace(focus) ? POINTS[focus.at] : POINTS.center;

/** The surface comes back settled where it had to be looked at. */
interface Found {
  readonly surface: Surface;
  readonly point: Point;
}

/** The middle of what is to be shown when a part of this size is. */
export async function focusOn(
  surface: Surface,
  focus: Focus | undefined,
  part: Size,
  env: Environment,
): Promise<Found> {
  if (focus?.at === "auto" || focus?.at === "entropy") return catching(surface, part, focus.at);
  if (focus?.at !== "custom" && focus?.at !== "face" && focus?.at !== "object") {
    return { surface, point: placeOf(focus) };
  }
  const { surface: seen, box } = await boxOf(surface, focus, env);
  if (box === undefined) return catching(seen, part, "auto");
  const { left, top, width, height } = box;
  const point = { x: (left + width / 2) / seen.width, y: (top + height / 2) / seen.height };
  return { surface: seen, point };
}

/** How much of the surroundings belongs to a face: its finder sees neither hair nor chin. */
const FACE_MARGIN = 1.5;

/**
 * What the focus names, in pixels of the surface. Undefined, and said in a header: it isn't known, and what catches
 * the eye is to be shown in its place.
 */
export async function boxOf(
  surface: Surface,
  focus: Extract<Focus, { at: "custom" | "face" | "object" }>,
  env: Environment,
): Promise<{ surface: Surface; box: Rectangle | undefined }> {
  if (focus.at === "custom") {
    const { source } = env;
    const box = source === undefined ? undefined : customBox(env.job.customCoordinates, source);
    if (source === undefined || box === undefined) {
      tellFallback(env);
      return { surface, box: undefined };
    }
    return { surface, box: enlarged(box, surface.width / source.width, surface.height / source.height) };
  }
  if (env.job.detector === undefined) {
    tellFallback(env);
    return { surface, box: undefined };
  }
  const seen = surface.fresh ? surface : await settle(surface);
  const what = focus.at === "face" ? "face" : focus.name;
  const regions = (await detect(await firstFrame(seen), what, env)) ?? [];
  if (regions.length > 0) {
    return { surface: seen, box: grown(union(regions), focus.at === "face" ? FACE_MARGIN : 1, seen) };
  }
  tellFallback(env);
  return { surface: seen, box: undefined };
}

function tellFallback({ headers }: Environment): void {
  if (!headers.includes("x-windlass-focus")) headers.push("x-windlass-focus", "fallback");
}

/** Longest side of the small copy. */
const PROBE_SIDE = 256;

/** A small copy of the first frame, in which the eye-catching part is looked for. */
async function shrunk(surface: Surface): Promise<Surface> {
  const small = shrunkTo(PROBE_SIDE, surface);
  return settled(copyOf(await firstFrame(surface)).resize({ ...small, fit: "fill" }));
}

const enlarged = ({ left, top, width, height }: Rectangle, across: number, down: number): Rectangle => ({
  left: left * across,
  top: top * down,
  width: width * across,
  height: height * down,
});

/**
 * libvips' strategies on a small copy of the first frame: `attention` goes by edges, saturated colours and skin tones,
 * `entropy` by how much there is to see.
 */
async function catching(surface: Surface, part: Size, strategy: "auto" | "entropy"): Promise<Found> {
  const seen = surface.fresh ? surface : await settle(surface);
  const small = await shrunk(seen);
  const by = small.width / seen.width;
  const window = {
    width: Math.max(1, Math.min(small.width, Math.round(part.width * by))),
    height: Math.max(1, Math.min(small.height, Math.round(part.height * by))),
  };
  if (window.width === small.width && window.height === small.height) {
    return { surface: seen, point: POINTS.center };
  }
  const position = strategy === "auto" ? "attention" : "entropy";
  const crop = await small.image
    .resize({ ...window, fit: "cover", position, withoutReduction: true })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { cropOffsetLeft = 0, cropOffsetTop = 0 } = crop.info;
  const point = {
    x: (Math.abs(cropOffsetLeft) + window.width / 2) / small.width,
    y: (Math.abs(cropOffsetTop) + window.height / 2) / small.height,
  };
  return { surface: seen, point };
}

/** Larger around its middle, as far as the picture goes. */
function grown({ left, top, width, height }: Rectangle, by: number, whole: Size): Rectangle {
  const [aside, above] = [(width * (by - 1)) / 2, (height * (by - 1)) / 2];
  const from = { left: Math.max(0, left - aside), top: Math.max(0, top - above) };
  return {
    ...from,
    width: Math.min(whole.width, left + width + aside) - from.left,
    height: Math.min(whole.height, top + height + above) - from.top,
  };
}

/** `x,y,width,height`; undefined for what doesn't lie within the picture. */
function customBox(text: string | undefined, { width, height }: Size): Rectangle | undefined {
  const numbers = text?.split(",").map((part) => Number(part.trim())) ?? [];
  const [left = NaN, top = NaN, w = NaN, h = NaN] = numbers;
  if (numbers.length !== 4 || ![left, top, w, h].every((one) => Number.isInteger(one) && one >= 0))
    return undefined;
  return w < 1 || h < 1 || left + w > width || top + h > height
    ? undefined
    : { left, top, width: w, height: h };
}
