/** Colours, sharpness, gradients, shadows. Each works on a settled still and gives one back. */
import type { BlurOptions, SharpenOptions } from "sharp";
import { DeliveryError } from "../errors.ts";
import { BLACK } from "../plan/colours.ts";
import { evaluate } from "../plan/expression.ts";
import type { Colour, Options, StepOptions } from "../plan/plan.ts";
import { dominantIn } from "./background.ts";
import type { Values } from "./resolve.ts";
import {
  over,
  pixelsOf,
  runRgba,
  settle,
  settled,
  surfaceLike,
  surfaceOf,
  type Environment,
  type Pixels,
  type Size,
  type Surface,
} from "./surface.ts";

/** Sharp's sharpening knows no larger sigma; Weekerp's URLs do. */
const SHARPEN_SIGMA_MAX = 10;
/** Below it sharp's fast blur leaves out most of the little that there is. */
const FAST_SIGMA_MIN = 2;
const blurOf = (sigma: number): BlurOptions =>
  sigma < FAST_SIGMA_MIN ? { sigma, precision: "float", minAmplitude: 0.01 } : { sigma };

/** Rec. 709's weights of red, green and blue. */
const LUMA = [0.2126, 0.7152, 0.0722] as const;

/** Lightness and colours, in the order in which sharp does them by itself; contrast and threshold come last. */
export async function adjustColours(surface: Surface, options: StepOptions): Promise<Surface> {
  const { gamma, brightness, saturation, hue, threshold } = options;
  const { image } = surface;
  const weights: [number, number, number] = [...LUMA];
  // `grayscale()` would drop the alpha channel.
  if (options.grayscale === true) image.toColourspace("srgb").recomb([weights, weights, weights]);
  if (brightness !== undefined || saturation !== undefined || hue !== undefined) {
    image.modulate({
      ...(brightness === undefined ? {} : { brightness }),
      ...(saturation === undefined ? {} : { saturation }),
      ...(hue === undefined ? {} : { hue: Math.round(hue) }),
    });
  }
  // Only the second half of what sharp does around a resize: the midtones become lighter.
  if (gamma !== undefined) image.gamma(1, gamma);
  const adjusted = await settled(image);
  if (options.contrast !== true && threshold === undefined) return adjusted;
  const pixels = await pixelsOf(adjusted);
  if (options.contrast === true) stretch(pixels.data);
  if (threshold !== undefined) {
    eachColour(pixels.data, (light, n) => pixels.data.fill(light >= threshold ? 255 : 0, n, n + 3));
  }
  return surfaceLike(pixels, adjusted);
}

function eachColour(data: Buffer, visit: (light: number, n: number) => void): void {
  for (let n = 0; n < data.length; n += 4) visit(luminance(data[n]!, data[n + 1]!, data[n + 2]!), n);
}

/** So many of the darkest and of the lightest pixels may become black and white. */
const STRETCH_SHARE = 0.005;

/**
 * The same line for all channels, so that hues stay; its ends are the darkest and the lightest channel of each pixel, so
 * that no colour is cut off.
 */
function stretch(data: Buffer): void {
  const [least, most] = [new Uint32Array(256), new Uint32Array(256)];
  let total = 0;
  for (let n = 0; n < data.length; n += 4) {
    if (data[n + 3] === 0) continue;
    least[Math.min(data[n]!, data[n + 1]!, data[n + 2]!)]!++;
    most[Math.max(data[n]!, data[n + 1]!, data[n + 2]!)]!++;
    total++;
  }
  const share = total * STRETCH_SHARE;
  let [low, high] = [0, 255];
  for (let sum = least[low]!; low < 255 && sum <= share; sum += least[low]!) low++;
  for (let sum = most[high]!; high > 0 && sum <= share; sum += most[high]!) high--;
  if (high <= low) return;
  const curve = Uint8Array.from({ length: 256 }, (_, level) => byte(((level - low) * 255) / (high - low)));
  for (let n = 0; n < data.length; n++) if (n % 4 !== 3) data[n] = curve[data[n]!]!;
}

/** Blur first, then sharpening. */
export async function adjustSharpness(surface: Surface, options: StepOptions): Promise<Surface> {
  const { blur, blurSigma, sharpen, sharpenSigma } = options;
  const { image, alpha } = surface;
  // ImageKit gives a radius, which is turned into a sigma as sharp's documentation says.
  const soft = blur === undefined ? blurSigma : 1 + blur / 2;
  if (soft !== undefined) image.blur(blurOf(soft));
  const how = sharpeningOf(sharpen, sharpenSigma);
  if (how !== undefined && alpha) return sharpenSeen(surface, how);
  if (how !== undefined) image.sharpen(...how);
  return settled(image);
}

function sharpeningOf(amount: number | undefined, sigma: number | undefined): [SharpenOptions?] | undefined {
  // At 10 it is what sharp takes by default for flat and jagged areas.
  if (amount !== undefined && amount > 0) return [{ sigma: 1, m1: amount / 10, m2: amount / 5 }];
  if (sigma !== undefined) return [{ sigma: Math.min(SHARPEN_SIGMA_MAX, sigma) }];
  return amount === undefined ? undefined : [];
}

/** How far colours are spread, and the opacity there below which they are no longer exact. */
const SPREAD_SIGMA = 4;
const SPREAD_ALPHA_MIN = 64;

/** What isn't seen takes the colours beside it, or what is seen would be set off against it; far off, that of all. */
async function sharpenSeen(surface: Surface, how: [SharpenOptions?]): Promise<Surface> {
  const pixels = await pixelsOf(surface);
  const around = await runRgba(surfaceOf(pixels).image.blur({ sigma: SPREAD_SIGMA }));
  const mean = meanOf(pixels.data);
  for (let n = 0; n < around.data.length; n += 4) {
    if (pixels.data[n + 3] !== 0) pixels.data.copy(around.data, n, n, n + 3);
    else if (around.data[n + 3]! < SPREAD_ALPHA_MIN) around.data.set(mean, n);
    around.data[n + 3] = 255;
  }
  const sharp = await runRgba(surfaceOf(around).image.sharpen(...how));
  for (let n = 3; n < sharp.data.length; n += 4) sharp.data[n] = pixels.data[n]!;
  return surfaceOf(sharp);
}

/** The mean colour of what is seen. */
function meanOf(data: Buffer): [number, number, number] {
  const sums = [0, 0, 0, 0];
  for (let n = 0; n < data.length; n += 4) {
    const alpha = data[n + 3]!;
    for (let channel = 0; channel < 3; channel++) sums[channel]! += data[n + channel]! * alpha;
    sums[3]! += alpha;
  }
  const [r = 0, g = 0, b = 0, all = 0] = sums;
  return all === 0 ? [0, 0, 0] : [byte(r / all), byte(g / all), byte(b / all)];
}

/** Adds what a blurred copy lacks, where the difference is more than the threshold (0 to 1). */
export async function unsharp(surface: Surface, mask: Options["unsharp"]): Promise<Surface> {
  const sharp = await pixelsOf(surface);
  const soft = await runRgba(surface.image.blur(blurOf(Math.max(0.3, mask.sigma))));
  const least = mask.threshold * 255;
  for (let n = 0; n < sharp.data.length; n++) {
    if (n % 4 === 3) continue;
    const difference = sharp.data[n]! - soft.data[n]!;
    if (Math.abs(difference) >= least) sharp.data[n] = byte(sharp.data[n]! + difference * mask.amount);
  }
  return surfaceLike(sharp, surface);
}

const byte = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : Math.round(value));

/** Shades of one colour in place of the picture's own, by intensity. */
export async function colorize(
  surface: Surface,
  { colour, intensity }: Options["colorize"],
): Promise<Surface> {
  const pixels = await pixelsOf(surface);
  const { data } = pixels;
  const part = intensity / 100;
  const tint = [colour.r, colour.g, colour.b];
  for (let n = 0; n < data.length; n += 4) {
    const light = luminance(data[n]!, data[n + 1]!, data[n + 2]!) / 255;
    for (let channel = 0; channel < 3; channel++) {
      // From black over the colour to white, so that light and shade stay.
      const own = tint[channel]!;
      const shade = light < 0.5 ? own * light * 2 : own + (255 - own) * (light - 0.5) * 2;
      data[n + channel] = byte(data[n + channel]! * (1 - part) + shade * part);
    }
  }
  return surfaceLike(pixels, surface);
}

const luminance = (r: number, g: number, b: number): number => LUMA[0] * r + LUMA[1] * g + LUMA[2] * b;

/** The largest distance of two colours. */
const DISTANCE_MAX = Math.hypot(255, 255, 255);

export async function replaceColour(surface: Surface, how: Options["colourReplace"]): Promise<Surface> {
  const pixels = await pixelsOf(surface);
  const { data } = pixels;
  const from = how.from ?? dominantIn(data) ?? BLACK;
  const reach = (how.tolerance / 100) * DISTANCE_MAX;
  for (let n = 0; n < data.length; n += 4) {
    const distance = Math.hypot(data[n]! - from.r, data[n + 1]! - from.g, data[n + 2]! - from.b);
    if (distance > reach) continue;
    data[n] = how.to.r;
    data[n + 1] = how.to.g;
    data[n + 2] = how.to.b;
    data[n + 3] = byte(data[n + 3]! * how.to.a);
  }
  return surfaceLike(pixels, { alpha: surface.alpha || how.to.a < 1 });
}

/** A gradient over the picture. */
export async function gradientOver(
  surface: Surface,
  { direction, from, to, stop }: Options["gradient"],
  values: Values,
): Promise<Surface> {
  const base = await pixelsOf(surface);
  const { data, width, height } = base;
  const angle = (direction * Math.PI) / 180;
  const [right, down] = [Math.sin(angle), -Math.cos(angle)];
  // Of the line through the middle that begins and ends where its normals touch the corners.
  const length = Math.abs(width * right) + Math.abs(height * down);
  const asked = evaluate(stop, values);
  const reach = asked <= 1 ? asked * length : asked;
  for (let y = 0, n = 0; y < height; y++) {
    for (let x = 0; x < width; x++, n += 4) {
      const along = (x + 0.5 - width / 2) * right + (y + 0.5 - height / 2) * down + length / 2;
      paint(data, n, between(from, to, reach <= 0 ? 1 : Math.max(0, Math.min(1, along / reach))));
    }
  }
  return surfaceLike(base, surface);
}

/** As browsers do it: a colour that fades out doesn't turn into the colour of nothing. */
function between(from: Colour, to: Colour, part: number): Colour {
  const [first, second] = [from.a * (1 - part), to.a * part];
  const a = first + second;
  if (a === 0) return { ...to, a };
  const mix = (one: number, other: number): number => (one * first + other * second) / a;
  return { r: mix(from.r, to.r), g: mix(from.g, to.g), b: mix(from.b, to.b), a };
}

/** One colour over one pixel. */
function paint(data: Buffer, n: number, { r, g, b, a }: Colour): void {
  const under = (data[n + 3]! / 255) * (1 - a);
  const total = a + under;
  if (total === 0) return;
  data[n] = byte((r * a + data[n]! * under) / total);
  data[n + 1] = byte((g * a + data[n + 1]! * under) / total);
  data[n + 2] = byte((b * a + data[n + 2]! * under) / total);
  data[n + 3] = byte(total * 255);
}

/** ImageKit's limit: shadows are costly. */
const SHADOW_PIXELS_MAX = 2_000_000;

/** How far a shadow lies off, and by how much the picture grows on each side. @throws DeliveryError InvalidParameter */
function shadowEdges({ width, height }: Size, { blur, x, y }: Options["shadow"]) {
  if (width * height > SHADOW_PIXELS_MAX) {
    throw new DeliveryError(
      "InvalidParameter",
      `e-shadow: ${width} by ${height} pixels are more than ${SHADOW_PIXELS_MAX}; make the picture smaller first.`,
    );
  }
  const dx = Math.round((width * x) / 100);
  const dy = Math.round((height * y) / 100);
  const soft = Math.ceil(blur * 2);
  const left = Math.max(0, soft - dx);
  const top = Math.max(0, soft - dy);
  const size = {
    width: width + left + Math.max(0, soft + dx),
    height: height + top + Math.max(0, soft + dy),
  };
  return { dx, dy, left, top, size };
}

export const shadowedSize = (size: Size, how: Options["shadow"]): Size => shadowEdges(size, how).size;

/**
 * Behind what is not transparent, in a picture that grows by what the shadow needs.
 * @throws DeliveryError InvalidParameter, LimitExceeded
 */
export async function shadow(surface: Surface, how: Options["shadow"], env: Environment): Promise<Surface> {
  const { dx, dy, left, top, size } = shadowEdges(surface, how);
  env.spend(size);
  const source = await pixelsOf(surface);
  const dark: Pixels = { data: Buffer.alloc(size.width * size.height * 4), ...size };
  for (let y = 0; y < source.height; y++) {
    for (let x = 0; x < source.width; x++) {
      const [toX, toY] = [x + left + dx, y + top + dy];
      if (toX < 0 || toY < 0 || toX >= size.width || toY >= size.height) continue;
      const alpha = source.data[(y * source.width + x) * 4 + 3]!;
      dark.data[(toY * size.width + toX) * 4 + 3] = byte((alpha * how.saturation) / 100);
    }
  }
  const flat = surfaceOf(dark);
  const blurred = how.blur === 0 ? flat : await settled(flat.image.blur(blurOf(Math.max(0.3, how.blur))));
  return settle(await over(blurred, surfaceOf(source), { left, top }));
}
