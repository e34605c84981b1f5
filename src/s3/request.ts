/** From an HTTP request to what it is about: bucket, key and parameters, by path, by Host header or by CNAME. */
import { BlockList, isIP } from "node:net";
import type { HttpRequest } from "../lib/http.ts";
import { S3Error } from "./errors.ts";

/** An HTTP request whose bucket, key and parameters are known; nothing is authenticated yet. */
export interface S3Request {
  readonly http: HttpRequest;
  /** Undefined: the service itself (`GET /`). */
  readonly bucket: string | undefined;
  /** Decoded from the raw path, never normalised; 1 to 1024 bytes of UTF-8. Undefined: the bucket itself. */
  readonly key: string | undefined;
  /** The bucket came from the Host header. */
  readonly hostStyle: boolean;
  /** Host asked for, lower case, without port; "" when none (HTTP/1.0). */
  readonly host: string;
  /** Host headers, port included, that the client may have signed; the likeliest first. Empty when there was none. */
  readonly signedHosts: readonly string[];
  /** Decoded names and values; "" for valueless; the first of repeated names. Without ignored `x-…` parameters. */
  readonly query: ReadonlyMap<string, string>;
  /** http.headers; for presigned requests with their hoisted `x-amz-*` parameters added. Read headers from here. */
  readonly headers: Readonly<Record<string, string>>;
  /** The peer, or behind a trusted proxy the client it names. */
  readonly clientAddress: string;
  /** Came over TLS, here or at a trusted proxy. */
  readonly secure: boolean;
}

/** What the operator says about addressing. */
export interface TargetSettings {
  /** Bases of virtual hosts: `bucket.base` is a bucket, `base` alone is path style. */
  readonly domains: readonly string[];
  /** Addresses or CIDR ranges of proxies whose X-Forwarded-For, -Proto and -Host are believed. */
  readonly trustedProxies?: readonly string[] | undefined;
  /** How clients reach the server; its host is path style, and signatures over it verify whatever Host a proxy sends. */
  readonly externalUrl?: string | undefined;
  readonly compatibility?: "modern" | "2006-03-01" | undefined;
}

/** Settings made ready once (see `prepareTarget`). */
export interface TargetOptions {
  readonly domains: readonly string[];
  readonly external: { readonly host: string; readonly port: string } | undefined;
  readonly legacy: boolean;
  /** Undefined: no proxy is trusted. */
  readonly trusted: BlockList | undefined;
  /** For CNAMEs: a Host outside the domains is a bucket only if that bucket exists. */
  readonly bucketExists: (name: string) => Promise<boolean>;
}

/** Bytes of UTF-8 in a key: S3's own limit. */
const MAX_KEY_BYTES = 1024;
/** Query parameters in a request. Stops a query of thousands of tiny pairs from costing more than its bytes. */
const MAX_QUERY_PARAMETERS = 256;
/** Addresses in X-Forwarded-For that are looked at. Stops a forged list from being walked to its end. */
const MAX_FORWARDED_HOPS = 32;

/** Parameters of a V4 presigned URL that are the signature itself; all other `x-amz-*` ones stand for headers. */
const V4_QUERY_PARAMETERS: ReadonlySet<string> = new Set([
  "x-amz-algorithm",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-expires",
  "x-amz-signedheaders",
  "x-amz-signature",
]);

const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();
/** What may be a bucket's name at all; spares a look-up for any other foreign Host. */
const BUCKET_LIKE = /^[a-z0-9][a-z0-9._-]{2,254}$/;

/** @throws TypeError for a malformed CIDR range or external URL */
export function prepareTarget(
  settings: TargetSettings,
  bucketExists: (name: string) => Promise<boolean>,
): TargetOptions {
  const domains = settings.domains.map((domain) => domain.toLowerCase());
  const external = settings.externalUrl === undefined ? undefined : new URL(settings.externalUrl);
  if (external !== undefined) domains.push(external.hostname);
  const proxies = settings.trustedProxies ?? [];
  return {
    // The longest first, so that `b.s3.localhost` is bucket b of s3.localhost, not b.s3 of localhost.
    domains: [...new Set(domains)].toSorted((a, b) => b.length - a.length),
    external,
    legacy: settings.compatibility === "2006-03-01",
    trusted: proxies.length === 0 ? undefined : blockList(proxies),
    bucketExists,
  };
}

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", prefix] = range.split("/");
    const version = isIP(address);
    const bits = prefix === undefined ? (version === 4 ? 32 : 128) : Number(prefix);
    if (version === 0 || !/^\d{1,3}$/.test(prefix ?? "0") || bits > (version === 4 ? 32 : 128)) {
      throw new TypeError(`Not an address or CIDR range: ${range}`);
    }
    list.addSubnet(address, bits, version === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

/**
 * @throws S3Error InvalidURI for bad escapes, invalid UTF-8, NUL in a key or too many parameters; KeyTooLongError;
 * InvalidBucketName for an empty name; BadRequest for HTTP/1.1 without one Host
 */
export async function parseTarget(http: HttpRequest, options: TargetOptions): Promise<S3Request> {
  const proxied = options.trusted !== undefined && isTrusted(options.trusted, http.remoteAddress);
  const sentHost = http.headers["host"];
  if (sentHost === undefined ? http.httpVersion !== "1.0" : sentHost.includes(",")) {
    throw new S3Error("BadRequest", {}, { message: "A request needs exactly one Host header." });
  }
  const forwardedHost = proxied ? firstOf(http.headers["x-forwarded-host"]) : undefined;
  const host = hostName(forwardedHost ?? sentHost ?? "");
  const hostBucket = bucketOfHost(host, options) ?? (await bucketOfCname(host, options));
  const { bucket, key } = splitPath(http.path, hostBucket, options.legacy);
  const { query, hoisted } = parseQuery(http.rawQuery);
  return {
    http,
    bucket,
    key,
    hostStyle: hostBucket !== undefined,
    host,
    signedHosts: await signedHosts(sentHost, forwardedHost, hostBucket, options),
    query,
    headers: hoisted === undefined ? http.headers : withHoisted(http.headers, hoisted),
    clientAddress: proxied ? clientAddress(http, options.trusted) : plainAddress(http.remoteAddress),
    secure: http.secure || (proxied && firstOf(http.headers["x-forwarded-proto"])?.toLowerCase() === "https"),
  };
}

function firstOf(list: string | undefined): string | undefined {
  const first = list?.split(",", 1)[0]?.trim();
  return first === "" ? undefined : first;
}

/**
 * Proxies rewrite Host, or drop its port. A Host counts only if it names the bucket that the request is about: else a
 * URL signed for one bucket would open the same key in another, for whoever can send X-Forwarded-Host.
 */
async function signedHosts(
  sent: string | undefined,
  forwarded: string | undefined,
  bucket: string | undefined,
  options: TargetOptions,
): Promise<string[]> {
  const { external } = options;
  if (forwarded === undefined && external === undefined) return sent === undefined ? [] : [sent];
  const candidates = [forwarded, sent];
  if (external !== undefined) {
    const port = external.port === "" ? "" : `:${external.port}`;
    candidates.push(`${hostName(forwarded ?? sent ?? "")}${port}`, external.host);
  }
  const hosts = new Set<string>();
  for (const candidate of candidates) {
    if (candidate === undefined || candidate === "" || hosts.has(candidate)) continue;
    const name = hostName(candidate);
    if ((bucketOfHost(name, options) ?? (await bucketOfCname(name, options))) === bucket)
      hosts.add(candidate);
  }
  return [...hosts];
}

/** Lower case, without port, brackets kept around IPv6, the dot of a fully qualified name dropped. */
function hostName(header: string): string {
  const colon = header.lastIndexOf(":");
  const bare = colon > header.lastIndexOf("]") ? header.slice(0, colon) : header;
  const lower = bare.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

function bucketOfHost(host: string, options: TargetOptions): string | undefined {
  if (options.domains.includes(host)) return undefined;
  for (const domain of options.domains) {
    const end = host.length - domain.length - 1;
    if (end > 0 && host.charCodeAt(end) === 46 && host.endsWith(domain)) return host.slice(0, end);
  }
  return undefined;
}

async function bucketOfCname(host: string, options: TargetOptions): Promise<string | undefined> {
  if (host === "localhost" || options.domains.includes(host)) return undefined;
  if (!BUCKET_LIKE.test(host) || isIP(host) !== 0) return undefined;
  return (await options.bucketExists(host)) ? host : undefined;
}

function splitPath(path: string, hostBucket: string | undefined, legacy: boolean) {
  if (path.charCodeAt(0) !== 47) throw new S3Error("InvalidURI");
  if (hostBucket !== undefined) return { bucket: hostBucket, key: decodeKey(path.slice(1), legacy) };
  if (path.length === 1) return { bucket: undefined, key: undefined };
  const slash = path.indexOf("/", 1);
  const name = decodePath(slash === -1 ? path.slice(1) : path.slice(1, slash));
  if (name === "") throw new S3Error("InvalidBucketName", { BucketName: "" });
  return { bucket: name, key: slash === -1 ? undefined : decodeKey(path.slice(slash + 1), legacy) };
}

function decodeKey(raw: string, legacy: boolean): string | undefined {
  if (raw === "") return undefined;
  const key = decodePath(raw);
  // A character is at most three times as many bytes of UTF-8 as UTF-16 units, so short keys need no count.
  const size = key.length * 3 <= MAX_KEY_BYTES ? 0 : Buffer.byteLength(key);
  if (size > MAX_KEY_BYTES) {
    const detail = { Size: String(size), MaxSizeAllowed: String(MAX_KEY_BYTES) };
    throw new S3Error(legacy ? "KeyTooLong" : "KeyTooLongError", detail);
  }
  // No listing could show a NUL as XML 1.0, and it ends strings in too many clients.
  if (key.includes("\0")) throw new S3Error("InvalidURI");
  return key;
}

/** Escapes decoded as strict UTF-8; a plus stays a plus. What may not stand in a path unescaped is refused. */
function decodePath(raw: string): string {
  if (/^[!-$&-~]*$/.test(raw)) return raw;
  if (!/^[!-~]*$/.test(raw)) throw new S3Error("InvalidURI");
  return decodeStrictly(raw);
}

/** @throws S3Error InvalidURI: decodeURIComponent refuses bad escapes, overlong forms and surrogates alike */
function decodeStrictly(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error("InvalidURI");
  }
}

function decodeParameter(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  return spaced.includes("%") ? decodeStrictly(spaced) : spaced;
}

type Parameters = ReadonlyMap<string, string>;

/** `hoisted` is set for presigned requests alone: elsewhere nothing says that a parameter stands for a header. */
function parseQuery(raw: string): { query: Parameters; hoisted: Parameters | undefined } {
  if (raw === "") return { query: NO_PARAMETERS, hoisted: undefined };
  const pairs = raw.split("&", MAX_QUERY_PARAMETERS + 1);
  if (pairs.length > MAX_QUERY_PARAMETERS) {
    throw new S3Error("InvalidURI", {}, { message: "The request has too many query parameters." });
  }
  const query = new Map<string, string>();
  let amz: Map<string, string> | undefined;
  for (const pair of pairs) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decodeParameter(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? "" : decodeParameter(pair.slice(equals + 1));
    if (/^x-/i.test(name)) {
      const lower = name.toLowerCase();
      if (!lower.startsWith("x-amz-")) continue;
      amz ??= new Map();
      if (!V4_QUERY_PARAMETERS.has(lower) && !amz.has(lower)) amz.set(lower, value);
    }
    if (!query.has(name)) query.set(name, value);
  }
  return { query, hoisted: amz !== undefined && isPresigned(query) ? amz : undefined };
}

/** Says that it carries a V4 signature in its query, complete or not. */
export function isPresignedV4(query: ReadonlyMap<string, string>): boolean {
  return query.has("X-Amz-Algorithm") || query.has("X-Amz-Signature") || query.has("X-Amz-Credential");
}

/** Says that it carries a V2 signature in its query, complete or not. */
export function isPresignedV2(query: ReadonlyMap<string, string>): boolean {
  return query.has("Signature") || query.has("AWSAccessKeyId");
}

function isPresigned(query: ReadonlyMap<string, string>): boolean {
  return isPresignedV4(query) || isPresignedV2(query);
}

/** A header that is there itself wins: it is what the signature covers under that name. */
function withHoisted(headers: Readonly<Record<string, string>>, hoisted: Parameters): Record<string, string> {
  const all = Object.assign(Object.create(null) as Record<string, string>, headers);
  for (const [name, value] of hoisted) all[name] ??= value;
  return all;
}

/** IPv4 addresses of dual-stack sockets come as `::ffff:a.b.c.d`. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

function isTrusted(list: BlockList, address: string): boolean {
  const plain = plainAddress(address);
  const version = isIP(plain);
  return version !== 0 && list.check(plain, version === 4 ? "ipv4" : "ipv6");
}

/** The rightmost address that no trusted proxy owns: what stands left of it, anyone may have written. */
function clientAddress(http: HttpRequest, trusted: BlockList | undefined): string {
  let client = plainAddress(http.remoteAddress);
  const hops = (http.headers["x-forwarded-for"] ?? "").split(",").slice(-MAX_FORWARDED_HOPS);
  for (let n = hops.length - 1; n >= 0; n--) {
    const named = hops[n]!.trim();
    const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(named)?.[1] ?? named.replace(/^([\d.]+):\d+$/, "$1");
    if (isIP(bare) === 0) break;
    client = plainAddress(bare);
    if (trusted === undefined || !isTrusted(trusted, client)) break;
  }
  return client;
}
