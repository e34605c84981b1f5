/** Multipart uploads: create, upload or copy a part, complete, abort, list parts. */
import {
  checksumHeader,
  CHECKSUM_ALGORITHMS,
  isChecksumValue,
  type ChecksumAlgorithm,
} from "../lib/hashes.ts";
import type { Upload } from "../store/types.ts";
import {
  checksumElement,
  DEFAULT_ALGORITHM,
  invalidRequest,
  readClaims,
  readUploadChecksum,
} from "./checksums.ts";
import { writeConditions } from "./conditions.ts";
import { refuseTooLarge } from "./copy.ts";
import { findSource } from "./copysource.ts";
import {
  CompleteMultipartUpload,
  CompleteMultipartUploadResult,
  CopyPartResult,
  InitiateMultipartUploadResult,
  ListPartsResult,
  readDocument,
  xmlAnswer,
} from "./documents.ts";
import { S3Error, toS3Error } from "./errors.ts";
import { refuseUnbuilt } from "./metadata.ts";
import { pushVersionId, readCount, requesterId } from "./object.ts";
import type { Answer, ObjectContext } from "./operation.ts";
import { ownerElement } from "./owners.ts";
import { committed, readLength, readPutInput, receiveBody } from "./put.ts";
import { parseCopyRange, parsePartNumber, PART_NUMBER_MAX } from "./ranges.ts";
import type { ValueOf } from "../lib/xml.ts";

/** Parts of one page of ListParts. */
const LIST_PARTS_MAX = 1000;

/** POST `?uploads`: what the object will be is said here, its bytes come as parts. */
export async function createMultipartUpload(context: ObjectContext): Promise<Answer> {
  const { store, bucket, key, request } = context;
  if (context.identity.account === undefined) {
    const message = "Anonymous users cannot initiate multipart uploads.  Please authenticate.";
    throw new S3Error("AccessDenied", {}, { message });
  }
  const checksum = readUploadChecksum(request.headers);
  const input = await readPutInput(context);
  const upload = await store.createUpload(bucket, input, {
    initiatorId: requesterId(context),
    ...(checksum.explicit ? { checksumAlgorithm: checksum.algorithm, checksumType: checksum.type } : {}),
  });
  const headers = checksum.explicit
    ? ["x-amz-checksum-algorithm", checksum.algorithm, "x-amz-checksum-type", checksum.type]
    : [];
  const result = { Bucket: bucket.name, Key: key, UploadId: upload.uploadId };
  return xmlAnswer(InitiateMultipartUploadResult, result, headers);
}

/** The upload and part number of a request. @throws NoSuchUpload, InvalidArgument */
async function readPartTarget(context: ObjectContext): Promise<{ upload: Upload; partNumber: number }> {
  const { store, bucket, key, request } = context;
  const partNumber = parsePartNumber(request.query.get("partNumber") ?? "");
  return { upload: await store.upload(bucket, key, request.query.get("uploadId") ?? ""), partNumber };
}

/** PUT of a part. A part of that number that was there is replaced. */
export async function uploadPart(context: ObjectContext): Promise<Answer> {
  const { store, request } = context;
  refuseUnbuilt(request.headers);
  const { upload, partNumber } = await readPartTarget(context);
  const claims = readClaims(request.http.headers);
  const claimed = claims.checksum?.algorithm;
  const wanted = upload.checksumAlgorithm;
  // An upload for which no checksum was chosen takes any; a part without one gets the upload's computed.
  if (wanted !== undefined && claimed !== undefined && claimed !== wanted)
    throw typeMismatch(wanted, claimed);
  const algorithm = wanted ?? DEFAULT_ALGORITHM;
  const length = readLength(context);
  const staged = await receiveBody(context, length, claims, { fallback: algorithm, also: algorithm });
  const part = await committed(staged, () => store.putPart(upload, partNumber, staged));
  const shown = claimed ?? algorithm;
  return { headers: ["ETag", `"${part.etag}"`, checksumHeader(shown), staged.checksums[shown]!] };
}

/** PUT of a part from a range of another object. */
export async function uploadPartCopy(context: ObjectContext): Promise<Answer> {
  const { store, request } = context;
  refuseUnbuilt(request.headers);
  const { upload, partNumber } = await readPartTarget(context);
  const { version, headers } = await findSource(context);
  const span = parseCopyRange(request.headers["x-amz-copy-source-range"], version.size);
  refuseTooLarge(span.end - span.start, "copy range");
  const part = await store.copyPart(upload, partNumber, version, span.start, span.end);
  const result = {
    LastModified: part.lastModified,
    ETag: part.etag,
    ...checksumElement(part.checksum?.algorithm, part.checksum?.value),
  };
  return xmlAnswer(CopyPartResult, result, headers);
}

const typeMismatch = (expected: ChecksumAlgorithm, actual: ChecksumAlgorithm): S3Error =>
  invalidRequest(
    `Checksum Type mismatch occurred, expected checksum Type: ${expected.toLowerCase()}, actual checksum Type: ${actual.toLowerCase()}`,
  );

/** POST `?uploadId` with the list of parts: they become the object, without moving a byte. */
export async function completeMultipartUpload(context: ObjectContext): Promise<Answer> {
  const { store, bucket, key, request } = context;
  const uploadId = request.query.get("uploadId") ?? "";
  refuseUnbuilt(request.headers);
  const conditions = writeConditions(request.headers);
  const { Part: listed } = readDocument(CompleteMultipartUpload, context.document);
  if (listed.length === 0 || listed.length > PART_NUMBER_MAX) throw new S3Error("MalformedXML");
  const upload = await findUpload(context, uploadId);
  const checksum = upload === undefined ? undefined : claimedWhole(context, upload);
  const expectedSize = readObjectSize(request.headers["x-amz-mp-object-size"]);
  const parts = listed.map((part) => wantedPart(part, upload));
  const version = await store.completeUpload(bucket, key, uploadId, parts, {
    ...(conditions === undefined ? {} : { conditions }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(expectedSize === undefined ? {} : { expectedSize }),
  });
  const headers: string[] = [];
  pushVersionId(headers, bucket, version.versionId);
  const result = {
    Location: locationOf(context),
    Bucket: bucket.name,
    Key: key,
    ETag: version.etag,
    ...checksumElement(version.checksum?.algorithm, version.checksum?.value),
    ChecksumType: version.checksum?.type,
  };
  return xmlAnswer(CompleteMultipartUploadResult, result, headers);
}

/** Undefined when it is gone: it may have been completed before, and the store then answers the same again. */
async function findUpload(context: ObjectContext, uploadId: string): Promise<Upload | undefined> {
  try {
    return await context.store.upload(context.bucket, context.key, uploadId);
  } catch (error) {
    if (toS3Error(error).code === "NoSuchUpload") return undefined;
    throw error;
  }
}

type ListedPart = ValueOf<typeof CompleteMultipartUpload>["Part"][number];

/** @throws InvalidPart for a checksum of another algorithm than the upload's */
function wantedPart(
  part: ListedPart,
  upload: Upload | undefined,
): { partNumber: number; etag: string; checksum?: string } {
  const wanted = { partNumber: part.PartNumber, etag: part.ETag };
  if (upload === undefined) return wanted;
  const value = part[`Checksum${upload.checksumAlgorithm ?? DEFAULT_ALGORITHM}`];
  if (upload.checksumAlgorithm !== undefined) {
    const others = CHECKSUM_ALGORITHMS.filter((algorithm) => part[`Checksum${algorithm}`] !== undefined);
    if (others.length > (value === undefined ? 0 : 1)) {
      throw new S3Error("InvalidPart", {
        UploadId: upload.uploadId,
        PartNumber: String(part.PartNumber),
        ETag: part.ETag,
      });
    }
  }
  return value === undefined ? wanted : { ...wanted, checksum: value };
}

/** The checksum that the request claims for the whole object, without `-N`. @throws InvalidRequest */
function claimedWhole(context: ObjectContext, upload: Upload): string | undefined {
  const { headers } = context.request.http;
  const algorithm = upload.checksumAlgorithm ?? DEFAULT_ALGORITHM;
  const type = upload.checksumType ?? "FULL_OBJECT";
  const claimedType = headers["x-amz-checksum-type"];
  if (claimedType !== undefined && claimedType.trim().toUpperCase() !== type) {
    throw invalidRequest(
      `The upload was created using the ${type} checksum mode. The complete request must use the same checksum mode.`,
    );
  }
  const claims = CHECKSUM_ALGORITHMS.filter((candidate) => headers[checksumHeader(candidate)] !== undefined);
  if (claims.length > 1) {
    throw invalidRequest(
      "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    );
  }
  const [claimed] = claims;
  if (claimed === undefined) return undefined;
  if (claimed !== algorithm) throw typeMismatch(algorithm, claimed);
  const header = checksumHeader(claimed);
  const value = headers[header]!.trim();
  if (!isChecksumValue(claimed, value.replace(/-\d{1,5}$/, ""))) {
    throw invalidRequest(`Value for ${header} header is invalid.`);
  }
  return value;
}

/** @throws InvalidRequest */
function readObjectSize(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,15}$/.test(header.trim())) return Number(header);
  throw invalidRequest("Value for x-amz-mp-object-size header is invalid.");
}

/** URL of the object, as this request reached it. */
function locationOf({ request, bucket, key }: ObjectContext): string {
  const host = request.http.headers["host"] ?? request.host;
  const path = key.split("/").map(encodeURIComponent).join("/");
  return `${request.secure ? "https" : "http"}://${host}/${request.hostStyle ? "" : `${bucket.name}/`}${path}`;
}

/** DELETE `?uploadId`: the parts go, and part uploads under way come to nothing. */
export async function abortMultipartUpload(context: ObjectContext): Promise<Answer> {
  const { store, bucket, key, request } = context;
  await store.abortUpload(bucket, key, request.query.get("uploadId") ?? "");
  return { status: 204 };
}

/** GET `?uploadId`: the parts so far, by number. */
export async function listParts(context: ObjectContext): Promise<Answer> {
  const { store, bucket, key, request } = context;
  const { query } = request;
  const upload = await store.upload(bucket, key, query.get("uploadId") ?? "");
  const max = readCount(query.get("max-parts"), "max-parts", LIST_PARTS_MAX, LIST_PARTS_MAX);
  const after = readCount(query.get("part-number-marker"), "part-number-marker", 0, PART_NUMBER_MAX);
  const encoding = query.get("encoding-type");
  if (encoding !== undefined && encoding !== "" && encoding.toLowerCase() !== "url") {
    const detail = { ArgumentName: "encoding-type", ArgumentValue: encoding };
    throw new S3Error("InvalidArgument", detail, { message: "Invalid Encoding Method specified in Request" });
  }
  const { parts, truncated } = await store.listParts(upload, { after, max });
  return xmlAnswer(ListPartsResult, {
    Bucket: bucket.name,
    Key: encoding ? encodeURIComponent(key).replaceAll("%2F", "/") : key,
    UploadId: upload.uploadId,
    Initiator: await ownerElement(store, upload.initiatorId),
    Owner: await ownerElement(store, upload.input.ownerId),
    StorageClass: upload.input.storageClass,
    PartNumberMarker: after,
    NextPartNumberMarker: parts.at(-1)?.partNumber ?? after,
    MaxParts: max,
    EncodingType: encoding ? "url" : undefined,
    IsTruncated: truncated,
    ChecksumAlgorithm: upload.checksumAlgorithm,
    ChecksumType: upload.checksumType,
    Part: parts.map(({ partNumber, lastModified, etag, size, checksum }) => ({
      PartNumber: partNumber,
      LastModified: lastModified,
      ETag: etag,
      Size: size,
      // A checksum that nobody asked for is not shown, as AWS does it.
      ...(upload.checksumAlgorithm === undefined
        ? {}
        : checksumElement(checksum?.algorithm, checksum?.value)),
    })),
  });
}
