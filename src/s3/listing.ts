/** The four listings of a bucket. */
import { decide } from "../access/access.ts";
import type { ListedObject, ListQuery, Upload } from "../store/types.ts";
import {
  ListBucketResult,
  ListBucketResultV2,
  ListMultipartUploadsResult,
  ListVersionsResult,
  xmlAnswer,
  type ObjectElement,
  type OwnerElement,
  type UploadElement,
  type VersionEntry,
} from "./documents.ts";
import { compatibilityOf, type Answer, type BucketContext } from "./operation.ts";
import { ownerCache } from "./owners.ts";
import { afterToken, continuationToken, countParameter, invalidArgument } from "./parameters.ts";

/** Entries of one page, keys and common prefixes together. */
const MAX_KEYS = 1000;

type Encode = (text: string) => string;

/** Text as `encoding-type=url` shows it: a space is %20, which decoders of both habits understand; slashes stay. */
function urlEncode(text: string): string {
  return encodeURIComponent(text)
    .replaceAll("%2F", "/")
    .replace(/[!'()]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** What all four have in common. @throws S3Error InvalidArgument */
interface Common {
  readonly prefix: string;
  readonly delimiter: string;
  readonly encode: Encode;
  /** The elements that echo. */
  readonly encodingType: string | undefined;
}

function commonParameters({ request: { query } }: BucketContext): Common {
  const encodingType = query.get("encoding-type");
  if (encodingType !== undefined && encodingType !== "url") {
    throw invalidArgument("encoding-type", encodingType, "Invalid Encoding Method specified in Request");
  }
  return {
    prefix: query.get("prefix") ?? "",
    delimiter: query.get("delimiter") ?? "",
    encode: encodingType === "url" ? urlEncode : (text) => text,
    encodingType,
  };
}

/** Delimiter is echoed only when there was one. */
function echo(common: Common): {
  Prefix: string;
  Delimiter: string | undefined;
  EncodingType: string | undefined;
} {
  return {
    Prefix: common.encode(common.prefix),
    Delimiter: common.delimiter === "" ? undefined : common.encode(common.delimiter),
    EncodingType: common.encodingType,
  };
}

const prefixElements = (prefixes: readonly string[], encode: Encode) =>
  prefixes.map((prefix) => ({ Prefix: encode(prefix) }));

const EMPTY_PAGE = { objects: [], commonPrefixes: [], truncated: false, next: "" };

function objectElement(object: ListedObject, encode: Encode, owner: OwnerElement | undefined): ObjectElement {
  return {
    Key: encode(object.key),
    LastModified: object.lastModified,
    ETag: object.etag,
    ChecksumAlgorithm: object.checksum?.algorithm,
    ChecksumType: object.checksum?.type,
    Size: object.size,
    Owner: owner,
    StorageClass: object.storageClass,
  };
}

type OwnerOf = (object: ListedObject) => Promise<OwnerElement | undefined>;

/**
 * Owners of a listing of the first version. S3 shows all of them today; the guide only those of objects whose ACL
 * the requester may read, and all to the bucket's owner.
 */
function visibleOwners(context: BucketContext): OwnerOf {
  const { store, bucket, identity } = context;
  const ownerOf = ownerCache(store);
  const { account } = identity;
  if (compatibilityOf(context) === "modern" || account?.id === bucket.ownerId) {
    return (object) => ownerOf(object.ownerId);
  }
  return async (object) => {
    const found = await store.getObject(bucket, object.key);
    const readable =
      found !== undefined &&
      decide({ account, ownerId: found.version.ownerId, acl: found.version.acl, permission: "READ_ACP" });
    return readable ? await ownerOf(object.ownerId) : undefined;
  };
}

async function objectElements(
  objects: readonly ListedObject[],
  encode: Encode,
  ownerOf: OwnerOf | undefined,
): Promise<ObjectElement[]> {
  if (ownerOf === undefined) return objects.map((object) => objectElement(object, encode, undefined));
  const elements: ObjectElement[] = [];
  for (const object of objects) elements.push(objectElement(object, encode, await ownerOf(object)));
  return elements;
}

export async function listObjects(context: BucketContext): Promise<Answer> {
  const { store, bucket, request } = context;
  const { query } = request;
  const listType = query.get("list-type");
  if (listType !== undefined) throw invalidArgument("list-type", listType, "Invalid List Type");
  const common = commonParameters(context);
  const { prefix, delimiter, encode } = common;
  const maxKeys = countParameter(query, "max-keys", 0, MAX_KEYS);
  const marker = query.get("marker") ?? "";
  const wanted: ListQuery = { prefix, delimiter, after: marker, maxKeys };
  const page = maxKeys === 0 ? EMPTY_PAGE : await store.listObjects(bucket, wanted);
  return xmlAnswer(ListBucketResult, {
    Name: bucket.name,
    ...echo(common),
    Marker: encode(marker),
    NextMarker: page.truncated && delimiter !== "" ? encode(page.next) : undefined,
    MaxKeys: maxKeys,
    IsTruncated: page.truncated,
    Contents: await objectElements(page.objects, encode, visibleOwners(context)),
    CommonPrefixes: prefixElements(page.commonPrefixes, encode),
  });
}

/** RestoreStatus may be asked for; no object here was ever archived, so there is none to show. */
function checkOptionalAttributes(headers: Readonly<Record<string, string>>): void {
  const wanted = headers["x-amz-optional-object-attributes"];
  if (wanted === undefined || wanted.split(",").every((name) => name.trim() === "RestoreStatus")) return;
  throw invalidArgument("x-amz-optional-object-attributes", wanted, "Invalid attribute name specified");
}

export async function listObjectsV2(context: BucketContext): Promise<Answer> {
  const { store, bucket, request } = context;
  const { query } = request;
  const common = commonParameters(context);
  const { prefix, delimiter, encode } = common;
  const maxKeys = countParameter(query, "max-keys", 0, MAX_KEYS);
  checkOptionalAttributes(request.headers);
  const token = query.get("continuation-token");
  const startAfter = query.get("start-after");
  const after = token === undefined || token === "" ? (startAfter ?? "") : afterToken(token);
  const wanted: ListQuery = { prefix, delimiter, after, maxKeys };
  const page = maxKeys === 0 ? EMPTY_PAGE : await store.listObjects(bucket, wanted);
  const ownerOf = ownerCache(store);
  const withOwner = query.get("fetch-owner")?.toLowerCase() === "true";
  return xmlAnswer(ListBucketResultV2, {
    Name: bucket.name,
    ...echo(common),
    StartAfter: startAfter === undefined ? undefined : encode(startAfter),
    ContinuationToken: token,
    NextContinuationToken: page.truncated ? continuationToken(page.next) : undefined,
    KeyCount: page.objects.length + page.commonPrefixes.length,
    MaxKeys: maxKeys,
    IsTruncated: page.truncated,
    Contents: await objectElements(
      page.objects,
      encode,
      withOwner ? (object) => ownerOf(object.ownerId) : undefined,
    ),
    CommonPrefixes: prefixElements(page.commonPrefixes, encode),
  });
}

function versionEntry(object: ListedObject, encode: Encode, owner: OwnerElement): VersionEntry {
  const shared = {
    Key: encode(object.key),
    VersionId: object.versionId,
    IsLatest: object.isLatest,
    LastModified: object.lastModified,
    Owner: owner,
  };
  if (object.deleteMarker) return ["DeleteMarker", shared];
  return [
    "Version",
    {
      ...shared,
      ETag: object.etag,
      ChecksumAlgorithm: object.checksum?.algorithm,
      ChecksumType: object.checksum?.type,
      Size: object.size,
      StorageClass: object.storageClass,
    },
  ];
}

export async function listObjectVersions(context: BucketContext): Promise<Answer> {
  const { store, bucket, request } = context;
  const { query } = request;
  const common = commonParameters(context);
  const { prefix, delimiter, encode } = common;
  const maxKeys = countParameter(query, "max-keys", 0, MAX_KEYS);
  checkOptionalAttributes(request.headers);
  const keyMarker = query.get("key-marker") ?? "";
  const versionIdMarker = query.get("version-id-marker") ?? "";
  if (versionIdMarker !== "" && keyMarker === "") {
    const message = "A version-id marker cannot be specified without a key marker.";
    throw invalidArgument("version-id-marker", versionIdMarker, message);
  }
  const wanted = { prefix, delimiter, after: keyMarker, afterVersionId: versionIdMarker, maxKeys };
  const page =
    maxKeys === 0 ? { ...EMPTY_PAGE, nextVersionId: "" } : await store.listVersions(bucket, wanted);
  const ownerOf = ownerCache(store);
  const entries: VersionEntry[] = [];
  for (const object of page.objects) {
    entries.push(versionEntry(object, encode, await ownerOf(object.ownerId)));
  }
  return xmlAnswer(ListVersionsResult, {
    Name: bucket.name,
    ...echo(common),
    KeyMarker: encode(keyMarker),
    VersionIdMarker: versionIdMarker,
    NextKeyMarker: page.truncated ? encode(page.next) : undefined,
    NextVersionIdMarker: page.truncated && page.nextVersionId !== "" ? page.nextVersionId : undefined,
    MaxKeys: maxKeys,
    IsTruncated: page.truncated,
    Entries: entries,
    CommonPrefixes: prefixElements(page.commonPrefixes, encode),
  });
}

async function uploadElement(
  upload: Upload,
  encode: Encode,
  ownerOf: (id: string) => Promise<OwnerElement>,
): Promise<UploadElement> {
  return {
    Key: encode(upload.key),
    UploadId: upload.uploadId,
    Initiator: await ownerOf(upload.initiatorId),
    Owner: await ownerOf(upload.input.ownerId),
    StorageClass: upload.input.storageClass,
    Initiated: upload.initiatedAt,
    ChecksumAlgorithm: upload.checksumAlgorithm,
    ChecksumType: upload.checksumType,
  };
}

export async function listMultipartUploads(context: BucketContext): Promise<Answer> {
  const { store, bucket, request } = context;
  const { query } = request;
  const common = commonParameters(context);
  const { prefix, delimiter, encode } = common;
  const max = countParameter(query, "max-uploads", 1, MAX_KEYS);
  const keyMarker = query.get("key-marker") ?? "";
  // Without a key marker it is ignored, as S3 documents.
  const uploadIdMarker = keyMarker === "" ? "" : (query.get("upload-id-marker") ?? "");
  const wanted = { prefix, delimiter, afterKey: keyMarker, afterUploadId: uploadIdMarker, max };
  const page = await store.listUploads(bucket, wanted);
  const ownerOf = ownerCache(store);
  const uploads: UploadElement[] = [];
  for (const upload of page.uploads) uploads.push(await uploadElement(upload, encode, ownerOf));
  return xmlAnswer(ListMultipartUploadsResult, {
    Bucket: bucket.name,
    ...echo(common),
    KeyMarker: encode(keyMarker),
    UploadIdMarker: uploadIdMarker,
    NextKeyMarker: page.truncated ? encode(page.nextKey) : undefined,
    NextUploadIdMarker: page.truncated && page.nextUploadId !== "" ? page.nextUploadId : undefined,
    MaxUploads: max,
    IsTruncated: page.truncated,
    Upload: uploads,
    CommonPrefixes: prefixElements(page.commonPrefixes, encode),
  });
}
