/** What is shown of a picture, and what lies beside and behind it, over HTTP. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canvas, difference, each, imageOf, pixelsOf, type Pixels, type Rgba } from "./conformance/pixels.ts";
import { openSite, type Site } from "./site.ts";

const RED: Rgba = [255, 0, 0, 255];
const GREEN: Rgba = [0, 255, 0, 255];
const BLUE: Rgba = [0, 0, 255, 255];
const CLEAR: Rgba = [0, 0, 0, 0];

let site: Site;
beforeAll(async () => {
  // One canvas has to have 34 million pixels, which takes its time where other tests run beside it.
  site = await openSite({ renderSeconds: 50 });
});
afterAll(() => site[Symbol.asyncDispose]());

/** A PNG by a rule. */
async function put(
  key: string,
  width: number,
  height: number,
  rule: (x: number, y: number) => Rgba,
  customcoordinates?: string,
): Promise<void> {
  const drawn = each(canvas(width, height, CLEAR), (_, x, y) => rule(x, y));
  const body = await imageOf(drawn).png().toBuffer();
  await site.put(key, body, customcoordinates === undefined ? {} : { meta: { user: { customcoordinates } } });
}

async function shown(transformation: string, key: string): Promise<Pixels> {
  const { status, headers, body } = await site.get(`/root/tr:${transformation},f-png/${key}`);
  expect([transformation, status, headers.get("x-windlass-error")]).toEqual([transformation, 200, null]);
  return pixelsOf(body);
}

/** At fractions of the picture. */
function at({ data, width, height }: Pixels, x: number, y: number): number[] {
  const n =
    (Math.min(height - 1, Math.floor(y * height)) * width + Math.min(width - 1, Math.floor(x * width))) * 4;
  return [...data.subarray(n, n + 4)];
}

/** The topmost rows. */
const above = ({ data, width }: Pixels): Pixels => ({
  data: data.subarray(0, width * 50 * 4),
  width,
  height: 50,
});
/** From 0 in the first pixel to 255 in the last. */
const ramp = (n: number, all: number): number =>
  Math.max(0, Math.min(255, Math.round((255 * n) / (all - 1))));
/** How far a ramp may be off: what is cut out begins with a whole pixel of the source. */
const allowed = (part: number, all: number): number => ((part < all ? 1 : 0.6) * 255) / all + 2;

/** A part of the way from red to blue. */
const between = (part: number): Rgba => [Math.round(255 * (1 - part)), 0, Math.round(255 * part), 255];

const near = (seen: readonly number[], expected: readonly number[]): boolean =>
  seen.every((value, n) => Math.abs(value - expected[n]!) <= 2);

describe("a background that is seen through", () => {
  const HALF_RED: Rgba = [255, 0, 0, 128];
  beforeAll(async () => {
    const opaque = imageOf(canvas(100, 50, BLUE)).removeAlpha();
    await site.put("opaque.png", await opaque.png().toBuffer());
    await put("half.png", 100, 50, () => [0, 0, 255, 128]);
  });

  test.each<[string, string, Rgba]>([
    ["rt-45", "opaque.png", BLUE],
    ["rt-45", "half.png", [85, 0, 170, 191]],
    ["r-10,rt-45", "opaque.png", BLUE],
    ["o-50,rt-45", "opaque.png", [85, 0, 170, 191]],
    ["w-100,h-100,cm-pad_resize", "half.png", [85, 0, 170, 191]],
    ["w-100,h-100,cm-pad_resize,rt-45", "opaque.png", BLUE],
    ["w-100,h-100,cm-pad_resize,o-50", "opaque.png", [85, 0, 170, 191]],
    ["w-100,h-100,cm-pad_resize,o-50", "half.png", [153, 0, 102, 159]],
    ["w-100,h-100,cm-pad_resize,o-50,rt-45", "opaque.png", [85, 0, 170, 191]],
  ])("is laid once: %s of %s", async (transformation, key, middle) => {
    const seen = await shown(`${transformation},bg-FF000050`, key);
    const corner = at(seen, 0, 0);
    expect([corner, near(corner, HALF_RED)]).toEqual([corner, true]);
    const inside = at(seen, 0.5, 0.5);
    expect([inside, near(inside, middle)]).toEqual([inside, true]);
  });
});

describe("bg-gradient_dominant", () => {
  beforeAll(async () => {
    // A third of the left half is green: the mean of its colours would be neither.
    await put("aside.png", 120, 60, (x) => (x < 20 ? GREEN : x < 60 ? RED : BLUE));
    await put("above.png", 60, 120, (_, y) => (y < 20 ? GREEN : y < 60 ? RED : BLUE));
    await put("half.png", 120, 60, (x) => (x < 60 ? CLEAR : BLUE));
    await put("corners.png", 120, 120, (x, y) => {
      if (x % 60 < 20) return [255, 255, 255, 255];
      return y < 60 ? (x < 60 ? RED : GREEN) : x < 60 ? BLUE : [0, 0, 0, 255];
    });
  });

  test("goes from the main colour of one side to that of the other, along the canvas", async () => {
    const wide = await shown("w-600,h-100,cm-pad_resize,bg-gradient_dominant", "aside.png");
    for (const x of [0, 100, 199, 400, 500, 599]) {
      const seen = at(wide, (x + 0.5) / 600, 0.5);
      expect([x, seen, near(seen, between(x / 599))]).toEqual([x, seen, true]);
    }
    const tall = await shown("w-100,h-600,cm-pad_resize,bg-gradient_dominant", "above.png");
    for (const y of [0, 100, 199, 400, 500, 599]) {
      const seen = at(tall, 0.5, (y + 0.5) / 600);
      expect([y, seen, near(seen, between(y / 599))]).toEqual([y, seen, true]);
    }
  });

  test("goes the other way where that is how the picture changes", async () => {
    const wide = await shown("w-600,h-120,cm-pad_resize,bg-gradient_dominant", "above.png");
    const tall = await shown("w-120,h-600,cm-pad_resize,bg-gradient_dominant", "aside.png");
    expect([at(wide, 0.1, 0), at(wide, 0.1, 1), at(wide, 0.9, 0), at(wide, 0.9, 1)]).toEqual([
      RED,
      BLUE,
      RED,
      BLUE,
    ]);
    expect([at(tall, 0, 0.1), at(tall, 1, 0.1), at(tall, 0, 0.9), at(tall, 1, 0.9)]).toEqual([
      RED,
      BLUE,
      RED,
      BLUE,
    ]);
  });

  test("takes no colour from where nothing is seen", async () => {
    const wide = await shown("w-600,h-100,cm-pad_resize,bg-gradient_dominant", "half.png");
    expect([at(wide, 0, 0.5), at(wide, 1, 0.5)]).toEqual([BLUE, BLUE]);
  });

  test("of four goes from quarter to quarter", async () => {
    const seen = await shown("w-300,h-120,cm-pad_resize,bg-gradient_dominant_4", "corners.png");
    expect([at(seen, 0, 0), at(seen, 1, 0), at(seen, 0, 1), at(seen, 1, 1)]).toEqual([
      RED,
      GREEN,
      BLUE,
      [0, 0, 0, 255],
    ]);
  });
});

test("bg-blurred_0 lies behind what is as narrow as can be, too", async () => {
  await put("hair.png", 1, 16_000, (_, y) => (y < 8000 ? RED : BLUE));
  const seen = await shown("w-2100,h-16000,cm-pad_resize,bg-blurred_0", "hair.png");
  expect([at(seen, 0.1, 0.1), at(seen, 0.6, 0.1), at(seen, 0.1, 0.9)]).toEqual([RED, RED, BLUE]);
});

test("bg-blurred_0 is the picture itself, not softened; lighter where that is asked", async () => {
  await put("lines.png", 400, 200, (x) => (x % 20 < 10 ? [200, 0, 0, 255] : [0, 0, 200, 255]));
  const source = sharp((await site.get("/root/lines.png", { headers: { accept: "image/png" } })).body);
  const covering = await pixelsOf(source.resize(400, 300, { fit: "cover" }));
  const crisp = await shown("w-400,h-300,cm-pad_resize,bg-blurred_0", "lines.png");
  expect(difference(above(crisp), above(covering)).mean).toBeLessThan(1);
  const soft = await shown("w-400,h-300,cm-pad_resize,bg-blurred_1", "lines.png");
  expect(difference(above(soft), above(covering)).mean).toBeGreaterThan(10);
  const light = await shown("w-400,h-300,cm-pad_resize,bg-blurred_0_55", "lines.png");
  expect(Math.abs(at(light, 0.5, 0)[1]! - 55)).toBeLessThan(3);
});

describe("an extract of which one edge is named", () => {
  beforeAll(async () => {
    await put("places.png", 200, 100, (x, y) => [x, y, 0, 255], "150,60,20,20");
  });

  test.each<[string, number, number]>([
    ["y-10,fo-right", 150, 10],
    ["y-10,fo-bottom_left", 0, 10],
    ["x-10,fo-bottom", 10, 50],
    ["xc-60,fo-top", 35, 0],
    ["yc-40,fo-left", 0, 15],
    ["y-10,fo-custom", 135, 10],
    ["x-10,fo-custom", 10, 45],
    ["y-10", 75, 10],
    ["x-10,y-20,fo-right", 10, 20],
  ])("lies by the focus along the other side: %s", async (places, left, top) => {
    const seen = await shown(`w-50,h-50,cm-extract,${places}`, "places.png");
    expect([seen.width, seen.height, at(seen, 0, 0)]).toEqual([50, 50, [left, top, 0, 255]]);
  });
});

describe("what is enlarged into a strip", () => {
  const SIZES = [
    ["odd.png", 601, 401, 34, 1300],
    ["tiny.png", 37, 23, 46, 733],
    ["tiny.png", 37, 23, 900, 40],
    ["tiny.png", 37, 23, 301, 200],
  ] as const;
  beforeAll(async () => {
    for (const [key, width, height] of SIZES.slice(0, 2)) {
      await put(key, width, height, (x, y) => [ramp(x, width), ramp(y, height), 0, 255]);
    }
  });
  const PLACES = [
    ["left", 0, 0.5],
    ["top_left", 0, 0],
    ["center", 0.5, 0.5],
    ["bottom_right", 1, 1],
  ] as const;

  test.each(SIZES.flatMap((size) => PLACES.map((place) => [...size, ...place] as const)))(
    "%s, %i by %i, to %i by %i, fo-%s: no more is cut off than must be",
    async (key, fromWidth, fromHeight, width, height, focus, x, y) => {
      const seen = await shown(`w-${width},h-${height},fo-${focus}`, key);
      expect([seen.width, seen.height]).toEqual([width, height]);
      const by = Math.max(width / fromWidth, height / fromHeight);
      /** Of the part that is shown, in source pixels. */
      const [across, down] = [width / by, height / by];
      const [left, top] = [(fromWidth - across) * x, (fromHeight - down) * y];
      for (const [u, v] of [
        [0.5, 0.01],
        [0.5, 0.5],
        [0.5, 0.99],
        [0.02, 0.5],
        [0.98, 0.5],
      ] as const) {
        const [r = NaN, g = NaN] = at(seen, u, v);
        expect(Math.abs(r - ramp(left + across * u - 0.5, fromWidth))).toBeLessThan(
          allowed(across, fromWidth),
        );
        expect(Math.abs(g - ramp(top + down * v - 0.5, fromHeight))).toBeLessThan(allowed(down, fromHeight));
      }
    },
  );

  test("of an animation too, and by what catches the eye", async () => {
    const colours = ["#ff0000", "#0000ff"];
    const frames = await Promise.all(
      colours.map((background) =>
        sharp({ create: { width: 37, height: 23, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    await site.put(
      "moving.gif",
      await sharp(frames, { join: { animated: true } })
        .gif()
        .toBuffer(),
    );
    const { body } = await site.get("/root/tr:w-46,h-733,fo-auto,f-webp/moving.gif");
    const { width, pageHeight, pages } = await sharp(body, { animated: true }).metadata();
    expect([width, pageHeight, pages]).toEqual([46, 733, 2]);
  });
});

describe("lm-multiply", () => {
  const BLOCK: Rgba = [200, 100, 40, 255];
  beforeAll(async () => {
    await put("plain.png", 40, 20, () => [100, 150, 200, 255]);
    await put("faint.png", 40, 20, () => [100, 150, 200, 102]);
    await put("empty.png", 40, 20, () => CLEAR);
  });

  // W3C, Compositing and Blending Level 1, section 5.8.
  test.each<[string, number, number]>([
    ["plain.png", 1, 1],
    ["plain.png", 0.5, 1],
    ["plain.png", 0.2, 1],
    ["faint.png", 1, 0.4],
    ["faint.png", 0.6, 0.4],
    ["empty.png", 0.6, 0],
  ])("on %s, %d of it seen: as far as both are", async (key, top, below) => {
    const opacity = top === 1 ? "" : `o-${top * 100},`;
    const layer = `l-image,i-ik_canvas,bg-C86428,w-20,h-20,${opacity}lm-multiply,lx-20,ly-0,l-end`;
    const seen = await shown(layer, key);
    const [, , , alpha = 0] = at(seen, 0.75, 0.5);
    const all = top + below - top * below;
    expect(Math.abs(alpha - all * 255)).toBeLessThanOrEqual(1);
    const colours = [100, 150, 200].map((under, n) => {
      const own = BLOCK[n]!;
      const sum = own * top * (1 - below) + under * below * (1 - top) + (own * under * top * below) / 255;
      return sum / all;
    });
    expect(near(at(seen, 0.75, 0.5).slice(0, 3), colours)).toBe(true);
    expect(at(seen, 0.25, 0.5)[3]).toBe(Math.round(below * 255));
  });
});
