/** What is seen beside and through a picture. */
import type { Sharp } from "sharp";
import { BLACK } from "../plan/colours.ts";
import type { Background, Colour } from "../plan/plan.ts";
import { around, POINTS, shrunkTo } from "./geometry.ts";
import {
  copyOf,
  pixelsOf,
  surfaceLike,
  blank,
  over,
  runRgba,
  settle,
  settled,
  type Pixels,
  type Size,
  type Surface,
} from "./surface.ts";

/** What is made here; the rest is painted by a service (rendersteps.ts). */
export type Drawn = Exclude<Background, { kind: "generated" }>;

/** A background of that size made from a settled still. */
export async function underlay(surface: Surface, to: Size, background: Drawn): Promise<Surface> {
  if (background.kind === "colour") return blank(to, background.colour);
  if (background.kind === "dominant") return blank(to, await dominantOf(surface));
  if (background.kind === "gradient") return cornersGradient(surface, to, background.colours);
  return blurred(surface, to, background);
}

/** Under the transparent parts of a settled still. */
export async function putUnder(surface: Surface, background: Drawn): Promise<Surface> {
  if (!surface.alpha) return surface;
  const under = await underlay(surface, { width: surface.width, height: surface.height }, background);
  return settle(await over(under, surface, { left: 0, top: 0 }));
}

async function dominantOf(surface: Surface): Promise<Colour> {
  return dominantIn((await probe(surface)).data) ?? BLACK;
}

/** The mean of the fullest of 4096 boxes of colours, transparent pixels left out. Undefined: there are no others. */
export function dominantIn(data: Buffer): Colour | undefined {
  const counts = new Uint32Array(4096);
  const boxAt = (n: number): number =>
    ((data[n]! >> 4) << 8) | ((data[n + 1]! >> 4) << 4) | (data[n + 2]! >> 4);
  let best = 0;
  for (let n = 0; n < data.length; n += 4) {
    if (data[n + 3]! < 128) continue;
    const box = boxAt(n);
    const count = counts[box]! + 1;
    counts[box] = count;
    if (count > counts[best]!) best = box;
  }
  const members = counts[best]!;
  if (members === 0) return undefined;
  const sums = [0, 0, 0];
  for (let n = 0; n < data.length; n += 4) {
    if (data[n + 3]! < 128 || boxAt(n) !== best) continue;
    for (let channel = 0; channel < 3; channel++) sums[channel] = sums[channel]! + data[n + channel]!;
  }
  const [r = 0, g = 0, b = 0] = sums.map((sum) => Math.round(sum / members));
  return { r, g, b, a: 1 };
}

/** A small copy to take colours from. */
async function probe(surface: Surface): Promise<Pixels> {
  const small = shrunkTo(PROBE_SIDE, surface);
  // So that there are two halves.
  const size = { width: Math.max(2, small.width), height: Math.max(2, small.height) };
  // Neighbours are not mixed, so that only colours are found that are there.
  return runRgba(copyOf(surface).resize({ ...size, fit: "fill", kernel: "nearest" }));
}

/** Side of the small copy that colours are taken from. */
const PROBE_SIDE = 64;
const INTENSITY_AUTO = 25;

/** The picture itself, on white where it is transparent, covering, blurred, lighter or darker. */
async function blurred(
  surface: Surface,
  to: Size,
  { intensity, brightness }: Background & { kind: "blurred" },
): Promise<Surface> {
  const strength = intensity === "auto" ? INTENSITY_AUTO : intensity;
  const image = copyOf(surface).flatten({ background: "#ffffff" });
  const behind = strength === 0 ? covering(image, surface, to) : softened(image, to, strength);
  const { image: whole } = await settled(behind.linear(1, brightness));
  return settled(whole.resize({ ...to, fit: "fill", kernel: "cubic" }));
}

/** A small copy: blurring it and enlarging it looks the same and costs the same whatever the size. */
function softened(image: Sharp, to: Size, strength: number): Sharp {
  return image
    .resize({ ...shrunkTo(PROBE_SIDE, to), fit: "cover" })
    .blur(Math.max(0.3, (strength / 100) * 12));
}

/** Pixels beside an edge that an enlarging kernel looks at, on both sides together, and what is seen in part. */
const KERNEL_REACH = 8;

/** Cut around its middle before it is scaled: what is narrow would become longer than libvips can count. */
function covering(image: Sharp, from: Size, to: Size): Sharp {
  const by = Math.max(to.width / from.width, to.height / from.height);
  if (by <= 1) return image.resize({ ...to, fit: "cover" });
  const side = (all: number, shown: number): number => {
    const part = Math.min(all, Math.ceil(shown / by) + KERNEL_REACH);
    // So that its middle is that of the whole.
    return part + ((all - part) % 2);
  };
  const part = { width: side(from.width, to.width), height: side(from.height, to.height) };
  return image.extract(around(POINTS.center, part, from)).resize({ ...to, fit: "cover" });
}

type Rgb = readonly [number, number, number];

/**
 * The main colours of the quarters: left, right, and the same below; or of halves, which then have two quarters each.
 * `isAside`: the canvas goes on at the sides.
 */
function cornersOf({ data, width, height }: Pixels, colours: 2 | 4, isAside: boolean): readonly Rgb[] {
  /** Of what lies between two fractions of each side; of all where nothing is seen there. */
  const main = (left: number, right: number, top: number, bottom: number): Rgb => {
    const rows: Buffer[] = [];
    for (let y = Math.round(height * top); y < Math.round(height * bottom); y++) {
      const [from, end] = [Math.round(width * left), Math.round(width * right)];
      rows.push(data.subarray((y * width + from) * 4, (y * width + end) * 4));
    }
    const { r, g, b } = dominantIn(Buffer.concat(rows)) ?? dominantIn(data) ?? BLACK;
    return [r, g, b];
  };
  if (colours === 4) {
    return [main(0, 0.5, 0, 0.5), main(0.5, 1, 0, 0.5), main(0, 0.5, 0.5, 1), main(0.5, 1, 0.5, 1)];
  }
  const [left, right] = [main(0, 0.5, 0, 1), main(0.5, 1, 0, 1)];
  const [above, below] = [main(0, 1, 0, 0.5), main(0, 1, 0.5, 1)];
  // The way in which the picture changes more, so that the gradient continues it; else along the canvas.
  const across = distance(left, right) - distance(above, below);
  return across > 0 || (across === 0 && isAside) ? [left, right, left, right] : [above, above, below, below];
}

const distance = (one: Rgb, other: Rgb): number =>
  Math.hypot(one[0] - other[0], one[1] - other[1], one[2] - other[2]);

async function cornersGradient(surface: Surface, to: Size, colours: 2 | 4): Promise<Surface> {
  const isAside = to.width * surface.height > to.height * surface.width;
  const corners = cornersOf(await probe(surface), colours, isAside);
  const at = (x: number, y: number, channel: number): number => corners[y * 2 + x]![channel]!;
  const result: Pixels = { data: Buffer.alloc(to.width * to.height * 4, 255), ...to };
  for (let y = 0, n = 0; y < to.height; y++) {
    const down = to.height === 1 ? 0 : y / (to.height - 1);
    for (let x = 0; x < to.width; x++, n += 4) {
      const right = to.width === 1 ? 0 : x / (to.width - 1);
      for (let channel = 0; channel < 3; channel++) {
        const above = at(0, 0, channel) * (1 - right) + at(1, 0, channel) * right;
        const below = at(0, 1, channel) * (1 - right) + at(1, 1, channel) * right;
        result.data[n + channel] = Math.round(above * (1 - down) + below * down);
      }
    }
  }
  return surfaceLike(result, { alpha: false });
}

/** Pixels with `colour` seen through what is transparent; `colour` may be transparent itself. */
export async function flattened(surface: Surface, colour: Colour): Promise<Surface> {
  if (!surface.alpha) return surface;
  const { data, width, height } = await pixelsOf(surface);
  for (let n = 0; n < data.length; n += 4) {
    const a = data[n + 3]! / 255;
    const under = colour.a * (1 - a);
    const total = a + under;
    if (total === 0) continue;
    data[n] = Math.round((data[n]! * a + colour.r * under) / total);
    data[n + 1] = Math.round((data[n + 1]! * a + colour.g * under) / total);
    data[n + 2] = Math.round((data[n + 2]! * a + colour.b * under) / total);
    data[n + 3] = Math.round(total * 255);
  }
  return surfaceLike({ data, width, height }, { alpha: colour.a < 1 });
}
