/** The values that the store takes and gives. Stored shapes are in records.ts. No HTTP, no XML here. */
import type { ChecksumAlgorithm } from "../lib/hashes.ts";

export type Permission = "READ" | "WRITE" | "READ_ACP" | "WRITE_ACP" | "FULL_CONTROL";

/** A group by its URI, or an account by canonical user id. E-mail grantees are resolved before they get here. */
export type Grantee = { type: "CanonicalUser"; id: string } | { type: "Group"; uri: string };
export interface Grant {
  grantee: Grantee;
  permission: Permission;
}
/** At most 100 grants. */
export interface Acl {
  grants: Grant[];
}

export const ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers";
export const AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
export const LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery";
/** Canonical id of whoever writes without signing (AWS's own value). */
export const ANONYMOUS_ID = "65a011a29cdf8ec533ec3d1ccaae921c";

export interface Account {
  /** Canonical user id: 64 hex characters. */
  id: string;
  /** Unique on this server; display name and delivery path. `root` is the operator's. */
  name: string;
  email?: string;
  status: "active" | "suspended";
  createdAt: number;
}

export interface AccessKey {
  accessKeyId: string;
  accountId: string;
  enabled: boolean;
  createdAt: number;
}

export interface Credential extends AccessKey {
  /** Never logged, never returned over HTTP. */
  secretAccessKey: string;
  account: Account;
}

export type VersioningStatus = "Off" | "Enabled" | "Suspended";

export interface Bucket {
  /** Never reused; keys carry it instead of the name. */
  id: string;
  name: string;
  ownerId: string;
  /** Milliseconds since 1970; never changes. */
  createdAt: number;
  /** Location constraint as given; "" in the default location. */
  location: string;
  versioning: VersioningStatus;
  acl: Acl;
  /** The guide's behaviour where it differs from today's; the server's setting when absent. */
  compatibility?: "modern" | "2006-03-01";
}

/** A checksum as AWS returns it: base64, `-N` appended for COMPOSITE. */
export interface Checksum {
  algorithm: ChecksumAlgorithm;
  value: string;
  type: "COMPOSITE" | "FULL_OBJECT";
}

/** What a client may attach to an object. Values are text (UTF-8); names of user metadata are lower case. */
export interface ObjectMeta {
  contentType?: string;
  cacheControl?: string;
  contentDisposition?: string;
  contentEncoding?: string;
  contentLanguage?: string;
  expires?: string;
  websiteRedirectLocation?: string;
  user?: Record<string, string>;
}
export type Tags = [key: string, value: string][];

export interface ObjectVersion {
  bucketId: string;
  key: string;
  /** `null` for the null version, else 32 URL-safe characters. */
  versionId: string;
  isLatest: boolean;
  deleteMarker: boolean;
  ownerId: string;
  /** Milliseconds since 1970. */
  lastModified: number;
  size: number;
  /** Without quotes: 32 hex, or `hex-N` for multipart. Empty for delete markers. */
  etag: string;
  storageClass: string;
  meta: ObjectMeta;
  acl: Acl;
  tags: Tags;
  checksum?: Checksum;
  /** Multipart objects: size and checksum of each part in order. */
  parts?: { partNumber: number; size: number; checksum?: string }[];
  /** How to find the bytes; only the store reads it. */
  content: Content;
}
/** Nothing, a small body beside the metadata, or segments of blobs. */
export type Content =
  | { kind: "none" }
  | { kind: "inline"; bodyId: number }
  | { kind: "blob"; blobId: string; sequence: number }
  | { kind: "manifest"; manifestId: string; sequence: number };

/** Received bytes that no name refers to yet. Exactly one of commit (through the store) or `discard` ends it. */
export interface Staged {
  size: number;
  /** Lower-case hex. */
  md5: string;
  /** Base64 of each algorithm asked for in `receive`. */
  checksums: Partial<Record<ChecksumAlgorithm, string>>;
  content: { kind: "inline"; bytes: Buffer } | { kind: "blob"; blobId: string };
  /** Removes the bytes if they were not committed. Never throws. */
  discard(): Promise<void>;
}

/** Checked inside the commit. */
export interface WriteConditions {
  /** ETag without quotes, or `*`. No current version: NoSuchKey; other ETag: PreconditionFailed. */
  ifMatch?: string;
  /** Only `*` has a meaning on writes: PreconditionFailed when a current version (not a delete marker) exists. */
  ifNoneMatch?: string;
  /** Deletes only. */
  ifMatchSize?: number;
  ifMatchLastModified?: number;
}

export interface PutInput {
  key: string;
  ownerId: string;
  meta: ObjectMeta;
  acl: Acl;
  tags: Tags;
  storageClass: string;
  checksum?: Checksum;
  conditions?: WriteConditions;
}

export interface DeleteResult {
  /** The version removed, or the delete marker made. Absent when the bucket was never versioned. */
  versionId?: string;
  deleteMarker: boolean;
}

export interface ListQuery {
  prefix: string;
  delimiter: string;
  /** Keys (or common prefixes) after this one; "" from the start. */
  after: string;
  /** 0 to 1000. */
  maxKeys: number;
}
/** One row of a listing: only what the row's own record holds, no detail record is read. */
export interface ListedObject {
  key: string;
  versionId: string;
  isLatest: boolean;
  deleteMarker: boolean;
  lastModified: number;
  etag: string;
  size: number;
  storageClass: string;
  ownerId: string;
  checksum?: { algorithm: ChecksumAlgorithm; type: "COMPOSITE" | "FULL_OBJECT" };
}
export interface ListPage {
  objects: ListedObject[];
  commonPrefixes: string[];
  truncated: boolean;
  /** The last key or common prefix given; pass as `after` for the next page. */
  next: string;
}
export interface VersionsPage extends ListPage {
  nextVersionId: string;
}

export interface Upload {
  uploadId: string;
  bucketId: string;
  key: string;
  initiatedAt: number;
  initiatorId: string;
  input: PutInput;
  checksumAlgorithm?: ChecksumAlgorithm;
  checksumType?: "COMPOSITE" | "FULL_OBJECT";
}
export interface Part {
  partNumber: number;
  size: number;
  etag: string;
  lastModified: number;
  checksum?: { algorithm: ChecksumAlgorithm; value: string };
}
export interface UploadsPage {
  uploads: Upload[];
  commonPrefixes: string[];
  truncated: boolean;
  nextKey: string;
  nextUploadId: string;
}
export interface BucketUsage {
  /** Current versions that are not delete markers. */
  objects: number;
  /** Bytes of all current versions. */
  bytes: number;
  /** All versions, noncurrent ones included; delete markers not. */
  versions: number;
  versionBytes: number;
}
