/** What the handlers of objects share: the version asked for, its headers, the requester. */
import { ANONYMOUS_ID, type Bucket, type ObjectVersion } from "../store/types.ts";
import { S3Error } from "./errors.ts";
import type { Context, ObjectContext } from "./operation.ts";

/** Canonical id under which what this request writes is owned. */
export const requesterId = (context: Context): string => context.identity.account?.id ?? ANONYMOUS_ID;

/** `Sun, 01 Jan 2006 12:00:00 GMT` */
export const httpDate = (ms: number): string => new Date(ms).toUTCString();

/** Appends `x-amz-version-id`, which buckets that were never versioned don't have. */
export function pushVersionId(out: string[], bucket: Bucket, versionId: string): void {
  if (bucket.versioning !== "Off" || versionId !== "null") out.push("x-amz-version-id", versionId);
}

/**
 * The version that the request is about. @throws NoSuchKey, MethodNotAllowed for a delete marker named by its version
 * id; both say in their headers when a delete marker is the reason
 */
export async function existingVersion(context: ObjectContext): Promise<ObjectVersion> {
  const { request, bucket, key } = context;
  const versionId = request.query.get("versionId");
  // Rows whose permission is on the bucket don't load the object.
  const version =
    context.object?.version ??
    (await context.store.getObject(bucket, key, versionId === undefined ? {} : { versionId }))?.version;
  if (version === undefined) throw new S3Error("NoSuchKey", { Key: key });
  if (!version.deleteMarker) return version;
  const headers = ["x-amz-delete-marker", "true", "x-amz-version-id", version.versionId];
  if (versionId === undefined) throw new S3Error("NoSuchKey", { Key: key }, { headers });
  headers.push("Allow", "DELETE", "Last-Modified", httpDate(version.lastModified));
  throw new S3Error(
    "MethodNotAllowed",
    { Method: request.http.method, ResourceType: "DeleteMarker" },
    { headers },
  );
}

/**
 * An integer of a query parameter or header, cut to `max`; `fallback` when there is none.
 * @throws InvalidArgument unless it is an integer from 0 to 2^31 - 1
 */
export function readCount(text: string | undefined, name: string, fallback: number, max: number): number {
  if (text === undefined || text === "") return fallback;
  if (/^\d{1,10}$/.test(text) && Number(text) <= 2 ** 31 - 1) return Math.min(Number(text), max);
  throw new S3Error(
    "InvalidArgument",
    { ArgumentName: name, ArgumentValue: text },
    { message: `Provided ${name} not an integer or within integer range` },
  );
}
