import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseCopySource } from "../../../src/s3/copysource.ts";

test.each<[header: string, key: string, versionId: string | undefined]>([
  ["/b/key", "key", undefined],
  ["b/key", "key", undefined],
  ["/b/a%20b/c", "a b/c", undefined],
  ["/b//x", "/x", undefined],
  ["/b/a/", "a/", undefined],
  ["b%2Fkey", "key", undefined],
  ["%2Fb%2Fkey", "key", undefined],
  ["/b/a+b", "a+b", undefined],
  ["/b/a%2Bb", "a+b", undefined],
  ["/b/key?versionId=null", "key", "null"],
  ["/b/a%3Fb?versionId=3", "a?b", "3"],
  ["/b/a?b", "a?b", undefined],
  ["/b/%F0%9F%98%80", "😀", undefined],
])("%s is the key %s, version %s", (header, key, versionId) => {
  expect(parseCopySource(header)).toEqual({ bucket: "b", key, versionId });
});

test.each([[""], ["/"], ["b"], ["/b"], ["/b/"], ["//key"], ["/b/%"], ["/b/%ff"], ["/b/key?versionId="]])(
  "%j is refused",
  (header) => {
    expect(() => parseCopySource(header)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  },
);

test("names any key that is encoded", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), fc.boolean(), (key, slash) => {
      const header = `${slash ? "/" : ""}b/${encodeURIComponent(key)}`;
      expect(parseCopySource(header)).toEqual({ bucket: "b", key, versionId: undefined });
    }),
  );
});
