/** Requests that S3 knows and always refuses, each in its own words. */
import { S3Error } from "./errors.ts";
import type { Answer, BucketContext } from "./operation.ts";

/** A browser's question before a cross-origin request; no bucket has a CORS configuration yet. */
export async function preflight({ request }: BucketContext): Promise<Answer> {
  const { headers } = request;
  const method = headers["access-control-request-method"];
  if (headers["origin"] === undefined) {
    const message = "Insufficient information. Origin request header needed.";
    throw new S3Error("BadRequest", {}, { message });
  }
  if (method === undefined || !["GET", "PUT", "POST", "DELETE", "HEAD"].includes(method)) {
    const message = `Invalid Access-Control-Request-Method: ${method ?? "null"}`;
    throw new S3Error("BadRequest", {}, { message });
  }
  const ResourceType = request.key === undefined ? "BUCKET" : "OBJECT";
  throw new S3Error("AccessForbidden", { Method: method, ResourceType });
}

export async function torrentOfBucket(): Promise<Answer> {
  throw new S3Error("RequestTorrentOfBucketError");
}

export async function loggingOfKey(): Promise<Answer> {
  throw new S3Error("NoLoggingStatusForKey");
}
