/** PutObject, and how any upload's body is received. */
import type { ChecksumAlgorithm } from "../lib/hashes.ts";
import type { Checksum, PutInput, Staged } from "../store/types.ts";
import { checkClaims, DEFAULT_ALGORITHM, pushChecksum, readClaims, type Claims } from "./checksums.ts";
import { writeConditions } from "./conditions.ts";
import { S3Error } from "./errors.ts";
import { aclFromHeaders } from "./grants.ts";
import { readMeta, readStorageClass, refuseUnbuilt } from "./metadata.ts";
import { pushVersionId, requesterId } from "./object.ts";
import type { Answer, ObjectContext } from "./operation.ts";
import { readTagHeader } from "./tagging.ts";

/** Bytes of one PUT, one part or one copy: S3's limit, and what bounds a single transfer here. */
export const UPLOAD_BYTES_MAX = 5 * 1024 ** 3;

/** Everything but the bytes that a request says about the object it makes. @throws S3Error of each header */
export async function readPutInput(context: ObjectContext): Promise<PutInput> {
  const { headers } = context.request;
  refuseUnbuilt(headers);
  const ownerId = requesterId(context);
  return {
    key: context.key,
    ownerId,
    meta: readMeta(headers),
    tags: readTagHeader(headers["x-amz-tagging"]),
    storageClass: readStorageClass(headers),
    acl: await aclFromHeaders(context.store, headers, { ownerId, bucketOwnerId: context.bucket.ownerId }),
  };
}

/** Length of the body, known before it is read. @throws MissingContentLength, EntityTooLarge */
export function readLength(context: ObjectContext): number {
  const length = context.identity.decodedLength;
  if (length === undefined) throw new S3Error("MissingContentLength");
  if (length > UPLOAD_BYTES_MAX) {
    throw new S3Error("EntityTooLarge", {
      ProposedSize: String(length),
      MaxSizeAllowed: String(UPLOAD_BYTES_MAX),
    });
  }
  return length;
}

/**
 * Receives the request's body, of a `length` that `readLength` gave, and holds it against the claims. The checksums are
 * that of the claim, or `fallback` where there is none, and `also`. Nothing is left behind when it throws.
 */
export async function receiveBody(
  context: ObjectContext,
  length: number,
  claims: Claims,
  algorithms: { fallback: ChecksumAlgorithm; also?: ChecksumAlgorithm | undefined },
): Promise<Staged> {
  const { store, identity } = context;
  const checksums = [claims.checksum?.algorithm ?? algorithms.fallback];
  if (algorithms.also !== undefined && !checksums.includes(algorithms.also)) checksums.push(algorithms.also);
  const staged = await store.receive(identity.body, { size: length, maxSize: UPLOAD_BYTES_MAX, checksums });
  try {
    if (staged.size !== length) throw new S3Error("IncompleteBody");
    checkClaims(claims, staged, () => identity.trailers());
    return staged;
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

/** PUT of an object: read to its end, verified and durable before the answer. */
export async function putObject(context: ObjectContext): Promise<Answer> {
  const { store, bucket, request } = context;
  const conditions = writeConditions(request.headers);
  // Not request.headers: what a presigned URL says of a body that it doesn't know is no claim.
  const claims = readClaims(request.http.headers);
  const length = readLength(context);
  const input = await readPutInput(context);
  const staged = await receiveBody(context, length, claims, { fallback: DEFAULT_ALGORITHM });
  const algorithm = claims.checksum?.algorithm ?? DEFAULT_ALGORITHM;
  const checksum: Checksum = { algorithm, value: staged.checksums[algorithm]!, type: "FULL_OBJECT" };
  input.checksum = checksum;
  if (conditions !== undefined) input.conditions = conditions;
  const version = await committed(staged, () => store.putObject(bucket, input, staged));
  const headers = ["ETag", `"${version.etag}"`];
  pushVersionId(headers, bucket, version.versionId);
  pushChecksum(headers, checksum);
  return { headers };
}

/** Runs the commit that names staged bytes; removes them when it is refused. */
export async function committed<T>(staged: Staged, commit: () => Promise<T>): Promise<T> {
  try {
    return await commit();
  } catch (error) {
    await staged.discard();
    throw error;
  }
}
