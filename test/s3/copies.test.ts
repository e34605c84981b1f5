import {
  CopyObjectCommand,
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type CopyObjectCommandInput,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import type { RawRequest, TestKey } from "../signer.ts";
import { element, sdk, send as sendTo, type RawAnswer } from "./client.ts";

let server: TestServer;
let s3: S3Client;
let other: TestKey;
const Bucket = "atlantic";

beforeAll(async () => {
  server = await startServer();
  s3 = sdk(server);
  await s3.send(new CreateBucketCommand({ Bucket }));
  await s3.send(new CreateBucketCommand({ Bucket: "pacific" }));
  await s3.send(new CreateBucketCommand({ Bucket: "versioned" }));
  const VersioningConfiguration = { Status: "Enabled" } as const;
  await s3.send(new PutBucketVersioningCommand({ Bucket: "versioned", VersioningConfiguration }));
  other = (await server.store.accounts.create({ name: "other" })).key;
  await s3.send(
    new PutObjectCommand({
      Bucket: "pacific",
      Key: "flotsam",
      Body: "driftwood",
      ContentType: "text/x",
      Metadata: { a: "b" },
      Tagging: "t=1",
      StorageClass: "STANDARD_IA",
      WebsiteRedirectLocation: "/there",
    }),
  );
});
afterAll(async () => {
  s3.destroy();
  await server.close();
});

const send = (request: RawRequest, key?: TestKey | null): Promise<RawAnswer> => sendTo(server, request, key);
const copy = (target: string, source: string, headers: Record<string, string> = {}, key?: TestKey | null) =>
  send({ method: "PUT", target, headers: { "x-amz-copy-source": source, ...headers } }, key);
const text = async (bucket: string, Key: string) =>
  await (await s3.send(new GetObjectCommand({ Bucket: bucket, Key }))).Body!.transformToString();

describe("a copy", () => {
  test("has the bytes, metadata and tags of its source, but its own class and redirect", async () => {
    const answer = await copy("/atlantic/jetsam", "/pacific/flotsam");
    expect(answer.status).toBe(200);
    expect(answer.text).toMatch(/<CopyObjectResult xmlns="http:\/\/s3\.amazonaws\.com\/doc\/2006-03-01\/">/);
    expect(element(answer, "LastModified")).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "jetsam", ChecksumMode: "ENABLED" }));
    const source = await s3.send(
      new HeadObjectCommand({ Bucket: "pacific", Key: "flotsam", ChecksumMode: "ENABLED" }),
    );
    expect(head).toMatchObject({
      ContentType: "text/x",
      Metadata: { a: "b" },
      ETag: source.ETag,
      TagCount: 1,
    });
    expect(head.ChecksumCRC32).toBe(source.ChecksumCRC32);
    expect(head.StorageClass).toBeUndefined();
    expect(head.WebsiteRedirectLocation).toBeUndefined();
    expect(await text(Bucket, "jetsam")).toBe("driftwood");
  });
  test.each(["pacific/flotsam", "%2Fpacific%2Fflotsam", "/pacific/flots%61m"])(
    "takes the source as %s",
    async (source) => {
      expect((await copy("/atlantic/spelled", source)).status).toBe(200);
    },
  );
  test("outlives its source, large or small", async () => {
    for (const size of [10, 100_000]) {
      const Body = Buffer.alloc(size, "abc");
      await s3.send(new PutObjectCommand({ Bucket: "pacific", Key: "gone", Body }));
      expect((await copy("/atlantic/kept", "/pacific/gone")).status).toBe(200);
      await send({ method: "DELETE", target: "/pacific/gone" });
      expect(await text(Bucket, "kept")).toBe(Body.toString());
    }
  });
  test("REPLACE drops all that the source had", async () => {
    const headers = { "x-amz-metadata-directive": "REPLACE", "x-amz-meta-c": "d", "content-type": "text/y" };
    await copy("/atlantic/replaced", "/pacific/flotsam", headers);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "replaced" }));
    expect(head).toMatchObject({ ContentType: "text/y", Metadata: { c: "d" }, TagCount: 1 });
    await copy("/atlantic/replaced", "/pacific/flotsam", {
      "x-amz-tagging-directive": "REPLACE",
      "x-amz-tagging": "n=m",
      "x-amz-meta-c": "ignored",
    });
    const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: "replaced" }));
    expect(TagSet).toEqual([{ Key: "n", Value: "m" }]);
    expect((await s3.send(new HeadObjectCommand({ Bucket, Key: "replaced" }))).Metadata).toEqual({ a: "b" });
  });
  test("gets another checksum when it is asked for", async () => {
    const input: CopyObjectCommandInput = {
      Bucket,
      Key: "sha",
      CopySource: "pacific/flotsam",
      ChecksumAlgorithm: "SHA256",
    };
    const { CopyObjectResult } = await s3.send(new CopyObjectCommand(input));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "sha", ChecksumMode: "ENABLED" }));
    expect(CopyObjectResult!.ChecksumSHA256).toBe(got.ChecksumSHA256);
    // The SDK holds the bytes against it as it reads them.
    expect(await got.Body!.transformToString()).toBe("driftwood");
  });
  test("onto itself must change something", async () => {
    await copy("/atlantic/self", "/pacific/flotsam");
    expect(await copy("/atlantic/self", "/atlantic/self")).toMatchObject({
      status: 400,
      code: "InvalidRequest",
    });
    expect(
      await copy("/atlantic/self", "/atlantic/self", { "x-amz-metadata-directive": "COPY" }),
    ).toMatchObject({
      status: 400,
    });
    const replace = { "x-amz-metadata-directive": "REPLACE", "x-amz-meta-new": "1" };
    expect((await copy("/atlantic/self", "/atlantic/self", replace)).status).toBe(200);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "self" }));
    expect(head.Metadata).toEqual({ new: "1" });
    expect(await text(Bucket, "self")).toBe("driftwood");
    expect(
      (await copy("/atlantic/self", "/atlantic/self", { "x-amz-storage-class": "GLACIER_IR" })).status,
    ).toBe(200);
  });
  test("of an old version brings it back", async () => {
    const one = await s3.send(new PutObjectCommand({ Bucket: "versioned", Key: "k", Body: "one" }));
    await s3.send(new PutObjectCommand({ Bucket: "versioned", Key: "k", Body: "two" }));
    const answer = await copy("/versioned/k", `/versioned/k?versionId=${one.VersionId}`);
    expect(answer.headers["x-amz-copy-source-version-id"]).toBe(one.VersionId);
    expect(answer.headers["x-amz-version-id"]).not.toBe(one.VersionId);
    expect(await text("versioned", "k")).toBe("one");
  });
  test("makes its own ACL", async () => {
    await send({
      method: "PUT",
      target: "/pacific/open",
      body: "x",
      headers: { "x-amz-acl": "public-read" },
    });
    await copy("/atlantic/closed", "/pacific/open");
    expect((await send({ method: "GET", target: "/atlantic/closed" }, null)).status).toBe(403);
    await copy("/atlantic/opened", "/pacific/open", { "x-amz-acl": "public-read" });
    expect((await send({ method: "GET", target: "/atlantic/opened" }, null)).status).toBe(200);
  });
});

describe("a copy is refused", () => {
  test.each<[why: string, source: string, headers: Record<string, string>, status: number, code: string]>([
    ["of a missing key", "/pacific/none", {}, 404, "NoSuchKey"],
    ["of a missing bucket", "/no-such-bucket/k", {}, 404, "NoSuchBucket"],
    ["of a bucket", "/pacific", {}, 400, "InvalidArgument"],
    ["of a bad escape", "/pacific/%", {}, 400, "InvalidArgument"],
    [
      "by an unknown directive",
      "/pacific/flotsam",
      { "x-amz-metadata-directive": "MERGE" },
      400,
      "InvalidArgument",
    ],
    [
      "by an unknown tag directive",
      "/pacific/flotsam",
      { "x-amz-tagging-directive": "x" },
      400,
      "InvalidArgument",
    ],
    [
      "with an unknown checksum",
      "/pacific/flotsam",
      { "x-amz-checksum-algorithm": "X" },
      400,
      "InvalidRequest",
    ],
    [
      "of another's bucket by its owner's id",
      "/pacific/flotsam",
      { "x-amz-source-expected-bucket-owner": "1" },
      403,
      "AccessDenied",
    ],
  ])("%s", async (_why, source, headers, status, code) => {
    expect(await copy("/atlantic/refused", source, headers)).toMatchObject({ status, code });
    expect((await send({ method: "HEAD", target: "/atlantic/refused" })).status).toBe(404);
  });
  test("of a delete marker", async () => {
    await s3.send(new PutObjectCommand({ Bucket: "versioned", Key: "dead", Body: "x" }));
    const { headers } = await send({ method: "DELETE", target: "/versioned/dead" });
    expect(await copy("/atlantic/refused", "/versioned/dead")).toMatchObject({
      status: 404,
      code: "NoSuchKey",
    });
    const named = `/versioned/dead?versionId=${headers["x-amz-version-id"]}`;
    expect(await copy("/atlantic/refused", named)).toMatchObject({ status: 400, code: "InvalidRequest" });
  });
  test("without a signature, and without READ on the source", async () => {
    await send({ method: "PUT", target: "/open-sea", headers: { "x-amz-acl": "public-read-write" } });
    expect(await copy("/open-sea/k", "/pacific/flotsam", {}, null)).toMatchObject({
      status: 403,
      code: "AccessDenied",
    });
    expect(await copy("/open-sea/k", "/pacific/flotsam", {}, other)).toMatchObject({ status: 403 });
    expect(await copy("/open-sea/k", "/pacific/none", {}, other)).toMatchObject({ status: 403 });
    await send({
      method: "PUT",
      target: "/pacific/shared",
      body: "x",
      headers: { "x-amz-acl": "authenticated-read" },
    });
    expect((await copy("/open-sea/k", "/pacific/shared", {}, other)).status).toBe(200);
    expect(await copy("/atlantic/k", "/pacific/shared", {}, other)).toMatchObject({ status: 403 });
  });
});

describe("conditions on the source", () => {
  let etag: string;
  let modified: number;
  beforeAll(async () => {
    const { headers } = await send({ method: "HEAD", target: "/pacific/flotsam" });
    etag = headers["etag"]!;
    modified = Date.parse(headers["last-modified"]!);
  });
  const at = (seconds: number) => new Date(modified + seconds * 1000).toUTCString();
  const cases: [conditions: () => Record<string, string>, status: number][] = [
    [() => ({ match: etag }), 200],
    [() => ({ match: '"x"' }), 412],
    [() => ({ "none-match": '"x"' }), 200],
    [() => ({ "none-match": etag }), 412],
    [() => ({ "modified-since": at(-1) }), 200],
    [() => ({ "modified-since": at(0) }), 412],
    [() => ({ "unmodified-since": at(0) }), 200],
    [() => ({ "unmodified-since": at(-1) }), 412],
    [() => ({ match: etag, "unmodified-since": at(-1) }), 200],
    [() => ({ "none-match": etag, "modified-since": at(-1) }), 412],
    [() => ({ match: etag, "none-match": '"x"' }), 400],
    [() => ({ "modified-since": at(-1), "unmodified-since": at(1) }), 400],
  ];
  test.each(cases)("case %#", async (conditions, status) => {
    const headers = Object.fromEntries(
      Object.entries(conditions()).map(([name, value]) => [`x-amz-copy-source-if-${name}`, value]),
    );
    expect((await copy("/atlantic/conditional", "/pacific/flotsam", headers)).status).toBe(status);
  });
  test("and on the destination", async () => {
    const put = await send({ method: "PUT", target: "/atlantic/dest", body: "old" });
    expect((await copy("/atlantic/dest", "/pacific/flotsam", { "if-none-match": "*" })).status).toBe(412);
    const match = { "if-match": put.headers["etag"]! };
    expect((await copy("/atlantic/dest", "/pacific/flotsam", match)).status).toBe(200);
  });
});
