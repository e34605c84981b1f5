/** Prompts as people write them: sides and parts of crops, sizes in other words, and Korean with any of its endings. */
import { describe, expect, test } from "vitest";
import { resolvePrompt } from "../../../src/delivery/plan/prompt.ts";

const HALF = { width: 0.5 };
const times = (factor: number) => ({ width: { op: "mul", left: { variable: "cw" }, right: factor } });
const MIRROR = { flip: { horizontal: true, vertical: false } };
const UPSIDE = { flip: { horizontal: false, vertical: true } };
const CIRCLE = { radius: "max", aspectRatio: 1 };
const part = (at: string, length: unknown) => ({
  cropMode: "extract",
  focus: { at },
  ...(at === "left" || at === "right" ? { width: length } : { height: length }),
});
const without = (variable: string, pixels: number) => ({ op: "sub", left: { variable }, right: pixels });

const understood = (prompt: string): unknown => {
  const resolution = resolvePrompt(prompt);
  return "steps" in resolution ? resolution.steps : resolution.unresolved;
};

test.each<[string, ...object[]]>([
  ["crop to 300x300 from the top", { width: 300, height: 300, focus: { at: "top" } }],
  ["crop to 300x200 from the bottom", { width: 300, height: 200, focus: { at: "bottom" } }],
  ["crop it to a square from the top", { aspectRatio: 1, focus: { at: "top" } }],
  ["make it square from the left", { aspectRatio: 1, focus: { at: "left" } }],
  ["crop to 4:3 from the top", { aspectRatio: 1.333333, focus: { at: "top" } }],
  ["crop to 16x9 from the bottom", { aspectRatio: 1.777778, focus: { at: "bottom" } }],
  ["center crop to 200x200", { width: 200, height: 200 }],
  ["crop to 200x200 from the center", { width: 200, height: 200 }],
  ["keep the top 100px", part("top", 100)],
  ["keep the bottom third", part("bottom", 0.333333)],
  ["keep the right 30%", part("right", 0.3)],
  ["keep only the left quarter", part("left", 0.25)],
  ["keep the top half of the picture", part("top", 0.5)],
  ["cut off the bottom 100 pixels", part("top", without("ch", 100))],
  ["cut off the left 10%", part("right", 0.9)],
  ["cut off the right third", part("left", 0.666667)],
  ["crop off the top half", part("bottom", 0.5)],
  ["remove the left 20px", part("right", without("cw", 20))],
  ["rotate right, then keep the top 100px", { ...part("left", 100), rotate: 90 }],
  ["rotate right, then cut off the bottom 100 pixels", { rotate: 90 }, part("top", without("ch", 100))],
  [
    "rotate right, then crop to 300x200 from the top",
    { width: 200, height: 300, focus: { at: "left" }, rotate: 90 },
  ],
  [
    "flip vertically, then cut off the bottom 100 pixels",
    { ...part("bottom", without("ch", 100)), ...UPSIDE },
  ],
  ["reduce the width to 300", { width: 300 }],
  ["increase the width to 900", { width: 900 }],
  ["decrease the height to 200px", { height: 200 }],
  ["reduce the size to 300x400", { width: 300, height: 400 }],
  ["reduce to 300 pixels wide", { width: 300 }],
  ["shrink it to 200 pixels tall", { height: 200 }],
  ["scale up 2x", times(2)],
  ["make it 4x larger", times(4)],
  ["1.5x", times(1.5)],
  ["0.5x", HALF],
  ["three times larger", times(3)],
  ["make it four times as big", times(4)],
  ["make it smaller by half", HALF],
  ["reduce to 1/4", { width: 0.25 }],
  ["shrink by 1/4", { width: 0.75 }],
  ["make it 10% of the original", { width: 0.1 }],
  ["10 percent of the original size", { width: 0.1 }],
  ["reduce the width by half", HALF],
  ["halve the width", HALF],
  ["double the width", times(2)],
  ["make it a 300 pixel square", { width: 300, height: 300 }],
  ["make it square, 300px", { width: 300, height: 300 }],
  ["a square of 300px and grayscale", { width: 300, height: 300, grayscale: true }],
  ["make it square, 300px wide", { aspectRatio: 1, width: 300 }],
  ["make it square, then reduce by half", { aspectRatio: 1 }, HALF],
  ["square and half size", { aspectRatio: 1 }, HALF],
  ["max width 300", { width: 300, crop: "at_max" }],
  ["with a maximum height of 200px", { height: 200, crop: "at_max" }],
  ["jpeg quality 50", { format: "jpeg", quality: 50 }],
  ["to jpeg with quality 70", { format: "jpeg", quality: 70 }],
  ["save as webp at 60% quality", { format: "webp", quality: 60 }],
  ["make the corners round", { radius: [20, 20, 20, 20] }],
  // Pairs so small are pixels only where that is said, and ratios only where people name one so.
  ["make it 3x2", { aspectRatio: 1.5 }],
  ["make the image 16x9", { aspectRatio: 1.777778 }],
  ["make it 4x4 pixels", { width: 4, height: 4 }],
  ["resize to 16x16px", { width: 16, height: 16 }],
  ["resize to 16px by 9px", { width: 16, height: 9 }],
  ["set width 16 and height 9", { width: 16, height: 9 }],
  ["너비 16, 높이 16", { width: 16, height: 16 }],
  ["가로 20px 세로 10px", { width: 20, height: 10 }],
  ["make it a 16x16 thumbnail", { width: 16, height: 16 }],
  ["4x4 ratio", { aspectRatio: 1 }],
  ["make it 20x300", { width: 20, height: 300 }],
  ["흑백으로 변경해 주세요", { grayscale: true }],
  ["정사각형으로 변경해 주세요", { aspectRatio: 1 }],
  ["사이즈를 300x400으로 바꿔줘", { width: 300, height: 400 }],
  ["크기를 1.5배로", times(1.5)],
  ["품질을 70%로 낮춰줘", { quality: 70 }],
  ["화질을 50%로 낮춰줘", { quality: 50 }],
  ["시계 반대 방향으로 45도 회전", { rotate: -45 }],
  ["시계 반대 방향으로 돌려주세요", { rotate: -90 }],
  ["수평으로 뒤집어줘", MIRROR],
  ["수직으로 뒤집어줘", UPSIDE],
  ["블러를 적용해줘", { blurSigma: 5 }],
  ["흑백 사진으로 만들어줘", { grayscale: true }],
  ["원으로 잘라줘", CIRCLE],
  ["20% 더 밝게", { brightness: 1.2 }],
  ["10% 어둡게 해줘", { brightness: 0.9 }],
  ["왼쪽 반만 보여줘", part("left", 0.5)],
  ["위쪽 100픽셀만 남겨 주세요", part("top", 100)],
  ["아래쪽 3분의 1만 남기고 흑백으로", { ...part("bottom", 0.333333), grayscale: true }],
  ["오른쪽 30%만 보여줘", part("right", 0.3)],
  ["800x600으로 잘라줘", { width: 800, height: 600 }],
  ["품질을 70%로 낮춘 다음 흑백으로", { quality: 70, grayscale: true }],
])("%s", (prompt, ...steps) => {
  expect(understood(prompt)).toEqual(steps);
});

describe("Korean requests end as they like", () => {
  const ENDINGS = ["", "줘", " 줘", "줘요", "주세요", " 주세요", "주십시오", "서"];
  const VERBS: readonly [string, string, string][] = [
    // To do, to change, to make, …: with 어 and with 고, 은.
    ["해", "하", "한"],
    ["바꿔", "바꾸", "바꾼"],
    ["만들어", "만들", "만든"],
    ["변경해", "변경하", "변경한"],
    ["변환해", "변환하", "변환한"],
    ["변경 해", "변경 하", "변경 한"],
  ];
  const all = VERBS.flatMap(([done, stem, having]) => [
    ...ENDINGS.map((ending) => done + ending),
    `${stem}고`,
    `${stem}기`,
    having,
  ]);

  test.each(["흑백으로", "정사각형으로", "webp로", "400x300으로", "너비를 300픽셀로", "절반 크기로"])(
    "%s",
    (wish) => {
      const bare = understood(wish);
      expect(bare).toBeInstanceOf(Array);
      for (const ending of all) expect([ending, understood(`${wish} ${ending}`)]).toEqual([ending, bare]);
    },
  );

  test.each([
    ["오른쪽으로", ["회전해", "돌려", "회전시켜"], { rotate: 90 }],
    ["절반으로", ["줄여", "축소해"], HALF],
    ["2배로", ["키워", "확대해", "늘려"], times(2)],
    ["4:3 비율로", ["잘라", "크롭해"], { aspectRatio: 1.333333 }],
    ["좌우로", ["뒤집어", "반전시켜", "반전해"], MIRROR],
    ["채도를", ["올려", "높여"], { saturation: 1.3 }],
    ["밝기를", ["내려", "낮춰", "줄여"], { brightness: 0.8 }],
    ["블러를", ["적용해", "추가해"], { blurSigma: 5 }],
  ] as const)("%s %j", (wish, verbs, options) => {
    for (const verb of verbs) {
      for (const ending of ENDINGS) {
        const prompt = `${wish} ${verb}${ending}`;
        expect([prompt, understood(prompt)]).toEqual([prompt, [options]]);
      }
    }
  });
});

test.each([
  "make it landscape",
  "make it portrait",
  "make it 4x4",
  "make it 4 by 4",
  "4x4",
  "resize to 16x16",
  "resize to 16x9",
  "크기를 16x16으로 바꿔줘",
  "keep the top 100",
  "keep the top 0%",
  "keep the top",
  "cut off the bottom",
  "cut off the bottom 0 pixels",
  "keep the background",
  "remove the left half of the text",
  "crop from the top",
  "crop to 300x300 from the dog",
  "rotate from the top",
  "three times smaller",
  "scale down 2x",
  "0.5x larger",
  "50x",
  "square, 300",
  "square, 300px border",
  "double the width and halve the height",
  "reduce the width",
  "reduce the width by half and the height by a third",
  "max width",
  "max 300",
  "jpeg quality 500",
  "crop to 400 pixels wide",
  "increase the width by 300",
  "reduce width 300",
  "increase by 3 times",
  "enlarge 0.5x",
  "scale up 0.5x",
  "jpeg with quality",
  "don't cut off the bottom 100 pixels",
  // To keep it, or to cut it away?
  "위쪽 절반만 잘라줘",
  "왼쪽 절반 변환해줘",
  "왼쪽 100px",
  "너비를 300픽셀 늘려줘",
  "너비를 300픽셀 줄여줘",
  "너비를 300픽셀 추가해줘",
  "원해요",
  "품질을 70% 낮춰줘",
  "1.5배로 줄여줘",
  "0.5배로 키워줘",
  "흑백으로 바꾸지 마",
  "흑백으로 변경하지 말아 주세요",
  "회전시키지 마세요",
  "뒤집지 마",
  "밝게 하지 마",
  "정사각형으로 자르지 말고 흑백으로",
  "블러를 적용하지 않고 흑백으로",
  "강아지만 남겨줘",
  "왼쪽 강아지만 남겨줘",
  "사진을 예쁘게 변경해 주세요",
])("%j is not guessed at", (prompt) => {
  expect(resolvePrompt(prompt)).toHaveProperty("unresolved");
});
