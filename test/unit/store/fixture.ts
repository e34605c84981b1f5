import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { openFiles } from "../../../src/blob/files.ts";
import { openMemory as openMemoryBlobs } from "../../../src/blob/memory.ts";
import { openMemory as openMemoryMeta } from "../../../src/meta/memory.ts";
import { openStore, type ObjectStore } from "../../../src/store/store.ts";
import type { Acl, Bucket, PutInput } from "../../../src/store/types.ts";

export const OWNER = "a".repeat(64);
export const PRIVATE: Acl = {
  grants: [{ grantee: { type: "CanonicalUser", id: OWNER }, permission: "FULL_CONTROL" }],
};

export interface Fixture extends AsyncDisposable {
  store: ObjectStore;
  clock: { now: number };
  bucket(name: string): Promise<Bucket>;
  put(
    bucket: Bucket,
    key: string,
    body: Buffer,
    more?: Partial<PutInput>,
  ): ReturnType<ObjectStore["putObject"]>;
}

/** A store over the engines that live in memory, but for its blobs if told so, with a clock that only tests move. */
export async function openFixture({ onDisk = false } = {}): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), "windlass-store-"));
  const clock = { now: Date.UTC(2026, 0, 1) };
  await writeFile(join(folder, "key"), "5".repeat(64));
  const store = await openStore({
    meta: openMemoryMeta(),
    blobs: onDisk ? await openFiles({ root: join(folder, "blobs") }) : openMemoryBlobs(),
    log: pino({ level: "silent" }),
    keyFile: join(folder, "key"),
    inlineBytes: 1024,
    graceMs: 1000,
    now: () => clock.now,
  });
  await store.accounts.create({ name: "root", id: OWNER });
  return {
    store,
    clock,
    bucket: (name) =>
      store.createBucket({ name, ownerId: OWNER, location: "", acl: PRIVATE, maxBuckets: 100 }),
    async put(bucket, key, body, more = {}) {
      const staged = await store.receive(chunks(body), { maxSize: 1 << 30, checksums: ["CRC64NVME"] });
      return store.putObject(bucket, inputFor(key, more), staged);
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

export function inputFor(key: string, more: Partial<PutInput> = {}): PutInput {
  return { key, ownerId: OWNER, meta: {}, acl: PRIVATE, tags: [], storageClass: "STANDARD", ...more };
}

export async function* chunks(body: Buffer, size = 400): AsyncIterable<Buffer> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}
