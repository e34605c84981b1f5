/** Steps that follow each other, and frames that do: what comes before leaves no trace but its pixels. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  canvas,
  colourAt,
  difference,
  each,
  imageOf,
  laid,
  pixelsOf,
  type Pixels,
  type Rgba,
} from "./conformance/pixels.ts";
import { openSite, type Site } from "./site.ts";

const BLACK: Rgba = [0, 0, 0, 255];
const WIDTH = 40;
const HEIGHT = 20;
/** Opaque. */
const PICTURE = each(canvas(WIDTH, HEIGHT, BLACK), (_, x, y) => [x * 6, y * 12, 90, 255]);

let site: Site;
beforeAll(async () => {
  site = await openSite();
  await site.put("opaque.png", await imageOf(PICTURE).removeAlpha().png().toBuffer());
  const faded = each(PICTURE, ([r, g, b], x) => [r, g, b, x < 20 ? 255 : 100]);
  await site.put("faded.png", await imageOf(faded).png().toBuffer());
});
afterAll(() => site[Symbol.asyncDispose]());

async function shown(chain: string, key: string): Promise<Pixels> {
  const { status, headers, body } = await site.get(`/root/tr:${chain}:f-png/${key}`);
  expect([chain, status, headers.get("x-windlass-error")]).toEqual([chain, 200, null]);
  return pixelsOf(body);
}

/** The picture in the middle of a black canvas. */
const padded = (width: number, height: number): Pixels =>
  laid(canvas(width, height, BLACK), PICTURE, (width - WIDTH) / 2, (height - HEIGHT) / 2);

describe("paddings in a row add up", () => {
  test.each([
    ["w-60,h-20,cm-pad_extract", "w-60,h-60,cm-pad_extract", 60, 60],
    ["w-60,cm-pad_extract_no_shrink", "h-50,cm-pad_extract_no_shrink", 60, 50],
    ["w-40,h-30,cm-pad_resize", "w-80,h-30,cm-pad_resize,bg-black", 80, 30],
    ["w-60,h-20,cm-pad_extract", "w-60,h-60,cm-pad_extract:w-80,h-70,cm-pad_extract", 80, 70],
  ])("%s:%s", async (first, then, width, height) => {
    const seen = await shown(`${first}:${then}`, "opaque.png");
    expect([seen.width, seen.height]).toEqual([width, height]);
    expect(difference(seen, padded(width, height)).mean).toBe(0);
  });
});

describe("what says nothing changes nothing", () => {
  // Each is asked before anybody asked for the same without it: the two share one entry of the cache.
  test.each([
    ["o-100", 60],
    ["r-0", 62],
    ["rt-360", 64],
    ["if-w_gt_1,o-100,if-end", 66],
  ])("%s", async (idle, width) => {
    const chain = `${idle}:w-${width},h-60,cm-pad_extract`;
    expect(difference(await shown(chain, "opaque.png"), padded(width, 60)).mean).toBe(0);
  });

  test("in a layer", async () => {
    const layer = "l-image,i-opaque.png,t-false:o-100:w-44,h-24,cm-pad_extract,l-end";
    const seen = await shown(`w-80,h-60,c-force,${layer}`, "opaque.png");
    expect(colourAt(seen, 19, 19)).toEqual(BLACK);
  });
});

describe("what is opaque has black beside it, whatever was done to it", () => {
  test.each([
    ["e-colorize", "opaque.png"],
    ["e-usm", "opaque.png"],
    ["e-gradient", "opaque.png"],
    ["cr-green_10_FF0000", "opaque.png"],
    ["w-40,h-40,cm-pad_resize,bg-dominant", "opaque.png"],
    ["w-40,h-40,cm-pad_resize,bg-blurred", "opaque.png"],
    ["w-40,h-40,cm-pad_resize,bg-gradient_dominant", "opaque.png"],
    ["bg-red", "faded.png"],
    ["bg-dominant", "faded.png"],
    ["l-image,i-faded.png,lm-displace,x-3,l-end", "opaque.png"],
  ])("%s of %s", async (before, key) => {
    const [wide, turned] = [
      await shown(`${before}:w-90,h-90,cm-pad_extract`, key),
      await shown(`${before}:rt-45`, key),
    ];
    expect([colourAt(wide, 0, 0), colourAt(turned, 0, 0)]).toEqual([BLACK, BLACK]);
  });

  test("in the same step", async () => {
    expect(colourAt(await shown("e-usm,rt-45", "opaque.png"), 0, 0)).toEqual(BLACK);
  });

  test("and what isn't has nothing", async () => {
    const seen = await shown("e-usm:cr-green_10_FF0000:w-90,h-90,cm-pad_extract", "faded.png");
    expect(colourAt(seen, 0, 0)[3]).toBe(0);
    const cleared = await shown("cr-00FF0000_100:rt-45", "opaque.png");
    expect(colourAt(cleared, 0, 0)[3]).toBe(0);
  });
});

describe("frames of an animation don't run into each other", () => {
  beforeAll(async () => {
    // Light above and dark below, so that the edges of two frames differ.
    const frames = [255, 130, 200].map((light) =>
      imageOf(each(canvas(30, 20, BLACK), (_, __, y) => [y < 10 ? light : 0, 60, 0, 255]))
        .removeAlpha()
        .png()
        .toBuffer(),
    );
    const all = await Promise.all(frames);
    for (const [n, frame] of all.entries()) await site.put(`frame${n}.png`, frame);
    const film = sharp(all, { join: { animated: true } });
    await site.put("film.webp", await film.webp({ lossless: true }).toBuffer());
  });

  test.each([
    "w-45",
    "w-20",
    "w-50,h-33,c-force",
    "w-20,h-20",
    "w-70,h-20,fo-top",
    "w-20,h-40,fo-left",
    "w-33,h-33,cm-pad_resize,bg-FF0000",
  ])("%s", async (size) => {
    const { body } = await site.get(`/root/tr:${size},lo-true,f-webp/film.webp`);
    for (const page of [0, 1, 2]) {
      const seen = await pixelsOf(sharp(body, { page }));
      expect([page, difference(seen, await shown(size, `frame${page}.png`)).worst]).toEqual([page, 0]);
    }
  });
});

test("an animation is worked on in the memory that its frames take", async () => {
  await using small = await openSite({ renderers: 1, renderBytes: 560 * 1024 ** 2 });
  const frames = [0, 60, 120, 180, 240, 30, 90, 150, 210, 15, 75, 135].map((light) =>
    sharp({ create: { width: 2000, height: 2000, channels: 3, background: { r: light, g: 60, b: 0 } } })
      .png({ compressionLevel: 1 })
      .toBuffer(),
  );
  const film = sharp(await Promise.all(frames), { join: { animated: true } });
  await small.put("film.gif", await film.gif({ effort: 1 }).toBuffer());
  const { status, headers } = await small.get("/root/tr:w-1990,f-webp,q-1/film.gif");
  expect([status, headers.get("x-windlass-error")]).toEqual([200, null]);
});
