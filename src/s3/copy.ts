/** CopyObject. The store shares the bytes, so a copy of any size is one commit. */
import { createHasher, type ChecksumAlgorithm } from "../lib/hashes.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Checksum, ObjectMeta, ObjectVersion, PutInput } from "../store/types.ts";
import { checksumElement, invalidRequest, pushChecksum, readAlgorithm } from "./checksums.ts";
import { writeConditions } from "./conditions.ts";
import { findSource, type Source } from "./copysource.ts";
import { CopyObjectResult, xmlAnswer } from "./documents.ts";
import { readRedirect } from "./metadata.ts";
import { pushVersionId } from "./object.ts";
import type { Answer, ObjectContext } from "./operation.ts";
import { invalidArgument } from "./parameters.ts";
import { readPutInput, UPLOAD_BYTES_MAX } from "./put.ts";

type Headers = Readonly<Record<string, string>>;

/** PUT with `x-amz-copy-source`: a new object with the source's bytes. */
export async function copyObject(context: ObjectContext): Promise<Answer> {
  const { store, bucket, request } = context;
  const { headers } = request;
  const replaceMeta = readDirective(headers, "x-amz-metadata-directive", "Unknown metadata directive.");
  const replaceTags = readDirective(headers, "x-amz-tagging-directive", "Unknown tagging directive.");
  const asked = headers["x-amz-checksum-algorithm"];
  const algorithm = asked === undefined ? undefined : readAlgorithm(asked);
  const conditions = writeConditions(headers);
  const input = await readPutInput(context);
  const source = await findSource(context);
  const { version: original } = source;
  refuseTooLarge(original.size, "copy source");
  if (!replaceMeta) input.meta = keptMeta(original.meta, headers);
  if (!replaceTags) input.tags = original.tags;
  refuseIdle(context, source, { input, changed: replaceMeta || algorithm !== undefined });
  const checksum = await checksumOf(store, original, algorithm);
  if (checksum !== undefined) input.checksum = checksum;
  if (conditions !== undefined) input.conditions = conditions;
  const version = await store.copyObject(original, bucket, input);
  const out = [...source.headers];
  pushVersionId(out, bucket, version.versionId);
  pushChecksum(out, version.checksum);
  const result = {
    LastModified: version.lastModified,
    ETag: version.etag,
    ChecksumType: version.checksum?.type,
    ...checksumElement(version.checksum?.algorithm, version.checksum?.value),
  };
  return xmlAnswer(CopyObjectResult, result, out);
}

/** Whether a directive says REPLACE; COPY when it is missing. @throws InvalidArgument */
function readDirective(headers: Headers, name: string, message: string): boolean {
  const value = headers[name];
  if (value === undefined || value === "COPY") return false;
  if (value === "REPLACE") return true;
  throw invalidArgument(name, value, message);
}

/** The source's metadata; where a website redirects to is each object's own. */
function keptMeta(meta: ObjectMeta, headers: Headers): ObjectMeta {
  const { websiteRedirectLocation: _, ...kept } = meta;
  const redirect = readRedirect(headers);
  return redirect === undefined ? kept : { ...kept, websiteRedirectLocation: redirect };
}

/** @throws InvalidRequest */
export function refuseTooLarge(bytes: number, what: string): void {
  if (bytes <= UPLOAD_BYTES_MAX) return;
  throw invalidRequest(
    `The specified ${what} is larger than the maximum allowable size for a copy source: ${UPLOAD_BYTES_MAX}`,
  );
}

/** A copy onto itself must change something (R220). @throws InvalidRequest */
function refuseIdle(
  { bucket, key, request: { headers } }: ObjectContext,
  { version, versionNamed }: Source,
  { input, changed }: { input: PutInput; changed: boolean },
): void {
  if (changed || versionNamed || version.bucketId !== bucket.id || version.key !== key) return;
  if (headers["x-amz-storage-class"] !== undefined && input.storageClass !== version.storageClass) return;
  const redirect = headers["x-amz-website-redirect-location"];
  if (redirect !== undefined && redirect !== version.meta.websiteRedirectLocation) return;
  throw invalidRequest(
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  );
}

/** The source's own checksum; another algorithm's means reading the bytes. */
async function checksumOf(
  store: ObjectStore,
  source: ObjectVersion,
  algorithm: ChecksumAlgorithm | undefined,
): Promise<Checksum | undefined> {
  if (algorithm === undefined || source.checksum?.algorithm === algorithm) return source.checksum;
  const hasher = createHasher({ checksums: [algorithm] });
  for await (const chunk of store.read(source, 0, source.size)) hasher.update(chunk);
  return { algorithm, value: hasher.finish().checksums[algorithm]!, type: "FULL_OBJECT" };
}
