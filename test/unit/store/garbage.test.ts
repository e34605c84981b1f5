/** What nothing refers to goes, after the grace period and not before; what is shared stays until its last user goes. */
import { expect, test } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import type { Bucket, Part, Upload } from "../../../src/store/types.ts";
import { chunks, inputFor, openFixture, OWNER, type Fixture } from "./fixture.ts";

const LARGE = Buffer.alloc(5 << 20, "large ");
const HOUR = 60 * 60 * 1000;

/** Everything that is due goes, and what that makes due, too. */
async function sweepAll({ store, clock }: Fixture): Promise<void> {
  for (let round = 0; round < 5; round++) {
    clock.now += 25 * HOUR;
    await store.sweep();
  }
}
const blobCount = async ({ store }: Fixture) => (await store.check()).blobs;

async function putPart({ store }: Fixture, upload: Upload, partNumber: number, body: Buffer) {
  const staged = await store.receive(chunks(body, 1 << 20), { maxSize: 1 << 30, checksums: ["CRC64NVME"] });
  return store.putPart(upload, partNumber, staged);
}
const wanted = ({ partNumber, etag }: Part) => ({ partNumber, etag });

async function createUpload({ store }: Fixture, bucket: Bucket, key: string) {
  return store.createUpload(bucket, inputFor(key), { initiatorId: OWNER });
}
async function multipartObject(fixture: Fixture, bucket: Bucket, key: string) {
  const upload = await createUpload(fixture, bucket, key);
  const parts = [
    await putPart(fixture, upload, 1, LARGE),
    await putPart(fixture, upload, 2, Buffer.from("end")),
  ];
  return {
    upload,
    parts,
    version: await fixture.store.completeUpload(bucket, key, upload.uploadId, parts.map(wanted)),
  };
}

test("an overwritten body stays for the grace period, then goes", async () => {
  await using fixture = await openFixture();
  const { store, clock } = fixture;
  const bucket = await fixture.bucket("b");
  const first = await fixture.put(bucket, "k", LARGE);
  await fixture.put(bucket, "k", Buffer.from("small"));
  clock.now += 999;
  await store.sweep();
  expect((await collect(store.read(first, 0, first.size))).equals(LARGE)).toBe(true);
  clock.now += 1;
  expect(await store.sweep()).toEqual({ removed: 1 });
  await expect(collect(store.read(first, 0, first.size))).rejects.toThrow("missing");
  expect((await store.check()).problems).toEqual([]);
});

test("a copy keeps the bytes that it shares", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  const bucket = await fixture.bucket("b");
  const source = await fixture.put(bucket, "source", LARGE);
  const copy = await store.copyObject(source, bucket, inputFor("copy"));
  await store.deleteObject(bucket, "source", {});
  await sweepAll(fixture);
  expect((await collect(store.read(copy, 0, copy.size))).equals(LARGE)).toBe(true);
  await store.deleteObject(bucket, "copy", {});
  await sweepAll(fixture);
  expect(await blobCount(fixture)).toBe(0);
});

test("a copy of a source that has gone is refused", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  const bucket = await fixture.bucket("b");
  const source = await fixture.put(bucket, "source", LARGE);
  await store.deleteObject(bucket, "source", {});
  await expect(store.copyObject(source, bucket, inputFor("copy"))).rejects.toMatchObject({
    code: "NoSuchKey",
  });
  expect(await store.getObject(bucket, "copy", {})).toBeUndefined();
});

test("a completed upload's object, its copy and a part taken from it hold the same blobs", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  const bucket = await fixture.bucket("b");
  const { version } = await multipartObject(fixture, bucket, "k");
  expect(version.etag).toMatch(/^[0-9a-f]{32}-2$/);
  await store.copyObject(version, bucket, inputFor("copy"));
  const upload = await createUpload(fixture, bucket, "from part");
  const part = await store.copyPart(upload, 1, version, LARGE.length - 3, LARGE.length + 3);
  const stretch = await store.completeUpload(bucket, "from part", upload.uploadId, [wanted(part)]);
  expect((await collect(store.read(stretch, 0, 6))).toString()).toBe(
    `${LARGE.toString("latin1", LARGE.length - 3)}end`,
  );
  await sweepAll(fixture);
  await store.deleteObject(bucket, "k", {});
  await store.deleteObject(bucket, "copy", {});
  await sweepAll(fixture);
  expect(await blobCount(fixture)).toBe(2);
  expect((await collect(store.read(stretch, 2, 4))).toString()).toBe(
    ` e`.replace(" ", LARGE.toString("latin1", LARGE.length - 1)),
  );
  await store.deleteObject(bucket, "from part", {});
  await sweepAll(fixture);
  expect(await blobCount(fixture)).toBe(0);
  expect((await store.check()).problems).toEqual([]);
});

test("an aborted upload, a replaced part and a part left out free their bytes", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  const bucket = await fixture.bucket("b");
  const aborted = await createUpload(fixture, bucket, "aborted");
  await putPart(fixture, aborted, 1, LARGE);
  await store.abortUpload(bucket, "aborted", aborted.uploadId);
  await expect(putPart(fixture, aborted, 2, LARGE)).rejects.toMatchObject({ code: "NoSuchUpload" });
  const upload = await createUpload(fixture, bucket, "k");
  await putPart(fixture, upload, 1, LARGE);
  const replaced = await putPart(fixture, upload, 1, Buffer.from("final"));
  await putPart(fixture, upload, 7, LARGE);
  const version = await store.completeUpload(bucket, "k", upload.uploadId, [wanted(replaced)]);
  await sweepAll(fixture);
  expect(await blobCount(fixture)).toBe(1);
  expect((await collect(store.read(version, 0, version.size))).toString()).toBe("final");
  await expect(store.listParts(upload, { after: 0, max: 10 })).resolves.toEqual({
    parts: [],
    truncated: false,
  });
});

test("a repeated completion gives the same version for a day", async () => {
  await using fixture = await openFixture();
  const { store, clock } = fixture;
  const bucket = await fixture.bucket("b");
  const { upload, parts, version } = await multipartObject(fixture, bucket, "k");
  const again = await store.completeUpload(bucket, "k", upload.uploadId, parts.map(wanted));
  expect([again.etag, again.versionId]).toEqual([version.etag, version.versionId]);
  clock.now += 25 * HOUR;
  await store.sweep();
  await expect(store.completeUpload(bucket, "k", upload.uploadId, parts.map(wanted))).rejects.toMatchObject({
    code: "NoSuchUpload",
  });
});

test("a part that changes while the upload completes is never lost from the object", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  const bucket = await fixture.bucket("b");
  for (let round = 0; round < 20; round++) {
    const upload = await createUpload(fixture, bucket, "k");
    const part = await putPart(fixture, upload, 1, Buffer.from(`before ${round}`));
    const outcomes = await Promise.allSettled([
      store.completeUpload(bucket, "k", upload.uploadId, [wanted(part)]),
      putPart(fixture, upload, 1, Buffer.from(`after ${round}`)),
    ]);
    const rejected = outcomes.filter(({ status }) => status === "rejected");
    expect(rejected).toHaveLength(1);
    await sweepAll(fixture);
    expect((await store.check()).problems).toEqual([]);
  }
});
