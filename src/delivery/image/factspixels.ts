/** What pixels say of a picture: its colours, a hash that survives resizing, the quality that it was saved with. */
import sharp from "sharp";
import { segmentsOf } from "./jpeg.ts";

type Rgb = readonly [number, number, number];

const PALETTE_MAX = 8;
/** Distance between colours below which they look alike. */
const NEAR = 48;

export const hexOf = (colour: Rgb): string =>
  `#${colour.map((one) => one.toString(16).padStart(2, "0")).join("")}`;

/** Of RGBA: the most frequent colours that don't look alike, the dominant one first. None where all is transparent. */
export function paletteOf(data: Buffer): Rgb[] {
  const boxes = new Map<number, { count: number; r: number; g: number; b: number }>();
  for (let n = 0; n < data.length; n += 4) {
    if (data[n + 3]! < 128) continue;
    const [r, g, b] = [data[n]!, data[n + 1]!, data[n + 2]!];
    const key = ((r >> 4) << 8) | ((g >> 4) << 4) | (b >> 4);
    const box = boxes.get(key) ?? { count: 0, r: 0, g: 0, b: 0 };
    boxes.set(key, { count: box.count + 1, r: box.r + r, g: box.g + g, b: box.b + b });
  }
  const colours: Rgb[] = [];
  for (const { count, r, g, b } of [...boxes.values()].toSorted((one, other) => other.count - one.count)) {
    const colour: Rgb = [Math.round(r / count), Math.round(g / count), Math.round(b / count)];
    const alike = colours.some((other) => Math.hypot(...other.map((one, n) => one - colour[n]!)) < NEAR);
    if (!alike) colours.push(colour);
    if (colours.length === PALETTE_MAX) break;
  }
  return colours;
}

/** Side of the square of greys that is transformed, and of the corner of low frequencies whose signs are kept. */
const SIDE = 32;
const LOW = 8;

/** 64 bits in hexadecimal: which low frequencies of the greys are above their median. Similar pictures differ in few. */
export async function perceptualHash(data: Buffer, width: number, height: number): Promise<string> {
  const grey = await sharp(data, { raw: { width, height, channels: 4 } })
    .flatten({ background: "#ffffff" })
    .toColourspace("b-w")
    .resize({ width: SIDE, height: SIDE, fit: "fill" })
    .raw()
    .toBuffer();
  const step = grey.length / (SIDE * SIDE);
  const cosine = Array.from({ length: LOW }, (_, k) =>
    Array.from({ length: SIDE }, (__, n) => Math.cos(((2 * n + 1) * k * Math.PI) / (2 * SIDE))),
  );
  const low: number[] = [];
  for (const down of cosine) {
    for (const across of cosine) {
      let sum = 0;
      for (let n = 0; n < SIDE * SIDE; n++) {
        sum += grey[n * step]! * across[n % SIDE]! * down[Math.floor(n / SIDE)]!;
      }
      low.push(sum);
    }
  }
  // The first is the mean grey, which would shift the median.
  const median = low.slice(1).toSorted((one, other) => one - other)[(LOW * LOW) / 2 - 1]!;
  const bits = low.map((value) => (value > median ? "1" : "0")).join("");
  return BigInt(`0b${bits}`).toString(16).padStart(16, "0");
}

/** ITU T.81, table K.1, in zigzag order: what encoders scale by their quality. */
const LUMINANCE = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58,
  51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103,
  62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
] as const;
/** Where tables of bytes end, whatever the quality. */
const CLAMPED = 255;

/** 1–100, as libjpeg counts; undefined without a table of quantisation. */
export function jpegQuality(bytes: Buffer): number | undefined {
  for (const { marker, content } of segmentsOf(bytes)) {
    if (marker !== 0xdb || content[0] !== 0 || content.length <= LUMINANCE.length) continue;
    let [sum, whole] = [0, 0];
    for (const [n, standard] of LUMINANCE.entries()) {
      const value = content[1 + n]!;
      if (value === CLAMPED) continue;
      sum += value;
      whole += standard;
    }
    const percent = whole === 0 ? Infinity : (sum / whole) * 100;
    const quality = percent <= 100 ? (200 - percent) / 2 : 5000 / percent;
    return Math.max(1, Math.min(100, Math.round(quality)));
  }
  return undefined;
}
