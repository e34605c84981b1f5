/** Which format a picture is written in. */
import type { Metadata } from "sharp";
import { DeliveryError } from "../errors.ts";
import { AUTO_AVIF_PIXELS, AUTO_WEBP_PIXELS } from "../limits.ts";
import type { Colour, Format, FormatChoice, Options } from "../plan/plan.ts";
import type { ClientHints } from "./job.ts";
import type { Memory, Surface } from "./surface.ts";

/** What the steps said of the result; the last word of each counts. */
export interface Output {
  readonly format: FormatChoice;
  readonly quality: number;
  /** The URL names the quality. */
  readonly explicitQuality: boolean;
  readonly progressive: boolean;
  readonly lossless: boolean;
  readonly colourProfile: boolean;
  readonly metadata: boolean;
  readonly density: Options["density"] | undefined;
  /** Its fine edges are what AVIF smooths away. */
  readonly unsharp: boolean;
  /** What shows through where a picture with transparency becomes a JPEG. */
  readonly background: Colour | undefined;
}

type Source = Pick<Metadata, "format" | "compression">;
type Result = Pick<Surface, "width" | "height" | "alpha" | "pages">;

/** `auto` never spends on an encoder what the picture's size makes too dear. @throws DeliveryError InvalidParameter */
export function chooseFormat(source: Source, result: Result, output: Output, hints: ClientHints): Format {
  const { format } = output;
  if (format === "auto") return accepted(result, output, hints) ?? widelyRead(source, result);
  if (format === "source") return alike(source, result) ?? widelyRead(source, result);
  if (format === "svg") {
    throw new DeliveryError(
      "InvalidParameter",
      "f can't be svg here: only an SVG stays one, and only where nothing but its size is changed.",
    );
  }
  if (format !== "mp4" && format !== "webm") return format;
  throw new DeliveryError("InvalidParameter", `f can't be ${format} here: the source is a picture.`);
}

/** The best of what the client says that it reads, as far as the picture and the budget allow. */
function accepted(
  { width, height, pages }: Result,
  { colourProfile, lossless, unsharp }: Output,
  { accepts }: ClientHints,
): Format | undefined {
  const pixels = width * height * pages;
  const avif = pages === 1 && !colourProfile && !lossless && !unsharp && pixels <= AUTO_AVIF_PIXELS;
  if (avif && accepts.includes("avif")) return "avif";
  // What else moves, GIF, costs five times as much.
  return accepts.includes("webp") && (pages > 1 || pixels <= AUTO_WEBP_PIXELS) ? "webp" : undefined;
}

/** What everything reads. A JPEG that has become transparent in places is none any more. */
function widelyRead({ format }: Source, { alpha, pages }: Result): Format {
  if (pages > 1) return "gif";
  return format === "png" || format === "svg" || alpha ? "png" : "jpeg";
}

/** The source's own format, where it can be written. */
function alike({ format, compression }: Source, { pages }: Result): Format | undefined {
  if (format === "heif") return compression === "av1" && pages === 1 ? "avif" : undefined;
  if (format === "webp" || format === "gif") return format;
  return pages === 1 && (format === "jpeg" || format === "png" || format === "tiff") ? format : undefined;
}

/** Formats that hold several frames. */
export const moves = (format: FormatChoice): boolean => format === "gif" || format === "webp";

/** What photographs are stored in. */
const PHOTOGRAPHIC: readonly Metadata["format"][] = ["jpeg", "webp", "heif", "jxl"];
/** What drawings need of a PNG for a channel of a pixel is less, in bytes. */
const DRAWING_BYTES = 0.27;

/** What a file tells of its picture. */
export type Stored = Pick<Metadata, "format" | "width" | "height" | "channels" | "size">;

/** As far as the file tells. GIFs have too few colours, and their size is that of all frames. */
export function isPhotograph({ format, width, height, channels, size = 0 }: Stored): boolean {
  if (PHOTOGRAPHIC.includes(format)) return true;
  return format !== "gif" && size > width * height * channels * DRAWING_BYTES;
}

/** Pixels up to which what may be a drawing is also encoded without loss: that may well be smaller, and is cheap. */
const DRAWING_PIXELS = 300_000;
/** Pixels up to which a second lossy encoder is tried, at about 0.1 µs each: small AVIFs are often not the smallest. */
const SECOND_PIXELS = 120_000;

export interface Candidate {
  readonly format: Format;
  /** Worth it for drawings only. */
  readonly lossless: boolean;
}

/**
 * What else is worth a try for `auto`, so that the smallest wins: screenshots, logos and drawings, which come as PNG,
 * GIF or SVG, are often smallest without loss, and they and small pictures as WebP. Measured: of flat drawings of one to four
 * million pixels WebP is up to 40 % smaller than AVIF and costs half as much, and without loss up to 90 % for no more.
 */
export function alternatives(
  source: Stored,
  { width, height, pages }: Result,
  chosen: Format,
  { format, lossless, metadata, colourProfile }: Output,
  { accepts }: ClientHints,
): Candidate[] {
  if (format !== "auto" || lossless || metadata || colourProfile || pages > 1) return [];
  if (chosen !== "avif" && chosen !== "webp") return [];
  const pixels = width * height;
  const webp = accepts.includes("webp");
  const { format: stored } = source;
  const drawn = stored === "svg" || (stored === "png" && !isPhotograph(source));
  const drawing = drawn && pixels <= AUTO_AVIF_PIXELS;
  const candidates: Candidate[] = [];
  if (drawing || ((stored === "png" || stored === "gif") && pixels <= DRAWING_PIXELS)) {
    candidates.push({ format: webp ? "webp" : "png", lossless: true });
  }
  if (chosen === "avif" && webp && (drawing || pixels <= SECOND_PIXELS)) {
    candidates.push({ format: "webp", lossless: false });
  }
  return candidates;
}

/** Colours of a drawing; photographs have more on their first few thousand pixels. */
const DRAWING_COLOURS_MAX = 1024;

/**
 * Whether a lossless encoder has a chance; of a large picture, at a price no higher than the lossy one's: that of
 * dithered photographs, which have few colours too but no surfaces, is ten times as high.
 */
export function isDrawing({ data, channels }: Memory): boolean {
  const colours = new Set<number>();
  let last = -1;
  let changes = 0;
  for (let n = 0; n < data.length; n += channels) {
    const colour = (data[n]! << 16) | (data[n + 1]! << 8) | data[n + 2]!;
    if (colour === last) continue;
    last = colour;
    changes++;
    colours.add(colour);
    if (colours.size > DRAWING_COLOURS_MAX) return false;
  }
  const pixels = data.length / channels;
  return pixels <= DRAWING_PIXELS || changes < pixels / 2;
}
