/** From a request to its row: the most demanding row that matches, or an error that names what does not fit. */
import { S3Error } from "./errors.ts";
import type { Operation } from "./operation.ts";
import type { S3Request } from "./request.ts";

export interface Route {
  readonly name: string;
  readonly operation: Operation;
}

/** What a request is about; rows on "bucketName" stand among those on buckets. */
type Target = "service" | "bucket" | "object";

interface Demand {
  readonly kind: "query" | "header" | "path";
  readonly name: string;
  readonly value: string | undefined;
}

interface Candidate {
  readonly route: Route;
  readonly demands: readonly Demand[];
  /** A demand with a value weighs two: it implies the one without. */
  readonly weight: number;
  /** The query parameters that it is about. */
  readonly parameters: ReadonlySet<string>;
}

interface Slot {
  /** By falling weight. */
  readonly all: readonly Candidate[];
  /** Those that a request without a query can match: nearly all requests, so they look at nothing else. */
  readonly withoutQuery: readonly Candidate[];
}

export interface Router {
  /** @throws S3Error MethodNotAllowed, InvalidArgument, InvalidRequest */
  route(request: S3Request): Route;
}

/** Demanded by rows, but ordinary parameters elsewhere: alone they don't make another operation of a request. */
const ORDINARY: ReadonlySet<string> = new Set([
  "annotationName",
  "id",
  "list-type",
  "max-directory-buckets",
  "partNumber",
]);

const RESOURCE_TYPES: Readonly<Record<Target, string>> = {
  service: "SERVICE",
  bucket: "BUCKET",
  object: "OBJECT",
};

function demandOf(text: string): Demand {
  if (text.startsWith("/")) return { kind: "path", name: text, value: undefined };
  if (!text.startsWith("?")) return { kind: "header", name: text, value: undefined };
  const [name = "", value] = text.slice(1).split("=", 2);
  return { kind: "query", name, value };
}

function candidateOf(route: Route): Candidate {
  const demands = (route.operation.when ?? []).map(demandOf);
  const weight = demands.reduce((sum, demand) => sum + (demand.value === undefined ? 1 : 2), 0);
  const parameters = new Set(demands.filter(({ kind }) => kind === "query").map(({ name }) => name));
  return { route, demands, weight, parameters };
}

const slotKey = (method: string, target: Target) => `${method} ${target}`;
const targetOf = (operation: Operation): Target => (operation.on === "bucketName" ? "bucket" : operation.on);

function requestTarget({ bucket, key }: S3Request): Target {
  return bucket === undefined ? "service" : key === undefined ? "bucket" : "object";
}

function holds({ kind, name }: Demand, { query, headers, http }: S3Request): boolean {
  if (kind === "query") return query.has(name);
  return kind === "header" ? headers[name] !== undefined : http.path === name && query.size === 0;
}

function matches({ demands }: Candidate, request: S3Request): boolean {
  const { query } = request;
  for (const demand of demands) {
    const { name, value } = demand;
    if (!holds(demand, request)) return false;
    if (value !== undefined && query.get(name) !== value) return false;
  }
  return true;
}

function buildSlots(candidates: readonly Candidate[]): Map<string, Slot> {
  const groups = new Map<string, Candidate[]>();
  const demanded = new Map<string, string>();
  for (const candidate of candidates) {
    const { operation, name } = candidate.route;
    const key = slotKey(operation.method, targetOf(operation));
    const whole = `${key} ${(operation.when ?? []).toSorted().join(" ")}`;
    const other = demanded.get(whole);
    if (other !== undefined) throw new Error(`The operations ${other} and ${name} demand the same: ${whole}`);
    demanded.set(whole, name);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [candidate]);
    else group.push(candidate);
  }
  const slots = new Map<string, Slot>();
  for (const [key, group] of groups) {
    const all = group.toSorted((a, b) => b.weight - a.weight);
    slots.set(key, { all, withoutQuery: all.filter(({ parameters }) => parameters.size === 0) });
  }
  return slots;
}

function conflict(names: readonly string[]): S3Error {
  const message = `Conflicting query string parameters: ${names.join(", ")}`;
  return new S3Error(
    "InvalidArgument",
    { ArgumentName: "ResourceType", ArgumentValue: names[0] ?? "" },
    { message },
  );
}

/** The most demanding match. @throws S3Error InvalidArgument when there are two */
function bestOf(candidates: readonly Candidate[], request: S3Request): Candidate | undefined {
  let best: Candidate | undefined;
  for (const candidate of candidates) {
    if (best !== undefined && candidate.weight < best.weight) break;
    if (!matches(candidate, request)) continue;
    if (best !== undefined) throw conflict([...best.parameters, ...candidate.parameters].toSorted());
    best = candidate;
  }
  return best;
}

/** Indexes a table. @throws Error when two rows would match the same requests equally well */
export function buildRouter(table: Readonly<Record<string, Operation>>): Router {
  const candidates = Object.entries(table).map(([name, operation]) => candidateOf({ name, operation }));
  const slots = buildSlots(candidates);
  const subresources = new Set(candidates.flatMap(({ parameters }) => [...parameters]));
  for (const name of ORDINARY) subresources.delete(name);

  /** The methods for a target, of rows about `parameter` or, without one, of rows about no parameter. */
  function allowed(target: Target, parameter: string | undefined): string[] {
    const fits = candidates.filter(
      ({ route, parameters }) =>
        targetOf(route.operation) === target &&
        (parameter === undefined ? parameters.size === 0 : parameters.has(parameter)),
    );
    return [...new Set(fits.map(({ route }) => route.operation.method))].toSorted();
  }

  function notAllowed(request: S3Request, target: Target, parameter?: string): S3Error {
    const detail = {
      Method: request.http.method,
      ResourceType: parameter?.toUpperCase() ?? RESOURCE_TYPES[target],
    };
    return new S3Error("MethodNotAllowed", detail, {
      headers: ["Allow", allowed(target, parameter).join(", ")],
    });
  }

  /** Why a request that names a sub-resource is none of the rows: it must never do what it would without the name. */
  function unclaimed(
    request: S3Request,
    target: Target,
    best: Candidate | undefined,
    parameter: string,
  ): S3Error {
    if (best !== undefined && best.parameters.size > 0) {
      return conflict([...best.parameters, parameter].toSorted());
    }
    const slot = slots.get(slotKey(request.http.method, target));
    const near = slot?.all.find(({ parameters }) => parameters.has(parameter));
    const missing = near?.demands.find(({ name }) => !request.query.has(name));
    if (missing !== undefined) {
      const detail = { ArgumentName: missing.name, ArgumentValue: "" };
      return new S3Error("InvalidArgument", detail, { message: `The parameter ${missing.name} is missing.` });
    }
    if (allowed(target, parameter).length > 0) return notAllowed(request, target, parameter);
    const message = `There is no such thing as the ?${parameter} sub-resource for a ${target === "object" ? "key" : target}`;
    return new S3Error("InvalidRequest", {}, { message });
  }

  return {
    route(request) {
      const target = requestTarget(request);
      const { query, http } = request;
      const slot = slots.get(slotKey(http.method, target));
      if (query.size === 0) {
        const best = slot === undefined ? undefined : bestOf(slot.withoutQuery, request);
        if (best === undefined) throw notAllowed(request, target);
        return best.route;
      }
      const best = slot === undefined ? undefined : bestOf(slot.all, request);
      for (const name of query.keys()) {
        // A part number reads a part, but does not make an upload without its upload id.
        const names = subresources.has(name) || (name === "partNumber" && http.method === "PUT");
        if (names && best?.parameters.has(name) !== true) throw unclaimed(request, target, best, name);
      }
      if (best === undefined) throw notAllowed(request, target);
      return best.route;
    },
  };
}
