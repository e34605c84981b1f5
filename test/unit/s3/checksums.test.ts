import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  checksumHeader,
  CHECKSUM_ALGORITHMS,
  createHasher,
  type ChecksumAlgorithm,
} from "../../../src/lib/hashes.ts";
import { checkClaims, checksumElement, readClaims, readUploadChecksum } from "../../../src/s3/checksums.ts";
import { S3Error } from "../../../src/s3/errors.ts";
import type { Staged } from "../../../src/store/types.ts";

function thrown(run: () => unknown): S3Error | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
}

function staged(bytes: Uint8Array, checksums: ChecksumAlgorithm[]): Staged {
  const hasher = createHasher({ md5: true, checksums });
  hasher.update(bytes);
  const { md5, checksums: values } = hasher.finish();
  const content: Staged["content"] = { kind: "inline", bytes: Buffer.from(bytes) };
  return { size: bytes.length, md5: md5!, checksums: values, content, discard: () => Promise.resolve() };
}

const none = () => ({});
const SHA256 = createHash("sha256").update("hello").digest("base64");

describe("a claim in a header", () => {
  test("holds for the right bytes and no others, by every algorithm", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CHECKSUM_ALGORITHMS),
        fc.uint8Array({ minLength: 1 }),
        (algorithm, bytes) => {
          const truth = staged(bytes, [algorithm]);
          const claims = readClaims({ [checksumHeader(algorithm)]: truth.checksums[algorithm]! });
          expect(claims.checksum).toEqual({ algorithm, value: truth.checksums[algorithm] });
          expect(thrown(() => checkClaims(claims, truth, none))).toBeUndefined();
          const changed = Uint8Array.from(bytes);
          changed[0]! ^= 1;
          const error = thrown(() => checkClaims(claims, staged(changed, [algorithm]), none));
          expect(error).toMatchObject({
            code: "BadDigest",
            message: `The ${algorithm} you specified did not match the calculated checksum.`,
          });
        },
      ),
    );
  });
  test.each([
    ["x-amz-checksum-sha256", "hello"],
    ["x-amz-checksum-sha256", ""],
    ["x-amz-checksum-sha256", Buffer.from("short").toString("base64")],
    ["x-amz-checksum-crc32", SHA256],
    ["x-amz-checksum-crc32", "a".repeat(100_000)],
  ])("%s: %.20s is no value", (name, value) => {
    expect(thrown(() => readClaims({ [name]: value }))).toMatchObject({
      code: "InvalidRequest",
      message: `Value for ${name} header is invalid.`,
    });
  });
  test("stands alone", () => {
    const two = { "x-amz-checksum-sha256": SHA256, "x-amz-checksum-crc32": "AAAAAA==" };
    expect(thrown(() => readClaims(two))?.message).toBe(
      "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    );
    const both = { "x-amz-checksum-crc32": "AAAAAA==", "x-amz-trailer": "x-amz-checksum-crc32" };
    expect(thrown(() => readClaims(both))?.code).toBe("InvalidRequest");
  });
  test("may be missing", () => expect(readClaims({})).toEqual({ md5: undefined, checksum: undefined }));
});

describe("a claim in a trailer", () => {
  const claims = readClaims({
    "x-amz-trailer": "x-amz-checksum-sha256",
    "x-amz-sdk-checksum-algorithm": "SHA256",
  });
  const truth = staged(Buffer.from("hello"), ["SHA256"]);
  test("is held against the bytes at the end", () => {
    expect(
      thrown(() => checkClaims(claims, truth, () => ({ "x-amz-checksum-sha256": SHA256 }))),
    ).toBeUndefined();
    const other = createHash("sha256").update("other").digest("base64");
    const wrong = thrown(() => checkClaims(claims, truth, () => ({ "x-amz-checksum-sha256": other })));
    expect(wrong?.code).toBe("BadDigest");
    const nonsense = thrown(() => checkClaims(claims, truth, () => ({ "x-amz-checksum-sha256": "x" })));
    expect(nonsense?.code).toBe("InvalidRequest");
  });
  test("must come", () =>
    expect(thrown(() => checkClaims(claims, truth, none))?.code).toBe("MalformedTrailerError"));
  test("is of a known algorithm", () => {
    for (const name of ["x-amz-checksum-sha3", "x-amz-meta-a", "x-amz-checksum-type"]) {
      expect(thrown(() => readClaims({ "x-amz-trailer": name }))?.code).toBe("InvalidRequest");
    }
  });
});

describe("x-amz-sdk-checksum-algorithm", () => {
  test.each<[headers: Record<string, string>, ok: boolean]>([
    [{ "x-amz-checksum-sha256": SHA256, "x-amz-sdk-checksum-algorithm": "SHA256" }, true],
    [{ "x-amz-checksum-sha256": SHA256, "x-amz-sdk-checksum-algorithm": "sha256" }, true],
    [{ "x-amz-checksum-sha256": SHA256, "x-amz-sdk-checksum-algorithm": "CRC32" }, false],
    [{ "x-amz-sdk-checksum-algorithm": "CRC32" }, false],
    [{ "x-amz-sdk-checksum-algorithm": "ROT13" }, false],
  ])("%j is accepted: %s", (headers, ok) => {
    expect(thrown(() => readClaims(headers))?.code).toBe(ok ? undefined : "InvalidRequest");
  });
});

describe("Content-MD5", () => {
  const md5 = createHash("md5").update("hello").digest("base64");
  test("holds for the right bytes alone", () => {
    const claims = readClaims({ "content-md5": md5 });
    expect(thrown(() => checkClaims(claims, staged(Buffer.from("hello"), []), none))).toBeUndefined();
    const error = thrown(() => checkClaims(claims, staged(Buffer.from("hullo"), []), none));
    const calculated = createHash("md5").update("hullo").digest("base64");
    expect(error).toMatchObject({
      code: "BadDigest",
      detail: { ExpectedDigest: md5, CalculatedDigest: calculated },
    });
  });
  test.each([
    [""],
    ["hello"],
    [md5.slice(0, 20)],
    [createHash("md5").update("hello").digest("hex")],
    [SHA256],
  ])("%j is no digest", (value) =>
    expect(thrown(() => readClaims({ "content-md5": value }))?.code).toBe("InvalidDigest"),
  );
});

const read = (algorithm: string | undefined, type: string | undefined) =>
  readUploadChecksum({
    ...(algorithm === undefined ? {} : { "x-amz-checksum-algorithm": algorithm }),
    ...(type === undefined ? {} : { "x-amz-checksum-type": type }),
  });

describe("the checksum of an upload", () => {
  test.each<[algorithm: string | undefined, type: string | undefined, expected: [string, string, boolean]]>([
    [undefined, undefined, ["CRC64NVME", "FULL_OBJECT", false]],
    ["CRC64NVME", undefined, ["CRC64NVME", "FULL_OBJECT", true]],
    ["CRC32", undefined, ["CRC32", "COMPOSITE", true]],
    ["crc32c", "full_object", ["CRC32C", "FULL_OBJECT", true]],
    ["CRC32", "COMPOSITE", ["CRC32", "COMPOSITE", true]],
    ["SHA256", undefined, ["SHA256", "COMPOSITE", true]],
    ["XXHASH128", "COMPOSITE", ["XXHASH128", "COMPOSITE", true]],
  ])("%s and %s give %j", (algorithm, type, [expected, expectedType, explicit]) => {
    expect(read(algorithm, type)).toEqual({ algorithm: expected, type: expectedType, explicit });
  });
  test.each([
    ["CRC64NVME", "COMPOSITE"],
    ["SHA1", "FULL_OBJECT"],
    ["SHA512", "FULL_OBJECT"],
    ["ROT13", undefined],
    ["SHA1", "HALF"],
    [undefined, "COMPOSITE"],
  ])("%s and %s are refused", (algorithm, type) => {
    expect(thrown(() => read(algorithm, type))?.code).toBe("InvalidRequest");
  });
});

test("a document's element is named after the algorithm", () => {
  expect(checksumElement("CRC32", "AAAAAA==")).toEqual({ ChecksumCRC32: "AAAAAA==" });
  expect(checksumElement(undefined, undefined)).toEqual({});
});
