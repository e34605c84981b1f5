/**
 * What is done to a picture, in which order. Runs in renderer processes only: the codecs are the part of Windlass that
 * strangers' bytes are most likely to break.
 */
import sharp, { type Metadata, type Sharp } from "sharp";
import { DeliveryError } from "./errors.ts";
import { AUTO_AVIF_PIXELS, AUTO_WEBP_PIXELS, FRAMES_MAX, type DeliveryLimits } from "./limits.ts";
import type { Format, Plan, Stage, Step } from "./transforms.ts";

/** What a renderer is asked for. */
export interface Job {
  readonly plan: Plan;
  /** For `f-auto`: what the client accepts beside JPEG and PNG. */
  readonly accepts: readonly Format[];
  readonly limits: Pick<DeliveryLimits, "sourcePixels" | "resultPixels" | "resultSide" | "resultBytes">;
}
export interface Picture {
  readonly data: Buffer;
  readonly format: Format;
  readonly width: number;
  readonly height: number;
}
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Measured: effort 4, the default, costs WebP 1.5 times and AVIF 15 times as much for some 5 % of the bytes. */
const WEBP_EFFORT = 2;
const AVIF_EFFORT = 0;
/** What shows through where a picture with transparency becomes a JPEG. */
const JPEG_BACKGROUND = "#ffffff";

/** Loaders that strangers' bytes may reach, all from memory; none of them reads a file or a network. */
const LOADERS = ["Jpeg", "Png", "Webp", "Heif", "Nsgif", "Tiff"].map(
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

/** What the stages work on. */
interface Work {
  image: Sharp;
  /** Of `image`, once it is oriented. */
  size: Size;
  readonly job: Job;
  readonly hasAlpha: boolean;
  readonly format: Format;
}

/** THE order of operations. `each`: once for every step of the plan; the others once for the picture. */
const ORDER: readonly {
  stage: Stage | "orient" | "colour";
  when: "first" | "each" | "last";
  apply: (this: void, work: Work, step: Step) => void;
}[] = [
  { stage: "orient", when: "first", apply: orient },
  { stage: "resize", when: "each", apply: resize },
  { stage: "colour", when: "each", apply: colour },
  { stage: "encode", when: "last", apply: encode },
];

/** A step that changes nothing, for plans without one. */
const NO_STEP: Step = { crop: "maintain_ratio" };

/**
 * Renders a source. Metadata and colour profile don't get into the result, whose colours are sRGB.
 * @throws DeliveryError UnsupportedSource, DamagedSource, LimitExceeded
 */
export async function render(source: Buffer, job: Job): Promise<Picture> {
  const steps = job.plan.steps.length === 0 ? [NO_STEP] : job.plan.steps;
  const metadata = await inspect(source, job);
  const before = metadata.autoOrient;
  const after = finalSize(before, steps, job);
  const hasAlpha = metadata.hasAlpha;
  const work: Work = {
    image: open(source, job),
    size: before,
    job,
    hasAlpha,
    format: chooseFormat(metadata, after, job),
  };
  try {
    for (const [n, step] of steps.entries()) {
      if (n > 0) await settle(work);
      for (const { when, apply } of ORDER) {
        if (when === "each" || (when === "first" && n === 0) || (when === "last" && n === steps.length - 1))
          apply(work, step);
      }
    }
    const { data, info } = await work.image.toBuffer({ resolveWithObject: true });
    if (data.length > job.limits.resultBytes) {
      throw new DeliveryError("LimitExceeded", `The result has more than ${job.limits.resultBytes} bytes.`);
    }
    return { data, format: work.format, width: info.width, height: info.height };
  } catch (error) {
    throw asDeliveryError(error);
  }
}

/** `failOn: "error"`: cameras write many a JPEG with warnings; what is cut short or broken is refused. */
function open(source: Buffer, { limits }: Job): Sharp {
  return sharp(source, { limitInputPixels: limits.sourcePixels, failOn: "error", pages: FRAMES_MAX });
}

async function inspect(source: Buffer, job: Job): Promise<Metadata> {
  let metadata: Metadata;
  try {
    metadata = await open(source, job).metadata();
  } catch (error) {
    throw asDeliveryError(error);
  }
  const pixels = metadata.width * metadata.height;
  if (pixels > job.limits.sourcePixels) {
    throw new DeliveryError(
      "LimitExceeded",
      `The source has ${pixels} pixels; the limit is ${job.limits.sourcePixels}.`,
    );
  }
  if (metadata.format === "heif" && metadata.compression !== "av1") {
    throw new DeliveryError("UnsupportedSource", "HEIC pictures can't be decoded; AVIF pictures can.");
  }
  return metadata;
}

/**
 * What libvips says, sorted into what is wrong with the source. Its own words stay out: they tell of our memory and
 * versions. @throws what sharp says of its own arguments, which is our defect
 */
function asDeliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof TypeError || message.startsWith("Expected ")) throw error;
  if (/unsupported image format|operation is blocked|buffer is empty/i.test(message)) {
    return new DeliveryError(
      "UnsupportedSource",
      "The source is no picture that can be decoded: JPEG, PNG, WebP, AVIF, GIF, TIFF.",
    );
  }
  if (/pixel limit|too large|exceeds/i.test(message))
    return new DeliveryError("LimitExceeded", "The source has too many pixels.");
  return new DeliveryError("DamagedSource", "The source is damaged or cut short.");
}

const pixelsOf = (length: number, of: number): number =>
  length < 1 ? Math.max(1, Math.round(length * of)) : length;

/** The size that a step makes of a size; for `maintain_ratio` with both sides, after cropping. */
export function targetSize(from: Size, step: Step): Size {
  const width = step.width === undefined ? undefined : pixelsOf(step.width, from.width);
  const height = step.height === undefined ? undefined : pixelsOf(step.height, from.height);
  if (width === undefined && height === undefined) return from;
  if (step.crop !== "at_max" && width !== undefined && height !== undefined) return { width, height };
  const wanted = Math.min((width ?? Infinity) / from.width, (height ?? Infinity) / from.height);
  const scale = step.crop === "at_max" ? Math.min(1, wanted) : wanted;
  const side = (length: number): number => Math.max(1, Math.round(length * scale));
  return { width: side(from.width), height: side(from.height) };
}

/** The size after all steps. @throws LimitExceeded for what any of them makes, so that nothing is begun in vain */
function finalSize(from: Size, steps: readonly Step[], { limits }: Job): Size {
  let size = from;
  for (const step of steps) {
    size = targetSize(size, step);
    const { width, height } = size;
    if (Math.max(width, height) > limits.resultSide) {
      throw new DeliveryError(
        "LimitExceeded",
        `${width} by ${height}: no side may be longer than ${limits.resultSide} pixels.`,
      );
    }
    if (width * height > limits.resultPixels) {
      throw new DeliveryError(
        "LimitExceeded",
        `${width} by ${height} pixels are more than ${limits.resultPixels}.`,
      );
    }
  }
  return size;
}

/** `auto` never spends on an encoder what the picture's size makes too dear. */
function chooseFormat(
  { format, hasAlpha }: Metadata,
  { width, height }: Size,
  { plan, accepts }: Job,
): Format {
  if (plan.format !== "auto" && plan.format !== "source") return plan.format;
  const pixels = width * height;
  if (plan.format === "auto" && accepts.includes("avif") && pixels <= AUTO_AVIF_PIXELS) return "avif";
  if (plan.format === "auto" && accepts.includes("webp") && pixels <= AUTO_WEBP_PIXELS) return "webp";
  if (format === "jpeg" || format === "png") return format;
  if (plan.format === "source" && format === "webp") return "webp";
  if (plan.format === "source" && format === "heif") return "avif";
  return hasAlpha ? "png" : "jpeg";
}

function orient(work: Work): void {
  work.image.autoOrient();
}

function resize(work: Work, step: Step): void {
  const { width, height } = targetSize(work.size, step);
  if (width === work.size.width && height === work.size.height) return;
  const crops = step.crop === "maintain_ratio" && step.width !== undefined && step.height !== undefined;
  work.image.resize({ width, height, fit: crops ? "cover" : "fill", position: "centre" });
  work.size = { width, height };
}

function colour(work: Work): void {
  work.image.toColourspace("srgb");
}

/** AVIF's number for a JPEG quality: 80 looks like 60 (measured), and 100 is 100. */
export function avifQuality(quality: number): number {
  return Math.max(1, Math.round(quality <= 80 ? quality * 0.75 : 60 + (quality - 80) * 2));
}

function encode(work: Work): void {
  const { quality } = work.job.plan;
  switch (work.format) {
    case "jpeg":
      if (work.hasAlpha) work.image.flatten({ background: JPEG_BACKGROUND });
      work.image.jpeg({ quality });
      break;
    case "png":
      work.image.png();
      break;
    case "webp":
      work.image.webp({ quality, effort: WEBP_EFFORT });
      break;
    case "avif":
      work.image.avif({ quality: avifQuality(quality), effort: AVIF_EFFORT });
      break;
  }
}

/** Ends a step: sharp does one resize per pipeline, so the next step begins from pixels. */
async function settle(work: Work): Promise<void> {
  const { data, info } = await work.image.raw().toBuffer({ resolveWithObject: true });
  work.image = sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels } });
}
