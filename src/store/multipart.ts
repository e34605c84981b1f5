/** Multipart uploads: parts are blobs (or stretches of other objects' blobs), completion writes a list of them. */
import {
  canCombine,
  combineFullObject,
  composite,
  createHasher,
  multipartEtag,
  type ChecksumAlgorithm,
} from "../lib/hashes.ts";
import type { Key } from "../meta/meta.ts";
import { decodeKey } from "../meta/tuple.ts";
import { Change, mutate, NOTHING, randomId, timeId, timeOfId, type Attempt, type Core } from "./core.ts";
import { StoreError } from "./errors.ts";
import { readHistory } from "./history.ts";
import { KEYS } from "./keys.ts";
import { toUpload } from "./listing.ts";
import { buildVersion, checkConditions, read, receiveCopy, segmentsOf, whileHeld } from "./objects.ts";
import {
  decode,
  encode,
  toVersion,
  type CompletedRecord,
  type ManifestRecord,
  type PartRecord,
  type Segment,
  type UploadRecord,
} from "./records.ts";
import { asBlob, nameBlob, whileCommitting } from "./staging.ts";
import type {
  Bucket,
  Checksum,
  ObjectVersion,
  Part,
  PutInput,
  Staged,
  Upload,
  WriteConditions,
} from "./types.ts";

/** Amazon's limits: no part but the last may be smaller, and there are no more than these. */
const PART_BYTES_MIN = 5 * 1024 * 1024;
const PARTS_MAX = 10_000;
/** Segments in one row of a manifest, so that a row stays some tens of kilobytes and the sweeper's commits bounded. */
const CHUNK_SEGMENTS = 500;
/** A part of more stretches than this is copied, so that no part's record grows without bound (store rule 3.5). */
const SHARED_SEGMENTS_MAX = 64;
/** How long a repeated completion gets its answer. */
const COMPLETED_MS = 24 * 60 * 60 * 1000;
const DEFAULT_ALGORITHM: ChecksumAlgorithm = "CRC64NVME";

export async function createUpload(
  core: Core,
  bucket: Bucket,
  input: PutInput,
  options: {
    initiatorId: string;
    checksumAlgorithm?: ChecksumAlgorithm;
    checksumType?: "COMPOSITE" | "FULL_OBJECT";
  },
): Promise<Upload> {
  const initiated = core.now();
  const uploadId = timeId(initiated);
  const record: UploadRecord = {
    r: 1,
    initiated,
    initiator: options.initiatorId,
    input,
    ...(options.checksumAlgorithm === undefined ? {} : { algorithm: options.checksumAlgorithm }),
    ...(options.checksumType === undefined ? {} : { type: options.checksumType }),
  };
  return mutate(core, bucket.id, `upload ${uploadId}`, async () => {
    const change = new Change(bucket.id);
    change.put(KEYS.upload(bucket.id, input.key, uploadId), record);
    return { change, result: toUpload(bucket.id, input.key, uploadId, record) };
  });
}

/** Anything else can't be an upload's, and may be too long for a key. */
const isUploadId = (text: string): boolean => timeOfId(text) !== undefined;

export async function getUpload(
  core: Core,
  bucketId: string,
  key: string,
  uploadId: string,
): Promise<Upload> {
  const value = isUploadId(uploadId) ? await core.meta.get(KEYS.upload(bucketId, key, uploadId)) : undefined;
  if (value === undefined) throw new StoreError("NoSuchUpload", { UploadId: uploadId });
  return toUpload(bucketId, key, uploadId, decode<UploadRecord>(value));
}

export async function putPart(core: Core, upload: Upload, partNumber: number, staged: Staged): Promise<Part> {
  const blob = staged.size === 0 ? staged : await asBlob(core, staged);
  const record = partRecord(core, upload, staged);
  const { content } = blob;
  return whileCommitting(blob, () =>
    storePart(core, upload, partNumber, (change) => {
      if (content.kind !== "blob" || staged.size === 0) return record;
      nameBlob(core, change, content.blobId, staged, { uploadId: upload.uploadId, partNumber });
      return { ...record, segments: [[content.blobId, 0, staged.size]] };
    }),
  ).catch(async (error: unknown) => {
    // The small body was made a blob here, so it is discarded here; discarding does nothing after an unknown outcome.
    if (blob !== staged) await blob.discard();
    throw error;
  });
}

function partRecord(
  core: Core,
  upload: Upload,
  hashed: Pick<Staged, "size" | "md5" | "checksums">,
): PartRecord {
  const algorithm = upload.checksumAlgorithm ?? DEFAULT_ALGORITHM;
  const value = hashed.checksums[algorithm];
  return {
    r: 1,
    z: hashed.size,
    e: hashed.md5,
    t: core.now(),
    ...(value === undefined ? {} : { k: [algorithm, value] }),
    segments: [],
  };
}

/** Puts a part's record in place of an earlier one, whose blobs are released. `attach` adds what the new one refers to. */
async function storePart(
  core: Core,
  upload: Upload,
  partNumber: number,
  attach: (change: Change) => PartRecord,
): Promise<Part> {
  const { uploadId, bucketId, key } = upload;
  const row = KEYS.part(uploadId, partNumber);
  return mutate(core, bucketId, `part ${uploadId}/${partNumber}`, async () => {
    const [exists, old] = await core.meta.getMany([KEYS.upload(bucketId, key, uploadId), row]);
    if (exists === undefined) throw new StoreError("NoSuchUpload", { UploadId: uploadId });
    const change = new Change(bucketId);
    change.checks.push({ key: KEYS.upload(bucketId, key, uploadId), present: true });
    change.expect(row, old);
    if (old !== undefined) releasePart(core, change, uploadId, partNumber, decode<PartRecord>(old));
    const record = attach(change);
    change.put(row, record);
    change.put(KEYS.touch(uploadId), Buffer.from(randomId()));
    return { change, result: toPart(partNumber, record) };
  });
}

function releasePart(
  core: Core,
  change: Change,
  uploadId: string,
  partNumber: number,
  record: PartRecord,
): void {
  for (const [blobId] of record.segments) {
    change.release(blobId, { uploadId, partNumber }, "blob", core.now() + core.graceMs);
  }
}

function toPart(partNumber: number, record: PartRecord): Part {
  const part: Part = { partNumber, size: record.z, etag: record.e, lastModified: record.t };
  if (record.k !== undefined) part.checksum = { algorithm: record.k[0], value: record.k[1] };
  return part;
}

export async function copyPart(
  core: Core,
  upload: Upload,
  partNumber: number,
  source: ObjectVersion,
  start: number,
  end: number,
): Promise<Part> {
  const algorithm = upload.checksumAlgorithm ?? DEFAULT_ALGORITHM;
  const shared = await stretches(core, source, start, end);
  if (shared !== undefined) {
    const owner = { bucketId: source.bucketId, key: source.key, sequence: shared.sequence };
    const held = KEYS.reference(shared.id, owner);
    const part = await whileHeld(core, held, async () => {
      const record = partRecord(core, upload, await hashRange(core, source, start, end, algorithm));
      return storePart(core, upload, partNumber, (change) => {
        // What is shared must still be held by the source, so that its references never were none (store rule 3.2).
        change.checks.push({ key: held, present: true });
        for (const [blobId] of shared.segments)
          change.refer(blobId, { uploadId: upload.uploadId, partNumber });
        return { ...record, segments: shared.segments };
      });
    });
    if (part !== undefined) return part;
  }
  const staged = await receiveCopy(core, source, start, end, [algorithm]);
  try {
    return await putPart(core, upload, partNumber, staged);
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

/** The range as stretches of blobs; undefined when its bytes must be copied. */
async function stretches(
  core: Core,
  source: ObjectVersion,
  start: number,
  end: number,
): Promise<{ id: string; sequence: number; segments: PartRecord["segments"] } | undefined> {
  const { content } = source;
  if (content.kind === "blob") {
    return {
      id: content.blobId,
      sequence: content.sequence,
      segments: [[content.blobId, start, end - start]],
    };
  }
  if (content.kind !== "manifest") return undefined;
  const segments: PartRecord["segments"] = [];
  let at = 0;
  for (const [blobId, offset, length] of await segmentsOf(core, content.manifestId)) {
    const from = Math.max(start - at, 0);
    const to = Math.min(end - at, length);
    if (from < to) segments.push([blobId, offset + from, to - from]);
    at += length;
    if (at >= end || segments.length > SHARED_SEGMENTS_MAX) break;
  }
  if (segments.length > SHARED_SEGMENTS_MAX) return undefined;
  return { id: content.manifestId, sequence: content.sequence, segments };
}

/** What the new part's ETag and checksum are. Whole objects know theirs; other ranges are read, not written. */
async function hashRange(
  core: Core,
  source: ObjectVersion,
  start: number,
  end: number,
  algorithm: ChecksumAlgorithm,
): Promise<Pick<Staged, "size" | "md5" | "checksums">> {
  const size = end - start;
  const { checksum } = source;
  if (
    size === source.size &&
    !source.etag.includes("-") &&
    checksum?.algorithm === algorithm &&
    checksum.type === "FULL_OBJECT"
  ) {
    return { size, md5: source.etag, checksums: { [algorithm]: checksum.value } };
  }
  const hasher = createHasher({ md5: true, checksums: [algorithm] });
  for await (const chunk of read(core, source, start, end)) hasher.update(chunk);
  const { md5, checksums } = hasher.finish();
  return { size, md5: md5!, checksums };
}

export async function listParts(
  core: Core,
  upload: Upload,
  query: { after: number; max: number },
): Promise<{ parts: Part[]; truncated: boolean }> {
  if (query.max === 0) return { parts: [], truncated: false };
  const { end } = KEYS.parts(upload.uploadId);
  const range = { start: KEYS.part(upload.uploadId, query.after + 1), end };
  const entries = await core.meta.scan(range, { limit: query.max + 1 });
  const parts = entries
    .slice(0, query.max)
    .map(({ key, value }) => toPart(partNumberOf(key), decode<PartRecord>(value)));
  return { parts, truncated: entries.length > query.max };
}

type Wanted = { partNumber: number; etag: string; checksum?: string };
type NumberedPart = { partNumber: number; record: PartRecord };

export async function completeUpload(
  core: Core,
  bucket: Bucket,
  key: string,
  uploadId: string,
  wanted: readonly Wanted[],
  options: { conditions?: WriteConditions; checksum?: string; expectedSize?: number } = {},
): Promise<ObjectVersion> {
  if (!isUploadId(uploadId)) throw new StoreError("NoSuchUpload", { UploadId: uploadId });
  return mutate(core, bucket.id, key, async (contended): Promise<Attempt<ObjectVersion>> => {
    const uploadKey = KEYS.upload(bucket.id, key, uploadId);
    const found = await core.meta.snapshot(function* (reads) {
      const [value, touch, done] = yield* reads.getMany([
        uploadKey,
        KEYS.touch(uploadId),
        KEYS.completed(uploadId),
      ]);
      const parts = value === undefined ? [] : yield* reads.scan(KEYS.parts(uploadId), { limit: PARTS_MAX });
      return { value, touch, done, parts, history: yield* readHistory(reads, bucket.id, key) };
    });
    if (found.value === undefined) return { result: completedBefore(found.done, bucket.id, key, uploadId) };
    const upload = toUpload(bucket.id, key, uploadId, decode<UploadRecord>(found.value));
    const stored = new Map(
      found.parts.map((entry) => [partNumberOf(entry.key), decode<PartRecord>(entry.value)]),
    );
    const parts = choose(upload, wanted, stored);
    const size = parts.reduce((sum, { record }) => sum + record.z, 0);
    if (options.expectedSize !== undefined && options.expectedSize !== size) {
      throw new StoreError(
        "InvalidRequest",
        {},
        "The size of the parts is not the one that x-amz-mp-object-size gives.",
      );
    }
    const checksum = wholeChecksum(upload, parts, options.checksum);
    checkConditions(options.conditions, found.history, contended);

    const change = new Change(bucket.id);
    change.expect(uploadKey, found.value);
    change.expect(KEYS.touch(uploadId), found.touch);
    const manifest = toManifest(parts);
    for (const [n, chunk] of manifest.entries()) change.put(KEYS.manifest(uploadId, n), chunk);
    const what = { size, etag: multipartEtag(parts.map(({ record }) => record.e)) };
    const input: PutInput = { ...upload.input, ...(checksum === undefined ? {} : { checksum }) };
    const { record, detail } = buildVersion(
      core,
      change,
      bucket,
      input,
      what,
      found.history,
      (_, version) => {
        version.m = uploadId;
        change.refer(uploadId, { bucketId: bucket.id, key, sequence: version.s });
      },
    );
    finishUpload(
      core,
      change,
      uploadKey,
      uploadId,
      { r: 1, bucketId: bucket.id, key, version: record },
      parts,
      stored,
    );
    return { change, result: toVersion(bucket.id, key, record, true, detail, manifest.map(encode)) };
  });
}

const partNumberOf = (row: Key): number => decodeKey(row)[2] as number;

/** The upload's own rows go: at once what names it, by the sweeper what may be ten thousand parts. */
function finishUpload(
  core: Core,
  change: Change,
  uploadKey: Buffer,
  uploadId: string,
  completed: CompletedRecord,
  used: readonly NumberedPart[],
  stored: ReadonlyMap<number, PartRecord>,
): void {
  const now = core.now();
  const numbers = new Set(used.map(({ partNumber }) => partNumber));
  change.delete(uploadKey);
  change.delete(KEYS.touch(uploadId));
  change.put(KEYS.completed(uploadId), completed);
  change.put(KEYS.garbage(now + COMPLETED_MS, "completed", uploadId), NOTHING);
  const unused = [...stored.keys()].filter((partNumber) => !numbers.has(partNumber));
  change.put(KEYS.garbage(now, "parts", uploadId), Buffer.from(JSON.stringify(unused)));
}

function completedBefore(
  done: Buffer | undefined,
  bucketId: string,
  key: string,
  uploadId: string,
): ObjectVersion {
  const completed = done === undefined ? undefined : decode<CompletedRecord>(done);
  if (completed === undefined || completed.bucketId !== bucketId || completed.key !== key) {
    throw new StoreError("NoSuchUpload", { UploadId: uploadId });
  }
  return toVersion(bucketId, key, completed.version, true, undefined, undefined);
}

/** The parts that the client names, if they are what it says. */
function choose(
  upload: Upload,
  wanted: readonly Wanted[],
  stored: ReadonlyMap<number, PartRecord>,
): NumberedPart[] {
  if (wanted.length === 0) throw new StoreError("MalformedXML");
  let last = 0;
  const parts = wanted.map((part): NumberedPart => {
    const { partNumber, etag, checksum } = part;
    if (partNumber <= last) throw new StoreError("InvalidPartOrder", { UploadId: upload.uploadId });
    last = partNumber;
    const record = stored.get(partNumber);
    if (record === undefined || record.e !== etag || (checksum !== undefined && record.k?.[1] !== checksum)) {
      const detail = { UploadId: upload.uploadId, PartNumber: String(partNumber), ETag: etag };
      throw new StoreError("InvalidPart", detail);
    }
    if (
      checksum === undefined &&
      upload.checksumType === "COMPOSITE" &&
      upload.checksumAlgorithm !== undefined
    ) {
      const name = upload.checksumAlgorithm.toLowerCase();
      throw new StoreError(
        "InvalidRequest",
        {},
        `The upload was created using a ${name} checksum. The complete request must include the checksum for each part. It was missing for part ${partNumber} in the request.`,
      );
    }
    return { partNumber, record };
  });
  for (const { partNumber, record } of parts.slice(0, -1)) {
    if (record.z >= PART_BYTES_MIN) continue;
    throw new StoreError("EntityTooSmall", {
      ProposedSize: String(record.z),
      MinSizeAllowed: String(PART_BYTES_MIN),
      PartNumber: String(partNumber),
      ETag: record.e,
    });
  }
  return parts;
}

/** The object's checksum from its parts'; undefined when some part has none. @throws BadDigest when `expected` differs */
function wholeChecksum(
  upload: Upload,
  parts: readonly NumberedPart[],
  expected: string | undefined,
): Checksum | undefined {
  const algorithm = upload.checksumAlgorithm ?? DEFAULT_ALGORITHM;
  const values: { value: string; size: number }[] = [];
  for (const { record } of parts) {
    if (record.k?.[0] === algorithm) values.push({ value: record.k[1], size: record.z });
  }
  if (values.length !== parts.length) return undefined;
  const type = upload.checksumType ?? (canCombine(algorithm) ? "FULL_OBJECT" : "COMPOSITE");
  const value =
    type === "FULL_OBJECT"
      ? combineFullObject(algorithm, values)
      : `${composite(
          algorithm,
          values.map((part) => part.value),
        )}-${parts.length}`;
  if (expected !== undefined && expected !== value && `${expected}-${parts.length}` !== value) {
    const name = algorithm.toLowerCase();
    throw new StoreError("BadDigest", {}, `The ${name} you specified did not match the calculated checksum.`);
  }
  return { algorithm, type, value };
}

function toManifest(parts: readonly NumberedPart[]): ManifestRecord[] {
  const chunks: ManifestRecord[] = [];
  let chunk: ManifestRecord = { r: 1, segments: [], parts: [] };
  for (const { partNumber, record } of parts) {
    chunk.parts.push(record.k === undefined ? [partNumber, record.z] : [partNumber, record.z, record.k[1]]);
    for (const [blobId, offset, length] of record.segments) {
      const segment: Segment = [blobId, offset, length, partNumber];
      chunk.segments.push(segment);
    }
    if (chunk.segments.length >= CHUNK_SEGMENTS || chunk.parts.length >= CHUNK_SEGMENTS) {
      chunks.push(chunk);
      chunk = { r: 1, segments: [], parts: [] };
    }
  }
  if (chunk.parts.length > 0) chunks.push(chunk);
  return chunks;
}

export async function abortUpload(core: Core, bucket: Bucket, key: string, uploadId: string): Promise<void> {
  if (!isUploadId(uploadId)) throw new StoreError("NoSuchUpload", { UploadId: uploadId });
  await mutate(core, bucket.id, `upload ${uploadId}`, async () => {
    const row = KEYS.upload(bucket.id, key, uploadId);
    const value = await core.meta.get(row);
    if (value === undefined) throw new StoreError("NoSuchUpload", { UploadId: uploadId });
    const change = new Change(bucket.id);
    change.reclaims = true;
    change.expect(row, value);
    change.delete(row);
    change.delete(KEYS.touch(uploadId));
    change.put(KEYS.garbage(core.now(), "parts", uploadId), Buffer.from('"all"'));
    return { change, result: undefined };
  });
}
