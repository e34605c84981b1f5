/** What a row of the operations table is, and what its handler gets and gives. The rows are in operations.ts. */
import type { Logger } from "../lib/log.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Bucket, ObjectVersion, Permission } from "../store/types.ts";
import type { Identity } from "./auth.ts";
import type { S3Request } from "./request.ts";

/** The server's settings that the protocol reads. */
export interface S3Settings {
  /** The default location, named in `x-amz-bucket-region` and checked in signatures. */
  readonly region: string;
  /** Location names that CreateBucket accepts; the region is one of them. */
  readonly locations: readonly string[];
  readonly compatibility: "modern" | "2006-03-01";
  readonly maxBucketsPerAccount: number;
}

export interface Context {
  readonly request: S3Request;
  readonly identity: Identity;
  readonly store: ObjectStore;
  readonly settings: S3Settings;
  readonly log: Logger;
  /** Milliseconds since 1970, one moment for the whole request. */
  readonly now: number;
  /** The whole body of rows that say `body: "document"`: bounded and verified. Empty otherwise. */
  readonly document: Buffer;
}
export interface BucketContext extends Context {
  readonly bucket: Bucket;
}
/** A bucket's own setting, else the server's. */
export function compatibilityOf(context: {
  readonly settings: S3Settings;
  readonly bucket?: Bucket | undefined;
}): S3Settings["compatibility"] {
  return context.bucket?.compatibility ?? context.settings.compatibility;
}
export interface ObjectContext extends BucketContext {
  readonly key: string;
  /**
   * Of rows whose permission is on the object: the version asked for (`versionId` or the current one), already
   * authorized; a delete marker is given as such. Undefined: there is none, and the requester may know it.
   */
  readonly object: { readonly version: ObjectVersion; readonly body?: Buffer | undefined } | undefined;
}

export interface Answer {
  /** 200 when left out. */
  status?: number;
  /** Flat: name, value, name, value. */
  headers?: string[];
  body?: string | Buffer | AsyncIterable<Buffer>;
}

/**
 * Who may: an ACL permission on the bucket or on the object, the bucket's owner, any account that signs, or anybody
 * (the handler then decides, and says how).
 */
export type Who =
  | { readonly bucket: Permission | "OWNER" }
  | { readonly object: Permission }
  | "account"
  | "anybody";

interface Row {
  readonly method: "GET" | "PUT" | "POST" | "DELETE" | "HEAD" | "OPTIONS";
  /**
   * What must be there for the row to match: `?name` a query parameter, `?name=value` with that value, `name` a
   * header, `/name` that path, without a query. The matching row with the most demands wins; two that tie fail at load.
   */
  readonly when?: readonly string[];
  /** Of IAM and bucket policies. */
  readonly action: `s3:${string}`;
  readonly who: Who;
  /** "document": read whole (at most `limit` bytes) and verified before `run`. "stream": `run` reads it. Default: none. */
  readonly body?: "document" | "stream";
  /** There may be no document: a request without a length, as of a hand-written `curl -X PUT`, has none. */
  readonly optional?: true;
  /** Bytes of a document; 1 MiB when left out. */
  readonly limit?: number;
  /**
   * "required": the document must come with a Content-MD5 or another checksum. "object": a checksum header is that
   * of the object which the document is about.
   */
  readonly integrity?: "required" | "object";
  /** Fetch a small object's body together with its metadata. */
  readonly withBody?: true;
  /** Operation name of access logs. */
  readonly log: string;
}
export type Operation =
  | (Row & {
      readonly on: "service";
      readonly run: ((context: Context) => Promise<Answer>) | "NotImplemented";
    })
  | (Row & {
      readonly on: "bucket";
      readonly run: ((context: BucketContext) => Promise<Answer>) | "NotImplemented";
    })
  /** A row about a bucket that need not exist (CreateBucket). */
  | (Row & {
      readonly on: "bucketName";
      readonly run: ((context: Context) => Promise<Answer>) | "NotImplemented";
    })
  | (Row & {
      readonly on: "object";
      readonly run: ((context: ObjectContext) => Promise<Answer>) | "NotImplemented";
    });
