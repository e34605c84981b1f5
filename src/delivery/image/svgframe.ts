/**
 * Drawings that stay what they are while their size changes: how a step sets one into its result, and the root element
 * that says so. What shows is what would be drawn of them.
 */
import sharp from "sharp";
import type { Colour, Options } from "../plan/plan.ts";
import { isPlace, placeOf } from "./focus.ts";
import { geometryOf, same, type Point, type Rectangle } from "./geometry.ts";
import { wantedSize, type Work } from "./resolve.ts";
import { resizedSize, shownBox } from "./size.ts";
import type { Size } from "./surface.ts";
import { NAMESPACES, sanitizeSvg, type Attributes, type Root } from "./svg.ts";

/** A drawing in its result, whose size this is. */
export interface Frame extends Size {
  /** It fills the result, or its place on the canvas, and is cut off around this point. Left out: all of it shows. */
  readonly cover?: Point;
  /** What it was set on, in a size of its own, and where. */
  readonly canvas?: Size & { readonly at: Rectangle };
  /** Under all of the canvas. */
  readonly background?: Colour;
}

/** As far as sides that were rounded tell. */
const alike = (exact: Size, rounded: Size): boolean =>
  Math.abs(exact.width * rounded.height - exact.height * rounded.width) <= (exact.width + exact.height) / 2;

/**
 * What a step's sizes make of it. Undefined: it can't say so, and is to be drawn.
 * @throws DeliveryError InvalidParameter, LimitExceeded
 */
export function resizedFrame(frame: Frame, work: Work): Frame | undefined {
  const { options } = work;
  const wanted = wantedSize(frame, work);
  const geometry = geometryOf(frame, wanted, options);
  const { window = frame, scaled = window, crop = scaled, pad = crop } = geometry;
  const size = resizedSize(frame, work);
  if (size === undefined || shownBox(options, wanted) !== undefined) return undefined;
  const cut = !same(window, frame) || !same(crop, scaled);
  const padded = !same(pad, crop);
  if (!cut && !padded) {
    const free = frame.cover === undefined || frame.canvas !== undefined || alike(frame, size);
    return free ? { ...frame, ...size } : undefined;
  }
  const { focus, cropMode } = options;
  const placed = focus === undefined || isPlace(focus);
  if (!placed || frame.cover !== undefined || frame.canvas !== undefined) return undefined;
  const place = placeOf(focus);
  // An extract shows its part in the size that it had.
  if (cut) return cropMode === undefined ? { ...size, cover: place } : undefined;
  const left = Math.round((pad.width - scaled.width) * place.x);
  const top = Math.round((pad.height - scaled.height) * place.y);
  return { ...size, canvas: { ...size, at: { left, top, width: scaled.width, height: scaled.height } } };
}

/** With a background under it. Undefined: it is no plain one, and to be drawn. */
export function backedFrame(frame: Frame, background: Options["background"]): Frame | undefined {
  if (background.kind !== "colour" || frame.background !== undefined) return undefined;
  const { width, height, canvas = { width, height, at: { left: 0, top: 0, width, height } } } = frame;
  return { ...frame, canvas, background: background.colour };
}

/**
 * The sanitised drawing in its frame. `size`: its own, in pixels. Undefined: its root says other things of its size than
 * could be changed. @throws DeliveryError as `sanitizeSvg`
 */
export async function frameSvg(source: Buffer, size: Size, frame: Frame): Promise<Buffer | undefined> {
  let root: Root | undefined;
  const data = sanitizeSvg(
    source,
    (attributes) => (root = rootOf(attributes, size, frame)) ?? { attributes },
  );
  if (root === undefined) return undefined;
  // A style sheet may have the last word.
  return same(await sharp(data).metadata(), frame) ? data : undefined;
}

function rootOf(attributes: Attributes, size: Size, frame: Frame): Root | undefined {
  const { cover, canvas, background } = frame;
  const box = boxOf(attributes);
  const style = attributes.get("style") ?? "";
  const told = attributes.has("transform") || /(^|[\s;])(width|height|transform|overflow)\s*:/i.test(style);
  if (box === undefined || told) return undefined;
  const { left, top, width, height } = canvas?.at ?? { left: 0, top: 0, ...frame };
  const sized = new Map([
    ...attributes,
    ["viewBox", box.text],
    ["width", `${width}`],
    ["height", `${height}`],
  ]);
  const own = attributes.get("preserveAspectRatio") ?? "";
  const fits = alike(box, size);
  if (cover !== undefined) sized.set("preserveAspectRatio", `${sliceAt(cover)} slice`);
  else if (fits) sized.set("preserveAspectRatio", "none");
  // In a box of another ratio it stays where it is as long as the box has its ratio.
  const keeps = fits || (cover === undefined && (/^\s*none/.test(own) || alike(size, { width, height })));
  if (!keeps) return undefined;
  if (canvas === undefined) return { attributes: sized };
  for (const [name, value] of Object.entries({ x: left, y: top, overflow: "hidden" })) {
    sized.set(name, `${value}`);
  }
  const whole = `viewBox="0 0 ${canvas.width} ${canvas.height}" preserveAspectRatio="none"`;
  const open = `<svg ${NAMESPACES} width="${frame.width}" height="${frame.height}" ${whole}>`;
  return {
    before: open + (background === undefined ? "" : rectangle(canvas, background)),
    attributes: sized,
    after: "</svg>",
  };
}

const ENDS = { 0: "Min", 0.5: "Mid", 1: "Max" } as Readonly<Record<number, string>>;
const sliceAt = ({ x, y }: Point): string => `x${ENDS[x]}Y${ENDS[y]}`;

/** Its style is its own: style sheets of the drawing speak of other rectangles. */
const rectangle = ({ width, height }: Size, { r, g, b, a }: Colour): string =>
  `<rect width="${width}" height="${height}" style="fill:rgb(${r},${g},${b});fill-opacity:${a};stroke:none"/>`;

/** The part of its own plane that a drawing shows: what its `viewBox` says, or a size in pixels. */
function boxOf(attributes: Attributes): (Size & { readonly text: string }) | undefined {
  const text =
    attributes.get("viewBox") ?? `0 0 ${pixels(attributes.get("width"))} ${pixels(attributes.get("height"))}`;
  const numbers = text
    .trim()
    .split(/\s*,\s*|\s+/)
    .map(Number);
  const [, , width = 0, height = 0] = numbers;
  const valid = numbers.length === 4 && numbers.every(Number.isFinite) && width > 0 && height > 0;
  return valid ? { width, height, text: numbers.join(" ") } : undefined;
}

const pixels = (length = ""): string => length.trim().replace(/px$/, "");
