/** The head of a request: header record, target, framing; and the identifiers of requests and listeners. */
import { randomBytes } from "node:crypto";
import { IncomingMessage } from "node:http";
import type { HttpFailure, HttpLimits } from "./http.ts";

// eslint-disable-next-line no-control-regex
const NON_ASCII = /[^\x00-\x7f]/;

/** Lower-case names, repeated ones joined with ",", values decoded as UTF-8. */
function headerRecord(raw: readonly string[]): Record<string, string> {
  const record: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    let value = raw[at + 1]!;
    if (NON_ASCII.test(value)) value = Buffer.from(value, "latin1").toString("utf8");
    const earlier = record[name];
    record[name] = earlier === undefined ? value : `${earlier},${value}`;
  }
  return record;
}

/** Gives Node our header record where it would build its own, so that headers are read once per request. */
export class Incoming extends IncomingMessage {
  declare record: Record<string, string> | undefined;
}
Object.defineProperty(Incoming.prototype, "headers", {
  get(this: Incoming) {
    return (this.record ??= headerRecord(this.rawHeaders));
  },
});

export interface Head {
  readonly path: string;
  readonly rawQuery: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly contentLength: number | undefined;
  readonly hasBody: boolean;
  /** The client waits for "100 Continue" before it sends the body. */
  readonly expectsContinue: boolean;
  /** Why the request is refused, if it is. */
  readonly failure: HttpFailure | undefined;
}

/** RFC 9110, section 7.2; RFC 3986, section 3.2.2; RFC 6874; but for the comma: a repeated Host is joined with one. */
const HOST = /^(?:\[[\w.:%~-]+\]|[\w.~%!$&'()*+;=-]*)(?::\d*)?$/;

interface Target {
  /** Of the absolute form; undefined in the origin form. */
  readonly host: string | undefined;
  readonly path: string;
  readonly rawQuery: string;
}

/** Of an origin-form or absolute-form target; undefined for others (`*`, authority). */
function splitTarget(url: string): Target | undefined {
  let target = url;
  let host: string | undefined;
  if (target.charCodeAt(0) !== 0x2f) {
    const absolute = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#@]+)(?=[/?]|$)/i.exec(target);
    if (absolute === null || !HOST.test(absolute[1]!)) return undefined;
    host = absolute[1];
    target = target.slice(absolute[0].length);
    if (target.charCodeAt(0) !== 0x2f) target = `/${target}`;
  }
  const query = target.indexOf("?");
  if (query < 0) return { host, path: target, rawQuery: "" };
  return { host, path: target.slice(0, query), rawQuery: target.slice(query + 1) };
}

/** Without the ports that go without saying. */
const plainHost = (host: string): string => host.toLowerCase().replace(/:(80|443)$/, "");

/**
 * The host of an absolute-form target stands for Host, whatever that says (RFC 9112, section 3.2.2). One that names the same
 * stays as it was sent: clients sign it so.
 */
function withHost(
  headers: Readonly<Record<string, string>>,
  host: string | undefined,
): Readonly<Record<string, string>> {
  if (host === undefined || plainHost(host) === plainHost(headers["host"] ?? "")) return headers;
  return Object.assign(Object.create(null) as Record<string, string>, headers, { host });
}

function headerBytes(raw: readonly string[]): number {
  let bytes = 0;
  // Name, ": ", value, CR and LF.
  for (let at = 0; at < raw.length; at += 2) bytes += raw[at]!.length + raw[at + 1]!.length + 4;
  return bytes;
}

/** What Node's parser lets through and must not pass: missing, repeated and odd hosts, framing that proxies read differently. */
function isMalformed(version: string, headers: Readonly<Record<string, string>>): boolean {
  const host = headers["host"];
  if (host === undefined ? version === "1.1" : !HOST.test(host)) return true;
  const coding = headers["transfer-encoding"];
  return coding !== undefined && (version === "1.0" || coding.toLowerCase() !== "chunked");
}

/** True for `Expect: 100-continue`, also as the 2006 guide prints it; false for an expectation that nobody can meet. */
function isContinue(expect: string): boolean {
  const value = expect.trim().toLowerCase();
  return value === "100-continue" || value === "continue";
}

/** Reads and judges a head that Node's parser has accepted. */
export function readHead(message: IncomingMessage, limits: HttpLimits): Head {
  const headers = message.headers as Readonly<Record<string, string>>;
  const version = message.httpVersion;
  const url = message.url ?? "";
  const target = splitTarget(url);
  const length = headers["content-length"];
  const contentLength = length === undefined ? undefined : Number(length);
  const expect = version === "1.0" ? undefined : headers["expect"];
  let failure: HttpFailure | undefined;
  if (url.length > limits.maxTargetBytes) failure = "TargetTooLong";
  else if (message.rawHeaders.length > 2 * limits.maxHeaders) failure = "HeadersTooLarge";
  else if (headerBytes(message.rawHeaders) > limits.maxHeaderBytes) failure = "HeadersTooLarge";
  else if (target === undefined || isMalformed(version, headers)) failure = "BadRequest";
  else if (expect !== undefined && !isContinue(expect)) failure = "ExpectationFailed";
  return {
    path: failure === "TargetTooLong" || target === undefined ? "/" : target.path,
    rawQuery: failure === "TargetTooLong" || target === undefined ? "" : target.rawQuery,
    headers: withHost(headers, target?.host),
    contentLength,
    hasBody: contentLength === undefined ? headers["transfer-encoding"] !== undefined : contentLength > 0,
    expectsContinue: expect !== undefined && isContinue(expect),
    failure,
  };
}

/**
 * Request ids of 16 upper-case hex digits: a random half per process, changed when the other half, a scrambled
 * counter, has gone round. Cheaper by far than random bytes per request; unique, not secret.
 */
export function requestIds(): () => string {
  const bytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, "0"));
  let prefix = "";
  let count = 0;
  return () => {
    if (count === 0) prefix = randomBytes(4).toString("hex").toUpperCase();
    // An odd factor permutes the 32-bit numbers, so that neighbours look different and none comes twice.
    const scrambled = Math.imul(count, 0x9e3779b1) >>> 0;
    count = (count + 1) >>> 0;
    return (
      prefix +
      bytes[scrambled >>> 24]! +
      bytes[(scrambled >>> 16) & 255]! +
      bytes[(scrambled >>> 8) & 255]! +
      bytes[scrambled & 255]!
    );
  };
}

/** 64 base64 characters. */
export const newHostId = (): string => randomBytes(48).toString("base64");
