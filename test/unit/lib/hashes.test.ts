import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  canCombine,
  CHECKSUM_ALGORITHMS,
  checksumHeader,
  checksumOfHeader,
  type ChecksumAlgorithm,
  combineFullObject,
  composite,
  createHasher,
  isChecksumAlgorithm,
  isChecksumValue,
  multipartEtag,
} from "../../../src/lib/hashes.ts";

function digest(algorithm: ChecksumAlgorithm, ...chunks: Uint8Array[]): string {
  const hasher = createHasher({ checksums: [algorithm] });
  for (const chunk of chunks) hasher.update(chunk);
  return hasher.finish().checksums[algorithm]!;
}
const hex = (base64: string): string => Buffer.from(base64, "base64").toString("hex");
/** Cuts `bytes` at the given places, which may repeat. */
function cut(bytes: Uint8Array, places: number[]): Uint8Array[] {
  const sorted = [
    0,
    ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b),
    bytes.length,
  ];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

describe("a hasher", () => {
  test.each<[ChecksumAlgorithm, string, string]>([
    ["CRC32", "123456789", "cbf43926"],
    ["CRC32C", "123456789", "e3069283"],
    ["CRC64NVME", "123456789", "ae8b14860a799888"],
    ["SHA1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"],
    ["SHA256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "SHA512",
      "abc",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ],
    ["MD5", "abc", "900150983cd24fb0d6963f7d28e17f72"],
    ["XXHASH3", "", "2d06800538d394c2"],
    ["XXHASH64", "", "ef46db3751d8e999"],
    ["XXHASH64", "abc", "44bc2cf5ad770999"],
    ["XXHASH128", "", "99aa06d3014798d86001c324468d497f"],
    ["CRC32", "", "00000000"],
    ["CRC64NVME", "", "0000000000000000"],
  ])("%s of %j is the published value", (algorithm, text, expected) => {
    expect(hex(digest(algorithm, Buffer.from(text)))).toBe(expected);
  });

  test("gives the ETag and every checksum in one pass", () => {
    const body = Buffer.from("the same body for all");
    const hasher = createHasher({ md5: true, checksums: CHECKSUM_ALGORITHMS });
    hasher.update(body);
    const { md5, checksums } = hasher.finish();
    expect(md5).toBe(createHash("md5").update(body).digest("hex"));
    expect(checksums.SHA256).toBe(createHash("sha256").update(body).digest("base64"));
    expect(hex(checksums.CRC32!)).toBe(zlibCrc32(body).toString(16).padStart(8, "0"));
    expect(Object.keys(checksums).toSorted()).toEqual([...CHECKSUM_ALGORITHMS].toSorted());
    for (const algorithm of CHECKSUM_ALGORITHMS) {
      expect(isChecksumValue(algorithm, checksums[algorithm]!)).toBe(true);
      expect(checksums[algorithm]).toBe(digest(algorithm, body));
    }
  });

  test("names only what was asked for", () => {
    expect(createHasher({ checksums: [] }).finish()).toEqual({ checksums: {} });
    expect(Object.keys(createHasher({ md5: true, checksums: [] }).finish())).toContain("md5");
    expect(createHasher({ md5: true, checksums: [] }).finish().checksums).toEqual({});
    expect(createHasher({ checksums: ["MD5"] }).finish()).toEqual({
      checksums: { MD5: "1B2M2Y8AsgTpgAmY7PhCfg==" },
    });
  });

  test("is indifferent to chunks and to other hashers beside it", () => {
    const chunked = fc.tuple(fc.uint8Array({ maxLength: 70_000 }), fc.array(fc.nat(), { maxLength: 6 }));
    fc.assert(
      fc.property(fc.array(chunked, { minLength: 1, maxLength: 4 }), (bodies) => {
        const running = bodies.map(([bytes, places]) => ({
          bytes,
          chunks: cut(bytes, places),
          hasher: createHasher({ md5: true, checksums: CHECKSUM_ALGORITHMS }),
        }));
        for (let turn = 0; turn < 7; turn++) {
          for (const { chunks, hasher } of running) {
            const chunk = chunks[turn];
            if (chunk !== undefined) hasher.update(chunk);
          }
        }
        for (const { bytes, hasher } of running) {
          const { checksums } = hasher.finish();
          for (const algorithm of CHECKSUM_ALGORITHMS)
            expect(checksums[algorithm]).toBe(digest(algorithm, bytes));
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe("names", () => {
  test("headers and algorithms map to each other", () => {
    expect(checksumHeader("CRC64NVME")).toBe("x-amz-checksum-crc64nvme");
    expect(checksumHeader("XXHASH128")).toBe("x-amz-checksum-xxhash128");
    for (const algorithm of CHECKSUM_ALGORITHMS)
      expect(checksumOfHeader(checksumHeader(algorithm))).toBe(algorithm);
    for (const other of [
      "x-amz-checksum-type",
      "x-amz-checksum-mode",
      "x-amz-checksum-algorithm",
      "crc32",
      "",
    ]) {
      expect(checksumOfHeader(other)).toBeUndefined();
    }
  });

  test("only AWS's spelling is an algorithm", () => {
    expect(CHECKSUM_ALGORITHMS.every(isChecksumAlgorithm)).toBe(true);
    for (const other of ["crc32", "SHA-256", "constructor", "toString", ""])
      expect(isChecksumAlgorithm(other)).toBe(false);
  });

  test.each<[ChecksumAlgorithm, string, boolean]>([
    ["CRC32", "y/Q5Jg==", true],
    ["CRC32", "y/Q5Jg", false],
    ["CRC32", "y_Q5Jg==", false],
    ["CRC32", "y/Q5Jh==", false],
    ["CRC32", "y/Q5 g==", false],
    ["CRC32", "", false],
    ["CRC64NVME", "rosUhgp5mIg=", true],
    ["CRC64NVME", "y/Q5Jg==", false],
    ["SHA1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", true],
    ["SHA256", "A".repeat(100_000), false],
  ])("%s value %s is judged %s", (algorithm, value, good) => {
    expect(isChecksumValue(algorithm, value)).toBe(good);
  });
});

describe("multipart", () => {
  const combinable = CHECKSUM_ALGORITHMS.filter(canCombine);

  test("exactly the CRCs can be combined", () => {
    expect(combinable.toSorted()).toEqual(["CRC32", "CRC32C", "CRC64NVME"]);
    expect(() => combineFullObject("SHA256", [])).toThrow(RangeError);
  });

  test.each(combinable)("%s of parts combines to that of the whole", (algorithm) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 5000 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (bytes, places) => {
          const parts = cut(bytes, places).map((part) => ({
            value: digest(algorithm, part),
            size: part.length,
          }));
          expect(combineFullObject(algorithm, parts)).toBe(digest(algorithm, bytes));
        },
      ),
    );
  });

  test.each(combinable)("%s combines parts beyond 4 GiB", (algorithm) => {
    // 2^32 + 3 zero bytes, whose checksum doubling builds up from that of three bytes and of ever larger blocks.
    const zero = (size: number): { value: string; size: number } => {
      if (size <= 1024) return { value: digest(algorithm, Buffer.alloc(size)), size };
      const half = zero(size / 2);
      return { value: combineFullObject(algorithm, [half, half]), size };
    };
    const many = Array.from({ length: 4096 }, () => zero(2 ** 20));
    const three = zero(3);
    expect(combineFullObject(algorithm, [three, { value: zero(2 ** 32).value, size: 2 ** 32 }])).toBe(
      combineFullObject(algorithm, [three, ...many]),
    );
  });

  test("10,000 parts of different sizes combine, whatever the grouping", () => {
    const parts = Array.from({ length: 10_000 }, (_, index) => ({
      value: digest("CRC64NVME", Buffer.from(`part ${index}`)),
      size: 5 * 2 ** 20 + index * 7919,
    }));
    const half = (from: number, to: number): { value: string; size: number } => ({
      value: combineFullObject("CRC64NVME", parts.slice(from, to)),
      size: parts.slice(from, to).reduce((sum, part) => sum + part.size, 0),
    });
    expect(combineFullObject("CRC64NVME", [half(0, 3333), half(3333, 10_000)])).toBe(
      combineFullObject("CRC64NVME", parts),
    );
  });

  test("no parts, and empty parts, make the empty checksum", () => {
    for (const algorithm of combinable) {
      const empty = digest(algorithm);
      expect(combineFullObject(algorithm, [])).toBe(empty);
      expect(combineFullObject(algorithm, [{ value: empty, size: 0 }])).toBe(empty);
    }
  });

  test("a checksum of the wrong length is refused", () => {
    expect(() => combineFullObject("CRC64NVME", [{ value: "y/Q5Jg==", size: 1 }])).toThrow(RangeError);
  });

  test("COMPOSITE hashes the parts' decoded checksums", () => {
    const parts = [Buffer.from("one"), Buffer.from("two")];
    const expected = createHash("sha256");
    for (const part of parts) expected.update(createHash("sha256").update(part).digest());
    expect(
      composite(
        "SHA256",
        parts.map((part) => digest("SHA256", part)),
      ),
    ).toBe(expected.digest("base64"));
  });

  test("the ETag of parts is the MD5 of their MD5s and their number", () => {
    // Reckoned with md5sum and xxd: 5 MiB of "a", then "b".
    const md5s = [Buffer.alloc(5 * 2 ** 20, "a"), Buffer.from("b")].map((part) =>
      createHash("md5").update(part).digest("hex"),
    );
    expect(multipartEtag(md5s)).toBe("e5a8c5272b26fc10581a21089559b006-2");
  });
});
