import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { KeyPart, KeyRange } from "../../../src/meta/meta.ts";
import {
  KEY_BYTES_MAX,
  decodeKey,
  encodeKey,
  keyAfter,
  stringRange,
  tupleRange,
} from "../../../src/meta/tuple.ts";

const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom("\0", "\u0001", "/", "a", "b", "\u{10ffff}", "\uffff"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  ),
  maxLength: 12,
});
const integer = fc.oneof(fc.nat(300), fc.maxSafeNat());
const part: fc.Arbitrary<KeyPart> = fc.oneof(text, integer);
const tuple = fc.array(part, { maxLength: 4 });

/** The order that the encoding promises, stated without it. */
function compareParts(left: readonly KeyPart[], right: readonly KeyPart[]): number {
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = comparePart(left[i]!, right[i]!);
    if (order !== 0) return order;
  }
  return Math.sign(left.length - right.length);
}

function comparePart(left: KeyPart, right: KeyPart): number {
  if (typeof left === "number" && typeof right === "number") return Math.sign(left - right);
  if (typeof left === "string" && typeof right === "string")
    return Buffer.compare(Buffer.from(left), Buffer.from(right));
  return typeof left === "string" ? -1 : 1;
}

function within(range: KeyRange, parts: readonly KeyPart[]): boolean {
  const key = encodeKey(parts);
  return Buffer.compare(key, range.start) >= 0 && Buffer.compare(key, range.end) < 0;
}

describe("tuple keys", () => {
  test("encode and decode are inverse", () => {
    fc.assert(
      fc.property(tuple, (parts) => {
        expect(decodeKey(encodeKey(parts))).toEqual(parts);
      }),
    );
  });

  test("bytes sort as the parts do", () => {
    fc.assert(
      fc.property(tuple, tuple, (left, right) => {
        expect(Buffer.compare(encodeKey(left), encodeKey(right))).toBe(compareParts(left, right));
      }),
      { numRuns: 2_000 },
    );
  });

  test("tupleRange holds exactly the extensions", () => {
    fc.assert(
      fc.property(tuple, tuple, fc.boolean(), (parts, other, extend) => {
        const candidate = extend ? [...parts, ...other] : other;
        const extension =
          candidate.length > parts.length && compareParts(candidate.slice(0, parts.length), parts) === 0;
        expect(within(tupleRange(parts), candidate)).toBe(extension);
      }),
      { numRuns: 2_000 },
    );
  });

  test("stringRange holds exactly the strings with the prefix", () => {
    fc.assert(
      fc.property(tuple, text, part, tuple, fc.boolean(), (parts, prefix, next, rest, extend) => {
        const last = extend && typeof next === "string" ? prefix + next : next;
        const begins =
          typeof last === "string" &&
          Buffer.from(last).subarray(0, Buffer.byteLength(prefix)).equals(Buffer.from(prefix));
        expect(within(stringRange(parts, prefix), [...parts, last, ...rest])).toBe(begins);
      }),
      { numRuns: 2_000 },
    );
  });

  test("keyAfter has nothing between", () => {
    fc.assert(
      fc.property(tuple, tuple, (left, right) => {
        const after = keyAfter(encodeKey(left));
        const order = compareParts(right, left);
        expect(Buffer.compare(encodeKey(right), after) >= 0).toBe(order > 0);
      }),
    );
  });

  test.each([
    [["", 0], "020014"],
    [["a\0b", 255, 256], "026100ff620015ff160100"],
    [[Number.MAX_SAFE_INTEGER], "1b1fffffffffffff"],
  ] as [KeyPart[], string][])("%j is %s", (parts, hex) => {
    expect(encodeKey(parts).toString("hex")).toBe(hex);
  });

  test("a 1,024-byte S3 key of bytes that all need escaping fits", () => {
    const parts = [
      "versions",
      Number.MAX_SAFE_INTEGER,
      "\0".repeat(1024),
      Number.MAX_SAFE_INTEGER,
      "x".repeat(64),
    ];
    const key = encodeKey(parts);
    expect(key.length).toBeLessThanOrEqual(KEY_BYTES_MAX);
    expect(decodeKey(key)).toEqual(parts);
  });

  test.each([
    ["too long", ["a".repeat(KEY_BYTES_MAX - 1)]],
    ["negative", [-1]],
    ["a fraction", [1.5]],
    ["unsafe", [2 ** 53]],
    ["not a number", [Number.NaN]],
    ["a lone surrogate", ["a\ud800"]],
    ["a lone surrogate after a pair", ["\u{1f600}\udc00"]],
  ] as [string, KeyPart[]][])("refuses a part that is %s", (_, parts) => {
    expect(() => encodeKey(parts)).toThrow(RangeError);
  });

  test.each(["0261", "026100ff", "15", "1501ff", "00", "1c0102030405060708", "ff"])(
    "refuses to decode %s",
    (hex) => {
      expect(() => decodeKey(Buffer.from(hex, "hex"))).toThrow(RangeError);
    },
  );

  test("a key of exactly the limit is accepted", () => {
    expect(encodeKey(["a".repeat(KEY_BYTES_MAX - 2)]).length).toBe(KEY_BYTES_MAX);
  });
});
