/** Pictures as pixels, how far they are from each other, and plain ways of working on them. */
import sharp, { type Sharp } from "sharp";

/** RGBA, eight bits a channel. */
export interface Pixels {
  readonly data: Buffer;
  readonly width: number;
  readonly height: number;
}
export type Rgba = readonly [r: number, g: number, b: number, a: number];

export async function pixelsOf(picture: Buffer | Sharp): Promise<Pixels> {
  const image = Buffer.isBuffer(picture) ? sharp(picture) : picture;
  const raw = image.toColourspace("srgb").ensureAlpha().raw();
  const { data, info } = await raw.toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

export const imageOf = ({ data, width, height }: Pixels): Sharp =>
  sharp(data, { raw: { width, height, channels: 4 } });

export interface Difference {
  /** Over all pixels and channels, of 255. */
  readonly mean: number;
  /** The mean of the tile of 16 by 16 pixels where it is largest: what a small thing that is missing makes. */
  readonly worst: number;
}
const TILE = 16;
const FAR: Difference = { mean: Infinity, worst: Infinity };

/** Colours count as far as they are opaque. Pictures of different sizes are infinitely far apart. */
export function difference(one: Pixels, other: Pixels): Difference {
  if (one.width !== other.width || one.height !== other.height) return FAR;
  const { width, height } = one;
  const across = Math.ceil(width / TILE);
  const sums = new Float64Array(across * Math.ceil(height / TILE));
  const counts = new Uint32Array(sums.length);
  let total = 0;
  for (let y = 0, n = 0; y < height; y++) {
    for (let x = 0; x < width; x++, n += 4) {
      const [a, b] = [one.data[n + 3]! / 255, other.data[n + 3]! / 255];
      let sum = Math.abs(a - b) * 255;
      for (let channel = n; channel < n + 3; channel++) {
        sum += Math.abs(one.data[channel]! * a - other.data[channel]! * b);
      }
      const tile = Math.floor(y / TILE) * across + Math.floor(x / TILE);
      sums[tile] = sums[tile]! + sum / 4;
      counts[tile] = counts[tile]! + 1;
      total += sum / 4;
    }
  }
  // Slivers at the edges count as if they were whole.
  const worst = Math.max(...sums.map((sum, n) => sum / Math.max(counts[n]!, (TILE * TILE) / 2)));
  return { mean: total / (width * height), worst };
}

/**
 * How far a picture may be from what was computed: codecs and kernels round. Every other example's picture, and the
 * mirrored one, must be farther (examples.test.ts).
 */
export const TOLERANCE: Difference = { mean: 1, worst: 5 };

export const within = ({ mean, worst }: Difference, allowed: Difference): boolean =>
  mean <= allowed.mean && worst <= allowed.worst;

export const canvas = (width: number, height: number, colour: Rgba): Pixels => ({
  data: Buffer.alloc(width * height * 4, Buffer.from(colour)),
  width,
  height,
});

type Rule = (colour: Rgba, x: number, y: number) => readonly number[];

/** Each pixel by a rule; three numbers leave the opacity as it is. */
export function each({ data, width, height }: Pixels, rule: Rule): Pixels {
  const result = Uint8ClampedArray.from(data);
  for (let y = 0, n = 0; y < height; y++) {
    for (let x = 0; x < width; x++, n += 4) {
      result.set(rule([data[n]!, data[n + 1]!, data[n + 2]!, data[n + 3]!], x, y), n);
    }
  }
  return { data: Buffer.from(result.buffer), width, height };
}

/** One colour over another. */
export function over(top: Rgba, under: Rgba): Rgba {
  const [a, b] = [top[3] / 255, (under[3] / 255) * (1 - top[3] / 255)];
  const mix = (channel: 0 | 1 | 2): number =>
    a + b === 0 ? 0 : (top[channel] * a + under[channel] * b) / (a + b);
  return [mix(0), mix(1), mix(2), (a + b) * 255];
}

export function colourAt({ data, width, height }: Pixels, x: number, y: number): Rgba {
  if (x < 0 || y < 0 || x >= width || y >= height) return [0, 0, 0, 0];
  const n = (y * width + x) * 4;
  return [data[n]!, data[n + 1]!, data[n + 2]!, data[n + 3]!];
}

/** `top` over `base`, its left top corner there. */
export const laid = (base: Pixels, top: Pixels, left: number, down: number): Pixels =>
  each(base, (under, x, y) => over(colourAt(top, x - left, y - down), under));

/** Of another size: where each pixel comes from. */
export const moved = (
  from: Pixels,
  width: number,
  height: number,
  where: (x: number, y: number) => readonly [number, number],
): Pixels => each(canvas(width, height, [0, 0, 0, 0]), (_, x, y) => colourAt(from, ...where(x, y)));

/** The same, between four pixels: `where` speaks of places, of which a pixel's middle is at its half. */
export function sampled(
  from: Pixels,
  width: number,
  height: number,
  where: (x: number, y: number) => readonly [number, number],
): Pixels {
  return each(canvas(width, height, [0, 0, 0, 0]), (_, x, y) => {
    const [u, v] = where(x + 0.5, y + 0.5);
    const [left, top] = [Math.floor(u - 0.5), Math.floor(v - 0.5)];
    const [right, down] = [u - 0.5 - left, v - 0.5 - top];
    const sums = [0, 0, 0, 0];
    for (const [dx, dy] of [
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ] as const) {
      const weight = (dx === 1 ? right : 1 - right) * (dy === 1 ? down : 1 - down);
      const [r, g, b, a] = colourAt(from, left + dx, top + dy);
      for (const [channel, value] of [r * a, g * a, b * a, a].entries()) {
        sums[channel] = sums[channel]! + value * weight;
      }
    }
    const [r = 0, g = 0, b = 0, a = 0] = sums;
    return a === 0 ? [0, 0, 0, 0] : [r / a, g / a, b / a, a];
  });
}

export const mirrored = (from: Pixels): Pixels =>
  moved(from, from.width, from.height, (x, y) => [from.width - 1 - x, y]);
export const upsideDown = (from: Pixels): Pixels =>
  moved(from, from.width, from.height, (x, y) => [x, from.height - 1 - y]);
/** A quarter, clockwise. */
export const quarterTurned = (from: Pixels): Pixels =>
  moved(from, from.height, from.width, (x, y) => [y, from.height - 1 - x]);

/** By any angle, clockwise, around the middle; the result is as large as it has to be. */
export function turned(from: Pixels, degrees: number): Pixels {
  const [sin, cos] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
  const width = Math.round(from.width * Math.abs(cos) + from.height * Math.abs(sin));
  const height = Math.round(from.width * Math.abs(sin) + from.height * Math.abs(cos));
  return sampled(from, width, height, (x, y) => {
    const [dx, dy] = [x - width / 2, y - height / 2];
    return [from.width / 2 + dx * cos + dy * sin, from.height / 2 - dx * sin + dy * cos];
  });
}

/** Gaussian, of opaque pictures; edges go on beyond themselves. */
export function blurred(from: Pixels, sigma: number): Pixels {
  const reach = Math.ceil(sigma * 3);
  const kernel = Array.from({ length: reach * 2 + 1 }, (_, n) =>
    Math.exp(-((n - reach) ** 2) / (2 * sigma ** 2)),
  );
  const sum = kernel.reduce((one, other) => one + other);
  const along = (pixels: Pixels, right: number, down: number): Pixels =>
    each(pixels, (_, x, y) => {
      const sums = [0, 0, 0];
      for (const [step, weight] of kernel.entries()) {
        const px = Math.max(0, Math.min(pixels.width - 1, x + (step - reach) * right));
        const py = Math.max(0, Math.min(pixels.height - 1, y + (step - reach) * down));
        const n = (py * pixels.width + px) * 4;
        for (let channel = 0; channel < 3; channel++) {
          sums[channel] = sums[channel]! + (pixels.data[n + channel]! * weight) / sum;
        }
      }
      return sums;
    });
  return along(along(from, 1, 0), 0, 1);
}

/** Rec. 709. */
export const luma = ([r, g, b]: Rgba): number => 0.2126 * r + 0.7152 * g + 0.0722 * b;

/** As opaque as the drawing is. */
export async function masked(from: Pixels, drawing: string): Promise<Pixels> {
  const mask = await drawn(from.width, from.height, drawing);
  return each(from, (colour, x, y) => [...colour.slice(0, 3), (colour[3] * colourAt(mask, x, y)[3]) / 255]);
}

export const drawn = (width: number, height: number, drawing: string): Promise<Pixels> =>
  pixelsOf(
    sharp(
      Buffer.from(
        `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${drawing}</svg>`,
      ),
    ),
  );

/** Where the corners of a picture come to lie, clockwise from left top: the place in the picture of each place in the result. */
export function unwarped(
  { width, height }: Pixels,
  corners: readonly (readonly [number, number])[],
): (x: number, y: number) => readonly [number, number] {
  const targets = [
    [0, 0],
    [width, 0],
    [width, height],
    [0, height],
  ] as const;
  const rows = corners.flatMap(([x, y], n) => {
    const [u, v] = targets[n]!;
    return [
      [x, y, 1, 0, 0, 0, -u * x, -u * y, u],
      [0, 0, 0, x, y, 1, -v * x, -v * y, v],
    ];
  });
  const m = solved(rows);
  return (x, y) => {
    const by = m[6]! * x + m[7]! * y + 1;
    return [(m[0]! * x + m[1]! * y + m[2]!) / by, (m[3]! * x + m[4]! * y + m[5]!) / by];
  };
}

/** Gauss and Jordan. */
function solved(rows: number[][]): number[] {
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    const best = rows
      .slice(column)
      .reduce((one, other) => (Math.abs(other[column]!) > Math.abs(one[column]!) ? other : one));
    rows[rows.indexOf(best)] = rows[column]!;
    rows[column] = best.map((value) => value / best[column]!);
    for (const [n, row] of rows.entries()) {
      if (n === column) continue;
      const factor = row[column]!;
      rows[n] = row.map((value, place) => value - factor * rows[column]![place]!);
    }
  }
  return rows.map((row) => row[size]!);
}
