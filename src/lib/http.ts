/**
 * The HTTP loop: parses heads, bounds everything a client may send, calls one handler per request and is the only
 * code that writes to a socket. It knows nothing of S3: what an error looks like comes from the `onFailure` callback.
 */
import { createServer as createPlainServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { ChurnMap } from "./churn.ts";
import { Connection } from "./httpconnection.ts";
import { Incoming, newHostId, requestIds } from "./httphead.ts";
import type { Logger } from "./log.ts";
import type { Certificates } from "./tls.ts";

export { BodyError } from "./httpbody.ts";

/** What the loop itself has to answer, without the handler. */
export type HttpFailure =
  | "BadRequest" // not HTTP
  | "HeadersTooLarge"
  | "TargetTooLong"
  | "ExpectationFailed"
  | "RequestTimeout" // the head did not arrive in time
  | "Overloaded"
  | "InternalError"; // the handler threw; already logged

export interface HttpRequest {
  /** 16 upper-case hex digits, new for each request. */
  readonly id: string;
  /** 64 base64 characters, one per listener. */
  readonly hostId: string;
  readonly method: string;
  /**
   * Un-decoded path as received, never normalised; scheme and host of the absolute form stripped: `headers` has that
   * host.
   */
  readonly path: string;
  /** Without "?"; "" when none. */
  readonly rawQuery: string;
  /** Lower-case names, repeated ones joined with ",", bytes decoded as UTF-8. No prototype. */
  readonly headers: Readonly<Record<string, string>>;
  /** Name, value, name, value as Node gives them (bytes as latin1). */
  readonly rawHeaders: readonly string[];
  /** "1.0" or "1.1". */
  readonly httpVersion: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** Of the Content-Length header; undefined when there is none (no body, or Transfer-Encoding: chunked). */
  readonly contentLength: number | undefined;
  /**
   * The raw body, readable once. "100 Continue" is sent at the first pull.
   * @throws BodyError IncompleteBody, RequestTimeout
   */
  body(): AsyncIterable<Buffer>;
}

export interface HttpResponse {
  status: number;
  /** Flat: name, value, name, value. Values are text; what is outside ASCII goes out as UTF-8. */
  headers: string[];
  /**
   * A chunk of a stream is valid only until the next is asked for. Content-Length is added for strings and buffers.
   * A stream that fails before its first chunk is answered as `failed` says; later, the connection is cut. When
   * the last announced byte is out the client has its answer: a source that verifies itself must do so before that.
   */
  body?: string | Buffer | AsyncIterable<Buffer> | undefined;
  /** What is answered then. Without it, and for what it throws again: InternalError. */
  failed?: ((error: unknown) => HttpResponse | Promise<HttpResponse>) | undefined;
  /** Passed on to `onFinish`. */
  log?: Record<string, unknown> | undefined;
}

export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** What is known of a request that the loop answers itself; method is "" and path "/" when it never became one. */
export type FailureContext = Pick<HttpRequest, "id" | "hostId" | "method" | "path">;

/** One request, done with, for access log and metrics. */
export interface FinishedRequest {
  readonly id: string;
  /** "" for what never became a request. */
  readonly method: string;
  readonly path: string;
  readonly rawQuery: string;
  readonly httpVersion: string;
  /** 499 when the client left before an answer began. */
  readonly status: number;
  /** Of the bodies, as far as they came. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  /** From the end of the request's head to the begin of the answer's. */
  readonly ttfbMs: number;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly userAgent: string;
  readonly referer: string;
  /** The connection was lost before the answer was out. */
  readonly aborted: boolean;
  readonly log: Readonly<Record<string, unknown>> | undefined;
}

/** Each limit names what it stops. */
export interface HttpLimits {
  /** Bytes of the request target: endless URLs. Amazon's keys (1,024 bytes, escaped) and session tokens fit. */
  readonly maxTargetBytes: number;
  /** Bytes of all header lines: memory and signing time. Amazon's limit. */
  readonly maxHeaderBytes: number;
  /** Header lines: sorting and joining of tiny headers. */
  readonly maxHeaders: number;
  /** Milliseconds for a whole head: connections held open by heads that come byte by byte. */
  readonly headTimeoutMs: number;
  /** Milliseconds that an upload may send nothing while it is waited for: silent clients. */
  readonly bodyIdleMs: number;
  /** Milliseconds that a client may take nothing of its answer: readers that stopped. */
  readonly sendIdleMs: number;
  /** Milliseconds an idle connection stays open; above the idle times of clients' pools and load balancers (60 s). */
  readonly keepAliveMs: number;
  /** Requests in work at once, per process: floods. Beyond: Overloaded. */
  readonly maxRequests: number;
  /** Open connections, per process: memory and file descriptors. Beyond: Overloaded and closed, twice that: dropped. */
  readonly maxConnections: number;
}

const DEFAULT_LIMITS: HttpLimits = {
  maxTargetBytes: 8192,
  maxHeaderBytes: 8192,
  maxHeaders: 500,
  headTimeoutMs: 20_000,
  bodyIdleMs: 60_000,
  sendIdleMs: 60_000,
  keepAliveMs: 75_000,
  maxRequests: 2048,
  maxConnections: 8192,
};

/** Head bytes at which Node's parser gives up; above our limits, so that we answer with our own words. */
const PARSER_HEADER_BYTES = 64 * 1024;
/** Connections waiting to be accepted. */
const BACKLOG = 2048;
/** Milliseconds for a TLS handshake: sockets that say nothing. */
const HANDSHAKE_MS = 10_000;

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Makes it an https listener. */
  readonly tls?: Certificates | undefined;
  readonly handle: HttpHandler;
  readonly onFailure: (failure: HttpFailure, context: FailureContext) => HttpResponse;
  readonly onFinish?: ((record: FinishedRequest) => void) | undefined;
  readonly log: Logger;
  readonly limits?: Partial<HttpLimits> | undefined;
}

export interface Listener {
  /** With the port bound; a listener on all addresses is named by "localhost". */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Now open connections and requests in work. */
  counts(): { connections: number; requests: number };
  /** Each connection that is open now ends with its next answer, which says so: whoever asks again makes a new one. */
  shed(): void;
  /** Accepts no more; what is open ends as `shed` says, or when it has been idle for long. Resolves when all are gone. */
  retire(): Promise<void>;
  /**
   * Accepts no more, closes idle connections at once and busy ones after their answer. Resolves when all are gone;
   * after `deadlineMs` the rest is cut.
   */
  close(deadlineMs: number): Promise<void>;
}

/** What connections and exchanges share. */
export interface Shared {
  readonly options: ListenerOptions;
  readonly limits: HttpLimits;
  readonly hostId: string;
  readonly nextId: () => string;
  /** That are open, by numbers of their own. */
  readonly connections: ChurnMap<number, Connection>;
  requests: number;
  retiring: boolean;
  closing: boolean;
}

/** Listens, in a cluster worker too. @throws the system's error when it can't, such as EADDRINUSE */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const shared: Shared = {
    options,
    limits,
    hostId: newHostId(),
    nextId: requestIds(),
    connections: new ChurnMap(),
    requests: 0,
    retiring: false,
    closing: false,
  };
  const server = createServer(shared);
  // TLS handshakes have no connection yet; at the deadline they must go too.
  const sockets = new ChurnMap<number, Socket>();
  if (options.tls !== undefined) {
    let count = 0;
    server.on("connection", (socket: Socket) => {
      const number = count++;
      sockets.set(number, socket);
      socket.on("close", () => sockets.delete(number));
    });
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: options.host, port: options.port, backlog: BACKLOG }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
  server.on("error", (error) => options.log.error({ err: error }, "listener failed"));
  // Coarse clock for what would otherwise cost a timer per request.
  const tickMs = Math.min(1000, Math.max(20, Math.min(limits.bodyIdleMs, limits.headTimeoutMs) / 4));
  const sweep = setInterval(() => {
    const now = performance.now();
    for (const connection of shared.connections.values()) connection.sweep(now);
  }, tickMs);
  sweep.unref();
  let closed: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    closed ??= new Promise<void>((resolve) => {
      server.close(() => resolve());
    }).finally(() => clearInterval(sweep));
    return closed;
  };
  const { port } = server.address() as AddressInfo;
  const named = options.host === "0.0.0.0" || options.host === "::" ? "localhost" : options.host;
  return {
    url: `${options.tls === undefined ? "http" : "https"}://${named.includes(":") ? `[${named}]` : named}:${port}`,
    host: options.host,
    port,
    counts: () => ({ connections: shared.connections.size, requests: shared.requests }),
    shed: () => shed(shared),
    retire() {
      shared.retiring = true;
      shed(shared);
      return stop();
    },
    close(deadlineMs) {
      shared.closing = true;
      return drain(stop(), shared, sockets, deadlineMs);
    },
  };
}

function createServer(shared: Shared): Server {
  const { limits, options } = shared;
  const settings = {
    IncomingMessage: Incoming,
    maxHeaderSize: PARSER_HEADER_BYTES,
    requireHostHeader: false,
    insecureHTTPParser: false,
    keepAliveTimeout: limits.keepAliveMs,
    headersTimeout: limits.headTimeoutMs,
    // Uploads take as long as they take, as long as they go on.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(1000, Math.max(20, limits.headTimeoutMs / 4)),
    noDelay: true,
  };
  const server =
    options.tls === undefined
      ? createPlainServer(settings)
      : createTlsServer({ ...settings, ...options.tls.serverOptions(), handshakeTimeout: HANDSHAKE_MS });
  if (options.tls !== undefined && "setSecureContext" in server) options.tls.attach(server);
  // Headers beyond Node's count would be dropped silently; we count them ourselves.
  server.maxHeadersCount = 0;
  server.maxConnections = limits.maxConnections * 2;
  // A client may close its half after the request and still read the answer.
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  // Node's own would cut answers that are not wholly sent yet.
  server.closeIdleConnections = () => undefined;
  const bySocket = new WeakMap<Socket, Connection>();
  let count = 0;
  server.on(options.tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    const number = count++;
    const connection = new Connection(socket, shared);
    shared.connections.set(number, connection);
    bySocket.set(socket, connection);
    socket.on("close", () => {
      shared.connections.delete(number);
      bySocket.delete(socket);
    });
  });
  const connectionOf = (socket: Socket) => bySocket.get(socket);
  server.on("request", (message, output) => connectionOf(message.socket)?.receive(message, output));
  server.on("checkContinue", (message, output) => connectionOf(message.socket)?.receive(message, output));
  server.on("checkExpectation", (message, output) => connectionOf(message.socket)?.receive(message, output));
  server.on("clientError", (error: NodeJS.ErrnoException, stream) => {
    const socket = stream as Socket;
    const connection = connectionOf(socket);
    if (connection === undefined) socket.destroy();
    else connection.broken(error);
  });
  server.on("connect", (_message, stream) => connectionOf(stream as Socket)?.refuseTunnel());
  return server;
}

function shed({ connections }: Shared): void {
  for (const connection of connections.values()) connection.last = true;
}

/** Milliseconds that a connection which has not asked yet may still ask while the listener drains. */
const FIRST_REQUEST_MS = 1000;

async function drain(
  closed: Promise<void>,
  shared: Shared,
  sockets: ChurnMap<number, Socket>,
  deadlineMs: number,
): Promise<void> {
  const closeIdle = (fresh: boolean) => {
    for (const connection of shared.connections.values()) connection.closeIfIdle(fresh);
  };
  closeIdle(false);
  const timers = [
    setTimeout(() => closeIdle(true), Math.min(FIRST_REQUEST_MS, deadlineMs)),
    setTimeout(() => {
      for (const { socket } of shared.connections.values()) socket.destroy();
      for (const socket of sockets.values()) socket.destroy();
    }, deadlineMs),
  ];
  await closed;
  for (const timer of timers) clearTimeout(timer);
}
