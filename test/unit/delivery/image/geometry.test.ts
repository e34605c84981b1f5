/** Which part of a picture is cut out, and to what it is scaled, where it has to be enlarged. */
import { expect, test } from "vitest";
import { geometryOf } from "../../../../src/delivery/image/geometry.ts";

const size = (text: string): { width: number; height: number } => {
  const [width = NaN, height = NaN] = text.split("x").map(Number);
  return { width, height };
};

test.each([
  ["600x400", "900x900", { window: "400x400", scaled: "900x900" }],
  ["600x400", "1000x100", { window: "600x60", scaled: "1000x100" }],
  ["600x400", "1200x800", { window: "600x400", scaled: "1200x800" }],
  // 10.5 pixels of the 601 are seen.
  ["601x401", "34x1300", { window: "11x401", scaled: "36x1300", crop: "34x1300" }],
  ["37x23", "46x733", { window: "2x23", scaled: "64x733", crop: "46x733" }],
  ["23x37", "733x46", { window: "23x2", scaled: "733x64", crop: "733x46" }],
  // Less than a pixel is of one colour: it is stretched, or ever so much would be made to be cut off.
  ["37x23", "29x733", { window: "1x23", scaled: "29x733" }],
  ["1x1", "16000x1", { window: "1x1", scaled: "16000x1" }],
])("%s to %s", (from, to, expected) => {
  const geometry = geometryOf(size(from), { ...size(to), ratio: undefined, dpr: 1 }, {});
  expect(
    Object.fromEntries(
      Object.entries(geometry).map(([name, { width, height }]) => [name, `${width}x${height}`]),
    ),
  ).toEqual(expected);
});
