/** How a layer and its base become one: over it, multiplied, displacing it, cut out of it, cutting it. */
import { over, pixelsOf, settle, surfaceLike, surfaceOf, type Surface } from "./surface.ts";

/** Where the layer's top left corner lies on the base, in pixels. */
export interface Spot {
  readonly left: number;
  readonly top: number;
}

export async function lay(base: Surface, layer: Surface, spot: Spot): Promise<Surface> {
  return settle(await over(base, layer, spot));
}

/**
 * W3C, Compositing and Blending Level 1, sections 5.8 and 10.1. libvips' own counts the opacity twice, so that what is
 * half seen comes out too dark.
 */
export async function multiply(base: Surface, layer: Surface, spot: Spot): Promise<Surface> {
  const below = await pixelsOf(base);
  const top = await pixelsOf(layer);
  const { data, width, height } = below;
  const right = Math.min(width, spot.left + top.width);
  const bottom = Math.min(height, spot.top + top.height);
  for (let y = Math.max(0, spot.top); y < bottom; y++) {
    for (let x = Math.max(0, spot.left); x < right; x++) {
      const n = (y * width + x) * 4;
      const m = ((y - spot.top) * top.width + x - spot.left) * 4;
      const [a, b] = [top.data[m + 3]! / 255, data[n + 3]! / 255];
      if (a === 0) continue;
      const all = a + b - a * b;
      for (let channel = 0; channel < 3; channel++) {
        const [own, under] = [top.data[m + channel]!, data[n + channel]!];
        const sum = own * a * (1 - b) + under * b * (1 - a) + (own * under * a * b) / 255;
        data[n + channel] = Math.round(sum / all);
      }
      data[n + 3] = Math.round(all * 255);
    }
  }
  return surfaceLike(below, base);
}

/** What is opaque in the layer becomes a hole in the base. */
export async function cutOut(base: Surface, layer: Surface, spot: Spot): Promise<Surface> {
  return settle(await over(base, layer, spot, "dest-out"));
}

/** Of the base remains what lies under the layer, in its size and shape. A layer beside the base leaves it alone. */
export async function cutTo(base: Surface, layer: Surface, spot: Spot): Promise<Surface> {
  const left = Math.max(0, spot.left);
  const top = Math.max(0, spot.top);
  const width = Math.min(base.width, spot.left + layer.width) - left;
  const height = Math.min(base.height, spot.top + layer.height) - top;
  if (width <= 0 || height <= 0) return base;
  const { data, width: wide } = await pixelsOf(base);
  const shape = await pixelsOf(layer);
  const cut = Buffer.alloc(width * height * 4);
  for (let y = 0; y < height; y++) {
    const row = ((top + y) * wide + left) * 4;
    data.copy(cut, y * width * 4, row, row + width * 4);
    const mask = ((top + y - spot.top) * shape.width + left - spot.left) * 4 + 3;
    for (let x = 0; x < width; x++) {
      const n = (y * width + x) * 4 + 3;
      cut[n] = Math.round((cut[n]! * shape.data[mask + x * 4]!) / 255);
    }
  }
  return surfaceOf({ data: cut, width, height });
}

/**
 * Moves the base's pixels: red by up to `across`, green by up to `down` pixels, both ways from the middle grey, as far
 * as the layer is opaque. What comes from outside the base is its edge.
 */
export async function displace(
  base: Surface,
  layer: Surface,
  spot: Spot,
  { across, down }: { across: number; down: number },
): Promise<Surface> {
  const from = await pixelsOf(base);
  const map = await pixelsOf(layer);
  const to = Buffer.from(from.data);
  const { width, height } = from;
  const right = Math.min(width, spot.left + map.width);
  const bottom = Math.min(height, spot.top + map.height);
  for (let y = Math.max(0, spot.top); y < bottom; y++) {
    for (let x = Math.max(0, spot.left); x < right; x++) {
      const m = ((y - spot.top) * map.width + x - spot.left) * 4;
      const part = map.data[m + 3]! / 255 / 127.5;
      const sourceX = x + (map.data[m]! - 127.5) * across * part;
      const sourceY = y + (map.data[m + 1]! - 127.5) * down * part;
      sample(from.data, width, height, sourceX, sourceY, to, (y * width + x) * 4);
    }
  }
  return surfaceLike({ data: to, width, height }, base);
}

/** Between the four pixels around a place, weighed by nearness. */
function sample(
  data: Buffer,
  width: number,
  height: number,
  x: number,
  y: number,
  to: Buffer,
  at: number,
): void {
  const cx = Math.max(0, Math.min(width - 1, x));
  const cy = Math.max(0, Math.min(height - 1, y));
  const left = Math.floor(cx);
  const top = Math.floor(cy);
  const right = Math.min(width - 1, left + 1);
  const bottom = Math.min(height - 1, top + 1);
  const [fx, fy] = [cx - left, cy - top];
  for (let channel = 0; channel < 4; channel++) {
    const a = data[(top * width + left) * 4 + channel]!;
    const b = data[(top * width + right) * 4 + channel]!;
    const c = data[(bottom * width + left) * 4 + channel]!;
    const d = data[(bottom * width + right) * 4 + channel]!;
    to[at + channel] = Math.round((a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy);
  }
}
