/** Tags of objects: the header of a write, and the sub-resource `?tagging`. */
import type { Tags } from "../store/types.ts";
import { readDocument, Tagging, xmlAnswer } from "./documents.ts";
import { S3Error } from "./errors.ts";
import { existingVersion, pushVersionId } from "./object.ts";
import type { Answer, ObjectContext } from "./operation.ts";

/** Tags of one object, as S3 has it; bounds the records that every listing and copy carries. */
const TAGS_MAX = 10;
/** Characters of a key and of a value. */
const TAG_KEY_MAX = 128;
const TAG_VALUE_MAX = 256;
/** Letters, digits and spaces of any script, and `+ - = . _ : / @`. */
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}\p{M}_.:/=+\-@]*$/u;

const invalidTag = (message: string, detail: Record<string, string> = {}): S3Error =>
  new S3Error("InvalidTag", detail, { message });

/** @throws InvalidTag */
export function checkTags(tags: Tags): Tags {
  if (tags.length > TAGS_MAX) throw invalidTag(`Object tags cannot be greater than ${TAGS_MAX}`);
  const keys = new Set<string>();
  for (const [key, value] of tags) {
    if (key === "" || key.length > TAG_KEY_MAX || !TAG_TEXT.test(key)) {
      throw invalidTag("The TagKey you have provided is invalid", { TagKey: key });
    }
    if (value.length > TAG_VALUE_MAX || !TAG_TEXT.test(value)) {
      throw invalidTag("The TagValue you have provided is invalid", { TagKey: key, TagValue: value });
    }
    if (/^aws:/i.test(key))
      throw invalidTag("System tags cannot be added/updated by requester", { TagKey: key });
    if (keys.has(key)) throw invalidTag("Cannot provide multiple Tags with the same key", { TagKey: key });
    keys.add(key);
  }
  return tags;
}

/** @throws URIError */
const decodeFormText = (text: string): string => decodeURIComponent(text.replaceAll("+", " "));

/** The tags of an `x-amz-tagging` header, which is a URL's query. @throws InvalidArgument, InvalidTag */
export function readTagHeader(header: string | undefined): Tags {
  if (header === undefined || header === "") return [];
  const malformed = (): S3Error =>
    new S3Error(
      "InvalidArgument",
      { ArgumentName: "x-amz-tagging", ArgumentValue: header },
      {
        message:
          "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      },
    );
  const tags: Tags = [];
  for (const pair of header.split("&")) {
    const at = pair.indexOf("=");
    try {
      tags.push(
        at === -1
          ? [decodeFormText(pair), ""]
          : [decodeFormText(pair.slice(0, at)), decodeFormText(pair.slice(at + 1))],
      );
    } catch {
      throw malformed();
    }
  }
  if (new Set(tags.map(([key]) => key)).size < tags.length) throw malformed();
  return checkTags(tags);
}

export async function getObjectTagging(context: ObjectContext): Promise<Answer> {
  const version = await existingVersion(context);
  const headers: string[] = [];
  pushVersionId(headers, context.bucket, version.versionId);
  return xmlAnswer(Tagging, { TagSet: version.tags.map(([Key, Value]) => ({ Key, Value })) }, headers);
}

export async function putObjectTagging(context: ObjectContext): Promise<Answer> {
  const { TagSet } = readDocument(Tagging, context.document);
  return changeTags(context, checkTags(TagSet.map(({ Key, Value }) => [Key, Value])), 200);
}

export function deleteObjectTagging(context: ObjectContext): Promise<Answer> {
  return changeTags(context, [], 204);
}

async function changeTags(context: ObjectContext, tags: Tags, status: number): Promise<Answer> {
  const { store, bucket, key } = context;
  const version = await existingVersion(context);
  // By its id: what was authorized is this version, not one that may have replaced it meanwhile.
  await store.updateObject(bucket, key, version.versionId, { tags });
  const headers: string[] = [];
  pushVersionId(headers, bucket, version.versionId);
  return { status, headers };
}
