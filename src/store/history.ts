/**
 * The versions of one key: its head, what is noncurrent, and how a new version or a removal changes them. Each key with
 * a history has exactly one head, the current row or a row among the delete markers; it holds the key's last sequence and
 * the null version's, and every mutation checks and rewrites it (store rule 4).
 */
import type { Key, SnapshotReads } from "../meta/meta.ts";
import { decodeKey } from "../meta/tuple.ts";
import { timeOfId, type Change, type Core } from "./core.ts";
import { StoreError } from "./errors.ts";
import { KEYS } from "./keys.ts";
import { decode, lastSequenceOf, type VersionRecord } from "./records.ts";

export interface History {
  readonly bucketId: string;
  readonly key: string;
  /** The head, and the bytes that the commit must still find. */
  readonly head: VersionRecord | undefined;
  readonly currentValue: Buffer | undefined;
  readonly markerValue: Buffer | undefined;
  /** The null version, when it is noncurrent. */
  readonly oldNull: VersionRecord | undefined;
}

export function* readHistory(
  read: SnapshotReads,
  bucketId: string,
  key: string,
): Generator<unknown, History, unknown> {
  const currentValue = yield* read.get(KEYS.current(bucketId, key));
  // A key has one head: where there is a current version, there is no marker.
  const markerValue = currentValue === undefined ? yield* read.get(KEYS.marker(bucketId, key)) : undefined;
  const value = currentValue ?? markerValue;
  const head = value === undefined ? undefined : decode<VersionRecord>(value);
  const oldNullValue =
    head?.n === undefined ? undefined : yield* read.get(KEYS.noncurrent(bucketId, key, head.n));
  const oldNull = oldNullValue === undefined ? undefined : decode<VersionRecord>(oldNullValue);
  return { bucketId, key, head, currentValue, markerValue, oldNull };
}

/** The commit fails if anybody has touched the key since. */
export function expectUnchanged(change: Change, history: History): void {
  change.expect(KEYS.current(history.bucketId, history.key), history.currentValue);
  change.expect(KEYS.marker(history.bucketId, history.key), history.markerValue);
}

/** Rises for each key, whatever the clock does. */
export function nextSequence(history: History, now: number): number {
  return history.head === undefined ? now : Math.max(now, lastSequenceOf(history.head) + 1);
}

export const rowKey = (bucketId: string, key: string, record: VersionRecord): Key =>
  record.x === 1 ? KEYS.marker(bucketId, key) : KEYS.current(bucketId, key);

/**
 * Makes `record` the head. A null version replaces the null version; all else that was current becomes noncurrent.
 * The record's own content must be in the commit already.
 */
export function push(core: Core, change: Change, history: History, record: VersionRecord, now: number): void {
  const { bucketId, key, head, oldNull } = history;
  const isNull = record.i === undefined;
  if (head !== undefined) {
    if (isNull && head.i === undefined) removeContent(core, change, bucketId, key, head, now, true);
    else retire(change, bucketId, key, head);
    if ((head.x ?? 0) !== (record.x ?? 0)) change.delete(rowKey(bucketId, key, head));
    if (!isNull) setOptional(record, head.i === undefined ? head.s : head.n);
  }
  if (isNull && oldNull !== undefined) removeNoncurrent(core, change, bucketId, key, oldNull, now);
  change.put(rowKey(bucketId, key, record), record);
  if (record.x !== 1) {
    change.count("objects", 1);
    change.count("bytes", record.z ?? 0);
  }
}
function setOptional(record: VersionRecord, nullSequence: number | undefined): void {
  if (nullSequence !== undefined) record.n = nullSequence;
}

/** The head becomes a noncurrent row; its own row is the caller's. */
function retire(change: Change, bucketId: string, key: string, head: VersionRecord): void {
  const { n: _null, l: _last, q: _mutations, ...record } = head;
  change.put(KEYS.noncurrent(bucketId, key, head.s), record);
  if (head.x === 1) return;
  change.count("objects", -1);
  change.count("bytes", -(head.z ?? 0));
  change.count("oldVersions", 1);
  change.count("oldBytes", head.z ?? 0);
}

function removeNoncurrent(
  core: Core,
  change: Change,
  bucketId: string,
  key: string,
  record: VersionRecord,
  now: number,
): void {
  change.delete(KEYS.noncurrent(bucketId, key, record.s));
  removeContent(core, change, bucketId, key, record, now, false);
}

/** Detail, bytes and counts of a version whose row goes. */
function removeContent(
  core: Core,
  change: Change,
  bucketId: string,
  key: string,
  record: VersionRecord,
  now: number,
  current: boolean,
): void {
  const owner = { bucketId, key, sequence: record.s };
  const due = now + core.graceMs;
  if (record.d === 1) change.delete(KEYS.detail(bucketId, key, record.s));
  if (record.b !== undefined) change.deleteBody(record.b);
  if (record.f !== undefined) change.release(record.f, owner, "blob", due);
  if (record.m !== undefined) change.release(record.m, owner, "manifest", due);
  if (record.x === 1) return;
  change.count(current ? "objects" : "oldVersions", -1);
  change.count(current ? "bytes" : "oldBytes", -(record.z ?? 0));
}

/**
 * Removes the head and makes the next older version current, if there is one. `next` is the newest noncurrent row, and
 * `nextValue` what the commit must still find there.
 */
export function pop(
  core: Core,
  change: Change,
  history: History,
  next: VersionRecord | undefined,
  now: number,
): void {
  const { bucketId, key } = history;
  const head = history.head!;
  change.delete(rowKey(bucketId, key, head));
  removeContent(core, change, bucketId, key, head, now, true);
  if (next === undefined) return;
  change.delete(KEYS.noncurrent(bucketId, key, next.s));
  const record: VersionRecord = { ...next, l: lastSequenceOf(head) };
  if (next.i !== undefined) setOptional(record, head.n);
  change.put(rowKey(bucketId, key, next), record);
  if (next.x === 1) return;
  change.count("objects", 1);
  change.count("bytes", next.z ?? 0);
  change.count("oldVersions", -1);
  change.count("oldBytes", -(next.z ?? 0));
}

/** Removes a noncurrent version; the head is rewritten so that whoever read the history before must read it again. */
export function drop(core: Core, change: Change, history: History, record: VersionRecord, now: number): void {
  const { bucketId, key } = history;
  const head = history.head!;
  removeNoncurrent(core, change, bucketId, key, record, now);
  const { n, ...rest } = head;
  const rewritten: VersionRecord = { ...rest, q: (head.q ?? 0) + 1 };
  if (record.i !== undefined) setOptional(rewritten, n);
  change.put(rowKey(bucketId, key, head), rewritten);
}

/** A version of a key, found by its id. */
export interface Found {
  record: VersionRecord;
  isLatest: boolean;
}

/**
 * The version that a version id names; without one the head. Undefined: there is none.
 * @throws InvalidArgument when the id has no form that was ever given
 */
export function* find(
  read: SnapshotReads,
  history: History,
  versionId: string | undefined,
): Generator<unknown, Found | undefined, unknown> {
  const { head, bucketId, key } = history;
  const sequence =
    versionId === undefined || versionId === "null" ? undefined : sequenceOfVersionId(versionId);
  if (head === undefined) return undefined;
  if (versionId === undefined) return { record: head, isLatest: true };
  if (versionId === "null") {
    if (head.i === undefined) return { record: head, isLatest: true };
    return history.oldNull === undefined ? undefined : { record: history.oldNull, isLatest: false };
  }
  if (head.i === versionId) return { record: head, isLatest: true };
  const value = yield* read.get(KEYS.noncurrent(bucketId, key, sequence!));
  const record = value === undefined ? undefined : decode<VersionRecord>(value);
  return record?.i === versionId ? { record, isLatest: false } : undefined;
}

/** @throws InvalidArgument */
export function sequenceOfVersionId(versionId: string): number {
  const sequence = timeOfId(versionId);
  if (sequence === undefined) {
    const detail = { ArgumentName: "versionId", ArgumentValue: versionId };
    throw new StoreError("InvalidArgument", detail, "Invalid version id specified");
  }
  return sequence;
}

/** The newest noncurrent version of a key. */
export function* newestNoncurrent(
  read: SnapshotReads,
  bucketId: string,
  key: string,
): Generator<unknown, VersionRecord | undefined, unknown> {
  const [entry] = yield* read.scan(KEYS.noncurrentsOf(bucketId, key), { limit: 1 });
  return entry === undefined ? undefined : decode<VersionRecord>(entry.value);
}

/** The S3 key in a row of ["o" | "m" | "v" | "upload", bucket id, key, …]. */
export const objectKeyOf = (row: Key): string => decodeKey(row)[2] as string;
