/** DeleteObject and DeleteObjects. */
import type { WriteConditions } from "../store/types.ts";
import { deleteConditions, parseHttpDate, singleEtag } from "./conditions.ts";
import { Delete, DeleteResult, readDocument, xmlAnswer, type DeleteEntry } from "./documents.ts";
import { S3Error, toS3Error } from "./errors.ts";
import { requesterId } from "./object.ts";
import type { Answer, BucketContext, ObjectContext } from "./operation.ts";
import type { ValueOf } from "../lib/xml.ts";

/** Keys of one DeleteObjects, as S3 has it; bounds the work of one request. */
const DELETE_KEYS_MAX = 1000;
/** Deletes under way at once: enough to share commits, too few to fill the writer's queue for all others. */
const DELETES_AT_ONCE = 64;
/** Bytes of a key. */
const KEY_BYTES_MAX = 1024;

/** DELETE of an object, or of one version: 204, whether there was one or not. */
export async function deleteObject(context: ObjectContext): Promise<Answer> {
  const { store, bucket, key, request } = context;
  const versionId = request.query.get("versionId");
  const conditions = deleteConditions(request.headers);
  const result = await store.deleteObject(bucket, key, {
    ownerId: requesterId(context),
    ...(versionId === undefined ? {} : { versionId }),
    ...(conditions === undefined ? {} : { conditions }),
  });
  const headers: string[] = [];
  if (result.deleteMarker) headers.push("x-amz-delete-marker", "true");
  if (result.versionId !== undefined) headers.push("x-amz-version-id", result.versionId);
  return { status: 204, headers };
}

type Identifier = ValueOf<typeof Delete>["Object"][number];

/** POST `?delete`: up to 1000 keys, each with a result of its own. */
export async function deleteObjects(context: BucketContext): Promise<Answer> {
  const { Object: objects, Quiet: quiet } = readDocument(Delete, context.document);
  if (objects.length === 0 || objects.length > DELETE_KEYS_MAX) throw new S3Error("MalformedXML");
  const entries: (DeleteEntry | undefined)[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < objects.length) {
      const index = next++;
      entries[index] = await deleteOne(context, objects[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(DELETES_AT_ONCE, objects.length) }, worker));
  const shown = entries.filter((entry) => entry !== undefined && (quiet !== true || entry[0] === "Error"));
  return xmlAnswer(DeleteResult, { Entries: shown as DeleteEntry[] });
}

async function deleteOne(context: BucketContext, object: Identifier): Promise<DeleteEntry> {
  const { store, bucket } = context;
  const { Key, VersionId } = object;
  try {
    if (Key === "") throw new S3Error("UserKeyMustBeSpecified");
    if (Buffer.byteLength(Key) > KEY_BYTES_MAX) throw new S3Error("KeyTooLongError");
    const conditions = identifierConditions(object);
    const result = await store.deleteObject(bucket, Key, {
      ownerId: requesterId(context),
      ...(VersionId === undefined ? {} : { versionId: VersionId }),
      ...(conditions === undefined ? {} : { conditions }),
    });
    const marker = result.deleteMarker ? { DeleteMarker: true, DeleteMarkerVersionId: result.versionId } : {};
    return ["Deleted", { Key, VersionId, ...marker }];
  } catch (error) {
    const { code, message, status } = toS3Error(error);
    if (status === 500) context.log.error({ err: error, key: Key }, "a delete of many failed");
    return ["Error", { Key, VersionId, Code: code, Message: message }];
  }
}

/** @throws InvalidArgument, NotImplemented */
function identifierConditions({ ETag, Size, LastModifiedTime }: Identifier): WriteConditions | undefined {
  const conditions: WriteConditions = {};
  if (ETag !== undefined) conditions.ifMatch = singleEtag(ETag, "ETag");
  if (Size !== undefined) conditions.ifMatchSize = Size;
  if (LastModifiedTime !== undefined) {
    const date = parseHttpDate(LastModifiedTime);
    if (date === undefined) {
      throw new S3Error("InvalidArgument", {
        ArgumentName: "LastModifiedTime",
        ArgumentValue: LastModifiedTime,
      });
    }
    conditions.ifMatchLastModified = date;
  }
  return Object.keys(conditions).length === 0 ? undefined : conditions;
}
