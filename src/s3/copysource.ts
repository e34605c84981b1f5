/** The source of CopyObject and UploadPartCopy: which version is meant, and whether the requester may read it. */
import { decide } from "../access/access.ts";
import type { Account, Bucket, ObjectVersion } from "../store/types.ts";
import { judgeCopy } from "./conditions.ts";
import { S3Error, toS3Error } from "./errors.ts";
import { pushVersionId } from "./object.ts";
import type { Context } from "./operation.ts";
import { invalidArgument } from "./parameters.ts";

const HEADER = "x-amz-copy-source";

export interface SourceName {
  readonly bucket: string;
  readonly key: string;
  readonly versionId: string | undefined;
}

/**
 * `/bucket/key` or `bucket/key`, URL-encoded, with `?versionId=` behind it. A plus sign is a plus sign.
 * @throws InvalidArgument
 */
export function parseCopySource(header: string): SourceName {
  // The key's own question marks are encoded, but not by every client: the last versionId counts.
  const at = header.lastIndexOf("?versionId=");
  const path = at === -1 ? header : header.slice(0, at);
  const versionId = at === -1 ? undefined : decode(header.slice(at + "?versionId=".length), header);
  const whole = decode(path, header).replace(/^\//, "");
  const slash = whole.indexOf("/");
  if (slash < 1 || slash === whole.length - 1) {
    const message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
    throw invalidArgument(HEADER, header, message);
  }
  if (versionId === "") throw invalidArgument("versionId", "", "Version id cannot be the empty string");
  return { bucket: whole.slice(0, slash), key: whole.slice(slash + 1), versionId };
}

function decode(text: string, header: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidArgument(HEADER, header, "Invalid copy source encoding.");
  }
}

export interface Source {
  readonly bucket: Bucket;
  readonly version: ObjectVersion;
  /** By its version id, so that restoring an old version onto its own key is a change. */
  readonly versionNamed: boolean;
  /** Of the answer: which version was copied. */
  readonly headers: readonly string[];
}

/**
 * The version that a copy reads, after its permission and conditions. A source that is missing is called so only
 * before those who may list its bucket.
 * @throws S3Error AccessDenied, NoSuchBucket, NoSuchKey, NoSuchVersion, InvalidRequest, PreconditionFailed, InvalidArgument
 */
export async function findSource(context: Context): Promise<Source> {
  const { store, identity, request } = context;
  const { account } = identity;
  if (account === undefined) {
    const message = "Anonymous users cannot copy objects. Please authenticate";
    throw new S3Error("AccessDenied", {}, { message });
  }
  const name = parseCopySource(request.headers[HEADER] ?? "");
  const bucket = await store.bucket(name.bucket);
  if (bucket === undefined) throw new S3Error("NoSuchBucket", { BucketName: name.bucket });
  const expectedOwner = request.headers["x-amz-source-expected-bucket-owner"];
  if (expectedOwner !== undefined && expectedOwner !== bucket.ownerId) throw new S3Error("AccessDenied");
  const version = await readableVersion(context, bucket, name, account);
  judgeCopy(request.headers, version);
  const headers: string[] = [];
  pushVersionId(headers, bucket, version.versionId);
  if (headers.length > 0) headers[0] = "x-amz-copy-source-version-id";
  return { bucket, version, versionNamed: name.versionId !== undefined, headers };
}

async function readableVersion(
  { store }: Context,
  bucket: Bucket,
  { key, versionId }: SourceName,
  account: Account,
): Promise<ObjectVersion> {
  const mayList = decide({ account, ownerId: bucket.ownerId, acl: bucket.acl, permission: "READ" });
  let version: ObjectVersion | undefined;
  try {
    version = (await store.getObject(bucket, key, versionId === undefined ? {} : { versionId }))?.version;
  } catch (error) {
    throw mayList || toS3Error(error).code !== "NoSuchVersion" ? error : new S3Error("AccessDenied");
  }
  if (version === undefined || (version.deleteMarker && versionId === undefined)) {
    throw mayList ? new S3Error("NoSuchKey", { Key: key }) : new S3Error("AccessDenied");
  }
  if (version.deleteMarker) {
    if (!mayList) throw new S3Error("AccessDenied");
    const message =
      "The source of a copy request may not specifically refer to a delete marker by version id.";
    throw new S3Error("InvalidRequest", {}, { message });
  }
  if (!decide({ account, ownerId: version.ownerId, acl: version.acl, permission: "READ" })) {
    throw new S3Error("AccessDenied");
  }
  return version;
}
