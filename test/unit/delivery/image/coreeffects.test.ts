/** Colours, sharpness, gradients: what is done to pixels, against what can be computed by hand. */
import sharp, { type Sharp } from "sharp";
import { describe, expect, test } from "vitest";
import type { Gradient, Options } from "../../../../src/delivery/plan/plan.ts";
import {
  animation,
  BLACK,
  BLUE,
  colour,
  drawn,
  frames,
  GREEN,
  make,
  plain,
  quadrants,
  RED,
  refusal,
  stripes,
  WHITE,
  type Rgb,
} from "./coresetup.ts";

const grey = (value: number): Rgb => [value, value, value];
/** From black to white. */
const ramp = drawn(256, 8, (x) => grey(x)).removeAlpha();
const rgb = async (source: Sharp, options: Partial<Options>, x = 5, y = 5): Promise<number[]> =>
  (await make(source, { options })).rgba(x, y).slice(0, 3);
/** The largest difference of any channel. */
const off = (actual: readonly number[], expected: readonly number[]): number =>
  Math.max(...actual.map((one, n) => Math.abs(one - expected[n]!)));
/** How much neighbours differ along the middle row. */
const roughness = async (source: Sharp, options: Partial<Options>): Promise<number> => {
  const seen = await make(source, { options });
  let sum = 0;
  for (let x = 1; x < 60; x++) sum += Math.abs(seen.rgba(x, 20)[0]! - seen.rgba(x - 1, 20)[0]!);
  return sum;
};
const soft = drawn(60, 40, (x) => grey(Math.round(128 + 60 * Math.tanh((x - 30) / 3)))).removeAlpha();
const bars = drawn(60, 40, (x) => grey(x % 10 < 5 ? 0 : 255)).removeAlpha();

describe("colours", () => {
  test("grayscale: every channel the same, green brighter than blue", async () => {
    const seen = await make(quadrants(20, 20), { options: { grayscale: true } });
    const [green, blue] = [seen.rgba(15, 5), seen.rgba(5, 15)];
    expect([new Set(green.slice(0, 3)).size, new Set(blue.slice(0, 3)).size]).toEqual([1, 1]);
    expect(green[0]! - blue[0]!).toBeGreaterThan(50);
    expect((await make(quadrants(20, 20), { options: { grayscale: false } })).at(15, 5)).toBe("green");
  });
  test("contrast stretches over the whole range", async () => {
    const dull = drawn(100, 10, (x) => grey(100 + Math.round(x / 2))).removeAlpha();
    const seen = await make(dull, { options: { contrast: true } });
    expect([seen.rgba(0, 5)[0]! < 12, seen.rgba(99, 5)[0]! > 243]).toEqual([true, true]);
    // Of what is seen.
    const around = drawn(100, 20, (x, y) => (y < 10 ? [0, 0, 0, 0] : grey(100 + Math.round(x / 2))));
    const within = await make(around, { options: { contrast: true } });
    expect([within.rgba(0, 15)[0]! < 12, within.rgba(99, 15)[0]! > 243]).toEqual([true, true]);
  });
  test("contrast leaves alone what fills the range, of whatever colour, and cuts no colour off", async () => {
    for (const channel of [0, 1, 2]) {
      const only = (x: number): Rgb => [channel === 0 ? x : 0, channel === 1 ? x : 0, channel === 2 ? x : 0];
      const seen = await make(drawn(256, 8, only).removeAlpha(), { options: { contrast: true } });
      for (const x of [10, 100, 200, 250]) expect(Math.abs(seen.rgba(x, 4)[channel]! - x)).toBeLessThan(6);
    }
    const dull = drawn(100, 10, (x) => [Math.round(100 + x / 2), Math.round(50 + x / 5), 205]);
    const seen = await make(dull.removeAlpha(), { options: { contrast: true } });
    const reds = [10, 50, 90].map((x) => seen.rgba(x, 5)[0]!);
    expect([reds[1]! - reds[0]! > 20, reds[2]! - reds[1]! > 20, reds[2]! < 250]).toEqual([true, true, true]);
  });
  test("gamma lightens what is between black and white", async () => {
    const seen = await make(ramp, { options: { gamma: 2 } });
    expect(
      off(
        [seen.rgba(0, 2)[0]!, seen.rgba(64, 2)[0]!, seen.rgba(255, 2)[0]!],
        [0, 255 * (64 / 255) ** 0.5, 255],
      ),
    ).toBeLessThanOrEqual(3);
  });
  test("brightness, saturation, hue", async () => {
    const dim = plain(10, 10, [120, 40, 40]);
    const [r] = await rgb(dim, { brightness: 1.5 });
    expect(r).toBeGreaterThan(140);
    expect((await rgb(dim, { brightness: 0.5 }))[0]).toBeLessThan(90);
    const none = await rgb(plain(10, 10, [200, 60, 60]), { saturation: 0 });
    expect(off(none, [none[0]!, none[0]!, none[0]!])).toBeLessThanOrEqual(3);
    const turned = await rgb(plain(10, 10, [200, 60, 60]), { hue: 120 });
    expect(turned[1]! > turned[0]! && turned[1]! > turned[2]!).toBe(true);
    expect(off(await rgb(plain(10, 10, [200, 60, 60]), { hue: -240 }), turned)).toBeLessThanOrEqual(3);
    expect(off(await rgb(plain(10, 10, [200, 60, 60]), { hue: 360 }), [200, 60, 60])).toBeLessThanOrEqual(3);
  });
  test.each([
    [128, ["black", "white"]],
    [0, ["white", "white"]],
    [255, ["black", "black"]],
  ])("threshold %i: black below, white from there on", async (threshold, expected) => {
    const seen = await make(stripes(20, 10, [grey(127), grey(128)]), { options: { threshold } });
    expect([seen.at(2, 2), seen.at(17, 2)]).toEqual(expected);
  });
  test("colorize: shades of one colour, by intensity", async () => {
    const red = { colour: colour(RED), intensity: 100 };
    const seen = await make(ramp, { options: { colorize: red } });
    expect(off(seen.rgba(0, 2), [0, 0, 0, 255])).toBeLessThanOrEqual(3);
    expect(off(seen.rgba(128, 2), [255, 0, 0, 255])).toBeLessThanOrEqual(3);
    expect(off(seen.rgba(64, 2), [128, 0, 0, 255])).toBeLessThanOrEqual(3);
    expect(off(seen.rgba(255, 2), [255, 255, 255, 255])).toBeLessThanOrEqual(3);
    expect(
      off(await rgb(ramp, { colorize: { ...red, intensity: 50 } }, 128), [191, 64, 64]),
    ).toBeLessThanOrEqual(3);
    expect(
      off(await rgb(ramp, { colorize: { ...red, intensity: 0 } }, 128), [128, 128, 128]),
    ).toBeLessThanOrEqual(3);
  });
  test("colourReplace: what is near one colour becomes another", async () => {
    const source = stripes(40, 10, [RED, [230, 20, 20], GREEN, BLUE]);
    const to = colour(WHITE);
    const near10 = await make(source, {
      options: { colourReplace: { to, tolerance: 10, from: colour(RED) } },
    });
    expect(near10.row([0.1, 0.4, 0.6, 0.9])).toEqual(["white", "white", "green", "blue"]);
    const exact = await make(source, { options: { colourReplace: { to, tolerance: 0, from: colour(RED) } } });
    expect([exact.at(2, 2), exact.rgba(15, 2)]).toEqual(["white", [230, 20, 20, 255]]);
    const dominant = await make(stripes(40, 10, [BLUE, GREEN, GREEN, GREEN]), {
      options: { colourReplace: { to: colour(RED, 0), tolerance: 10, from: undefined } },
    });
    expect(dominant.row([0.1, 0.4, 0.9])).toEqual(["blue", "clear", "clear"]);
  });
});

const steepest = async (more: Partial<Options>) => {
  const seen = await make(soft, { options: more });
  return Math.max(...Array.from({ length: 58 }, (_, x) => seen.rgba(x + 1, 20)[0]! - seen.rgba(x, 20)[0]!));
};

describe("sharpness", () => {
  test.each<[Partial<Options>, number]>([
    [{ blur: 10 }, 6],
    [{ blurSigma: 0.5 }, 0.5],
    [{ blurSigma: 8 }, 8],
    [{ blur: 60 }, 31],
  ])("%o is a Gaussian blur", async (options, sigma) => {
    // An edge becomes the error function: at one sigma from it, 16 % are left.
    const edge = stripes(300, 12, [BLACK, WHITE]);
    const seen = await make(edge, { options });
    const reach = Math.round(sigma);
    expect(
      off([seen.rgba(150 - reach, 6)[0]!, seen.rgba(149 + reach, 6)[0]!], [255 * 0.16, 255 * 0.84]),
    ).toBeLessThanOrEqual(255 * 0.06 + 60 / (1 + sigma * 4));
    expect(seen.rgba(2, 6)[0]).toBe(0);
  });
  test("stronger values blur more, up to the strongest", async () => {
    const [weak, strong] = [await roughness(bars, { blur: 1 }), await roughness(bars, { blur: 100 })];
    expect(strong).toBeLessThan(weak / 10);
    expect((await make(bars, { options: { blurSigma: 20 } })).size).toBe("60x40");
  });
  test.each<Partial<Options>>([{ sharpen: 0 }, { sharpen: 10 }, { sharpenSigma: 2 }, { sharpenSigma: 20 }])(
    "%o makes edges steeper",
    async (options) => {
      expect(await steepest(options)).toBeGreaterThan(await steepest({}));
    },
  );
  test("what isn't seen is no neighbour to what is", async () => {
    const flat = drawn(40, 40, (x, y) =>
      x >= 10 && x < 30 && y >= 10 && y < 30 ? [0, 200, 0] : [0, 0, 0, 0],
    );
    for (const options of [{ sharpen: 0 }, { sharpen: 10 }, { sharpenSigma: 5 }]) {
      const seen = await make(flat, { options });
      for (const [x, y] of [
        [10, 10],
        [10, 20],
        [20, 29],
      ] as const) {
        expect(off(seen.rgba(x, y), [0, 200, 0, 255])).toBeLessThan(8);
      }
      expect(seen.rgba(5, 5)[3]).toBe(0);
    }
  });
  test("more sharpening sharpens more", async () => {
    expect(await roughness(soft, { sharpen: 50 })).toBeGreaterThan(await roughness(soft, { sharpen: 5 }));
  });
  test("unsharp mask adds the difference from a blurred copy where it is above the threshold", async () => {
    const mask = { radius: 2, sigma: 2, amount: 1, threshold: 0 };
    const before = await make(soft, {});
    const blurred = await make(soft, { options: { blurSigma: 2 } });
    const after = await make(soft, { options: { unsharp: mask } });
    for (const x of [20, 26, 30, 34, 40]) {
      const [own, low] = [before.rgba(x, 20)[0]!, blurred.rgba(x, 20)[0]!];
      expect(
        off([after.rgba(x, 20)[0]!], [Math.max(0, Math.min(255, own + (own - low)))]),
      ).toBeLessThanOrEqual(3);
    }
    const untouched = await make(soft, { options: { unsharp: { ...mask, threshold: 1 } } });
    expect(untouched.rgba(34, 20)).toEqual(before.rgba(34, 20));
  });
});

const gradient = (more: Partial<Gradient>): { options: Partial<Options> } => ({
  options: { gradient: { direction: 180, from: colour(RED), to: colour(BLUE), stop: 1, ...more } },
});

describe("gradient", () => {
  const base = plain(100, 60, WHITE);
  test.each([
    [180, [50, 1], [50, 58]],
    [0, [50, 58], [50, 1]],
    [90, [1, 30], [98, 30]],
    [270, [98, 30], [1, 30]],
    [135, [1, 1], [98, 58]],
  ] as const)("of %i degrees begins and ends where it should", async (direction, from, to) => {
    const seen = await make(base, gradient({ direction }));
    expect([seen.at(...(from as [number, number])), seen.at(...(to as [number, number]))]).toEqual([
      "red",
      "blue",
    ]);
    expect(off(seen.rgba(50, 30), [128, 0, 128, 255])).toBeLessThanOrEqual(5);
  });
  test.each([
    ["a fraction of the length", 0.5],
    ["pixels", 30],
    ["an expression", { op: "div", left: { variable: "ch" }, right: 2 } as const],
  ])("reaches its end after %s", async (_, stop) => {
    const seen = await make(base, gradient({ stop }));
    expect(off(seen.rgba(50, 15), [128, 0, 128, 255])).toBeLessThanOrEqual(6);
    expect([seen.at(50, 31), seen.at(50, 58)]).toEqual(["blue", "blue"]);
  });
  test("fades out without turning into the colour of nothing", async () => {
    const seen = await make(plain(10, 100, GREEN), gradient({ from: colour(WHITE), to: colour(BLACK, 0) }));
    expect(off(seen.rgba(5, 50), [128, 255, 128, 255])).toBeLessThanOrEqual(4);
    expect(off(seen.rgba(5, 99), [0, 255, 0, 255])).toBeLessThanOrEqual(4);
  });
  test("is seen on what is transparent, too", async () => {
    const clear = drawn(10, 100, () => [0, 0, 0, 0]);
    const seen = await make(clear, gradient({ to: colour(RED, 0) }));
    expect(off([seen.alpha(5, 0), seen.alpha(5, 50), seen.alpha(5, 99)], [255, 128, 0])).toBeLessThanOrEqual(
      4,
    );
  });
});

test("effects leave transparency alone", async () => {
  const half = drawn(20, 20, () => [200, 100, 50, 100]);
  for (const options of [
    { grayscale: true },
    { contrast: true },
    { gamma: 2 },
    { brightness: 1.2 },
    { blur: 5 },
    { sharpen: 10 },
    { unsharp: { radius: 2, sigma: 2, amount: 1, threshold: 0 } },
    { colorize: { colour: colour(RED), intensity: 40 } },
    { threshold: 100 },
  ] satisfies Partial<Options>[]) {
    expect([options, Math.abs((await make(half, { options })).alpha(10, 10) - 100) <= 1]).toEqual([
      options,
      true,
    ]);
  }
});

test("effects come after resizing, and work on what is shown", async () => {
  const seen = await make(stripes(400, 200, [RED, GREEN, BLUE, WHITE]), {
    options: { width: 100, height: 100, grayscale: true },
  });
  const [r, g, b] = seen.rgba(10, 50);
  expect([seen.size, r === g && g === b]).toEqual(["100x100", true]);
});

test("frames don't run into each other when they are blurred", async () => {
  const source = await animation("webp", 40, 40, [BLACK, WHITE]);
  const { picture } = await make(source, { options: { blur: 20 }, format: "source" });
  const bottom = await sharp(picture.data, { page: 0 }).raw().toBuffer({ resolveWithObject: true });
  expect(bottom.data[(39 * 40 + 20) * bottom.info.channels]).toBeLessThan(3);
  expect((await frames(picture)).colours).toEqual(["black", "white"]);
});

test.each(["bgremove", "removedotbg", "upscale", "retouch", "genvar"] as const)(
  "%s is work of a model, which this server doesn't have",
  async (task) => {
    expect(await refusal(plain(10, 10, RED), { options: { model: { task } } })).toMatch(/^NotAvailable: /);
  },
);
