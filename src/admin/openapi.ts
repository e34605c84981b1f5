/** The OpenAPI document of the admin API, out of its table. */
import { z } from "zod";
import { API_ERRORS } from "./errors.ts";
import { needsBody, type Operation } from "./operation.ts";

/** A part of an OpenAPI document. */
type Json = Record<string, unknown>;

interface ObjectSchema extends Json {
  properties: Record<string, Json>;
  required?: string[];
}

/** https://spec.openapis.org/oas/v3.1.1.html */
export function openApi(operations: readonly Operation[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const row of operations) {
    const path = row.path.replaceAll(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[row.method.toLowerCase()] = describe(row);
  }
  return {
    openapi: "3.1.0",
    info: { title: "Windlass admin API", version },
    security: [{ basic: [] }],
    paths,
    components: {
      securitySchemes: {
        basic: {
          type: "http",
          scheme: "basic",
          description: "An access key id and its secret. The root account may act for all others.",
        },
      },
      responses: { Error: error() },
    },
  };
}

function error(): Json {
  const schema = {
    type: "object",
    required: ["code", "message"],
    properties: { code: { type: "string", enum: Object.keys(API_ERRORS) }, message: { type: "string" } },
  };
  return { description: "What was wrong.", content: { "application/json": { schema } } };
}

function describe(row: Operation): Json {
  const schema = z.toJSONSchema(row.input, { io: "input" }) as ObjectSchema;
  const inPath = new Set([...row.path.matchAll(/:(\w+)/g)].map(([, name]) => name!));
  const required = new Set(schema.required);
  const others = Object.entries(schema.properties).filter(([name]) => !inPath.has(name));
  const reads = row.method === "GET" || row.method === "DELETE";
  const parameter = (name: string, place: "path" | "query"): Json => ({
    name,
    in: place,
    required: required.has(name),
    schema: schema.properties[name],
  });
  const parameters = [
    ...[...inPath].map((name) => parameter(name, "path")),
    ...(reads ? others.map(([name]) => parameter(name, "query")) : []),
  ];
  const wanted = others.map(([name]) => name).filter((name) => required.has(name));
  const body = {
    type: "object",
    additionalProperties: false,
    required: wanted,
    properties: Object.fromEntries(others),
  };
  const content = { "application/json": { schema: body } };
  return {
    operationId: row.name,
    summary: row.doc,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(reads ? {} : { requestBody: { required: needsBody(row), content } }),
    responses: {
      [row.status]:
        row.status === 204
          ? { description: "Done." }
          : { description: "Done.", content: { "application/json": { schema: {} } } },
      default: { $ref: "#/components/responses/Error" },
    },
  };
}
