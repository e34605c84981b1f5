/** Signature version 2, as the guide of 2009 describes it, with the sub-resources that S3 has gained since. */
import { createHmac, type KeyObject } from "node:crypto";
import { S3Error } from "./errors.ts";
import type { S3Request } from "./request.ts";
import {
  checkSkew,
  isoTime,
  missingDate,
  parseDate,
  sameSignature,
  signatureDoesNotMatch,
} from "./signing.ts";

/** Query parameters that are signed: what clients of today (botocore, s3cmd) sign, no more, or theirs would not verify. */
const SIGNED_PARAMETERS: ReadonlySet<string> = new Set([
  "accelerate",
  "acl",
  "analytics",
  "cors",
  "delete",
  "inventory",
  "lifecycle",
  "location",
  "logging",
  "metrics",
  "notification",
  "object-lock",
  "partNumber",
  "policy",
  "replication",
  "requestPayment",
  "response-cache-control",
  "response-content-disposition",
  "response-content-encoding",
  "response-content-language",
  "response-content-type",
  "response-expires",
  "restore",
  "select",
  "select-type",
  "tagging",
  "torrent",
  "uploadId",
  "uploads",
  "versionId",
  "versioning",
  "versions",
  "website",
]);

/**
 * Signed in URLs only: parameters that choose another operation and that old clients do not sign. A URL may be handed
 * to strangers, who could add them.
 */
const SIGNED_IN_URLS: ReadonlySet<string> = new Set([
  ...SIGNED_PARAMETERS,
  "abac",
  "annotation",
  "attributes",
  "encryption",
  "intelligent-tiering",
  "legal-hold",
  "metadataConfiguration",
  "metadataTable",
  "ownershipControls",
  "policyStatus",
  "publicAccessBlock",
  "renameObject",
  "retention",
  "session",
]);

/** A V2 signature as the client sent it; nothing is verified yet but its form and its time. */
export interface V2Claim {
  readonly accessKeyId: string;
  readonly signature: string;
  /** The line of the string to sign that is the date, the expiry, or empty when x-amz-date stands in for it. */
  readonly dateLine: string;
  readonly presigned: boolean;
}

/** @throws S3Error InvalidArgument, AccessDenied without a valid date, RequestTimeTooSkewed */
export function parseV2Header(request: S3Request, authorization: string, now: number): V2Claim {
  const parts = /^AWS +([^\s:](?:[^\s]*[^\s:])?):([^\s:]+)$/.exec(authorization);
  if (parts === null) {
    throw new S3Error(
      "InvalidArgument",
      { ArgumentName: "Authorization", ArgumentValue: authorization },
      { message: "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature" },
    );
  }
  const amzDate = request.headers["x-amz-date"];
  const sent = amzDate ?? request.headers["date"];
  const time = sent === undefined ? undefined : parseDate(sent);
  if (sent === undefined || time === undefined) throw missingDate();
  checkSkew(time, sent, now);
  return {
    accessKeyId: parts[1]!,
    signature: parts[2]!,
    dateLine: amzDate === undefined ? sent : "",
    presigned: false,
  };
}

/** @throws S3Error AccessDenied: incomplete, no number, or expired. There is no longest life in V2. */
export function parseV2Query(request: S3Request, now: number): V2Claim {
  const accessKeyId = request.query.get("AWSAccessKeyId");
  const signature = request.query.get("Signature");
  const expires = request.query.get("Expires");
  if (!accessKeyId || !signature || !expires) {
    const message =
      "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters";
    throw new S3Error("AccessDenied", {}, { message });
  }
  if (!/^\d{1,12}$/.test(expires)) {
    const message = `Invalid date (should be seconds since epoch): ${expires}`;
    throw new S3Error("AccessDenied", {}, { message });
  }
  const end = Number(expires) * 1000;
  if (now > end) {
    const detail = { Expires: isoTime(end), ServerTime: isoTime(now) };
    throw new S3Error("AccessDenied", detail, { message: "Request has expired" });
  }
  return { accessKeyId, signature, dateLine: expires, presigned: true };
}

/** @throws S3Error SignatureDoesNotMatch */
export function verifyV2(request: S3Request, claim: V2Claim, key: KeyObject): void {
  const { headers, http } = request;
  const start =
    `${http.method}\n${headers["content-md5"] ?? ""}\n${headers["content-type"] ?? ""}\n${claim.dateLine}\n` +
    `${amzHeaders(headers)}${request.hostStyle ? `/${request.bucket}` : ""}${http.path}`;
  let first: string | undefined;
  for (const parameters of signedParameters(http.rawQuery, claim.presigned)) {
    const stringToSign = start + parameters;
    const expected = createHmac("sha1", key).update(stringToSign).digest("base64");
    if (sameSignature(expected, claim.signature)) return;
    first ??= stringToSign;
  }
  throw signatureDoesNotMatch({
    accessKeyId: claim.accessKeyId,
    provided: claim.signature,
    stringToSign: first!,
  });
}

/** Of request.headers, so that what a presigned URL hoisted is signed as the headers it stands for. */
function amzHeaders(headers: Readonly<Record<string, string>>): string {
  const names: string[] = [];
  for (const name in headers) if (name.startsWith("x-amz-")) names.push(name);
  let text = "";
  for (const name of names.toSorted()) text += `${name}:${headers[name]!.trim()}\n`;
  return text;
}

/**
 * The signed part of the query as clients write it: with values decoded and no "=" after empty ones, and, where that
 * differs, as it was sent.
 */
function signedParameters(rawQuery: string, presigned: boolean): string[] {
  if (rawQuery === "") return [""];
  const signed = presigned ? SIGNED_IN_URLS : SIGNED_PARAMETERS;
  const decoded: [name: string, text: string][] = [];
  const raw: [name: string, text: string][] = [];
  for (const pair of rawQuery.split("&")) {
    const equals = pair.indexOf("=");
    // Decoded first, or `%61cl` would ask for the ACL without being signed.
    const name = decode(equals === -1 ? pair : pair.slice(0, equals));
    if (!signed.has(name)) continue;
    const value = equals === -1 ? "" : pair.slice(equals + 1);
    raw.push([name, pair]);
    decoded.push([name, value === "" ? name : `${name}=${decode(value)}`]);
  }
  return [...new Set([join(decoded), join(raw)])];
}

const decode = (text: string): string => decodeURIComponent(text.replaceAll("+", " "));

function join(parameters: [name: string, text: string][]): string {
  if (parameters.length === 0) return "";
  const sorted = parameters.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `?${sorted.map(([, text]) => text).join("&")}`;
}
