/** How a picture is written. */
import { WHITE } from "../plan/colours.ts";
import type { GifOptions, Metadata, Sharp } from "sharp";
import { evaluateWithin } from "../plan/expression.ts";
import type { Colour, Format } from "../plan/plan.ts";
import { DENSITY_RANGE } from "../plan/rowsresult.ts";
import { isPhotograph, type Output, type Stored } from "./negotiate.ts";
import type { Surface } from "./surface.ts";

/** Measured: effort 4, the default, costs WebP 1.5 times and AVIF 15 times as much for some 5 % of the bytes. */
const WEBP_EFFORT = 2;
const AVIF_EFFORT = 0;
/** Of 10; how hard a palette is looked for. The default, 7, takes twice as long for some 3 % of the bytes. */
const GIF_EFFORT = 3;
/** Of animations: half a second for a million pixels, and a third less without dithering, which long ones go without. */
const GIF_MOVING_EFFORT = 1;
const GIF_DITHERED_PIXELS = 8_000_000;
/**
 * Measured: filters made the PNGs of 17 of 18 photographs 13 to 37 % smaller, and make those of drawings and text larger, most by
 * 5 to 40 %. With them level 3 takes 5 to 20 % longer than the default, 6, without, and is 0.5 % larger than 6 with them.
 */
const PNG_PHOTOGRAPH = { adaptiveFiltering: true, compressionLevel: 3 };
/** What is seen through a picture in a format that has no transparency. */
export const opaque = ({ background }: Pick<Output, "background">): Colour => ({
  ...(background ?? WHITE),
  a: 1,
});

/** Pixels an inch of files that don't say. */
const DENSITY_USUAL = 72;

/** How much of the quality is left to those who save data, unless the URL names it. */
const SAVE_DATA_SHARE = 0.75;

/** AVIF's number for a JPEG quality: 80 looks like 60 (measured), and 100 is 100. */
export function avifQuality(quality: number): number {
  return Math.max(1, Math.round(quality <= 80 ? quality * 0.75 : 60 + (quality - 80) * 2));
}

export interface Encoding {
  readonly format: Format;
  readonly output: Output;
  readonly saveData: boolean;
  readonly source: Stored & Pick<Metadata, "loop" | "delay" | "density">;
}

/** The surface's pipeline with the encoder at its end. */
export function encode(surface: Surface, { format, output, saveData, source }: Encoding): Sharp {
  const { lossless, progressive } = output;
  const share = saveData && !output.explicitQuality ? SAVE_DATA_SHARE : 1;
  const quality = Math.max(1, Math.round(output.quality * share));
  const image = inInches(colours(surface, output), output, source.density);
  const { loop, delay } = source;
  const frames = surface.pages === 1 ? {} : { ...(loop !== undefined && { loop }), ...(delay && { delay }) };
  if (format === "png") return image.png({ progressive, ...(isPhotograph(source) ? PNG_PHOTOGRAPH : {}) });
  if (format === "webp") return image.webp({ quality, effort: WEBP_EFFORT, lossless, ...frames });
  if (format === "avif") return image.avif({ quality: avifQuality(quality), effort: AVIF_EFFORT, lossless });
  if (format === "gif") return image.gif({ ...gifOf(surface), ...frames });
  if (format === "tiff")
    return image.tiff(surface.alpha || lossless ? { compression: "deflate" } : { quality });
  const { r, g, b } = opaque(output);
  if (surface.alpha) image.flatten({ background: { r, g, b } });
  return image.jpeg({ quality, progressive });
}

function gifOf({ width, height, pages }: Surface): GifOptions {
  if (pages === 1) return { effort: GIF_EFFORT };
  const long = width * height * pages > GIF_DITHERED_PIXELS;
  return { effort: GIF_MOVING_EFFORT, ...(long ? { dither: 0 } : {}) };
}

/**
 * sRGB and nothing else, unless the URL asks for more. Pixels that were worked on are in sRGB, whatever the source's
 * profile was; then that is the profile that they get.
 */
function colours({ image, memory }: Surface, { colourProfile, metadata }: Output): Sharp {
  if (colourProfile && memory === undefined) return metadata ? image.keepMetadata() : image.keepIccProfile();
  image.toColourspace("srgb");
  if (metadata) image.keepMetadata();
  return colourProfile || metadata ? image.withIccProfile("srgb", { attach: colourProfile }) : image;
}

/** With what `dn` says. sharp writes it into the source's EXIF, of which nothing else may be kept. */
function inInches(image: Sharp, { density, metadata }: Output, own = DENSITY_USUAL): Sharp {
  if (density === undefined) return image;
  const pixels = Math.round(evaluateWithin(density, { idn: own }, "dn", DENSITY_RANGE));
  return (metadata ? image : image.withExif({})).withDensity(pixels);
}
