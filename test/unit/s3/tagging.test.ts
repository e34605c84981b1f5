import * as fc from "fast-check";
import { expect, test } from "vitest";
import { checkTags, readTagHeader } from "../../../src/s3/tagging.ts";
import type { Tags } from "../../../src/store/types.ts";

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test.each<[header: string | undefined, tags: Tags]>([
  [undefined, []],
  ["", []],
  ["a=b", [["a", "b"]]],
  [
    "a=b&c=",
    [
      ["a", "b"],
      ["c", ""],
    ],
  ],
  ["a", [["a", ""]]],
  ["a%20b=c+d", [["a b", "c d"]]],
  ["k=a=b", [["k", "a=b"]]],
  ["%C3%A4=%E2%9C%93".replace("%E2%9C%93", "%C3%B6"), [["ä", "ö"]]],
])("the header %j is %j", (header, tags) => expect(readTagHeader(header)).toEqual(tags));

test.each([
  ["a=1&a=2", "InvalidArgument"],
  ["a=%", "InvalidArgument"],
  ["a=%ff", "InvalidArgument"],
  ["=b", "InvalidTag"],
  ["a=b&", "InvalidTag"],
  ["a=%0A", "InvalidTag"],
  ["a=<b>", "InvalidTag"],
  ["aws:a=b", "InvalidTag"],
  [Array.from({ length: 11 }, (_, n) => `k${n}=v`).join("&"), "InvalidTag"],
  [`${"k".repeat(129)}=v`, "InvalidTag"],
  [`k=${"v".repeat(257)}`, "InvalidTag"],
])("the header %.30s gives %s", (header, code) => expect(codeOf(() => readTagHeader(header))).toBe(code));

test("limits are inclusive", () => {
  expect(checkTags([["k".repeat(128), "v".repeat(256)]])).toHaveLength(1);
  expect(
    checkTags(Array.from({ length: 10 }, (_, n): [string, string] => [`k${n}`, "+-=._:/@"])),
  ).toHaveLength(10);
  expect(
    codeOf(() =>
      checkTags([
        ["a", "1"],
        ["a", "2"],
      ]),
    ),
  ).toBe("InvalidTag");
});

test("a header carries any tags that are allowed", () => {
  const text = fc.stringMatching(/^[a-zA-Z0-9 äß+\-=._:/@]{1,20}$/).filter((key) => !/^aws:/i.test(key));
  const tags = fc.uniqueArray(fc.tuple(text, text), { maxLength: 10, selector: ([key]) => key });
  fc.assert(
    fc.property(tags, (given) => {
      const header = given.map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`).join("&");
      expect(readTagHeader(header)).toEqual(given);
    }),
  );
});
