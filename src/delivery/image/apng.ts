/**
 * Animated PNGs (PNG, third edition, sections 4.9 and 11.3.6): libvips reads the picture for those alone who know nothing of
 * animations. Frames are decoded as PNGs of their own and laid over each other here.
 */
import { crc32 } from "node:zlib";
import { DeliveryError } from "../errors.ts";

/** Part of the canvas, in pixels, and what becomes of it. */
interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly top: number;
  /** Milliseconds. */
  readonly delay: number;
  /** What is left behind for the next frame. */
  readonly dispose: "all" | "nothing" | "before";
  /** Laid over what is there, rather than in its place. */
  readonly over: boolean;
  /** What is deflated, in pieces. */
  readonly data: Buffer[];
}
export interface Apng {
  readonly width: number;
  readonly height: number;
  /** Two or more. */
  readonly frames: readonly Frame[];
  /** How often it is played; 0: for ever. */
  readonly loop: number;
  /** IHDR, and the whole chunks that say what the pixels mean, as all frames have them. */
  readonly header: Buffer;
  readonly colours: readonly Buffer[];
}

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");
const COLOURS: readonly string[] = ["PLTE", "tRNS", "iCCP", "gAMA", "cHRM", "sRGB", "cICP", "sBIT"];
/** Chunks that an animation is shown by. */
const SEEN: readonly string[] = [...COLOURS, "IHDR", "acTL", "fcTL", "IDAT", "fdAT", "IEND"];
/** Frames that one may have. Stops millions of them, each of a few bytes, from filling the memory. */
const FRAMES_MAX = 10_000;
const NONE = Buffer.alloc(0);

function* chunksOf(png: Buffer): Generator<{ type: string; data: Buffer; whole: Buffer }> {
  for (let at = SIGNATURE.length; at + 12 <= png.length;) {
    const end = at + 12 + png.readUInt32BE(at);
    if (end > png.length) return;
    const type = png.toString("latin1", at + 4, at + 8);
    yield { type, data: png.subarray(at + 8, end - 4), whole: png.subarray(at, end) };
    at = end;
  }
}

/** Undefined: a PNG that stands still. @throws DeliveryError DamagedSource, LimitExceeded */
export function apngIn(png: Buffer): Apng | undefined {
  const frames: Frame[] = [];
  const colours: Buffer[] = [];
  let header: Buffer = NONE;
  let loop: number | undefined;
  let pixels = false;
  for (const { type, data, whole } of chunksOf(png)) {
    // As decoders do: a second one would give the canvas a size that nobody has looked at.
    if (type === "IHDR") header = header === NONE ? data : header;
    else if (type === "acTL" && !pixels) loop = numberAt(data, 4);
    else if (type === "fcTL" && loop !== undefined) frames.push(frameOf(data, header));
    else if (type === "IDAT") {
      if (loop === undefined) return undefined;
      pixels = true;
      frames.at(-1)?.data.push(data);
    } else if (type === "fdAT") frames.at(-1)?.data.push(data.subarray(4));
    else if (!pixels && COLOURS.includes(type)) colours.push(whole);
    if (frames.length > FRAMES_MAX) {
      throw new DeliveryError("LimitExceeded", `The source has more than ${FRAMES_MAX} frames.`);
    }
  }
  if (loop === undefined || frames.length < 2) return undefined;
  return { width: numberAt(header, 0), height: numberAt(header, 4), frames, loop, header, colours };
}

export const damaged = (): DeliveryError =>
  new DeliveryError("DamagedSource", "The source is damaged or cut short.");

function numberAt(data: Buffer, at: number): number {
  if (data.length < at + 4) throw damaged();
  return data.readUInt32BE(at);
}

const FCTL_BYTES = 26;

function frameOf(data: Buffer, header: Buffer): Frame {
  if (data.length < FCTL_BYTES) throw damaged();
  const [width = 0, height = 0, left = 0, top = 0] = [4, 8, 12, 16].map((at) => data.readUInt32BE(at));
  const fits = left + width <= numberAt(header, 0) && top + height <= numberAt(header, 4);
  if (!fits || width === 0 || height === 0) throw damaged();
  const delay = Math.round((1000 * data.readUInt16BE(20)) / (data.readUInt16BE(22) || 100));
  const dispose = (["all", "nothing", "before"] as const)[data[24]!] ?? "all";
  return { width, height, left, top, delay, dispose, over: data[25] === 1, data: [] };
}

/** The same animation without anything that isn't seen, such as where it was taken. */
export const silentApng = (png: Buffer): Buffer =>
  Buffer.concat([
    SIGNATURE,
    ...Array.from(chunksOf(png)).flatMap(({ type, whole }) => (SEEN.includes(type) ? [whole] : [])),
  ]);

/** A frame as a PNG of its own. */
function pngOf({ header, colours }: Apng, { width, height, data }: Frame): Buffer {
  const own = Buffer.from(header);
  own.writeUInt32BE(width, 0);
  own.writeUInt32BE(height, 4);
  const pixels = data.map((piece) => chunk("IDAT", piece));
  return Buffer.concat([SIGNATURE, chunk("IHDR", own), ...colours, ...pixels, chunk("IEND", NONE)]);
}

function chunk(type: string, data: Buffer): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, "latin1");
  data.copy(bytes, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), bytes.length - 4);
  return bytes;
}

/**
 * The frames that are named, counted from 0, as they are seen: one below the other, in RGBA. All before the last of them
 * are decoded, one at a time. `decode` gives the pixels of a PNG in RGBA. @throws DeliveryError, and what `decode` throws
 */
export async function framesOf(
  apng: Apng,
  chosen: readonly number[],
  decode: (png: Buffer) => Promise<Buffer>,
): Promise<Buffer> {
  const { width, height, frames } = apng;
  const canvas = Buffer.alloc(width * height * 4);
  const result = chosen.length === 1 ? canvas : Buffer.alloc(canvas.length * chosen.length);
  const last = Math.max(...chosen);
  for (const [n, frame] of frames.slice(0, last + 1).entries()) {
    const pixels = await decode(pngOf(apng, frame));
    if (pixels.length !== frame.width * frame.height * 4) throw damaged();
    const before = frame.dispose === "before" && n > 0 && n < last ? copied(canvas, width, frame) : undefined;
    lay(canvas, width, frame, pixels);
    for (const [at, page] of chosen.entries()) {
      if (page === n && result !== canvas) canvas.copy(result, at * canvas.length);
    }
    if (n === last || frame.dispose === "all") continue;
    lay(canvas, width, { ...frame, over: false }, before ?? Buffer.alloc(pixels.length));
  }
  return result;
}

type Place = Pick<Frame, "left" | "top" | "width" | "height">;

/** Calls with the byte at which each row of the place begins, in the canvas and in the place's own pixels. */
function rows(
  canvasWidth: number,
  { left, top, width, height }: Place,
  each: (at: number, own: number) => void,
): void {
  for (let y = 0; y < height; y++) each(((top + y) * canvasWidth + left) * 4, y * width * 4);
}

function copied(canvas: Buffer, canvasWidth: number, place: Place): Buffer {
  const pixels = Buffer.alloc(place.width * place.height * 4);
  rows(canvasWidth, place, (at, own) => canvas.copy(pixels, own, at, at + place.width * 4));
  return pixels;
}

function lay(canvas: Buffer, canvasWidth: number, frame: Place & Pick<Frame, "over">, pixels: Buffer): void {
  const bytes = frame.width * 4;
  rows(canvasWidth, frame, (at, own) => {
    if (frame.over) layRow(canvas.subarray(at, at + bytes), pixels.subarray(own, own + bytes));
    else pixels.copy(canvas, at, own, own + bytes);
  });
}

/** Section 13.16 of PNG: alpha is not multiplied into the colours. */
function layRow(under: Buffer, over: Buffer): void {
  for (let n = 0; n < over.length; n += 4) {
    const share = over[n + 3]! / 255;
    if (share === 0) continue;
    const left = (under[n + 3]! / 255) * (1 - share);
    const alpha = share + left;
    for (let c = n; c < n + 3; c++) under[c] = Math.round((over[c]! * share + under[c]! * left) / alpha);
    under[n + 3] = Math.round(alpha * 255);
  }
}
