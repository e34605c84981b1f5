/** The body of every row that doesn't stream: bounded, held against all that the client claimed about it. */
import { collectAtMost } from "../lib/chunks.ts";
import { createHasher } from "../lib/hashes.ts";
import { checkClaims, readClaims } from "./checksums.ts";
import { S3Error } from "./errors.ts";
import type { Context, Operation } from "./operation.ts";

/** Bytes of a document whose row says nothing else; no ordinary setting comes near. Stops uploads into memory. */
const DOCUMENT_LIMIT = 1 << 20;
/** Bytes that are read and dropped where no body is expected. Stops endless bodies on cheap operations. */
const IGNORED_LIMIT = 64 << 10;

const EMPTY = Buffer.alloc(0);
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

async function readAll({ identity, request }: Context, limit: number): Promise<Buffer> {
  const said = identity.decodedLength ?? request.http.contentLength ?? 0;
  const body = said > limit ? undefined : await collectAtMost(identity.body, limit);
  if (body !== undefined) return body;
  throw new S3Error("MaxMessageLengthExceeded", { MaxMessageLengthBytes: String(limit) });
}

/** Whether the request can have a body at all, by its framing. */
function hasBody({ http }: Context["request"]): boolean {
  return (http.contentLength ?? 0) > 0 || http.headers["transfer-encoding"] !== undefined;
}

/**
 * The document of rows that have one, verified; empty for the others, whose body is dropped, but verified too where
 * its hash was signed.
 * @throws S3Error MissingContentLength, MaxMessageLengthExceeded, BadDigest, InvalidDigest, InvalidRequest, …
 */
export async function readRequestBody(operation: Operation, context: Context): Promise<Buffer> {
  const { request, identity } = context;
  if (operation.body === "stream") return EMPTY;
  const { http } = request;
  if (operation.body !== "document") {
    const signedHash = request.headers["x-amz-content-sha256"];
    const unsigned =
      signedHash === undefined || signedHash === EMPTY_SHA256 || signedHash === "UNSIGNED-PAYLOAD";
    if (hasBody(request) || !unsigned) await readAll(context, IGNORED_LIMIT);
    return EMPTY;
  }
  if (http.contentLength === undefined && http.headers["transfer-encoding"] === undefined) {
    if (operation.optional === true) return EMPTY;
    throw new S3Error("MissingContentLength");
  }
  const read = readClaims(http.headers);
  const claims = operation.integrity === "object" ? { ...read, checksum: undefined } : read;
  if (operation.integrity === "required" && claims.md5 === undefined && claims.checksum === undefined) {
    const message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
    throw new S3Error("InvalidRequest", {}, { message });
  }
  const document = await readAll(context, operation.limit ?? DOCUMENT_LIMIT);
  if (claims.md5 === undefined && claims.checksum === undefined) return document;
  const algorithm = claims.checksum?.algorithm;
  const hasher = createHasher({
    md5: claims.md5 !== undefined,
    checksums: algorithm === undefined ? [] : [algorithm],
  });
  hasher.update(document);
  const { md5 = "", checksums } = hasher.finish();
  checkClaims(claims, { md5, checksums }, () => identity.trailers());
  return document;
}
