/** Buckets: their names, their settings record, their counters. */
import type { Check } from "../meta/meta.ts";
import { decodeKey, keyAfter } from "../meta/tuple.ts";
import type { Cache } from "./cache.ts";
import { commit, NOTHING, randomId, type Core } from "./core.ts";
import { StoreError } from "./errors.ts";
import { KEYS } from "./keys.ts";
import { decode, encode, fromBucket, toBucket, type BucketRecord } from "./records.ts";
import type { Acl, Bucket, BucketUsage, VersioningStatus } from "./types.ts";

/** Attempts at a settings record that others change at the same time. */
const ATTEMPTS_MAX = 16;
/** The longest name a bucket may have; a client may ask for one of kilobytes, which no key could hold. */
const NAME_LENGTH_MAX = 255;
/** Names of one scan when an account's buckets are counted. */
const PAGE = 1000;

export interface BucketChange {
  versioning?: VersioningStatus;
  acl?: Acl;
  compatibility?: "modern" | "2006-03-01";
}

export async function createBucket(
  core: Core,
  input: { name: string; ownerId: string; location: string; acl: Acl; maxBuckets: number },
): Promise<Bucket> {
  const { name, ownerId, location, acl } = input;
  const row = KEYS.bucket(name);
  const existing = await core.meta.get(row);
  if (existing !== undefined) throw alreadyThere(decode<BucketRecord>(existing), ownerId);
  if ((await countBuckets(core, ownerId, input.maxBuckets)) >= input.maxBuckets)
    throw new StoreError("TooManyBuckets");
  const bucket: Bucket = {
    id: randomId(),
    name,
    ownerId,
    createdAt: core.now(),
    location,
    versioning: "Off",
    acl,
  };
  const created = await commit(core, {
    checks: [
      { key: row, absent: true },
      { key: KEYS.bucketId(bucket.id), absent: true },
      { key: KEYS.account(ownerId), present: true },
    ],
    writes: [
      { key: row, value: encode(fromBucket(bucket)) },
      { key: KEYS.bucketId(bucket.id), value: Buffer.from(name) },
      { key: KEYS.bucketOwner(ownerId, name), value: NOTHING },
      { key: KEYS.epoch(), add: 1 },
    ],
  });
  if (created) return bucket;
  const winner = await core.meta.get(row);
  if (winner === undefined) throw new StoreError("ConditionalRequestConflict");
  throw alreadyThere(decode<BucketRecord>(winner), ownerId);
}

function alreadyThere(record: BucketRecord, ownerId: string): StoreError {
  const code = record.owner === ownerId ? "BucketAlreadyOwnedByYou" : "BucketAlreadyExists";
  return new StoreError(code, { BucketName: record.name });
}

async function countBuckets(core: Core, ownerId: string, enough: number): Promise<number> {
  let { start, end } = KEYS.bucketsOf(ownerId);
  for (let count = 0; ;) {
    const names = await core.meta.scan({ start, end }, { limit: PAGE });
    count += names.length;
    if (names.length < PAGE || count >= enough) return count;
    start = keyAfter(names.at(-1)!.key);
  }
}

/** The cached record; see Cache. */
export function getBucket(core: Core, cache: Cache, name: string): Promise<Bucket | undefined> {
  return cache.get("bucket", name, async () => {
    if (name.length > NAME_LENGTH_MAX) return undefined;
    const value = await core.meta.get(KEYS.bucket(name));
    return value === undefined ? undefined : toBucket(decode<BucketRecord>(value));
  });
}

export async function listBuckets(
  core: Core,
  ownerId: string,
  query: { prefix: string; after: string; max: number },
): Promise<{ buckets: Bucket[]; truncated: boolean }> {
  const range = KEYS.bucketsOfWith(ownerId, query.prefix);
  const last = query.after.slice(0, NAME_LENGTH_MAX);
  const after = last === "" ? range.start : keyAfter(KEYS.bucketOwner(ownerId, last));
  const start = after.compare(range.start) > 0 ? after : range.start;
  return core.meta.snapshot(function* (read) {
    const found = yield* read.scan({ start, end: range.end }, { limit: query.max + 1 });
    const names = found.slice(0, query.max).map(({ key }) => decodeKey(key)[2] as string);
    const values = yield* read.getMany(names.map((name) => KEYS.bucket(name)));
    const buckets = values.flatMap((value) =>
      value === undefined ? [] : [toBucket(decode<BucketRecord>(value))],
    );
    return { buckets, truncated: found.length > query.max };
  });
}

export async function deleteBucket(core: Core, bucket: Bucket): Promise<void> {
  const { id, name, ownerId } = bucket;
  const row = KEYS.bucket(name);
  const empty: Check[] = [KEYS.currents, KEYS.markers, KEYS.noncurrents, KEYS.uploads].map((range) => ({
    empty: range(id),
  }));
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const value = await core.meta.get(row);
    if (value === undefined || decode<BucketRecord>(value).id !== id)
      throw new StoreError("NoSuchBucket", { BucketName: name });
    const deleted = await commit(core, {
      reclaims: true,
      checks: [{ key: row, value }, ...empty],
      writes: [
        { key: row, delete: true },
        { key: KEYS.bucketId(id), delete: true },
        { key: KEYS.bucketOwner(ownerId, name), delete: true },
        ...(["objects", "bytes", "oldVersions", "oldBytes"] as const).map((what) => ({
          key: KEYS.count(id, what),
          delete: true as const,
        })),
        { key: KEYS.epoch(), add: 1 },
      ],
    });
    if (deleted) return;
    if (await holdsSomething(core, id)) throw new StoreError("BucketNotEmpty", { BucketName: name });
  }
  throw new StoreError("SlowDown");
}

async function holdsSomething(core: Core, id: string): Promise<boolean> {
  for (const range of [KEYS.currents, KEYS.markers, KEYS.noncurrents, KEYS.uploads]) {
    if ((await core.meta.scan(range(id), { limit: 1 })).length > 0) return true;
  }
  return false;
}

export async function updateBucket(core: Core, bucket: Bucket, change: BucketChange): Promise<Bucket> {
  const row = KEYS.bucket(bucket.name);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const value = await core.meta.get(row);
    const record = value === undefined ? undefined : decode<BucketRecord>(value);
    if (value === undefined || record?.id !== bucket.id)
      throw new StoreError("NoSuchBucket", { BucketName: bucket.name });
    const changed: Bucket = { ...toBucket(record), ...change };
    const done = await commit(core, {
      checks: [{ key: row, value }],
      writes: [
        { key: row, value: encode(fromBucket(changed)) },
        { key: KEYS.epoch(), add: 1 },
      ],
    });
    if (done) return changed;
  }
  throw new StoreError("SlowDown");
}

export async function usage(core: Core, bucket: Bucket): Promise<BucketUsage> {
  return core.meta.snapshot(function* (read) {
    const objects = yield* read.sum(KEYS.count(bucket.id, "objects"));
    const bytes = yield* read.sum(KEYS.count(bucket.id, "bytes"));
    const oldVersions = yield* read.sum(KEYS.count(bucket.id, "oldVersions"));
    const oldBytes = yield* read.sum(KEYS.count(bucket.id, "oldBytes"));
    return { objects, bytes, versions: objects + oldVersions, versionBytes: bytes + oldBytes };
  });
}
