/** Objects and their versions: put, get, copy, update, delete. */
import { BlobMissing, type FileRange } from "../blob/blob.ts";
import type { ChecksumAlgorithm } from "../lib/hashes.ts";
import type { Key } from "../meta/meta.ts";
import { Change, mutate, newBodyId, randomId, type Attempt, type Core } from "./core.ts";
import { StoreError } from "./errors.ts";
import {
  drop,
  expectUnchanged,
  find,
  newestNoncurrent,
  nextSequence,
  pop,
  push,
  readHistory,
  rowKey,
  type History,
} from "./history.ts";
import { KEYS } from "./keys.ts";
import {
  decode,
  lastModifiedOf,
  packAcl,
  place,
  toVersion,
  type DetailRecord,
  type ManifestRecord,
  type Segment,
  type VersionRecord,
} from "./records.ts";
import { placeStaged, receive, whileCommitting } from "./staging.ts";
import type {
  Acl,
  Bucket,
  DeleteResult,
  ObjectMeta,
  ObjectVersion,
  PutInput,
  Staged,
  Tags,
  WriteConditions,
} from "./types.ts";

/** Manifest chunks that one read takes: 500 segments each, so far more than the largest object has. */
export const MANIFEST_CHUNKS_MAX = 10_000;

export async function putObject(
  core: Core,
  bucket: Bucket,
  input: PutInput,
  staged: Staged,
): Promise<ObjectVersion> {
  const small = staged.content.kind === "inline" && staged.size > 0;
  const bodyId = small ? await newBodyId(core) : undefined;
  return whileCommitting(staged, () =>
    write(core, bucket, input, { size: staged.size, etag: staged.md5 }, (change, record) =>
      placeStaged(core, change, record, staged, bodyId, {
        bucketId: bucket.id,
        key: input.key,
        sequence: record.s,
      }),
    ),
  );
}

/** Makes a version whose content `attach` puts into the record and the commit. */
export async function write(
  core: Core,
  bucket: Bucket,
  input: PutInput,
  what: { size: number; etag: string },
  attach: (change: Change, record: VersionRecord) => void,
): Promise<ObjectVersion> {
  return mutate(core, bucket.id, input.key, async (contended) => {
    const history = await core.meta.snapshot((reads) => readHistory(reads, bucket.id, input.key));
    checkConditions(input.conditions, history, contended);
    const change = new Change(bucket.id);
    const { record, detail } = buildVersion(core, change, bucket, input, what, history, attach);
    return { change, result: toVersion(bucket.id, input.key, record, true, detail, undefined) };
  });
}

/** The record of a new version, and all that its commit needs. */
export function buildVersion(
  core: Core,
  change: Change,
  bucket: Bucket,
  input: PutInput,
  what: { size: number; etag: string },
  history: History,
  attach: (change: Change, record: VersionRecord) => void,
): { record: VersionRecord; detail: DetailRecord | undefined } {
  const now = core.now();
  const sequence = nextSequence(history, now);
  const record: VersionRecord = { r: 1, s: sequence, o: input.ownerId, z: what.size, e: what.etag };
  if (bucket.versioning === "Enabled") record.i = versionIdFor(sequence);
  if (sequence !== now) record.t = now;
  if (input.storageClass !== "STANDARD") record.c = input.storageClass;
  if (input.checksum !== undefined) {
    const { algorithm, value, type } = input.checksum;
    record.k = [algorithm, value, type === "COMPOSITE" ? "C" : "F"];
  }
  expectUnchanged(change, history);
  attach(change, record);
  const row = KEYS.current(bucket.id, input.key);
  const detail = place(record, packRest(input.meta, input.acl, input.tags, input.ownerId), row.length);
  if (detail !== undefined) change.put(KEYS.detail(bucket.id, input.key, sequence), detail);
  push(core, change, history, record, now);
  return { record, detail };
}

const versionIdFor = (sequence: number): string => sequence.toString(16).padStart(12, "0") + randomId();

function packRest(meta: ObjectMeta, acl: Acl, tags: Tags, ownerId: string): Omit<DetailRecord, "r"> {
  const packed = packAcl(acl, ownerId);
  return {
    ...(Object.keys(meta).length === 0 ? {} : { h: meta }),
    ...(packed === undefined ? {} : { a: packed }),
    ...(tags.length === 0 ? {} : { g: tags }),
  };
}

/**
 * Preconditions of a write against what is there now. Whoever lost a race to another writer at the same moment is told
 * so; all others learn that the condition does not hold.
 */
export function checkConditions(
  conditions: WriteConditions | undefined,
  history: History,
  contended: boolean,
): void {
  if (conditions === undefined) return;
  const head = history.head?.x === 1 ? undefined : history.head;
  const fail = (condition: string): never => {
    throw contended
      ? new StoreError("ConditionalRequestConflict")
      : new StoreError("PreconditionFailed", { Condition: condition });
  };
  if (conditions.ifNoneMatch === "*" && head !== undefined) fail("If-None-Match");
  if (conditions.ifMatch !== undefined) {
    if (head === undefined) throw new StoreError("NoSuchKey", { Key: history.key });
    if (conditions.ifMatch !== "*" && conditions.ifMatch !== head.e) fail("If-Match");
  }
  if (conditions.ifMatchSize !== undefined && conditions.ifMatchSize !== head?.z) fail("x-amz-if-match-size");
  if (conditions.ifMatchLastModified !== undefined) {
    // HTTP dates have whole seconds.
    const modified = head === undefined ? undefined : Math.floor(lastModifiedOf(head) / 1000);
    if (modified !== Math.floor(conditions.ifMatchLastModified / 1000))
      fail("x-amz-if-match-last-modified-time");
  }
}

export async function getObject(
  core: Core,
  bucket: Bucket,
  key: string,
  options: { versionId?: string; withBody?: boolean } = {},
): Promise<{ version: ObjectVersion; body?: Buffer } | undefined> {
  return core.meta.snapshot(function* (reads) {
    const found = yield* find(reads, yield* readHistory(reads, bucket.id, key), options.versionId);
    if (found === undefined) {
      if (options.versionId === undefined) return undefined;
      throw new StoreError("NoSuchVersion", { Key: key, VersionId: options.versionId });
    }
    const { record, isLatest } = found;
    const detailValue = record.d === 1 ? yield* reads.get(KEYS.detail(bucket.id, key, record.s)) : undefined;
    const detail = detailValue === undefined ? undefined : decode<DetailRecord>(detailValue);
    const manifest =
      record.m === undefined
        ? undefined
        : (yield* reads.scan(KEYS.manifests(record.m), { limit: MANIFEST_CHUNKS_MAX })).map(
            ({ value }) => value,
          );
    const version = toVersion(bucket.id, key, record, isLatest, detail, manifest);
    if (options.withBody !== true || record.b === undefined) return { version };
    const body = yield* reads.getBody(record.b);
    return body === undefined ? { version } : { version, body };
  });
}

export async function copyObject(
  core: Core,
  source: ObjectVersion,
  bucket: Bucket,
  input: PutInput,
): Promise<ObjectVersion> {
  const { content } = source;
  const what = { size: source.size, etag: source.etag };
  if (content.kind === "none") return write(core, bucket, input, what, () => undefined);
  if (content.kind === "inline") {
    const bytes = await core.meta.getBody(content.bodyId);
    // Replaced since it was looked up: whoever tries again copies its successor.
    if (bytes === undefined) throw new StoreError("SlowDown");
    const bodyId = await newBodyId(core);
    return write(core, bucket, input, what, (change, record) => {
      record.b = bodyId;
      change.putBody(bodyId, bytes);
    });
  }
  const shared = content.kind === "blob" ? content.blobId : content.manifestId;
  const held = KEYS.reference(shared, {
    bucketId: source.bucketId,
    key: source.key,
    sequence: content.sequence,
  });
  const share = () =>
    write(core, bucket, input, what, (change, record) => {
      // A range of references that was once empty stays empty (store rule 3.2).
      change.checks.push({ key: held, present: true });
      change.refer(shared, { bucketId: bucket.id, key: input.key, sequence: record.s });
      if (content.kind === "blob") record.f = shared;
      else record.m = shared;
    });
  return (await whileHeld(core, held, share)) ?? copyBytes(core, source, bucket, input);
}

/**
 * What `share` gives, whose commits check that the reference `held` is there; undefined when the source has let go of it.
 * A key that is overwritten all the time would else look as if it were missing.
 */
export async function whileHeld<T>(core: Core, held: Key, share: () => Promise<T>): Promise<T | undefined> {
  const isHeld = async () => (await core.meta.get(held)) !== undefined;
  if (!(await isHeld())) return undefined;
  try {
    return await share();
  } catch (error) {
    // It went while we tried: that is what the sixteen failures were.
    if (error instanceof StoreError && error.code === "SlowDown" && !(await isHeld())) return undefined;
    throw error;
  }
}

/** The bytes of a version that nothing holds any more; its blobs stay for the grace period. */
async function copyBytes(
  core: Core,
  source: ObjectVersion,
  bucket: Bucket,
  input: PutInput,
): Promise<ObjectVersion> {
  if ((await core.meta.get(KEYS.current(source.bucketId, source.key))) === undefined)
    throw new StoreError("NoSuchKey", { Key: source.key });
  const staged = await receiveCopy(core, source, 0, source.size, []);
  try {
    const bodyId = staged.content.kind === "inline" ? await newBodyId(core) : undefined;
    return await whileCommitting(staged, () =>
      write(core, bucket, input, { size: source.size, etag: source.etag }, (change, record) =>
        placeStaged(core, change, record, staged, bodyId, {
          bucketId: bucket.id,
          key: input.key,
          sequence: record.s,
        }),
      ),
    );
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

/** A range of a version as bytes of its own. @throws SlowDown when they went while they were read */
export async function receiveCopy(
  core: Core,
  source: ObjectVersion,
  start: number,
  end: number,
  checksums: readonly ChecksumAlgorithm[],
): Promise<Staged> {
  const size = end - start;
  try {
    return await receive(core, copyChunks(read(core, source, start, end)), {
      size,
      maxSize: size,
      checksums,
    });
  } catch (error) {
    const isGone =
      error instanceof BlobMissing || (error instanceof StoreError && error.code === "NoSuchKey");
    throw isGone ? new StoreError("SlowDown") : error;
  }
}

/** A reader's chunks are its own memory (see BlobReader); a writer keeps what it is given. */
async function* copyChunks(source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  for await (const chunk of source) yield Buffer.from(chunk);
}

export async function updateObject(
  core: Core,
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
  update: { acl?: Acl; tags?: Tags },
): Promise<ObjectVersion> {
  return mutate(core, bucket.id, key, async () => {
    const state = await core.meta.snapshot(function* (reads) {
      const history = yield* readHistory(reads, bucket.id, key);
      const found = yield* find(reads, history, versionId);
      const detail =
        found?.record.d === 1 ? yield* reads.get(KEYS.detail(bucket.id, key, found.record.s)) : undefined;
      return { history, found, detail };
    });
    if (state.found === undefined) {
      throw versionId === undefined
        ? new StoreError("NoSuchKey", { Key: key })
        : new StoreError("NoSuchVersion", { Key: key, VersionId: versionId });
    }
    const { record: old, isLatest } = state.found;
    if (old.x === 1) throw new StoreError("MethodNotAllowed", { ResourceType: "DeleteMarker" });
    const rest: DetailRecord | VersionRecord =
      state.detail === undefined ? old : decode<DetailRecord>(state.detail);
    const { d: _detail, h: _meta, a: _acl, g: _tags, ...record } = old;
    const packed = update.acl === undefined ? rest.a : packAcl(update.acl, old.o);
    const tags = update.tags ?? rest.g ?? [];
    const change = new Change(bucket.id);
    expectUnchanged(change, state.history);
    const row = isLatest ? KEYS.current(bucket.id, key) : KEYS.noncurrent(bucket.id, key, old.s);
    const detail = place(
      record,
      {
        ...(rest.h === undefined ? {} : { h: rest.h }),
        ...(packed === undefined ? {} : { a: packed }),
        ...(tags.length === 0 ? {} : { g: tags }),
      },
      row.length,
    );
    if (detail !== undefined) change.put(KEYS.detail(bucket.id, key, old.s), detail);
    else if (old.d === 1) change.delete(KEYS.detail(bucket.id, key, old.s));
    change.put(row, record);
    if (!isLatest) touchHead(change, state.history);
    return { change, result: toVersion(bucket.id, key, record, isLatest, detail, undefined) };
  });
}

/** The head changes with every mutation of the key's history. */
function touchHead(change: Change, history: History): void {
  const head = history.head!;
  change.put(rowKey(history.bucketId, history.key, head), { ...head, q: (head.q ?? 0) + 1 });
}

export async function deleteObject(
  core: Core,
  bucket: Bucket,
  key: string,
  options: { versionId?: string; ownerId?: string; conditions?: WriteConditions } = {},
): Promise<DeleteResult> {
  return options.versionId === undefined
    ? deleteCurrent(core, bucket, key, options)
    : deleteVersion(core, bucket, key, options.versionId, options.conditions);
}

async function deleteCurrent(
  core: Core,
  bucket: Bucket,
  key: string,
  options: { ownerId?: string; conditions?: WriteConditions },
): Promise<DeleteResult> {
  return mutate(core, bucket.id, key, async (contended): Promise<Attempt<DeleteResult>> => {
    const { history, next } = await core.meta.snapshot(function* (reads) {
      const found = yield* readHistory(reads, bucket.id, key);
      const older = bucket.versioning === "Off" ? yield* newestNoncurrent(reads, bucket.id, key) : undefined;
      return { history: found, next: older };
    });
    checkConditions(options.conditions, history, contended);
    const { head } = history;
    const change = new Change(bucket.id);
    change.reclaims = true;
    expectUnchanged(change, history);
    const now = core.now();
    // A bucket that has never had versions; its record may be older than the moment it got some.
    if (bucket.versioning === "Off" && next === undefined && head?.i === undefined) {
      if (head === undefined) return { result: { deleteMarker: false } };
      pop(core, change, history, undefined, now);
      return { change, result: { deleteMarker: false } };
    }
    const sequence = nextSequence(history, now);
    const marker: VersionRecord = { r: 1, s: sequence, x: 1, o: options.ownerId ?? bucket.ownerId };
    if (bucket.versioning === "Enabled") marker.i = versionIdFor(sequence);
    if (sequence !== now) marker.t = now;
    push(core, change, history, marker, now);
    return { change, result: { versionId: marker.i ?? "null", deleteMarker: true } };
  });
}

async function deleteVersion(
  core: Core,
  bucket: Bucket,
  key: string,
  versionId: string,
  conditions: WriteConditions | undefined,
): Promise<DeleteResult> {
  return mutate(core, bucket.id, key, async (contended) => {
    const state = await core.meta.snapshot(function* (reads) {
      const history = yield* readHistory(reads, bucket.id, key);
      const found = yield* find(reads, history, versionId);
      const next = found?.isLatest === true ? yield* newestNoncurrent(reads, bucket.id, key) : undefined;
      return { history, found, next };
    });
    const { history, found, next } = state;
    if (conditions !== undefined) {
      const judged =
        found === undefined ? { ...history, head: undefined } : { ...history, head: found.record };
      checkConditions(conditions, judged, contended);
    }
    if (found === undefined) return { result: { versionId, deleteMarker: false } };
    const change = new Change(bucket.id);
    change.reclaims = true;
    expectUnchanged(change, history);
    if (found.isLatest) pop(core, change, history, next, core.now());
    else drop(core, change, history, found.record, core.now());
    return { change, result: { versionId, deleteMarker: found.record.x === 1 } };
  });
}

/** Bytes start (inclusive) to end (exclusive) of a version; see ObjectStore.read. */
export function read(core: Core, version: ObjectVersion, start: number, end: number): AsyncIterable<Buffer> {
  const { content } = version;
  if (content.kind === "none") return nothing();
  if (content.kind === "inline") return readInline(core, version, content.bodyId, start, end);
  if (content.kind === "blob") return core.blobs.read(content.blobId, start, end);
  return readManifest(core, version, content.manifestId, start, end);
}

/** Where all bytes of a version are; see ObjectStore.files. */
export async function files(core: Core, { content, size }: ObjectVersion): Promise<FileRange[] | undefined> {
  const segments: readonly (readonly [blobId: string, offset: number, length: number, ...unknown[]])[] =
    content.kind === "blob"
      ? [[content.blobId, 0, size]]
      : content.kind === "manifest"
        ? await segmentsOf(core, content.manifestId)
        : [];
  const ranges: FileRange[] = [];
  for (const [blobId, offset, length] of segments) {
    const path = core.blobs.pathOf(blobId);
    if (path === undefined) return undefined;
    ranges.push({ path, start: offset, end: offset + length });
  }
  return ranges.length === 0 ? undefined : ranges;
}

// eslint-disable-next-line no-empty-function
async function* nothing(): AsyncIterable<Buffer> {}

async function* readInline(
  core: Core,
  version: ObjectVersion,
  bodyId: number,
  start: number,
  end: number,
): AsyncIterable<Buffer> {
  const body = await core.meta.getBody(bodyId);
  if (body === undefined) throw replaced(version);
  yield body.subarray(start, end);
}

const replaced = (version: ObjectVersion): StoreError =>
  new StoreError("NoSuchKey", { Key: version.key }, "The object was replaced while it was read.");

async function* readManifest(
  core: Core,
  version: ObjectVersion,
  manifestId: string,
  start: number,
  end: number,
): AsyncIterable<Buffer> {
  let at = 0;
  for (const [blobId, offset, length] of await segmentsOf(core, manifestId)) {
    const from = Math.max(start - at, 0);
    const to = Math.min(end - at, length);
    if (from < to) yield* core.blobs.read(blobId, offset + from, offset + to);
    at += length;
    if (at >= end) return;
  }
  // Swept: the grace period was over before the read began. Ending here would make a copy of fewer bytes.
  if (at < end) throw replaced(version);
}

/** All segments of a manifest, in the object's order. */
export async function segmentsOf(core: Core, manifestId: string): Promise<Segment[]> {
  const chunks = await core.meta.scan(KEYS.manifests(manifestId), { limit: MANIFEST_CHUNKS_MAX });
  return chunks.flatMap(({ value }) => decode<ManifestRecord>(value).segments);
}
