import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { S3Error } from "../../../src/s3/errors.ts";
import {
  contentRange,
  parseCopyRange,
  parsePartNumber,
  parseRange,
  spanOfPart,
  type Span,
} from "../../../src/s3/ranges.ts";
import type { ObjectVersion } from "../../../src/store/types.ts";

function thrown(run: () => unknown): S3Error {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error("Nothing was thrown");
}

/** Undefined also where the range can't be satisfied. */
function spanOrNothing(header: string, size: number): Span | undefined {
  try {
    return parseRange(header, size);
  } catch (error) {
    if (error instanceof S3Error && error.code === "InvalidRange") return undefined;
    throw error;
  }
}

describe("parseRange", () => {
  test.each<[header: string | undefined, size: number, start: number, end: number]>([
    ["bytes=0-9", 1024, 0, 10],
    ["bytes=0-0", 1024, 0, 1],
    ["bytes=1020-", 1024, 1020, 1024],
    ["bytes=-4", 1024, 1020, 1024],
    ["bytes=-5000", 1024, 0, 1024],
    ["bytes=1000-99999999999999999999", 1024, 1000, 1024],
    ["Bytes=0-9", 1024, 0, 10],
    ["bytes= 0-9 ", 1024, 0, 10],
    ["bytes=-1", 1, 0, 1],
  ])("%s of %i is %i to %i", (header, size, start, end) => {
    expect(parseRange(header, size)).toEqual({ start, end });
  });

  test.each([
    [undefined],
    [""],
    ["0-9"],
    ["bytes"],
    ["bytes="],
    ["bytes=-"],
    ["bytes=a-b"],
    ["bytes=9-0"],
    ["bytes=0-1,3-4"],
    ["bytes=0-9x"],
    ["seconds=0-9"],
    ["bytes=--1"],
    ["bytes=0.5-9"],
  ])("%j is ignored", (header) => expect(parseRange(header, 1024)).toBeUndefined());

  test.each([
    ["bytes=1024-", 1024],
    ["bytes=1024-2000", 1024],
    ["bytes=-0", 1024],
    ["bytes=0-", 0],
    ["bytes=0-0", 0],
    ["bytes=-5", 0],
    ["bytes=99999999999999999999-", 1024],
  ])("%s of %i can't be satisfied", (header, size) => {
    const error = thrown(() => parseRange(header, size));
    expect(error).toMatchObject({
      code: "InvalidRange",
      status: 416,
      detail: { RangeRequested: header, ActualObjectSize: String(size) },
      headers: ["Content-Range", `bytes */${size}`],
    });
  });

  test("never leaves the object", () => {
    const bound = fc.option(fc.nat(3000), { nil: undefined });
    fc.assert(
      fc.property(bound, bound, fc.nat(2000), (first, last, size) => {
        const span = spanOrNothing(`bytes=${first ?? ""}-${last ?? ""}`, size);
        expect(span === undefined || (span.start >= 0 && span.start < span.end && span.end <= size)).toBe(
          true,
        );
      }),
    );
  });
});

test("Content-Range names the last byte, not the end", () => {
  expect(contentRange({ start: 0, end: 10 }, 1024)).toBe("bytes 0-9/1024");
});

const version = (parts?: ObjectVersion["parts"]) =>
  ({ size: 11, ...(parts === undefined ? {} : { parts }) }) as ObjectVersion;

describe("parts", () => {
  const PARTS = [
    { partNumber: 1, size: 5 },
    { partNumber: 3, size: 6 },
  ];

  test("are found by their number", () => {
    expect(spanOfPart(version(PARTS), 1)).toEqual({ start: 0, end: 5 });
    expect(spanOfPart(version(PARTS), 3)).toEqual({ start: 5, end: 11 });
    expect(spanOfPart(version(), 1)).toEqual({ start: 0, end: 11 });
  });
  test("that aren't there can't be satisfied", () => {
    const detail = { ActualPartCount: "2", PartNumberRequested: "2" };
    expect(thrown(() => spanOfPart(version(PARTS), 2))).toMatchObject({ code: "InvalidPartNumber", detail });
    expect(thrown(() => spanOfPart(version(), 2))).toMatchObject({ code: "InvalidPartNumber", status: 416 });
  });
  test.each([["0"], ["10001"], ["-1"], ["1.5"], ["one"], [""], ["1e3"], ["999999999999"]])(
    "number %j is refused",
    (text) => expect(thrown(() => parsePartNumber(text)).code).toBe("InvalidArgument"),
  );
  test("numbers reach 10,000", () => expect(parsePartNumber("10000")).toBe(10_000));
});

describe("parseCopyRange", () => {
  test("takes the whole source without a header, and ranges inside it", () => {
    expect(parseCopyRange(undefined, 10)).toEqual({ start: 0, end: 10 });
    expect(parseCopyRange("bytes=0-9", 10)).toEqual({ start: 0, end: 10 });
    expect(parseCopyRange("bytes=9-9", 10)).toEqual({ start: 9, end: 10 });
  });
  test.each([
    ["0-2"],
    ["bytes=0"],
    ["bytes=hello-world"],
    ["bytes=0-bar"],
    ["bytes=hello-"],
    ["bytes=0-2,3-5"],
    ["bytes=-3"],
    ["bytes=3-"],
    ["bytes=5-3"],
    ["bytes=0-10"],
    ["bytes=10-10"],
  ])("refuses %s of 10 bytes", (header) => {
    expect(thrown(() => parseCopyRange(header, 10))).toMatchObject({ code: "InvalidArgument", status: 400 });
  });
});
