/** GetObjectAttributes: what is known of an object and its parts, without its bytes. */
import type { ObjectVersion } from "../store/types.ts";
import type { ValueOf } from "../lib/xml.ts";
import { checksumElement } from "./checksums.ts";
import { GetObjectAttributesResponse, xmlAnswer } from "./documents.ts";
import { S3Error } from "./errors.ts";
import { refuseCustomerKey } from "./metadata.ts";
import { existingVersion, httpDate, pushVersionId, readCount } from "./object.ts";
import type { Answer, ObjectContext } from "./operation.ts";

/** Parts of one answer. */
const PARTS_MAX = 1000;

const ATTRIBUTES = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"] as const;
type Attribute = (typeof ATTRIBUTES)[number];
type Response = ValueOf<typeof GetObjectAttributesResponse>;

export async function getObjectAttributes(context: ObjectContext): Promise<Answer> {
  const { headers } = context.request;
  const wanted = readAttributes(headers["x-amz-object-attributes"]);
  refuseCustomerKey(headers);
  const version = await existingVersion(context);
  const response: Response = {};
  if (wanted.has("ETag")) response.ETag = version.etag;
  if (wanted.has("Checksum") && version.checksum !== undefined) {
    const { algorithm, value, type } = version.checksum;
    // Without the number of parts here, unlike in headers.
    response.Checksum = { ...checksumElement(algorithm, value.replace(/-\d+$/, "")), ChecksumType: type };
  }
  if (wanted.has("ObjectParts") && version.parts !== undefined) {
    response.ObjectParts = partsElement(version, {
      after: readCount(headers["x-amz-part-number-marker"], "part-number-marker", 0, 2 ** 31 - 1),
      max: readCount(headers["x-amz-max-parts"], "max-parts", PARTS_MAX, PARTS_MAX),
    });
  }
  if (wanted.has("StorageClass")) response.StorageClass = version.storageClass;
  if (wanted.has("ObjectSize")) response.ObjectSize = version.size;
  const out = ["Last-Modified", httpDate(version.lastModified)];
  pushVersionId(out, context.bucket, version.versionId);
  return xmlAnswer(GetObjectAttributesResponse, response, out);
}

/** @throws InvalidArgument when the header is missing, empty or names an unknown attribute */
function readAttributes(header: string | undefined): ReadonlySet<Attribute> {
  const detail = { ArgumentName: "x-amz-object-attributes", ArgumentValue: header ?? "" };
  const wanted = new Set<Attribute>();
  for (const name of (header ?? "").split(",")) {
    const clean = name.trim();
    if (clean === "") continue;
    const attribute = ATTRIBUTES.find((candidate) => candidate === clean);
    if (attribute === undefined)
      throw new S3Error("InvalidArgument", detail, { message: "Invalid attribute name specified." });
    wanted.add(attribute);
  }
  if (wanted.size === 0) {
    const message =
      "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty";
    throw new S3Error("InvalidArgument", detail, { message });
  }
  return wanted;
}

function partsElement(version: ObjectVersion, page: { after: number; max: number }): Response["ObjectParts"] {
  const parts = version.parts ?? [];
  const later = parts.filter(({ partNumber }) => partNumber > page.after);
  const shown = later.slice(0, page.max);
  return {
    PartsCount: parts.length,
    PartNumberMarker: page.after,
    NextPartNumberMarker: shown.at(-1)?.partNumber ?? page.after,
    MaxParts: page.max,
    IsTruncated: shown.length < later.length,
    Part: shown.map(({ partNumber, size, checksum }) => ({
      PartNumber: partNumber,
      Size: size,
      ...checksumElement(version.checksum?.algorithm, checksum),
    })),
  };
}
