/** Perspective and arc: every pixel of the result is looked up in the source. */
import { DeliveryError } from "../errors.ts";
import { evaluate } from "../plan/expression.ts";
import type { Distort } from "../plan/plan.ts";
import type { Values } from "./resolve.ts";
import { pixelsOf, surfaceOf, type Environment, type Pixels, type Size, type Surface } from "./surface.ts";

/**
 * Works on a settled still. The result is as large as what it shows.
 * @throws DeliveryError InvalidParameter, LimitExceeded
 */
export async function distort(
  surface: Surface,
  how: Distort,
  values: Values,
  env: Environment,
): Promise<Surface> {
  const size = distortedSize(surface, how, values);
  env.spend(size);
  const source = await pixelsOf(surface);
  if (how.kind === "perspective") return surfaceOf(perspective(source, cornersOf(how, values), size));
  const bend = bendOf(surface, evaluate(how.degrees, values));
  return bend === undefined ? surface : surfaceOf(arc(source, bend, size));
}

export function distortedSize(from: Size, how: Distort, values: Values): Size {
  if (how.kind === "perspective") {
    const { left, top, right, bottom } = boundsOf(cornersOf(how, values));
    return { width: Math.max(1, Math.ceil(right - left)), height: Math.max(1, Math.ceil(bottom - top)) };
  }
  const bend = bendOf(from, evaluate(how.degrees, values));
  if (bend === undefined) return { width: from.width, height: from.height };
  const { half, outer, inner } = bend;
  const reach = half >= Math.PI / 2 ? outer : outer * Math.sin(half);
  const lowest = half >= Math.PI / 2 ? -outer * Math.cos(half) : -inner * Math.cos(half);
  return { width: Math.max(1, Math.ceil(2 * reach)), height: Math.max(1, Math.ceil(outer + lowest)) };
}

type Corner = readonly [x: number, y: number];

/** Top left, top right, bottom right, bottom left. */
function cornersOf({ corners }: Extract<Distort, { kind: "perspective" }>, values: Values): Corner[] {
  const numbers = corners.map((corner) => evaluate(corner, values));
  return [0, 2, 4, 6].map((n) => [numbers[n]!, numbers[n + 1]!]);
}

function boundsOf(corners: readonly Corner[]) {
  const xs = corners.map(([x]) => x);
  const ys = corners.map(([, y]) => y);
  return { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
}

/** Where a point of the result lies in the source. */
type Lookup = (x: number, y: number) => readonly [x: number, y: number];

/** Samples between four pixels; outside is transparent. */
function sample(source: Pixels, size: Size, lookup: Lookup): Pixels {
  const { data: from, width, height } = source;
  const data = Buffer.alloc(size.width * size.height * 4);
  for (let y = 0, n = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++, n += 4) {
      const [px, py] = lookup(x + 0.5, y + 0.5);
      const [sx, sy] = [px - 0.5, py - 0.5];
      if (!(sx > -1 && sy > -1 && sx < width && sy < height)) continue;
      const [left, top] = [Math.floor(sx), Math.floor(sy)];
      const [right, down] = [sx - left, sy - top];
      let alpha = 0;
      const sums = [0, 0, 0];
      for (let corner = 0; corner < 4; corner++) {
        const [cx, cy] = [left + (corner & 1), top + (corner >> 1)];
        if (cx < 0 || cy < 0 || cx >= width || cy >= height) continue;
        const weight = ((corner & 1) === 1 ? right : 1 - right) * (corner > 1 ? down : 1 - down);
        const at = (cy * width + cx) * 4;
        const opacity = weight * from[at + 3]!;
        alpha += opacity;
        for (let channel = 0; channel < 3; channel++)
          sums[channel] = sums[channel]! + opacity * from[at + channel]!;
      }
      if (alpha === 0) continue;
      for (let channel = 0; channel < 3; channel++) data[n + channel] = Math.round(sums[channel]! / alpha);
      data[n + 3] = Math.round(alpha);
    }
  }
  return { data, ...size };
}

function perspective(source: Pixels, corners: readonly Corner[], size: Size): Pixels {
  const { left, top } = boundsOf(corners);
  const matrix = inverse(unitSquareTo(corners.map(([x, y]) => [x - left, y - top])));
  const lookup: Lookup = (x, y) => {
    const w = matrix[6]! * x + matrix[7]! * y + matrix[8]!;
    const u = (matrix[0]! * x + matrix[1]! * y + matrix[2]!) / w;
    const v = (matrix[3]! * x + matrix[4]! * y + matrix[5]!) / w;
    return [u * source.width, v * source.height];
  };
  return sample(source, size, lookup);
}

/** Heckbert, Fundamentals of Texture Mapping and Image Warping (1989), section 2.2.3. */
function unitSquareTo(quad: readonly Corner[]): number[] {
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = quad as [Corner, Corner, Corner, Corner];
  const [dx1, dx2, sx] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3];
  const [dy1, dy2, sy] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3];
  const area = dx1 * dy2 - dx2 * dy1;
  if (Math.abs(area) < 1e-9) throw flat();
  const g = (sx * dy2 - dx2 * sy) / area;
  const h = (dx1 * sy - sx * dy1) / area;
  return [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
}

const flat = (): DeliveryError =>
  new DeliveryError("InvalidParameter", "e-distort: the four corners must span a surface.");

function inverse(m: readonly number[]): number[] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0] = m;
  const adjugate = [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    a * e - b * d,
  ];
  const determinant = a * adjugate[0]! + b * adjugate[3]! + c * adjugate[6]!;
  if (Math.abs(determinant) < 1e-9) throw flat();
  return adjugate.map((one) => one / determinant);
}

interface Bend {
  /** Of the arc, in radians. */
  readonly angle: number;
  readonly half: number;
  readonly outer: number;
  readonly inner: number;
  readonly upwards: boolean;
}

/** The width becomes an arc of that many degrees; negative ones open upwards. Undefined: so few that nothing bends. */
function bendOf({ width, height }: Size, degrees: number): Bend | undefined {
  const span = Math.min(360, Math.abs(degrees));
  if (span < 0.1) return undefined;
  const angle = (span * Math.PI) / 180;
  // The middle line of the picture keeps its length, unless the lower edge would cross itself.
  const middle = Math.max(width / angle, height / 2);
  return {
    angle,
    half: angle / 2,
    outer: middle + height / 2,
    inner: middle - height / 2,
    upwards: degrees > 0,
  };
}

function arc(source: Pixels, { angle, half, outer, inner, upwards }: Bend, size: Size): Pixels {
  const { width, height } = source;
  const lookup: Lookup = (x, y) => {
    const dx = x - size.width / 2;
    const dy = upwards ? outer - y : outer - (size.height - y);
    const radius = Math.hypot(dx, dy);
    const along = Math.atan2(dx, dy);
    if (radius > outer || radius < inner || Math.abs(along) > half) return OUTSIDE;
    const u = (along / angle + 0.5) * width;
    const v = outer - radius;
    return upwards ? [u, v] : [u, height - v];
  };
  return sample(source, size, lookup);
}
const OUTSIDE: readonly [number, number] = [-10, -10];
