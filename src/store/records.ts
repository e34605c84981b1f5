/**
 * Every stored record and how it turns into the store's values. Records are JSON; names are short because listings read
 * thousands of rows. A record's `r` is its shape's version: a reader of shape n reads all shapes up to n.
 */
import type { ChecksumAlgorithm } from "../lib/hashes.ts";
import type {
  Acl,
  Bucket,
  Checksum,
  Content,
  Grant,
  ObjectMeta,
  ObjectVersion,
  Permission,
  PutInput,
  Tags,
  VersioningStatus,
} from "./types.ts";

/** Key and record of a listing row together; beyond it metadata, tags and ACL go to a detail record. */
export const ROW_BYTES_MAX = 1000;
/** The version of the whole layout. A program refuses to open data of a later one. */
export const FORMAT = 1;

export interface VersionRecord {
  r: 1;
  /** Sequence: orders the versions of a key; milliseconds since 1970, or more when the clock stepped back. */
  s: number;
  /** Version id; absent: the null version. */
  i?: string;
  /** Last modified, when it is not `s`. */
  t?: number;
  /** 1: a delete marker; it has nothing below. */
  x?: 1;
  /** Owner. */
  o: string;
  /** Size. */
  z?: number;
  /** ETag. */
  e?: string;
  /** Storage class, when it is not STANDARD. */
  c?: string;
  /** Content: a body's row id, or a blob's or manifest's id. */
  b?: number;
  f?: string;
  m?: string;
  k?: [algorithm: ChecksumAlgorithm, value: string, type: "C" | "F"];
  /** 1: metadata, ACL and tags are in the detail record. */
  d?: 1;
  /** Metadata; absent: none. */
  h?: ObjectMeta;
  /** ACL; absent: the owner has full control. */
  a?: PackedGrant[];
  /** Tags; absent: none. */
  g?: Tags;

  // Of heads only:
  /** Sequence of the null version, when that is noncurrent. */
  n?: number;
  /** The last sequence given to this key, when it is not `s`. */
  l?: number;
  /** Mutations of noncurrent versions, so that each changes the head. */
  q?: number;
}
export interface DetailRecord {
  r: 1;
  h?: ObjectMeta;
  a?: PackedGrant[];
  g?: Tags;
}

/** Grantee (a canonical id or a group's URI) and permission. */
type PackedGrant = [grantee: string, permission: Permission];

export interface BucketRecord {
  r: 1;
  id: string;
  name: string;
  owner: string;
  created: number;
  location: string;
  versioning: VersioningStatus;
  acl?: PackedGrant[];
  compatibility?: "modern" | "2006-03-01";
}
export interface AccountRecord {
  r: 1;
  name: string;
  email?: string;
  status: "active" | "suspended";
  created: number;
}
export interface AccessKeyRecord {
  r: 1;
  account: string;
  /** The secret, sealed with the key file (secrets.ts). */
  sealed: string;
  enabled: boolean;
  created: number;
}
/** What the scrubber holds a blob's bytes against. */
export interface BlobRecord {
  r: 1;
  z: number;
  /** MD5, hex. */
  h: string;
}
/** A stretch of a blob that is a stretch of a part. Parts may have several segments (UploadPartCopy), or none (empty). */
export type Segment = [blobId: string, offset: number, length: number, partNumber: number];
export interface ManifestRecord {
  r: 1;
  segments: Segment[];
  /** In the first chunks, beside the segments: part number, size, checksum. */
  parts: [partNumber: number, size: number, checksum?: string][];
}
export interface UploadRecord {
  r: 1;
  initiated: number;
  initiator: string;
  input: PutInput;
  algorithm?: ChecksumAlgorithm;
  type?: "COMPOSITE" | "FULL_OBJECT";
}
export interface PartRecord {
  r: 1;
  z: number;
  /** ETag, which is the MD5. */
  e: string;
  t: number;
  k?: [algorithm: ChecksumAlgorithm, value: string];
  segments: [blobId: string, offset: number, length: number][];
}
export interface CompletedRecord {
  r: 1;
  bucketId: string;
  key: string;
  /** The head that the completion wrote. */
  version: VersionRecord;
}
export interface IncarnationRecord {
  r: 1;
  host: string;
  pid: number;
  /** Of the process, as the kernel counts it; tells a reused pid. "" where it can't be had. */
  started: string;
  /** The process says that it lives until then; it renews long before. */
  until: number;
}
export interface LeaseRecord {
  r: 1;
  holder: string;
  until: number;
}

export const encode = (record: object): Buffer => Buffer.from(JSON.stringify(record));
/** @throws SyntaxError when the stored bytes are damaged */
export const decode = <T>(value: Buffer): T => JSON.parse(value.toString()) as T;

const packGrant = ({ grantee, permission }: Grant): PackedGrant => [
  grantee.type === "Group" ? grantee.uri : grantee.id,
  permission,
];
const unpackGrant = ([grantee, permission]: PackedGrant): Grant => ({
  grantee: grantee.startsWith("http:")
    ? { type: "Group", uri: grantee }
    : { type: "CanonicalUser", id: grantee },
  permission,
});

const ownerOnly = (ownerId: string): Acl => ({
  grants: [{ grantee: { type: "CanonicalUser", id: ownerId }, permission: "FULL_CONTROL" }],
});

/** Undefined for the default: the owner alone has full control. */
export function packAcl(acl: Acl, ownerId: string): PackedGrant[] | undefined {
  const [first] = acl.grants;
  const isDefault =
    acl.grants.length === 1 &&
    first?.permission === "FULL_CONTROL" &&
    first.grantee.type === "CanonicalUser" &&
    first.grantee.id === ownerId;
  return isDefault ? undefined : acl.grants.map(packGrant);
}
export const unpackAcl = (packed: PackedGrant[] | undefined, ownerId: string): Acl =>
  packed === undefined ? ownerOnly(ownerId) : { grants: packed.map(unpackGrant) };

export function toBucket(record: BucketRecord): Bucket {
  return {
    id: record.id,
    name: record.name,
    ownerId: record.owner,
    createdAt: record.created,
    location: record.location,
    versioning: record.versioning,
    acl: unpackAcl(record.acl, record.owner),
    ...(record.compatibility === undefined ? {} : { compatibility: record.compatibility }),
  };
}
export function fromBucket(bucket: Bucket): BucketRecord {
  const acl = packAcl(bucket.acl, bucket.ownerId);
  return {
    r: 1,
    id: bucket.id,
    name: bucket.name,
    owner: bucket.ownerId,
    created: bucket.createdAt,
    location: bucket.location,
    versioning: bucket.versioning,
    ...(acl === undefined ? {} : { acl }),
    ...(bucket.compatibility === undefined ? {} : { compatibility: bucket.compatibility }),
  };
}

export const versionIdOf = (record: VersionRecord): string => record.i ?? "null";
export const lastModifiedOf = (record: VersionRecord): number => record.t ?? record.s;
/** The last sequence that the key of this head has used. */
export const lastSequenceOf = (head: VersionRecord): number => head.l ?? head.s;

export function contentOf(record: VersionRecord): Content {
  if (record.b !== undefined) return { kind: "inline", bodyId: record.b };
  if (record.f !== undefined) return { kind: "blob", blobId: record.f, sequence: record.s };
  if (record.m !== undefined) return { kind: "manifest", manifestId: record.m, sequence: record.s };
  return { kind: "none" };
}

export function checksumOf(record: VersionRecord): Checksum | undefined {
  if (record.k === undefined) return undefined;
  const [algorithm, value, type] = record.k;
  return { algorithm, value, type: type === "C" ? "COMPOSITE" : "FULL_OBJECT" };
}

/** The record as the store gives it. `manifest` are the raw chunks, read only when somebody asks for the parts. */
export function toVersion(
  bucketId: string,
  key: string,
  record: VersionRecord,
  isLatest: boolean,
  detail: DetailRecord | undefined,
  manifest: readonly Buffer[] | undefined,
): ObjectVersion {
  const rest = detail ?? record;
  const checksum = checksumOf(record);
  const version: ObjectVersion = {
    bucketId,
    key,
    versionId: record.i ?? "null",
    isLatest,
    deleteMarker: record.x === 1,
    ownerId: record.o,
    lastModified: record.t ?? record.s,
    size: record.z ?? 0,
    etag: record.e ?? "",
    storageClass: record.c ?? "STANDARD",
    meta: rest.h ?? {},
    acl: unpackAcl(rest.a, record.o),
    tags: rest.g ?? [],
    content: contentOf(record),
  };
  if (checksum !== undefined) version.checksum = checksum;
  if (manifest !== undefined) {
    // Thousands of parts are parsed only for those who look at them.
    let parts: ObjectVersion["parts"];
    Object.defineProperty(version, "parts", { get: () => (parts ??= partsOf(manifest)), enumerable: true });
  }
  return version;
}

function partsOf(manifest: readonly Buffer[]): NonNullable<ObjectVersion["parts"]> {
  return manifest.flatMap((chunk) =>
    decode<ManifestRecord>(chunk).parts.map(([partNumber, size, checksum]) =>
      checksum === undefined ? { partNumber, size } : { partNumber, size, checksum },
    ),
  );
}

/**
 * Puts metadata, ACL and tags where they fit: into the row, or into a detail record.
 * `rowKeyBytes` is the length of the row's encoded key.
 */
export function place(
  record: VersionRecord,
  rest: Omit<DetailRecord, "r">,
  rowKeyBytes: number,
): DetailRecord | undefined {
  const inRow: VersionRecord = { ...record, ...rest };
  // UTF-8 may be longer than JSON's characters: three bytes at most for each.
  const text = JSON.stringify(inRow);
  const bytes = rowKeyBytes + (text.length * 3 <= ROW_BYTES_MAX ? text.length : Buffer.byteLength(text));
  if (bytes <= ROW_BYTES_MAX) {
    Object.assign(record, rest);
    return undefined;
  }
  record.d = 1;
  return { r: 1, ...rest };
}
