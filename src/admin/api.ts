/** The admin API on Fastify: a route for each row of the table, and what all of them have in common. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { Logger } from "../lib/log.ts";
import type { ObjectStore } from "../store/store.ts";
import { API_ERRORS, ApiError, asApiError, OPERATION_HEADER } from "./errors.ts";
import type { Gate } from "./gate.ts";
import { openApi } from "./openapi.ts";
import { needsBody, type Operation } from "./operation.ts";
import { OPERATIONS } from "./operations.ts";
import { imagekitAccount } from "./urloperations.ts";

export interface ApiDeps {
  readonly store: ObjectStore;
  readonly gate: Gate;
  readonly log: Logger;
  readonly version: string;
}

const OPENAPI_PATH = "/api/v1/openapi.json";

export function addApi(app: FastifyInstance, deps: ApiDeps): void {
  // A form can send text/plain to us from any page; JSON it can't.
  app.removeContentTypeParser("text/plain");
  // Clients that call every request JSON send those without a body, too.
  const parse = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser<string>("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body === "") done(null);
    else void parse(request, body, done);
  });
  const document = openApi(OPERATIONS, deps.version);
  app.get(OPENAPI_PATH, (_request, reply) => reply.header(OPERATION_HEADER, "OpenApi").send(document));
  for (const row of OPERATIONS) {
    app.route({
      method: row.method,
      url: row.path,
      onRequest: async (request, reply) => {
        void reply.header(OPERATION_HEADER, row.name);
        checkOrigin(row, request);
      },
      handler: (request, reply) => perform(deps, row, request, reply),
    });
  }
  app.setErrorHandler((error, request, reply) => fail(deps.log, error, request, reply));
  app.setNotFoundHandler((request, reply) => notFound(request, reply));
}

/**
 * Browsers send a page's requests to us with the credentials that they remember. What changes something is taken only
 * as JSON, which other origins can't send without asking first, and not when the browser itself says that another
 * origin asks. A request without a type may have no body, and no POST changes anything that isn't told what.
 * @throws ApiError AccessDenied, UnsupportedMediaType
 */
function checkOrigin({ method }: Operation, { headers }: FastifyRequest): void {
  if (method === "GET") return;
  const site = headers["sec-fetch-site"];
  if (site === "cross-site" || site === "same-site") {
    throw new ApiError("AccessDenied", "Pages of other origins may not change anything here.");
  }
  const type = headers["content-type"];
  if (method === "DELETE" || type === undefined || /^application\/json\s*(;|$)/i.test(type)) return;
  throw new ApiError("UnsupportedMediaType", "Send JSON, with Content-Type: application/json.");
}

async function perform(
  { store, gate }: ApiDeps,
  row: Operation,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { authorization } = request.headers;
  const others = row.imagekit ? (user: string) => imagekitAccount(store, user) : undefined;
  const caller = await gate.admit({ authorization, address: request.ip }, others);
  const answer = await row.run({ store, caller }, inputOf(row, request));
  return row.status === 204 ? reply.code(204).send() : reply.code(row.status).send(answer);
}

/** @throws ApiError InvalidInput */
function inputOf(row: Operation, request: FastifyRequest): unknown {
  const { method, input } = row;
  const sent = request.body ?? (needsBody(row) ? undefined : {});
  const given = method === "GET" || method === "DELETE" ? request.query : sent;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new ApiError("InvalidInput", "The body must be a JSON object.");
  }
  const params = request.params as Record<string, string>;
  const twice = Object.keys(params).find((name) => Object.hasOwn(given, name));
  if (twice !== undefined) throw new ApiError("InvalidInput", `${twice} stands in the path already.`);
  const { success, data, error } = input.safeParse({ ...given, ...params });
  if (success) return data;
  throw new ApiError("InvalidInput", error.issues.map((issue) => sentence(issue)).join(" "));
}

const sentence = ({ path, message }: z.core.$ZodIssue): string =>
  `${path.length === 0 ? "" : `${path.map(String).join(".")}: `}${message}.`;

function fail(log: Logger, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = asApiError(error);
  if (known === undefined) log.error({ err: error, path: request.url }, "an admin request failed");
  const { code, message, headers } =
    known ?? new ApiError("InternalError", "Something went wrong; the server's log says what.");
  return reply.code(API_ERRORS[code]).headers(headers).send({ code, message });
}

/** A path that the table has, with another method, says so. */
function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split("?", 1)[0]!;
  const methods = OPERATIONS.filter((row) => matches(row.path, path)).map(({ method }) => method as string);
  if (path === OPENAPI_PATH) methods.push("GET");
  if (methods.length === 0) {
    return reply.code(404).send({ code: "NotFound", message: "There is nothing under this path." });
  }
  const allow = [...new Set(methods)].join(", ");
  return reply
    .code(405)
    .header("allow", allow)
    .send({ code: "MethodNotAllowed", message: `Allowed here: ${allow}.` });
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((segment, n) => segment.startsWith(":") || segment === given[n])
  );
}
