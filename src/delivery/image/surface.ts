/** A picture under way, as the operations of a renderer hand it to each other. */
import sharp, { type Channels, type Sharp } from "sharp";
import { BLACK } from "../plan/colours.ts";
import type { Colour } from "../plan/plan.ts";
import type { Job } from "./job.ts";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Pixels in sRGB, eight bits a channel, all frames one below the other. */
export interface Memory extends Size {
  readonly data: Buffer;
  readonly channels: Channels;
}

/**
 * Lazy: `image` is a pipeline whose result has this size. A pipeline of sharp has an order of its own and does each
 * operation once: what needs another, or pixels, settles it first. Operations use up the surface that they are given;
 * what only looks at one works on a copy (`copyOf`).
 */
export interface Surface extends Size {
  readonly image: Sharp;
  readonly alpha: boolean;
  /** Frames; 1 for a still. `height` is that of one frame. */
  readonly pages: number;
  /** Nothing is in the pipeline yet but the source and its orientation. */
  readonly fresh: boolean;
  /** What the pipeline begins from, unless that is a source. */
  readonly memory?: Memory;
}

/** What all operations of one render share. */
export interface Environment {
  readonly job: Job;
  /** Bytes of layers' pictures and fonts by the path in the plan. */
  readonly inputs: ReadonlyMap<string, Buffer>;
  /** Headers that the result will carry; operations add to them. Flat: name, value. */
  readonly headers: string[];
  /** The immediate parent of the layer that is made; undefined for the base. */
  readonly parent: Size | undefined;
  /** What places in the source are counted in, while all of it is shown; undefined once it isn't, and in layers. */
  readonly source: Size | undefined;
  /**
   * Called before an operation makes a picture of that size.
   * @throws DeliveryError LimitExceeded beyond what one operation may make
   */
  spend(size: Size, pages?: number): void;
}

/** What opaque pictures lie on where no step says. Black is ImageKit's. */
export const groundOf = ({ job }: Pick<Environment, "job">): Colour => job.plan.defaults.ground ?? BLACK;

/** Pixels of one frame, four channels of eight bits. */
export interface Pixels extends Size {
  readonly data: Buffer;
}

/** A surface over pixels that nobody else writes to. */
export function fromMemory(memory: Memory, pages: number): Surface {
  const { data, width, height, channels } = memory;
  const frame = height / pages;
  const image = sharp(data, {
    limitInputPixels: false,
    // All of them: sharp takes raw pixels for one page unless told so.
    pages: -1,
    raw: { width, height, channels, ...(pages > 1 ? { pageHeight: frame } : {}) },
  });
  return { image, width, height: frame, alpha: channels === 4, pages, fresh: true, memory };
}

/** What a pipeline comes to. */
export async function run(image: Sharp): Promise<Memory> {
  const { data, info } = await image
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  return { data, width, height, channels };
}

/** What a pipeline comes to, with an alpha channel. */
export const runRgba = (image: Sharp): Promise<Memory> => run(image.ensureAlpha());

/** A surface over the pixels that a pipeline comes to. */
export const settled = async (image: Sharp, pages = 1): Promise<Surface> =>
  fromMemory(await run(image), pages);

/** Runs the pipeline; the result is a surface over pixels. Costs nothing where it is one already. */
export async function settle({ image, pages, fresh, memory }: Surface): Promise<Surface> {
  return fresh && memory !== undefined ? fromMemory(memory, pages) : settled(image, pages);
}

/** Whose pipeline has gone on, up to a picture of that size. */
export const pipedTo = (surface: Surface, { width, height }: Size, image: Sharp): Surface => ({
  ...surface,
  width,
  height,
  image,
  fresh: false,
});

/** A pipeline of its own with the same result. sharp copies what isn't in memory yet. */
export const copyOf = ({ image, pages, fresh, memory }: Surface): Sharp =>
  fresh && memory !== undefined ? fromMemory(memory, pages).image : image.clone();

/** The pixels of a still, to be written to. */
export async function pixelsOf(surface: Surface): Promise<Pixels> {
  const { fresh, memory } = surface;
  if (fresh && memory?.channels === 4) {
    return { data: Buffer.from(memory.data), width: memory.width, height: memory.height };
  }
  return runRgba(fresh && memory !== undefined ? copyOf(surface) : surface.image);
}

export const surfaceOf = ({ data, width, height }: Pixels): Surface =>
  fromMemory({ data, width, height, channels: 4 }, 1);

/** Pixels without an alpha channel where there was none before, for work that makes nothing transparent. */
export async function surfaceLike(pixels: Pixels, { alpha }: Pick<Surface, "alpha">): Promise<Surface> {
  const surface = surfaceOf(pixels);
  return alpha ? surface : settled(surface.image.removeAlpha());
}

/** Of RGBA: whether nothing is seen through. */
export function isOpaque(data: Buffer): boolean {
  for (let n = 3; n < data.length; n += 4) if (data[n] !== 255) return false;
  return true;
}

/** As sharp has it. */
export const rgba = ({ r, g, b, a }: Colour) => ({ r, g, b, alpha: a });

/** A surface of one colour. */
export function blank({ width, height }: Size, colour: Colour): Surface {
  const alpha = colour.a < 1;
  const create = { width, height, channels: alpha ? 4 : 3, background: rgba(colour) } as const;
  const image = sharp({ create, limitInputPixels: false });
  return { image, width, height, alpha, pages: 1, fresh: true };
}

/** `top` over `base`, whose size is kept; what lies outside is cut off. An opaque base stays opaque. */
export async function over(
  base: Surface,
  top: Surface,
  at: { left: number; top: number },
  blend: "over" | "dest-out" = "over",
): Promise<Surface> {
  const left = Math.round(at.left);
  const topEdge = Math.round(at.top);
  const cut = {
    left: Math.max(0, -left),
    top: Math.max(0, -topEdge),
    width: Math.min(top.width, base.width - left) - Math.max(0, -left),
    height: Math.min(top.height, base.height - topEdge) - Math.max(0, -topEdge),
  };
  if (cut.width <= 0 || cut.height <= 0) return base;
  const pixels = await pixelsOf(top);
  const whole = cut.width === pixels.width && cut.height === pixels.height;
  const raw = { width: pixels.width, height: pixels.height, channels: 4 as const };
  const input = whole
    ? pixels.data
    : await sharp(pixels.data, { raw, limitInputPixels: false }).extract(cut).raw().toBuffer();
  const ready = base.fresh ? base : await settle(base);
  const image = ready.image.composite([
    {
      input,
      raw: { width: cut.width, height: cut.height, channels: 4 },
      left: Math.max(0, left),
      top: Math.max(0, topEdge),
      blend,
    },
  ]);
  const opaque = !ready.alpha && blend === "over";
  return { ...ready, image: opaque ? image.removeAlpha() : image, alpha: !opaque, fresh: false };
}
