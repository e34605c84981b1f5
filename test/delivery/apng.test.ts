/** Animated PNGs, written by hand: what of them is seen in each frame, and what becomes of it. */
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chunk, latin, u16, u32 } from "./hostile/rasters.ts";
import { colourAt, openSite, quadrants, sizeOf, type Reply, type Site } from "./site.ts";

const CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
const [WIDTH, HEIGHT] = [40, 20];
type Rgba = readonly [number, number, number, number];
const [RED, GREEN, WHITE]: Rgba[] = [
  [255, 0, 0, 255],
  [0, 255, 0, 255],
  [255, 255, 255, 255],
];
const HALF_BLUE: Rgba = [0, 0, 255, 128];
const CLEAR: Rgba = [0, 0, 0, 0];

interface Part {
  readonly at: readonly [left: number, top: number, width: number, height: number];
  readonly colour: Rgba;
  readonly delay: readonly [number, number];
  /** 0: all stays, 1: nothing, 2: what was before. */
  readonly dispose: number;
  readonly over?: boolean;
}
const PARTS: readonly Part[] = [
  { at: [0, 0, WIDTH, HEIGHT], colour: RED!, delay: [100, 1000], dispose: 0 },
  { at: [20, 0, 20, 20], colour: GREEN!, delay: [20, 100], dispose: 1 },
  { at: [0, 0, 10, 10], colour: HALF_BLUE, delay: [1, 4], dispose: 2, over: true },
  { at: [30, 10, 10, 10], colour: WHITE!, delay: [50, 0], dispose: 0 },
];
/** At a quarter and three quarters across, half-way down but a little; above left; below right. */
const PLACES = [
  [5, 5],
  [15, 15],
  [25, 5],
  [35, 15],
] as const;
const HALF: Rgba = [127, 0, 128, 255];
const SEEN: readonly (readonly Rgba[])[] = [
  [RED!, RED!, RED!, RED!],
  [RED!, RED!, GREEN!, GREEN!],
  [HALF, RED!, CLEAR, CLEAR],
  [RED!, RED!, CLEAR, WHITE!],
];

const pixels = (width: number, height: number, colour: Rgba): Buffer => {
  const row = Buffer.concat([Buffer.from([0]), ...Array.from({ length: width }, () => Buffer.from(colour))]);
  return deflateSync(Buffer.concat(Array.from({ length: height }, () => row)));
};

/** `poster`: what those see who know nothing of animations, instead of the first frame. */
function apng(parts: readonly Part[], poster?: Rgba): Buffer {
  let sequence = 0;
  const frames = parts.flatMap(({ at: [left, top, width, height], colour, delay, dispose, over }, n) => {
    const control = [
      u32(sequence++, width, height, left, top),
      u16(...delay),
      Buffer.from([dispose, over ? 1 : 0]),
    ];
    const data = pixels(width, height, colour);
    const first = n === 0 && poster === undefined;
    return [
      chunk("fcTL", Buffer.concat(control)),
      first ? chunk("IDAT", data) : chunk("fdAT", Buffer.concat([u32(sequence++), data])),
    ];
  });
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", Buffer.concat([u32(WIDTH, HEIGHT), Buffer.from([8, 6, 0, 0, 0])])),
    chunk("tEXt", latin("Comment\0taken at home")),
    chunk("acTL", u32(parts.length, 3)),
    ...(poster === undefined ? [] : [chunk("IDAT", pixels(WIDTH, HEIGHT, poster))]),
    ...frames,
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

let site: Site;
beforeAll(async () => {
  site = await openSite();
  await site.put("moving.png", apng(PARTS));
  await site.put("moving.apng", apng(PARTS));
  await site.put("poster.png", apng(PARTS, WHITE));
  await site.put("base.png", await quadrants(80, 40).png().toBuffer());
});
afterAll(() => site[Symbol.asyncDispose]());

const get = (path: string, accept = "*/*"): Promise<Reply> =>
  site.get(`/root/${path}`, { headers: { accept } });

/** What is seen at the places, frame by frame. */
async function seen(body: Buffer): Promise<Rgba[][]> {
  const { data, info } = await sharp(body, { pages: -1 })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { pageHeight = info.height } = await sharp(body, { pages: -1 }).metadata();
  const scale = info.width / WIDTH;
  return Array.from({ length: info.height / pageHeight }, (_, page) =>
    PLACES.map(([x, y]) => {
      const n = ((page * pageHeight + y * scale) * info.width + x * scale) * 4;
      const [r, g, b, a] = data.subarray(n, n + 4) as unknown as Rgba;
      return a === 0 ? CLEAR : [r, g, b, a];
    }),
  );
}
const near = (one: readonly (readonly Rgba[])[], other: readonly (readonly Rgba[])[], off: number): boolean =>
  one.length === other.length && one.flat(2).every((value, n) => Math.abs(value - other.flat(2)[n]!) <= off);
const framesIn = (png: Buffer): number => png.toString("latin1").split("fcTL").length - 1;

test.each(["moving.png", "moving.apng", "poster.png"])(
  "%s stays as it moves where nothing is to be done, without what isn't seen",
  async (key) => {
    for (const path of [key, `tr:f-auto/${key}`, `tr:q-50/${key}`, `tr:w-${WIDTH}/${key}`]) {
      for (const accept of ["*/*", "image/png,image/*;q=0.8", CHROME]) {
        const { body, headers } = await get(path, accept);
        const is = [headers.get("content-type"), framesIn(body), body.includes("taken at home")];
        expect([path, accept, ...is]).toEqual([path, accept, "image/png", 4, false]);
        expect(body.length).toBe((key === "poster.png" ? apng(PARTS, WHITE) : apng(PARTS)).length - 33);
      }
    }
    const alias = await site.get(`/image/photos/${key}?q=60`);
    expect(framesIn(alias.body)).toBe(4);
  },
);

describe("transformed", () => {
  test.each(["moving.png", "poster.png"])("%s moves on, as WebP or as GIF", async (key) => {
    for (const [accept, format, off] of [
      [CHROME, "webp", 0],
      ["*/*", "gif", 12],
    ] as const) {
      const { body } = await get(`tr:w-80,lo-true/${key}`, accept);
      const { width, height, pages, delay, loop, ...rest } = await sharp(body).metadata();
      const is = { format: rest.format, width, height, pages, delay, loop };
      // The last one names no unit: hundredths.
      const delays = [100, 200, 250, 500];
      expect(is).toEqual({ format, width: 80, height: 40, pages: 4, delay: delays, loop: 3 });
      expect([accept, near(await seen(body), SEEN, off)]).toEqual([accept, true]);
    }
  });

  test("each frame is worked on", async () => {
    const { body } = await get("tr:fl-h,f-webp,lo-true/moving.png");
    const mirrored = await sharp(body, { pages: -1 }).metadata();
    expect([mirrored.pages, await colourAt(body, 0.9, 0.2)]).toEqual([4, "red"]);
    const { data } = await sharp(body, { page: 1 }).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
    expect([...data.subarray(0, 4)]).toEqual(GREEN);
  });

  test("what can't move shows the first frame, or what is there for those who know no animations", async () => {
    for (const format of ["png", "jpg", "avif"]) {
      expect(await colourAt((await get(`tr:f-${format}/moving.png`)).body, 0.5, 0.5)).toBe("red");
      expect(await colourAt((await get(`tr:f-${format}/poster.png`)).body, 0.5, 0.5)).toBe("white");
    }
  });

  test("one that is opaque throughout is padded as opaque pictures are", async () => {
    await site.put(
      "opaque.png",
      apng(PARTS.map((part, n) => ({ ...part, colour: [n * 80, 0, 0, 255] as const, dispose: 0 }))),
    );
    const { body } = await get("tr:w-40,h-40,cm-pad_resize,f-webp,lo-true/opaque.png");
    const data = await sharp(body, { page: 3 }).ensureAlpha().raw().toBuffer();
    expect([...data.subarray(0, 4)]).toEqual([0, 0, 0, 255]);
  });
});

describe("pg", () => {
  test.each([1, 2, 3, 4])("-%i is that frame", async (page) => {
    for (const path of [
      `tr:pg-${page},f-png/moving.png`,
      `moving.png/ik-thumbnail.jpg?tr=pg-${page},f-png`,
    ]) {
      const { body } = await get(path);
      expect([path, await sizeOf(body), near(await seen(body), [SEEN[page - 1]!], 1)]).toEqual([
        path,
        `png ${WIDTH}x${HEIGHT}`,
        true,
      ]);
    }
  });

  test.each([
    ["2-3", [1, 2]],
    ["4_1", [3, 0]],
    ["3-", [2, 3]],
  ])("-%s are those", async (pages, expected) => {
    const { body } = await get(`tr:pg-${pages},f-webp,lo-true/moving.png`);
    expect(
      near(
        await seen(body),
        expected.map((n) => SEEN[n]!),
        1,
      ),
    ).toBe(true);
  });

  test("beyond the last is an error", async () => {
    const { status, headers } = await get("tr:pg-5/moving.png");
    expect([status, headers.get("x-windlass-error")]).toEqual([
      400,
      "InvalidParameter - pg: There is no page 5; the source has 4.",
    ]);
    expect((JSON.parse((await get("moving.png/metadata")).body.toString()) as { pages: number }).pages).toBe(
      4,
    );
  });

  test("of a layer is that frame", async () => {
    const { body } = await get("tr:l-image,i-moving.png,pg-2,t-false,lfo-top_left,l-end,f-png/base.png");
    expect(await Promise.all([0.1, 0.4].map((x) => colourAt(body, x, 0.1)))).toEqual(["red", "green"]);
  });
});

describe("a damaged one", () => {
  const whole = apng(PARTS);
  const outside = apng([PARTS[0]!, { ...PARTS[1]!, at: [30, 0, 20, 20] }]);
  const noise = Buffer.from(whole);
  noise.fill(0xa5, noise.indexOf("fdAT") + 8, noise.indexOf("fdAT") + 20);
  test.each([
    ["with a frame beyond its edge", outside],
    ["with a frame of noise", noise],
    ["with an animation that ends within its numbers", apng(PARTS.slice(0, 2)).subarray(0, -40)],
  ])("%s is refused, and by itself the file that it is", async (name, body) => {
    const key = `${name.replaceAll(" ", "-")}.png`;
    await site.put(key, body);
    const { status, headers } = await get(`tr:w-10,f-webp/${key}`);
    expect([status, headers.get("x-windlass-error")?.split(" ")[0]]).toEqual([422, "DamagedSource"]);
    const plain = await get(key);
    expect([plain.status, plain.body.equals(body)]).toEqual([200, true]);
  });
});
