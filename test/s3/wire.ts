import { createHmac } from "node:crypto";
import { connect } from "node:net";
import type { TestKey } from "../signer.ts";

/** A request of which every byte of the head is the test's own. */
export interface WireRequest {
  /** GET when left out. */
  readonly method?: string;
  readonly target: string;
  /** In order, repeated names allowed. Host is added unless it is there, or the version is 1.0. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
  readonly version?: "1.0" | "1.1";
}

export interface WireAnswer {
  readonly status: number;
  /** Everything before the blank line, interim answers included. */
  readonly head: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** As sent: still in chunks where the answer is. */
  readonly text: string;
  readonly code: string | undefined;
}

function parseAnswer(all: string): WireAnswer {
  let start = 0;
  while (all.startsWith("HTTP/1.1 100 ", start)) start = all.indexOf("\r\n\r\n", start) + 4;
  const end = all.indexOf("\r\n\r\n", start);
  const lines = all.slice(start, end).split("\r\n").slice(1);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const text = all.slice(end + 4);
  return {
    status: Number(/^HTTP\/1\.\d (\d{3})/.exec(all.slice(start))?.[1]),
    head: all.slice(0, end),
    headers,
    text,
    code: /<Code>([^<]*)<\/Code>/.exec(text)?.[1],
  };
}

const withHost = ({ headers = [], version }: WireRequest, port: number) =>
  version === "1.0" || headers.some(([name]) => name.toLowerCase() === "host")
    ? headers
    : [["Host", `127.0.0.1:${port}`] as const, ...headers];

/** Sends a request over a connection of its own and reads until the server closes it. */
export function exchange(port: number, request: WireRequest): Promise<WireAnswer> {
  const { method = "GET", target, body, version = "1.1" } = request;
  const headers = [...withHost(request, port), ["Connection", "close"] as const];
  const framed = headers.some(([name]) => /^(?:content-length|transfer-encoding)$/i.test(name));
  if (body !== undefined && !framed) headers.push(["Content-Length", String(Buffer.byteLength(body))]);
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () =>
      socket.write(`${method} ${target} HTTP/${version}\r\n${lines}\r\n${body ?? ""}`),
    );
    let all = "";
    socket.setEncoding("utf8");
    socket.on("data", (some: string) => {
      all += some;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(parseAnswer(all)));
  });
}

const v2 = (key: TestKey, text: string) =>
  createHmac("sha1", key.secretAccessKey).update(text).digest("base64");

function amzLines(headers: readonly (readonly [string, string])[]): string {
  const lines = new Map<string, string>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (!lower.startsWith("x-amz-")) continue;
    const before = lines.get(lower);
    lines.set(lower, before === undefined ? value.trim() : `${before},${value.trim()}`);
  }
  return [...lines]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}\n`)
    .join("");
}

interface SignOptions {
  /** CanonicalizedResource; the path when left out. */
  readonly resource?: string;
  /** Text of the Date header; now when left out, none at all when null. */
  readonly date?: string | null;
}

const headerOf = ({ headers = [] }: WireRequest, name: string) =>
  headers.find(([each]) => each.toLowerCase() === name)?.[1];

/** The request with a V2 signature in its headers, as the guide's chapter describes it. */
export function signV2(
  request: WireRequest,
  key: TestKey,
  { resource = request.target.split("?")[0], date = new Date().toUTCString() }: SignOptions = {},
): WireRequest {
  const { method = "GET", headers = [] } = request;
  const dateLine = headerOf(request, "x-amz-date") === undefined ? (date ?? "") : "";
  const text = [
    method,
    headerOf(request, "content-md5") ?? "",
    headerOf(request, "content-type") ?? "",
    dateLine,
    amzLines(headers) + resource,
  ].join("\n");
  const dated = date === null ? headers : [...headers, ["Date", date] as const];
  return {
    ...request,
    headers: [...dated, ["Authorization", `AWS ${key.accessKeyId}:${v2(key, text)}`]],
  };
}

/** The request with a V2 signature in its query, good for `seconds`. */
export function presignV2(
  request: WireRequest,
  key: TestKey,
  { resource = request.target.split("?")[0], seconds = 60, hoisted = [] as [string, string][] } = {},
): WireRequest {
  const { method = "GET", headers = [], target } = request;
  const expires = Math.floor(Date.now() / 1000) + seconds;
  const text = [
    method,
    headerOf(request, "content-md5") ?? "",
    headerOf(request, "content-type") ?? "",
    expires,
    amzLines([...headers, ...hoisted]) + resource,
  ].join("\n");
  const query = [
    ...hoisted,
    ["Signature", v2(key, text)],
    ["Expires", String(expires)],
    ["AWSAccessKeyId", key.accessKeyId],
  ].map(([name, value]) => `${name}=${encodeURIComponent(value!)}`);
  return { ...request, target: `${target}${target.includes("?") ? "&" : "?"}${query.join("&")}` };
}
