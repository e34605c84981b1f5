/**
 * URLs → what is asked for. Two grammars, one Plan:
 *   [tr:{chain}/]{path}[/ik-thumbnail.jpg …]?[tr={chain}][&ai=]   ImageKit's, behind the endpoint
 *   {path}?w=&h=&q=&f=&ai=                                        Weekerp's, behind /{image|video|file}/{alias}/
 */
import { DeliveryError } from "../errors.ts";
import { PATH_BYTES_MAX, URL_BYTES_MAX } from "../limits.ts";
import { WHITE } from "./colours.ts";
import { originalSteps, parseChain } from "./imagekit.ts";
import { isEmpty, quote } from "./items.ts";
import type { Plan, Step } from "./plan.ts";
import { isCloudinary, isRewritten, rewrite, type Rewriter } from "./rewrite.ts";
import type { Named } from "./rewritevalues.ts";
import { decode, formValueOf, isTrue, pairsOf, promptOf, type Pair } from "./query.ts";
import { isOption, parseOptions } from "./weekerp.ts";

/** `image`: pictures, and everything without a form of its own; whether it is a film is told by the file. */
export type What =
  | "file"
  | "image"
  | "video"
  | "thumbnail"
  | "gif-video"
  | "hls"
  | "dash"
  | "stream"
  | "metadata";

export interface Asked {
  /** Decoded, without a slash in front; for web proxies an absolute URL, percent-encoded as such are. */
  readonly path: string;
  /** As `path`, percent-encoded segment by segment: tells slashes that the URL percent-encodes from its others. */
  readonly urlPath: string;
  readonly what: What;
  /** Undefined: no transformation was given. */
  readonly plan: Plan | undefined;
  /** What holds where nothing is said, of a prompt's plan too. */
  readonly defaults: Plan["defaults"];
  /** Some of the transformation is not a named one. */
  readonly adHoc: boolean;
  readonly attachment: boolean;
  /** Of `ai=`, decoded. */
  readonly prompt: string | undefined;
  readonly debug: boolean;
  /** `…/ik-stream/{id}/{name}`: a playlist or a piece of a set. */
  readonly stream: { readonly id: string; readonly name: string } | undefined;
  /** As it came over the wire, without our parameters: for web servers. */
  readonly query: string;
}

/** Paths behind a film or a document that ask for something made of it. */
const SUFFIXES: Readonly<Record<string, What>> = {
  "ik-thumbnail.jpg": "thumbnail",
  "ik-master.m3u8": "hls",
  "ik-master.mpd": "dash",
  "ik-video.mp4": "video",
  "ik-gif-video.mp4": "gif-video",
};
const STREAM = "ik-stream";
const METADATA = "metadata";
const SEO = "ik-seo";
const EXTENSION = /\.[A-Za-z0-9]{1,8}$/;
/** Names that a stream gives to its files, and ids: nothing that could climb out of a folder. */
const STREAM_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;
/** Parameters that are ours; all others are handed on to web servers and else only burst caches. */
const OWN_PARAMETERS = /^(tr|ai|debug|ik-[A-Za-z-]+|wl-[A-Za-z-]+)$/;

function checkPath(path: string): string {
  if (path === "") throw new DeliveryError("NotFound", "The URL names no file.");
  const max = /^https?:\/\//.test(path) ? URL_BYTES_MAX : PATH_BYTES_MAX;
  if (Buffer.byteLength(path) > max) {
    throw new DeliveryError("InvalidPath", `A path has at most ${max} bytes.`);
  }
  // No store has such a key, and some say so as if we had asked wrongly.
  if (path.includes("\0")) throw new DeliveryError("InvalidPath", "A path has no NUL character.");
  return path;
}

/** Segments of a path: decoded, and as they came. */
interface Segments {
  readonly decoded: readonly string[];
  readonly raw: readonly string[];
}
function segmentsOf(rawPath: string): Segments {
  const raw = rawPath.split("/");
  return { raw, decoded: raw.map((segment) => decode(segment, "The path")) };
}
const part = ({ decoded, raw }: Segments, start: number, end?: number): Segments => ({
  decoded: decoded.slice(start, end),
  raw: raw.slice(start, end),
});

const without = ({ decoded, raw }: Segments, start: number, end: number): Segments => ({
  decoded: decoded.toSpliced(start, end - start),
  raw: raw.toSpliced(start, end - start),
});

export interface ImageKitUrl {
  /** Un-decoded, behind the endpoint, without a slash in front. */
  readonly rawPath: string;
  readonly rawQuery: string;
  /** Chains of the named transformations that `namesIn` found. */
  readonly named: Named;
  readonly rewriter?: Rewriter;
}

const NAMED_ITEM = /((?:^|[,:]) *)n-([^,:]*)/g;
const LAYER_STARTS = /(?:^|[,:]) *l-(?:image|text|video|subtitles)(?=[,:])/g;
const LAYER_ENDS = /(?:^|[,:]) *l-end(?=$|[,:])/g;

/**
 * The chain in front of a path, and of how many segments it is: proxies decode the slashes of Base64, so a chain goes on
 * until its layers are closed.
 */
function chainOf(segments: readonly string[]): { chain: string; length: number } | undefined {
  if (segments[0]?.startsWith("tr:") !== true) return undefined;
  let open = 0;
  for (const [n, segment] of segments.entries()) {
    open += (segment.match(LAYER_STARTS)?.length ?? 0) - (segment.match(LAYER_ENDS)?.length ?? 0);
    if (open <= 0)
      return {
        chain: segments
          .slice(0, n + 1)
          .join("/")
          .slice("tr:".length),
        length: n + 1,
      };
  }
  return { chain: segments[0].slice("tr:".length), length: 1 };
}

interface Asking {
  readonly chain: string | undefined;
  /** The chain is a translation. */
  readonly rewritten?: true;
  /** Without the chain. */
  readonly segments: Segments;
}

/** `named` as for `rewrite`. @throws DeliveryError InvalidPath, InvalidParameter, LimitExceeded */
function askingOf(
  rawPath: string,
  pairs: readonly Pair[],
  rewriter: Rewriter | undefined,
  named?: Named,
): Asking {
  const segments = segmentsOf(rawPath);
  const inPath = chainOf(segments.decoded);
  // SDKs write `tr:` in front in queries too when they are told the whole transformation.
  const inQuery = pairs
    .filter(({ name }) => name === "tr")
    .map((pair) => formValueOf(pair).replace(/^tr:/, ""));
  const chains = [...(inPath === undefined ? [] : [inPath.chain]), ...inQuery].filter((one) => !isEmpty(one));
  if (chains.length > 1) {
    throw new DeliveryError(
      "InvalidParameter",
      "Transformations stand once in a URL: as tr: in the path or as ?tr=.",
    );
  }
  if (inPath !== undefined) return { chain: chains[0], segments: part(segments, inPath.length) };
  if (chains.length > 0) return { chain: chains[0], segments };
  const rewritten = rewriter === undefined ? undefined : rewrite(rewriter, segments.decoded, pairs, named);
  if (rewritten === undefined) return { chain: undefined, segments };
  const { start, end, chain } = rewritten;
  return { chain, rewritten: true, segments: without(segments, start, end) };
}

/**
 * Names of named transformations, which must be looked up before the URL is read.
 * @throws DeliveryError InvalidPath, InvalidParameter
 */
export function namesIn(rawPath: string, rawQuery: string, rewriter?: Rewriter): string[] {
  // Most URLs have none, and need not be taken apart twice.
  const maybe = isCloudinary(rewriter) || /n-|%/.test(rawPath) || /n-|%/.test(rawQuery);
  const chain = maybe ? askingOf(rawPath, pairsOf(rawQuery), rewriter).chain : undefined;
  return [...new Set([...(chain ?? "").matchAll(NAMED_ITEM)].map(([, , name = ""]) => name))];
}

/** @throws DeliveryError InvalidPath, InvalidParameter, NotFound, LimitExceeded, NotAvailable */
export function parseImageKit({ rawPath, rawQuery, named, rewriter }: ImageKitUrl): Asked {
  const pairs = pairsOf(rawQuery);
  const { chain, segments, rewritten } = askingOf(rawPath, pairs, rewriter, named);
  const { path, urlPath, what, stream } = formOf(segments);
  // The other services take white where ImageKit takes black.
  const white = rewritten === true && SHOWS_GROUND.test(chain ?? "");
  const defaults = { ...usual(what), ...(white ? { ground: WHITE } : {}) };
  const prompt = promptOf(pairs);
  return {
    path: checkPath(path),
    urlPath,
    what,
    plan: chain === undefined ? undefined : { steps: stepsOf(chain, named), defaults },
    defaults,
    adHoc: prompt !== undefined || (chain !== undefined && !isEmpty(chain.replaceAll(NAMED_ITEM, ""))),
    attachment: isTrue(pairs, "ik-attachment"),
    prompt,
    debug: isTrue(pairs, "ik-debug") || isTrue(pairs, "debug"),
    stream,
    query: restOf(pairs, rewriter),
  };
}

/** Something is seen beside the picture: padding, or the corners of what isn't turned by quarters. */
const SHOWS_GROUND = /(?:^|[,:])(?:cm-pad|rt-(?!N?(?:0|90|180|270|360)(?:$|[,:])))/;

const restOf = (pairs: readonly Pair[], rewriter: Rewriter | undefined): string =>
  pairs
    .filter(({ name }) => !OWN_PARAMETERS.test(name) && !isRewritten(rewriter, name))
    .map(({ raw }) => raw)
    .join("&");

/** ImageKit's: 80 for pictures, 50 for films. Weekerp's own pages say 60 in one table only; 80 looks like its pictures. */
function usual(what: What, format: Plan["defaults"]["format"] = "auto"): Plan["defaults"] {
  const film =
    what === "video" || what === "gif-video" || what === "hls" || what === "dash" || what === "stream";
  return { quality: film ? 50 : 80, format };
}

const stepsOf = (chain: string, named: Named): Step[] =>
  originalSteps(chain) ?? parseChain(expand(chain, named));

/** @throws DeliveryError InvalidParameter for a name that nobody gave */
function expand(chain: string, named: Named): string {
  return chain.replaceAll(NAMED_ITEM, (_, before: string, name: string) => {
    const definition = named.get(name);
    if (definition !== undefined) return before + definition;
    throw new DeliveryError("InvalidParameter", `There is no named transformation ${quote(name)}.`);
  });
}

/** Takes off what a path asks for beyond its file. */
function formOf(segments: Segments): Pick<Asked, "path" | "urlPath" | "what" | "stream"> {
  const { decoded } = segments;
  if (decoded[0]?.startsWith("ik-genimg-prompt") === true) {
    throw new DeliveryError("NotAvailable", "ik-genimg: this server doesn't make pictures from text.");
  }
  const last = decoded.at(-1) ?? "";
  const at = decoded.length - 3;
  const [id = "", name = ""] = decoded.slice(-2);
  if (at > 0 && decoded[at] === STREAM && STREAM_NAME.test(id) && STREAM_NAME.test(name)) {
    return { ...filePath(part(segments, 0, at)), what: "stream", stream: { id, name } };
  }
  const suffix = decoded.length > 1 && Object.hasOwn(SUFFIXES, last) ? SUFFIXES[last]! : undefined;
  const metadata = last === METADATA && EXTENSION.test(decoded.at(-2) ?? "") ? METADATA : undefined;
  const what = suffix ?? metadata;
  if (what === undefined) return { ...filePath(segments), what: "image", stream: undefined };
  return { ...filePath(part(segments, 0, -1)), what, stream: undefined };
}

function filePath({ decoded, raw }: Segments): Pick<Asked, "path" | "urlPath"> {
  const segments = decoded[0] === SEO ? seoSegments(decoded.slice(1)) : decoded;
  const urlPath = segments.map(encodeURIComponent).join("/");
  if (segments !== decoded) return { path: segments.join("/"), urlPath };
  // As it came: what is percent-encoded in a URL within the path belongs to that URL. Clients make one slash of two.
  const plain = /^(https?)(?::|%3a)\/{1,2}(?=[^/])/i.exec(raw.join("/"));
  const path =
    plain === null
      ? decoded
          .join("/")
          .replace(/^(https?):\/{1,2}(?=[^/])/i, (_, scheme: string) => `${scheme.toLowerCase()}://`)
      : `${plain[1]!.toLowerCase()}://${raw.join("/").slice(plain[0].length)}`;
  return { path, urlPath };
}

/** `folder/photo/a-name-for-search-engines.jpg` → `folder/photo.jpg`. */
function seoSegments(segments: readonly string[]): string[] {
  if (segments.length < 2) throw new DeliveryError("NotFound", "The URL names no file.");
  const extension = EXTENSION.exec(segments.at(-1)!)?.[0] ?? "";
  return [...segments.slice(0, -2), segments.at(-2)! + extension];
}

/** @throws DeliveryError InvalidPath, InvalidParameter, NotFound */
export function parseWeekerp(family: "image" | "video" | "file", rawPath: string, rawQuery: string): Asked {
  const { path, urlPath } = filePath(segmentsOf(rawPath));
  const pairs = pairsOf(rawQuery);
  const attachment = isTrue(pairs, "ik-attachment");
  const defaults = usual(family, "source");
  const plain = {
    path: checkPath(path),
    urlPath,
    defaults,
    adHoc: false,
    attachment,
    prompt: undefined,
    debug: false,
    stream: undefined,
  };
  // Files are delivered as they are, so their queries mean nothing.
  if (family === "file") return { ...plain, what: "file", plan: undefined, query: restOf(pairs, undefined) };
  const prompt = promptOf(pairs);
  const debug = isTrue(pairs, "debug", true);
  const options = parseOptions(
    family,
    pairs.filter(({ name }) => isOption(name)),
  );
  const query = restOf(
    pairs.filter(({ name }) => !isOption(name)),
    undefined,
  );
  const plan: Plan | undefined =
    Object.keys(options).length === 0 ? undefined : { steps: [{ options, layers: [] }], defaults };
  const adHoc = plan !== undefined || prompt !== undefined;
  return { ...plain, what: family, plan, adHoc, prompt, debug, query };
}
