/**
 * URL-endpoints (where an account's origins are reached, and under which rules), kept as settings documents:
 *   endpoint  {account id}/{name}      prefix  {account id}/{prefix} → its endpoint      domain  {host} → its endpoint
 * Domains are unique on the server; names and prefixes within their account.
 */
import type { ObjectStore } from "../../store/store.ts";
import {
  accountOf,
  all,
  checkName,
  DEFAULT_ENDPOINT,
  find,
  insist,
  key,
  listed,
  ownerName,
  taken,
  viewOf,
  wrong,
  type Change,
  type Reference,
  type View,
} from "./documents.ts";
import { changeRules, checkDomain, type EndpointRules, type RulesInput } from "./endpointrules.ts";

/** As stored. */
export interface EndpointDocument extends EndpointRules {
  /** "" for the default endpoint alone. */
  prefix: string;
  /** Names in order of preference: the next is asked only for what the one before doesn't have. */
  origins: string[];
  /** Host name of its own, in lower case: neither account nor prefix stand in its URLs. */
  domain?: string;
  createdAt: number;
}
/** As stored under a prefix and under a domain. */
export interface PrefixDocument {
  endpoint: string;
}
export interface DomainDocument {
  ownerId: string;
  endpoint: string;
}

export interface EndpointChange extends RulesInput {
  readonly prefix?: string | undefined;
  /** Replace the whole order. */
  readonly origins?: readonly string[] | undefined;
  readonly domain?: string | null | undefined;
}
/** `prefix`: the endpoint's name when left out. */
export type EndpointInput = Reference & EndpointChange & { readonly origins: readonly string[] };

export type EndpointView = View<EndpointDocument>;

const PREFIX = /^[A-Za-z0-9-]{1,64}$/;
/** First words of paths that mean something else: a prefix of that name would hide them. */
const RESERVED = /^(image|video|file|ik-.*)$/i;
/** An endpoint asks its origins one after the other: more would make each miss slow. */
const ORIGINS_MAX = 16;

/** The endpoint that has a host name (in lower case, without port) for its own. */
export const domainOf = (store: ObjectStore, host: string): Promise<DomainDocument | undefined> =>
  store.settings.get<DomainDocument>("domain", host);

/** The change that lets an account's first origin be reached through its default endpoint; nothing for later ones. */
export async function joinDefault(store: ObjectStore, ownerId: string, origin: string): Promise<Change[]> {
  const name = key(ownerId, DEFAULT_ENDPOINT);
  const existing = await store.settings.get<EndpointDocument>("endpoint", name);
  if (existing === undefined) {
    const value: EndpointDocument = { prefix: "", origins: [origin], createdAt: Date.now() };
    return [{ kind: "endpoint", name, value, ifAbsent: true }];
  }
  if (existing.origins.length > 0) return [];
  return [{ kind: "endpoint", name, value: { ...existing, origins: [origin] }, was: existing }];
}

/**
 * An account's endpoints that ask an origin, as they are and as they are without it. The default endpoint, which can't be
 * deleted either, may be left with none. @throws StoreError ConditionalRequestConflict where another one would be
 */
export async function endpointsWithout(
  store: ObjectStore,
  ownerId: string,
  origin: string,
): Promise<{ name: string; was: EndpointDocument; value: EndpointDocument }[]> {
  const asking = (await all<EndpointDocument>(store, "endpoint")).filter(
    (one) => one.ownerId === ownerId && one.value.origins.includes(origin),
  );
  const alone = asking.filter(({ name, value }) => name !== DEFAULT_ENDPOINT && value.origins.length === 1);
  if (alone.length > 0) {
    const names = alone.map(({ name }) => `"${name}"`).join(" and ");
    throw taken(
      `"${origin}" is the only origin of the endpoint ${names}: give that another one, or delete it, first.`,
    );
  }
  return asking.map(({ name, value: was }) => ({
    name,
    was,
    value: { ...was, origins: was.origins.filter((one) => one !== origin) },
  }));
}

/** @throws StoreError InvalidArgument for origins that the account doesn't have */
async function checkOrigins(
  store: ObjectStore,
  owner: { id: string; name: string },
  origins: readonly string[],
): Promise<string[]> {
  if (origins.length === 0) throw wrong("An endpoint needs at least one origin.");
  if (origins.length > ORIGINS_MAX) throw wrong(`An endpoint has at most ${ORIGINS_MAX} origins.`);
  if (new Set(origins).size < origins.length) throw wrong("An endpoint names each of its origins once.");
  for (const origin of origins) {
    if ((await store.settings.get("origin", key(owner.id, origin))) !== undefined) continue;
    throw wrong(`Account ${owner.name} has no origin "${origin}".`);
  }
  return [...origins];
}

/** What an endpoint's prefix looks like: what doesn't need not be looked for. */
export const isPrefix = (segment: string): boolean => PREFIX.test(segment);

function checkPrefix(prefix: string): string {
  if (!isPrefix(prefix)) {
    throw wrong(`"${prefix}" can't be a prefix: 1 to 64 letters, digits and dashes.`);
  }
  if (RESERVED.test(prefix))
    throw wrong(`"${prefix}" can't be a prefix: URLs use the word for something else.`);
  return prefix;
}

function prefixFor(name: string, asked: string | undefined): string {
  if (name !== DEFAULT_ENDPOINT) return checkPrefix(asked ?? name);
  if (asked === undefined || asked === "") return "";
  throw wrong("The default endpoint has no prefix.");
}

/** The changes that give an endpoint its prefix and domain, and take away what it had before. */
function addresses(
  { ownerId, name }: { ownerId: string; name: string },
  before: EndpointDocument | undefined,
  after: EndpointDocument | undefined,
): Change[] {
  const changes: Change[] = [];
  const move = (
    kind: "prefix" | "domain",
    old: string | undefined,
    next: string | undefined,
    value: object,
  ) => {
    if (old === next) return;
    if (old !== undefined) changes.push({ kind, name: old, value: undefined });
    if (next !== undefined) changes.push({ kind, name: next, value, ifAbsent: true });
  };
  const prefixKey = (document: EndpointDocument | undefined): string | undefined =>
    document === undefined || document.prefix === "" ? undefined : key(ownerId, document.prefix);
  const prefixDocument: PrefixDocument = { endpoint: name };
  const domainDocument: DomainDocument = { ownerId, endpoint: name };
  move("prefix", prefixKey(before), prefixKey(after), prefixDocument);
  move("domain", before?.domain, after?.domain, domainDocument);
  return changes;
}

/** @throws StoreError InvalidArgument where a prefix or domain that is to be given is another endpoint's */
async function checkFree(store: ObjectStore, changes: readonly Change[]): Promise<void> {
  for (const { kind, name, ifAbsent } of changes) {
    if (ifAbsent !== true || (await store.settings.get(kind, name)) === undefined) continue;
    if (kind === "domain") throw taken(`The domain "${name}" is another endpoint's.`);
    const prefix = name.slice(name.indexOf("/") + 1);
    throw taken(`The account already has an endpoint with the prefix "${prefix}".`);
  }
}

/** Applies a change to what was read; @throws StoreError InvalidArgument */
async function changed(
  store: ObjectStore,
  owner: { id: string; name: string },
  before: EndpointDocument,
  change: EndpointChange,
): Promise<EndpointDocument> {
  const domain = change.domain === undefined ? before.domain : checkDomain(change.domain);
  return {
    prefix: before.prefix,
    origins: change.origins === undefined ? before.origins : await checkOrigins(store, owner, change.origins),
    ...(domain === undefined ? {} : { domain }),
    ...changeRules(before, change),
    createdAt: before.createdAt,
  };
}

/** Adds a URL-endpoint, reached as /{account}/{prefix}/… and by its domain. @throws StoreError InvalidArgument */
export async function createEndpoint(store: ObjectStore, input: EndpointInput): Promise<EndpointView> {
  const { name } = input;
  checkName("an endpoint", name);
  const prefix = prefixFor(name, input.prefix);
  return insist(store, async () => {
    const owner = await accountOf(store, input.owner ?? "root");
    const documentName = key(owner.id, name);
    if ((await store.settings.get("endpoint", documentName)) !== undefined) {
      throw taken(`Account ${owner.name} already has an endpoint "${name}".`);
    }
    const value = await changed(store, owner, { prefix, origins: [], createdAt: Date.now() }, input);
    const changes = addresses({ ownerId: owner.id, name }, undefined, value);
    await checkFree(store, changes);
    const created = await store.settings.change([
      { kind: "endpoint", name: documentName, value, ifAbsent: true },
      ...changes,
    ]);
    return created ? viewOf(store, { ownerId: owner.id, name, value }) : undefined;
  });
}

/** All endpoints, or those of one account, in order of account and name. */
export const listEndpoints = (
  store: ObjectStore,
  filter: { owner?: string | undefined } = {},
): Promise<EndpointView[]> => listed<EndpointDocument, EndpointView>(store, "endpoint", filter, viewOf);

/** @throws StoreError InvalidArgument: no such endpoint */
export async function showEndpoint(store: ObjectStore, reference: Reference): Promise<EndpointView> {
  return viewOf(store, await find<EndpointDocument>(store, "endpoint", reference));
}

/** Changes what is given, on what is stored at that moment. @throws StoreError InvalidArgument */
export function updateEndpoint(
  store: ObjectStore,
  reference: Reference,
  change: EndpointChange,
): Promise<EndpointView> {
  return insist(store, async () => {
    const found = await find<EndpointDocument>(store, "endpoint", reference);
    const { ownerId, name, value: before } = found;
    const prefix = change.prefix === undefined ? before.prefix : prefixFor(name, change.prefix);
    const owner = { id: ownerId, name: await ownerName(store, ownerId) };
    const value = await changed(store, owner, { ...before, prefix }, change);
    const changes = addresses(found, before, value);
    await checkFree(store, changes);
    const document: Change = { kind: "endpoint", name: key(ownerId, name), value, was: before };
    return (await store.settings.change([document, ...changes]))
      ? viewOf(store, { ownerId, name, value })
      : undefined;
  });
}

/**
 * Returns what was deleted. The default endpoint stays, but may be given other origins. @throws StoreError InvalidArgument
 */
export async function deleteEndpoint(store: ObjectStore, reference: Reference): Promise<EndpointView> {
  if (reference.name === DEFAULT_ENDPOINT) {
    throw wrong("The default endpoint can't be deleted; update its origins instead.");
  }
  return insist(store, async () => {
    const found = await find<EndpointDocument>(store, "endpoint", reference);
    const document: Change = {
      kind: "endpoint",
      name: key(found.ownerId, found.name),
      value: undefined,
      was: found.value,
    };
    const changes = [document, ...addresses(found, found.value, undefined)];
    return (await store.settings.change(changes)) ? viewOf(store, found) : undefined;
  });
}
