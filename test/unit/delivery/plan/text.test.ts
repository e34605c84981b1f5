import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeliveryError } from "../../../../src/delivery/errors.ts";
import { withoutIdle } from "../../../../src/delivery/plan/canonical.ts";
import { parseChain } from "../../../../src/delivery/plan/imagekit.ts";
import type { Layer, Options, Placement, Plan, Step, TextStyle } from "../../../../src/delivery/plan/plan.ts";
import { planText } from "../../../../src/delivery/plan/text.ts";
import { TRANSFORMATIONS } from "../../../../src/delivery/plan/transforms.ts";
import { parseImageKit } from "../../../../src/delivery/plan/url.ts";
import { pictures, textOf } from "./setup.ts";

describe("what means the same has the same text", () => {
  test.each([
    ["w-300,h-200,q-70", "q-70,h-200,w-300"],
    ["w-0.5", "w-0.50", "w-.5"],
    [
      "w-300",
      "w-300.0",
      "w-100_add_200",
      "w-300,rt-0",
      "w-300,c-maintain_ratio",
      "w-300,fo-center",
      "w-300,c-force",
      "w-300,z-1",
    ],
    ["w-9,h-9", "w-9,h-9,o-100", "w-9,h-9,r-0", "w-9,h-9,dpr-1", "w-9,h-9,rt-360", "w-9,h-9,ar-1"],
    ["bg-FF0000", "bg-red", "bg-ff0000", "bg-RED", "bg-FF0000FF"],
    ["bg-00000000", "bg-transparent"],
    ["b-5_FF0000", "b-5-red", "b-5_red"],
    ["rt-270", "rt-N90"],
    ["fl-h_v", "fl-v_h"],
    ["r-5", "r-5_5_5_5"],
    ["e-shadow", "e-shadow-bl-10_st-30", "e-shadow-x-2_y-2"],
    ["e-gradient", "e-gradient-ld-bottom", "e-gradient-from-white_to-00000000_sp-1"],
    ["e-dropshadow", "e-dropshadow-az-215_el-45_st-60"],
    ["e-edit-prompt-make it red", "e-edit-prompte-bWFrZSBpdCByZWQ", "e-edit-prompte-bWFrZSBpdCByZWQ="],
    ["bg-blurred", "bg-blurred_auto", "bg-blurred_auto_0"],
    ["bg-gradient_dominant", "bg-gradient_dominant_2"],
    ["pg-2", "pg-2-2"],
    ["f-jpg", "f-jpeg"],
    ["sr-240_720", "sr-720_240"],
    ["ar-4-3,w-9", "ar-4_3,w-9", "w-9,ar-4-3"],
    ["di-a@@b", "di-@@a@@b@@"],
    ["cm-pad_resize,w-9,h-9", "c-pad_resize,w-9,h-9"],
  ])("%s", (...chains) => {
    expect(new Set(chains.map(textOf)).size).toBe(1);
  });
});

test.each([
  [{ quality: 80, format: "auto" }, "w-9"],
  [{ quality: 80, format: "source" }, "w-9:default-q-80,f-orig"],
  [{ quality: 50, format: "auto" }, "w-9:default-q-50,f-auto"],
  [{ quality: 80, format: "jpeg" }, "w-9:default-q-80,f-jpg"],
  // Where the file itself may do it matters whether the URL names a quality.
  [{ quality: 80, explicitQuality: true, format: "auto" }, "w-9:q-80,f-auto"],
  [{ quality: 80, explicitQuality: true, format: "source" }, "w-9:q-80,f-orig"],
  [{ quality: 80, explicitQuality: true, format: "jpeg" }, "w-9:default-q-80,f-jpg"],
] as const)("what holds where no step says is told where it is not the usual: %j", (defaults, text) => {
  expect(planText({ steps: parseChain("w-9"), defaults })).toBe(text);
});

test("a plan that does nothing has a text", () => {
  expect(planText(pictures([]))).toBe("default-q-80,f-auto");
  expect(planText(pictures([{ options: {}, layers: [] }]))).toBe("default-q-80,f-auto");
});

test("what only queries can say has their names", () => {
  const options: Partial<Options> = {
    blurSigma: 3.5,
    sharpenSigma: 2,
    gamma: 2.2,
    brightness: 1.5,
    saturation: 0.5,
    hue: -90,
    threshold: 128,
    format: "tiff",
  };
  expect(planText({ steps: [{ options, layers: [] }], defaults: { quality: 80, format: "auto" } })).toBe(
    "blur-3.5,sharpen-2,gamma-2.2,brightness-1.5,saturation-0.5,hue-270,threshold-128,f-tiff",
  );
});

// ---- plans of every kind, canonical as the parsers make them

const colour = fc.record({
  r: fc.nat(255),
  g: fc.nat(255),
  b: fc.nat(255),
  a: fc.oneof(
    fc.constant(1),
    fc.nat(99).map((n) => n / 100),
  ),
});
const expression = fc.oneof(
  fc.integer({ min: 1, max: 999 }),
  fc.constantFrom("iw_mul_0.5", "bw_sub_cw_sub_10", "ih_mod_7_pow_2").map((text) => {
    const [step] = parseChain(`w-${text}`) as { options: { width: number } }[];
    return step!.options.width;
  }),
);
const offset = fc.oneof(expression, fc.integer({ min: -99, max: -1 }));
const position = fc.constantFrom("center", "top", "left", "bottom_right") as fc.Arbitrary<"top">;
const word = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
  .filter((text) => !/\p{Cc}|\p{Cs}/u.test(text));
const path = fc
  .string({
    unit: fc.constantFrom("a", "Z", "9", "/", " ", "-", "_", ".", "é", ",", ":", "%"),
    minLength: 1,
    maxLength: 8,
  })
  .filter((text) => !/^\/|\/$|^ik_canvas$/.test(text));
const percent = fc.nat(100);
const sides = fc.tuple(expression, expression, expression, expression);

const options: fc.Arbitrary<Partial<Options>> = fc.record<Partial<Options>>(
  {
    width: fc.oneof(expression, fc.constantFrom("auto" as const, 0.25)),
    height: expression,
    crop: fc.constantFrom("maintain_ratio", "force", "at_max", "at_least"),
    cropMode: fc.constantFrom("pad_resize", "extract", "pad_extract_no_shrink"),
    focus: fc.oneof(
      position.map((at) => ({ at })),
      fc.constant({ at: "object" as const, name: "dog" }),
    ),
    zoom: fc.constantFrom(0.5, 1, 2.25),
    x: expression,
    centreY: expression,
    dpr: fc.constantFrom("auto" as const, 0.5, 1, 2),
    trim: fc.oneof(fc.boolean(), fc.integer({ min: 1, max: 99 })),
    border: fc.record({ width: expression, colour }),
    rotate: fc.oneof(fc.constant("auto" as const), fc.nat(359)),
    flip: fc.record({ horizontal: fc.boolean(), vertical: fc.boolean() }),
    radius: fc.oneof(fc.constant("max" as const), fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9), fc.nat(9))),
    background: fc.oneof(
      colour.map((one) => ({ kind: "colour" as const, colour: one })),
      fc.record({
        kind: fc.constant("blurred" as const),
        intensity: percent,
        brightness: fc.integer({ min: -255, max: 255 }),
      }),
      fc.constant({ kind: "dominant" as const }),
      fc.constantFrom(2 as const, 4 as const).map((colours) => ({ kind: "gradient" as const, colours })),
      fc.option(word, { nil: undefined }).map((prompt) => ({ kind: "generated" as const, prompt })),
    ),
    opacity: percent,
    blur: fc.integer({ min: 1, max: 100 }),
    grayscale: fc.boolean(),
    sharpen: fc.nat(9),
    unsharp: fc.record({
      radius: fc.nat(5),
      sigma: fc.integer({ min: 1, max: 5 }),
      amount: fc.nat(5),
      threshold: fc.nat(1),
    }),
    shadow: fc.record({
      blur: fc.nat(15),
      saturation: percent,
      x: fc.integer({ min: -99, max: 99 }),
      y: fc.nat(9),
    }),
    gradient: fc.record({ direction: fc.nat(359), from: colour, to: colour, stop: expression }),
    colorize: fc.record({ colour, intensity: percent }),
    distort: fc.oneof(
      fc.integer({ min: 1, max: 360 }).map((degrees) => ({ kind: "arc" as const, degrees })),
      fc
        .array(offset, { minLength: 8, maxLength: 8 })
        .filter((all) => all.every((one) => typeof one === "number"))
        .map((corners) => ({ kind: "perspective" as const, corners })),
    ),
    colourReplace: fc.record({ to: colour, tolerance: percent, from: fc.option(colour, { nil: undefined }) }),
    model: fc.oneof(
      fc.constantFrom("bgremove", "upscale").map((task) => ({ task: task as "bgremove" })),
      word.map((prompt) => ({ task: "edit" as const, prompt })),
      fc.record({
        task: fc.constant("dropshadow" as const),
        azimuth: fc.nat(360),
        elevation: fc.nat(90),
        saturation: percent,
      }),
    ),
    format: fc.constantFrom("auto", "jpeg", "source", "svg", "mp4"),
    quality: fc.integer({ min: 1, max: 100 }),
    progressive: fc.boolean(),
    lossless: fc.boolean(),
    videoCodec: fc.constantFrom("h264", "none"),
    startOffset: expression,
  },
  { requiredKeys: [] },
);
const placement: fc.Arbitrary<Placement> = fc.record<Placement>(
  {
    x: offset,
    y: offset,
    centreX: offset,
    anchor: position,
    focus: position,
    mode: fc.constant("cutout"),
    start: expression,
  },
  { requiredKeys: [] },
);
const style: fc.Arbitrary<TextStyle> = fc.record<TextStyle>(
  {
    width: expression,
    fontSize: expression,
    font: fc.oneof(
      fc.constantFrom("Open Sans", "PT_Serif").map((family) => ({ family })),
      path.filter((one) => !/[,:]/.test(one)).map((one) => ({ path: one })),
    ),
    colour,
    align: fc.constantFrom("left", "center"),
    padding: sides.filter((all) => all.every((one) => typeof one === "number")),
    bold: fc.constant(true),
    background: colour,
    rotate: fc.integer({ min: 1, max: 359 }),
    lineHeight: expression,
    opacity: fc.integer({ min: 1, max: 9 }),
  },
  { requiredKeys: [] },
);

const { step } = fc.letrec<{ step: Step; layer: Layer }>((tie) => {
  const steps = fc.array(tie("step"), { maxLength: 2, depthIdentifier: "plan" });
  return {
    layer: fc.oneof(
      { maxDepth: 2, depthIdentifier: "plan" },
      fc.record({ kind: fc.constant("image" as const), path, placement, steps: fc.constant([]) }),
      fc.record({ kind: fc.constant("image" as const), path, placement, steps }),
      fc.record({ kind: fc.constant("canvas" as const), placement, steps }),
      fc.record({ kind: fc.constant("text" as const), text: word, style, placement, steps }),
    ),
    step: fc.oneof(
      { maxDepth: 2, depthIdentifier: "plan", depthSize: "small" },
      fc.record({ options, layers: fc.constant([]) }),
      fc.record({ options, layers: fc.array(tie("layer"), { maxLength: 2, depthIdentifier: "plan" }) }),
      fc.record({
        when: fc.constantFrom({ left: "cw" as const, comparison: "gt" as const, right: 100 }),
        // oxlint-disable-next-line unicorn/no-thenable -- the plan's own word, and nothing is awaited here
        then: steps,
        otherwise: steps,
      }),
    ),
  };
});
const plan: fc.Arbitrary<Plan> = fc.record({
  steps: fc.array(step, { maxLength: 3 }),
  defaults: fc.record({ quality: fc.constantFrom(50, 80), format: fc.constantFrom("auto", "source") }),
});

test("a plan's text stands in a URL and means the plan again", () => {
  let understood = 0;
  fc.assert(
    fc.property(plan, ({ steps }) => {
      const text = planText(pictures(withoutIdle(steps)));
      fc.pre(!text.startsWith("default-"));
      const url = { rawPath: "a.jpg", rawQuery: `v=1&tr=${text}`, named: new Map<string, string>() };
      try {
        expect(planText(parseImageKit(url).plan!)).toBe(text);
        understood++;
      } catch (error) {
        // More layers or steps than a URL may have.
        if (!(error instanceof DeliveryError)) throw error;
        expect(error.code).toBe("LimitExceeded");
      }
    }),
    { numRuns: 1000 },
  );
  expect(understood).toBeGreaterThan(500);
});

/** Without what means nothing, in one order of fields: what the text has to tell apart. */
function meaning(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meaning);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(
    fields.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, one]) => [name, meaning(one)]),
  );
}

test("plans that differ have texts that differ", () => {
  // One field at a time, so that what is left out as idle can be told from what is forgotten.
  const loud = options.map(
    ({
      crop: _c,
      focus: _f,
      zoom: _z,
      dpr: _d,
      rotate: _r,
      flip: _l,
      radius: _a,
      opacity: _o,
      grayscale: _g,
      ...rest
    }) => rest,
  );
  const one = fc.record({
    options: loud,
    layers: fc.array(
      fc.record({ kind: fc.constant("text" as const), text: word, style, placement, steps: fc.constant([]) }),
      { maxLength: 1 },
    ),
  });
  fc.assert(
    fc.property(one, one, (left, right) => {
      fc.pre(Object.keys(left.options).length + left.layers.length > 0);
      const same = JSON.stringify(meaning(left)) === JSON.stringify(meaning(right));
      expect(planText(pictures([left])) === planText(pictures([right]))).toBe(same);
    }),
  );
});

test("no two values of one option share a text", () => {
  const rows = Object.keys(TRANSFORMATIONS) as (keyof Options)[];
  fc.assert(
    fc.property(options, options, fc.constantFrom(...rows), (left, right, row) => {
      fc.pre(left[row] !== undefined && right[row] !== undefined);
      const text = (from: Partial<Options>): string =>
        planText(pictures(withoutIdle([{ options: { [row]: from[row] }, layers: [] }])));
      fc.pre(!text(left).startsWith("default-") && !text(right).startsWith("default-"));
      expect(text(left) === text(right)).toBe(
        JSON.stringify(meaning(left[row])) === JSON.stringify(meaning(right[row])),
      );
    }),
    { numRuns: 2000 },
  );
});
