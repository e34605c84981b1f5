/**
 * From bytes to bytes. Runs in renderer processes only: the codecs are the part of Windlass that strangers' bytes are
 * most likely to break.
 */
import type { Metadata } from "sharp";
import { DeliveryError } from "../errors.ts";
import { MEDIA_TYPES } from "../mediatypes.ts";
import type { Format, FormatChoice, Plan, StepOptions } from "../plan/plan.ts";
import { said } from "../plan/steps.ts";
import { firstFrame } from "./animation.ts";
import { silentApng } from "./apng.ts";
import { flattened } from "./background.ts";
import { asDeliveryError, openPicture, unpacked, uprightOf, type Opened } from "./decode.ts";
import { encode, opaque, type Encoding } from "./encode.ts";
import { frameSvg, type Frame } from "./svgframe.ts";
import { factsOf } from "./facts.ts";
import type { Job, Picture } from "./job.ts";
import { hasComment } from "./jpeg.ts";
import { mezzanineOf } from "./mezzanine.ts";
import { alternatives, chooseFormat, isDrawing, moves, type Output } from "./negotiate.ts";
import { applySteps, applyToFrame } from "./rendersteps.ts";
import { copyOf, isOpaque, pixelsOf, settle, settled, type Environment, type Surface } from "./surface.ts";
import { sanitizeSvg } from "./svg.ts";

/**
 * Renders the first source; the others are layers' pictures and fonts in the order of `job.inputs`.
 * @throws DeliveryError UnsupportedSource, DamagedSource, LimitExceeded, InvalidParameter, NotAvailable …
 */
export async function render(sources: readonly Buffer[], job: Job): Promise<Picture> {
  try {
    const [source = Buffer.alloc(0), ...inputs] = sources.map((bytes) => unpacked(bytes, job));
    if (job.kind === "facts") return await factsOf(source, job);
    if (job.kind === "mezzanine") return await mezzanineOf(source, job);
    const env = environment(job, new Map(job.inputs.map((path, n) => [path, inputs[n]!])));
    return await picture(source, job, env);
  } catch (error) {
    throw asDeliveryError(error);
  }
}

function environment(job: Job, inputs: Environment["inputs"]): Environment {
  const { resultPixels, resultSide } = job.limits;
  return {
    job,
    inputs,
    headers: [],
    parent: undefined,
    source: undefined,
    spend({ width, height }, pages = 1) {
      if (!(width >= 1 && height >= 1)) {
        throw new DeliveryError("InvalidParameter", "The picture would have no pixels.");
      }
      if (Math.max(width, height) > resultSide) {
        throw new DeliveryError(
          "LimitExceeded",
          `${width} by ${height}: no side may be longer than ${resultSide} pixels.`,
        );
      }
      if (width * height * pages > resultPixels) {
        throw new DeliveryError(
          "LimitExceeded",
          `${width} by ${height} pixels${pages > 1 ? ` in ${pages} frames` : ""} are more than ${resultPixels}.`,
        );
      }
    },
  };
}

async function picture(source: Buffer, job: Job, env: Environment): Promise<Picture> {
  const { plan, hints } = job;
  const pages = said(plan.steps, "pages").at(-1);
  const opened = await openPicture(source, job, { pages, animated: mayMove(plan) });
  const { metadata } = opened;
  let output = outputOf(plan);
  const input = uprightOf(opened);
  if (metadata.format === "svg") {
    const kept = await keptSvg(source, input, plan, env);
    if (kept !== undefined) return kept;
  }
  const made = await withoutIdleAlpha(
    await applySteps(input, plan.steps, env, (options) => {
      output = heard(output, options);
    }),
  );
  const changed = made !== input;
  const { headers } = env;
  if (!changed && pages === undefined && staysApng(opened, output)) {
    const data = output.metadata ? source : silentApng(source);
    return { data, type: MEDIA_TYPES.png, width: made.width, height: made.height, headers };
  }
  let last = made;
  let format = chooseFormat(metadata, last, output, hints);
  if (last.pages > 1 && !moves(format)) {
    last = await firstFrame(last);
    format = chooseFormat(metadata, last, output, hints);
  }
  const about = { width: last.width, height: last.height, headers };
  const stays = !changed && STAYING.includes(metadata.format) && mayStay(source, metadata, output, hints);
  const own = metadata.format === "heif" ? MEDIA_TYPES.avif : MEDIA_TYPES[metadata.format as Format];
  const original = { ...about, data: source, type: own };
  // What is too long to be worked on is there in the source alone, and a GIF that is made again is hardly smaller.
  const better = opened.pages < opened.wanted || (format === "gif" && metadata.format === "gif");
  if (stays && pages === undefined && better) return original;
  checkFrames(opened, output.format);
  env.spend(last, last.pages);
  if (output.metadata && last.memory !== undefined && last.pages === 1) {
    // The pipeline with the metadata gets these pixels after it has flattened: too late for them.
    const seen = format === "jpeg" ? await flattened(last, opaque(output)) : last;
    last = await withMetadataOf(source, job, seen);
  }
  const encoding = { format, output, saveData: hints.saveData === true, source: metadata };
  const { data, type } = await smallest(last, encoding, metadata, job);
  const whole = opened.pages === opened.available;
  return stays && whole && data.length >= source.length ? original : { ...about, data, type };
}

/** @throws DeliveryError LimitExceeded, rather than that a film is cut off where nobody expects it */
function checkFrames({ pages, wanted, metadata: { width, height } }: Opened, format: FormatChoice): void {
  if (pages >= wanted || !(moves(format) || format === "auto" || format === "source")) return;
  throw new DeliveryError(
    "LimitExceeded",
    `The animation has ${wanted} frames of ${width} by ${height} pixels, and ${pages} may be worked on: pg-1-${pages} takes these.`,
  );
}

/** Work on pixels leaves an alpha channel behind. Where nothing is transparent, what was a JPEG may be one again. */
async function withoutIdleAlpha(surface: Surface): Promise<Surface> {
  const { memory, fresh, alpha } = surface;
  if (!alpha || !fresh || memory?.channels !== 4 || !isOpaque(memory.data)) return surface;
  return settled(surface.image.removeAlpha(), surface.pages);
}

/** The result, or what else was worth a try where that is smaller. @throws DeliveryError LimitExceeded */
async function smallest(
  surface: Surface,
  encoding: Encoding,
  source: Metadata,
  { hints, limits }: Job,
): Promise<{ data: Buffer; type: string }> {
  const { format, output } = encoding;
  const others = alternatives(source, surface, format, output, hints);
  const ready = others.length === 0 ? surface : await settle(surface);
  const last = others.length === 0 ? ready : { ...ready, image: copyOf(ready) };
  let data = await encode(last, encoding).toBuffer();
  let type = MEDIA_TYPES[format];
  for (const { format: other, lossless } of others) {
    if (lossless && ready.memory !== undefined && !isDrawing(ready.memory)) continue;
    const tried = { ...encoding, format: other, output: { ...output, lossless } };
    const result = await encode({ ...ready, image: copyOf(ready) }, tried).toBuffer();
    if (result.length >= data.length) continue;
    data = result;
    type = MEDIA_TYPES[other];
  }
  if (data.length <= limits.resultBytes) return { data, type };
  throw new DeliveryError("LimitExceeded", `The result has more than ${limits.resultBytes} bytes.`);
}

/** A drawing that stays one in its new size. Undefined: it is to be drawn, since the plan or the format can't have it so. */
async function keptSvg(
  source: Buffer,
  { width, height }: Surface,
  plan: Plan,
  env: Environment,
): Promise<Picture | undefined> {
  let output = outputOf(plan);
  const whole: Frame = { width, height };
  const frame = applyToFrame(whole, plan.steps, env, (options) => {
    output = heard(output, options);
  });
  const { format } = output;
  if (frame === undefined || !(format === "svg" || format === "auto" || format === "source"))
    return undefined;
  const data = frame === whole ? sanitizeSvg(source) : await frameSvg(source, whole, frame);
  if (data === undefined) return undefined;
  return { data, type: "image/svg+xml", width: frame.width, height: frame.height, headers: env.headers };
}

/** An animated PNG moves in browsers and is a picture to all others; a GIF of it would have fewer colours. */
const staysApng = ({ metadata, available }: Opened, { format }: Output): boolean =>
  metadata.format === "png" && available > 1 && (format === "auto" || format === "source");

/** Formats whose files clients may get as they are. */
const STAYING: readonly Metadata["format"][] = ["jpeg", "png", "gif", "webp", "heif"];

/**
 * Whether a source in which nothing was changed may be served as it is: the client reads it, and it says nothing that
 * results don't say, such as where it was taken.
 */
function mayStay(source: Buffer, whole: Metadata, output: Output, { accepts }: Job["hints"]): boolean {
  const { format, explicitQuality, progressive, lossless, colourProfile, metadata, density } = output;
  if (format !== "auto" && format !== "source") return false;
  if (progressive || lossless || colourProfile || metadata || density !== undefined) return false;
  // PNG and GIF have none.
  if (explicitQuality && whole.format !== "png" && whole.format !== "gif") return false;
  const silent =
    whole.exif === undefined &&
    whole.xmp === undefined &&
    whole.iptc === undefined &&
    whole.icc === undefined;
  const read =
    whole.format === "jpeg" ||
    whole.format === "png" ||
    whole.format === "gif" ||
    (whole.format === "webp" && (format === "source" || accepts.includes("webp"))) ||
    (whole.compression === "av1" && (format === "source" || accepts.includes("avif")));
  const comments =
    whole.comments !== undefined ||
    (whole.format === "jpeg" && hasComment(source)) ||
    (whole.format === "gif" && source.includes("XMP DataXMP"));
  return silent && read && !comments && (whole.orientation ?? 1) === 1;
}

/** The source's EXIF, XMP and IPTC on pixels that were worked on, which have none. */
async function withMetadataOf(source: Buffer, job: Job, made: Surface): Promise<Surface> {
  const { data, width, height } = await pixelsOf(made);
  const { image } = uprightOf(await openPicture(source, job));
  const base = image.resize({ width, height, fit: "fill" });
  base.composite([{ input: data, raw: { width, height, channels: 4 }, blend: "source" }]);
  return { ...made, image: made.alpha ? base : base.removeAlpha(), fresh: false };
}

/** Whether the result may be an animation; what only a still can be needs no more than the first frame. */
function mayMove({ steps, defaults }: Plan): boolean {
  if (steps.some((step) => "options" in step && isPainted(step.options))) return false;
  const last = steps.findLastIndex((step) => "options" in step && step.options.format !== undefined);
  const formats = said(steps.slice(Math.max(0, last)), "format");
  return [...formats, ...(last < 0 ? [defaults.format] : [])].some(
    (format) => format === "auto" || format === "source" || moves(format),
  );
}

/** Models paint stills. */
const isPainted = ({ model, background }: StepOptions): boolean =>
  model !== undefined || background?.kind === "generated";

const outputOf = ({ defaults }: Plan): Output => ({
  explicitQuality: false,
  ...defaults,
  progressive: false,
  lossless: false,
  colourProfile: false,
  metadata: false,
  density: undefined,
  unsharp: false,
  background: undefined,
});

/** With what a step says of the result. */
function heard(output: Output, options: StepOptions): Output {
  const { background, unsharp, quality } = options;
  return {
    format: options.format ?? output.format,
    quality: quality ?? output.quality,
    explicitQuality: output.explicitQuality || quality !== undefined,
    progressive: options.progressive ?? output.progressive,
    lossless: options.lossless ?? output.lossless,
    colourProfile: options.colourProfile ?? output.colourProfile,
    metadata: options.metadata ?? output.metadata,
    density: options.density ?? output.density,
    unsharp: output.unsharp || unsharp !== undefined,
    background: background?.kind === "colour" ? background.colour : output.background,
  };
}
