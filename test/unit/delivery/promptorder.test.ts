/** Several wishes in one prompt: their order, what can't be together, and what Weekerp's header says of them. */
import { expect, test } from "vitest";
import { appliedOptions, resolvePrompt } from "../../../src/delivery/plan/prompt.ts";

const half = (at: string) => ({
  cropMode: "extract",
  focus: { at },
  ...(at === "left" || at === "right" ? { width: 0.5 } : { height: 0.5 }),
});
const border = (width: number, [r, g, b]: readonly number[]) => ({
  border: { width, colour: { r, g, b, a: 1 } },
});
const corners = (pixels: number) => ({ radius: [pixels, pixels, pixels, pixels] });
const MIRROR = { flip: { horizontal: true, vertical: false } };
const UPSIDE = { flip: { horizontal: false, vertical: true } };

test.each([
  ["make it square", { fit: "cover", position: "centre", relativeResize: 1 }],
  ["rotate the image to the right", { rotate: 90 }],
  ["reduce the size by half", { relativeResize: 0.5 }],
  ["resize to 300x400", { fit: "cover", position: "centre", width: 300, height: 400 }],
  ["fit within 300x200", { fit: "inside", withoutEnlargement: true, width: 300, height: 200 }],
  ["blur slightly and flip vertically", { flip: true, blur: 2 }],
  ["keep the left half", { extract: { position: "left", width: 0.5 } }],
  [
    "rotate 45 degrees, then make it square",
    [{ rotate: 45 }, { fit: "cover", position: "centre", relativeResize: 1 }],
  ],
])("%s is said as Weekerp says it", (prompt, applied) => {
  const resolution = resolvePrompt(prompt);
  expect("steps" in resolution ? appliedOptions(resolution.steps) : undefined).toEqual(applied);
});

// The options of one step have an order of their own, in which turns come last; wishes have that of the sentence.
test.each<[string, object]>([
  ["resize to 400x300, then rotate right", { width: 400, height: 300, rotate: 90 }],
  ["rotate right, then resize to 400x300", { width: 300, height: 400, rotate: 90 }],
  ["rotate left, then make it 400 wide", { height: 400, rotate: -90 }],
  ["rotate 180 degrees, then resize to 400x300", { width: 400, height: 300, rotate: 180 }],
  ["rotate right, then crop to 16:9", { aspectRatio: 0.5625, rotate: 90 }],
  ["rotate right, then flip horizontally", { ...UPSIDE, rotate: 90 }],
  ["rotate 180 degrees, then flip horizontally", { ...MIRROR, rotate: 180 }],
  ["rotate right, then keep the left half", { ...half("bottom"), rotate: 90 }],
  ["rotate left, then keep the left half", { ...half("top"), rotate: -90 }],
  ["rotate 180 degrees, then keep the top half", { ...half("bottom"), rotate: 180 }],
  ["flip horizontally, then keep the left half", { ...half("right"), ...MIRROR }],
  ["keep the left half and flip horizontally", { ...half("left"), ...MIRROR }],
  ["flip vertically and keep the top half", { ...half("bottom"), ...UPSIDE }],
  ["flip vertically and keep the left half", { ...half("left"), ...UPSIDE }],
  ["좌우 반전하고 왼쪽 절반만 남겨줘", { ...half("right"), ...MIRROR }],
  ["rotate right, flip horizontally, then keep the left half", { ...half("top"), ...UPSIDE, rotate: 90 }],
  ["flip horizontally, rotate right, then keep the top half", { ...half("right"), ...MIRROR, rotate: 90 }],
  ["first rotate right, then resize to 400x300", { width: 300, height: 400, rotate: 90 }],
  ["resize to 400x300 and finally rotate right", { width: 400, height: 300, rotate: 90 }],
])("%s", (prompt, options) => {
  expect(resolvePrompt(prompt)).toMatchObject({ steps: [options] });
});

test.each<[string, readonly object[]]>([
  ["add a 50px red border, then resize to 300x200", [border(50, [255, 0, 0]), { width: 300, height: 200 }]],
  ["add a 5px red border and make it black and white", [border(5, [255, 0, 0]), { grayscale: true }]],
  ["make it black and white and add a 5px red border", [{ grayscale: true, ...border(5, [255, 0, 0]) }]],
  ["5px red border, 10px black border", [border(5, [255, 0, 0]), border(10, [0, 0, 0])]],
  ["add a 30px red border, then rotate 45 degrees", [{ ...border(30, [255, 0, 0]), rotate: 45 }]],
  ["rotate 45 degrees, then add a 30px red border", [{ rotate: 45 }, border(30, [255, 0, 0])]],
  ["rotate 45 degrees and make it square", [{ rotate: 45 }, { aspectRatio: 1 }]],
  ["rotate 45 degrees, then flip horizontally", [{ rotate: 45 }, MIRROR]],
  ["rotate 45 degrees and half size", [{ rotate: 45, width: 0.5 }]],
  // A blur of so many pixels is another one in a smaller picture, and so are a border and rounded corners.
  ["blur by 20 and resize to 100 wide", [{ blurSigma: 20 }, { width: 100 }]],
  ["resize to 100 wide and blur by 20", [{ width: 100, blurSigma: 20 }]],
  ["sharpen and half size", [{ sharpenSigma: 1 }, { width: 0.5 }]],
  ["blur, then keep the left half", [{ blurSigma: 5 }, half("left")]],
  ["blur, then brighten", [{ blurSigma: 5 }, { brightness: 1.2 }]],
  ["brighten, then blur", [{ brightness: 1.2, blurSigma: 5 }]],
  ["round corners by 100 pixels and resize to 100 wide", [corners(100), { width: 100 }]],
  ["resize to 100 wide and round corners by 10 pixels", [{ width: 100, ...corners(10) }]],
  ["round corners, then blur", [corners(20), { blurSigma: 5 }]],
  ["round corners and rotate 45 degrees", [{ ...corners(20), rotate: 45 }]],
  ["rotate 45 degrees and round corners by 100 pixels", [{ rotate: 45 }, corners(100)]],
  ["rotate 45 degrees and blur", [{ rotate: 45 }, { blurSigma: 5 }]],
  ["rotate right and round corners by 100 pixels", [{ rotate: 90, ...corners(100) }]],
  ["rotate right and blur, then resize to 100 wide", [{ rotate: 90, blurSigma: 5 }, { width: 100 }]],
  // What the lightest and darkest are is told by what is there.
  ["more contrast, then keep the left half", [{ contrast: true }, half("left")]],
  ["more contrast, then brighten", [{ contrast: true }, { brightness: 1.2 }]],
  ["brighten, then more contrast", [{ brightness: 1.2, contrast: true }]],
  ["make it a circle and resize to 200x200", [{ radius: "max", aspectRatio: 1, width: 200, height: 200 }]],
  ["make it square, then reduce by half", [{ aspectRatio: 1 }, { width: 0.5 }]],
  ["half size and square", [{ width: 0.5 }, { aspectRatio: 1 }]],
  [
    "5px red border, as webp, then resize to 300x200",
    [
      { ...border(5, [255, 0, 0]), format: "webp" },
      { width: 300, height: 200 },
    ],
  ],
])("%s: in the order of the sentence, in as many steps as that takes", (prompt, steps) => {
  expect(resolvePrompt(prompt)).toMatchObject({ steps });
  expect(resolvePrompt(prompt)).toHaveProperty("steps.length", steps.length);
});

test("what can't be both is said to be a contradiction", () => {
  expect(resolvePrompt("half size and 300px tall")).toEqual({
    unresolved: "300px tall (it contradicts what was said before)",
    understood: ["half size"],
  });
});
