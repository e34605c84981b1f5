/**
 * `windlass check`: every record against the bytes it names. What other processes change meanwhile is looked at twice
 * before it is called wrong.
 */
import { createHash } from "node:crypto";
import type { Entry, Key, KeyRange } from "../meta/meta.ts";
import { decodeKey, keyAfter } from "../meta/tuple.ts";
import type { Core } from "./core.ts";
import { objectKeyOf } from "./history.ts";
import { KEYS, type Counter } from "./keys.ts";
import {
  decode,
  type BlobRecord,
  type BucketRecord,
  type ManifestRecord,
  type VersionRecord,
} from "./records.ts";

export interface CheckReport {
  buckets: number;
  /** Versions, delete markers included. */
  versions: number;
  blobs: number;
  /** Bytes read and hashed. */
  bytes: number;
  /** Files that no record names: left by interrupted uploads, removed by the sweeper. No fault. */
  garbage: number;
  /** At most PROBLEMS_MAX sentences; none: all is well. */
  problems: string[];
}

/** Rows of one read, and sentences of one report. */
const PAGE = 500;
const PROBLEMS_MAX = 1000;

export async function checkStore(core: Core): Promise<CheckReport> {
  const report: CheckReport = { buckets: 0, versions: 0, blobs: 0, bytes: 0, garbage: 0, problems: [] };
  for await (const { value } of pages(core, KEYS.buckets())) {
    report.buckets++;
    await checkBucket(core, report, decode<BucketRecord>(value));
  }
  for await (const { key, value } of pages(core, KEYS.blobs())) {
    report.blobs++;
    await checkBlob(core, report, key, decode<BlobRecord>(value));
  }
  report.garbage = await countGarbage(core);
  return report;
}

function blame(report: CheckReport, problem: string): void {
  if (report.problems.length < PROBLEMS_MAX) report.problems.push(problem);
}

async function* pages(core: Core, range: KeyRange): AsyncIterable<Entry> {
  for (let start: Key = range.start; ;) {
    const entries = await core.meta.scan({ start, end: range.end }, { limit: PAGE });
    yield* entries;
    if (entries.length < PAGE) return;
    start = keyAfter(entries.at(-1)!.key);
  }
}

async function checkBucket(core: Core, report: CheckReport, bucket: BucketRecord): Promise<void> {
  for (const range of [KEYS.currents(bucket.id), KEYS.markers(bucket.id), KEYS.noncurrents(bucket.id)]) {
    for await (const entry of pages(core, range)) {
      report.versions++;
      const problem = await checkVersion(core, report, bucket, entry);
      if (problem === undefined) continue;
      const now = await core.meta.get(entry.key);
      if (now?.equals(entry.value) === true)
        blame(report, `${bucket.name}/${objectKeyOf(entry.key)}: ${problem}`);
    }
  }
  await checkCounters(core, report, bucket);
}

async function checkVersion(
  core: Core,
  report: CheckReport,
  bucket: BucketRecord,
  entry: Entry,
): Promise<string | undefined> {
  const record = decode<VersionRecord>(entry.value);
  if (record.x === 1) return undefined;
  const owner = { bucketId: bucket.id, key: objectKeyOf(entry.key), sequence: record.s };
  if (record.d === 1 && (await core.meta.get(KEYS.detail(bucket.id, owner.key, record.s))) === undefined) {
    return "its detail record is missing";
  }
  if (record.b !== undefined) {
    const body = await core.meta.getBody(record.b);
    if (body === undefined) return "its body is missing";
    report.bytes += body.length;
    if (body.length !== record.z) return `its body has ${body.length} bytes instead of ${record.z}`;
    const md5 = createHash("md5").update(body).digest("hex");
    return md5 === record.e || record.e?.includes("-") === true
      ? undefined
      : `its body hashes to ${md5}, its ETag is ${record.e}`;
  }
  const shared = record.f ?? record.m;
  if (shared === undefined) return record.z === 0 ? undefined : "it names no bytes";
  if ((await core.meta.get(KEYS.reference(shared, owner))) === undefined)
    return `its reference to ${shared} is missing`;
  return record.f === undefined
    ? checkManifest(core, shared, record.z ?? 0)
    : checkNamed(core, shared, record.z ?? 0);
}

async function checkNamed(core: Core, blobId: string, size: number): Promise<string | undefined> {
  const value = await core.meta.get(KEYS.blob(blobId));
  if (value === undefined) return `the record of its blob ${blobId} is missing`;
  const { z } = decode<BlobRecord>(value);
  return z === size ? undefined : `its blob ${blobId} has ${z} bytes instead of ${size}`;
}

async function checkManifest(core: Core, id: string, size: number): Promise<string | undefined> {
  let total = 0;
  for await (const { value } of pages(core, KEYS.manifests(id))) {
    const { segments } = decode<ManifestRecord>(value);
    const keys = segments.flatMap(([blobId, , , partNumber]) => [
      KEYS.blob(blobId),
      KEYS.reference(blobId, { uploadId: id, partNumber }),
    ]);
    const found = await core.meta.getMany(keys);
    for (const [n, [blobId, offset, length]] of segments.entries()) {
      const blob = found[n * 2];
      if (blob === undefined) return `the record of its blob ${blobId} is missing`;
      if (found[n * 2 + 1] === undefined) return `the manifest's reference to ${blobId} is missing`;
      if (offset + length > decode<BlobRecord>(blob).z) return `a segment lies outside of its blob ${blobId}`;
      total += length;
    }
  }
  return total === size ? undefined : `its segments have ${total} bytes instead of ${size}`;
}

async function checkBlob(core: Core, report: CheckReport, row: Key, record: BlobRecord): Promise<void> {
  const id = decodeKey(row)[1] as string;
  const problem = await blobProblem(core, report, id, record);
  if (problem === undefined) return;
  // What nothing refers to is the sweeper's: it may have taken the file already, and backups leave it out.
  const isReferred = (await core.meta.scan(KEYS.references(id), { limit: 1 })).length > 0;
  if (isReferred) blame(report, `blob ${id}: ${problem}`);
}

async function blobProblem(
  core: Core,
  report: CheckReport,
  id: string,
  record: BlobRecord,
): Promise<string | undefined> {
  const size = await core.blobs.size(id);
  if (size === undefined) return "its file is missing";
  if (size !== record.z) return `its file has ${size} bytes instead of ${record.z}`;
  const hash = createHash("md5");
  try {
    for await (const chunk of core.blobs.read(id, 0, size)) {
      hash.update(chunk);
      report.bytes += chunk.length;
    }
  } catch (error) {
    return `its file can't be read: ${String(error)}`;
  }
  const md5 = hash.digest("hex");
  return md5 === record.h ? undefined : `its file hashes to ${md5} instead of ${record.h}`;
}

/** The counters against a full count of the same moment. */
async function checkCounters(core: Core, report: CheckReport, bucket: BucketRecord): Promise<void> {
  const wrong = await core.meta.snapshot(function* (read) {
    const counted: Record<Counter, number> = { objects: 0, bytes: 0, oldVersions: 0, oldBytes: 0 };
    for (const isCurrent of [true, false]) {
      const range = isCurrent ? KEYS.currents(bucket.id) : KEYS.noncurrents(bucket.id);
      for (let start: Key = range.start; ;) {
        const entries = yield* read.scan({ start, end: range.end }, { limit: PAGE });
        for (const { value } of entries) {
          const record = decode<VersionRecord>(value);
          if (record.x === 1) continue;
          counted[isCurrent ? "objects" : "oldVersions"]++;
          counted[isCurrent ? "bytes" : "oldBytes"] += record.z ?? 0;
        }
        if (entries.length < PAGE) break;
        start = keyAfter(entries.at(-1)!.key);
      }
    }
    const problems: string[] = [];
    if ((yield* read.get(KEYS.bucketId(bucket.id))) === undefined) return problems;
    for (const what of ["objects", "bytes", "oldVersions", "oldBytes"] as const) {
      const kept = yield* read.sum(KEYS.count(bucket.id, what));
      if (kept !== counted[what])
        problems.push(`${bucket.name}: the counter ${what} says ${kept}, a count ${counted[what]}`);
    }
    return problems;
  });
  for (const problem of wrong) blame(report, problem);
}

async function countGarbage(core: Core): Promise<number> {
  let garbage = 0;
  for (const incarnation of await core.blobs.incarnations()) {
    for await (const id of core.blobs.list(incarnation)) {
      if ((await core.meta.get(KEYS.blob(id))) === undefined) garbage++;
    }
  }
  return garbage;
}
