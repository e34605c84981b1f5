/**
 * Requests and signatures for the tests of authentication, written from Amazon's descriptions and apart from the
 * server's own code, so that both can't share a mistake.
 */
import { createHash, createHmac } from "node:crypto";
import { collect } from "../../../src/lib/chunks.ts";
import type { HttpRequest } from "../../../src/lib/http.ts";
import { authenticate, type AuthDeps, type Identity } from "../../../src/s3/auth.ts";
import { parseTarget, prepareTarget, type S3Request, type TargetSettings } from "../../../src/s3/request.ts";
import { SigningKeys } from "../../../src/s3/signing.ts";
import type { Account, Credential } from "../../../src/store/types.ts";

export const KEY = { id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
export const NOW = Date.UTC(2013, 4, 24, 0, 0, 0);
export const HOST = "s3.localhost:9000";

export interface Sent {
  method: string;
  /** Path and query as on the wire. */
  target: string;
  /** Repeated names allowed; a Host must be among them, or the request has none. */
  headers: [name: string, value: string][];
  /** The body in the pieces in which it arrives. */
  body: Buffer[];
  httpVersion?: string;
  remoteAddress?: string;
}

export function toHttp(sent: Sent): HttpRequest {
  const headers = Object.create(null) as Record<string, string>;
  for (const [name, value] of sent.headers) {
    const lower = name.toLowerCase();
    headers[lower] = lower in headers ? `${headers[lower]},${value}` : value;
  }
  const question = sent.target.indexOf("?");
  const length = headers["content-length"];
  return {
    id: "0123456789ABCDEF",
    hostId: "host",
    method: sent.method,
    path: question === -1 ? sent.target : sent.target.slice(0, question),
    rawQuery: question === -1 ? "" : sent.target.slice(question + 1),
    headers,
    rawHeaders: sent.headers.flat(),
    httpVersion: sent.httpVersion ?? "1.1",
    remoteAddress: sent.remoteAddress ?? "192.0.2.1",
    secure: false,
    contentLength: length === undefined ? undefined : Number(length),
    async *body() {
      yield* sent.body;
    },
  };
}

const settings: TargetSettings = { domains: ["s3.localhost", "localhost", "s3.amazonaws.com"] };

export function target(
  sent: Sent,
  more: Partial<TargetSettings> = {},
  buckets: string[] = [],
): Promise<S3Request> {
  const options = prepareTarget({ ...settings, ...more }, (name) => Promise.resolve(buckets.includes(name)));
  return parseTarget(toHttp(sent), options);
}

const account: Account = { id: "a".repeat(64), name: "tester", status: "active", createdAt: 0 };
export function credential(change: Partial<Credential> = {}): Credential {
  return {
    accessKeyId: KEY.id,
    secretAccessKey: KEY.secret,
    accountId: account.id,
    enabled: true,
    createdAt: 0,
    account,
    ...change,
  };
}

export function deps(change: Partial<AuthDeps> = {}, known: Credential[] = [credential()]): AuthDeps {
  return {
    accounts: { credential: (id) => Promise.resolve(known.find((each) => each.accessKeyId === id)) },
    region: "us-east-1",
    locations: ["us-east-1"],
    signingKeys: new SigningKeys(),
    now: NOW,
    ...change,
  };
}

export async function login(sent: Sent, change?: Partial<AuthDeps>, known?: Credential[]): Promise<Identity> {
  return authenticate(await target(sent), deps(change, known));
}

/** The code of the error that comes, its detail and its message; "none" and what was read if none does. */
export async function outcome(
  work: () => Promise<unknown>,
): Promise<{ code: string; detail?: Record<string, string>; message?: string }> {
  try {
    await work();
    return { code: "none" };
  } catch (error) {
    return error as { code: string; detail: Record<string, string>; message: string };
  }
}

/** As `outcome`, of authenticating and then reading the body to its end. */
export const served = (sent: Sent, change?: Partial<AuthDeps>, known?: Credential[]) =>
  outcome(async () => collect((await login(sent, change, known)).body));

export const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();

/** RFC 3986, byte by byte. */
export function escape(text: string, keep = ""): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9\-._~]/.test(char) || keep.includes(char)
        ? char
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}

export interface V4Options {
  key?: { id: string; secret: string };
  at?: number;
  region?: string;
  service?: string;
  terminal?: string;
  /** Day of the scope when it is not that of `at`. */
  day?: string;
  /** Names left out of SignedHeaders. */
  unsigned?: string[];
  expires?: number | string;
  payload?: string;
  /** A Date header in place of x-amz-date. */
  date?: string;
  /** The path as signed, when it is not the one sent. */
  path?: string;
}

const stampOf = (at: number) => new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, "");

interface Parts {
  method: string;
  path: string;
  query: [string, string][];
  headers: [string, string][];
  payload: string;
  stamp: string;
  options: V4Options;
}

function v4Signature({ method, path, query, headers, payload, stamp, options }: Parts) {
  const merged = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (options.unsigned?.includes(lower)) continue;
    merged.set(lower, [...(merged.get(lower) ?? []), value.trim().replaceAll(/ +/g, " ")]);
  }
  const names = [...merged.keys()].toSorted();
  const pairs = query.map(([name, value]) => [escape(name), escape(value)] as const);
  pairs.sort(
    ([a, av], [b, bv]) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)) || Buffer.compare(Buffer.from(av), Buffer.from(bv)),
  );
  const scope = [
    options.day ?? stamp.slice(0, 8),
    options.region ?? "us-east-1",
    options.service ?? "s3",
    options.terminal ?? "aws4_request",
  ];
  const canonical = [
    method,
    options.path ?? path,
    pairs.map((pair) => pair.join("=")).join("&"),
    names.map((name) => `${name}:${merged.get(name)!.join(",")}\n`).join(""),
    names.join(";"),
    payload,
  ].join("\n");
  const text = `AWS4-HMAC-SHA256\n${stamp}\n${scope.join("/")}\n${sha256(canonical)}`;
  let key: Buffer = Buffer.from(`AWS4${(options.key ?? KEY).secret}`);
  for (const part of scope) key = hmac(key, part);
  return {
    signature: hmac(key, text).toString("hex"),
    signedHeaders: names.join(";"),
    scope: scope.join("/"),
    key,
    canonical,
    text,
  };
}

const splitQuery = (query: string): [string, string][] =>
  query === ""
    ? []
    : query.split("&").map((pair) => {
        const [name = "", value = ""] = pair.split("=");
        return [decodeURIComponent(name), decodeURIComponent(value)];
      });

export interface Draft {
  method?: string;
  /** Path and query, escaped as S3 wants it. */
  target: string;
  headers?: [string, string][];
  body?: string | Buffer;
  host?: string;
}

/** Signed in the Authorization header. `seal` is what chunk signatures go on from. */
export function signV4(
  draft: Draft,
  options: V4Options = {},
): Sent & { seal: { signature: string; key: Buffer; stamp: string; scope: string } } {
  const body = Buffer.from(draft.body ?? "");
  const stamp = stampOf(options.at ?? NOW);
  const payload = options.payload ?? sha256(body);
  const headers: [string, string][] = [
    ["Host", draft.host ?? HOST],
    options.date === undefined ? ["x-amz-date", stamp] : ["Date", options.date],
    ["x-amz-content-sha256", payload],
    ...(draft.headers ?? []),
  ];
  const [path = "", query = ""] = draft.target.split("?");
  const method = draft.method ?? "GET";
  const made = v4Signature({ method, path, query: splitQuery(query), headers, payload, stamp, options });
  const authorization = `AWS4-HMAC-SHA256 Credential=${(options.key ?? KEY).id}/${made.scope}, SignedHeaders=${made.signedHeaders}, Signature=${made.signature}`;
  return {
    method,
    target: draft.target,
    headers: [
      ...headers,
      ...(body.length > 0 ? [["Content-Length", String(body.length)] as [string, string]] : []),
      ["Authorization", authorization],
    ],
    body: body.length > 0 ? [body] : [],
    seal: { signature: made.signature, key: made.key, stamp, scope: made.scope },
  };
}

/** A presigned URL. Headers of the draft are signed and have to be sent. */
export function presignV4(draft: Draft, options: V4Options = {}): Sent {
  const stamp = stampOf(options.at ?? NOW);
  const headers: [string, string][] = [["Host", draft.host ?? HOST], ...(draft.headers ?? [])];
  const [path = "", given = ""] = draft.target.split("?");
  const method = draft.method ?? "GET";
  const names = [...new Set(headers.map(([name]) => name.toLowerCase()))]
    .filter((name) => !options.unsigned?.includes(name))
    .toSorted();
  const scope = [
    options.day ?? stamp.slice(0, 8),
    options.region ?? "us-east-1",
    options.service ?? "s3",
    options.terminal ?? "aws4_request",
  ].join("/");
  const query: [string, string][] = [
    ...splitQuery(given),
    ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"],
    ["X-Amz-Credential", `${(options.key ?? KEY).id}/${scope}`],
    ["X-Amz-Date", stamp],
    ["X-Amz-Expires", String(options.expires ?? 3600)],
    ["X-Amz-SignedHeaders", names.join(";")],
  ];
  const payload = options.payload ?? "UNSIGNED-PAYLOAD";
  const { signature } = v4Signature({ method, path, query, headers, payload, stamp, options });
  const text = [...query, ["X-Amz-Signature", signature]]
    .map(([name, value]) => `${escape(name!)}=${escape(value!)}`)
    .join("&");
  const body = Buffer.from(draft.body ?? "");
  if (body.length > 0) headers.push(["Content-Length", String(body.length)]);
  return { method, target: `${path}?${text}`, headers, body: body.length > 0 ? [body] : [] };
}

export interface ChunkedDraft extends Draft {
  chunks: Buffer[];
  kind: "signed" | "signed-trailer" | "unsigned-trailer";
  trailers?: [name: string, value: string][];
  /** Says another length than the chunks have. */
  decodedLength?: number;
  /** Line end after each trailer. */
  trailerEnd?: string;
}

const KINDS = {
  signed: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
  "signed-trailer": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
  "unsigned-trailer": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
} as const;

/** An upload whose body is aws-chunked, in one piece. */
export function signChunked(draft: ChunkedDraft, options: V4Options = {}): Sent {
  const { kind, chunks, trailers = [] } = draft;
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const headers: [string, string][] = [
    ["x-amz-decoded-content-length", String(draft.decodedLength ?? length)],
    ...(trailers.length > 0
      ? [["x-amz-trailer", trailers.map(([name]) => name).join(",")] as [string, string]]
      : []),
    ...(draft.headers ?? []),
  ];
  const sent = signV4(
    { ...draft, method: draft.method ?? "PUT", headers },
    { ...options, payload: KINDS[kind] },
  );
  let previous = sent.seal.signature;
  const link = (algorithm: string, rest: string) => {
    previous = hmac(
      sent.seal.key,
      `${algorithm}\n${sent.seal.stamp}\n${sent.seal.scope}\n${previous}\n${rest}`,
    ).toString("hex");
    return previous;
  };
  const body: Buffer[] = [];
  for (const chunk of [...chunks, Buffer.alloc(0)]) {
    const signature =
      kind === "unsigned-trailer"
        ? ""
        : `;chunk-signature=${link("AWS4-HMAC-SHA256-PAYLOAD", `${sha256("")}\n${sha256(chunk)}`)}`;
    body.push(Buffer.from(`${chunk.length.toString(16)}${signature}\r\n`));
    if (chunk.length > 0) body.push(chunk, Buffer.from("\r\n"));
  }
  for (const [name, value] of trailers)
    body.push(Buffer.from(`${name}:${value}${draft.trailerEnd ?? "\r\n"}`));
  if (kind === "signed-trailer") {
    const text = trailers
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}:${value}\n`)
      .join("");
    body.push(Buffer.from(`x-amz-trailer-signature:${link("AWS4-HMAC-SHA256-TRAILER", sha256(text))}\r\n`));
  }
  body.push(Buffer.from("\r\n"));
  const whole = Buffer.concat(body);
  return { ...sent, headers: [...sent.headers, ["Content-Length", String(whole.length)]], body: [whole] };
}

/** The same request with its body in pieces of `size` bytes. */
export function inPieces(sent: Sent, size: number): Sent {
  const whole = Buffer.concat(sent.body);
  const body: Buffer[] = [];
  for (let at = 0; at < whole.length; at += size) body.push(whole.subarray(at, at + size));
  return { ...sent, body };
}

export const v2Signature = (secret: string, text: string) =>
  createHmac("sha1", secret).update(text).digest("base64");

/** The same request with one header changed, added or (undefined) removed. */
export function withHeader(sent: Sent, name: string, value: string | undefined): Sent {
  const rest = sent.headers.filter(([each]) => each.toLowerCase() !== name.toLowerCase());
  return { ...sent, headers: value === undefined ? rest : [...rest, [name, value]] };
}

export const headerOf = (sent: Sent, name: string) =>
  sent.headers.find(([each]) => each.toLowerCase() === name.toLowerCase())?.[1];
