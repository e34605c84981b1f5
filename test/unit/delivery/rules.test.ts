import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judge, rangeOf } from "../../../src/delivery/conditional.ts";
import { avifQuality, targetSize } from "../../../src/delivery/image.ts";
import { acceptedFormats, typeOf } from "../../../src/delivery/mediatypes.ts";

const file = { etag: "abc", lastModified: Date.UTC(2026, 0, 1, 0, 0, 0, 500) };
const BEFORE = "Wed, 31 Dec 2025 00:00:00 GMT";
const SAME = "Thu, 01 Jan 2026 00:00:00 GMT";

test.each([
  [{}, "proceed"],
  [{ "if-none-match": '"abc"' }, "notModified"],
  [{ "if-none-match": 'W/"abc"' }, "notModified"],
  [{ "if-none-match": '"x", "abc"' }, "notModified"],
  [{ "if-none-match": "*" }, "notModified"],
  [{ "if-none-match": "abc" }, "proceed"],
  [{ "if-none-match": '"x"', "if-modified-since": SAME }, "proceed"],
  [{ "if-modified-since": SAME }, "notModified"],
  [{ "if-modified-since": BEFORE }, "proceed"],
  [{ "if-modified-since": "nonsense" }, "proceed"],
  [{ "if-match": '"abc"' }, "proceed"],
  [{ "if-match": '"x"' }, "failed"],
  [{ "if-match": '"abc"', "if-unmodified-since": BEFORE }, "proceed"],
  [{ "if-unmodified-since": BEFORE }, "failed"],
  [{ "if-unmodified-since": SAME }, "proceed"],
  [{ "if-match": '"abc"', "if-none-match": '"abc"' }, "notModified"],
])("%o: %s", (headers, verdict) => {
  expect(judge(headers, file)).toBe(verdict);
});

test.each([
  ["bytes=0-0", { start: 0, end: 1 }],
  ["bytes=5-", { start: 5, end: 10 }],
  ["bytes=5-99", { start: 5, end: 10 }],
  ["bytes=-3", { start: 7, end: 10 }],
  ["bytes=-30", { start: 0, end: 10 }],
  ["bytes=10-", "unsatisfiable"],
  ["bytes=-0", "unsatisfiable"],
  ["bytes=3-2", undefined],
  ["bytes=-", undefined],
  ["bytes=0-1,3-4", undefined],
  ["lines=0-1", undefined],
])("range %s of ten bytes", (range, span) => {
  expect(rangeOf({ range }, 10, file)).toEqual(span);
});

test("nothing of an empty file can be asked for", () => {
  expect(["bytes=0-", "bytes=-1"].map((range) => rangeOf({ range }, 0, file))).toEqual([
    "unsatisfiable",
    "unsatisfiable",
  ]);
});

test.each([
  ['"abc"', true],
  ['W/"abc"', false],
  ['"x"', false],
  [SAME, true],
  [BEFORE, false],
  ["nonsense", false],
])("a range with If-Range: %s is honoured: %s", (ifRange, honoured) => {
  expect(rangeOf({ range: "bytes=0-0", "if-range": ifRange }, 10, file) !== undefined).toBe(honoured);
});

test.each([
  [undefined, []],
  ["image/avif,image/webp,*/*", ["avif", "webp"]],
  ["image/WEBP;q=0.5", ["webp"]],
  ["image/avif;q=0, image/webp;q=0.0", []],
  ["image/avif ; q=0.1", ["avif"]],
  ["image/*,*/*", []],
])("Accept: %s names %o", (accept, formats) => {
  expect(acceptedFormats(accept)).toEqual(formats);
});

test.each([
  ["text/html", "a.jpg", "text/html"],
  ["binary/octet-stream", "a.JPG", "image/jpeg"],
  [undefined, "dir.png/a", "application/octet-stream"],
  [undefined, "a.html", "application/octet-stream"],
  ["", "a.toString", "application/octet-stream"],
])("stored as %s, %s is %s", (stored, key, type) => {
  expect(typeOf(stored, key)).toBe(type);
});

describe("sizes", () => {
  const side = fc.integer({ min: 1, max: 10_000 });
  const from = fc.record({ width: side, height: side });

  test("both sides are met exactly, but for at_max", () => {
    fc.assert(
      fc.property(
        from,
        side,
        side,
        fc.constantFrom("maintain_ratio" as const, "force" as const),
        (size, width, height, crop) => {
          expect(targetSize(size, { width, height, crop })).toEqual({ width, height });
        },
      ),
    );
  });

  test("at_max stays inside the box and the original", () => {
    fc.assert(
      fc.property(from, side, side, (size, width, height) => {
        const target = targetSize(size, { width, height, crop: "at_max" });
        expect(target.width).toBeLessThanOrEqual(Math.min(width, size.width));
        expect(target.height).toBeLessThanOrEqual(Math.min(height, size.height));
        expect(Math.min(target.width, target.height)).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  test("one side alone is met exactly, and the other keeps the ratio to half a pixel", () => {
    fc.assert(
      fc.property(from, side, (size, width) => {
        const target = targetSize(size, { width, crop: "maintain_ratio" });
        expect(target.width).toBe(width);
        const ideal = (size.height * width) / size.width;
        expect(Math.abs(target.height - Math.max(1, ideal))).toBeLessThanOrEqual(0.5 + 1e-6);
      }),
    );
  });
});

test("AVIF's quality rises with JPEG's, from 1 to 100, and is 60 at 80", () => {
  const all = Array.from({ length: 100 }, (_, n) => avifQuality(n + 1));
  expect([all[0], all[79], all[99]]).toEqual([1, 60, 100]);
  expect(all).toEqual(all.toSorted((a, b) => a - b));
});
