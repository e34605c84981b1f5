/** Listings: sorted ranges read page by page, rolled up at a delimiter by seeking past each common prefix. */
import type { Entry, Key, KeyRange, SnapshotReads } from "../meta/meta.ts";
import { decodeKey, keyAfter, tupleRange } from "../meta/tuple.ts";
import { timeOfId, type Core } from "./core.ts";
import { objectKeyOf, readHistory, sequenceOfVersionId } from "./history.ts";
import { KEYS } from "./keys.ts";
import {
  checksumOf,
  decode,
  lastModifiedOf,
  versionIdOf,
  type UploadRecord,
  type VersionRecord,
} from "./records.ts";
import type {
  Bucket,
  ListedObject,
  ListPage,
  ListQuery,
  Upload,
  UploadsPage,
  VersionsPage,
} from "./types.ts";

/** Rows that a seek reads at first: the next one rolls up too, more often than not. */
const ROWS_AFTER_SEEK = 1;
/** Rows of one scan, so that a page of a thousand is one. */
const ROWS_MAX = 1001;

type Tag = "o" | "m" | "v" | "upload";
const PREFIXED: Record<Tag, (bucketId: string, prefix: string) => KeyRange> = {
  o: KEYS.currentsWith,
  m: KEYS.markersWith,
  v: KEYS.noncurrentsWith,
  upload: KEYS.uploadsWith,
};

interface Source {
  readonly tag: Tag;
  range: KeyRange;
  entries: Entry[];
  at: number;
  /** Nothing is left behind `entries`. */
  done: boolean;
}

/** Rows of several ranges of one bucket as one sequence in the order of key, then head before history. */
class Cursor {
  readonly #bucketId: string;
  readonly #sources: Source[];
  /** Bytes before the S3 key in each row; the same for the tags that are merged. */
  readonly #offset: number;
  #limit: number;

  constructor(bucketId: string, ranges: { tag: Tag; range: KeyRange }[], expected: number) {
    this.#bucketId = bucketId;
    this.#sources = ranges.map(({ tag, range }) => ({ tag, range, entries: [], at: 0, done: false }));
    this.#offset = tupleRange([ranges[0]!.tag, bucketId]).start.length;
    this.#limit = Math.min(expected + 1, ROWS_MAX);
  }

  /** The next row, which stays until `advance` or `seekPast`. */
  *peek(read: SnapshotReads): Generator<unknown, { entry: Entry; source: Source } | undefined, unknown> {
    let best: { entry: Entry; source: Source } | undefined;
    for (const source of this.#sources) {
      if (source.at === source.entries.length && !source.done) yield* this.#fill(read, source);
      const entry = source.entries[source.at];
      if (entry === undefined) continue;
      if (best === undefined || this.#isBefore(entry.key, best.entry.key)) best = { entry, source };
    }
    return best;
  }
  #isBefore(a: Key, b: Key): boolean {
    return a.compare(b, this.#offset, b.length, this.#offset, a.length) < 0;
  }
  *#fill(read: SnapshotReads, source: Source): Generator<unknown, void, unknown> {
    const last = source.entries.at(-1);
    const start = last === undefined ? source.range.start : keyAfter(last.key);
    source.entries = yield* read.scan({ start, end: source.range.end }, { limit: this.#limit });
    source.at = 0;
    source.done = source.entries.length < this.#limit;
    this.#limit = Math.min(this.#limit * 4, ROWS_MAX);
  }

  advance(source: Source): void {
    source.at++;
  }

  /** Leaves out every key that begins with `prefix`, without reading them. */
  seekPast(prefix: string): void {
    for (const source of this.#sources) {
      const { end } = PREFIXED[source.tag](this.#bucketId, prefix);
      while (source.at < source.entries.length && source.entries[source.at]!.key.compare(end) < 0)
        source.at++;
      if (source.at < source.entries.length || source.done) continue;
      source.range = { start: end, end: source.range.end };
      source.entries = [];
      source.at = 0;
      source.done = end.compare(source.range.end) >= 0;
      this.#limit = ROWS_AFTER_SEEK;
    }
  }
}

interface Page<T> {
  rows: T[];
  commonPrefixes: string[];
  truncated: boolean;
  /** The last row given, unless a common prefix came after it. */
  lastRow: T | undefined;
  /** The last key or common prefix given. */
  last: string;
}

/** At most `max` rows and common prefixes together, in order. */
function* page<T>(
  read: SnapshotReads,
  cursor: Cursor,
  query: { prefix: string; delimiter: string; max: number },
  toRow: (key: string, entry: Entry, tag: Tag) => T,
): Generator<unknown, Page<T>, unknown> {
  const { prefix, delimiter, max } = query;
  const result: Page<T> = { rows: [], commonPrefixes: [], truncated: false, lastRow: undefined, last: "" };
  if (max === 0) return result;
  for (;;) {
    const next = yield* cursor.peek(read);
    if (next === undefined) return result;
    if (result.rows.length + result.commonPrefixes.length === max) {
      result.truncated = true;
      return result;
    }
    const key = objectKeyOf(next.entry.key);
    const end = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    if (end === -1) {
      result.lastRow = toRow(key, next.entry, next.source.tag);
      result.rows.push(result.lastRow);
      result.last = key;
      cursor.advance(next.source);
    } else {
      result.last = key.slice(0, end + delimiter.length);
      result.lastRow = undefined;
      result.commonPrefixes.push(result.last);
      cursor.seekPast(result.last);
    }
  }
}

/** No key is longer; a client may send a marker of kilobytes, which no row's key could hold. */
const KEY_BYTES_MAX = 1024;

/** Just behind the rows of an S3 key. */
function behind(tag: Tag, bucketId: string, key: string): Key {
  return Buffer.byteLength(key) > KEY_BYTES_MAX
    ? PREFIXED[tag](bucketId, key).start
    : tupleRange([tag, bucketId, key]).end;
}

/** Where a listing goes on after a key: behind its whole common prefix, if it lies in one. */
function startAfter(
  tag: Tag,
  bucketId: string,
  query: { prefix: string; delimiter: string; after: string },
  exact: Key,
): Key {
  const { prefix, delimiter, after } = query;
  if (delimiter !== "" && after.startsWith(prefix)) {
    const end = after.indexOf(delimiter, prefix.length);
    if (end !== -1) return PREFIXED[tag](bucketId, after.slice(0, end + delimiter.length)).end;
  }
  return exact;
}

function from(range: KeyRange, start: Key): KeyRange {
  return start.compare(range.start) > 0 ? { start, end: range.end } : range;
}

export async function listObjects(core: Core, bucket: Bucket, query: ListQuery): Promise<ListPage> {
  let range = KEYS.currentsWith(bucket.id, query.prefix);
  if (query.after !== "") {
    range = from(range, startAfter("o", bucket.id, query, behind("o", bucket.id, query.after)));
  }
  const cursor = new Cursor(bucket.id, [{ tag: "o", range }], query.maxKeys);
  const found = await core.meta.snapshot((read) =>
    page(read, cursor, { ...query, max: query.maxKeys }, (key, entry) =>
      toListed(key, decode<VersionRecord>(entry.value), true),
    ),
  );
  const { rows, commonPrefixes, truncated, last } = found;
  return { objects: rows, commonPrefixes, truncated, next: last };
}

function toListed(key: string, record: VersionRecord, isLatest: boolean): ListedObject {
  const listed: ListedObject = {
    key,
    versionId: versionIdOf(record),
    isLatest,
    deleteMarker: record.x === 1,
    lastModified: lastModifiedOf(record),
    etag: record.e ?? "",
    size: record.z ?? 0,
    storageClass: record.c ?? "STANDARD",
    ownerId: record.o,
  };
  const checksum = checksumOf(record);
  if (checksum !== undefined) listed.checksum = { algorithm: checksum.algorithm, type: checksum.type };
  return listed;
}

export async function listVersions(
  core: Core,
  bucket: Bucket,
  query: ListQuery & { afterVersionId: string },
): Promise<VersionsPage> {
  const { id } = bucket;
  if (query.afterVersionId !== "" && query.afterVersionId !== "null")
    sequenceOfVersionId(query.afterVersionId);
  const found = await core.meta.snapshot(function* (read) {
    const ranges = {
      o: KEYS.currentsWith(id, query.prefix),
      m: KEYS.markersWith(id, query.prefix),
      v: KEYS.noncurrentsWith(id, query.prefix),
    };
    if (query.after !== "") {
      const old = yield* olderThan(read, id, query.after, query.afterVersionId);
      ranges.o = from(ranges.o, startAfter("o", id, query, behind("o", id, query.after)));
      ranges.m = from(ranges.m, startAfter("m", id, query, behind("m", id, query.after)));
      ranges.v = from(ranges.v, query.afterVersionId === "" ? startAfter("v", id, query, old) : old);
    }
    const sources = (["o", "m", "v"] as const).map((tag) => ({ tag, range: ranges[tag] }));
    const cursor = new Cursor(id, sources, query.maxKeys);
    return yield* page(read, cursor, { ...query, max: query.maxKeys }, (key, entry, tag) =>
      toListed(key, decode<VersionRecord>(entry.value), tag !== "v"),
    );
  });
  return {
    objects: found.rows,
    commonPrefixes: found.commonPrefixes,
    truncated: found.truncated,
    next: found.last,
    nextVersionId: found.lastRow?.versionId ?? "",
  };
}

/** Where the noncurrent versions of a key go on that are older than the one named; all are left out without a name. */
function* olderThan(
  read: SnapshotReads,
  bucketId: string,
  key: string,
  versionId: string,
): Generator<unknown, Key, unknown> {
  const end = behind("v", bucketId, key);
  if (versionId === "" || Buffer.byteLength(key) > KEY_BYTES_MAX) return end;
  const { head } = yield* readHistory(read, bucketId, key);
  if (versionId !== "null") return keyAfter(KEYS.noncurrent(bucketId, key, sequenceOfVersionId(versionId)));
  if (head === undefined) return end;
  if (head.i === undefined) return KEYS.noncurrentsOf(bucketId, key).start;
  return head.n === undefined ? end : keyAfter(KEYS.noncurrent(bucketId, key, head.n));
}

export function toUpload(bucketId: string, key: string, uploadId: string, record: UploadRecord): Upload {
  return {
    uploadId,
    bucketId,
    key,
    initiatedAt: record.initiated,
    initiatorId: record.initiator,
    input: record.input,
    ...(record.algorithm === undefined ? {} : { checksumAlgorithm: record.algorithm }),
    ...(record.type === undefined ? {} : { checksumType: record.type }),
  };
}

const uploadIdOf = (row: Key): string => decodeKey(row)[3] as string;

export async function listUploads(
  core: Core,
  bucket: Bucket,
  query: { prefix: string; delimiter: string; afterKey: string; afterUploadId: string; max: number },
): Promise<UploadsPage> {
  const { id } = bucket;
  let range = KEYS.uploadsWith(id, query.prefix);
  if (query.afterKey !== "") {
    const exact =
      timeOfId(query.afterUploadId) === undefined || Buffer.byteLength(query.afterKey) > KEY_BYTES_MAX
        ? behind("upload", id, query.afterKey)
        : keyAfter(KEYS.upload(id, query.afterKey, query.afterUploadId));
    range = from(
      range,
      query.afterUploadId === ""
        ? startAfter("upload", id, { ...query, after: query.afterKey }, exact)
        : exact,
    );
  }
  const cursor = new Cursor(id, [{ tag: "upload", range }], query.max);
  const found = await core.meta.snapshot((read) =>
    page(read, cursor, query, (key, entry) =>
      toUpload(id, key, uploadIdOf(entry.key), decode<UploadRecord>(entry.value)),
    ),
  );
  return {
    uploads: found.rows,
    commonPrefixes: found.commonPrefixes,
    truncated: found.truncated,
    nextKey: found.last,
    nextUploadId: found.lastRow?.uploadId ?? "",
  };
}
