/** What the tests of the picture core share: small pictures, jobs, and a look at what comes out. */
import { crc32, deflateSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { DeliveryError } from "../../../../src/delivery/errors.ts";
import type { ClientHints, Job, Picture } from "../../../../src/delivery/image/job.ts";
import { render } from "../../../../src/delivery/image/render.ts";
import { DEFAULT_LIMITS } from "../../../../src/delivery/limits.ts";
import { canonical } from "../../../../src/delivery/plan/canonical.ts";
import type { Condition, FormatChoice, Options, Step } from "../../../../src/delivery/plan/plan.ts";

export type Rgb = readonly [number, number, number];
export const RED: Rgb = [255, 0, 0];
export const GREEN: Rgb = [0, 255, 0];
export const BLUE: Rgb = [0, 0, 255];
export const WHITE: Rgb = [255, 255, 255];
export const BLACK: Rgb = [0, 0, 0];
export const YELLOW: Rgb = [255, 255, 0];

export const colour = ([r, g, b]: Rgb, a = 1) => ({ r, g, b, a });
export const step = (options: Partial<Options>): Step => ({ options, layers: [] });
export const choice = (when: Condition, yes: readonly Step[], no: readonly Step[] = []): Step => ({
  when,
  // oxlint-disable-next-line unicorn/no-thenable -- the plan's own word, and nothing is awaited here.
  then: yes,
  otherwise: no,
});

/** RGBA by a rule. */
export function drawn(
  width: number,
  height: number,
  rule: (x: number, y: number) => readonly number[],
): Sharp {
  const data = Buffer.alloc(width * height * 4, 255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(rule(x, y), (y * width + x) * 4);
  }
  return sharp(data, { raw: { width, height, channels: 4 } });
}

/** Without alpha: red, green above; blue, white below. */
export const quadrants = (width: number, height: number): Sharp =>
  drawn(width, height, (x, y) =>
    y < height / 2 ? (x < width / 2 ? RED : GREEN) : x < width / 2 ? BLUE : WHITE,
  ).removeAlpha();

/** Without alpha, from left to right. */
export const stripes = (width: number, height: number, colours: readonly Rgb[]): Sharp =>
  drawn(width, height, (x) => colours[Math.floor((x * colours.length) / width)]!).removeAlpha();

export const plain = (width: number, height: number, one: Rgb): Sharp => stripes(width, height, [one]);

export interface Setup {
  readonly steps?: readonly Step[];
  readonly options?: Partial<Options>;
  readonly hints?: Partial<ClientHints>;
  readonly limits?: Partial<Job["limits"]>;
  readonly format?: FormatChoice;
  readonly customCoordinates?: string;
  readonly detector?: Job["detector"];
}

export function jobOf(setup: Setup): Job {
  return {
    kind: "picture",
    plan: canonical({
      steps: setup.steps ?? [step(setup.options ?? {})],
      defaults: { quality: 80, format: setup.format ?? "png" },
    }),
    hints: { accepts: [], ...setup.hints },
    inputs: [],
    limits: { ...DEFAULT_LIMITS, ...setup.limits },
    ...(setup.customCoordinates === undefined ? {} : { customCoordinates: setup.customCoordinates }),
    ...(setup.detector === undefined ? {} : { detector: setup.detector }),
  };
}

/** What came out, and what is seen of it. */
export class Seen {
  readonly picture: Picture;
  readonly #data: Buffer;
  readonly #width: number;
  readonly size: string;
  constructor(picture: Picture, data: Buffer, width: number, height: number) {
    this.picture = picture;
    this.#data = data;
    this.#width = width;
    this.size = `${width}x${height}`;
  }

  /** Red, green, blue, alpha. */
  rgba(x: number, y: number): number[] {
    const at = (y * this.#width + x) * 4;
    return [...this.#data.subarray(at, at + 4)];
  }

  alpha(x: number, y: number): number {
    return this.rgba(x, y)[3]!;
  }

  /** The name of the colour there; its channels where it is none of ours. */
  at(x: number, y: number): string {
    const [r, g, b, a] = this.rgba(x, y) as [number, number, number, number];
    if (a < 10) return "clear";
    const near = (one: Rgb): boolean => Math.hypot(one[0] - r, one[1] - g, one[2] - b) < 50;
    return Object.entries(NAMES).find(([, one]) => near(one))?.[0] ?? `${r},${g},${b}`;
  }

  /** Colours at these places, which are fractions of the size. */
  row(xs: readonly number[], y = 0.5): string[] {
    const [width = 0, height = 0] = this.size.split("x").map(Number);
    return xs.map((x) => this.at(Math.floor(x * width), Math.floor(y * height)));
  }
}
const NAMES = { red: RED, green: GREEN, blue: BLUE, white: WHITE, black: BLACK, yellow: YELLOW };

/** Decodes a result: its first frame. */
export async function see(picture: Picture): Promise<Seen> {
  const { data, info } = await sharp(picture.data)
    .toColourspace("srgb")
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return new Seen(picture, data, info.width, info.height);
}

export async function make(source: Sharp | Buffer, setup: Setup): Promise<Seen> {
  const bytes = Buffer.isBuffer(source) ? source : await source.png().toBuffer();
  const picture = await render([bytes], jobOf(setup));
  return see(picture);
}

/** Code and message of the refusal. */
export async function refusal(source: Sharp | Buffer, setup: Setup): Promise<string> {
  try {
    await make(source, setup);
  } catch (error) {
    if (error instanceof DeliveryError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "served";
}

/** Of a PNG. */
export function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** A PNG of 67 bytes that says that it is so large. Decoding it fails. */
export function promising(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(Buffer.alloc(10))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** An animation of one colour a frame. */
export async function animation(
  format: "gif" | "webp",
  width: number,
  height: number,
  colours: readonly Rgb[],
  delay = 120,
): Promise<Buffer> {
  const stills = await Promise.all(colours.map((one) => plain(width, height, one).png().toBuffer()));
  const joined = sharp(stills, { join: { animated: true } });
  const times = colours.map(() => delay);
  return format === "gif"
    ? joined.gif({ loop: 3, delay: times }).toBuffer()
    : joined.webp({ loop: 3, delay: times, lossless: true }).toBuffer();
}

/** Frames, their height, how they play, and the colour in the middle of each. */
export async function frames(picture: Picture) {
  const metadata = await sharp(picture.data, { pages: -1 }).metadata();
  const pages = metadata.pages ?? 1;
  const colours: string[] = [];
  for (let page = 0; page < pages; page++) {
    const { data, info } = await sharp(picture.data, { page })
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const seen = new Seen(picture, data, info.width, info.height);
    colours.push(...seen.row([0.5]));
  }
  const { format, width, pageHeight, loop, delay } = metadata;
  return { format, size: `${width}x${pageHeight ?? metadata.height}`, loop, delay, colours };
}
