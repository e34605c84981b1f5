/** Layers of films lie where layers of pictures do. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { spotOf as spotOfPictures } from "../../../../src/delivery/image/layers.ts";
import type { Placement, Position } from "../../../../src/delivery/plan/plan.ts";
import { pointOf, spotOf, timesOf } from "../../../../src/delivery/video/placement.ts";

const POSITIONS: readonly Position[] = [
  ...(["center", "top", "left", "bottom", "right"] as const),
  ...(["top_left", "top_right", "bottom_left", "bottom_right"] as const),
];

test("everywhere", () => {
  const side = fc.integer({ min: 1, max: 500 });
  const size = fc.record({ width: side, height: side });
  const offset = fc.integer({ min: -600, max: 600 });
  const position = fc.constantFrom(...POSITIONS);
  const placement = fc.record(
    { x: offset, y: offset, centreX: offset, centreY: offset, anchor: position, focus: position },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(placement, size, size, (where: Placement, base, layer) => {
      expect(spotOf(where, base, layer, {})).toEqual(spotOfPictures(where, base, layer, {}));
    }),
  );
});

test("positions are points", () => {
  expect(pointOf("top_left")).toEqual({ x: 0, y: 0 });
  expect(pointOf("right")).toEqual({ x: 1, y: 0.5 });
  expect(pointOf("bottom")).toEqual({ x: 0.5, y: 1 });
});

test.each([
  [{}, { from: 0, to: undefined }],
  [{ start: 2 }, { from: 2, to: undefined }],
  [
    { start: 2, duration: 3 },
    { from: 2, to: 5 },
  ],
  [{ duration: 3 }, { from: 0, to: 3 }],
  [
    { start: 2, end: 4, duration: 9 },
    { from: 2, to: 4 },
  ],
  [{ end: { op: "div", left: { variable: "bdu" }, right: 2 } } as const, { from: 0, to: 5 }],
])("%j", (placement, times) => {
  expect(timesOf(placement, { bdu: 10 })).toEqual(times);
});
