/**
 * The console listener: the admin API, health for whoever restarts us, metrics for whoever watches us. Fastify, zod and
 * prom-client are loaded by the first request that needs them, because most worker processes never get one.
 */
import type { FastifyInstance, InjectOptions } from "fastify";
import { collectAtMost } from "../lib/chunks.ts";
import type { HttpFailure, HttpHandler, HttpRequest, HttpResponse } from "../lib/http.ts";
import type { Logger } from "../lib/log.ts";
import type { ObjectStore } from "../store/store.ts";
import { API_ERRORS, OPERATION_HEADER, type ApiErrorCode } from "./errors.ts";
import type { Family } from "./measures.ts";

export interface AdminDeps {
  readonly version: string;
  readonly store: ObjectStore;
  readonly log: Logger;
  /** Processes that share the listener. */
  readonly workers: number;
  /** Addresses and blocks of reverse proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[] | undefined;
  /** What the other listeners are, for the page at `/`. */
  readonly urls: () => { s3: readonly string[]; delivery: readonly string[] };
  /** Undefined when the store takes writes, else why it doesn't. */
  readonly ready: () => Promise<string | undefined>;
  /** The families of every process. */
  readonly families: () => Promise<Family[][]>;
}

const escapeHtml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

function page({ version, urls }: AdminDeps): string {
  const { s3, delivery } = urls();
  const item = (label: string, values: readonly string[]) =>
    `<dt>${label}</dt>${values.map((url) => `<dd><code>${escapeHtml(url)}</code></dd>`).join("") || "<dd>off</dd>"}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Windlass</title></head><body>
<h1>Windlass ${escapeHtml(version)}</h1>
<dl>${item("S3", s3)}${item("Delivery", delivery)}</dl>
<p><a href="/health/live">live</a> · <a href="/health/ready">ready</a> · <a href="/metrics">metrics</a></p>
<p>Accounts and keys are managed by the command line: <code>windlass --help</code>; origins, URL-endpoints and purges
also by the <a href="/api/v1/openapi.json">admin API</a>.</p>
</body></html>
`;
}

/** Bytes of a body: a service account's JSON and much to spare. Stops uploads from filling the memory. */
const BODY_BYTES_MAX = 64 * 1024;

async function build(deps: AdminDeps): Promise<FastifyInstance> {
  const [{ fastify }, { addApi }, { Gate }] = await Promise.all([
    import("fastify"),
    import("./api.ts"),
    import("./gate.ts"),
  ]);
  const app = fastify({ logger: false, bodyLimit: BODY_BYTES_MAX });
  app.get("/", (_request, reply) => reply.type("text/html; charset=utf-8").send(page(deps)));
  app.get("/health/live", () => ({ status: "live" }));
  app.get("/health/ready", async (_request, reply) => {
    const reason = await deps.ready();
    return reason === undefined ? { status: "ready" } : reply.code(503).send({ status: "not ready", reason });
  });
  app.get("/metrics", async (_request, reply) => {
    const { AggregatorRegistry } = await import("prom-client");
    const registry = AggregatorRegistry.aggregate(await deps.families());
    return reply.type(registry.contentType).send(await registry.metrics());
  });
  addApi(app, { ...deps, gate: new Gate(deps) });
  await app.ready();
  return app;
}

/** Headers that the HTTP loop writes itself, and the name of the operation. */
const OWN_HEADERS = new Set([
  "content-length",
  "connection",
  "date",
  "keep-alive",
  "transfer-encoding",
  OPERATION_HEADER,
]);
/** Nothing here may be kept, framed or taken for something else. */
const SAFETY = ["Cache-Control", "no-store", "X-Content-Type-Options", "nosniff", "X-Frame-Options", "DENY"];
/** Of a request, what tells of the connection and not of the message. */
const HOP_HEADERS = new Set(["connection", "content-length", "expect", "transfer-encoding"]);

const METHODS: readonly string[] = ["GET", "HEAD"];
const API_METHODS: readonly string[] = [...METHODS, "POST", "PATCH", "PUT", "DELETE"];
const PAGES = new Set(["/", "/health/live", "/health/ready", "/metrics"]);

const isApi = (path: string): boolean => /^\/(api\/)?v1\//.test(path);

function isPath(path: string): boolean {
  try {
    return decodeURIComponent(path).startsWith("/");
  } catch {
    return false;
  }
}

export interface Admin {
  handle: HttpHandler;
  onFailure: (failure: HttpFailure) => HttpResponse;
}

export function createAdmin(deps: AdminDeps): Admin {
  let app: Promise<FastifyInstance> | undefined;
  const handle = async (request: HttpRequest): Promise<HttpResponse> => {
    const methods = isApi(request.path) ? API_METHODS : METHODS;
    if (!methods.includes(request.method)) {
      return refusal("MethodNotAllowed", `Allowed here: ${methods.join(", ")}.`, [
        "Allow",
        methods.join(", "),
      ]);
    }
    if (!isPath(request.path)) return refusal("BadRequest", "The path holds a % that encodes nothing.");
    const body = METHODS.includes(request.method) ? "" : await bodyOf(request);
    if (body === undefined) {
      return refusal("BodyTooLarge", `A body has at most ${BODY_BYTES_MAX} bytes.`);
    }
    app ??= build(deps);
    return answerOf(request, await (await app).inject(await injection(deps, request, body)));
  };
  return { handle, onFailure };
}

/** Undefined when there is too much of it. */
async function bodyOf(request: HttpRequest): Promise<Buffer | undefined> {
  if ((request.contentLength ?? 0) > BODY_BYTES_MAX) return undefined;
  return collectAtMost(request.body(), BODY_BYTES_MAX);
}

async function injection(
  { trustedProxies = [] }: AdminDeps,
  request: HttpRequest,
  body: Buffer | "",
): Promise<InjectOptions> {
  const { clientAddress } = await import("./gate.ts");
  const { path, rawQuery, remoteAddress } = request;
  const headers = Object.entries(request.headers).filter(([name]) => !HOP_HEADERS.has(name));
  return {
    // The loop leaves the body of a HEAD out.
    method: (request.method === "HEAD" ? "GET" : request.method) as "GET",
    url: rawQuery === "" ? path : `${path}?${rawQuery}`,
    headers: Object.fromEntries(headers),
    remoteAddress: clientAddress(remoteAddress, request.headers["x-forwarded-for"], trustedProxies),
    ...(body.length === 0 ? {} : { payload: body }),
  };
}

/** The parts of Fastify's answer that are handed on. */
interface Injected {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, number | string | string[] | undefined>>;
  readonly rawPayload: Buffer;
}

function answerOf({ path }: HttpRequest, { statusCode, headers, rawPayload }: Injected): HttpResponse {
  const flat = [...SAFETY];
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !OWN_HEADERS.has(name)) flat.push(name, String(value));
  }
  const named = headers[OPERATION_HEADER];
  const operation = typeof named === "string" ? named : PAGES.has(path) ? path : "Unknown";
  return { status: statusCode, headers: flat, body: rawPayload, log: { operation } };
}

function refusal(code: ApiErrorCode, message: string, headers: readonly string[] = []): HttpResponse {
  return {
    status: API_ERRORS[code],
    headers: ["Content-Type", "application/json", ...headers, ...SAFETY],
    body: JSON.stringify({ code, message }),
    log: { operation: "Unknown" },
  };
}

const FAILURES: Readonly<Record<HttpFailure, [code: ApiErrorCode, message: string]>> = {
  BadRequest: ["BadRequest", "This is no HTTP request."],
  HeadersTooLarge: ["HeadersTooLarge", "The headers are too large."],
  TargetTooLong: ["TargetTooLong", "The path is too long."],
  ExpectationFailed: ["ExpectationFailed", "This expectation can't be met."],
  RequestTimeout: ["RequestTimeout", "The request did not arrive in time."],
  Overloaded: ["ServiceUnavailable", "The server has too much to do."],
  InternalError: ["InternalError", "Something went wrong; the server's log says what."],
};

/** What the loop answers by itself. */
const onFailure = (failure: HttpFailure): HttpResponse => refusal(...FAILURES[failure]);
