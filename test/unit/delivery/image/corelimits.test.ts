/** What is refused before any work, and what animations may be made of. */
import * as fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import type { Expression, Options } from "../../../../src/delivery/plan/plan.ts";
import {
  animation,
  BLACK,
  BLUE,
  choice,
  colour,
  frames,
  GREEN,
  make,
  plain,
  promising,
  RED,
  refusal,
  step,
  type Setup,
} from "./coresetup.ts";

const iw = { variable: "iw" } as const;

describe("limits, told by the sizes before anything is decoded", () => {
  const big = promising(16_000, 16_000);
  const limits = { sourcePixels: 300_000_000 };
  test.each<[string, Setup]>([
    ["rotation", { options: { rotate: 45 } }],
    ["rotation after a step", { steps: [step({ width: 12_000, height: 4000 }), step({ rotate: 45 })] }],
    ["enlarging", { options: { width: 16_000, height: 16_000 } }],
    ["a long side", { options: { width: 60_000, height: 1, crop: "force" } }],
    [
      "padding",
      { steps: [step({ width: 10 }), step({ width: 16_000, height: 16_000, cropMode: "pad_resize" })] },
    ],
    ["a border", { steps: [step({ width: 10 }), step({ border: { width: 5000, colour: colour(RED) } })] }],
    [
      "distortion",
      {
        steps: [
          step({ width: 10 }),
          step({ distort: { kind: "perspective", corners: [0, 0, 9000, 0, 9000, 9000, 0, 9000] } }),
        ],
      },
    ],
    [
      "dpr",
      {
        steps: [
          step({ width: 10, height: 10 }),
          step({ width: 4999, height: 4999, dpr: 1 }),
          step({ width: 9000, height: 9000 }),
        ],
      },
    ],
    [
      "a branch",
      {
        steps: [
          choice({ left: "cw", comparison: "gt", right: 1 }, [step({ width: 10 }), step({ width: 16_000 })]),
        ],
      },
    ],
  ])("%s", async (_, setup) => {
    expect(await refusal(big, { ...setup, limits })).toMatch(/^LimitExceeded/);
  });
  test("a source of too many pixels", async () => {
    expect(await refusal(big, {})).toMatch(/^LimitExceeded: The source has/);
  });
  test("a shadow of more than two megapixels", async () => {
    const shadow = { blur: 10, saturation: 30, x: 2, y: 2 };
    const setup = { options: { shadow }, limits: { ...limits, resultPixels: 300_000_000 } };
    expect(await refusal(big, setup)).toMatch(/^InvalidParameter: e-shadow/);
    expect(await refusal(promising(1001, 2000), setup)).toMatch(/^InvalidParameter: e-shadow/);
  });
  test("an expression that needs more than there is, where the first step would have been served", async () => {
    const square = { op: "mul", left: iw, right: iw } as const;
    expect(await refusal(big, { steps: [step({ width: 10 }), step({ width: square })], limits })).toMatch(
      /^LimitExceeded/,
    );
  });
  test("a strip that is cropped to a normal picture is served: no more is made than is shown", async () => {
    const strip = plain(3000, 2, RED);
    expect((await make(strip, { options: { width: 100, height: 100 } })).row([0.1, 0.9])).toEqual([
      "red",
      "red",
    ]);
  });
});

describe("animations", () => {
  test.each<[Partial<Options>, string, string[]]>([
    [{ width: 30 }, "30x20", ["red", "blue"]],
    [{ width: 20, height: 20 }, "20x20", ["red", "blue"]],
    [{ width: 20, height: 20, focus: { at: "auto" } }, "20x20", ["red", "blue"]],
    [{ width: 20, height: 20, focus: { at: "right" } }, "20x20", ["red", "blue"]],
    [{ width: 20, height: 10, cropMode: "extract", x: 5, y: 5 }, "20x10", ["red", "blue"]],
    [{ width: 80, height: 80, cropMode: "pad_resize" }, "80x80", ["red", "blue"]],
    [
      { width: 80, height: 80, cropMode: "pad_resize", background: { kind: "dominant" } },
      "80x80",
      ["red", "blue"],
    ],
    [{ rotate: 90 }, "40x60", ["red", "blue"]],
    [{ rotate: 45 }, "71x71", ["red", "blue"]],
    [{ trim: true }, "60x40", ["red", "blue"]],
    [{ flip: { horizontal: true, vertical: true } }, "60x40", ["red", "blue"]],
    [{ border: { width: 5, colour: colour(BLACK) } }, "70x50", ["red", "blue"]],
    [{ radius: "max" }, "60x40", ["red", "blue"]],
  ])("%o is done to each frame, and they play as before", async (options, size, colours) => {
    const source = await animation("gif", 60, 40, [RED, BLUE]);
    const { picture } = await make(source, { options, format: "auto" });
    const seen = await frames(picture);
    const [width, height] = size.split("x").map(Number) as [number, number];
    expect({ ...seen, size: undefined }).toEqual({
      format: "gif",
      size: undefined,
      loop: 3,
      delay: [120, 120],
      colours,
    });
    expect(picture.type).toBe("image/gif");
    expect([Math.abs(picture.width - width) <= 1, Math.abs(picture.height - height) <= 1]).toEqual([
      true,
      true,
    ]);
    expect(seen.size).toBe(`${picture.width}x${picture.height}`);
  });
});

const number = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const whole = (min: number, max: number) => fc.integer({ min, max });

describe("whatever is asked for together", () => {
  const one = fc.constantFrom(colour(RED), colour(BLUE, 0.5), colour(BLACK, 0));
  const expression = fc.oneof(
    whole(-20, 120),
    fc.constantFrom<Expression>(
      iw,
      { op: "mul", left: { variable: "cw" }, right: 0.3 },
      { op: "sub", left: 5, right: iw },
    ),
  );
  const length = fc.oneof(whole(1, 90), number(0.01, 0.99), fc.constant("auto" as const), expression);
  const all: { [Name in keyof Options]?: fc.Arbitrary<Options[Name]> } = {
    width: length,
    height: length,
    aspectRatio: number(0.1, 10),
    crop: fc.constantFrom(
      "maintain_ratio",
      "maintain_ratio_no_enlarge",
      "force",
      "at_max",
      "at_max_enlarge",
      "at_least",
    ),
    cropMode: fc.constantFrom(
      "pad_resize",
      "pad_resize_no_enlarge",
      "extract",
      "pad_extract",
      "pad_extract_no_shrink",
    ),
    focus: fc.oneof(
      fc.record({ at: fc.constantFrom("center", "top_left", "right", "auto", "entropy", "custom", "face") }),
      fc.record({ at: fc.constant("object" as const), name: fc.constant("dog") }),
    ),
    zoom: number(0.1, 5),
    x: expression,
    centreY: expression,
    dpr: fc.oneof(number(0.1, 5), fc.constant("auto" as const)),
    trim: fc.oneof(fc.boolean(), whole(1, 99)),
    border: fc.record({ width: expression, colour: one }),
    rotate: fc.oneof(number(-360, 360), fc.constantFrom<Options["rotate"]>(90, 180, "auto")),
    flip: fc.record({ horizontal: fc.boolean(), vertical: fc.boolean() }),
    radius: fc.oneof(fc.constant("max" as const), fc.tuple(expression, expression, expression, expression)),
    background: fc.oneof(
      fc.record({ kind: fc.constant("colour" as const), colour: one }),
      fc.record({
        kind: fc.constant("blurred" as const),
        intensity: whole(0, 100),
        brightness: whole(-255, 255),
      }),
      fc.record({ kind: fc.constant("dominant" as const) }),
      fc.record({ kind: fc.constant("gradient" as const), colours: fc.constantFrom(2, 4) }),
    ),
    opacity: whole(0, 100),
    blur: whole(1, 100),
    blurSigma: number(0.3, 20),
    grayscale: fc.boolean(),
    contrast: fc.boolean(),
    sharpen: whole(0, 100),
    sharpenSigma: number(0.3, 20),
    unsharp: fc.record({
      radius: number(0.1, 9),
      sigma: number(0.01, 9),
      amount: number(0, 5),
      threshold: number(0, 1),
    }),
    shadow: fc.record({
      blur: number(0, 15),
      saturation: number(0, 100),
      x: number(-100, 100),
      y: number(-100, 100),
    }),
    gradient: fc.record({ direction: number(0, 359), from: one, to: one, stop: expression }),
    colorize: fc.record({ colour: one, intensity: whole(0, 100) }),
    distort: fc.oneof(
      fc.record({ kind: fc.constant("arc" as const), degrees: number(-360, 360) }),
      fc.record({
        kind: fc.constant("perspective" as const),
        corners: fc.array(expression, { minLength: 8, maxLength: 8 }),
      }),
    ),
    colourReplace: fc.record({ to: one, tolerance: whole(0, 100), from: fc.option(one, { nil: undefined }) }),
    gamma: number(1, 3),
    brightness: number(0.5, 2),
    saturation: number(0, 3),
    hue: number(-360, 360),
    threshold: whole(0, 255),
    format: fc.constantFrom("jpeg", "png", "webp", "gif", "tiff", "auto", "source"),
    quality: whole(1, 100),
    progressive: fc.boolean(),
    lossless: fc.boolean(),
    colourProfile: fc.boolean(),
    metadata: fc.boolean(),
  };
  const options = fc.record(all, { requiredKeys: [] }).chain((full) =>
    // A handful of them, so that each has its say; no more than there are, which are fewer while it is narrowed down.
    fc
      .subarray(Object.keys(full), { maxLength: Math.min(6, Object.keys(full).length) })
      .map(
        (names) =>
          Object.fromEntries(
            Object.entries(full).filter(([name]) => names.includes(name)),
          ) as Partial<Options>,
      ),
  );

  test("it is a picture of the size that it says, or a refusal of the catalogue", async () => {
    const clear = await plain(48, 32, RED).ensureAlpha(0.5).png().toBuffer();
    const turned = await plain(40, 30, RED).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const moving = await animation("gif", 24, 16, [RED, BLUE]);
    const limits = { resultPixels: 200_000, resultSide: 2000 };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(clear, turned, moving),
        fc.array(options, { minLength: 1, maxLength: 3 }),
        async (source, steps) => {
          // Anything but a DeliveryError fails the test.
          const setup = {
            steps: steps.map(step),
            format: "auto",
            limits,
            hints: { accepts: ["webp"], width: 150, dpr: 2 },
          } as const;
          const said = await refusal(source, setup);
          if (said !== "served") {
            expect(said).toMatch(/^(InvalidParameter|LimitExceeded): /);
            return;
          }
          const { picture } = await make(source, setup);
          const { width, height, pageHeight } = await sharp(picture.data, { pages: -1 }).metadata();
          expect([picture.width, picture.height]).toEqual([width, pageHeight ?? height]);
        },
      ),
      { numRuns: 150 },
    );
  });
});

test("all frames of an animation together obey the limits of pixels", async () => {
  const source = await animation("gif", 40, 40, [RED, GREEN, BLUE]);
  const limits = { resultPixels: 9000 };
  for (const options of [
    { width: 60 },
    { rotate: 45 },
    { border: { width: 20, colour: colour(RED) } },
    { width: 200, height: 100, cropMode: "pad_resize", background: { kind: "dominant" } },
  ] satisfies Partial<Options>[]) {
    expect([options, await refusal(source, { options, format: "auto", limits })]).toEqual([
      options,
      expect.stringMatching(/^LimitExceeded: .* in 3 frames/),
    ]);
  }
});
