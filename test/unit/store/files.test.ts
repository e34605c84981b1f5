/** Where other processes find an object's bytes. */
import { readFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { ObjectStore } from "../../../src/store/store.ts";
import type { ObjectVersion } from "../../../src/store/types.ts";
import { chunks, inputFor, openFixture, OWNER } from "./fixture.ts";

const PART_BYTES = 5 * 1024 ** 2;

/** What the files of a version hold. */
async function inFiles(store: ObjectStore, version: ObjectVersion): Promise<Buffer | undefined> {
  const ranges = await store.files(version);
  if (ranges === undefined) return undefined;
  return Buffer.concat(
    await Promise.all(
      ranges.map(async ({ path, start, end }) => (await readFile(path)).subarray(start, end)),
    ),
  );
}

test("an object of one blob is in one file, and one of several parts in as many", async () => {
  await using fixture = await openFixture({ onDisk: true });
  const { store } = fixture;
  const bucket = await fixture.bucket("photos");
  const body = randomBytes(3000);
  expect(await inFiles(store, await fixture.put(bucket, "one", body))).toEqual(body);
  const upload = await store.createUpload(bucket, inputFor("two"), { initiatorId: OWNER });
  const bodies = [randomBytes(PART_BYTES), Buffer.from("end")];
  const parts = [];
  for (const [n, part] of bodies.entries()) {
    const staged = await store.receive(chunks(part, 1 << 20), { maxSize: 1 << 30, checksums: ["CRC64NVME"] });
    const { etag } = await store.putPart(upload, n + 1, staged);
    parts.push({ partNumber: n + 1, etag });
  }
  const version = await store.completeUpload(bucket, "two", upload.uploadId, parts);
  expect((await inFiles(store, version))!.equals(Buffer.concat(bodies))).toBe(true);
});

test("what is in the database or in memory, or is nothing, is in no file", async () => {
  await using fixture = await openFixture({ onDisk: true });
  const bucket = await fixture.bucket("photos");
  for (const size of [0, 500]) {
    const version = await fixture.put(bucket, "small", randomBytes(size));
    expect(await fixture.store.files(version)).toBeUndefined();
  }
  await using elsewhere = await openFixture();
  const version = await elsewhere.put(await elsewhere.bucket("photos"), "one", randomBytes(3000));
  expect(await elsewhere.store.files(version)).toBeUndefined();
});
