import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  deleteConditions,
  etagListMatches,
  ifRangeHolds,
  judgeCopy,
  judgeRead,
  parseHttpDate,
  writeConditions,
} from "../../../src/s3/conditions.ts";
import { S3Error } from "../../../src/s3/errors.ts";

const TIME = Date.UTC(1994, 10, 6, 8, 49, 37);
const OBJECT = { etag: "aaa", lastModified: TIME + 500 };
const at = (seconds: number) => new Date(TIME + seconds * 1000).toUTCString();
const BEFORE = at(-1);
const SAME = at(0);
const AFTER = at(1);

/** The code of the S3Error that is thrown; undefined when nothing is. */
function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

describe("parseHttpDate", () => {
  test.each([
    ["Sun, 06 Nov 1994 08:49:37 GMT"],
    ["Sun, 6 Nov 1994 08:49:37 GMT"],
    ["Sun, 06 Nov 1994 08:49:37 +0000"],
    ["sun, 06 nov 1994 08:49:37 gmt"],
    ["Sunday, 06-Nov-94 08:49:37 GMT"],
    ["Sun Nov  6 08:49:37 1994"],
    ["1994-11-06T08:49:37Z"],
    ["1994-11-06T08:49:37.000Z"],
    [" Sun, 06 Nov 1994 08:49:37 GMT "],
  ])("reads %s", (text) => expect(parseHttpDate(text)).toBe(TIME));

  test.each([
    [""],
    ["yesterday"],
    ["0"],
    ["Sun, 31 Jun 1994 08:49:37 GMT"],
    ["Sun, 06 Foo 1994 08:49:37 GMT"],
    ["Sun, 06 Nov 1994 25:49:37 GMT"],
    ["Sun, 06 Nov 1994 08:49:37 PST"],
    ["1994-11-06"],
    ["1994-13-06T08:49:37Z"],
    ['"etag"'],
  ])("does not read %j", (text) => expect(parseHttpDate(text)).toBeUndefined());

  test("reads what toUTCString writes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), (second) => {
        expect(parseHttpDate(new Date(second * 1000).toUTCString())).toBe(second * 1000);
      }),
    );
  });
});

describe("etagListMatches", () => {
  test.each([
    ['"aaa"', true],
    ["aaa", true],
    ["*", true],
    ['"b", "aaa"', true],
    ['"b","aaa","c"', true],
    ["b, aaa", true],
    ['"aa"', false],
    ['"aaa" "b"', false],
    ["", false],
    ['"b,aaa"', false],
    ['W/"b"', false],
  ])("%s names aaa: %s", (list, expected) => {
    expect(etagListMatches(list, "aaa", false)).toBe(expected);
    expect(etagListMatches(list, "aaa", true)).toBe(expected);
  });
  test("weak tags match where weakness is allowed", () => {
    expect(etagListMatches('W/"aaa"', "aaa", true)).toBe(true);
    expect(etagListMatches('"b", W/"aaa"', "aaa", true)).toBe(true);
    expect(etagListMatches('W/"aaa"', "aaa", false)).toBe(false);
  });
  test("finds its tag in any list of tags", () => {
    const tag = fc.stringMatching(/^[a-f0-9]{4}(-[1-9])?$/);
    fc.assert(
      fc.property(fc.array(tag, { minLength: 1 }), tag, fc.boolean(), (tags, other, quotes) => {
        const list = tags.map((one) => (quotes ? `"${one}"` : one)).join(", ");
        for (const one of tags) expect(etagListMatches(list, one, false)).toBe(true);
        expect(etagListMatches(list, other, false)).toBe(tags.includes(other));
      }),
    );
  });
});

describe("judgeRead", () => {
  const IM = "if-match";
  const INM = "if-none-match";
  const IMS = "if-modified-since";
  const IUS = "if-unmodified-since";
  test.each<[headers: Record<string, string>, verdict: string]>([
    [{}, "proceed"],
    [{ [IM]: '"aaa"' }, "proceed"],
    [{ [IM]: '"b"' }, "failed If-Match"],
    [{ [INM]: '"aaa"' }, "notModified"],
    [{ [INM]: "*" }, "notModified"],
    [{ [INM]: '"b"' }, "proceed"],
    [{ [IMS]: BEFORE }, "proceed"],
    [{ [IMS]: SAME }, "notModified"],
    [{ [IMS]: AFTER }, "notModified"],
    [{ [IMS]: "rubbish" }, "proceed"],
    [{ [IUS]: BEFORE }, "failed If-Unmodified-Since"],
    [{ [IUS]: SAME }, "proceed"],
    [{ [IUS]: AFTER }, "proceed"],
    [{ [IUS]: "rubbish" }, "proceed"],
    // The pairs that S3 documents (R203).
    [{ [IM]: '"aaa"', [IUS]: BEFORE }, "proceed"],
    [{ [INM]: '"aaa"', [IMS]: BEFORE }, "notModified"],
    [{ [INM]: '"b"', [IMS]: AFTER }, "proceed"],
    [{ [IM]: '"aaa"', [INM]: '"aaa"' }, "notModified"],
    [{ [IM]: '"b"', [INM]: '"aaa"' }, "failed If-Match"],
    [{ [IUS]: BEFORE, [IMS]: AFTER }, "failed If-Unmodified-Since"],
  ])("%j gives %s", (headers, expected) => {
    const judged = judgeRead(headers, OBJECT);
    expect(judged.verdict === "failed" ? `failed ${judged.condition}` : judged.verdict).toBe(expected);
  });
});

test.each<[value: string | undefined, holds: boolean]>([
  [undefined, true],
  ['"aaa"', true],
  ["aaa", true],
  ['"b"', false],
  ['W/"aaa"', false],
  ["*", false],
  ['"aaa", "b"', false],
  [SAME, true],
  [AFTER, true],
  [BEFORE, false],
])("If-Range %j holds: %s", (value, holds) => expect(ifRangeHolds(value, OBJECT)).toBe(holds));

const copy = (conditions: Record<string, string>) =>
  codeOf(() =>
    judgeCopy(
      Object.fromEntries(
        Object.entries(conditions).map(([name, value]) => [`x-amz-copy-source-if-${name}`, value]),
      ),
      OBJECT,
    ),
  );

describe("judgeCopy", () => {
  test.each<[conditions: Record<string, string>, code: string | undefined]>([
    [{}, undefined],
    [{ match: "aaa" }, undefined],
    [{ match: '"b"' }, "PreconditionFailed"],
    [{ "none-match": '"b"' }, undefined],
    [{ "none-match": "aaa" }, "PreconditionFailed"],
    [{ "modified-since": BEFORE }, undefined],
    [{ "modified-since": SAME }, "PreconditionFailed"],
    [{ "unmodified-since": SAME }, undefined],
    [{ "unmodified-since": BEFORE }, "PreconditionFailed"],
    [{ match: "aaa", "unmodified-since": BEFORE }, undefined],
    [{ match: "b", "unmodified-since": AFTER }, "PreconditionFailed"],
    [{ "none-match": "aaa", "modified-since": BEFORE }, "PreconditionFailed"],
    [{ "none-match": "b", "modified-since": BEFORE }, undefined],
    [{ match: "aaa", "none-match": "b" }, "InvalidRequest"],
    [{ match: "aaa", "modified-since": BEFORE }, "InvalidRequest"],
    [{ "unmodified-since": AFTER, "modified-since": BEFORE }, "InvalidRequest"],
    [{ "unmodified-since": AFTER, "none-match": "b" }, "InvalidRequest"],
  ])("%j gives %s", (conditions, code) => expect(copy(conditions)).toBe(code));

  test("the error names the header", () => {
    const header = "x-amz-copy-source-if-unmodified-since";
    expect(() => judgeCopy({ [header]: BEFORE }, OBJECT)).toThrow(
      expect.objectContaining({ detail: { Condition: header } }),
    );
  });
});

describe("writeConditions", () => {
  test.each<[headers: Record<string, string>, expected: object | undefined]>([
    [{}, undefined],
    [{ "if-match": '"aaa"' }, { ifMatch: "aaa" }],
    [{ "if-match": "aaa-2" }, { ifMatch: "aaa-2" }],
    [{ "if-match": "*" }, { ifMatch: "*" }],
    [{ "if-none-match": "*" }, { ifNoneMatch: "*" }],
  ])("%j is read", (headers, expected) => expect(writeConditions(headers)).toEqual(expected));

  test.each<[headers: Record<string, string>]>([
    [{ "if-none-match": '"aaa"' }],
    [{ "if-match": '"aaa", "b"' }],
    [{ "if-match": "aaa", "if-none-match": "*" }],
    [{ "if-modified-since": SAME }],
    [{ "if-unmodified-since": SAME }],
  ])("%j is not implemented", (headers) => {
    expect(codeOf(() => writeConditions(headers))).toBe("NotImplemented");
  });
});

describe("deleteConditions", () => {
  test("reads all three", () => {
    const headers = {
      "if-match": '"aaa"',
      "x-amz-if-match-size": "12",
      "x-amz-if-match-last-modified-time": SAME,
    };
    expect(deleteConditions(headers)).toEqual({ ifMatch: "aaa", ifMatchSize: 12, ifMatchLastModified: TIME });
    expect(deleteConditions({})).toBeUndefined();
  });
  test.each([
    ["x-amz-if-match-size", "-1"],
    ["x-amz-if-match-size", "many"],
    ["x-amz-if-match-last-modified-time", "once"],
  ])("%s: %s is refused", (name, value) => {
    expect(codeOf(() => deleteConditions({ [name]: value }))).toBe("InvalidArgument");
  });
});
