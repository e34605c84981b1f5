/** GetObject and HeadObject. */
import type { ObjectVersion } from "../store/types.ts";
import { pushChecksum } from "./checksums.ts";
import { ifRangeHolds, judgeRead } from "./conditions.ts";
import { S3Error } from "./errors.ts";
import { pushMeta, readOverrides, refuseCustomerKey, STANDARD } from "./metadata.ts";
import { existingVersion, httpDate, pushVersionId } from "./object.ts";
import { compatibilityOf, type Answer, type ObjectContext } from "./operation.ts";
import { contentRange, parsePartNumber, parseRange, spanOfPart, type Span } from "./ranges.ts";

const EMPTY = Buffer.alloc(0);

/** GET of an object: the bytes, or a range or part of them, with all that is known about it in headers. */
export async function getObject(context: ObjectContext): Promise<Answer> {
  const found = await find(context);
  if ("status" in found) return found;
  const { version, headers, span, status } = found.read;
  const start = span?.start ?? 0;
  const end = span?.end ?? version.size;
  const body = context.object?.body;
  if (start === end) return { status, headers, body: EMPTY };
  if (body !== undefined)
    return { status, headers, body: span === undefined ? body : body.subarray(start, end) };
  headers.push("Content-Length", String(end - start));
  return { status, headers, body: context.store.read(version, start, end) };
}

/** HEAD of an object: what a GET with the same headers would answer, without its body. */
export async function headObject(context: ObjectContext): Promise<Answer> {
  const found = await find(context);
  if ("status" in found) return found;
  const { version, headers, span, status } = found.read;
  headers.push("Content-Length", String(span === undefined ? version.size : span.end - span.start));
  return { status, headers };
}

interface Read {
  version: ObjectVersion;
  status: number;
  headers: string[];
  /** Undefined: the whole object. */
  span: Span | undefined;
}

/** What is to be read, after conditions; or the finished answer 304. */
async function find(context: ObjectContext): Promise<{ read: Read } | (Answer & { status: number })> {
  const version = await existingVersion(context);
  const { headers, query } = context.request;
  refuseCustomerKey(headers);
  const overrides = readOverrides(query, context.identity.account === undefined);
  const rangeHolds = ifRangeHolds(headers["if-range"], version);
  const judged = judgeRead(headers, version);
  const out = [
    "ETag",
    `"${version.etag}"`,
    "Last-Modified",
    httpDate(version.lastModified),
    "Accept-Ranges",
    "bytes",
  ];
  pushVersionId(out, context.bucket, version.versionId);
  if (judged.verdict === "notModified") {
    // What a cache refreshes: RFC 9110, 15.4.5.
    if (version.meta.cacheControl !== undefined) out.push("Cache-Control", version.meta.cacheControl);
    if (version.meta.expires !== undefined) out.push("Expires", version.meta.expires);
    return { status: 304, headers: out };
  }
  // A range with a stale If-Range asks for the whole object, whatever If-Match says beside it (R202).
  if (judged.verdict === "failed" && (rangeHolds || headers["range"] === undefined)) {
    throw new S3Error("PreconditionFailed", { Condition: judged.condition });
  }
  const span = findSpan(context, version, rangeHolds);
  pushMeta(out, version.meta, compatibilityOf(context) === "2006-03-01", overrides);
  if (version.storageClass !== STANDARD) out.push("x-amz-storage-class", version.storageClass);
  if (version.tags.length > 0) out.push("x-amz-tagging-count", String(version.tags.length));
  if (span !== undefined) {
    // No Content-Range can name the bytes of an empty part.
    if (span.end > span.start) out.push("Content-Range", contentRange(span, version.size));
    if (query.has("partNumber") && version.parts !== undefined) {
      out.push("x-amz-mp-parts-count", String(version.parts.length));
    }
  } else if (headers["x-amz-checksum-mode"]?.toUpperCase() === "ENABLED") {
    // Clients hold the body against it, so only with the whole.
    pushChecksum(out, version.checksum);
  }
  const whole = span === undefined || span.start === span.end;
  return { read: { version, status: whole ? 200 : 206, headers: out, span } };
}

function findSpan(context: ObjectContext, version: ObjectVersion, rangeHolds: boolean): Span | undefined {
  const range = context.request.headers["range"];
  const partNumber = context.request.query.get("partNumber");
  if (partNumber === undefined) return rangeHolds ? parseRange(range, version.size) : undefined;
  if (range !== undefined) {
    const message = "Cannot specify both Range header and partNumber query parameter";
    throw new S3Error("InvalidRequest", {}, { message });
  }
  return spanOfPart(version, parsePartNumber(partNumber));
}
