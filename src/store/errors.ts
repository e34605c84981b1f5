/** S3's own codes for what the store can refuse; s3/errors.ts gives each its status and message. */
export type StoreErrorCode =
  | "AccountProblem"
  | "AmbiguousGrantByEmailAddress"
  | "BadDigest"
  | "BucketAlreadyExists"
  | "BucketAlreadyOwnedByYou"
  | "BucketNotEmpty"
  | "ConditionalRequestConflict"
  | "EntityTooLarge"
  | "EntityTooSmall"
  | "InsufficientStorage"
  | "InternalError"
  | "InvalidArgument"
  | "InvalidPart"
  | "InvalidPartOrder"
  | "InvalidRequest"
  | "MalformedXML"
  | "MethodNotAllowed"
  | "NoSuchBucket"
  | "NoSuchKey"
  | "NoSuchUpload"
  | "NoSuchVersion"
  | "PreconditionFailed"
  | "ServiceUnavailable"
  | "SlowDown"
  | "TooManyBuckets"
  | "UnresolvableGrantByEmailAddress";

/** The only error the store throws on purpose. `detail` becomes sibling elements of Code in the error document. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly detail: Readonly<Record<string, string>>;
  constructor(code: StoreErrorCode, detail: Record<string, string> = {}, message?: string) {
    super(message ?? code);
    this.name = "StoreError";
    this.code = code;
    this.detail = detail;
  }
}
