/** What travels with an object in headers: system and user metadata, storage class; both ways. */
import type { ObjectMeta } from "../store/types.ts";
import { S3Error } from "./errors.ts";

type Headers = Readonly<Record<string, string>>;

/** Bytes of all names and values of user metadata; stops objects whose headers no client could read back (R79). */
const USER_METADATA_BYTES_MAX = 2048;

const USER_PREFIX = "x-amz-meta-";

/** System metadata that is kept as given: our name for it, the header, the parameter that overrides it in a GET. */
const SYSTEM = [
  ["contentType", "Content-Type", "response-content-type"],
  ["cacheControl", "Cache-Control", "response-cache-control"],
  ["contentDisposition", "Content-Disposition", "response-content-disposition"],
  ["contentEncoding", "Content-Encoding", "response-content-encoding"],
  ["contentLanguage", "Content-Language", "response-content-language"],
  ["expires", "Expires", "response-expires"],
] as const satisfies readonly (readonly [keyof ObjectMeta, string, string])[];

const DEFAULT_CONTENT_TYPE = "binary/octet-stream";

/**
 * The metadata that a request's headers ask to store. @throws MetadataTooLarge, InvalidArgument for a redirect location
 * that is neither a path nor an http(s) URL
 */
export function readMeta(headers: Headers): ObjectMeta {
  const meta: ObjectMeta = {};
  const type = headers["content-type"];
  if (type !== undefined && type !== "") meta.contentType = type;
  if (headers["cache-control"] !== undefined) meta.cacheControl = headers["cache-control"];
  if (headers["content-disposition"] !== undefined) meta.contentDisposition = headers["content-disposition"];
  if (headers["content-language"] !== undefined) meta.contentLanguage = headers["content-language"];
  if (headers["expires"] !== undefined) meta.expires = headers["expires"];
  const encoding = storedEncoding(headers["content-encoding"]);
  if (encoding !== undefined) meta.contentEncoding = encoding;
  const redirect = readRedirect(headers);
  if (redirect !== undefined) meta.websiteRedirectLocation = redirect;
  const user = readUserMeta(headers);
  if (user !== undefined) meta.user = user;
  return meta;
}

/** `aws-chunked` is how the body travelled, not what the object is. */
function storedEncoding(value: string | undefined): string | undefined {
  if (value === undefined || !/aws-chunked/i.test(value)) return value;
  const rest = value.split(",").filter((token) => token.trim().toLowerCase() !== "aws-chunked");
  return rest.length === 0 ? undefined : rest.map((token) => token.trim()).join(",");
}

/** `x-amz-website-redirect-location`; copies read it even where they keep the source's metadata. @throws InvalidArgument */
export function readRedirect(headers: Headers): string | undefined {
  const location = headers["x-amz-website-redirect-location"];
  if (location === undefined || /^(?:\/|https?:\/\/)/.test(location)) return location;
  throw new S3Error(
    "InvalidArgument",
    { ArgumentName: "x-amz-website-redirect-location", ArgumentValue: location },
    { message: "The website redirect location must have a prefix of 'http://' or 'https://' or '/'." },
  );
}

function readUserMeta(headers: Headers): Record<string, string> | undefined {
  let user: Record<string, string> | undefined;
  let bytes = 0;
  for (const header in headers) {
    if (!header.startsWith(USER_PREFIX)) continue;
    const name = header.slice(USER_PREFIX.length);
    const value = headers[header]!;
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    // Without a prototype: a client may call its metadata __proto__.
    user ??= Object.create(null) as Record<string, string>;
    user[name] = decodeWords(value);
  }
  if (bytes > USER_METADATA_BYTES_MAX) {
    throw new S3Error("MetadataTooLarge", {
      Size: String(bytes),
      MaxSizeAllowed: String(USER_METADATA_BYTES_MAX),
    });
  }
  return user;
}

const ENCODED_WORD = /=\?([a-z0-9_-]{1,40})\?([bq])\?([^?\s]*)\?=/gi;
/** White space between two encoded words is not part of the text (RFC 2047, 6.2). */
const BETWEEN_WORDS = /(\?=)[ \t]+(?==\?)/g;

/** Text of a header value whose RFC 2047 encoded words are decoded; words that can't be are left as they are. */
export function decodeWords(value: string): string {
  if (!value.includes("=?")) return value;
  return value
    .replace(BETWEEN_WORDS, "$1")
    .replace(ENCODED_WORD, (word, charset: string, kind: string, data: string) => {
      const bytes = kind.toLowerCase() === "b" ? decodeBase64(data) : decodeQuoted(data);
      if (bytes === undefined) return word;
      try {
        return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        return word;
      }
    });
}

function decodeBase64(data: string): Buffer | undefined {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(data) ? Buffer.from(data, "base64") : undefined;
}

function decodeQuoted(data: string): Buffer {
  const bytes = data
    .replaceAll("_", " ")
    .replaceAll(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1");
}

/** One encoded word, whatever its length, as S3 answers it. */
export const encodeWord = (text: string): string => `=?UTF-8?B?${Buffer.from(text).toString("base64")}?=`;

// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f]/;
// eslint-disable-next-line no-control-regex
const BEYOND_ASCII = /[^\u0000-\u007f]/;

/**
 * Appends the headers of stored metadata, `overrides` (header names) winning. Values that no header can hold are
 * counted in `x-amz-missing-meta` (R84); text outside ASCII is encoded, or counted too when `legacy` (R85).
 */
export function pushMeta(
  out: string[],
  meta: ObjectMeta,
  legacy: boolean,
  overrides?: ReadonlyMap<string, string>,
): void {
  for (const [field, header] of SYSTEM) {
    const value =
      overrides?.get(header) ?? meta[field] ?? (field === "contentType" ? DEFAULT_CONTENT_TYPE : undefined);
    if (value !== undefined) out.push(header, value);
  }
  if (meta.websiteRedirectLocation !== undefined) {
    out.push("x-amz-website-redirect-location", meta.websiteRedirectLocation);
  }
  if (meta.user === undefined) return;
  let missing = 0;
  for (const name of Object.keys(meta.user)) {
    const value = meta.user[name]!;
    const foreign = BEYOND_ASCII.test(value);
    if (UNPRINTABLE.test(value) || (foreign && legacy)) missing++;
    else out.push(USER_PREFIX + name, foreign ? encodeWord(value) : value);
  }
  if (missing > 0) out.push("x-amz-missing-meta", String(missing));
}

/**
 * The `response-*` parameters of a GET or HEAD, by the header they replace; undefined when there are none.
 * @throws InvalidRequest for anonymous requests, InvalidArgument for what no header can hold
 */
export function readOverrides(
  query: ReadonlyMap<string, string>,
  anonymous: boolean,
): ReadonlyMap<string, string> | undefined {
  if (query.size === 0) return undefined;
  let overrides: Map<string, string> | undefined;
  for (const [, header, parameter] of SYSTEM) {
    const value = query.get(parameter);
    if (value === undefined) continue;
    if (anonymous) {
      const message = "Request specific response headers cannot be used for anonymous GET requests.";
      throw new S3Error("InvalidRequest", {}, { message });
    }
    // A line break would let a link write further headers of the answer.
    if (UNPRINTABLE.test(value)) {
      throw new S3Error("InvalidArgument", { ArgumentName: parameter, ArgumentValue: value });
    }
    overrides ??= new Map();
    overrides.set(header, value);
  }
  return overrides;
}

export const STANDARD = "STANDARD";
/** Classes that a client may name; all are kept alike and reported back. */
const STORAGE_CLASSES: ReadonlySet<string> = new Set([
  STANDARD,
  "REDUCED_REDUNDANCY",
  "STANDARD_IA",
  "ONEZONE_IA",
  "INTELLIGENT_TIERING",
  "GLACIER",
  "DEEP_ARCHIVE",
  "GLACIER_IR",
]);

/** @throws InvalidStorageClass */
export function readStorageClass(headers: Headers): string {
  const given = headers["x-amz-storage-class"];
  if (given === undefined) return STANDARD;
  if (STORAGE_CLASSES.has(given)) return given;
  throw new S3Error("InvalidStorageClass", { StorageClassRequested: given });
}

const ENCRYPTION = "x-amz-server-side-encryption";
const COPY_ENCRYPTION = "x-amz-copy-source-server-side-encryption";

/**
 * Refuses what a write asks for and this server does not do: it would be stored unprotected, and answered 200.
 * @throws NotImplemented, InvalidRequest
 */
export function refuseUnbuilt(headers: Headers): void {
  for (const header in headers) {
    if (!header.startsWith("x-amz-")) continue;
    if (header.startsWith(ENCRYPTION) || header.startsWith(COPY_ENCRYPTION)) {
      throw new S3Error(
        "NotImplemented",
        { Header: header },
        { message: "Server side encryption is not implemented." },
      );
    }
    if (header.startsWith("x-amz-object-lock-")) {
      throw new S3Error("InvalidRequest", {}, { message: "Bucket is missing Object Lock Configuration" });
    }
    if (header === "x-amz-write-offset-bytes") {
      throw new S3Error(
        "NotImplemented",
        { Header: header },
        { message: "Appending to objects is not implemented." },
      );
    }
  }
}

/** Refuses a customer's key on a read: no object here was encrypted with one. @throws InvalidRequest */
export function refuseCustomerKey(headers: Headers): void {
  if (
    headers[`${ENCRYPTION}-customer-algorithm`] === undefined &&
    headers[`${ENCRYPTION}-customer-key`] === undefined
  ) {
    return;
  }
  const message = "The encryption parameters are not applicable to this object.";
  throw new S3Error("InvalidRequest", {}, { message });
}
