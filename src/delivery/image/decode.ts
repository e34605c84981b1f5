/**
 * Bytes to a picture. What no decoder is meant for is turned away by its first bytes, so that a stranger's file
 * reaches exactly the code that its signature names, and SVG reaches librsvg only in its sanitised form.
 */
import { gunzipSync } from "node:zlib";
import sharp, { type Metadata, type Sharp, type SharpOptions } from "sharp";
import { DeliveryError } from "../errors.ts";
import type { Pages } from "../plan/plan.ts";
import { apngIn, damaged, framesOf, type Apng } from "./apng.ts";
import { checkPixels, decodeAside } from "./aside.ts";
import type { Job } from "./job.ts";
import { plainMetadata } from "./jpeg.ts";
import { isJxl } from "./jxl.ts";
import { wantedPages } from "./pages.ts";
import { isPsd, tiffOfPsd, withoutWhite } from "./psd.ts";
import { isOpaque, runRgba, type Surface } from "./surface.ts";
import { isSvg, sanitizeSvg } from "./svg.ts";

/** libvips' loaders that strangers' bytes may reach, all from memory; none of them reads a file or a network. */
const LOADERS = ["Jpeg", "Png", "Webp", "Heif", "Nsgif", "Tiff", "Svg"].map(
  (name) => `VipsForeignLoad${name}Buffer`,
);

/** Closes every codec that is not needed. Once per process. */
export function prepareCodecs(): void {
  sharp.cache(false);
  // One thread a picture: many at once get more done that way than each by several.
  sharp.concurrency(1);
  sharp.block({ operation: ["VipsForeignLoad"] });
  sharp.unblock({ operation: LOADERS });
}

export interface Opened {
  /** Not yet turned as its EXIF data says. */
  readonly image: Sharp;
  /**
   * Of what was opened; `height` is that of one frame. `pages`, `pageHeight` and `delay` are there for an animation
   * alone.
   */
  readonly metadata: Metadata;
  /** Frames that were opened, and those that should have been: the limits may allow fewer. */
  readonly pages: number;
  readonly wanted: number;
  /** Frames or pages that the source has. */
  readonly available: number;
}

/** What is wanted of a source with several pages. */
interface Choice {
  /** Of an animation each is a frame; of other formats the first one named is opened. */
  readonly pages?: Pages | undefined;
  /** Frames of an animation, as far as the limits go: those that `pages` names, or all; else one alone. */
  readonly animated: boolean;
}

type Kind = "jpeg" | "png" | "gif" | "webp" | "tiff" | "avif" | "heic" | "jxl" | "svg" | "pdf" | "psd";

const SUPPORTED = "JPEG, PNG, WebP, AVIF, GIF, TIFF, HEIC, JPEG XL, SVG, PDF, PSD";
/** Formats that are common enough to be called by their names when they are refused. By their first bytes in hex. */
const KNOWN_BUT_UNSUPPORTED: readonly (readonly [RegExp, string])[] = [
  [/^424d/, "BMP"],
  [/^0000(01|02)00/, "ICO"],
  [/^252150/, "PostScript"],
  [/^0000000c6a5020/, "JPEG 2000"],
  [/^(1a45dfa3|.{8}66747970(69736f|6d7034|4d3456|7174|3367))/, "Video"],
];
const HEIC_BRANDS = /^(heic|heix|heim|heis|hevc|hevx|mif1|msf1)$/;

function kindOf(bytes: Buffer): Kind | undefined {
  const head = bytes.toString("latin1", 0, 16);
  if (head.startsWith("\xff\xd8\xff")) return "jpeg";
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (/^GIF8[79]a/.test(head)) return "gif";
  if (/^RIFF.{4}WEBP/s.test(head)) return "webp";
  if (/^(II[*+]\0|MM\0[*+])/.test(head)) return "tiff";
  if (isJxl(bytes)) return "jxl";
  if (head.startsWith("%PDF-")) return "pdf";
  if (isPsd(bytes)) return "psd";
  if (head.slice(4, 8) === "ftyp") {
    const brand = head.slice(8, 12);
    if (/^avi[fs]$/.test(brand)) return "avif";
    return HEIC_BRANDS.test(brand) ? "heic" : undefined;
  }
  return isSvg(bytes) ? "svg" : undefined;
}

/**
 * What a source is when it was stored compressed: SVGZ, and whatever has `Content-Encoding: gzip`.
 * @throws DeliveryError LimitExceeded, DamagedSource
 */
export function unpacked(bytes: Buffer, { limits: { sourceBytes } }: Job): Buffer {
  if (!bytes.subarray(0, 2).equals(GZIP)) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: sourceBytes });
  } catch (error) {
    if (error instanceof RangeError) {
      throw new DeliveryError("LimitExceeded", `The source has more than ${sourceBytes} bytes, unpacked.`);
    }
    throw damaged();
  }
}
const GZIP = Buffer.from([0x1f, 0x8b]);

/**
 * Opens a source.
 * @throws DeliveryError UnsupportedSource, DamagedSource, LimitExceeded; InvalidParameter for pages that aren't there
 */
export async function openPicture(
  bytes: Buffer,
  job: Job,
  choice: Choice = { animated: false },
): Promise<Opened> {
  const kind = kindOf(bytes);
  try {
    if (kind === undefined) throw unsupported(bytes);
    if (kind === "svg") return await openStill(sanitizeSvg(bytes), job);
    if (kind === "jxl") return await openJxl(bytes, job);
    if (kind === "heic" || kind === "avif") return await openHeif(bytes, job);
    if (kind === "pdf") return await openPdf(bytes, job, choice);
    if (kind === "psd") return await openPsd(bytes, job, choice);
    return await openPages(bytes, job, kind, choice);
  } catch (error) {
    throw asDeliveryError(error);
  }
}

/** As a surface, turned as EXIF says. */
export function uprightOf({ image, metadata, pages }: Opened): Surface {
  const { width, height } = metadata.autoOrient;
  const turned = (metadata.orientation ?? 1) > 1 && pages === 1;
  return {
    image: turned ? image.autoOrient() : image,
    width,
    height: pages > 1 ? (metadata.pageHeight ?? height / pages) : height,
    alpha: metadata.hasAlpha,
    pages,
    fresh: true,
  };
}

function unsupported(bytes: Buffer = Buffer.alloc(0)): DeliveryError {
  const head = bytes.toString("hex", 0, 16);
  const name = KNOWN_BUT_UNSUPPORTED.find(([signature]) => signature.test(head))?.[1];
  const what =
    name === undefined ? "The source is no picture that can be decoded" : `${name} can't be decoded`;
  return new DeliveryError("UnsupportedSource", `${what}: ${SUPPORTED} can.`);
}

/** `failOn: "error"`: cameras write many a JPEG with warnings; what is cut short or broken is refused. */
const optionsOf = ({ limits }: Job): SharpOptions => ({
  limitInputPixels: limits.sourcePixels,
  failOn: "error",
});

async function openStill(bytes: Buffer, job: Job): Promise<Opened> {
  const image = sharp(bytes, optionsOf(job));
  const metadata = await image.metadata();
  checkPixels(metadata, job.limits.sourcePixels);
  return {
    image: eightBits(image, metadata),
    metadata: still(metadata),
    pages: 1,
    wanted: 1,
    available: metadata.pages ?? 1,
  };
}

/**
 * What has a profile sharp turns into sRGB, but into Display P3 where a channel has 16 bits. Results have eight, so
 * they are taken at once. Of such sources alone: a colour space of its own keeps a pipeline from shrinking while it
 * decodes.
 */
export const eightBits = (image: Sharp, { space }: Metadata): Sharp =>
  space === "rgb16" ? image.pipelineColourspace("srgb") : image;

function still(metadata: Metadata): Metadata {
  const { pages: _pages, pageHeight: _height, delay: _delay, ...rest } = metadata;
  return rest;
}

async function openJxl(bytes: Buffer, job: Job): Promise<Opened> {
  const { tiff } = await decodeAside(bytes, job, { kind: "jxl" });
  const opened = await openStill(tiff, job);
  return { ...opened, metadata: { ...opened.metadata, format: "jxl" } };
}

/** AVIF is decoded by sharp; HEIC, which has the same container, has its metadata read by sharp. */
async function openHeif(bytes: Buffer, job: Job): Promise<Opened> {
  const opened = await openStill(bytes, job);
  const { metadata } = opened;
  if (metadata.compression === "av1") return opened;
  if (metadata.compression !== "hevc") throw unsupported(bytes);
  const undecoded = { kind: "heic", alpha: metadata.hasAlpha, icc: metadata.icc } as const;
  const { tiff } = await decodeAside(bytes, job, undecoded);
  const decoded = await openStill(tiff, job);
  const { width, height } = decoded.metadata;
  // libheif has turned the picture already, whatever its EXIF data says.
  const { orientation: _orientation, ...rest } = metadata;
  return {
    ...opened,
    image: decoded.image,
    metadata: { ...rest, width, height, autoOrient: { width, height } },
  };
}

/** What is drawn of a document has the size that it was drawn in, on white. */
async function openPdf(bytes: Buffer, job: Job, { pages }: Choice): Promise<Opened> {
  const { tiff, document } = await decodeAside(bytes, job, { kind: "pdf", pages });
  const opened = await openStill(tiff, job);
  const density = document?.density;
  return {
    ...opened,
    metadata: { ...opened.metadata, format: "pdf", size: bytes.length, ...(density && { density }) },
    available: document?.pages ?? 1,
  };
}

async function openPsd(bytes: Buffer, job: Job, { pages }: Choice): Promise<Opened> {
  wantedPages(pages, 1);
  const opened = await openStill(tiffOfPsd(bytes), job);
  const { image, metadata } = opened;
  return {
    ...opened,
    image: metadata.hasAlpha ? await withoutWhite(image) : image,
    metadata: { ...metadata, format: "psd", size: bytes.length },
  };
}

/** Formats whose pages are frames of one size. TIFF's needn't be, so it gives one at a time. */
const ANIMATED: readonly Kind[] = ["gif", "webp"];

/** Frames that a WebP may have: libwebp looks at all of them for each. Stops a hundred thousand, which take a minute. */
const WEBP_FRAMES_MAX = 10_000;

/** RFC 9649, section 2.3. @throws DeliveryError LimitExceeded */
function checkFrames(bytes: Buffer): void {
  let frames = 0;
  for (let at = 12; at + 8 <= bytes.length;) {
    if (bytes.toString("latin1", at, at + 4) === "ANMF") frames++;
    const size = bytes.readUInt32LE(at + 4);
    at += 8 + size + (size % 2);
  }
  if (frames <= WEBP_FRAMES_MAX) return;
  throw new DeliveryError(
    "LimitExceeded",
    `The source has ${frames} frames; a WebP may have ${WEBP_FRAMES_MAX}.`,
  );
}

async function openPages(bytes: Buffer, job: Job, kind: Kind, { pages, animated }: Choice): Promise<Opened> {
  if (kind === "webp") checkFrames(bytes);
  const options = optionsOf(job);
  const whole = sharp(bytes, options);
  const metadata = (kind === "jpeg" ? plainMetadata(bytes) : undefined) ?? (await whole.metadata());
  checkPixels(metadata, job.limits.sourcePixels);
  const apng = kind === "png" ? apngIn(bytes) : undefined;
  const there = apng?.frames.length ?? metadata.pages ?? 1;
  const moves = there > 1 && (ANIMATED.includes(kind) || apng !== undefined);
  const within = animated && moves ? framesWithin(metadata, job) : 1;
  const named = wantedPages(pages, there);
  const about = { available: there, wanted: animated && moves ? named.length : 1 };
  if (pages === undefined && within === 1)
    return { image: eightBits(whole, metadata), metadata: still(metadata), pages: 1, ...about };
  const chosen = named.slice(0, within);
  if (apng !== undefined) return { ...(await openApng(apng, metadata, job, chosen)), ...about };
  const [first = 0] = chosen;
  const delay = chosen.map((page) => metadata.delay?.[page] ?? DELAY_MS);
  if (!chosen.every((page, n) => page === first + n)) {
    return { ...(await joinPages(bytes, job, chosen, delay)), ...about };
  }
  const image = sharp(bytes, { ...options, page: first, pages: chosen.length });
  const opened = await image.metadata();
  return { image: eightBits(image, opened), ...describe(opened, delay), ...about };
}

/** What viewers make of frames that say nothing, in milliseconds. */
const DELAY_MS = 100;

/** How many frames may be decoded: their number and their pixels together are limited. */
function framesWithin({ width, height }: Metadata, { limits }: Job): number {
  return Math.max(1, Math.min(limits.frames, Math.floor(limits.sourcePixels / (width * height))));
}

function describe(metadata: Metadata, delay: number[]): Pick<Opened, "metadata" | "pages"> {
  const pages = delay.length;
  if (pages === 1) return { metadata: still(metadata), pages };
  const height = metadata.pageHeight ?? metadata.height;
  const autoOrient = { width: metadata.width, height };
  return { metadata: { ...metadata, height, autoOrient, pages, pageHeight: height, delay }, pages };
}

type Frames = Omit<Opened, "available" | "wanted">;

/** Pages that don't follow each other, one below the other. */
async function joinPages(
  bytes: Buffer,
  job: Job,
  pages: readonly number[],
  delay: number[],
): Promise<Frames> {
  const options = optionsOf(job);
  const metadata = await sharp(bytes, options).metadata();
  const frames: Buffer[] = [];
  for (const page of pages) frames.push((await runRgba(sharp(bytes, { ...options, page }))).data);
  return fromFrames(Buffer.concat(frames), metadata, job, delay);
}

/** Frames of one size in RGB or RGBA, one below the other. */
function fromFrames(data: Buffer, metadata: Metadata, job: Job, delay: number[]): Frames {
  const { width, height } = metadata;
  const moves = delay.length > 1 ? { pageHeight: height } : {};
  const channels = data.length / (width * height * delay.length) === 3 ? 3 : 4;
  const raw = { width, height: height * delay.length, channels, ...moves } as const;
  const image = sharp(data, { ...optionsOf(job), raw, pages: -1 });
  return { image, ...describe({ ...metadata, hasAlpha: channels === 4 }, delay) };
}

/** Not turned as EXIF says, as no animation is. */
async function openApng(
  apng: Apng,
  { orientation: _orientation, ...metadata }: Metadata,
  job: Job,
  pages: readonly number[],
): Promise<Frames> {
  const { width, height, loop, frames } = apng;
  const options = optionsOf(job);
  const data = await framesOf(apng, pages, async (png) => {
    return (await runRgba(eightBits(sharp(png, options), metadata))).data;
  });
  const delay = pages.map((page) => frames[page]!.delay);
  return fromFrames(withoutIdleAlpha(data), { ...metadata, loop, autoOrient: { width, height } }, job, delay);
}

/** RGBA as RGB, in the same memory, where nothing is transparent. */
function withoutIdleAlpha(data: Buffer): Buffer {
  if (!isOpaque(data)) return data;
  const pixels = data.length / 4;
  for (let n = 0; n < pixels; n++) data.copyWithin(n * 3, n * 4, n * 4 + 3);
  return data.subarray(0, pixels * 3);
}

/**
 * What libvips says, sorted into what is wrong with the source. Its own words stay out: they tell of our memory and
 * versions. @throws what sharp says of its own arguments, which is our defect
 */
export function asDeliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof TypeError || message.startsWith("Expected ")) throw error;
  if (/unsupported image format|operation is blocked|buffer is empty/i.test(message)) {
    return unsupported();
  }
  if (/pixel limit|too large|exceeds/i.test(message))
    return new DeliveryError("LimitExceeded", "The source has too many pixels.");
  if (/bad dimensions|zero-sized/i.test(message)) {
    return new DeliveryError("LimitExceeded", "The source has no size, or one that is too large.");
  }
  return damaged();
}
