import { expect, test } from "vitest";
import { judge, rangeOf } from "../../../src/delivery/conditional.ts";
import { acceptedFormats, isFilm, typeOf } from "../../../src/delivery/mediatypes.ts";

const file = { etag: "abc", lastModified: Date.UTC(2026, 0, 1, 0, 0, 0, 500) };
const BEFORE = "Wed, 31 Dec 2025 00:00:00 GMT";
const SAME = "Thu, 01 Jan 2026 00:00:00 GMT";

test("a file without a date answers conditions by its ETag alone", () => {
  const undated = { etag: "abc", lastModified: undefined };
  expect(judge({ "if-modified-since": SAME }, undated)).toBe("proceed");
  expect(judge({ "if-unmodified-since": SAME }, undated)).toBe("proceed");
  expect(rangeOf({ range: "bytes=0-0", "if-range": SAME }, 10, undated)).toBeUndefined();
});

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

test("a comma may be part of an ETag", () => {
  const odd = { etag: "a,b" };
  expect(judge({ "if-none-match": '"x",W/"a,b"' }, odd)).toBe("notModified");
  expect(judge({ "if-match": '"a,b"' }, odd)).toBe("proceed");
  expect(judge({ "if-match": '"a", "b"' }, odd)).toBe("failed");
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
  ["binary/octet-stream", "app.css", "text/css"],
  [undefined, "app.MJS", "text/javascript"],
  [undefined, "a.woff2", "font/woff2"],
])("stored as %s, %s is %s", (stored, key, type) => {
  expect(typeOf(stored, key)).toBe(type);
});

test.each([
  ["video/mp4", "a", true],
  ["VIDEO/MP4", "a.jpg", true],
  ["image/gif", "a.mp4", false],
  ["audio/3gpp", "a.3gp", true],
  ["model/vnd.mts", "a.MTS", true],
  ["application/mp4", "a.mp4", true],
  ["binary/octet-stream", "a.hevc", true],
  [undefined, "a.3g2", true],
  [undefined, "a.m2ts", true],
  ["text/plain", "a.png", false],
  ["audio/ogg", "a.ogg", "either"],
  ["video/mp2t", "a.ts", true],
  ["text/plain", "a.ts", "either"],
  ["application/pdf", "a", undefined],
  [undefined, "mp4", undefined],
])("stored as %s, %s is a film: %s", (stored, key, film) => {
  expect(isFilm(stored, key)).toBe(film);
});
