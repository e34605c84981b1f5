/** What happens to a request under whose hands something else changes: another client, the sweeper, the writer's end. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { BlobBroken } from "../../src/blob/blob.ts";
import { openMemory as openMemoryBlobs } from "../../src/blob/memory.ts";
import { collect } from "../../src/lib/chunks.ts";
import { openMemory as openMemoryMeta } from "../../src/meta/memory.ts";
import { decodeKey } from "../../src/meta/tuple.ts";
import { KEYS } from "../../src/store/keys.ts";
import { openStore, type ObjectStore } from "../../src/store/store.ts";
import type { Part } from "../../src/store/types.ts";
import { chunks, inputFor, openFixture, OWNER, PRIVATE } from "../unit/store/fixture.ts";

const LARGE = Buffer.alloc(5 << 20, "large ");
const HOUR = 60 * 60 * 1000;
const wanted = ({ partNumber, etag }: Part) => ({ partNumber, etag });

/** A store whose engines the test can tamper with, and a bucket in it. */
async function openTampered(graceMs = 1000) {
  const folder = await mkdtemp(join(tmpdir(), "windlass-races-"));
  await writeFile(join(folder, "key"), "5".repeat(64));
  const meta = openMemoryMeta();
  const blobs = openMemoryBlobs();
  const clock = { now: Date.UTC(2026, 0, 1) };
  const log = pino({ level: "silent" });
  const keyFile = join(folder, "key");
  const store = await openStore({
    meta,
    blobs,
    log,
    keyFile,
    inlineBytes: 1024,
    graceMs,
    now: () => clock.now,
  });
  await rm(folder, { recursive: true });
  await store.accounts.create({ name: "root", id: OWNER });
  const bucket = await store.createBucket({
    name: "b",
    ownerId: OWNER,
    location: "",
    acl: PRIVATE,
    maxBuckets: 10,
  });
  const put = async (key: string, body: Buffer) =>
    store.putObject(
      bucket,
      inputFor(key),
      await store.receive(chunks(body, 1 << 20), { maxSize: 1 << 30, checksums: [] }),
    );
  return { store, meta, blobs, clock, bucket, put };
}

async function multipart(
  store: ObjectStore,
  bucket: Parameters<ObjectStore["createUpload"]>[0],
  key: string,
) {
  const upload = await store.createUpload(bucket, inputFor(key), { initiatorId: OWNER });
  const staged = await store.receive(chunks(LARGE, 1 << 20), { maxSize: 1 << 30, checksums: ["CRC64NVME"] });
  const part = await store.putPart(upload, 1, staged);
  return store.completeUpload(bucket, key, upload.uploadId, [wanted(part)]);
}

test("a reader that outlives a swept multipart object fails, and never sees it end early", async () => {
  await using fixture = await openFixture();
  const { store, clock } = fixture;
  const bucket = await fixture.bucket("b");
  const version = await multipart(store, bucket, "k");
  await store.deleteObject(bucket, "k");
  for (let round = 0; round < 3; round++) {
    clock.now += HOUR;
    await store.sweep();
  }
  await expect(collect(store.read(version, 0, version.size))).rejects.toThrow("replaced while it was read");
});

test("a multipart object of no bytes is read to its end, which is at once", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  const bucket = await fixture.bucket("b");
  const upload = await store.createUpload(bucket, inputFor("empty"), { initiatorId: OWNER });
  const staged = await store.receive(chunks(Buffer.alloc(0)), { maxSize: 1, checksums: ["CRC64NVME"] });
  const part = await store.putPart(upload, 1, staged);
  const version = await store.completeUpload(bucket, "empty", upload.uploadId, [wanted(part)]);
  expect((await collect(store.read(version, 0, 0))).length).toBe(0);
});

test("a copy of an object that is overwritten meanwhile is the object as it was", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  const bucket = await fixture.bucket("b");
  const blob = await fixture.put(bucket, "blob", LARGE);
  await fixture.put(bucket, "blob", Buffer.from("new"));
  const copy = await store.copyObject(blob, bucket, inputFor("copy"));
  expect(copy.etag).toBe(blob.etag);
  expect((await collect(store.read(copy, 0, copy.size))).equals(LARGE)).toBe(true);

  const many = await multipart(store, bucket, "many");
  await fixture.put(bucket, "many", Buffer.from("new"));
  const second = await store.copyObject(many, bucket, inputFor("copy of many"));
  expect(second.etag).toBe(many.etag);
  expect((await collect(store.read(second, 0, second.size))).equals(LARGE)).toBe(true);

  const upload = await store.createUpload(bucket, inputFor("from part"), { initiatorId: OWNER });
  const part = await store.copyPart(upload, 1, many, 1, 7);
  const whole = await store.completeUpload(bucket, "from part", upload.uploadId, [wanted(part)]);
  expect((await collect(store.read(whole, 0, 6))).equals(LARGE.subarray(1, 7))).toBe(true);

  const small = await fixture.put(bucket, "small", Buffer.from("old"));
  await fixture.put(bucket, "small", Buffer.from("new"));
  // Its bytes went with the commit that replaced it: the client has to try again.
  await expect(store.copyObject(small, bucket, inputFor("copy"))).rejects.toMatchObject({ code: "SlowDown" });
  expect((await store.check()).problems).toEqual([]);
});

test("a blob that is released while the sweeper looks at it is not forgotten", async () => {
  // Without a grace period the new entry of the queue has the very name of the one that is being looked at.
  const { store, meta, bucket, put } = await openTampered(0);
  const source = await put("source", LARGE);
  await store.copyObject(source, bucket, inputFor("copy"));
  await store.deleteObject(bucket, "source");
  const scan = meta.scan.bind(meta);
  let released = false;
  meta.scan = async (range, options) => {
    const entries = await scan(range, options);
    if (!released && entries.length === 1 && decodeKey(entries[0]!.key)[0] === "ref") {
      released = true;
      await store.deleteObject(bucket, "copy");
    }
    return entries;
  };
  await store.sweep();
  await store.sweep();
  expect(released).toBe(true);
  expect((await store.check()).blobs).toBe(0);
  await store.close();
});

test("one pass of the sweeper clears thousands of blobs with few commits", async () => {
  const { store, meta, clock, bucket, put } = await openTampered();
  for (let n = 0; n < 2500; n++) await put("k", Buffer.alloc(1025, String(n)));
  await store.deleteObject(bucket, "k");
  clock.now += HOUR;
  let commits = 0;
  const commit = meta.commit.bind(meta);
  meta.commit = (change) => {
    commits++;
    return commit(change);
  };
  expect(await store.sweep()).toEqual({ removed: 2500 });
  expect(commits).toBeLessThan(100);
  expect(await scanCount(meta, KEYS.garbageUntil(clock.now))).toBe(0);
  await store.close();
});
const scanCount = async (meta: ReturnType<typeof openMemoryMeta>, range: ReturnType<typeof KEYS.blobs>) =>
  (await meta.scan(range, { limit: 10_000 })).length;

test("closing does not wait for a writer that is gone", async () => {
  const { store, meta } = await openTampered();
  meta.health = () => "There is no connection to the metadata writer";
  let asked = false;
  meta.commit = () => {
    asked = true;
    return new Promise(() => undefined);
  };
  await store.close();
  expect(asked).toBe(false);
});

test("a failed sync under a small part makes the store say that it is broken", async () => {
  const { store, blobs, bucket } = await openTampered();
  const upload = await store.createUpload(bucket, inputFor("k"), { initiatorId: OWNER });
  const staged = await store.receive(chunks(Buffer.from("small")), {
    maxSize: 100,
    checksums: ["CRC64NVME"],
  });
  blobs.create = () => Promise.reject(new BlobBroken("The blobs' disk failed"));
  await expect(store.putPart(upload, 1, staged)).rejects.toMatchObject({ code: "ServiceUnavailable" });
  expect(store.health()).toContain("disk failed");
  await store.close();
});

test("an upload that says it won't fit is refused before it fills the disk", async () => {
  const { store, blobs } = await openTampered();
  blobs.free = () => Promise.resolve(1 << 30);
  let begun = 0;
  blobs.create = () => {
    begun++;
    throw new Error("must not be begun");
  };
  const source = chunks(Buffer.from("first"));
  await expect(
    store.receive(source, { size: 2 ** 31, maxSize: 2 ** 32, checksums: [] }),
  ).rejects.toMatchObject({ code: "InsufficientStorage" });
  expect(begun).toBe(0);
  await store.close();
});

test("without a writer an upload is told to come again, and its bytes are not lost track of", async () => {
  const { store, meta, blobs, bucket, put } = await openTampered();
  const { MetaError } = await import("../../src/meta/meta.ts");
  const commit = meta.commit.bind(meta);
  meta.newBodyId = () => Promise.reject(new MetaError("overloaded", "no writer"));
  await expect(put("small", Buffer.from("small"))).rejects.toMatchObject({ code: "SlowDown" });
  const staged = await store.receive(chunks(LARGE, 1 << 20), { maxSize: 1 << 30, checksums: [] });
  meta.commit = async (change) => {
    await commit(change);
    throw new MetaError("unknown", "the answer was lost");
  };
  await expect(store.putObject(bucket, inputFor("k"), staged)).rejects.toMatchObject({ kind: "unknown" });
  await staged.discard();
  meta.commit = commit;
  // The commit stands, so its blob must.
  const found = await store.getObject(bucket, "k");
  expect((await collect(store.read(found!.version, 0, LARGE.length))).equals(LARGE)).toBe(true);
  expect(await blobs.size((staged.content as { blobId: string }).blobId)).toBe(LARGE.length);
  await store.close();
});
