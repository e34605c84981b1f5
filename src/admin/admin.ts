/**
 * The console listener: health for whoever restarts us, metrics for whoever watches us. Fastify and prom-client are
 * loaded by the first request that needs them, because most worker processes never get one.
 */
import type { FastifyInstance } from "fastify";
import type { HttpFailure, HttpHandler, HttpRequest, HttpResponse } from "../lib/http.ts";
import type { Family } from "./measures.ts";

export interface AdminDeps {
  readonly version: string;
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
<p>Accounts, keys and origins are managed by the command line: <code>windlass --help</code>.</p>
</body></html>
`;
}

async function build(deps: AdminDeps): Promise<FastifyInstance> {
  const { fastify } = await import("fastify");
  const app = fastify({ logger: false });
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
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: "Not found" }));
  await app.ready();
  return app;
}

/** Headers that the HTTP loop writes itself. */
const LOOP_HEADERS = new Set(["content-length", "connection", "date", "keep-alive", "transfer-encoding"]);
/** Nothing here may be kept, framed or taken for something else. */
const SAFETY = ["Cache-Control", "no-store", "X-Content-Type-Options", "nosniff", "X-Frame-Options", "DENY"];

const METHODS = new Set(["GET", "HEAD"]);
const ROUTES = new Set(["/", "/health/live", "/health/ready", "/metrics"]);

export interface Admin {
  handle: HttpHandler;
  onFailure: (failure: HttpFailure) => HttpResponse;
}

export function createAdmin(deps: AdminDeps): Admin {
  let app: Promise<FastifyInstance> | undefined;
  const handle = async (request: HttpRequest): Promise<HttpResponse> => {
    if (!METHODS.has(request.method)) {
      return {
        status: 405,
        headers: ["Allow", "GET, HEAD", ...SAFETY],
        body: "",
        log: { operation: "Unknown" },
      };
    }
    app ??= build(deps);
    // Every route is a GET without a body; the loop leaves the body of a HEAD out.
    const answer = await (
      await app
    ).inject({ method: "GET", url: request.path, headers: { ...request.headers } });
    const headers = [...SAFETY];
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined && !LOOP_HEADERS.has(name)) headers.push(name, String(value));
    }
    const operation = ROUTES.has(request.path) ? request.path : "Unknown";
    return { status: answer.statusCode, headers, body: answer.rawPayload, log: { operation } };
  };
  return { handle, onFailure };
}

const FAILURE_STATUS: Readonly<Record<HttpFailure, number>> = {
  BadRequest: 400,
  HeadersTooLarge: 431,
  TargetTooLong: 414,
  ExpectationFailed: 417,
  RequestTimeout: 408,
  Overloaded: 503,
  InternalError: 500,
};

/** What the loop answers by itself. */
const onFailure = (failure: HttpFailure): HttpResponse => ({
  status: FAILURE_STATUS[failure],
  headers: ["Content-Type", "application/json", ...SAFETY],
  body: JSON.stringify({ error: failure }),
  log: { operation: "Unknown" },
});
