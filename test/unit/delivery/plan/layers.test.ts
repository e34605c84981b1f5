import { describe, expect, test } from "vitest";
import { parseChain } from "../../../../src/delivery/plan/imagekit.ts";
import { pathsOf, videoPathsOf } from "../../../../src/delivery/plan/steps.ts";
import { layerOf, optionsOf, outcome, pictures, refusal, textOf } from "./setup.ts";

const WHITE = { r: 255, g: 255, b: 255, a: 1 };
const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("images", () => {
  test("a path, with transformations of its own", () => {
    expect(layerOf("w-300,h-300,l-image,i-logos@@logo.png,w-10,rt-90,l-end", "image")).toEqual({
      kind: "image",
      path: "logos/logo.png",
      placement: {},
      steps: [{ options: { width: 10, rotate: 90 }, layers: [] }],
    });
    expect(optionsOf("w-300,h-300,l-image,i-logo.png,w-10,rt-90,l-end")).toEqual({ width: 300, height: 300 });
  });

  test.each([
    ["i-a@@b.png", "a/b.png"],
    ["i-@@a.png@@", "a.png"],
    ["i-a/b.png", "a/b.png"],
    [`ie-${base64("a/b c,d:e.png")}`, "a/b c,d:e.png"],
    [`ie-${base64("/a.png/")}`, "a.png"],
    [`ie-${base64("é.png").replace(/=+$/, "")}`, "é.png"],
    [`ie-${encodeURIComponent(base64("é.png"))}`, "é.png"],
    [`ie-${Buffer.from("🎉?>~.png").toString("base64url")}`, "🎉?>~.png"],
    [`i-other.png,ie-${base64("a.png")}`, "a.png"],
    [`ie-${base64("a.png")},i-other.png`, "a.png"],
  ])("%s is the file %s", (content, path) => {
    expect(layerOf(`l-image,${content},l-end`, "image").path).toBe(path);
  });

  test("places, wherever they stand in the chain of the layer", () => {
    const { placement, steps } = layerOf(
      "l-image,i-a.png,lx-N35,w-100:rt-90,ly-bh_div_2,lap-center,lm-multiply:bl-2,lso-1.25,leo-bdu_sub_1,ldu-2,l-end",
      "image",
    );
    expect(placement).toEqual({
      x: -35,
      y: { op: "div", left: { variable: "bh" }, right: 2 },
      anchor: "center",
      mode: "multiply",
      start: 1.25,
      end: { op: "sub", left: { variable: "bdu" }, right: 1 },
      duration: 2,
    });
    expect(steps).toEqual([
      { options: { width: 100 }, layers: [] },
      { options: { rotate: 90 }, layers: [] },
      { options: { blur: 2 }, layers: [] },
    ]);
    expect(layerOf("l-image,i-a.png,lxc-10,lyc-Nbh_div_2,l-end", "image").placement).toEqual({
      centreX: 10,
      centreY: { op: "sub", left: 0, right: { op: "div", left: { variable: "bh" }, right: 2 } },
    });
    for (const at of [
      "center",
      "top",
      "left",
      "bottom",
      "right",
      "top_left",
      "top_right",
      "bottom_left",
      "bottom_right",
    ]) {
      expect(layerOf(`l-image,i-a.png,lfo-${at},lap-${at},l-end`, "image").placement).toEqual({
        focus: at,
        anchor: at,
      });
    }
  });

  test("layers in layers, and conditions in them", () => {
    const { steps } = layerOf(
      "l-image,i-outer.png,h-400,b-10_red,l-image,i-inner.png,lfo-top_left,l-end:if-w_gt_9,w-9,if-end,l-end",
      "image",
    );
    expect(steps).toMatchObject([
      { options: { height: 400 }, layers: [{ path: "inner.png", placement: { focus: "top_left" } }] },
      { when: { left: "cw" } },
    ]);
  });

  test("what ImageKit's editor writes: layers in a row within a block", () => {
    const { steps } = layerOf(
      "l-image,i-ik_canvas,w-500,h-120,bg-FF0000,l-text,i-Top,fs-36,lfo-top,l-end:l-text,i-Bottom,fs-36,lfo-bottom,l-end,l-end",
      "canvas",
    );
    expect(steps).toMatchObject([
      { options: { width: 500, height: 120 }, layers: [{ text: "Top" }] },
      { options: {}, layers: [{ text: "Bottom" }] },
    ]);
  });
});

describe("blocks of colour", () => {
  test.each([
    ["bg-FF0000,al-5", 50],
    ["al-1,bg-FF0000", 10],
    ["al-9", 90],
    // ImageKit: an opacity of the colour wins, and beside a name `al` is ignored.
    ["bg-FF000020,al-5", undefined],
    ["bg-red,al-5", undefined],
    ["bg-FF0000,al-5,o-30", 30],
  ])("%s has the opacity %s", (items, opacity) => {
    const [step] = layerOf(`l-image,i-ik_canvas,w-9,${items},l-end`, "canvas").steps;
    expect(step !== undefined && "options" in step ? step.options.opacity : "none").toBe(opacity);
  });

  test("of a gradient", () => {
    expect(
      layerOf("l-image,i-ik_canvas,e-gradient-from-FFFFFF,w-bw,h-100,l-end", "canvas").steps,
    ).toMatchObject([{ options: { width: { variable: "bw" }, height: 100, gradient: { from: WHITE } } }]);
  });
});

describe("text", () => {
  test.each([
    ["i-overlay made easy", "overlay made easy"],
    ["i-10_off-today 50% wow! a@b & c", "10_off-today 50% wow! a@b & c"],
    ["i-इमेजकिट के साथ", "इमेजकिट के साथ"],
    ["i-1.5 GB", "1.5 GB"],
    [`ie-${base64("a, b: © ® ™\nnext")}`, "a, b: © ® ™\nnext"],
    ["ie-4KS54KS%2F4KSo4KWN4KSm4KWA", "हिन्दी"],
    ["ie-4KS54KS/4KSo4KWN4KSm4KWA", "हिन्दी"],
    ["ie-aGVsbG8%3D", "hello"],
    ["ie-aGVsbG8", "hello"],
    [`i-${"x".repeat(2001)}`, "x".repeat(2000)],
    [`ie-${base64("x".repeat(2501))}`, "x".repeat(2500)],
    [`i-${"x".repeat(1999)}😀`, "x".repeat(1999)],
  ])("%s", (content, text) => {
    expect(layerOf(`l-text,${content},l-end`, "text").text).toBe(text);
  });

  test("every style", () => {
    const chain =
      "l-text,i-a,w-bw_mul_0.5,fs-40,ff-Open Sans,co-FFFFFF,ia-left,pa-10_20,al-7,tg-b_i_strikethrough,bg-FFFFFF50,r-5,rt-N30,fl-h,lh-50,l-end";
    expect(layerOf(chain, "text").style).toEqual({
      width: { op: "mul", left: { variable: "bw" }, right: 0.5 },
      fontSize: 40,
      font: { family: "Open Sans" },
      colour: WHITE,
      align: "left",
      padding: [10, 20, 10, 20],
      opacity: 7,
      bold: true,
      italic: true,
      strikethrough: true,
      background: { ...WHITE, a: 0.5 },
      radius: [5, 5, 5, 5],
      rotate: -30,
      flip: { horizontal: true, vertical: false },
      lineHeight: 50,
    });
  });

  test.each([
    ["pa-25_50_75_100", [25, 50, 75, 100]],
    ["pa-25_75_60", [25, 75, 60, 75]],
    ["pa-25_75", [25, 75, 25, 75]],
    ["pa-10", [10, 10, 10, 10]],
  ])("%s is padding as CSS has it", (item, padding) => {
    expect(layerOf(`l-text,i-a,${item},l-end`, "text").style.padding).toEqual(padding);
  });

  test.each([
    ["ff-PT_Serif", { family: "PT_Serif" }],
    ["ff-fonts@@sub@@a.ttf", { path: "fonts/sub/a.ttf" }],
    ["ff-Lacquer-Regular_nGqtVsBJT.ttf", { path: "Lacquer-Regular_nGqtVsBJT.ttf" }],
    ["ff-a@@b", { path: "a/b" }],
  ])("%s", (item, font) => {
    expect(layerOf(`l-text,i-a,${item},l-end`, "text").style.font).toEqual(font);
  });

  test("further steps transform its picture; what only text has is its style there too", () => {
    const { style, steps } = layerOf("l-text,i-a,w-300,r-5:w-100,r-9,co-red,lx-5:e-grayscale,l-end", "text");
    expect(style).toMatchObject({ width: 300, radius: [5, 5, 5, 5], colour: { r: 255, g: 0, b: 0 } });
    expect(steps).toEqual([
      { options: { width: 100, radius: [9, 9, 9, 9] }, layers: [] },
      { options: { grayscale: true }, layers: [] },
    ]);
  });
});

test("films and subtitles", () => {
  expect(layerOf("l-video,i-a@@b.mp4,w-100,so-1,lso-5,l-end", "video")).toMatchObject({
    path: "a/b.mp4",
    placement: { start: 5 },
    steps: [{ options: { width: 100, startOffset: 1 } }],
  });
  expect(
    layerOf(
      "l-subtitles,i-a.srt,fs-20,co-yellow,bg-00000050,tg-b,fol-2_A1CCDD50,fsh-blue_2,ff-Arvo,l-end",
      "subtitles",
    ),
  ).toEqual({
    kind: "subtitles",
    path: "a.srt",
    placement: {},
    style: {
      fontSize: 20,
      colour: { r: 255, g: 255, b: 0, a: 1 },
      background: { r: 0, g: 0, b: 0, a: 0.5 },
      bold: true,
      outline: { width: 2, colour: { r: 161, g: 204, b: 221, a: 0.5 } },
      shadow: { colour: { r: 0, g: 0, b: 255, a: 1 }, indent: 2 },
      font: { family: "Arvo" },
    },
  });
});

const nested = (depth: number): string => `${"l-image,i-a,".repeat(depth)}w-1${",l-end".repeat(depth)}`;

test.each([
  ["l-image,i-a", /^InvalidParameter: tr: l-end is missing\.$/],
  ["l-image,i-a,l-image,i-b,l-end", /^InvalidParameter: tr: l-end is missing\.$/],
  ["l-image,i-a,l-end,l-end", /^InvalidParameter: tr: "l-end" closes nothing\.$/],
  ["l-image,w-1,l-end", /^InvalidParameter: tr: l-image needs i- or ie-\.$/],
  ["l-image,i-,l-end", /^InvalidParameter: tr: l-image needs i- or ie-\.$/],
  ["l-image,i-@@,l-end", /^InvalidParameter: i can't be "@@"\. Allowed: a path\.$/],
  [`l-image,i-${"a".repeat(1025)},l-end`, /^InvalidParameter: i can't be /],
  ["l-image,i-a,bg-red,bg-blue,l-end", /^InvalidParameter: bg stands twice\.$/],
  ["l-image,i-a,i-b,l-end", /^InvalidParameter: i stands twice\.$/],
  ["l-text,l-end", /^InvalidParameter: tr: l-text needs i- or ie-\.$/],
  ["l-text,ie-YQ!!,l-end", /^InvalidParameter: ie can't be "YQ!!"\. Allowed: UTF-8 in Base64/],
  ["l-text,ie-%%%,l-end", /^InvalidParameter: ie can't be "%%%"\. Allowed: UTF-8 in Base64/],
  [`l-text,ie-${Buffer.from([0xff, 0xfe]).toString("base64")},l-end`, /^InvalidParameter: ie can't be/],
  ["l-text,i-a\u0000b,l-end", /^InvalidParameter: i can't be "a\\u0000b"\. Allowed: text\.$/],
  [
    "l-text,i-a,bl-5,l-end",
    /^InvalidParameter: tr: "bl-5" is nothing that l-text has\. Known: i, ie, tg, fs, ff, co/,
  ],
  ["l-text,i-a,fol-2_red,l-end", /^InvalidParameter: tr: "fol-2_red" is nothing that l-text has/],
  ["l-text,i-a,al-0,l-end", /^InvalidParameter: al can't be "0"\. Allowed: a whole number from 1 to 9/],
  ["l-text,i-a,tg-u,l-end", /^InvalidParameter: tg can't be "u"\. Allowed: b, i, strikethrough/],
  ["l-text,i-a,ia-top,l-end", /^InvalidParameter: ia can't be "top"/],
  ["l-text,i-a,pa-1_2_3_4_5,l-end", /^InvalidParameter: pa can't be/],
  ["l-text,i-a,fs-N1,l-end", /^InvalidParameter: fs can't be/],
  ["l-text,i-a,fs-1,fs-2,l-end", /^InvalidParameter: fs stands twice\.$/],
  ["l-text,i-a,ff-,l-end", /^InvalidParameter: ff can't be ""/],
  ["l-subtitles,i-a.srt,w-100,l-end", /^InvalidParameter: tr: "w-100" is nothing that l-subtitles has/],
  [
    "l-subtitles,i-a.srt:w-100,l-end",
    /^InvalidParameter: tr: l-subtitles has a style, and no transformations/,
  ],
  [
    "l-subtitles,i-a.srt,tg-strikethrough,l-end",
    /^InvalidParameter: tg can't be "strikethrough"\. Allowed: b, i, joined/,
  ],
  [
    "l-shape,i-a,l-end",
    /^InvalidParameter: l can't be "shape"\. Allowed: image, text, video or subtitles\.$/,
  ],
  ["l-image,i-a,lx-a,l-end", /^InvalidParameter: lx can't be "a"/],
  ["l-image,i-a,lx-1:lx-2,l-end", /^InvalidParameter: lx stands twice\.$/],
  ["l-image,i-a,lfo-middle,l-end", /^InvalidParameter: lfo can't be "middle"/],
  [
    "l-image,i-a,lm-screen,l-end",
    /^InvalidParameter: lm can't be "screen"\. Allowed: one of multiply, displace, cutout, cutter/,
  ],
  ["l-image,i-a:if-w_gt_1,lx-5,if-end,l-end", /^InvalidParameter: tr: "lx-5" is no transformation/],
  ["lx-5", /^InvalidParameter: tr: "lx-5" is no transformation/],
  [nested(4), /^LimitExceeded: Layers nest 3 deep\.$/],
  [
    Array.from({ length: 17 }, () => "l-image,i-a,l-end").join(","),
    /^LimitExceeded: A URL has at most 16 layers\.$/,
  ],
])("%s is refused", (chain, reason) => {
  expect(refusal(() => parseChain(chain))).toMatch(reason);
});

test("three layers in each other and sixteen in all are enough", () => {
  expect(outcome(() => parseChain(nested(3)))).toBe("understood");
  expect(outcome(() => parseChain(Array.from({ length: 16 }, () => "l-image,i-a,l-end").join(",")))).toBe(
    "understood",
  );
});

test("paths of what a plan needs besides its source, each once and in order", () => {
  const plan = pictures(
    parseChain(
      "l-image,i-a.png,l-image,i-b.png,l-end,l-end:" +
        "if-w_gt_1,l-text,i-x,ff-f.ttf,l-end,if-else,l-image,i-a.png,l-end,if-end:" +
        "l-video,i-v.mp4,l-image,i-c.png,l-end,l-end,l-subtitles,i-s.srt,ff-fonts@@g.otf,l-end,l-image,i-ik_canvas,l-end",
    ),
  );
  expect(pathsOf(plan)).toEqual(["a.png", "b.png", "f.ttf", "c.png", "fonts/g.otf"]);
  expect(videoPathsOf(plan)).toEqual(["v.mp4", "s.srt"]);
});

test.each([
  ["l-image,i-a@@b.png,lx-10,w-10,l-end", "l-image,i-a@@b.png,lx-10:w-10,l-end"],
  ["l-image,w-10,i-a.png,ly-Niw_mul_0.50,l-end", "l-image,i-a.png,ly-Niw_mul_0.5:w-10,l-end"],
  [`l-image,ie-${base64("a,b.png")},l-end`, "l-image,ie-YSxiLnBuZw%3D%3D,l-end"],
  [`l-image,ie-${base64("a.png")},l-end`, "l-image,i-a.png,l-end"],
  ["l-image,i-ik_canvas,h-1,w-1,bg-red,l-end", "l-image,i-ik_canvas:w-1,h-1,bg-FF0000,l-end"],
  ["l-text,i-Hello World,l-end", "l-text,i-Hello World,l-end"],
  ["l-text,i-a/b,l-end", "l-text,ie-YS9i,l-end"],
  [
    "l-text,i-a,tg-i_b,pa-5_5,bg-white,co-black,rt-N90,ff-a@@b.ttf,fs-9.0,fl-v_h,r-1_2_3_4,l-end",
    "l-text,i-a,fs-9,ff-a@@b.ttf,co-000000,pa-5,tg-b_i,bg-FFFFFF,r-1_2_3_4,rt-270,fl-h_v,l-end",
  ],
  ["l-subtitles,i-a.srt,fsh-blue_2,fol-2_red,l-end", "l-subtitles,i-a.srt,fol-2_FF0000,fsh-0000FF_2,l-end"],
  // @imagekit/javascript 5.5.1.
  ["l-subtitles,i-a.srt,color-red,l-end", "l-subtitles,i-a.srt,co-FF0000,l-end"],
])("the text of %s is %s", (chain, text) => {
  expect(textOf(chain)).toBe(text);
  expect(textOf(decodeURIComponent(text))).toBe(text);
});
