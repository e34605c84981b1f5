import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CHECKSUM_ALGORITHMS,
  checksumHeader,
  createHasher,
  type ChecksumAlgorithm,
} from "../../src/lib/hashes.ts";
import { startServer, type TestServer } from "../server.ts";
import type { RawRequest } from "../signer.ts";
import { sdk, send as sendTo, type RawAnswer } from "./client.ts";

let server: TestServer;
let s3: S3Client;
const Bucket = "sums";

beforeAll(async () => {
  server = await startServer();
  s3 = sdk(server);
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  s3.destroy();
  await server.close();
});

const send = (request: RawRequest): Promise<RawAnswer> => sendTo(server, request);

function sum(algorithm: ChecksumAlgorithm, bytes: Buffer | string): string {
  const hasher = createHasher({ checksums: [algorithm] });
  hasher.update(Buffer.from(bytes));
  return hasher.finish().checksums[algorithm]!;
}

describe.each(CHECKSUM_ALGORITHMS)("%s", (algorithm) => {
  const header = checksumHeader(algorithm);
  const target = `/sums/${algorithm}`;
  test("is verified, stored and returned when it is asked for", async () => {
    const value = sum(algorithm, "hello");
    const put = await send({ method: "PUT", target, body: "hello", headers: { [header]: value } });
    expect(put).toMatchObject({ status: 200 });
    expect(put.headers).toMatchObject({ [header]: value, "x-amz-checksum-type": "FULL_OBJECT" });
    const asked = await send({ method: "GET", target, headers: { "x-amz-checksum-mode": "ENABLED" } });
    expect(asked.headers).toMatchObject({ [header]: value, "x-amz-checksum-type": "FULL_OBJECT" });
    const ranged = { "x-amz-checksum-mode": "ENABLED", range: "bytes=0-1" };
    expect((await send({ method: "GET", target, headers: ranged })).headers[header]).toBeUndefined();
    expect((await send({ method: "GET", target })).headers[header]).toBeUndefined();
  });
  test("of other bytes stores nothing", async () => {
    const headers = { [header]: sum(algorithm, "other") };
    const answer = await send({ method: "PUT", target: `${target}/wrong`, body: "hello", headers });
    expect(answer).toMatchObject({ status: 400, code: "BadDigest" });
    expect((await send({ method: "HEAD", target: `${target}/wrong` })).status).toBe(404);
  });
  test("that is malformed is refused", async () => {
    const headers = { [header]: "nonsense" };
    const answer = await send({ method: "PUT", target: `${target}/wrong`, body: "hello", headers });
    expect(answer).toMatchObject({ status: 400, code: "InvalidRequest" });
  });
});

test("CRC64NVME is computed where the client names nothing", async () => {
  const put = await send({ method: "PUT", target: "/sums/default", body: "123456789" });
  const expected = Buffer.from("ae8b14860a799888", "hex").toString("base64");
  expect(put.headers["x-amz-checksum-crc64nvme"]).toBe(expected);
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "default", ChecksumMode: "ENABLED" }));
  expect(head).toMatchObject({ ChecksumCRC64NVME: expected, ChecksumType: "FULL_OBJECT" });
});

test("two checksums are one too many", async () => {
  const headers = {
    "x-amz-checksum-crc32": sum("CRC32", "x"),
    "x-amz-checksum-sha1": sum("SHA1", "x"),
  };
  expect(await send({ method: "PUT", target: "/sums/two", body: "x", headers })).toMatchObject({
    status: 400,
    code: "InvalidRequest",
  });
});

test("an algorithm named alone is refused", async () => {
  const headers = { "x-amz-sdk-checksum-algorithm": "CRC32" };
  expect((await send({ method: "PUT", target: "/sums/alone", body: "x", headers })).code).toBe(
    "InvalidRequest",
  );
});

describe("the SDK", () => {
  const algorithms = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const;
  test.each(algorithms)("uploads a stream with a trailing %s", async (ChecksumAlgorithm) => {
    const bytes = randomBytes(300_000);
    const Key = `trailer/${ChecksumAlgorithm}`;
    const Body = Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)]);
    const put = await s3.send(
      new PutObjectCommand({
        Bucket,
        Key,
        Body,
        ContentLength: bytes.length,
        ChecksumAlgorithm,
        ContentEncoding: "gzip",
      }),
    );
    const value = sum(ChecksumAlgorithm, bytes);
    expect(put[`Checksum${ChecksumAlgorithm}`]).toBe(value);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
    expect(got).toMatchObject({ [`Checksum${ChecksumAlgorithm}`]: value, ContentEncoding: "gzip" });
    expect(Buffer.from(await got.Body!.transformToByteArray()).equals(bytes)).toBe(true);
  });
  test("presigns a PUT whose checksum of nothing does not count", async () => {
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "presigned" }));
    // The SDK signs the CRC32 of a body that it doesn't have yet; S3 ignores checksums in the query.
    expect(url).toContain("x-amz-checksum-crc32=AAAAAA");
    const answer = await fetch(url, { method: "PUT", body: "real bytes" });
    expect(answer.status).toBe(200);
    expect((await send({ method: "GET", target: "/sums/presigned" })).text).toBe("real bytes");
  });
});
