import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import { failure, sdk, send as sendTo, type RawAnswer } from "./client.ts";
import { sign, toBytes, type RawRequest, type TestKey } from "../signer.ts";

let server: TestServer;
let s3: S3Client;
const Bucket = "objects";

beforeAll(async () => {
  server = await startServer();
  s3 = sdk(server);
  await s3.send(new CreateBucketCommand({ Bucket }));
  await s3.send(new CreateBucketCommand({ Bucket: "versioned" }));
  const VersioningConfiguration = { Status: "Enabled" } as const;
  await s3.send(new PutBucketVersioningCommand({ Bucket: "versioned", VersioningConfiguration }));
});
afterAll(async () => {
  s3.destroy();
  await server.close();
});

const send = (request: RawRequest, key?: TestKey | null): Promise<RawAnswer> => sendTo(server, request, key);
const md5 = (bytes: Buffer | string) => createHash("md5").update(bytes).digest("hex");

async function bytesOf(Key: string, more: object = {}): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from(await Body!.transformToByteArray());
}

describe("an object", () => {
  test.each([0, 1, 4096, 32 * 1024, 32 * 1024 + 1, 1_500_000])(
    "of %i bytes comes back whole",
    async (size) => {
      const Body = randomBytes(size);
      const Key = `size/${size}`;
      const put = await s3.send(new PutObjectCommand({ Bucket, Key, Body }));
      expect(put.ETag).toBe(`"${md5(Body)}"`);
      expect((await bytesOf(Key)).equals(Body)).toBe(true);
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key }));
      expect(head).toMatchObject({ ContentLength: size, ETag: put.ETag, AcceptRanges: "bytes" });
      expect(head.LastModified!.getTime()).toBeGreaterThan(Date.now() - 60_000);
    },
  );

  test.each(["a", "a/", "a//b", "../x", "%2B", "a+b", "ä/☃/😀", "a b", "'\"&<>", "a?b#c", "\t\r\n"])(
    "can have the key %j",
    async (Key) => {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
      expect((await bytesOf(Key)).toString()).toBe(Key);
      await s3.send(new DeleteObjectCommand({ Bucket, Key }));
      expect(await failure(s3.send(new HeadObjectCommand({ Bucket, Key })))).toMatchObject({ status: 404 });
    },
  );

  test("keeps what its headers said", async () => {
    const headers = {
      "content-type": "text/plain; charset=x",
      "cache-control": "max-age=5",
      "content-disposition": "attachment",
      "content-encoding": "gzip",
      "content-language": "de",
      expires: "Thu, 01 Dec 2044 16:00:00 GMT",
      "x-amz-meta-Family": "Muntz",
      "x-amz-storage-class": "STANDARD_IA",
      "x-amz-website-redirect-location": "/there",
    };
    expect((await send({ method: "PUT", target: "/objects/full", body: "x", headers })).status).toBe(200);
    const { "x-amz-meta-Family": family, ...rest } = headers;
    for (const method of ["GET", "HEAD"]) {
      const answer = await send({ method, target: "/objects/full" });
      expect(answer.headers).toMatchObject({ ...rest, "x-amz-meta-family": family, "content-length": "1" });
      expect(answer.body.length).toBe(method === "GET" ? 1 : 0);
      expect(answer.headers["x-amz-version-id"]).toBeUndefined();
    }
  });

  test("is binary/octet-stream of class STANDARD when nothing else was said", async () => {
    await send({ method: "PUT", target: "/objects/plain", body: "x" });
    const { headers } = await send({ method: "GET", target: "/objects/plain" });
    expect(headers["content-type"]).toBe("binary/octet-stream");
    expect(headers["x-amz-storage-class"]).toBeUndefined();
    expect(headers["content-disposition"]).toBeUndefined();
  });

  test("has metadata outside ASCII as an encoded word", async () => {
    const headers = { "x-amz-meta-name": "ÄMÄ ☃", "x-amz-meta-word": "=?UTF-8?Q?a=0Ab?=" };
    expect((await send({ method: "PUT", target: "/objects/foreign", body: "x", headers })).status).toBe(200);
    const answer = await send({ method: "HEAD", target: "/objects/foreign" });
    expect(answer.headers["x-amz-meta-name"]).toBe(`=?UTF-8?B?${Buffer.from("ÄMÄ ☃").toString("base64")}?=`);
    expect(answer.headers["x-amz-meta-word"]).toBeUndefined();
    expect(answer.headers["x-amz-missing-meta"]).toBe("1");
  });
});

describe("a PUT is refused", () => {
  test.each<[why: string, headers: Record<string, string>, code: string]>([
    ["with too much metadata", { "x-amz-meta-a": "v".repeat(2048) }, "MetadataTooLarge"],
    ["of an unknown storage class", { "x-amz-storage-class": "COLD" }, "InvalidStorageClass"],
    ["that is to be encrypted", { "x-amz-server-side-encryption": "AES256" }, "NotImplemented"],
    ["with a lock", { "x-amz-object-lock-legal-hold": "ON" }, "InvalidRequest"],
    ["with an unknown canned ACL", { "x-amz-acl": "open" }, "InvalidArgument"],
    ["with a malformed Content-MD5", { "content-md5": "x" }, "InvalidDigest"],
    [
      "with a wrong Content-MD5",
      { "content-md5": createHash("md5").update("y").digest("base64") },
      "BadDigest",
    ],
    ["over 2 conditions", { "if-match": "a", "if-none-match": "*" }, "NotImplemented"],
    ["with bad tags", { "x-amz-tagging": "a=1&a=2" }, "InvalidArgument"],
  ])("%s", async (_why, headers, code) => {
    const answer = await send({ method: "PUT", target: "/objects/refused", body: "x", headers });
    expect(answer.code).toBe(code);
    expect((await send({ method: "GET", target: "/objects/refused" })).code).toBe("NoSuchKey");
  });

  test("without a length", async () => {
    const request = {
      method: "PUT",
      target: "/objects/refused",
      headers: { "transfer-encoding": "chunked" },
    };
    const answer = await send(request);
    expect([411, 501]).toContain(answer.status);
  });
});

test("more than 5 GiB are refused before they are read", async () => {
  const headers = { "content-length": String(5 * 1024 ** 3 + 1), "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
  const request = { method: "PUT", target: "/objects/huge", headers };
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(server.port, "127.0.0.1");
    let text = "";
    socket.setTimeout(10_000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("</Error>")) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
    socket.write(toBytes(request, sign(request, server.rootKey, `127.0.0.1:${server.port}`)));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 400[^]*<Code>EntityTooLarge<\/Code>/);
});

describe("a missing key", () => {
  test("is 404 NoSuchKey", async () => {
    const answer = await send({ method: "GET", target: "/objects/nothing" });
    expect(answer).toMatchObject({ status: 404, code: "NoSuchKey" });
    expect(answer.text).toContain("<Key>nothing</Key>");
    const head = await send({ method: "HEAD", target: "/objects/nothing" });
    expect(head).toMatchObject({ status: 404, text: "" });
  });
  test("can be deleted", async () => {
    expect((await send({ method: "DELETE", target: "/objects/nothing" })).status).toBe(204);
  });
});

const get = (range: string, method = "GET", target = "/objects/range") =>
  send({ method, target, headers: { range } });

describe("ranges", () => {
  const BODY = Buffer.from("0123456789");
  beforeAll(async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: "range", Body: BODY }));
    await s3.send(new PutObjectCommand({ Bucket, Key: "empty", Body: "" }));
    await s3.send(new PutObjectCommand({ Bucket, Key: "large", Body: Buffer.alloc(300_000, "0123456789") }));
  });
  test.each([
    ["bytes=0-3", "0123", "bytes 0-3/10"],
    ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=-2", "89", "bytes 8-9/10"],
    ["bytes=5-500", "56789", "bytes 5-9/10"],
  ])("%s gives %s", async (range, text, contentRange) => {
    const answer = await get(range);
    expect(answer).toMatchObject({ status: 206, text });
    expect(answer.headers).toMatchObject({
      "content-range": contentRange,
      "content-length": String(text.length),
    });
    const head = await get(range, "HEAD");
    expect(head).toMatchObject({ status: 206, text: "" });
    expect(head.headers["content-length"]).toBe(String(text.length));
  });
  test.each(["0-3", "bytes=3-1", "bytes=0-1,3-4", "lines=0-1"])("%s gives the whole", async (range) => {
    expect(await get(range)).toMatchObject({ status: 200, text: BODY.toString() });
  });
  test("beyond the end are 416", async () => {
    const answer = await get("bytes=10-");
    expect(answer).toMatchObject({ status: 416, code: "InvalidRange" });
    expect(answer.headers["content-range"]).toBe("bytes */10");
    expect(answer.text).toContain("<ActualObjectSize>10</ActualObjectSize>");
    expect((await get("bytes=0-", "GET", "/objects/empty")).status).toBe(416);
  });
  test("of a large object are read from its middle", async () => {
    expect(await get("bytes=150005-150009", "GET", "/objects/large")).toMatchObject({
      status: 206,
      text: "56789",
    });
  });
  test("part 1 of an object put whole is all of it, and there is no part 2", async () => {
    const answer = await send({ method: "GET", target: "/objects/range?partNumber=1" });
    expect(answer).toMatchObject({ status: 206, text: BODY.toString() });
    expect(answer.headers["x-amz-mp-parts-count"]).toBeUndefined();
    expect(await send({ method: "GET", target: "/objects/range?partNumber=2" })).toMatchObject({
      status: 416,
      code: "InvalidPartNumber",
    });
    expect(await send({ method: "GET", target: "/objects/range?partNumber=0" })).toMatchObject({
      status: 400,
      code: "InvalidArgument",
    });
  });
});

describe("response overrides", () => {
  test("replace the headers of a signed GET", async () => {
    await send({
      method: "PUT",
      target: "/objects/over",
      body: "x",
      headers: { "cache-control": "no-store" },
    });
    const query =
      "response-cache-control=max-age%3D1&response-content-disposition=attachment&response-content-type=a%2Fb";
    const { headers } = await send({ method: "GET", target: `/objects/over?${query}` });
    expect(headers).toMatchObject({
      "cache-control": "max-age=1",
      "content-disposition": "attachment",
      "content-type": "a/b",
    });
    const evil = await send({
      method: "GET",
      target: "/objects/over?response-content-type=a%0D%0Ax-evil%3A%201",
    });
    expect(evil.code).toBe("InvalidArgument");
  });
  test("are not for anonymous requests", async () => {
    await send({
      method: "PUT",
      target: "/objects/public",
      body: "x",
      headers: { "x-amz-acl": "public-read" },
    });
    expect((await send({ method: "GET", target: "/objects/public" }, null)).text).toBe("x");
    const answer = await send({ method: "GET", target: "/objects/public?response-content-type=a%2Fb" }, null);
    expect(answer).toMatchObject({ status: 400, code: "InvalidRequest" });
  });
});

describe("versions", () => {
  const V = { Bucket: "versioned" };
  test("stay readable by their ids; a delete hides them, and its marker says so", async () => {
    const one = await s3.send(new PutObjectCommand({ ...V, Key: "k", Body: "one" }));
    const two = await s3.send(new PutObjectCommand({ ...V, Key: "k", Body: "two" }));
    expect(one.VersionId).not.toBe(two.VersionId);
    const read = async (VersionId?: string) => {
      const answer = await s3.send(
        new GetObjectCommand({ ...V, Key: "k", ...(VersionId === undefined ? {} : { VersionId }) }),
      );
      return { text: await answer.Body!.transformToString(), id: answer.VersionId };
    };
    expect(await read()).toEqual({ text: "two", id: two.VersionId });
    expect(await read(one.VersionId)).toEqual({ text: "one", id: one.VersionId });

    const deleted = await s3.send(new DeleteObjectCommand({ ...V, Key: "k" }));
    expect(deleted.DeleteMarker).toBe(true);
    const gone = await send({ method: "GET", target: "/versioned/k" });
    expect(gone).toMatchObject({ status: 404, code: "NoSuchKey" });
    expect(gone.headers["x-amz-delete-marker"]).toBe("true");
    const marker = await send({ method: "GET", target: `/versioned/k?versionId=${deleted.VersionId}` });
    expect(marker).toMatchObject({ status: 405, code: "MethodNotAllowed" });
    expect(marker.headers).toMatchObject({ "x-amz-delete-marker": "true", allow: "DELETE" });
    expect((await read(one.VersionId)).text).toBe("one");

    const undeleted = await s3.send(
      new DeleteObjectCommand({ ...V, Key: "k", VersionId: deleted.VersionId }),
    );
    expect(undeleted).toMatchObject({ DeleteMarker: true, VersionId: deleted.VersionId });
    expect((await read()).text).toBe("two");
    await s3.send(new DeleteObjectCommand({ ...V, Key: "k", VersionId: two.VersionId }));
    expect((await read()).text).toBe("one");
  });
  test("that aren't there are 404, malformed ones 400", async () => {
    const put = await s3.send(new PutObjectCommand({ ...V, Key: "m", Body: "x" }));
    await s3.send(new DeleteObjectCommand({ ...V, Key: "m", VersionId: put.VersionId }));
    const answer = await send({ method: "GET", target: `/versioned/m?versionId=${put.VersionId}` });
    expect(answer).toMatchObject({ status: 404, code: "NoSuchVersion" });
    expect(await send({ method: "GET", target: "/versioned/m?versionId=%21" })).toMatchObject({
      status: 400,
    });
    expect(await send({ method: "GET", target: "/versioned/m?versionId=" })).toMatchObject({ status: 400 });
  });
  test("of a bucket that stopped making them are null", async () => {
    await s3.send(new CreateBucketCommand({ Bucket: "suspended" }));
    const VersioningConfiguration = { Status: "Suspended" } as const;
    await s3.send(new PutBucketVersioningCommand({ Bucket: "suspended", VersioningConfiguration }));
    const put = await s3.send(new PutObjectCommand({ Bucket: "suspended", Key: "k", Body: "x" }));
    expect(put.VersionId).toBe("null");
  });
});

const xml = (...keys: string[]) =>
  `<Delete>${keys.map((key) => `<Object><Key>${key}</Key></Object>`).join("")}</Delete>`;
const post = (body: string) =>
  send({
    method: "POST",
    target: "/objects?delete",
    body,
    headers: { "content-md5": createHash("md5").update(body).digest("base64") },
  });

describe("DeleteObjects", () => {
  test("deletes many, and answers for each in their order", async () => {
    const keys = Array.from({ length: 200 }, (_, n) => `many/${n}`);
    await Promise.all(keys.map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))));
    const Objects = [...keys, "many/missing"].map((Key) => ({ Key }));
    const { Deleted, Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(Deleted!.map(({ Key }) => Key)).toEqual(Objects.map(({ Key }) => Key));
    expect(Errors).toBeUndefined();
    expect((await send({ method: "HEAD", target: "/objects/many/7" })).status).toBe(404);
  });
  test("tells only of errors when it is quiet", async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: "quiet", Body: "x" }));
    const Objects = [{ Key: "quiet" }, { Key: "k".repeat(1025) }, { Key: "k", VersionId: "!" }];
    const { Deleted, Errors } = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
    );
    expect(Deleted).toBeUndefined();
    expect(Errors!.map(({ Code }) => Code)).toEqual(["KeyTooLongError", "InvalidArgument"]);
  });
  test("tells of delete markers made and removed", async () => {
    const del = (Objects: { Key: string; VersionId?: string }[]) =>
      s3.send(new DeleteObjectsCommand({ Bucket: "versioned", Delete: { Objects } }));
    await s3.send(new PutObjectCommand({ Bucket: "versioned", Key: "dm", Body: "x" }));
    const made = (await del([{ Key: "dm" }])).Deleted![0]!;
    expect(made).toMatchObject({ Key: "dm", DeleteMarker: true });
    const removed = (await del([{ Key: "dm", VersionId: made.DeleteMarkerVersionId! }])).Deleted![0]!;
    expect(removed).toEqual({
      Key: "dm",
      VersionId: made.DeleteMarkerVersionId,
      DeleteMarker: true,
      DeleteMarkerVersionId: made.DeleteMarkerVersionId,
    });
  });
  test("keeps what a condition protects", async () => {
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: "kept", Body: "x" }));
    const Objects = [{ Key: "kept", ETag: '"other"' }];
    const { Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(Errors).toMatchObject([{ Key: "kept", Code: "PreconditionFailed" }]);
    const { Deleted } = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "kept", ETag }] } }),
    );
    expect(Deleted).toHaveLength(1);
  });
  test("takes 1 to 1000 keys", async () => {
    expect((await post(xml())).code).toBe("MalformedXML");
    expect((await post(xml(...Array.from({ length: 1001 }, (_, n) => `k${n}`)))).code).toBe("MalformedXML");
  });
});

describe("GetObjectAttributes", () => {
  test("gives what is asked for", async () => {
    const put = await s3.send(
      new PutObjectCommand({ Bucket, Key: "attributes", Body: "hello", ChecksumAlgorithm: "SHA256" }),
    );
    const attributes = await s3.send(
      new GetObjectAttributesCommand({
        Bucket,
        Key: "attributes",
        ObjectAttributes: ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
      }),
    );
    expect(attributes).toMatchObject({
      ETag: put.ETag!.replaceAll('"', ""),
      Checksum: { ChecksumSHA256: put.ChecksumSHA256, ChecksumType: "FULL_OBJECT" },
      StorageClass: "STANDARD",
      ObjectSize: 5,
    });
    expect(attributes.ObjectParts).toBeUndefined();
  });
  test.each([[undefined], ["Colour"], [""]])("of %j are refused", async (wanted) => {
    const headers: Record<string, string> = wanted === undefined ? {} : { "x-amz-object-attributes": wanted };
    const answer = await send({ method: "GET", target: "/objects/attributes?attributes", headers });
    expect(answer).toMatchObject({ status: 400, code: "InvalidArgument" });
  });
});
