/** Web servers, and the web proxy, whose paths are URLs themselves. */
import type { AddressPolicy } from "./address.ts";
import { failureOf, LastingFailure } from "./attempts.ts";
import {
  OutsideOrigin,
  type Fetched,
  type FetchOptions,
  type FileInfo,
  type OriginClient,
  type OriginTest,
  originError,
} from "./client.ts";
import {
  bodyOf,
  bytesOf,
  discard,
  findingOf,
  openWeb,
  rangeOf,
  wordOf,
  type Answered,
  type Web,
} from "./http.ts";

export interface WebOriginOptions {
  /** With a slash at the end; undefined for the proxy. */
  readonly baseUrl: string | undefined;
  readonly forwardHost: boolean;
  readonly policy: AddressPolicy;
  readonly headMs: number;
  /** Headers that show who we are; asked for before each request. */
  readonly authorize?: () => Readonly<Record<string, string>>;
  /** What else a service's error code, if it has one, says; undefined: what the status says. @throws DeliveryError */
  readonly sort?: (status: number, code: string | undefined) => Fetched | undefined;
}

export function openWebOrigin(options: WebOriginOptions): OriginClient {
  const { baseUrl, forwardHost, policy, headMs, authorize = () => ({}), sort = () => undefined } = options;
  const web = openWeb({ policy, headMs });
  return {
    async fetch(name, asked) {
      const url = urlOf(baseUrl, name, asked.query ?? "");
      const answer = await web.ask(url, {
        method: "GET",
        headers: { ...headersOf(asked, forwardHost ? asked.host : undefined), ...authorize() },
      });
      return fetchedOf(answer, { url, asked, headMs, sort });
    },
    test: () => testWeb(web, baseUrl),
    close: () => web.close(),
  };
}

/** Without steps out of the base: no name has any. @throws OutsideOrigin */
function urlOf(baseUrl: string | undefined, name: string, query: string): URL {
  if (baseUrl !== undefined) {
    const url = new URL(baseUrl + name);
    if (query !== "") url.search = query;
    return url;
  }
  if (!/^https?:\/\//.test(name) || !URL.canParse(name)) {
    throw new OutsideOrigin(
      "InvalidPath",
      "A web proxy needs a URL such as https://example.com/photo.jpg as its path.",
    );
  }
  const url = new URL(name);
  if (query !== "" && url.search === "") url.search = query;
  return url;
}

/** `identity`: a size and a range must be those of the file. */
function headersOf({ range, known }: FetchOptions, host: string | undefined): Record<string, string> {
  return {
    accept: "*/*",
    "accept-encoding": "identity",
    "user-agent": "windlass",
    "x-req-from": "windlass",
    ...(host === undefined ? {} : { host, "x-forwarded-host": host }),
    ...(range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` }),
    ...(known === undefined ? {} : conditionOf(known)),
  };
}

function conditionOf({
  etag,
  weakEtag,
  lastModified,
}: NonNullable<FetchOptions["known"]>): Record<string, string> {
  const tag = etag === undefined ? weakEtag : `"${etag}"`;
  if (tag !== undefined) return { "if-none-match": tag };
  return lastModified === undefined ? {} : { "if-modified-since": new Date(lastModified).toUTCString() };
}

interface Question extends Required<Pick<WebOriginOptions, "headMs" | "sort">> {
  readonly url: URL;
  readonly asked: FetchOptions;
}

async function fetchedOf(answer: Answered, { url, asked, headMs, sort }: Question): Promise<Fetched> {
  const { status, headers, body } = answer;
  if (status === 200 || status === 206) {
    const range = status === 206 ? rangeOf(headers["content-range"]) : undefined;
    if (status === 206 && (range === undefined || asked.range === undefined)) {
      discard(body);
      throw new LastingFailure("answers with a part of the file that it doesn't name.", url.host);
    }
    return {
      kind: "found",
      info: infoOf(headers, range),
      range,
      body: bodyOf(body, url, headMs),
    };
  }
  const code = status < 400 ? undefined : await codeOf(bodyOf(body, url, headMs)).catch(() => undefined);
  discard(body);
  if (status === 304) return { kind: "unchanged", said: infoOf(headers, undefined) };
  const sorted = sort(status, code);
  if (sorted !== undefined) return sorted;
  if (status === 404 || status === 410) return { kind: "missing" };
  if (status === 401 || status === 403 || status === 407) {
    throw originError("OriginDenied", url.host, `answers ${status}: it wants credentials.`);
  }
  throw failureOf(status, url.host);
}

/** Of an error document in XML, as storage services have it. */
export async function codeOf(body: AsyncIterable<Buffer>): Promise<string | undefined> {
  const text = await bytesOf(body, ERROR_BYTES_MAX);
  return /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(text.toString("latin1"))?.[1];
}
/** What is read of an error document: its code is in front. */
const ERROR_BYTES_MAX = 4096;

function infoOf(headers: Answered["headers"], range: { size: number | undefined } | undefined): FileInfo {
  const length = headers["content-length"];
  // An empty one names nothing.
  const etag = /^"([^"]+)"$/.exec(headers["etag"] ?? "")?.[1];
  const weakEtag = /^W\/"[^"]*"$/.exec(headers["etag"] ?? "")?.[0];
  const modified = Date.parse(headers["last-modified"] ?? "");
  return {
    etag,
    weakEtag,
    lastModified: Number.isNaN(modified) ? undefined : modified,
    size: range === undefined ? (length === undefined ? undefined : Number(length)) : range.size,
    contentType: headers["content-type"],
    contentEncoding: headers["content-encoding"],
    contentLanguage: headers["content-language"],
    contentDisposition: undefined,
    // An empty one says nothing.
    cacheControl: headers["cache-control"]?.trim() || undefined,
    age: Number(/^\d{1,9}$/.exec(headers["age"] ?? "")?.[0] ?? 0),
    private: headers["is-private-file"] === "true" || headers["x-goog-meta-isprivatefile"] === "true",
    customCoordinates: headers["x-goog-meta-customcoordinates"],
  };
}

async function testWeb(web: Web, baseUrl: string | undefined): Promise<OriginTest> {
  if (baseUrl === undefined)
    return { ok: true, findings: ["A web proxy asks the hosts of its --allow-host list."] };
  const url = new URL(baseUrl);
  try {
    const { status, body, headers } = await web.ask(url, {
      method: "HEAD",
      headers: headersOf({}, undefined),
    });
    discard(body);
    const server = headers["server"] === undefined ? "" : ` (${wordOf(headers["server"])})`;
    const findings = [`${url.host} answers${server}: ${status} to its base URL.`];
    if (status === 401) findings.push("It wants credentials, which web origins don't have.");
    if (status === 403) findings.push("It may forbid no more than its index: ask for a file.");
    return { ok: status < 500 && status !== 401, findings };
  } catch (error) {
    return { ok: false, findings: [findingOf(error, url)] };
  }
}
