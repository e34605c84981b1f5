/** Signature version 4, in the Authorization header and in presigned URLs. Chunks and trailers are in chunked.ts. */
import { createHmac, hash } from "node:crypto";
import { EMPTY_SHA256 } from "./chunked.ts";
import { S3Error } from "./errors.ts";
import type { S3Request } from "./request.ts";
import {
  checkSkew,
  isoTime,
  MAX_SKEW_MS,
  missingDate,
  parseDate,
  parseStamp,
  sameSignature,
  signatureDoesNotMatch,
  type SigningKey,
} from "./signing.ts";

/** Longest life of a presigned URL, in seconds: seven days, S3's own limit. */
const MAX_EXPIRES_S = 604_800;
/** Names in SignedHeaders. Stops a list of thousands from being looked up one by one. */
const MAX_SIGNED_HEADERS = 100;

/** A V4 signature as the client sent it; nothing is verified yet but its form and its time. */
export interface V4Claim {
  readonly accessKeyId: string;
  /** `20130524`. */
  readonly date: string;
  readonly region: string;
  /** `20130524T000000Z`. */
  readonly stamp: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** The last line of the canonical request: x-amz-content-sha256, or UNSIGNED-PAYLOAD in a URL without it. */
  readonly payloadHash: string;
  readonly presigned: boolean;
}

interface Scope {
  readonly now: number;
  readonly region: string;
  readonly locations: readonly string[];
}

const HEADER =
  /^AWS4-HMAC-SHA256 +Credential=([^\s,]+)(?:\s*,\s*|\s+)SignedHeaders=([^\s,]+)(?:\s*,\s*|\s+)Signature=([^\s,]+)$/;
/** What a literal or named payload hash may be; streaming ones are told apart in auth.ts. */
const SHA256 = /^[0-9a-fA-F]{64}$/;

/**
 * @throws S3Error AuthorizationHeaderMalformed (with Region when that is what is wrong), AccessDenied without a valid
 * date, RequestTimeTooSkewed, InvalidRequest without x-amz-content-sha256
 */
export function parseV4Header(request: S3Request, authorization: string, scope: Scope): V4Claim {
  const { credential, signedHeaders, signature } = splitAuthorization(authorization);
  const parts = splitCredential(credential);
  if (typeof parts === "string") throw malformed(parts);
  const sent = request.headers["x-amz-date"] ?? request.headers["date"];
  const time = sent === undefined ? undefined : (parseStamp(sent) ?? parseDate(sent));
  if (sent === undefined || time === undefined) throw missingDate();
  checkSkew(time, sent, scope.now);
  const stamp = sent.length === 16 ? sent : isoTime(time).replaceAll(/[-:]/g, "");
  if (!stamp.startsWith(parts.date)) {
    const day = stamp.slice(0, 8);
    throw malformed(
      `Invalid credential date "${parts.date}". This date is not the same as X-Amz-Date: "${day}".`,
    );
  }
  if (parts.region !== scope.region && !scope.locations.includes(parts.region)) {
    throw malformed(`the region '${parts.region}' is wrong; expecting '${scope.region}'`, {
      Region: scope.region,
    });
  }
  const payloadHash = request.headers["x-amz-content-sha256"] ?? hashOfNothing(request);
  if (payloadHash === undefined) {
    const message = "Missing required header for this request: x-amz-content-sha256";
    throw new S3Error("InvalidRequest", {}, { message });
  }
  const names = signedHeaders.split(";");
  if (names.length > MAX_SIGNED_HEADERS) throw malformed("SignedHeaders is too long.");
  // Written out: spreading costs a microsecond, and this is every request's way.
  return {
    accessKeyId: parts.accessKeyId,
    date: parts.date,
    region: parts.region,
    stamp,
    signedHeaders: names,
    signature,
    payloadHash,
    presigned: false,
  };
}

function malformed(message: string, detail: Record<string, string> = {}): S3Error {
  return new S3Error("AuthorizationHeaderMalformed", detail, {
    message: `The authorization header is malformed; ${message}`,
  });
}

function splitAuthorization(authorization: string) {
  const usual = HEADER.exec(authorization);
  if (usual !== null) return { credential: usual[1]!, signedHeaders: usual[2]!, signature: usual[3]! };
  const components = new Map<string, string>();
  const list = authorization.slice(authorization.indexOf(" ") + 1).split(",", 4);
  for (const component of list) {
    const equals = component.indexOf("=");
    if (equals === -1) throw malformed(`the authorization component "${component.trim()}" is malformed.`);
    components.set(component.slice(0, equals).trim(), component.slice(equals + 1).trim());
  }
  if (list.length !== 3) {
    throw malformed(
      "the authorization header requires three components: Credential, SignedHeaders, and Signature.",
    );
  }
  const component = (name: string): string => {
    const value = components.get(name);
    if (value === undefined || value === "") throw malformed(`missing ${name}.`);
    return value;
  };
  return {
    credential: component("Credential"),
    signedHeaders: component("SignedHeaders"),
    signature: component("Signature"),
  };
}

/** The parts, or what is wrong with them in S3's words. An access key id may hold slashes: it is what is left over. */
function splitCredential(text: string): { accessKeyId: string; date: string; region: string } | string {
  const end = text.lastIndexOf("/");
  const serviceAt = text.lastIndexOf("/", end - 1);
  const regionAt = text.lastIndexOf("/", serviceAt - 1);
  const dateAt = text.lastIndexOf("/", regionAt - 1);
  if (dateAt < 1 || regionAt <= dateAt || serviceAt <= regionAt + 1 || end <= serviceAt) {
    return 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".';
  }
  const date = text.slice(dateAt + 1, regionAt);
  const service = text.slice(serviceAt + 1, end);
  const terminal = text.slice(end + 1);
  if (terminal !== "aws4_request") {
    return `incorrect terminal "${terminal}". This endpoint uses "aws4_request".`;
  }
  if (service !== "s3") return `incorrect service "${service}". This endpoint belongs to "s3".`;
  if (!/^\d{8}$/.test(date)) {
    return `incorrect date format "${date}". This date in the credential must be in the format "yyyyMMdd".`;
  }
  return { accessKeyId: text.slice(0, dateAt), date, region: text.slice(regionAt + 1, serviceAt) };
}

const badParameter = (message: string, detail: Record<string, string> = {}) =>
  new S3Error("AuthorizationQueryParametersError", detail, { message });

/**
 * @throws S3Error AuthorizationQueryParametersError, UnsupportedSignature, and AccessDenied for a URL that has expired
 * or is not valid yet
 */
export function parseV4Query(request: S3Request, scope: Scope): V4Claim {
  const { query } = request;
  const algorithm = query.get("X-Amz-Algorithm");
  const credential = query.get("X-Amz-Credential");
  const signature = query.get("X-Amz-Signature");
  const stamp = query.get("X-Amz-Date");
  const signedHeaders = query.get("X-Amz-SignedHeaders");
  const expires = query.get("X-Amz-Expires");
  if (!algorithm || !credential || !signature || !stamp || !signedHeaders || !expires) {
    throw badParameter(
      "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
    );
  }
  if (algorithm === "AWS4-ECDSA-P256-SHA256") throw new S3Error("UnsupportedSignature");
  if (algorithm !== "AWS4-HMAC-SHA256")
    throw badParameter('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"');
  const parts = splitCredential(credential);
  if (typeof parts === "string") throw badParameter(`Error parsing the X-Amz-Credential parameter; ${parts}`);
  const time = parseStamp(stamp);
  if (time === undefined) {
    throw badParameter(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`);
  }
  checkLifetime(time, expires, scope.now);
  if (!stamp.startsWith(parts.date)) {
    const day = stamp.slice(0, 8);
    throw badParameter(
      `Invalid credential date "${parts.date}". This date is not the same as X-Amz-Date: "${day}".`,
    );
  }
  if (parts.region !== scope.region && !scope.locations.includes(parts.region)) {
    throw badParameter(
      `Error parsing the X-Amz-Credential parameter; the region '${parts.region}' is wrong; expecting '${scope.region}'`,
      { Region: scope.region },
    );
  }
  const names = signedHeaders.split(";");
  if (names.length > MAX_SIGNED_HEADERS) throw badParameter("X-Amz-SignedHeaders is too long.");
  const payloadHash = request.headers["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD";
  return {
    accessKeyId: parts.accessKeyId,
    date: parts.date,
    region: parts.region,
    stamp,
    signedHeaders: names,
    signature,
    payloadHash,
    presigned: true,
  };
}

function checkLifetime(time: number, expires: string, now: number): void {
  if (!/^-?\d{1,15}$/.test(expires)) throw badParameter("X-Amz-Expires should be a number");
  const seconds = Number(expires);
  if (seconds < 0) throw badParameter("X-Amz-Expires must be non-negative");
  if (seconds === 0) throw badParameter("X-Amz-Expires must be at least one second");
  if (seconds > MAX_EXPIRES_S) {
    throw badParameter(
      "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
    );
  }
  if (time - now > MAX_SKEW_MS) {
    const detail = { "X-Amz-Date": isoTime(time), ServerTime: isoTime(now) };
    throw new S3Error("AccessDenied", detail, { message: "Request is not valid yet" });
  }
  const end = time + seconds * 1000;
  if (now <= end) return;
  const detail = { "X-Amz-Expires": expires, Expires: isoTime(end), ServerTime: isoTime(now) };
  throw new S3Error("AccessDenied", detail, { message: "Request has expired" });
}

/**
 * Tries each Host that the client may have signed, and for paths with unusual escapes each way of writing them that
 * clients sign; all of them name the same bucket, key and parameters.
 * @throws S3Error AccessDenied with HeadersNotSigned, SignatureDoesNotMatch
 */
export function verifyV4(request: S3Request, claim: V4Claim, signing: SigningKey): void {
  checkSignedHeaders(request, claim);
  const query = canonicalQuery(request.http.rawQuery, claim.presigned);
  const tail = `${claim.signedHeaders.join(";")}\n${claim.payloadHash}`;
  let first: { stringToSign: string; canonicalRequest: string } | undefined;
  const hosts = request.signedHosts.length === 0 ? [""] : request.signedHosts;
  for (const path of canonicalPaths(request.http.path)) {
    for (const host of hosts) {
      const canonicalRequest = `${request.http.method}\n${path}\n${query}\n${canonicalHeaders(request, claim, host)}\n${tail}`;
      const digest = hash("sha256", canonicalRequest, "hex");
      const stringToSign = `AWS4-HMAC-SHA256\n${claim.stamp}\n${signing.scope}\n${digest}`;
      const expected = createHmac("sha256", signing.key).update(stringToSign).digest("hex");
      if (sameSignature(expected, claim.signature)) return;
      first ??= { stringToSign, canonicalRequest };
    }
  }
  throw signatureDoesNotMatch({
    accessKeyId: claim.accessKeyId,
    provided: claim.signature,
    stringToSign: first!.stringToSign,
    canonicalRequest: first!.canonicalRequest,
  });
}

/** Host, every x-amz-* header and Content-MD5 must be signed, or somebody could have added them on the way. */
function checkSignedHeaders(request: S3Request, claim: V4Claim): void {
  const { headers } = request.http;
  let missing: string[] | undefined;
  if (!claim.signedHeaders.includes("host")) missing = ["host"];
  for (const name in headers) {
    if (!name.startsWith("x-amz-") && name !== "content-md5") continue;
    if (!claim.signedHeaders.includes(name)) (missing ??= []).push(name);
  }
  if (missing === undefined) return;
  const message = "There were headers present in the request which were not signed";
  throw new S3Error("AccessDenied", { HeadersNotSigned: missing.join(", ") }, { message });
}

function canonicalHeaders(request: S3Request, claim: V4Claim, host: string): string {
  let text = "";
  for (const name of claim.signedHeaders) {
    const value = name === "host" ? host : (request.http.headers[name] ?? "");
    text += `${name}:${collapse(value)}\n`;
  }
  return text;
}

function collapse(value: string): string {
  const trimmed = value.trim();
  return /[ \t]{2}|\t/.test(trimmed) ? trimmed.replaceAll(/[ \t]+/g, " ") : trimmed;
}

/** RFC 3986: everything but the unreserved characters as upper-case escapes. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** What `encode` would give again: unreserved characters as they are, upper-case escapes of all others. */
const CANONICAL =
  /^(?:[A-Za-z0-9\-._~/]|%(?:[01][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-DF]|[89A-F][0-9A-F]))*$/;

/**
 * S3 decodes the path and encodes it anew, once, so that is tried first. Clients that send `%2F`, or unescaped what
 * S3 would escape, sign what they send: the raw path comes next, and last the form in which `%2F` became a slash.
 */
function canonicalPaths(raw: string): string[] {
  if (CANONICAL.test(raw)) return raw.includes("%2F") ? [raw, raw.replaceAll("%2F", "/")] : [raw];
  const anew = raw
    .split("/")
    .map((segment) => encode(decodeURIComponent(segment)))
    .join("/");
  return [...new Set([anew, raw, anew.replaceAll("%2F", "/")])];
}

/** Sorted by encoded name, then by encoded value; that is not the order of the pairs as text. */
function canonicalQuery(raw: string, presigned: boolean): string {
  if (raw === "") return "";
  const pairs: [name: string, value: string][] = [];
  for (const pair of raw.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = canonicalParameter(equals === -1 ? pair : pair.slice(0, equals));
    if (presigned && name === "X-Amz-Signature") continue;
    pairs.push([name, equals === -1 ? "" : canonicalParameter(pair.slice(equals + 1))]);
  }
  if (pairs.length > 1)
    pairs.sort(([a, av], [b, bv]) => (a < b ? -1 : a > b ? 1 : av < bv ? -1 : av > bv ? 1 : 0));
  let text = "";
  for (const [name, value] of pairs) text += `${text === "" ? "" : "&"}${name}=${value}`;
  return text;
}

function canonicalParameter(raw: string): string {
  if (CANONICAL.test(raw) && !raw.includes("/")) return raw;
  return encode(decodeURIComponent(raw.replaceAll("+", "%20")));
}

/**
 * Amazon wants the header on every request. Generic signers, as curl's, leave it out; where no body can come there is
 * no doubt what they signed.
 */
function hashOfNothing({ http }: S3Request): string | undefined {
  const hasBody = (http.contentLength ?? 0) > 0 || http.headers["transfer-encoding"] !== undefined;
  return hasBody ? undefined : EMPTY_SHA256;
}

/** @throws S3Error InvalidArgument for what no x-amz-content-sha256 may be */
export function checkPayloadHash(value: string): void {
  if (value === "UNSIGNED-PAYLOAD" || value.startsWith("STREAMING-") || SHA256.test(value)) return;
  throw new S3Error(
    "InvalidArgument",
    { ArgumentName: "x-amz-content-sha256", ArgumentValue: value },
    {
      message:
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
    },
  );
}
