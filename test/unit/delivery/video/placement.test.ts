/** When layers of films are there. */
import { expect, test } from "vitest";
import { timesOf } from "../../../../src/delivery/video/placement.ts";

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
