/**
 * Signed URLs. Two schemes, side by side:
 *   ik-s, ik-t             ImageKit's: HMAC-SHA1 in hexadecimal over the path behind the endpoint, the query and the end
 *   wl-key, wl-expires, wl-sig   ours: HMAC-SHA256 in base64url, with the key's id, bound to the place and not to its address
 * Aliases take ours alone: the same path and query are a picture there in one family and its original in another.
 * Pieces of streams have none: their ids begin with the stream's right (`streamRight`).
 * Keys are settings documents: urlkey {account id}/{id}, sealed.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { ObjectStore } from "../store/store.ts";
import { DeliveryError } from "./errors.ts";
import { accountOf, key as nameOf, listed, ownerName, taken, wrong } from "./origins/documents.ts";
import { planText } from "./plan/text.ts";
import type { Asked } from "./plan/url.ts";
import type { Place } from "./site.ts";

export type Scheme = "imagekit" | "windlass";

/** What is signed: parts of a URL as they stand in it, percent-encoding and all. */
export interface SignedParts {
  readonly ownerId: string;
  /** As in Place. */
  readonly grammar: Place["grammar"];
  readonly scope: string;
  /** Behind the endpoint, without a slash in front. */
  readonly rawPath: string;
  readonly rawQuery: string;
}

/** All that ImageKit signs of it. */
type Writing = Pick<SignedParts, "rawPath" | "rawQuery">;

/** As stored. */
interface KeyDocument {
  sealed: string;
  createdAt: number;
}
export interface UrlKeyView {
  id: string;
  owner: string;
  createdAt: number;
}

const KIND = "urlkey";
/** The key that is made when the first URL is signed. */
const DEFAULT_KEY = "default";
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
const SECRET_MAX = 512;
/** Keys of one account: each may have to be tried. */
const KEYS_MAX = 10;
/** What ImageKit signs where a URL has no end. */
const NO_END = "9999999999";
const VERSION = "windlass-url-1";

const contextOf = (ownerId: string, id: string): string => `urlkey/${ownerId}/${id}`;

/**
 * Adds a key. `secret`: one that is used elsewhere, so that URLs signed there stay valid; without it one is made, as is
 * an id. The secret is returned this once. @throws StoreError InvalidArgument, ConditionalRequestConflict
 */
export async function createUrlKey(
  store: ObjectStore,
  input: { owner?: string | undefined; id?: string | undefined; secret?: string | undefined },
): Promise<UrlKeyView & { secret: string }> {
  await store.refresh();
  const { id = randomBytes(4).toString("hex"), secret = randomBytes(32).toString("base64url") } = input;
  if (!KEY_ID.test(id))
    throw wrong(`"${id}" can't be a key's id: 1 to 64 letters, digits, dashes and underscores.`);
  if (secret === "" || secret.length > SECRET_MAX || /\s/.test(secret)) {
    throw wrong(`A secret has 1 to ${SECRET_MAX} characters and no white space.`);
  }
  const owner = await accountOf(store, input.owner ?? "root");
  if ((await keysOf(store, owner.id)).length >= KEYS_MAX)
    throw wrong(`An account has at most ${KEYS_MAX} keys.`);
  const value: KeyDocument = {
    sealed: store.settings.seal(secret, contextOf(owner.id, id)),
    createdAt: Date.now(),
  };
  if (!(await store.settings.change([{ kind: KIND, name: nameOf(owner.id, id), value, ifAbsent: true }]))) {
    throw taken(`Account ${owner.name} already has a URL key "${id}".`);
  }
  return { id, owner: owner.name, createdAt: value.createdAt, secret };
}

/** Of all accounts, or of one; without their secrets. */
export const listUrlKeys = (
  store: ObjectStore,
  filter: { owner?: string | undefined } = {},
): Promise<UrlKeyView[]> =>
  listed<KeyDocument, UrlKeyView>(store, KIND, filter, async (_, { ownerId, name, value }) => ({
    id: name,
    owner: await ownerName(store, ownerId),
    createdAt: value.createdAt,
  }));

/** URLs that were signed with it are worth nothing from now on. @throws StoreError InvalidArgument */
export async function deleteUrlKey(
  store: ObjectStore,
  reference: { owner?: string | undefined; id: string },
): Promise<void> {
  await store.refresh();
  const owner = await accountOf(store, reference.owner ?? "root");
  const name = nameOf(owner.id, reference.id);
  if ((await store.settings.get(KIND, name)) === undefined) {
    throw wrong(`Account ${owner.name} has no URL key "${reference.id}".`);
  }
  await store.settings.change([{ kind: KIND, name, value: undefined }]);
}

interface UrlKey {
  readonly id: string;
  readonly secret: string;
}

/** In the order of their ids. */
async function keysOf(store: ObjectStore, ownerId: string): Promise<UrlKey[]> {
  const documents = await store.settings.all<KeyDocument>(KIND);
  return documents
    .filter(({ name }) => name.startsWith(`${ownerId}/`))
    .map(({ name, value }) => {
      const id = name.slice(ownerId.length + 1);
      return { id, secret: store.settings.unseal(value.sealed, contextOf(ownerId, id)) };
    });
}

/** ImageKit's. `end`: seconds since 1970. */
export function imagekitSignature(secret: string, { rawPath, rawQuery }: Writing, end = NO_END): string {
  const url = rawQuery === "" ? rawPath : `${rawPath}?${rawQuery}`;
  return createHmac("sha1", secret)
    .update(url + end)
    .digest("hex");
}

/** Ours. `rawQuery` ends with what says the key and the end. */
function windlassSignature(
  secret: string,
  { ownerId, scope, rawPath, rawQuery }: Omit<SignedParts, "grammar">,
): string {
  const text = [VERSION, ownerId, scope, rawPath, rawQuery].join("\n");
  return createHmac("sha256", secret).update(text).digest("base64url");
}

/** In a time that tells nothing of where they differ. */
export function same(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Takes parameters off a query without touching the others; undefined for what is not there. */
function split(rawQuery: string, names: readonly string[]): { rest: string; values: (string | undefined)[] } {
  const pairs = rawQuery.split("&");
  const rest = pairs.filter((pair) => !names.includes(pair.split("=", 1)[0]!));
  const values = names.map((name) =>
    pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1),
  );
  return { rest: rest.join("&"), values };
}

/** What a good signature says. */
export interface Signed {
  /** Milliseconds since 1970; Infinity where the URL has no end. */
  readonly until: number;
  /** Tells its key from all others, of the same id too. */
  readonly key: string;
}

/** Undefined for URLs without a signature. @throws DeliveryError InvalidSignature, ExpiredUrl */
export async function checkSignature(
  store: ObjectStore,
  parts: SignedParts & { readonly now: number },
): Promise<Signed | undefined> {
  const { rawQuery } = parts;
  if (!/(^|&)(ik-s|ik-t|wl-sig|wl-key|wl-expires)=/.test(rawQuery)) return undefined;
  const keys = await keysOf(store, parts.ownerId);
  const { until, key } = /(^|&)wl-/.test(rawQuery) ? checkWindlass(keys, parts) : checkImageKit(keys, parts);
  return { until, key: markOf(store, key) };
}

interface Checked {
  readonly until: number;
  readonly key: UrlKey;
}

function checkImageKit(keys: readonly UrlKey[], parts: SignedParts & { readonly now: number }): Checked {
  if (schemeOf(parts) !== "imagekit") {
    throw new DeliveryError(
      "InvalidSignature",
      "ik-s signs URLs of endpoints; those of /image, /video and /file have wl-sig, as `windlass url sign` gives it.",
    );
  }
  const { rest, values } = split(parts.rawQuery, ["ik-s", "ik-t"]);
  const [given = "", end] = values;
  const writings = writingsOf({ ...parts, rawQuery: rest });
  // All keys are tried, and all writings, so that time tells nothing of which one it was.
  const [key] = keys.filter(
    ({ secret }) =>
      writings.filter((one) => same(given.toLowerCase(), imagekitSignature(secret, one, end))).length > 0,
  );
  if (key === undefined) throw invalid();
  return { until: endOf(end, parts.now), key };
}

/** Where a transformation stands in a path and in a query. */
const CHAINS = { path: /(?<=^tr:)[^/]*/, query: /(?<=(?:^|&)tr=)[^&]*/ };
const ALL = /^.*$/s;

/**
 * What ImageKit's SDKs may have signed of a URL: it, or it as the SDK wrote it, where clients percent-encode on their way
 * what no URL may hold (WHATWG URL, 1.3). Of transformations SDKs encode the words of texts alone, and of raw ones nothing;
 * the one for Python encodes no query, and its versions before 5 no path.
 */
function writingsOf({ rawPath, rawQuery }: Writing): Writing[] {
  const written = (write: (text: string) => string, path: RegExp, query?: RegExp): Writing => ({
    rawPath: rawPath.replace(path, write),
    rawQuery: query === undefined ? rawQuery : rawQuery.replace(query, write),
  });
  const butWords = (text: string, words: (text: string) => string = String): string =>
    text
      .split(/((?:^|[,:=])l-text,i-[^,:&]*)/)
      .map((part, n) => (n % 2 === 0 ? bare(part) : words(part)))
      .join("");
  // JavaScript's own encoding lets apostrophes be.
  const script = (text: string): string => butWords(text, (words) => words.replaceAll("%27", "'"));
  return [
    { rawPath, rawQuery },
    written(script, CHAINS.path, CHAINS.query),
    written((text) => butWords(text), CHAINS.path, ALL),
    written(bare, CHAINS.path, CHAINS.query),
    written(bare, CHAINS.path, ALL),
    written(bare, ALL),
  ];
}

/** Never gives a percent sign, so what it gives means what it got. */
const bare = (text: string): string =>
  text.replaceAll(/(?:%2[027]|%3[CE]|%5E|%60|%7[BD]|%[89A-F][\dA-F])+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded);
    } catch {
      return encoded;
    }
  });

function checkWindlass(keys: readonly UrlKey[], parts: SignedParts & { readonly now: number }): Checked {
  const { rest, values } = split(parts.rawQuery, ["wl-sig"]);
  const [id, end] = split(parts.rawQuery, ["wl-key", "wl-expires"]).values;
  const key = keys.find((one) => one.id === id);
  const expected = windlassSignature(key?.secret ?? "", { ...parts, rawQuery: rest });
  if (!same(values[0] ?? "", expected) || key === undefined) throw invalid();
  return { until: endOf(end, parts.now), key };
}

const invalid = (): DeliveryError =>
  new DeliveryError("InvalidSignature", "The signature is not one of this URL.");

function endOf(end: string | undefined, now: number): number {
  if (end === undefined) return Infinity;
  // ImageKit's text runs into the end without a mark. Of other lengths, `?v=1` that ended in 2023 would be `?v=` that
  // ends in 2340, with the same signature.
  if (!/^\d{10}$/.test(end)) throw invalid();
  const until = Number(end) * 1000;
  if (until <= now) throw expired();
  return until;
}
const expired = (): DeliveryError => new DeliveryError("ExpiredUrl", "The URL has expired.");

/** How long a stream may go on behind the end of the URL that began it: longer than the longest film. */
const PLAYING_SECONDS = 6 * 3600;

/**
 * What the ids of a stream's pieces begin with: `[{end}.{key}.]{code}`, end and key those of the signature that let its
 * client in. Only its playlist tells it, so whoever knows it was let in there. All processes agree on it, and no origin
 * need be asked to check it.
 */
export function streamRight(
  store: ObjectStore,
  place: Place,
  asked: Asked,
  signed: Signed | undefined,
): string {
  const terms = signed === undefined ? "" : `${endOfPieces(signed.until)}.${signed.key}.`;
  return terms + codeOf(store, place, asked, terms);
}

/** Seconds since 1970, the same for many URLs, so that their pieces are the same to caches; 0: none. */
const endOfPieces = (until: number): number =>
  until === Infinity ? 0 : Math.ceil(until / 1000 / PLAYING_SECONDS + 1) * PLAYING_SECONDS;

/** Tells nobody anything of the secret. */
const markOf = (store: ObjectStore, { id, secret }: UrlKey): string =>
  createHmac("sha256", store.settings.derive("stream")).update(`${id} ${secret}`).digest("hex").slice(0, 8);

function codeOf(store: ObjectStore, { owner, scope }: Place, asked: Asked, terms: string): string {
  const { urlPath, plan, prompt } = asked;
  // Players may percent-encode what a playlist names.
  const query = new URLSearchParams(asked.query).toString();
  const text = JSON.stringify([terms, owner.id, scope, urlPath, query, plan && planText(plan), prompt]);
  return createHmac("sha256", store.settings.derive("stream")).update(text).digest("hex").slice(0, 32);
}

export interface Given {
  /** As `streamRight` gave it. */
  readonly right: string;
  /** Milliseconds since 1970. */
  readonly until: number;
  /** It was given to who came with a signature; else to anybody, as the rules were then. */
  readonly signed: boolean;
}

/**
 * The right by which a URL asks for a piece of a stream. Undefined: it asks for none, or by none that a playlist told.
 * @throws DeliveryError ExpiredUrl, and InvalidSignature where the key is gone by which its client was let in
 */
export async function givenRight(
  store: ObjectStore,
  place: Place,
  asked: Asked,
  now: number,
): Promise<Given | undefined> {
  const match = /^((?:(\d{1,10})\.([0-9a-f]{8})\.)?)([0-9a-f]{32})/.exec(asked.stream?.id ?? "");
  if (match === null) return undefined;
  const [right, terms = "", end, key, code = ""] = match;
  if (!same(code, codeOf(store, place, asked, terms))) return undefined;
  const until = end === undefined || end === "0" ? Infinity : Number(end) * 1000;
  if (until <= now) throw expired();
  if (key === undefined) return { right, until, signed: false };
  const keys = await keysOf(store, place.owner.id);
  if (!keys.some((one) => markOf(store, one) === key)) throw invalid();
  return { right, until, signed: true };
}

/** The scheme that a place's URLs are signed by, unless another is wished for. */
const schemeOf = ({ grammar }: Pick<Place, "grammar">): Scheme =>
  grammar === "imagekit" ? "imagekit" : "windlass";

export interface Signing {
  /** Of the file: where it leads is told by `place`. */
  readonly url: string;
  readonly place: Place;
  /** ImageKit's for endpoints, ours for aliases, when not given. */
  readonly scheme?: Scheme | undefined;
  /** Id of the key; the account's only or first one when not given. */
  readonly keyId?: string | undefined;
  /** Seconds from `now`, milliseconds since 1970. */
  readonly expires?: number | undefined;
  readonly now?: number;
}
/** Seconds: ten years. What is meant to hold for longer has no end. */
export const EXPIRES_MAX = 10 * 365 * 24 * 3600;

/** The URL with its signature. @throws StoreError InvalidArgument */
export async function signUrl(store: ObjectStore, signing: Signing): Promise<string> {
  const { url, place, expires, now = Date.now() } = signing;
  const scheme = signing.scheme ?? schemeOf(place);
  if (scheme === "imagekit" && schemeOf(place) !== "imagekit") {
    throw wrong("URLs of /image, /video and /file are signed by the scheme windlass.");
  }
  const key = await keyFor(store, place, signing.keyId);
  const parts = { ...place, ownerId: place.owner.id };
  if (/(^|&)(ik-[st]|wl-(sig|key|expires))=/.test(place.rawQuery)) throw wrong("The URL is signed already.");
  const [base = "", fragment] = url.split("#", 2);
  if (fragment !== undefined) throw wrong("A fragment (#) never reaches a server: leave it out.");
  const join = place.rawQuery === "" ? "?" : "&";
  const end = expires === undefined ? undefined : String(Math.floor(now / 1000) + expires);
  if (scheme === "imagekit") {
    const signature = imagekitSignature(key.secret, parts, end);
    return `${base.replace(/\?$/, "")}${join}${end === undefined ? "" : `ik-t=${end}&`}ik-s=${signature}`;
  }
  const added = `wl-key=${key.id}${end === undefined ? "" : `&wl-expires=${end}`}`;
  const rawQuery = place.rawQuery === "" ? added : `${place.rawQuery}&${added}`;
  return `${base.replace(/\?$/, "")}${join}${added}&wl-sig=${windlassSignature(key.secret, { ...parts, rawQuery })}`;
}

async function keyFor(store: ObjectStore, { owner }: Place, id: string | undefined): Promise<UrlKey> {
  await store.refresh();
  const keys = await keysOf(store, owner.id);
  if (id !== undefined) {
    const found = keys.find((one) => one.id === id);
    if (found === undefined) throw wrong(`Account ${owner.name} has no URL key "${id}".`);
    return found;
  }
  const first = keys.find((one) => one.id === DEFAULT_KEY) ?? keys[0];
  if (first !== undefined) return first;
  const { secret } = await createUrlKey(store, { owner: owner.id, id: DEFAULT_KEY });
  return { id: DEFAULT_KEY, secret };
}
