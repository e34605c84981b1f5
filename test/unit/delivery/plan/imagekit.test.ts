import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseChain } from "../../../../src/delivery/plan/imagekit.ts";
import type { Options } from "../../../../src/delivery/plan/plan.ts";
import { exampleChains } from "../../../../src/delivery/plan/reference.ts";
import type { Transformation } from "../../../../src/delivery/plan/rows.ts";
import { TRANSFORMATIONS } from "../../../../src/delivery/plan/transforms.ts";
import { optionsOf, outcome, refusal, textOf } from "./setup.ts";

const RED = { r: 255, g: 0, b: 0, a: 1 };
const half = { op: "mul", left: { variable: "iw" }, right: 0.5 } as const;

/** Each row of the table by what URLs say and what it means. */
const ROWS: readonly (readonly [string, keyof Options, unknown])[] = [
  ["w-300", "width", 300],
  ["w-1", "width", 1],
  ["w-0.40", "width", 0.4],
  ["w-.4", "width", 0.4],
  ["w-iw_mul_0.5", "width", half],
  ["w-1000_div_3", "width", 333],
  ["w-auto", "width", "auto"],
  ["w-65535", "width", 65_535],
  ["h-bh_mul_0.05", "height", { op: "mul", left: { variable: "bh" }, right: 0.05 }],
  ["h-0.25", "height", 0.25],
  ["ar-4-3", "aspectRatio", 4 / 3],
  ["ar-4_3", "aspectRatio", 4 / 3],
  ["ar-4:3", "aspectRatio", 4 / 3],
  ["ar-16.5:9", "aspectRatio", 16.5 / 9],
  ["ar-16:9.5", "aspectRatio", 16 / 9.5],
  ["ar-2.5", "aspectRatio", 2.5],
  ["ar-2.5-1", "aspectRatio", 2.5],
  ["ar-iar_mul_0.5", "aspectRatio", { op: "mul", left: { variable: "iar" }, right: 0.5 }],
  ["c-maintain_ratio", "crop", "maintain_ratio"],
  ["c-maintain_ratio_no_enlarge", "crop", "maintain_ratio_no_enlarge"],
  ["c-force", "crop", "force"],
  ["c-at_max", "crop", "at_max"],
  ["c-at_max_enlarge", "crop", "at_max_enlarge"],
  ["c-at_least", "crop", "at_least"],
  ["cm-pad_resize", "cropMode", "pad_resize"],
  ["c-pad_resize", "cropMode", "pad_resize"],
  ["cm-at_max", "crop", "at_max"],
  ["cm-force", "crop", "force"],
  ["cm-pad_resize_no_enlarge", "cropMode", "pad_resize_no_enlarge"],
  ["cm-extract", "cropMode", "extract"],
  ["cm-pad_extract", "cropMode", "pad_extract"],
  ["cm-pad_extract_no_shrink", "cropMode", "pad_extract_no_shrink"],
  ["fo-bottom_left", "focus", { at: "bottom_left" }],
  ["fo-auto", "focus", { at: "auto" }],
  ["fo-face", "focus", { at: "face" }],
  ["fo-custom", "focus", { at: "custom" }],
  ["fo-wineGlass", "focus", { at: "object", name: "wineGlass" }],
  ["z-0.5", "zoom", 0.5],
  ["z-2", "zoom", 2],
  ["x-100", "x", 100],
  ["y-iw_mul_0.5", "y", half],
  ["xc-10", "centreX", 10],
  ["yc-cw", "centreY", { variable: "cw" }],
  ["dpr-2", "dpr", 2],
  ["dpr-0.1", "dpr", 0.1],
  ["dpr-5.0", "dpr", 5],
  ["dpr-auto", "dpr", "auto"],
  ["dpr-1_add_0.5", "dpr", 1.5],
  ["dpr-iw_div_1000", "dpr", { op: "div", left: { variable: "iw" }, right: 1000 }],
  ["t-true", "trim", true],
  ["t-false", "trim", false],
  ["t-99", "trim", 99],
  ["b-5_red", "border", { width: 5, colour: RED }],
  ["b-5-red", "border", { width: 5, colour: RED }],
  ["b-5_FF0000", "border", { width: 5, colour: RED }],
  ["b-iw_mul_0.5_FF0000", "border", { width: half, colour: RED }],
  ["rt-90", "rotate", 90],
  ["rt-N40", "rotate", -40],
  ["rt-0.5", "rotate", 0.5],
  ["rt-auto", "rotate", "auto"],
  ["fl-h", "flip", { horizontal: true, vertical: false }],
  ["fl-v_h", "flip", { horizontal: true, vertical: true }],
  ["r-20", "radius", [20, 20, 20, 20]],
  ["r-max", "radius", "max"],
  ["r-10_20_30_40", "radius", [10, 20, 30, 40]],
  ["r-iw_mul_0.5", "radius", [half, half, half, half]],
  ["bg-FF0000", "background", { kind: "colour", colour: RED }],
  ["bg-ff0000", "background", { kind: "colour", colour: RED }],
  ["bg-red", "background", { kind: "colour", colour: RED }],
  ["bg-FF000050", "background", { kind: "colour", colour: { ...RED, a: 0.5 } }],
  ["bg-FF000099", "background", { kind: "colour", colour: { ...RED, a: 0.99 } }],
  ["bg-FF000000", "background", { kind: "colour", colour: { ...RED, a: 0 } }],
  ["bg-FF0000FF", "background", { kind: "colour", colour: RED }],
  ["bg-blurred", "background", { kind: "blurred", intensity: "auto", brightness: 0 }],
  ["bg-blurred_25", "background", { kind: "blurred", intensity: 25, brightness: 0 }],
  ["bg-blurred_auto_N50", "background", { kind: "blurred", intensity: "auto", brightness: -50 }],
  ["bg-blurred_10_255", "background", { kind: "blurred", intensity: 10, brightness: 255 }],
  ["bg-dominant", "background", { kind: "dominant" }],
  ["bg-gradient_dominant", "background", { kind: "gradient", colours: 2 }],
  ["bg-gradient_dominant_4", "background", { kind: "gradient", colours: 4 }],
  ["bg-genfill", "background", { kind: "generated", prompt: undefined }],
  ["bg-genfill-prompt-a beach", "background", { kind: "generated", prompt: "a beach" }],
  ["bg-genfill-prompte-YSwgYg", "background", { kind: "generated", prompt: "a, b" }],
  ["o-0", "opacity", 0],
  ["o-100", "opacity", 100],
  ["bl-1", "blur", 1],
  ["bl-100", "blur", 100],
  ["e-grayscale", "grayscale", true],
  ["e-grayscale-true", "grayscale", true],
  ["e-grayscale-false", "grayscale", false],
  ["e-contrast", "contrast", true],
  // The README of ImageKit's older SDKs.
  ["e-contrast-1", "contrast", true],
  ["e-sharpen", "sharpen", 0],
  ["e-sharpen--", "sharpen", 0],
  ["e-sharpen-true", "sharpen", 0],
  ["e-sharpen-10", "sharpen", 10],
  ["e-sharpen-2000", "sharpen", 2000],
  ["e-usm-2-2-0.8-0.024", "unsharp", { radius: 2, sigma: 2, amount: 0.8, threshold: 0.024 }],
  ["e-usm-0-5-1-0.05", "unsharp", { radius: 0, sigma: 5, amount: 1, threshold: 0.05 }],
  ["e-usm", "unsharp", { radius: 0, sigma: 1, amount: 1, threshold: 0.05 }],
  ["e-shadow", "shadow", { blur: 10, saturation: 30, x: 2, y: 2 }],
  ["e-shadow-bl-15_st-40_x-10_y-N5", "shadow", { blur: 15, saturation: 40, x: 10, y: -5 }],
  ["e-shadow-y-N5_bl-1", "shadow", { blur: 1, saturation: 30, x: 2, y: -5 }],
  [
    "e-gradient",
    "gradient",
    { direction: 180, from: { r: 255, g: 255, b: 255, a: 1 }, to: { r: 0, g: 0, b: 0, a: 0 }, stop: 1 },
  ],
  [
    "e-gradient-sp-0.5_to-00000050_ld-top_right_from-red",
    "gradient",
    { direction: 45, from: RED, to: { r: 0, g: 0, b: 0, a: 0.5 }, stop: 0.5 },
  ],
  [
    "e-gradient-ld-bottom_from-F23016FF_to-F8D624FF_sp-iw_mul_0.5",
    "gradient",
    { direction: 180, from: { r: 242, g: 48, b: 22, a: 1 }, to: { r: 248, g: 214, b: 36, a: 1 }, stop: half },
  ],
  ["e-colorize", "colorize", { colour: { r: 128, g: 128, b: 128, a: 1 }, intensity: 100 }],
  ["e-colorize-in-15_co-FF0000", "colorize", { colour: RED, intensity: 15 }],
  ["e-distort-a-30", "distort", { kind: "arc", degrees: 30 }],
  ["e-distort-a-N30", "distort", { kind: "arc", degrees: -30 }],
  [
    "e-distort-p-50_50_N10_50_550_650_150_550",
    "distort",
    { kind: "perspective", corners: [50, 50, -10, 50, 550, 650, 150, 550] },
  ],
  ["cr-red", "colourReplace", { to: RED, tolerance: 35, from: undefined }],
  ["cr-red_40", "colourReplace", { to: RED, tolerance: 40, from: undefined }],
  ["cr-FF0000_0_FF0000", "colourReplace", { to: RED, tolerance: 0, from: RED }],
  ["e-bgremove", "model", { task: "bgremove" }],
  ["e-removedotbg", "model", { task: "removedotbg" }],
  ["e-upscale", "model", { task: "upscale" }],
  ["e-retouch", "model", { task: "retouch" }],
  ["e-genvar", "model", { task: "genvar" }],
  ["e-dropshadow", "model", { task: "dropshadow", azimuth: 215, elevation: 45, saturation: 60 }],
  ["e-dropshadow-az-45", "model", { task: "dropshadow", azimuth: 45, elevation: 45, saturation: 60 }],
  ["e-changebg-prompt-snow road", "model", { task: "changebg", prompt: "snow road" }],
  ["e-edit-prompte-bWFrZSBpdCwgcmVk", "model", { task: "edit", prompt: "make it, red" }],
  ["pg-2", "pages", { kind: "range", from: 2, to: 2 }],
  ["pg-2-4", "pages", { kind: "range", from: 2, to: 4 }],
  ["pg-4-", "pages", { kind: "range", from: 4, to: undefined }],
  ["pg-1_3_5", "pages", { kind: "list", pages: [1, 3, 5] }],
  ['pg-name-"layer 1"_"b"', "pages", { kind: "names", names: ["layer 1", "b"] }],
  ["pg-name-layer-4", "pages", { kind: "names", names: ["layer-4"] }],
  ["f-auto", "format", "auto"],
  ["f-jpg", "format", "jpeg"],
  ["f-jpeg", "format", "jpeg"],
  ["f-webp", "format", "webp"],
  ["f-avif", "format", "avif"],
  ["f-png", "format", "png"],
  ["f-gif", "format", "gif"],
  ["f-orig", "format", "source"],
  ["f-svg", "format", "svg"],
  ["f-mp4", "format", "mp4"],
  ["f-webm", "format", "webm"],
  ["q-1", "quality", 1],
  ["q-100", "quality", 100],
  ["pr-true", "progressive", true],
  ["lo-true", "lossless", true],
  ["cp-true", "colourProfile", true],
  ["md-false", "metadata", false],
  ["orig-true", "original", true],
  ["di-folder@@none.jpg", "defaultImage", "folder/none.jpg"],
  ["di-@@folder@@none.jpg@@", "defaultImage", "folder/none.jpg"],
  ["dn-150", "density", 150],
  ["dn-1200", "density", 1200],
  ["dn-idn_mul_2", "density", { op: "mul", left: { variable: "idn" }, right: 2 }],
  ["vc-h264", "videoCodec", "h264"],
  ["vc-none", "videoCodec", "none"],
  ["ac-opus", "audioCodec", "opus"],
  ["so-5.25", "startOffset", 5.25],
  ["eo-idu_sub_1", "endOffset", { op: "sub", left: { variable: "idu" }, right: 1 }],
  ["du-10", "duration", 10],
  ["sr-240_360_480_720_1080", "streamingResolutions", [240, 360, 480, 720, 1080]],
  ["sr-720_240", "streamingResolutions", [240, 720]],
];

test.each(ROWS)("%s is %s %j", (item, row, value) => {
  expect(optionsOf(item)).toEqual({ [row]: value });
  const text = textOf(item);
  // What holds anyway is left out of the text, and all else is read as the same again.
  if (!text.startsWith("default-")) expect(textOf(text)).toBe(text);
});

test("every row that ImageKit has is among them", () => {
  const rows = Object.entries(TRANSFORMATIONS).filter(([, row]) => "imagekit" in row);
  expect([...new Set(ROWS.map(([, row]) => row))].toSorted()).toEqual(rows.map(([name]) => name).toSorted());
});

test.each([
  "w-0",
  "w--1",
  "w-1.5",
  "w-0.0",
  "w-1e3",
  "w-",
  "w-N5",
  "w-3_sub_5",
  "w-iw_div",
  "w-constructor",
  "h-auto",
  "ar-0",
  "ar-4-0",
  "ar-0_3",
  "ar-a",
  "c-cover",
  "c-",
  "cm-contain",
  "fo-middle",
  "fo-toString",
  "z-0",
  "z-0.0",
  "z-N1",
  "x-a",
  "xc-",
  "dpr-0",
  "dpr-0.05",
  "dpr-5.1",
  "dpr-x",
  "t-0",
  "t-100",
  "t-yes",
  "b-5",
  "b-red",
  "b-_red",
  "b-5_nocolour",
  "rt-361",
  "rt-a",
  "fl-x",
  "fl-",
  "r-N5",
  "r-a",
  "r-1_2",
  "r-1_2_3",
  "r-1_2_3_4_5",
  "bg-FF00",
  "bg-GG0000",
  "bg-FF00000",
  "bg-nocolour",
  "bg-blurred_101",
  "bg-blurred_5_256",
  "bg-blurred_",
  "bg-gradient_dominant_3",
  "bg-genfill-x",
  "bg-genfill-prompt-",
  "bg-genfill-prompte-%%%",
  "o-101",
  "o-N1",
  "o-1.5",
  "bl-0",
  "bl-101",
  "bl-1.5",
  "e-grayscale-2",
  "e-contrast-x",
  "e-sharpen-0",
  "e-sharpen-x",
  "e-usm-2-2-0.8",
  "e-usm-2-0-1-1",
  "e-usm-2-N2-1-1",
  "e-usm-1-1-1-1-1",
  "e-shadow-bl-16",
  "e-shadow-st-101",
  "e-shadow-x-N101",
  "e-shadow-z-1",
  "e-shadow-bl-1_bl-2",
  "e-shadow-bl",
  "e-gradient-ld-360",
  "e-gradient-ld-north",
  "e-gradient-from-nocolour",
  "e-gradient-sp-",
  "e-gradient-x",
  "e-colorize-in-101",
  "e-colorize-co-nocolour",
  "e-distort-a-0",
  "e-distort-a-361",
  "e-distort-p-1_2_3",
  "e-distort",
  "e-distort-x-1",
  "cr-nocolour",
  "cr-red_101",
  "cr-red_1_nocolour",
  "cr-red_1_red_1",
  "e-changebg",
  "e-changebg-snow",
  "e-edit-prompt-",
  "e-bgremove-1",
  "e-dropshadow-az-361",
  "e-dropshadow-el-91",
  "pg-0",
  "pg-4-2",
  "pg-a",
  "pg-1_0",
  "pg-name-",
  'pg-name-"a',
  "f-tiff",
  "f-constructor",
  "f-",
  "q-0",
  "q-101",
  "q-8.5",
  "q-",
  "pr-1",
  "lo-",
  "cp-TRUE",
  "md-x",
  "orig-1",
  "di-",
  "di-@@",
  "dn-0",
  "dn-1201",
  "dn-72.5",
  "dn-auto",
  "vc-hevc",
  "ac-mp3",
  "so-N1",
  "so-x",
  "du-",
  "sr-100",
  "sr-240_240",
  "sr-",
])("%s is refused with what is allowed", (item) => {
  const name = /^(e-[a-z]+|[a-z]+)/.exec(item)![0];
  const reason = refusal(() => parseChain(item));
  expect(reason).toMatch(/^InvalidParameter: /);
  if (!/has no value|no transformation/.test(reason)) {
    expect(reason).toContain(`${name} can't be "`);
    expect(reason).toMatch(/\. Allowed: .{4,}\.$/);
  }
});

/** So many conditions of so many steps each. */
const conditionsOf = (steps: number, count: number): string =>
  Array(count)
    .fill(`if-w_gt_1,${Array(steps).fill("w-1").join(":")},if-end`)
    .join(":");

describe("chains", () => {
  test.each([
    ["w-400,h-300:rt-90", "w-400,h-300:rt-90"],
    ["h-300,w-400:rt-90:w-100", "w-400,h-300:rt-90:w-100"],
    ["w-500,ar-16:9:rt-90", "w-500,ar-1.7777777777777777:rt-90"],
    [
      "w-400,h-400:w-500,h-400,cm-pad_resize,fo-right,bg-000000:l-image,i-logo-white_SJwqB4Nfe.png,lx-10,ly-50,h-20,l-end",
      "w-400,h-400:w-500,h-400,cm-pad_resize,fo-right,bg-000000:l-image,i-logo-white_SJwqB4Nfe.png,lx-10,ly-50:h-20,l-end",
    ],
    ["w-iw_div_4,h-ih_div_2:b-cw_mul_0.05_yellow", "w-iw_div_4,h-ih_div_2:b-cw_mul_0.05_FFFF00"],
    ["if-ar_gt_1,w-200,if-else,w-300,if-end", "if-ar_gt_1,w-200,if-else,w-300,if-end"],
    ["if-ar_gt_1,w-200,if-end", "if-ar_gt_1,w-200,if-end"],
    ["if-ar_gt_1,if-else,w-300,if-end", "if-ar_gt_1,if-else,w-300,if-end"],
    [
      "h-200,c-pad_resize:if-h_eq_200,w-100,if-end:rt-90",
      "h-200,cm-pad_resize:if-h_eq_200,w-100,if-end:rt-90",
    ],
    ["if-ar_gt_1,w-9:h-8,if-else,w-7:h-6,if-end:q-5", "if-ar_gt_1,w-9:h-8,if-else,w-7:h-6,if-end:q-5"],
    [
      "if-w_gt_9,if-h_gt_9,w-9,if-end,if-else,w-8,if-end",
      "if-w_gt_9,if-h_gt_9,w-9,if-end,if-else,w-8,if-end",
    ],
    [
      "if-w_gt_9,l-text,i-a,l-end,if-end:l-text,i-b,l-end",
      "if-w_gt_9,l-text,i-a,l-end,if-end:l-text,i-b,l-end",
    ],
  ])("%s is %s", (chain, text) => {
    expect(textOf(chain)).toBe(text);
    expect(textOf(text)).toBe(text);
  });

  test.each([
    ["w", /^InvalidParameter: w can't be "". Allowed: /],
    ["bla-1", /^InvalidParameter: tr: "bla-1" is no transformation/],
    ["e-sepia", /^InvalidParameter: tr: "e-sepia" is no transformation/],
    ["constructor-1", /^InvalidParameter: tr: "constructor-1" is no transformation/],
    ["__proto__-1", /^InvalidParameter: tr: "__proto__-1" is no transformation/],
    ["w-1,w-2", /^InvalidParameter: w stands twice\.$/],
    ["n-thumb", /^InvalidParameter: tr: "n-thumb": a named transformation can't name another one\.$/],
    [
      "oi-logo.png,ox-10",
      /^InvalidParameter: tr: "oi-logo.png": overlays are layers now: l-image,i-PATH,l-end/,
    ],
    ["ot-hi", /^InvalidParameter: tr: "ot-hi": overlays are layers now/],
    ["otbg-red", /^InvalidParameter: tr: "otbg-red": overlays are layers now/],
    [
      "h-400:rt-90,if-h_eq_200,w-100,if-end:rt-90",
      /^InvalidParameter: tr: a condition stands alone in its step\.$/,
    ],
    [
      "h-400:if-h_eq_200,w-100,if-end,bl-10:rt-90",
      /^InvalidParameter: tr: a condition stands alone in its step\.$/,
    ],
    ["h-100,if-h_eq_200,w-100,if-end", /^InvalidParameter: tr: a condition stands alone in its step\.$/],
    ["if-h_eq_200,w-100", /^InvalidParameter: tr: if-else or if-end is missing\.$/],
    ["if-h_eq_200,w-100,if-else,w-1", /^InvalidParameter: tr: if-end is missing\.$/],
    ["if-h_eq_200,w-1,if-else,w-2,if-else,w-3,if-end", /^InvalidParameter: tr: "if-else" closes nothing\.$/],
    ["if-end", /^InvalidParameter: tr: "if-end" closes nothing\.$/],
    ["w-1,l-end", /^InvalidParameter: tr: "l-end" closes nothing\.$/],
    ["if-h_is_2,w-1,if-end", /^InvalidParameter: if can't be "h_is_2"\. Allowed: w, h, ar, iw/],
    ["if-h_gt_2,pg-2,if-end", /^InvalidParameter: tr: pg can't stand in a condition\.$/],
    ["if-h_gt_2,orig-true,if-end", /^InvalidParameter: tr: orig can't stand in a condition\.$/],
    ["l-image,i-a,di-b.jpg,l-end", /^InvalidParameter: tr: di can't stand in a layer\.$/],
    ["l-video,i-a,sr-240,l-end", /^InvalidParameter: tr: sr can't stand in a layer\.$/],
    [Array.from({ length: 9 }, () => "w-1").join(":"), /^LimitExceeded: A chain has at most 8 steps/],
    [conditionsOf(8, 4), /^LimitExceeded: .*, and a URL at most 32\.$/],
    [`${"if-w_gt_1,".repeat(4)}w-1${",if-end".repeat(4)}`, /^LimitExceeded: Conditions nest 3 deep\.$/],
  ])("%s is refused", (chain, reason) => {
    expect(refusal(() => parseChain(chain))).toMatch(reason);
  });

  test("conditions of three are enough, with layers of three in them", () => {
    const layers = `${"l-image,i-a,".repeat(3)}w-1${",l-end".repeat(3)}`;
    expect(outcome(() => parseChain(`${"if-w_gt_1,".repeat(3)}${layers}${",if-end".repeat(3)}`))).toBe(
      "understood",
    );
    expect(outcome(() => parseChain(conditionsOf(7, 4)))).toBe("understood");
  });
});

test("every example of the reference page is a chain", () => {
  expect(exampleChains().size).toBeGreaterThan(60);
  for (const [name, chain] of exampleChains())
    expect([name, outcome(() => parseChain(chain))]).toEqual([name, "understood"]);
});

test("any chain is understood or refused, and never anything else", () => {
  const rows = Object.values(TRANSFORMATIONS) as Transformation<unknown>[];
  const names = rows.flatMap((row) => row.imagekit?.names ?? []);
  const piece = fc.oneof(
    fc.constantFrom(
      ",",
      ":",
      "-",
      "_",
      "l-image",
      "l-text",
      "l-end",
      "if-w_gt_1",
      "if-else",
      "if-end",
      "i-a",
      "ie-YQ",
      "lx-N5",
      "fs-9",
    ),
    fc.constantFrom(...names).map((name) => `${name}-`),
    fc.constantFrom(
      "iw_mul_2",
      "red",
      "FF000050",
      "10_20_30_40",
      "auto",
      "true",
      "N5",
      "4-3",
      "prompt-x",
      "@@",
    ),
    fc.nat().map(String),
    fc.string({ unit: "binary", maxLength: 8 }),
  );
  const chain = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(chain, (text) => {
      expect(outcome(() => parseChain(text))).toMatch(/^(understood|InvalidParameter|LimitExceeded)$/);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ["opened layers", "l-image,i-a,".repeat(1600)],
  ["conditions", "if-w_gt_1,".repeat(1900)],
  ["slashes", `di-x${"/".repeat(19_000)}x`],
  ["underscores", `w-${"_".repeat(19_000)}`],
  ["dashes", `e-usm${"-".repeat(19_000)}`],
  ["parts", `e-gradient-${"ld-".repeat(6000)}`],
  ["pages", `pg-name-${'"a"_'.repeat(4500)}`],
  ["ratios", `w_1${"ar-1:".repeat(3900)}`],
  ["commas and one word", `${",".repeat(19_000)}x`],
  ["more than there may be", "w-1,".repeat(1_000_000)],
])("a chain of nothing but %s is refused", (_, chain) => {
  expect(outcome(() => parseChain(chain))).toMatch(/^(InvalidParameter|LimitExceeded)$/);
});
