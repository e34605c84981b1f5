/** Cropping, resizing and padding: the part of a step that every picture goes through. */
import { CLEAR } from "../plan/colours.ts";
import type { Sharp } from "sharp";
import type { Focus, StepOptions } from "../plan/plan.ts";
import { eachFrame } from "./animation.ts";
import { underlay } from "./background.ts";
import { boxOf, focusOn, isPlace, placeOf } from "./focus.ts";
import { around, geometryOf, named, resultOf, same, type Geometry, type Rectangle } from "./geometry.ts";
import { wantedSize, type Wanted, type Work } from "./resolve.ts";
import {
  groundOf,
  over,
  pipedTo,
  rgba,
  settle,
  type Environment,
  type Size,
  type Surface,
} from "./surface.ts";

type BoxFocus = Extract<Focus, { at: "custom" | "face" | "object" }>;

/**
 * The size that a step makes of a size. Undefined: only the picture can tell.
 * @throws DeliveryError InvalidParameter, LimitExceeded
 */
export function resizedSize(size: Size, work: Work): Size | undefined {
  const { options, values } = work;
  const wanted = wantedSize(size, work);
  const both = wanted.width !== undefined && wanted.height !== undefined;
  if (!both && shownBox(options, wanted) !== undefined) return undefined;
  const geometry = geometryOf(size, wanted, options);
  if (geometry.window !== undefined) named(options, geometry.window, size, values);
  return spend(size, geometry, work);
}

/** Whether a step leaves all of the picture and adds nothing, whatever it makes of its size. @throws as `resizedSize` */
export function showsAll(size: Size, work: Work): boolean {
  const { options } = work;
  const wanted = wantedSize(size, work);
  if (shownBox(options, wanted) !== undefined) return false;
  const geometry = geometryOf(size, wanted, options);
  const { window = size, scaled = size } = geometry;
  return same(window, size) && same(resultOf(size, geometry), scaled);
}

/** Gives back the size that comes out. */
function spend(from: Size, geometry: Geometry, { env, pages }: Work): Size {
  const result = resultOf(from, geometry);
  if (geometry.scaled !== undefined) env.spend(geometry.scaled, pages);
  env.spend(result, pages);
  return result;
}

/** Animations too. @throws DeliveryError InvalidParameter, LimitExceeded */
export async function resize(surface: Surface, work: Work): Promise<Surface> {
  const { options, values, env } = work;
  const wanted = wantedSize(surface, work);
  let now = surface;
  let { focus } = options;
  const shown = shownBox(options, wanted);
  if (shown !== undefined) {
    const { surface: seen, box } = await boxOf(surface, shown, env);
    if (box !== undefined) return showBox(seen, box, wanted, work);
    now = seen;
    focus = { at: "auto" };
  }
  const geometry = geometryOf(now, wanted, options);
  spend(now, geometry, work);
  const { window, scaled, crop } = geometry;
  let cut: Rectangle | undefined;
  if (window !== undefined) {
    const { left, top } = named(options, window, now, values);
    const isPlaced = left !== undefined && top !== undefined;
    const found = await focusOn(now, isPlaced ? undefined : focus, window, env);
    now = found.surface;
    const box = around(found.point, window, now);
    cut = { ...box, left: left ?? box.left, top: top ?? box.top };
    // What is still to be cut off is less than a pixel.
    if (!isPlace(focus)) focus = undefined;
  }
  const part = await cutAndScale(now, cut, { ...(scaled && { scaled }), ...(crop && { crop }) }, focus, env);
  if (geometry.pad === undefined) return part;
  // A pipeline pads once: an earlier step may have done so.
  return pad(part === now && !now.fresh ? await settle(now) : part, geometry.pad, work);
}

/**
 * The focus whose box is shown, rather than kept in sight only: where both sides are given and something must be cut
 * off; faces and objects also where neither side is.
 */
export function shownBox(
  { focus, crop = "maintain_ratio", cropMode }: StepOptions,
  { width, height }: Wanted,
): BoxFocus | undefined {
  if (focus?.at !== "custom" && focus?.at !== "face" && focus?.at !== "object") return undefined;
  const cuts = crop === "maintain_ratio" || crop === "maintain_ratio_no_enlarge";
  if (cropMode !== undefined || !cuts) return undefined;
  if (width !== undefined && height !== undefined) return focus;
  return width === undefined && height === undefined && focus.at !== "custom" ? focus : undefined;
}

/** The box and no more than the ratio asks for, closer or farther by the zoom. */
async function showBox(
  surface: Surface,
  box: Rectangle,
  { width, height, ratio }: Wanted,
  work: Work,
): Promise<Surface> {
  const { zoom = 1, crop, focus } = work.options;
  const both = width !== undefined && height !== undefined;
  const shape = both ? width / height : ratio;
  const cut = grow(box, focus?.at === "custom" ? 1 : zoom, shape, surface);
  const part = await cutAndScale(surface, cut, {}, undefined, work.env);
  if (!both) return part;
  const geometry = geometryOf(
    part,
    { width, height, ratio: undefined, dpr: 1 },
    crop === undefined ? {} : { crop },
  );
  spend(part, geometry, work);
  const { window, ...rest } = geometry;
  const inner = window === undefined ? undefined : around(placeOf(undefined), window, part);
  return cutAndScale(await settle(part), inner, rest, undefined, work.env);
}

/** A box made larger (zoom below 1) or smaller around its middle, and of the wanted ratio, within the picture. */
function grow(box: Rectangle, zoom: number, ratio: number | undefined, whole: Size): Rectangle {
  let width = box.width / zoom;
  let height = box.height / zoom;
  if (ratio !== undefined) {
    if (width / height < ratio) width = height * ratio;
    else height = width / ratio;
  }
  // Beyond the picture there is nothing to show; the ratio is kept.
  const fits = ratio === undefined ? 1 : Math.min(1, whole.width / width, whole.height / height);
  const within = (length: number, all: number): number =>
    Math.max(1, Math.min(all, Math.round(length * fits)));
  const middle = {
    x: (box.left + box.width / 2) / whole.width,
    y: (box.top + box.height / 2) / whole.height,
  };
  return around(middle, { width: within(width, whole.width), height: within(height, whole.height) }, whole);
}

/** How sharp can crop while it resizes; of an animation it can't look for what catches the eye. */
function cropOf(focus: Focus | undefined, pages: number): string | undefined {
  // It says `left top`.
  if (isPlace(focus)) return focus.at.split("_").toReversed().join(" ");
  if (focus === undefined) return "center";
  if (pages > 1 || (focus.at !== "auto" && focus.at !== "entropy")) return undefined;
  return focus.at === "auto" ? "attention" : "entropy";
}

/** A still in one pipeline, so that decoders may shrink while they decode. */
async function cutAndScale(
  surface: Surface,
  cut: Rectangle | undefined,
  { scaled, crop }: Pick<Geometry, "scaled" | "crop">,
  focus: Focus | undefined,
  env: Environment,
): Promise<Surface> {
  const part = cut !== undefined && !same(cut, surface) ? cut : undefined;
  const from = part ?? surface;
  const resizes = scaled !== undefined && (crop !== undefined || !same(scaled, from));
  if (part === undefined && !resizes) return surface;
  const ready = surface.fresh ? surface : await settle(surface);
  const { image } = ready;
  if (part !== undefined) image.extract(part);
  if (!resizes) return pipedTo(ready, from, image);
  const size = crop ?? scaled;
  const fill = { ...scaled, fit: "fill" } as const;
  const position = cropOf(focus, ready.pages);
  let resizing = (now: Sharp): Sharp => now.resize(fill);
  let whole: Surface = { ...ready, fresh: ready.fresh && part === undefined };
  if (crop !== undefined && position !== undefined) {
    resizing = (now) => now.resize({ ...crop, fit: "cover", position });
  } else if (crop !== undefined) {
    const by = ready.width / scaled.width;
    const shown = { width: Math.round(crop.width * by), height: Math.round(crop.height * by) };
    const { surface: seen, point } = await focusOn(ready, focus, shown, env);
    whole = seen;
    resizing = (now) => now.resize(fill).extract(around(point, crop, scaled));
  }
  // All at once, the frames' edges would be mixed with what lies above and below them: other frames.
  return eachFrame(whole, env, async (frame) => pipedTo(frame, size, resizing(frame.image)));
}

/** Sets the picture on a canvas, on the side that the focus names. */
async function pad(surface: Surface, to: Size, { options, env }: Work): Promise<Surface> {
  if (surface.width >= to.width && surface.height >= to.height) return surface;
  const place = placeOf(options.focus);
  const left = Math.round((to.width - surface.width) * place.x);
  const top = Math.round((to.height - surface.height) * place.y);
  const none = { kind: "colour", colour: surface.alpha ? CLEAR : groundOf(env) } as const;
  const { background: said = none } = options;
  // What is painted later is left out here.
  const background = said.kind === "generated" ? ({ kind: "colour", colour: CLEAR } as const) : said;
  if (background.kind !== "colour") {
    return eachFrame(surface, env, async (frame) => {
      const ready = await settle(frame);
      const under = await underlay(ready, to, background);
      return settle(await over(under, ready, { left, top }));
    });
  }
  // A colour that is seen through is laid under everything at once, later in the step.
  const colour = background.colour.a < 1 ? CLEAR : background.colour;
  const { r, g, b, a } = colour;
  // A grey picture's pipeline makes greys of colours.
  const ready = r === g && g === b ? surface : await settle(surface);
  const image = ready.image.extend({
    left,
    top,
    right: to.width - surface.width - left,
    bottom: to.height - surface.height - top,
    background: rgba(colour),
  });
  const padded = { ...pipedTo(ready, to, image), alpha: ready.alpha || a < 1 };
  // A pipeline that is to be flattened for a JPEG does that before it extends.
  return padded.alpha ? settle(padded) : padded;
}
