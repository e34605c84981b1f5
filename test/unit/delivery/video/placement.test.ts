/** What is shown of films, and when their layers are there. */
import { expect, test } from "vitest";
import { cutFurther, timesOf, wholeOf } from "../../../../src/delivery/video/placement.ts";

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
  expect(timesOf(placement, { bdu: 10 }, 0)).toEqual(times);
});

test("layers come earlier by what later steps cut off of their film", () => {
  expect(timesOf({ start: 1, end: 4 }, {}, 2)).toEqual({ from: -1, to: 2 });
  expect(timesOf({ start: 3 }, {}, 2)).toEqual({ from: 1, to: undefined });
});

const [idu, bdu] = [{ variable: "idu" }, { variable: "bdu" }] as const;
const half = { op: "div", left: idu, right: 2 } as const;

test.each([
  [{}, { start: 2, seconds: 6 }],
  [{ startOffset: 1 }, { start: 3, seconds: 5 }],
  [{ endOffset: 1 }, { start: 2, seconds: 1 }],
  [{ endOffset: 9 }, { start: 2, seconds: 6 }],
  [
    { startOffset: 1, endOffset: 3, duration: 1 },
    { start: 3, seconds: 2 },
  ],
  [
    { startOffset: 5, duration: 9 },
    { start: 7, seconds: 1 },
  ],
  [
    { startOffset: half, duration: half },
    { start: 5, seconds: 3 },
  ],
  [{ duration: { op: "div", left: bdu, right: 5 } } as const, { start: 2, seconds: 4 }],
])("%j of six seconds from 2 on are %j", (options, cut) => {
  expect(cutFurther({ start: 2, seconds: 6 }, options, 20)).toEqual(cut);
});

test.each([
  [{ startOffset: 6 }, "so-6: the film lasts 6 seconds here."],
  [{ duration: 0 }, "du-0: nothing is left of a film from 0 on."],
  [{ startOffset: 3, endOffset: 2 }, "eo-2: nothing is left of a film from 3 on."],
])("%j leaves nothing", (options, message) => {
  expect(() => cutFurther({ start: 2, seconds: 6 }, options, undefined)).toThrow(message);
});

test("a film that doesn't say how long it is can be cut by all but its length", () => {
  const whole = wholeOf({ duration: 0 });
  expect(cutFurther(whole, { startOffset: 3 }, undefined)).toEqual({ start: 3, seconds: Infinity });
  expect(() => cutFurther(whole, { startOffset: half }, undefined)).toThrow("no meaning");
});
