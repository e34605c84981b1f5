import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  paginateListObjectsV2,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sdk } from "../s3/client.ts";
import { startServer, type TestServer } from "../server.ts";
import { writeRandomFile } from "./tools.ts";

const Bucket = "sdk";
let server: TestServer;
let s3: S3Client;

beforeAll(async () => {
  server = await startServer();
  s3 = sdk(server);
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  s3.destroy();
  await server.close();
});

const textOf = async (client: S3Client, Key: string, more: { Range?: string; VersionId?: string } = {}) => {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Body!.transformToString();
};

describe("the AWS SDK for JavaScript", () => {
  test("sends 200 MiB by parts, copies them and reads them back", async () => {
    const folder = await mkdtemp(join(tmpdir(), "windlass-sdk-"));
    try {
      const path = join(folder, "big");
      const md5 = await writeRandomFile(path, 200 << 20);
      const params = { Bucket, Key: "big", Body: createReadStream(path, { highWaterMark: 1 << 20 }) };
      await new Upload({ client: s3, params, partSize: 8 << 20, queueSize: 4 }).done();
      await s3.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/big` }));
      const { Body, ETag, ContentLength } = await s3.send(new GetObjectCommand({ Bucket, Key: "copy" }));
      expect([ETag, ContentLength]).toEqual([expect.stringMatching(/^"[0-9a-f]{32}-25"$/), 200 << 20]);
      const hash = createHash("md5");
      for await (const chunk of Body as Readable) hash.update(chunk as Buffer);
      expect(hash.digest("hex")).toBe(md5);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("lists 2,500 keys by pages and deletes them", async () => {
    const keys = Array.from({ length: 2500 }, (_, n) => `many/${String(n).padStart(5, "0")}`);
    const waiting = [...keys];
    const put = async () => {
      for (let Key = waiting.pop(); Key !== undefined; Key = waiting.pop()) {
        await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
      }
    };
    await Promise.all(Array.from({ length: 16 }, put));
    const listed: (string | undefined)[] = [];
    const sizes: number[] = [];
    for await (const { Contents = [] } of paginateListObjectsV2(
      { client: s3 },
      { Bucket, Prefix: "many/" },
    )) {
      sizes.push(Contents.length);
      listed.push(...Contents.map(({ Key }) => Key));
    }
    expect(sizes).toEqual([1000, 1000, 500]);
    expect(listed).toEqual(keys);
    for (let at = 0; at < keys.length; at += 1000) {
      const Objects = keys.slice(at, at + 1000).map((Key) => ({ Key }));
      const { Errors = [] } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
      expect(Errors).toEqual([]);
    }
    for await (const { KeyCount } of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix: "many/" }))
      expect(KeyCount).toBe(0);
  });

  test.each(["å ä ö", "日本語/写真.jpg", "🐕", "a//b/../c", "plus+and%2Bpercent", "'\"<&>", " "])(
    "keeps the key %s as it is",
    async (Key) => {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key, Metadata: { name: "ünïcode" } }));
      expect(await textOf(s3, Key)).toBe(Key);
      await s3.send(new DeleteObjectCommand({ Bucket, Key }));
      await expect(s3.send(new HeadObjectCommand({ Bucket, Key }))).rejects.toMatchObject({
        name: "NotFound",
      });
    },
  );

  test("signs URLs that work without it, and only as signed", async () => {
    const object = { Bucket, Key: "presigned" };
    const putUrl = await getSignedUrl(s3, new PutObjectCommand(object), { expiresIn: 60 });
    expect((await fetch(putUrl, { method: "PUT", body: "by URL" })).status).toBe(200);
    const getUrl = await getSignedUrl(
      s3,
      new GetObjectCommand({ ...object, ResponseContentType: "text/x-mine" }),
      { expiresIn: 60 },
    );
    const answer = await fetch(getUrl);
    expect([await answer.text(), answer.headers.get("content-type")]).toEqual(["by URL", "text/x-mine"]);
    expect((await fetch(getUrl.replace("x-mine", "x-yours"))).status).toBe(403);
    expect((await fetch(getUrl, { method: "DELETE" })).status).toBe(403);
  });

  test("reads ranges", async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: "ranges", Body: "0123456789" }));
    expect(await textOf(s3, "ranges", { Range: "bytes=2-4" })).toBe("234");
    expect(await textOf(s3, "ranges", { Range: "bytes=7-" })).toBe("789");
    expect(await textOf(s3, "ranges", { Range: "bytes=-2" })).toBe("89");
    await expect(textOf(s3, "ranges", { Range: "bytes=10-" })).rejects.toMatchObject({
      name: "InvalidRange",
    });
  });

  test("shares an object with another account and takes it back", async () => {
    const { account, key } = await server.store.accounts.create({ name: "friend" });
    const friend = sdk(server, key);
    const object = { Bucket, Key: "shared" };
    await s3.send(new PutObjectCommand({ ...object, Body: "between us" }));
    await expect(textOf(friend, "shared")).rejects.toMatchObject({ name: "AccessDenied" });
    await s3.send(new PutObjectAclCommand({ ...object, GrantRead: `id="${account.id}"` }));
    expect(await textOf(friend, "shared")).toBe("between us");
    await expect(friend.send(new PutObjectCommand({ ...object, Body: "mine" }))).rejects.toMatchObject({
      name: "AccessDenied",
    });
    await s3.send(new PutObjectAclCommand({ ...object, ACL: "private" }));
    await expect(textOf(friend, "shared")).rejects.toMatchObject({ name: "AccessDenied" });
    friend.destroy();
  });

  test("keeps versions", async () => {
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
    const first = await s3.send(new PutObjectCommand({ Bucket, Key: "kept", Body: "first" }));
    await s3.send(new PutObjectCommand({ Bucket, Key: "kept", Body: "second" }));
    const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key: "kept" }));
    expect(marker.DeleteMarker).toBe(true);
    await expect(textOf(s3, "kept")).rejects.toMatchObject({ name: "NoSuchKey" });
    expect(await textOf(s3, "kept", { VersionId: first.VersionId! })).toBe("first");
    const { Versions, DeleteMarkers } = await s3.send(
      new ListObjectVersionsCommand({ Bucket, Prefix: "kept" }),
    );
    expect([Versions?.length, DeleteMarkers?.length]).toEqual([2, 1]);
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "kept", VersionId: marker.VersionId }));
    expect(await textOf(s3, "kept")).toBe("second");
  });
});
