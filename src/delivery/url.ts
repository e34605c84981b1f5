/**
 * URLs → what is asked for. Two grammars, one Plan:
 *   /{account}/[{prefix}/][tr:{chain}/]{path}?[tr={chain}]      ImageKit's
 *   /{image|video|file}/{alias}/{path}?w=&h=&q=&f=              Weekerp's
 */
import { DeliveryError } from "./errors.ts";
import { CHAIN_MAX, PATH_BYTES_MAX } from "./limits.ts";
import {
  planOf,
  transformationNamed,
  transformationNames,
  TRANSFORMATIONS,
  type Grammar,
  type Options,
  type Plan,
  type Transformation,
} from "./transforms.ts";

type AliasFamily = "image" | "video" | "file";

/** A URL taken apart as far as its text alone tells. */
export type Url =
  | {
      readonly family: AliasFamily;
      readonly alias: string;
      readonly path: string;
      readonly plan: Plan | undefined;
    }
  | {
      readonly family: "account";
      readonly account: string;
      /** Decoded; the first may be an endpoint's prefix, which only the store knows. */
      readonly segments: readonly string[];
      readonly query: ReadonlyMap<string, readonly string[]>;
    };

const FAMILIES: readonly string[] = ["image", "video", "file"] satisfies AliasFamily[];
/** Parameters that promise what is not built yet: to ignore them would break the promise (an expired link would work). */
const REFUSED: readonly string[] = ["ik-s", "ik-t", "ik-attachment"];
/** Weekerp's cache-buster. */
const CACHE_BUSTER = "v";
/** Characters of a wrong value that a message repeats. */
const ECHO_MAX = 60;

/** A value out of a URL as a message may show it: quoted, cut, control characters escaped. */
const quote = (value: string): string =>
  JSON.stringify(value.length > ECHO_MAX ? `${value.slice(0, ECHO_MAX)}…` : value);

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Percent-decoding that refuses what is not UTF-8 instead of repairing it. Bytes beyond ASCII that a client forgot to
 * encode arrive as latin1. A plus sign is a plus sign.
 */
function decode(text: string, what: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(text)) return text;
  if (/%(?![0-9A-Fa-f]{2})/.test(text))
    throw new DeliveryError("InvalidPath", `${what} holds a % that encodes nothing.`);
  const bytes = Buffer.from(
    text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    "latin1",
  );
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new DeliveryError("InvalidPath", `${what} is not UTF-8.`);
  }
}

function parseQuery(rawQuery: string): Map<string, string[]> {
  const query = new Map<string, string[]>();
  for (const pair of rawQuery.split("&")) {
    if (pair === "") continue;
    const at = pair.indexOf("=");
    const name = decode(at < 0 ? pair : pair.slice(0, at), "The query");
    const value = at < 0 ? "" : decode(pair.slice(at + 1), "The query");
    const values = query.get(name);
    if (values === undefined) query.set(name, [value]);
    else values.push(value);
  }
  return query;
}

function checkPath(path: string): string {
  if (path === "") throw new DeliveryError("NotFound", "The URL names no file.");
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw new DeliveryError("InvalidPath", `A path has at most ${PATH_BYTES_MAX} bytes.`);
  }
  return path;
}

/**
 * Reads an un-decoded path and query as they came over the wire.
 * @throws DeliveryError InvalidPath, InvalidParameter, NotFound
 */
export function parseUrl(path: string, rawQuery: string): Url {
  const [first = "", ...segments] = path
    .slice(1)
    .split("/")
    .map((segment) => decode(segment, "The path"));
  if (first === "" || !path.startsWith("/")) throw new DeliveryError("NotFound", "The URL names no account.");
  if (!FAMILIES.includes(first))
    return { family: "account", account: first, segments, query: parseQuery(rawQuery) };
  const family = first as AliasFamily;
  const [alias = "", ...rest] = segments;
  const file = checkPath(rest.join("/"));
  // Files are delivered as they are, so their queries mean nothing.
  return {
    family,
    alias,
    path: file,
    plan: family === "file" ? undefined : parseOptions(family, parseQuery(rawQuery)),
  };
}

/** The rest of an account's URL, once it is known how many segments name the endpoint. */
export function parseFile(
  segments: readonly string[],
  query: ReadonlyMap<string, readonly string[]>,
): { path: string; plan: Plan | undefined } {
  for (const name of REFUSED) {
    if (query.has(name)) throw new DeliveryError("InvalidParameter", `${name} is not built yet.`);
  }
  const chains = query.get("tr") ?? [];
  const inPath = segments[0]?.startsWith("tr:") === true;
  const path = checkPath(segments.slice(inPath ? 1 : 0).join("/"));
  if (chains.length > 1 || (inPath && chains.length > 0)) {
    throw new DeliveryError(
      "InvalidParameter",
      "Transformations stand once in a URL: as tr: in the path or as ?tr=.",
    );
  }
  const chain = inPath ? segments[0]!.slice("tr:".length) : chains[0];
  return { path, plan: chain === undefined ? undefined : planOf("imagekit", parseChain(chain)) };
}

/** `w-300,h-300:q-70`. */
function parseChain(chain: string): Partial<Options>[] {
  const steps = chain.split(":");
  if (steps.length > CHAIN_MAX) {
    throw new DeliveryError("LimitExceeded", `A chain has at most ${CHAIN_MAX} steps, not ${steps.length}.`);
  }
  return steps.map((step) => {
    const options: Partial<Options> = {};
    for (const item of step.split(",")) {
      const at = item.indexOf("-");
      if (at < 1) {
        throw new DeliveryError(
          "InvalidParameter",
          `tr: ${quote(item)} is no transformation. Known: ${transformationNames("imagekit")}, each followed by a dash and a value.`,
        );
      }
      set(options, "imagekit", item.slice(0, at), item.slice(at + 1));
    }
    return options;
  });
}

function parseOptions(family: AliasFamily, query: ReadonlyMap<string, readonly string[]>): Plan | undefined {
  const options: Partial<Options> = {};
  let given = false;
  for (const [name, values] of query) {
    if (name === CACHE_BUSTER) continue;
    if (family === "video") {
      throw new DeliveryError("InvalidParameter", `${quote(name)}: video transformations are not built yet.`);
    }
    for (const value of values) set(options, "weekerp", name, value);
    given = true;
  }
  return given ? planOf("weekerp", [options]) : undefined;
}

/** Puts one parsed option among the others. @throws InvalidParameter that names the option, the value and what is allowed */
function set(options: Partial<Options>, grammar: Grammar, name: string, text: string): void {
  const row = transformationNamed(grammar, name);
  if (row === undefined) {
    throw new DeliveryError(
      "InvalidParameter",
      `${quote(name)} is no transformation. Known: ${transformationNames(grammar)}.`,
    );
  }
  if (options[row] !== undefined) throw new DeliveryError("InvalidParameter", `${name} stands twice.`);
  const { parse, allowed } = TRANSFORMATIONS[row] as Transformation<unknown>;
  const value = parse(text, grammar);
  if (value === undefined) {
    throw new DeliveryError(
      "InvalidParameter",
      `${name} can't be ${quote(text)}. Allowed: ${allowed[grammar]}.`,
    );
  }
  Object.assign(options, { [row]: value });
}
