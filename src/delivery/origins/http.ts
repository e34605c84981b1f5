/** Fetching from strangers: judged addresses, pinned sockets, few redirects, bounded times. */
import { isUtf8 } from "node:buffer";
import {
  Agent as HttpAgent,
  request as requestHttp,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { Readable } from "node:stream";
import { DeliveryError } from "../errors.ts";
import { guardedLookup, judge, judgeHost, type AddressPolicy, unknownName } from "./address.ts";
import { LastingFailure } from "./attempts.ts";
import { CONNECTIONS_MAX, isLiteral, originError, OutsideOrigin } from "./client.ts";

/** Redirects that are followed; each is judged like the first URL. */
const REDIRECTS_MAX = 3;
/** Milliseconds for a connection. */
export const CONNECT_MS = 5000;
/** Milliseconds for which a socket waits for its next request. */
const KEEP_MS = 4000;

export interface WebOptions {
  readonly policy: AddressPolicy;
  /** Milliseconds until the answer's head, and as many before for a socket to be free. */
  readonly headMs: number;
}

export interface Asking {
  readonly method: "GET" | "HEAD";
  readonly headers: Readonly<Record<string, string>>;
}

export interface Answered {
  readonly status: number;
  /** Lower-case names; repeated ones joined. */
  readonly headers: Readonly<Record<string, string>>;
  /** To be read, with `bodyOf`, or discarded. */
  readonly body: Readable;
}

export interface Web {
  /** @throws DeliveryError OriginRefused, OriginFailed, OriginTimeout */
  ask(url: URL, asking: Asking): Promise<Answered>;
  close(): void;
}

/** Of answers that name another place. */
const MOVED: readonly number[] = [301, 302, 303, 307, 308];

export function openWeb({ policy, headMs }: WebOptions): Web {
  const agents = guardedAgents(policy);
  const once = async (url: URL, asking: Asking): Promise<Answered> => {
    await judge(url, policy);
    const answer = await send(url, asking, agents, headMs);
    const { statusCode: status = 0, headers } = answer;
    const bodiless = asking.method === "HEAD" || status === 304;
    // Its socket serves the next request.
    if (bodiless) answer.resume();
    return { status, headers: flat(headers), body: bodiless ? Readable.from([]) : answer };
  };
  return {
    async ask(url, asking) {
      let [place, asked] = [url, asking];
      for (let hops = 0; ; hops++) {
        const answer = await once(place, asked).catch((error: unknown) => {
          const failure = asOriginError(error, place);
          // Whoever is sent elsewhere was known here: the file is no other origin's.
          if (hops === 0 || !(failure instanceof OutsideOrigin)) throw failure;
          throw new DeliveryError(failure.code, failure.message);
        });
        const moved = answer.headers["location"];
        if (!MOVED.includes(answer.status) || moved === undefined) return answer;
        const location = asText(moved);
        discard(answer.body);
        if (hops === REDIRECTS_MAX) {
          throw new LastingFailure(`redirects more than ${REDIRECTS_MAX} times.`);
        }
        if (!URL.canParse(location, place.href)) {
          throw new LastingFailure("redirects to something that is no URL.");
        }
        const next = new URL(location, place);
        // Who we are is for the origin alone.
        if (next.origin !== place.origin) asked = { ...asked, headers: withoutKeys(asked.headers) };
        place = next;
      }
    },
    close: () => agents.destroy(),
  };
}

/** A header that isn't ASCII, which Node reads as Latin-1, as browsers read it: as UTF-8 where it is that. */
function asText(latin1: string): string {
  const bytes = Buffer.from(latin1, "latin1");
  return isUtf8(bytes) ? bytes.toString() : latin1;
}

/** Resolves with the head of the answer. @throws system errors, those of the HTTP parser, TimeoutError, AbortError */
function send(url: URL, asking: Asking, agents: Agents, headMs: number): Promise<IncomingMessage> {
  const { method, headers } = asking;
  const secure = url.protocol === "https:";
  return new Promise((resolve, reject) => {
    const request = (secure ? requestHttps : requestHttp)(url, {
      method,
      headers,
      agent: secure ? agents.https : agents.http,
      // Else it would be the Host header's, which may be the client's: the certificate is the origin's.
      servername: isLiteral(url.hostname) ? "" : url.hostname,
    });
    const timers: NodeJS.Timeout[] = [];
    const within = (ms: number): NodeJS.Timeout => {
      const timer = setTimeout(() => request.destroy(new DOMException("Silence", "TimeoutError")), ms);
      timers.push(timer);
      return timer;
    };
    const settled = (): void => timers.forEach(clearTimeout);
    let answered = false;
    // Waiting for one of the sockets is not the origin's silence.
    const waiting = setTimeout(() => {
      const late = busy(url);
      request.destroy(late);
      // A request without a socket tells nobody of its end before it gets one.
      reject(late);
    }, headMs);
    timers.push(waiting);
    request.on("socket", (socket) => {
      clearTimeout(waiting);
      within(headMs);
      if (!socket.connecting) return;
      const connecting = within(CONNECT_MS);
      socket.once(secure ? "secureConnect" : "connect", () => clearTimeout(connecting));
    });
    request.on("response", (answer) => {
      settled();
      answered = true;
      // Whoever reads it hears of it.
      answer.on("error", () => undefined);
      resolve(answer);
    });
    request.on("error", (error: NodeJS.ErrnoException) => {
      settled();
      // The other side had closed a socket that waited here.
      const closed = request.reusedSocket && !answered && error.code === "ECONNRESET";
      if (closed) resolve(send(url, asking, agents, headMs));
      else reject(error);
    });
    // After an answer that was none, such as to an upgrade that nobody asked for.
    request.on("close", () => {
      settled();
      reject(originError("OriginFailed", url.host, HUNG_UP));
    });
    request.end();
  });
}

const busy = ({ host }: { host: string }): DeliveryError =>
  originError("ServiceUnavailable", host, "has no connection left.", ["Retry-After", "1"]);

function withoutKeys(headers: Asking["headers"]): Record<string, string> {
  const { authorization: _, host: _host, "x-forwarded-host": _forwarded, ...others } = headers;
  return others;
}

/** What nobody reads must not hold its socket. */
export function discard(body: {
  destroy(): unknown;
  on(event: "error", listener: () => void): unknown;
}): void {
  body.on("error", () => undefined);
  body.destroy();
}

/**
 * The body of an answer. Closing it before it was begun gives the socket back too; silence of `idleMs` ends it.
 * Its reader may take any time.
 */
export function bodyOf(body: Readable, where: OriginPlace, idleMs: number): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]() {
      const inner = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      return {
        async next() {
          const silence = setTimeout(() => body.destroy(new DOMException("Silence", "TimeoutError")), idleMs);
          try {
            return await inner.next();
          } catch (error) {
            // Azure's SDK calls it AbortError when the service hangs up.
            const { name, code } = error as NodeJS.ErrnoException;
            if (name === "AbortError" || code === "ECONNRESET") {
              throw originError("OriginFailed", where.host, HUNG_UP);
            }
            throw asOriginError(error, where);
          } finally {
            clearTimeout(silence);
          }
        },
        return() {
          discard(body);
          return Promise.resolve({ done: true, value: undefined });
        },
      };
    },
  };
}

/** The beginning of a body. */
export async function bytesOf(body: AsyncIterable<Buffer>, max: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= max) break;
  }
  return Buffer.concat(chunks).subarray(0, max);
}

/** `bytes 0-99/1234`. */
export function rangeOf(
  text: string | undefined,
): { start: number; end: number; size: number | undefined } | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(text ?? "");
  if (match === null) return undefined;
  return {
    start: Number(match[1]),
    end: Number(match[2]) + 1,
    size: match[3] === "*" ? undefined : Number(match[3]),
  };
}

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(", ") : (value ?? ""),
  ]);
  return Object.fromEntries(entries) as Record<string, string>;
}

interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  destroy(): void;
}

/** For SDKs too, which open their own sockets, perhaps to where an answer sent them. */
export function guardedAgents(policy: AddressPolicy): Agents {
  const lookup = guardedLookup(policy) as never;
  // The agent minds its timeout only while nobody uses the socket.
  const options = { keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: KEEP_MS, lookup };
  const http = judging(new HttpAgent(options), policy);
  const https = judging(new HttpsAgent(options), policy);
  const destroy = (): void => [http, https].forEach((agent) => agent.destroy());
  return { http, https, destroy };
}

/** Literal addresses are not looked up, so they are judged where the socket is made. Requests are marked. */
function judging<T extends HttpAgent>(agent: T, policy: AddressPolicy): T {
  type Connect = (
    options: { host?: string; port?: unknown },
    made: (...result: unknown[]) => void,
  ) => unknown;
  type Add = (request: ClientRequest, ...rest: unknown[]) => void;
  const owner = agent as unknown as { createConnection: Connect; addRequest: Add };
  const { loopMark } = policy;
  const add = owner.addRequest.bind(agent);
  owner.addRequest = (request, ...rest) => {
    if (loopMark !== undefined) request.setHeader("CDN-Loop", loopMark);
    add(request, ...rest);
  };
  const connect = owner.createConnection.bind(agent);
  owner.createConnection = (options, made) => {
    const { host = "", port } = options;
    if (!isLiteral(host)) return connect(options, made);
    judgeHost(host, String(port), policy).then(
      () =>
        made(
          null,
          connect(options, () => undefined),
        ),
      (error: unknown) => made(error),
    );
    return undefined;
  };
  return agent;
}

/** A word of a stranger's protocol, such as an error code: it goes into headers, logs and terminals. */
export const wordOf = (text: string | undefined): string =>
  (text ?? "").replaceAll(/[^\w. ()/:+-]/g, "").slice(0, WORD_MAX) || "unknown error";
const WORD_MAX = 64;

const TLS_WORDS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is self-signed",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate can't be verified",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate can't be verified",
};
/** What OpenSSL calls the first bytes of a server that speaks something else. */
const NO_TLS: readonly string[] = ["wrong version number", "packet length too long", "http request"];

/** Undefined: it isn't TLS that failed. */
function tlsWords(code: string, message: string): string | undefined {
  if (code !== "EPROTO" && !code.startsWith("ERR_SSL_")) return TLS_WORDS[code];
  const said = /SSL routines:[^:]*:([^:]+)/.exec(message)?.[1];
  return said !== undefined && NO_TLS.includes(said)
    ? "it doesn't speak TLS at this port (http:// instead of https://?)"
    : wordOf(said ?? code);
}
const TIMEOUTS: readonly string[] = ["ETIMEDOUT", "TimeoutError", "ABORT_ERR"];

/** Where an origin is. Amazon's has a name in place of a host. */
export interface OriginPlace {
  readonly host: string;
  readonly protocol?: string;
}

/** The same for the operator alone, who may know more. */
export function findingOf(error: unknown, place: OriginPlace): string {
  const { message, detail } = asOriginError(error, place);
  return detail ?? message;
}

/** Whatever a socket, TLS or an HTTP parser says before an answer, in words for the operator and a status for the client. */
export function asOriginError(error: unknown, place: OriginPlace): DeliveryError {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof DeliveryError) return cause;
    const { code = cause.name } = cause as NodeJS.ErrnoException;
    // Amazon's SDK calls it a timeout.
    if (code === "ECONNRESET") {
      const hint = place.protocol === "http:" ? " (https:// instead of http://?)" : "";
      return originError("OriginFailed", place.host, `hangs up before it answers${hint}.`);
    }
    if (TIMEOUTS.includes(code) || cause.name === "TimeoutError" || cause.name === "AbortError") {
      return originError("OriginTimeout", place.host, "did not answer in time.");
    }
    if (code === "ECONNREFUSED") return originError("OriginFailed", place.host, "refuses connections.");
    if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
      return unknownName(place.host, code);
    }
    const tls = tlsWords(code, cause.message);
    if (tls !== undefined) {
      const said = `fails: ${tls}.`;
      return new DeliveryError(
        "OriginFailed",
        `TLS with the origin ${said}`,
        [],
        `TLS with ${place.host} ${said}`,
      );
    }
    if (cause instanceof AggregateError && cause.errors.length > 0)
      return asOriginError(cause.errors[0], place);
  }
  const { code, name } = (error ?? {}) as { code?: string; name?: string };
  return originError("OriginFailed", place.host, `can't be read (${wordOf(code ?? name)}).`);
}
const HUNG_UP = "can't be read (it hung up).";
