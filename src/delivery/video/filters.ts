/**
 * What a step does to a film, as ffmpeg's filters. Every word in them is ours, and all numbers are numbers: what
 * strangers wrote never gets here.
 */
import { DeliveryError } from "../errors.ts";
import { BLACK } from "../plan/colours.ts";
import {
  around,
  geometryOf,
  named,
  POINTS,
  resultOf,
  type Point,
  type Rectangle,
} from "../image/geometry.ts";
import { lengthOf, valuesOf, type Values, type Wanted } from "../image/resolve.ts";
import type { Size } from "../image/surface.ts";
import { evaluate } from "../plan/expression.ts";
import type { Background, Colour, Options, Radius, StepOptions } from "../plan/plan.ts";
import { TRANSFORMATIONS } from "../plan/transforms.ts";
import { OLD_MATRIX } from "./frames.ts";
import { SIDE_MAX, type VideoLimits } from "./limits.ts";

/** A graph under way. */
export interface Graph {
  readonly filters: string[];
  /** Labels given out. */
  labels: number;
}

/** Moving pictures somewhere in a graph. */
export interface Track {
  readonly graph: Graph;
  /** Of what comes out of the filters so far; without brackets. */
  label: string;
  width: number;
  height: number;
  /** A layer: what lies below shows where it has nothing. */
  readonly clear: boolean;
  /** Pairs of its pixels share colours of more than eight bits. */
  readonly sharesDeep: boolean;
  /** Of its colours once they are settled, as `scale` calls it. */
  readonly matrix: string;
  /** Filters that settle the colours; none are left when they have. */
  unsettled: readonly string[];
}

export const newLabel = (graph: Graph): string => `n${graph.labels++}`;

/** Sends a track through filters that are joined by commas. */
export function add(track: Track, filters: string, size: Size = track): void {
  const label = newLabel(track.graph);
  track.graph.filters.push(`[${track.label}]${filters}[${label}]`);
  track.label = label;
  track.width = size.width;
  track.height = size.height;
}

/** Before colours are mixed or laid on a track, and as late as that: it costs less on what was made smaller. */
export function settle(track: Track): void {
  if (track.unsettled.length > 0) add(track, track.unsettled.join(","));
  track.unsettled = [];
}

/** `0xRRGGBB`: films have no opacity. */
export const rgb = ({ r, g, b }: Colour): string =>
  `0x${[r, g, b].map((one) => one.toString(16).padStart(2, "0")).join("")}`;

/** The film that another lies on. */
export interface Parent extends Size {
  readonly seconds: number;
}

/** The sizes and times that expressions may name. */
export function filmValues(
  input: Size,
  now: Size,
  { parent, seconds }: { readonly parent: Parent | undefined; readonly seconds: number },
): Values {
  return { ...valuesOf(input, now, { parent }), idu: seconds, bdu: parent?.seconds ?? seconds };
}

/** What films can do. */
const KNOWN: readonly (keyof Options)[] = [
  "width",
  "height",
  "aspectRatio",
  "crop",
  "cropMode",
  "focus",
  "x",
  "y",
  "centreX",
  "centreY",
  "border",
  "rotate",
  "flip",
  "radius",
  "background",
  "blur",
  "blurSigma",
  "grayscale",
  "format",
  "quality",
  "videoCodec",
  "audioCodec",
  "startOffset",
  "endOffset",
  "duration",
  "streamingResolutions",
];
/** What makes no difference to them, and may stand in a named transformation that is for pictures, too. */
const NEUTRAL: readonly (keyof Options)[] = [
  "progressive",
  "lossless",
  "colourProfile",
  "metadata",
  "density",
  "defaultImage",
  "original",
];

/** @throws DeliveryError InvalidParameter for what films can't do; `more`: what layers of them can */
export function checkOptions(options: StepOptions, more: readonly (keyof Options)[] = []): void {
  const known = [...KNOWN, ...NEUTRAL, ...more];
  for (const row of Object.keys(options) as (keyof Options)[]) {
    if (known.includes(row)) continue;
    throw new DeliveryError(
      "InvalidParameter",
      `${nameOf(row)}: films don't have it. Known: ${NAMES.join(", ")}.`,
    );
  }
}

/** As URLs call it. */
export function nameOf(row: keyof Options): string {
  const { imagekit, weekerp } = TRANSFORMATIONS[row];
  return (imagekit ?? weekerp)?.names[0] ?? row;
}
const NAMES: readonly string[] = KNOWN.map(nameOf);

/** Corners that are cut off, from the left above clockwise, in pixels. */
export type Corners = "max" | readonly number[];
/** Puts a colour around a part of a track, whose corners are cut off; undefined: nothing. */
export type Surround = (
  track: Track,
  part: Rectangle,
  corners: Corners,
  outside: Colour | undefined,
) => Promise<void>;

/** What makes colours of colours, or brings others in. */
const MIXING: readonly (keyof Options)[] = ["grayscale", "blur", "blurSigma", "radius", "border", "opacity"];

/** Crop, resize, mirror, blur, pad, round, border, turn: the order of pictures. @throws DeliveryError */
export async function shape(
  track: Track,
  options: StepOptions,
  values: Values,
  how: { readonly limits: VideoLimits; readonly surround: Surround },
): Promise<void> {
  await resize(track, options, values, how);
  if (options.flip?.horizontal === true) add(track, "hflip");
  if (options.flip?.vertical === true) add(track, "vflip");
  if (MIXING.some((row) => options[row] !== undefined)) settle(track);
  if (options.grayscale === true) add(track, "hue=s=0");
  const soft = options.blur === undefined ? options.blurSigma : 1 + options.blur / 2;
  if (soft !== undefined) add(track, `gblur=sigma=${soft.toFixed(2)}`);
  await outline(track, options, values, how);
  if (typeof options.rotate === "number") turn(track, options.rotate);
}

/** The size that `shape` will leave. @throws DeliveryError InvalidParameter */
export function sizeAfter(from: Size, options: StepOptions, values: Values): Size {
  const inner = resultOf(from, geometryOf(from, wantedOf(options, from, values), options));
  const border = borderWidth(options, values);
  const width = inner.width + 2 * border;
  const height = inner.height + 2 * border;
  const lies = typeof options.rotate === "number" && Math.abs(options.rotate) % 180 === 90;
  return lies ? { width: height, height: width } : { width, height };
}

const borderWidth = ({ border }: StepOptions, values: Values): number =>
  border === undefined ? 0 : Math.round(evaluate(border.width, values));

/** @throws DeliveryError LimitExceeded */
function spend(size: Size, { pixels }: VideoLimits): Size {
  if (size.width * size.height <= pixels && Math.max(size.width, size.height) <= SIDE_MAX) return size;
  throw new DeliveryError(
    "LimitExceeded",
    `A film of ${size.width} by ${size.height} pixels is too large. Allowed: ${pixels} pixels in all, ${SIDE_MAX} a side.`,
  );
}

function wantedOf(options: StepOptions, from: Size, values: Values): Wanted {
  // What a browser says of its width is nothing to films, which are made once for all.
  const side = (length: Options["width"] | undefined, of: number, name: string): number | undefined =>
    length === undefined || length === "auto" ? undefined : lengthOf(length, of, values, name);
  const width = side(options.width, from.width, "w");
  const height = side(options.height, from.height, "h");
  const ratio = options.aspectRatio === undefined ? undefined : evaluate(options.aspectRatio, values);
  if (ratio === undefined) return { width, height, ratio, dpr: 1 };
  if (ratio <= 0) {
    throw new DeliveryError("InvalidParameter", `ar comes to ${ratio} here. Allowed: what is above 0.`);
  }
  return {
    width: width ?? (height === undefined ? undefined : Math.max(1, Math.round(height * ratio))),
    height: height ?? (width === undefined ? undefined : Math.max(1, Math.round(width / ratio))),
    ratio,
    dpr: 1,
  };
}

function focusPoint({ focus }: StepOptions): Point {
  if (focus === undefined) return POINTS.center;
  const { at } = focus;
  if (at === "auto" || at === "entropy" || at === "custom" || at === "face" || at === "object") {
    throw new DeliveryError(
      "InvalidParameter",
      `fo-${at === "object" ? focus.name : at}: films are cropped by a position: center, top, bottom_left and the like.`,
    );
  }
  return POINTS[at];
}

async function resize(
  track: Track,
  options: StepOptions,
  values: Values,
  { limits, surround }: Parameters<typeof shape>[3],
): Promise<void> {
  const geometry = geometryOf(track, wantedOf(options, track, values), options);
  const point = focusPoint(options);
  const { window, scaled, crop, pad: canvas } = geometry;
  if (window !== undefined) {
    const { left, top } = named(options, window, track, values);
    const box = around(point, window, track);
    cropTo(track, { ...box, left: left ?? box.left, top: top ?? box.top });
  }
  if (scaled !== undefined && (scaled.width !== track.width || scaled.height !== track.height)) {
    const { width, height } = spend(scaled, limits);
    add(track, `scale=${width}:${height}`, scaled);
  }
  if (crop !== undefined) {
    cropTo(track, around(point, crop, track));
  }
  if (canvas === undefined) return;
  settle(track);
  await setOn(track, spend(canvas, limits), options.background, { point, surround });
}

/** To the pixel: by itself ffmpeg rounds to even sides, and what comes behind counts with the odd ones. */
function cropTo(track: Track, box: Rectangle): void {
  // ffmpeg 5 would begin in the middle of a number.
  const whole = track.sharesDeep && box.left % 2 !== 0 ? `${ALL_COLOURS},` : "";
  add(track, `${whole}crop=${box.width}:${box.height}:${box.left}:${box.top}:exact=1`, box);
}
/** Each pixel has its own; as deep as they are, since HDR needs that. */
const ALL_COLOURS = "format=yuv444p|yuva444p|yuv444p10le|yuva444p10le|yuv444p12le|yuva444p12le";

async function pad(
  track: Track,
  to: Size,
  { left, top }: { readonly left: number; readonly top: number },
  { colour, surround }: { readonly colour: Colour; readonly surround: Surround },
): Promise<void> {
  const { width, height } = track;
  // Colours that are stored for pairs of pixels only would be padded to even sides, smaller than what is padded.
  const odd = [width, height, to.width, to.height, left, top].some((one) => one % 2 !== 0);
  const fine = odd ? "format=yuv444p|yuva444p," : "";
  add(track, `${fine}pad=${to.width}:${to.height}:${left}:${top}:color=${rgb(colour)}`, to);
  // ffmpeg 5 pads by one matrix whatever the film has. Greys are the same in all.
  const { r, g, b } = colour;
  if (track.matrix === OLD_MATRIX || (r === g && g === b)) return;
  await surround(track, { left, top, width, height }, NO_CORNERS, colour);
}
const NO_CORNERS: Corners = [0, 0, 0, 0];

/** Onto a canvas of that size; the focus says where. */
async function setOn(
  track: Track,
  to: Size,
  background: Background | undefined,
  { point, surround }: { readonly point: Point; readonly surround: Surround },
): Promise<void> {
  if (track.width >= to.width && track.height >= to.height) return;
  const left = Math.round((to.width - track.width) * point.x);
  const top = Math.round((to.height - track.height) * point.y);
  if (background?.kind !== "blurred") {
    return pad(track, to, { left, top }, { colour: colourOf(background), surround });
  }
  const { graph } = track;
  const [behind, before, blurred, label] = [
    newLabel(graph),
    newLabel(graph),
    newLabel(graph),
    newLabel(graph),
  ] as const;
  graph.filters.push(
    `[${track.label}]split[${behind}][${before}]`,
    `[${behind}]${blurring(track, to, background)}[${blurred}]`,
    `[${blurred}][${before}]overlay=${left}:${top}[${label}]`,
  );
  track.label = label;
  track.width = to.width;
  track.height = to.height;
}

/** The longer side of the copy that is blurred: it looks the same as blurring all of it, and costs nothing. */
const BLUR_SIDE = 64;
const INTENSITY_AUTO = 25;

/** The film itself, covering a canvas, blurred, lighter or darker. */
function blurring(
  { width, height, matrix }: Track,
  to: Size,
  { intensity, brightness }: Background & { kind: "blurred" },
): string {
  const strength = intensity === "auto" ? INTENSITY_AUTO : intensity;
  const lut = ["r", "g", "b"].map((channel) => `${channel}=val${brightness < 0 ? "" : "+"}${brightness}`);
  // Red, green and blue alike, as in pictures: by its luma alone a colour gets neither white nor black.
  const shifted =
    brightness === 0 ? [] : [`scale=in_color_matrix=${matrix}`, "format=gbrp", `lutrgb=${lut.join(":")}`];
  const back = brightness === 0 ? "" : `:out_color_matrix=${matrix}:out_range=tv,format=yuv420p`;
  return [
    ...(strength === 0 ? covering({ width, height }, to) : softened(to, strength)),
    ...shifted,
    `scale=${to.width}:${to.height}:flags=bicubic${back},setsar=1`,
  ].join(",");
}

/** A small copy. */
function softened(to: Size, strength: number): string[] {
  const by = Math.min(1, BLUR_SIDE / Math.max(to.width, to.height));
  const small = [to.width, to.height].map((side) => Math.max(2, Math.round(side * by))).join(":");
  return [
    `scale=${small}:force_original_aspect_ratio=increase,crop=${small}`,
    `gblur=sigma=${Math.max(0.3, (strength / 100) * 12).toFixed(2)}`,
  ];
}

/** Cut before it is scaled, or a narrow canvas would need frames of any size. */
function covering(from: Size, to: Size): string[] {
  const {
    window = from,
    scaled = window,
    crop = scaled,
  } = geometryOf(from, { ...to, ratio: undefined, dpr: 1 }, {});
  return [
    `crop=${window.width}:${window.height}:exact=1`,
    `scale=${scaled.width}:${scaled.height}`,
    `crop=${crop.width}:${crop.height}:exact=1`,
  ];
}

/** What pictures alone have, by its name in URLs. */
const OF_PICTURES = { dominant: "dominant", gradient: "gradient_dominant", generated: "genfill" } as const;

/** @throws DeliveryError InvalidParameter */
function colourOf(background: Background | undefined): Colour {
  if (background === undefined || background.kind === "blurred") return BLACK;
  if (background.kind === "colour") return background.colour;
  throw new DeliveryError(
    "InvalidParameter",
    `bg-${OF_PICTURES[background.kind]}: films have colours and blurred backgrounds.`,
  );
}

/** Rounded corners and a border, which is round where they are. */
async function outline(
  track: Track,
  options: StepOptions,
  values: Values,
  { limits, surround }: Parameters<typeof shape>[3],
): Promise<void> {
  const { radius, border, background } = options;
  const outside = track.clear && background === undefined ? undefined : colourOf(background);
  const corners = radius === undefined ? undefined : cornersOf(radius, values);
  const cut = async (these: Corners, colour: Colour | undefined): Promise<void> => {
    if (these !== "max" && these.every((corner) => corner === 0)) return;
    await surround(track, { left: 0, top: 0, width: track.width, height: track.height }, these, colour);
  };
  const width = borderWidth(options, values);
  if (border === undefined || width < 1) {
    if (corners !== undefined) await cut(corners, outside);
    return;
  }
  if (corners !== undefined) await cut(corners, border.colour);
  const to = spend({ width: track.width + 2 * width, height: track.height + 2 * width }, limits);
  await pad(track, to, { left: width, top: width }, { colour: border.colour, surround });
  const wider = (corner: number): number => (corner === 0 ? 0 : corner + width);
  if (corners !== undefined) {
    await cut(corners === "max" ? corners : corners.map(wider), outside);
  }
}

const cornersOf = (radius: Radius, values: Values): Corners =>
  radius === "max" ? radius : radius.map((corner) => Math.max(0, evaluate(corner, values)));

/** Clockwise. @throws DeliveryError InvalidParameter */
function turn(track: Track, degrees: number): void {
  const quarters = (((degrees % 360) + 360) % 360) / 90;
  if (!Number.isInteger(quarters)) {
    throw new DeliveryError("InvalidParameter", `rt-${degrees}: films turn by 0, 90, 180, 270 or 360.`);
  }
  const lying = { width: track.height, height: track.width };
  if (quarters === 1) add(track, "transpose=clock", lying);
  if (quarters === 2) add(track, "hflip,vflip");
  if (quarters === 3) add(track, "transpose=cclock", lying);
}

const even = (side: number): number => Math.max(2, side - (side % 2));

/** Even sides, and colours that every player knows. */
export function finish(track: Track): void {
  settle(track);
  const to = { width: even(track.width), height: even(track.height) };
  const cut = to.width <= track.width && to.height <= track.height;
  const size = cut ? `crop=${to.width}:${to.height}:0:0` : `scale=${to.width}:${to.height}`;
  const same = to.width === track.width && to.height === track.height;
  add(track, `${same ? "" : `${size},`}setsar=1,format=yuv420p`, to);
}
