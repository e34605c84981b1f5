/** Preconditions: RFC 9110 section 13 for reads, S3's own rules for copies, writes and deletes. */
import type { WriteConditions } from "../store/types.ts";
import { S3Error } from "./errors.ts";

type Headers = Readonly<Record<string, string>>;

/** What a condition looks at; the ETag without quotes, milliseconds since 1970. */
export interface Validators {
  readonly etag: string;
  readonly lastModified: number;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const RFC_1123 = /^[a-z]{3}, (\d{1,2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) (?:gmt|utc|[+-]0000)$/i;
const RFC_850 = /^[a-z]{6,9}, (\d{1,2})-([a-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) (?:gmt|utc|[+-]0000)$/i;
const ASCTIME = /^[a-z]{3} ([a-z]{3}) {1,2}(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/i;
const ISO_8601 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]00:?00)$/i;

/**
 * Milliseconds since 1970 of a date in any of the three forms of HTTP (`+0000` for GMT too) or in ISO 8601, which SDKs
 * put into conditions; undefined for all else.
 */
export function parseHttpDate(text: string): number | undefined {
  const clean = text.trim();
  let parts = RFC_1123.exec(clean);
  if (parts !== null) return utc(Number(parts[3]), parts[2]!, parts[1]!, parts[4]!, parts[5]!, parts[6]!);
  parts = RFC_850.exec(clean);
  if (parts !== null) {
    // Two digits: RFC 9110 takes the century that is at most 50 years ahead; HTTP is younger than 1970.
    const year = Number(parts[3]) + (Number(parts[3]) < 70 ? 2000 : 1900);
    return utc(year, parts[2]!, parts[1]!, parts[4]!, parts[5]!, parts[6]!);
  }
  parts = ASCTIME.exec(clean);
  if (parts !== null) return utc(Number(parts[6]), parts[1]!, parts[2]!, parts[3]!, parts[4]!, parts[5]!);
  if (!ISO_8601.test(clean)) return undefined;
  const time = Date.parse(clean);
  return Number.isNaN(time) ? undefined : time;
}

function utc(year: number, monthName: string, ...rest: [string, string, string, string]): number | undefined {
  const month = MONTHS.indexOf(monthName.toLowerCase());
  const [day, hour, minute, second] = rest.map(Number) as [number, number, number, number];
  if (month === -1 || hour > 23 || minute > 59 || second > 60) return undefined;
  const time = Date.UTC(year, month, day, hour, minute, second);
  // The 31st of June would silently become the 1st of July.
  return new Date(time - (second === 60 ? 1000 : 0)).getUTCDate() === day ? time : undefined;
}

const seconds = (ms: number): number => Math.floor(ms / 1000);

const ETAG_LIST_ITEM = /\s*(?:(W\/)?"([^"]*)"|([^",\s]+))\s*(?:,|$)/y;

/**
 * Whether an `If-Match`/`If-None-Match` value names the ETag. Quotes may be missing, as many S3 clients forget them;
 * weak tags match only when `weak` is set (RFC 9110, 8.8.3.2).
 */
export function etagListMatches(value: string, etag: string, weak: boolean): boolean {
  if (value.trim() === "*") return true;
  ETAG_LIST_ITEM.lastIndex = 0;
  while (ETAG_LIST_ITEM.lastIndex < value.length) {
    const item = ETAG_LIST_ITEM.exec(value);
    if (item === null) return false;
    const isWeak = item[1] !== undefined || item[3]?.startsWith("W/") === true;
    if ((item[2] ?? item[3]) === etag && (weak || !isWeak)) return true;
  }
  return false;
}

/**
 * Judges a GET or HEAD. `notModified` is to be answered 304, `failed` 412 with the name of the header that failed.
 * If-Match decides alone where it stands beside If-Unmodified-Since, and If-None-Match beside If-Modified-Since.
 */
export function judgeRead(
  headers: Headers,
  object: Validators,
): { verdict: "proceed" | "notModified" } | { verdict: "failed"; condition: string } {
  const ifMatch = headers["if-match"];
  const unmodifiedSince = ifMatch === undefined ? dateOf(headers["if-unmodified-since"]) : undefined;
  if (ifMatch !== undefined && !etagListMatches(ifMatch, object.etag, false)) {
    return { verdict: "failed", condition: "If-Match" };
  }
  if (unmodifiedSince !== undefined && seconds(object.lastModified) > seconds(unmodifiedSince)) {
    return { verdict: "failed", condition: "If-Unmodified-Since" };
  }
  const ifNoneMatch = headers["if-none-match"];
  if (ifNoneMatch !== undefined) {
    return { verdict: etagListMatches(ifNoneMatch, object.etag, true) ? "notModified" : "proceed" };
  }
  const modifiedSince = dateOf(headers["if-modified-since"]);
  if (modifiedSince !== undefined && seconds(object.lastModified) <= seconds(modifiedSince)) {
    return { verdict: "notModified" };
  }
  return { verdict: "proceed" };
}

/** A date that can't be read is ignored, as RFC 9110 demands. */
const dateOf = (value: string | undefined): number | undefined =>
  value === undefined ? undefined : parseHttpDate(value);

/** Whether the range of a request with this `If-Range` may be answered; otherwise the whole object is (R202). */
export function ifRangeHolds(value: string | undefined, object: Validators): boolean {
  if (value === undefined) return true;
  const date = parseHttpDate(value);
  if (date !== undefined) return seconds(object.lastModified) <= seconds(date);
  const clean = value.trim();
  return clean !== "*" && !clean.includes(",") && etagListMatches(clean, object.etag, false);
}

const COPY = "x-amz-copy-source-if-";

/**
 * Judges the conditions of a copy on its source. Only two pairs have a meaning (R226).
 * @throws InvalidRequest for other pairs, PreconditionFailed
 */
export function judgeCopy(headers: Headers, source: Validators): void {
  const match = headers[`${COPY}match`];
  const noneMatch = headers[`${COPY}none-match`];
  const unmodified = headers[`${COPY}unmodified-since`];
  const modified = headers[`${COPY}modified-since`];
  if (
    (match !== undefined || unmodified !== undefined) &&
    (noneMatch !== undefined || modified !== undefined)
  ) {
    throw new S3Error(
      "InvalidRequest",
      {},
      { message: "These conditions on the copy source can't be combined." },
    );
  }
  const renamed: Record<string, string> = {};
  if (match !== undefined) renamed["if-match"] = match;
  if (noneMatch !== undefined) renamed["if-none-match"] = noneMatch;
  if (unmodified !== undefined) renamed["if-unmodified-since"] = unmodified;
  if (modified !== undefined) renamed["if-modified-since"] = modified;
  const judged = judgeRead(renamed, source);
  if (judged.verdict === "proceed") return;
  const condition =
    judged.verdict === "failed"
      ? `${COPY}${judged.condition.slice(3).toLowerCase()}`
      : `${COPY}${noneMatch === undefined ? "modified-since" : "none-match"}`;
  throw new S3Error("PreconditionFailed", { Condition: condition });
}

const notImplemented = (header: string, message: string): S3Error =>
  new S3Error("NotImplemented", { Header: header }, { message });

/**
 * The conditions of PutObject, CopyObject and CompleteMultipartUpload; the store checks them inside its commit.
 * @throws NotImplemented, as AWS does, for all that has no meaning on a write
 */
export function writeConditions(headers: Headers): WriteConditions | undefined {
  const ifMatch = headers["if-match"];
  const ifNoneMatch = headers["if-none-match"];
  for (const name of ["If-Modified-Since", "If-Unmodified-Since"]) {
    if (headers[name.toLowerCase()] === undefined) continue;
    throw notImplemented(name, `The header ${name} has no meaning on this operation.`);
  }
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw notImplemented("If-Match", "Multiple conditional request headers present in the request");
  }
  if (ifMatch !== undefined) return { ifMatch: singleEtag(ifMatch, "If-Match") };
  if (ifNoneMatch!.trim() !== "*") {
    throw notImplemented("If-None-Match", "Only * is accepted as the value of If-None-Match on a write.");
  }
  return { ifNoneMatch: "*" };
}

/** The one ETag of a write's condition, without quotes; or `*`. @throws NotImplemented for lists */
export function singleEtag(value: string, header: string): string {
  const found = /^(?:"([^"]*)"|([^",\s]+))$/.exec(value.trim());
  if (found === null) throw notImplemented(header, `${header} takes one ETag, or *, on a write.`);
  return found[1] ?? found[2]!;
}

/**
 * The conditions of DeleteObject: If-Match, and the size and time of `x-amz-if-match-*`.
 * @throws InvalidArgument, NotImplemented
 */
export function deleteConditions(headers: Headers): WriteConditions | undefined {
  const conditions: WriteConditions = {};
  const ifMatch = headers["if-match"];
  const size = headers["x-amz-if-match-size"];
  const time = headers["x-amz-if-match-last-modified-time"];
  if (ifMatch !== undefined) conditions.ifMatch = singleEtag(ifMatch, "If-Match");
  if (size !== undefined) {
    if (!/^\d{1,15}$/.test(size.trim())) throw badValue("x-amz-if-match-size", size);
    conditions.ifMatchSize = Number(size);
  }
  if (time !== undefined) {
    const date = parseHttpDate(time);
    if (date === undefined) throw badValue("x-amz-if-match-last-modified-time", time);
    conditions.ifMatchLastModified = date;
  }
  return Object.keys(conditions).length === 0 ? undefined : conditions;
}

const badValue = (name: string, value: string): S3Error =>
  new S3Error("InvalidArgument", { ArgumentName: name, ArgumentValue: value });
