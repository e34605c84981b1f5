/** The rules of a URL-endpoint: which there are, and what each may be. */
import { PATH_BYTES_MAX } from "../limits.ts";
import { MEDIA_TYPES } from "../mediatypes.ts";
import type { Format } from "../plan/plan.ts";
import type { Rewriter } from "../plan/rewrite.ts";
import { wrong } from "./documents.ts";

/** What an endpoint allows and answers. What is off or unset is not there. */
export interface EndpointRules {
  /** Unsigned URLs are refused. */
  signedOnly?: boolean;
  /** Transformations that are not named ones are refused, unless the URL is signed. */
  namedOnly?: boolean;
  /** Unsigned URLs may ask the operator's language model. */
  allowPrompts?: boolean;
  /** Every file is private: only signed URLs and named transformations have it. */
  privateFiles?: boolean;
  /** Path, without a slash in front, of what is served where no origin has the file. */
  defaultImage?: string;
  /** How long clients may keep answers, and how long a foreign origin's word holds. */
  cacheSeconds?: number;
  /** Formats that URLs may name and `auto` may choose; who reads none of them gets what everybody reads. */
  formats?: Format[];
  /** Whose URLs are understood besides our own. */
  rewriter?: Rewriter;
}

/** What is left out stays as it is; `false`, "", an empty list and null take away. */
export interface RulesInput {
  readonly signedOnly?: boolean | undefined;
  readonly namedOnly?: boolean | undefined;
  readonly allowPrompts?: boolean | undefined;
  readonly privateFiles?: boolean | undefined;
  readonly defaultImage?: string | null | undefined;
  readonly cacheSeconds?: number | null | undefined;
  readonly formats?: readonly string[] | null | undefined;
  readonly rewriter?: string | null | undefined;
}

const SWITCHES = ["signedOnly", "namedOnly", "allowPrompts", "privateFiles"] as const;
export const FORMATS = Object.keys(MEDIA_TYPES) as Format[];
export const REWRITERS: readonly Rewriter[] = ["cloudinary", "cloudinary-preserve-types", "imgix", "akamai"];
/** A year: what RFC 9111 lets caches assume at most. */
const CACHE_SECONDS_MAX = 365 * 24 * 3600;
/** Of a DNS name, and of one of its labels. */
const HOST_LENGTH_MAX = 253;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The rules after a change, without those that are off. @throws StoreError InvalidArgument */
export function changeRules(before: EndpointRules, change: RulesInput): EndpointRules {
  const rules: EndpointRules = {};
  for (const name of SWITCHES) if (change[name] ?? before[name] ?? false) rules[name] = true;
  const take = <Name extends Exclude<keyof EndpointRules, (typeof SWITCHES)[number]>>(
    name: Name,
    clean: (value: NonNullable<RulesInput[Name]>) => EndpointRules[Name],
  ): void => {
    const given = change[name];
    const value = given === undefined ? before[name] : given === null ? undefined : clean(given);
    if (value !== undefined) rules[name] = value;
  };
  take("defaultImage", cleanPath);
  take("cacheSeconds", checkSeconds);
  take("formats", checkFormats);
  take("rewriter", checkRewriter);
  return rules;
}

function cleanPath(path: string): string | undefined {
  const inner = path.replace(/^\/+/, "");
  if (Buffer.byteLength(inner) > PATH_BYTES_MAX) {
    throw wrong(`The path of the default image has at most ${PATH_BYTES_MAX} bytes.`);
  }
  return inner === "" ? undefined : inner;
}

function checkSeconds(seconds: number): number {
  if (Number.isInteger(seconds) && seconds >= 0 && seconds <= CACHE_SECONDS_MAX) return seconds;
  throw wrong(`Answers are kept for 0 to ${CACHE_SECONDS_MAX} seconds, not "${seconds}".`);
}

function checkFormats(names: readonly string[]): Format[] | undefined {
  const wanted = names.map((name) => (name === "jpg" ? "jpeg" : name));
  const strange = wanted.find((name) => !FORMATS.some((format) => format === name));
  if (strange !== undefined) throw wrong(`"${strange}" is no format. Allowed: ${FORMATS.join(", ")}.`);
  const chosen = FORMATS.filter((format) => wanted.includes(format));
  return chosen.length === 0 ? undefined : chosen;
}

function checkRewriter(name: string): Rewriter | undefined {
  const rewriter = REWRITERS.find((one) => one === name);
  if (rewriter !== undefined || name === "") return rewriter;
  throw wrong(`"${name}" can't be rewritten. Allowed: ${REWRITERS.join(", ")}.`);
}

/**
 * A host name as it is looked up: in lower case, without port and dot at the end; undefined for "" and null. Addresses
 * and `localhost` are refused, because every account is reached under them. @throws StoreError InvalidArgument
 */
export function checkDomain(asked: string | null): string | undefined {
  if (asked === null || asked === "") return undefined;
  const host = asked
    .toLowerCase()
    .replace(/:\d{1,5}$/, "")
    .replace(/\.$/, "");
  const labels = host.split(".");
  const isName = host.length <= HOST_LENGTH_MAX && labels.every((label) => LABEL.test(label));
  if (!isName || /^\d+$/.test(labels.at(-1)!)) {
    throw wrong(`"${asked}" is no host name. It looks like images.example.com; beyond ASCII, like xn--….`);
  }
  if (host === "localhost") throw wrong("localhost can't be an endpoint's own: accounts are reached there.");
  return host;
}
