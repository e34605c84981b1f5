/**
 * Every key layout, with what stands under it. Bucket ids are in keys, bucket names are not, so that a bucket that is
 * made anew under an old name shares nothing with its predecessor. docs/DATA.md tells the same story at more length.
 */
import { encodeKey, stringRange, tupleRange } from "../meta/tuple.ts";
import type { Key, KeyRange } from "../meta/meta.ts";

/** Noncurrent versions sort newest first: their keys hold this minus the sequence number. */
const SEQUENCE_MAX = Number.MAX_SAFE_INTEGER;

/** What can own a reference to a blob or manifest. */
export type ReferenceOwner =
  | { bucketId: string; key: string; sequence: number } // a version of an object
  | { uploadId: string; partNumber: number }; // a part, and later the manifest of the same id

/** What the sweeper finds in its queue. */
export type GarbageKind = "blob" | "manifest" | "parts" | "completed";

export const KEYS = {
  /** ["format"] → the on-disk format's version */
  format: (): Key => encodeKey(["format"]),
  /** ["epoch"]: counter that every change of an account, key, bucket setting or ACL moves */
  epoch: (): Key => encodeKey(["epoch"]),

  /** ["account", id] → AccountRecord */
  account: (id: string): Key => encodeKey(["account", id]),
  accounts: (): KeyRange => tupleRange(["account"]),
  /** ["account-name", name] → id */
  accountName: (name: string): Key => encodeKey(["account-name", name]),
  /** ["account-email", e-mail in lower case, id] → nothing; several accounts may share an address */
  accountEmail: (email: string, id: string): Key => encodeKey(["account-email", email.toLowerCase(), id]),
  accountEmails: (email: string): KeyRange => tupleRange(["account-email", email.toLowerCase()]),
  /** ["access-key", access key id] → AccessKeyRecord */
  accessKey: (accessKeyId: string): Key => encodeKey(["access-key", accessKeyId]),
  /** ["account-key", account id, access key id] → nothing */
  accountKey: (accountId: string, accessKeyId: string): Key =>
    encodeKey(["account-key", accountId, accessKeyId]),
  accountKeys: (accountId: string): KeyRange => tupleRange(["account-key", accountId]),
  /** ["setting", kind, name] → any JSON */
  setting: (kind: string, name: string): Key => encodeKey(["setting", kind, name]),
  settings: (kind: string): KeyRange => tupleRange(["setting", kind]),
  allSettings: (): KeyRange => tupleRange(["setting"]),

  /** ["bucket", name] → BucketRecord */
  bucket: (name: string): Key => encodeKey(["bucket", name]),
  buckets: (): KeyRange => tupleRange(["bucket"]),
  /** ["bucket-id", id] → name. Its presence is what every write into the bucket checks */
  bucketId: (id: string): Key => encodeKey(["bucket-id", id]),
  /** ["bucket-owner", account id, name] → nothing */
  bucketOwner: (ownerId: string, name: string): Key => encodeKey(["bucket-owner", ownerId, name]),
  bucketsOf: (ownerId: string): KeyRange => tupleRange(["bucket-owner", ownerId]),
  bucketsOfWith: (ownerId: string, prefix: string): KeyRange =>
    stringRange(["bucket-owner", ownerId], prefix),
  /** ["count", bucket id, what]: counters kept by the commits that change what they count */
  count: (bucketId: string, what: Counter): Key => encodeKey(["count", bucketId, what]),

  /** ["o", bucket id, key] → VersionRecord: the current version, if it is no delete marker; the key's head */
  current: (bucketId: string, key: string): Key => encodeKey(["o", bucketId, key]),
  currents: (bucketId: string): KeyRange => tupleRange(["o", bucketId]),
  currentsWith: (bucketId: string, prefix: string): KeyRange => stringRange(["o", bucketId], prefix),
  /** ["m", bucket id, key] → VersionRecord: the current version, if it is a delete marker; the key's head */
  marker: (bucketId: string, key: string): Key => encodeKey(["m", bucketId, key]),
  markers: (bucketId: string): KeyRange => tupleRange(["m", bucketId]),
  markersWith: (bucketId: string, prefix: string): KeyRange => stringRange(["m", bucketId], prefix),
  /** ["v", bucket id, key, max − sequence] → VersionRecord: noncurrent versions and markers, newest first */
  noncurrent: (bucketId: string, key: string, sequence: number): Key =>
    encodeKey(["v", bucketId, key, SEQUENCE_MAX - sequence]),
  noncurrentsOf: (bucketId: string, key: string): KeyRange => tupleRange(["v", bucketId, key]),
  noncurrents: (bucketId: string): KeyRange => tupleRange(["v", bucketId]),
  noncurrentsWith: (bucketId: string, prefix: string): KeyRange => stringRange(["v", bucketId], prefix),
  /** ["d", bucket id, key, sequence] → DetailRecord: what would make a listing row too long */
  detail: (bucketId: string, key: string, sequence: number): Key => encodeKey(["d", bucketId, key, sequence]),

  /** ["blob", blob id] → BlobRecord */
  blob: (id: string): Key => encodeKey(["blob", id]),
  blobs: (): KeyRange => tupleRange(["blob"]),
  /** ["ref", blob or manifest id, …owner] → nothing. An id whose range is empty is garbage, for ever */
  reference: (id: string, owner: ReferenceOwner): Key =>
    "uploadId" in owner
      ? encodeKey(["ref", id, "u", owner.uploadId, owner.partNumber])
      : encodeKey(["ref", id, "o", owner.bucketId, owner.key, owner.sequence]),
  references: (id: string): KeyRange => tupleRange(["ref", id]),
  /** ["manifest", id, n] → Segment[]: the n-th stretch of a multipart object's segments; the id is the upload's */
  manifest: (id: string, chunk: number): Key => encodeKey(["manifest", id, chunk]),
  manifests: (id: string): KeyRange => tupleRange(["manifest", id]),

  /** ["upload", bucket id, key, upload id] → UploadRecord. Upload ids begin with their time */
  upload: (bucketId: string, key: string, uploadId: string): Key =>
    encodeKey(["upload", bucketId, key, uploadId]),
  uploads: (bucketId: string): KeyRange => tupleRange(["upload", bucketId]),
  uploadsWith: (bucketId: string, prefix: string): KeyRange => stringRange(["upload", bucketId], prefix),
  /** ["touch", upload id] → a token that every change of a part replaces, so that completion checks one key */
  touch: (uploadId: string): Key => encodeKey(["touch", uploadId]),
  /** ["part", upload id, part number] → PartRecord */
  part: (uploadId: string, partNumber: number): Key => encodeKey(["part", uploadId, partNumber]),
  parts: (uploadId: string): KeyRange => tupleRange(["part", uploadId]),
  /** ["completed", upload id] → CompletedRecord, for a day, so that a repeated completion gets its answer */
  completed: (uploadId: string): Key => encodeKey(["completed", uploadId]),

  /** ["garbage", due in ms, kind, id] → for "parts", which of them the manifest does not use */
  garbage: (dueMs: number, kind: GarbageKind, id: string): Key => encodeKey(["garbage", dueMs, kind, id]),
  garbageUntil: (dueMs: number): KeyRange => ({
    start: tupleRange(["garbage"]).start,
    end: encodeKey(["garbage", dueMs + 1]),
  }),
  /** ["incarnation", id] → IncarnationRecord: a process that may be writing blobs under that id */
  incarnation: (id: string): Key => encodeKey(["incarnation", id]),
  incarnations: (): KeyRange => tupleRange(["incarnation"]),
  /** ["swept", incarnation] → nothing: no unreferenced blob of that dead incarnation is left */
  swept: (incarnation: string): Key => encodeKey(["swept", incarnation]),
  /** ["lease", name] → LeaseRecord */
  lease: (name: string): Key => encodeKey(["lease", name]),
  leases: (prefix: string): KeyRange => stringRange(["lease"], prefix),
} as const;

/** Objects and bytes of current versions; noncurrent versions and their bytes. Delete markers are not counted. */
export type Counter = "objects" | "bytes" | "oldVersions" | "oldBytes";
