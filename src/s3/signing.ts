/** What both signature versions share: derived keys, dates, comparisons, and the answer to a signature that is wrong. */
import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from "node:crypto";
import type { Credential } from "../store/types.ts";
import { S3Error } from "./errors.ts";

/** How far a client's clock may be off. Limits how long an intercepted request can be replayed. */
export const MAX_SKEW_MS = 15 * 60 * 1000;
/** Derived keys kept per process. Stops requests for many days and regions from filling the memory. */
const MAX_SIGNING_KEYS = 2048;

/** A credential's scope and the key derived for it. */
export interface SigningKey {
  /** `date/region/s3/aws4_request`. */
  readonly scope: string;
  readonly key: KeyObject;
}

/** Derived V4 keys by access key, date and region, the least recently used dropped first. One per process. */
export class SigningKeys {
  readonly #kept = new Map<string, SigningKey & { secret: string }>();

  /** The secret itself as a key, for V2. */
  plain(credential: Credential): KeyObject {
    const id = credential.accessKeyId;
    let entry = this.#kept.get(id);
    if (entry?.secret !== credential.secretAccessKey) {
      const secret = credential.secretAccessKey;
      entry = { secret, scope: "", key: createSecretKey(Buffer.from(secret)) };
    }
    this.#keep(id, entry);
    return entry.key;
  }

  /** Derives the key (four HMACs, 9 µs) unless it is kept; a changed secret of the same key id derives anew. */
  get(credential: Credential, date: string, region: string): SigningKey {
    const id = `${date}/${region}/${credential.accessKeyId}`;
    let entry = this.#kept.get(id);
    if (entry?.secret !== credential.secretAccessKey) {
      entry = {
        secret: credential.secretAccessKey,
        scope: `${date}/${region}/s3/aws4_request`,
        key: deriveKey(credential.secretAccessKey, date, region),
      };
    }
    this.#keep(id, entry);
    return entry;
  }

  /** As the one used last. */
  #keep(id: string, entry: SigningKey & { secret: string }): void {
    this.#kept.delete(id);
    if (this.#kept.size >= MAX_SIGNING_KEYS) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(id, entry);
  }
}

function deriveKey(secret: string, date: string, region: string): KeyObject {
  let key: Buffer = Buffer.from(`AWS4${secret}`);
  for (const part of [date, region, "s3", "aws4_request"]) {
    key = createHmac("sha256", key).update(part).digest();
  }
  return createSecretKey(key);
}

/** Compares in a time that does not depend on where the two differ. */
export function sameSignature(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** What was signed, for the client to compare with its own. */
export interface Mismatch {
  readonly accessKeyId: string;
  readonly stringToSign: string;
  readonly provided: string;
  /** V4 only. */
  readonly canonicalRequest?: string | undefined;
}

export function signatureDoesNotMatch(mismatch: Mismatch): S3Error {
  const detail: Record<string, string> = {
    AWSAccessKeyId: mismatch.accessKeyId,
    StringToSign: mismatch.stringToSign,
    SignatureProvided: mismatch.provided,
    StringToSignBytes: hexBytes(mismatch.stringToSign),
  };
  if (mismatch.canonicalRequest !== undefined) {
    detail["CanonicalRequest"] = mismatch.canonicalRequest;
    detail["CanonicalRequestBytes"] = hexBytes(mismatch.canonicalRequest);
  }
  return new S3Error("SignatureDoesNotMatch", detail);
}

/** `47 45 54 0a …`, as S3 writes it. */
function hexBytes(text: string): string {
  return Buffer.from(text)
    .toString("hex")
    .replace(/..(?=.)/g, "$& ");
}

export function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

/** @throws S3Error RequestTimeTooSkewed */
export function checkSkew(time: number, sent: string, now: number): void {
  if (Math.abs(now - time) <= MAX_SKEW_MS) return;
  throw new S3Error("RequestTimeTooSkewed", {
    RequestTime: sent,
    ServerTime: isoTime(now),
    MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
  });
}

export function missingDate(): S3Error {
  const message = "AWS authentication requires a valid Date or x-amz-date header";
  return new S3Error("AccessDenied", {}, { message });
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const STAMP = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const ISO = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:?\d\d)$/;
/** RFC 1123 (`Tue, 27 Mar 2007 19:36:42 +0000`) and RFC 850 (`Tuesday, 27-Mar-07 19:36:42 GMT`). */
const RFC =
  /^(?:[A-Za-z]{3,9}, ?)?(\d\d?)[ -]([A-Za-z]{3})[ -](\d{4}|\d\d) (\d\d):(\d\d):(\d\d) ([A-Z]{1,4}|[+-]\d{4})$/;
/** `Tue Mar 27 19:36:42 2007`. */
const ASCTIME = /^[A-Za-z]{3} ([A-Za-z]{3}) {1,2}(\d\d?) (\d\d):(\d\d):(\d\d) (\d{4})$/;

/** Milliseconds since 1970 of `20130524T000000Z`; undefined for anything else, and for times before 1970. */
export function parseStamp(text: string): number | undefined {
  const parts = STAMP.exec(text);
  return parts === null
    ? undefined
    : utc(parts[1]!, Number(parts[2]) - 1, parts[3]!, parts[4]!, parts[5]!, parts[6]!);
}

/** As `parseStamp`, also of the three formats of RFC 2616 (with a numeric zone too) and of ISO 8601. */
export function parseDate(text: string): number | undefined {
  const stamp = parseStamp(text);
  if (stamp !== undefined) return stamp;
  const iso = ISO.exec(text);
  if (iso !== null) {
    return shift(utc(iso[1]!, Number(iso[2]) - 1, iso[3]!, iso[4]!, iso[5]!, iso[6]!), iso[7]!);
  }
  const rfc = RFC.exec(text);
  if (rfc !== null) {
    const year = rfc[3]!.length === 4 ? rfc[3]! : `${Number(rfc[3]) < 70 ? 20 : 19}${rfc[3]}`;
    return shift(
      utc(year, MONTHS.indexOf(rfc[2]!.toLowerCase()), rfc[1]!, rfc[4]!, rfc[5]!, rfc[6]!),
      rfc[7]!,
    );
  }
  const asc = ASCTIME.exec(text);
  if (asc === null) return undefined;
  return utc(asc[6]!, MONTHS.indexOf(asc[1]!.toLowerCase()), asc[2]!, asc[3]!, asc[4]!, asc[5]!);
}

function utc(year: string, month: number, day: string, hour: string, minute: string, second: string) {
  const inRange = month >= 0 && month < 12 && Number(day) >= 1 && Number(day) <= 31;
  if (!inRange || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  const value = Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second));
  return value < 0 ? undefined : value;
}

/** Applies a zone; names other than those of UTC have no meaning that a server could rely on. */
function shift(value: number | undefined, zone: string): number | undefined {
  if (value === undefined || /^(?:GMT|UTC|UT|Z)$/.test(zone)) return value;
  const offset = /^([+-])(\d\d):?(\d\d)$/.exec(zone);
  if (offset === null) return undefined;
  const minutes = Number(offset[2]) * 60 + Number(offset[3]);
  return value - (offset[1] === "-" ? -minutes : minutes) * 60_000;
}
