/**
 * Origins (where files come from) and URL-endpoints (where they are reached) of accounts, kept as settings documents:
 *   origin    {account id}/{name}    alias   {alias} → its origin
 *   endpoint  {account id}/{name}    prefix  {account id}/{prefix} → its endpoint
 * Aliases are unique on the server; names and prefixes within their account.
 */
import { decide } from "../access/access.ts";
import { StoreError } from "../store/errors.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Account } from "../store/types.ts";

/** The endpoint that an account has without asking, reached without a prefix. */
export const DEFAULT_ENDPOINT = "default";

/** As stored. */
export interface OriginDocument {
  type: "bucket";
  bucket: string;
  /** "" or a folder with its slash at the end; put before the path of a URL. */
  folder: string;
  alias?: string;
  createdAt: number;
}
/** As stored. */
export interface EndpointDocument {
  /** "" for the default endpoint alone. */
  prefix: string;
  /** Names in order of preference: the next is asked only for what the one before doesn't have. */
  origins: string[];
  createdAt: number;
}
/** As stored under an alias or a prefix. */
export interface AliasDocument {
  ownerId: string;
  origin: string;
}
export interface PrefixDocument {
  endpoint: string;
}

/** Which one is meant: without `owner`, root's, else the only one of that name. */
export interface Reference {
  readonly name: string;
  /** Account name or canonical user id. */
  readonly owner?: string | undefined;
}

export interface OriginInput extends Reference {
  readonly type: string;
  readonly bucket?: string | undefined;
  readonly folder?: string | undefined;
  readonly alias?: string | undefined;
  /** Names of options that were given and that only other types of origin have. */
  readonly foreign?: readonly string[] | undefined;
}
export interface OriginView {
  name: string;
  /** Account name; its id when the account is gone. */
  owner: string;
  ownerId: string;
  type: "bucket";
  bucket: string;
  folder: string;
  alias?: string;
  createdAt: number;
}

export interface EndpointInput extends Reference {
  /** The endpoint's name when not given. */
  readonly prefix?: string | undefined;
  readonly origins: readonly string[];
}
export interface EndpointView {
  name: string;
  owner: string;
  ownerId: string;
  prefix: string;
  origins: string[];
  createdAt: number;
}

/** Types that the command line knows. What can't be served yet is refused when it is created, not when it is asked for. */
const TYPES_TO_COME = ["s3", "s3-compatible", "azure", "gcs", "web", "web-proxy"];
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;
const PREFIX = /^[A-Za-z0-9-]{1,64}$/;
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;
/** A folder leaves room for a file's name in the 1024 bytes of a key. */
const FOLDER_BYTES_MAX = 900;
/** An endpoint asks its origins one after the other: more would make each miss slow. */
const ORIGINS_MAX = 16;

const wrong = (message: string): StoreError => new StoreError("InvalidArgument", {}, message);
const key = (ownerId: string, name: string): string => `${ownerId}/${name}`;

function checkName(what: string, name: string): void {
  if (NAME.test(name)) return;
  throw wrong(
    `"${name}" can't name ${what}: 1 to 64 letters, digits, dots, dashes and underscores, beginning and ending with a letter or digit.`,
  );
}

/** "" or `a/b/`: how a folder is put before a path, however it was written. */
function cleanFolder(folder: string): string {
  const inner = folder.replace(/^\/+/, "").replace(/\/+$/, "");
  if (Buffer.byteLength(inner) > FOLDER_BYTES_MAX)
    throw wrong(`A folder has at most ${FOLDER_BYTES_MAX} bytes.`);
  return inner === "" ? "" : `${inner}/`;
}

async function accountOf(store: ObjectStore, nameOrId: string): Promise<Account> {
  const account = (await store.accounts.byName(nameOrId)) ?? (await store.accounts.byId(nameOrId));
  if (account === undefined) throw wrong(`There is no account "${nameOrId}".`);
  return account;
}

interface Found<T> {
  readonly ownerId: string;
  readonly name: string;
  readonly value: T;
}

/** `{owner id}/{name}` of each document of a kind, taken apart. */
async function all<T>(store: ObjectStore, kind: string): Promise<Found<T>[]> {
  const documents = await store.settings.list<T>(kind);
  return documents.map(({ name, value }) => {
    const at = name.indexOf("/");
    return { ownerId: name.slice(0, at), name: name.slice(at + 1), value };
  });
}

async function find<T>(
  store: ObjectStore,
  kind: "origin" | "endpoint",
  reference: Reference,
): Promise<Found<T>> {
  await store.refresh();
  const { name, owner } = reference;
  const account = await accountOf(store, owner ?? "root");
  const value = await store.settings.get<T>(kind, key(account.id, name));
  if (value !== undefined) return { ownerId: account.id, name, value };
  const others =
    owner === undefined ? (await all<T>(store, kind)).filter((found) => found.name === name) : [];
  if (others.length > 1) throw wrong(`Several accounts have an ${kind} "${name}": name its --owner.`);
  if (others[0] === undefined) {
    throw wrong(`There is no ${kind} "${name}"${owner === undefined ? "" : ` of account ${account.name}`}.`);
  }
  return others[0];
}

const ownerName = async (store: ObjectStore, ownerId: string): Promise<string> =>
  (await store.accounts.byId(ownerId))?.name ?? ownerId;

const originView = async (store: ObjectStore, found: Found<OriginDocument>): Promise<OriginView> => ({
  name: found.name,
  owner: await ownerName(store, found.ownerId),
  ownerId: found.ownerId,
  ...found.value,
});

const endpointView = async (store: ObjectStore, found: Found<EndpointDocument>): Promise<EndpointView> => ({
  name: found.name,
  owner: await ownerName(store, found.ownerId),
  ownerId: found.ownerId,
  ...found.value,
});

type Change = Parameters<ObjectStore["settings"]["change"]>[0][number];

const aliasTaken = (alias: string): StoreError =>
  wrong(`The alias "${alias}" is taken: aliases are unique on the server.`);

function checkBucket(bucket: string | undefined): string {
  if (bucket === undefined || bucket === "") throw wrong("An origin of type bucket needs --bucket.");
  if (!BUCKET.test(bucket)) throw wrong(`"${bucket}" can't be the name of a bucket.`);
  return bucket;
}

/** The change that lets an account's first origin be reached through its default endpoint; nothing for later ones. */
async function joinDefault(store: ObjectStore, ownerId: string, origin: string): Promise<Change[]> {
  const name = key(ownerId, DEFAULT_ENDPOINT);
  const existing = await store.settings.get<EndpointDocument>("endpoint", name);
  if (existing === undefined) {
    const value: EndpointDocument = { prefix: "", origins: [origin], createdAt: Date.now() };
    return [{ kind: "endpoint", name, value, ifAbsent: true }];
  }
  return existing.origins.length > 0
    ? []
    : [{ kind: "endpoint", name, value: { ...existing, origins: [origin] } }];
}

/**
 * Adds an origin; the first of an account joins its default endpoint. Without `alias` the name becomes the alias where
 * that is free. The bucket need not exist yet. @throws StoreError InvalidArgument with a message for the user
 */
export async function createOrigin(store: ObjectStore, input: OriginInput): Promise<OriginView> {
  await store.refresh();
  checkName("an origin", input.name);
  if (TYPES_TO_COME.includes(input.type)) {
    throw wrong(`Origins of type ${input.type} are not built yet. Built: bucket.`);
  }
  if (input.type !== "bucket") throw wrong(`"${input.type}" is no type of origin. Built: bucket.`);
  const foreign = input.foreign?.[0];
  if (foreign !== undefined) throw wrong(`An origin of type bucket has no option ${foreign}.`);
  if (input.alias !== undefined) checkName("an alias", input.alias);
  const owner = await accountOf(store, input.owner ?? "root");
  const document: OriginDocument = {
    type: "bucket",
    bucket: checkBucket(input.bucket),
    folder: cleanFolder(input.folder ?? ""),
    createdAt: Date.now(),
  };
  const name = key(owner.id, input.name);
  const wanted = input.alias === undefined ? [input.name, undefined] : [input.alias];
  for (const alias of wanted) {
    const value: OriginDocument = alias === undefined ? document : { ...document, alias };
    const changes: Change[] = [{ kind: "origin", name, value, ifAbsent: true }];
    if (alias !== undefined) {
      const target: AliasDocument = { ownerId: owner.id, origin: input.name };
      changes.push({ kind: "alias", name: alias, value: target, ifAbsent: true });
    }
    changes.push(...(await joinDefault(store, owner.id, input.name)));
    if (await store.settings.change(changes))
      return originView(store, { ownerId: owner.id, name: input.name, value });
    await store.refresh();
    if ((await store.settings.get("origin", name)) !== undefined) {
      throw wrong(`Account ${owner.name} already has an origin "${input.name}".`);
    }
    if (input.alias !== undefined && (await store.settings.get("alias", input.alias)) !== undefined) {
      throw aliasTaken(input.alias);
    }
  }
  throw new StoreError(
    "ConditionalRequestConflict",
    {},
    "Someone else changed the origins at the same time: try again.",
  );
}

/** All origins, or those of one account, in order of account and name. */
export async function listOrigins(
  store: ObjectStore,
  filter: { owner?: string | undefined } = {},
): Promise<OriginView[]> {
  await store.refresh();
  const only = filter.owner === undefined ? undefined : (await accountOf(store, filter.owner)).id;
  const found = await all<OriginDocument>(store, "origin");
  return Promise.all(
    found
      .filter(({ ownerId }) => only === undefined || ownerId === only)
      .map((one) => originView(store, one)),
  );
}

/** @throws StoreError InvalidArgument: no such origin */
export async function showOrigin(store: ObjectStore, reference: Reference): Promise<OriginView> {
  return originView(store, await find<OriginDocument>(store, "origin", reference));
}

/** Changes what is given; an alias of "" takes the alias away. @throws StoreError InvalidArgument */
export async function updateOrigin(
  store: ObjectStore,
  reference: Reference,
  change: { bucket?: string | undefined; folder?: string | undefined; alias?: string | undefined },
): Promise<OriginView> {
  const found = await find<OriginDocument>(store, "origin", reference);
  const { ownerId, name } = found;
  const { alias: before, ...rest } = found.value;
  const after = change.alias === undefined ? before : change.alias === "" ? undefined : change.alias;
  if (after !== undefined) checkName("an alias", after);
  const value: OriginDocument = {
    ...rest,
    ...(change.bucket === undefined ? {} : { bucket: checkBucket(change.bucket) }),
    ...(change.folder === undefined ? {} : { folder: cleanFolder(change.folder) }),
    ...(after === undefined ? {} : { alias: after }),
  };
  const changes: Change[] = [{ kind: "origin", name: key(ownerId, name), value }];
  if (before !== after) {
    if (before !== undefined) changes.push({ kind: "alias", name: before, value: undefined });
    const target: AliasDocument = { ownerId, origin: name };
    if (after !== undefined) changes.push({ kind: "alias", name: after, value: target, ifAbsent: true });
  }
  if (!(await store.settings.change(changes))) throw aliasTaken(after!);
  return originView(store, { ownerId, name, value });
}

/** Removes an origin, its alias, and its name from its account's endpoints. @throws StoreError InvalidArgument */
export async function deleteOrigin(store: ObjectStore, reference: Reference): Promise<void> {
  const { ownerId, name, value } = await find<OriginDocument>(store, "origin", reference);
  const changes: Change[] = [{ kind: "origin", name: key(ownerId, name), value: undefined }];
  if (value.alias !== undefined) changes.push({ kind: "alias", name: value.alias, value: undefined });
  for (const endpoint of await all<EndpointDocument>(store, "endpoint")) {
    if (endpoint.ownerId !== ownerId || !endpoint.value.origins.includes(name)) continue;
    const origins = endpoint.value.origins.filter((other) => other !== name);
    changes.push({
      kind: "endpoint",
      name: key(ownerId, endpoint.name),
      value: { ...endpoint.value, origins },
    });
  }
  await store.settings.change(changes);
}

/** @throws StoreError InvalidArgument for origins that the account doesn't have */
async function checkOrigins(
  store: ObjectStore,
  owner: { id: string; name: string },
  origins: readonly string[],
): Promise<string[]> {
  if (origins.length === 0) throw wrong("An endpoint needs at least one --origin.");
  if (origins.length > ORIGINS_MAX) throw wrong(`An endpoint has at most ${ORIGINS_MAX} origins.`);
  if (new Set(origins).size < origins.length) throw wrong("An endpoint names each of its origins once.");
  for (const origin of origins) {
    if ((await store.settings.get("origin", key(owner.id, origin))) !== undefined) continue;
    throw wrong(`Account ${owner.name} has no origin "${origin}".`);
  }
  return [...origins];
}

const prefixTaken = (prefix: string): StoreError =>
  wrong(`The account already has an endpoint with the prefix "${prefix}".`);

function checkPrefix(prefix: string): string {
  if (PREFIX.test(prefix)) return prefix;
  throw wrong(`"${prefix}" can't be a prefix: 1 to 64 letters, digits and dashes.`);
}

/** Adds a URL-endpoint, reached as /{account}/{prefix}/…. @throws StoreError InvalidArgument */
export async function createEndpoint(store: ObjectStore, input: EndpointInput): Promise<EndpointView> {
  await store.refresh();
  checkName("an endpoint", input.name);
  const owner = await accountOf(store, input.owner ?? "root");
  const isDefault = input.name === DEFAULT_ENDPOINT;
  if (isDefault && input.prefix !== undefined && input.prefix !== "")
    throw wrong("The default endpoint has no prefix.");
  const prefix = isDefault ? "" : checkPrefix(input.prefix ?? input.name);
  const value: EndpointDocument = {
    prefix,
    origins: await checkOrigins(store, owner, input.origins),
    createdAt: Date.now(),
  };
  const target: PrefixDocument = { endpoint: input.name };
  const changes: Change[] = [{ kind: "endpoint", name: key(owner.id, input.name), value, ifAbsent: true }];
  if (prefix !== "")
    changes.push({ kind: "prefix", name: key(owner.id, prefix), value: target, ifAbsent: true });
  if (await store.settings.change(changes))
    return endpointView(store, { ownerId: owner.id, name: input.name, value });
  await store.refresh();
  if ((await store.settings.get("endpoint", key(owner.id, input.name))) === undefined)
    throw prefixTaken(prefix);
  throw wrong(`Account ${owner.name} already has an endpoint "${input.name}".`);
}

/** All endpoints, or those of one account, in order of account and name. */
export async function listEndpoints(
  store: ObjectStore,
  filter: { owner?: string | undefined } = {},
): Promise<EndpointView[]> {
  await store.refresh();
  const only = filter.owner === undefined ? undefined : (await accountOf(store, filter.owner)).id;
  const found = await all<EndpointDocument>(store, "endpoint");
  return Promise.all(
    found
      .filter(({ ownerId }) => only === undefined || ownerId === only)
      .map((one) => endpointView(store, one)),
  );
}

/** @throws StoreError InvalidArgument: no such endpoint */
export async function showEndpoint(store: ObjectStore, reference: Reference): Promise<EndpointView> {
  return endpointView(store, await find<EndpointDocument>(store, "endpoint", reference));
}

/** `origins` replaces the whole order. @throws StoreError InvalidArgument */
export async function updateEndpoint(
  store: ObjectStore,
  reference: Reference,
  change: { prefix?: string | undefined; origins?: readonly string[] | undefined },
): Promise<EndpointView> {
  const { ownerId, name, value: before } = await find<EndpointDocument>(store, "endpoint", reference);
  if (change.prefix !== undefined && name === DEFAULT_ENDPOINT)
    throw wrong("The default endpoint has no prefix.");
  const owner = { id: ownerId, name: await ownerName(store, ownerId) };
  const value: EndpointDocument = {
    ...before,
    ...(change.prefix === undefined ? {} : { prefix: checkPrefix(change.prefix) }),
    ...(change.origins === undefined ? {} : { origins: await checkOrigins(store, owner, change.origins) }),
  };
  const changes: Change[] = [{ kind: "endpoint", name: key(ownerId, name), value }];
  if (value.prefix !== before.prefix) {
    const target: PrefixDocument = { endpoint: name };
    changes.push({ kind: "prefix", name: key(ownerId, before.prefix), value: undefined });
    changes.push({ kind: "prefix", name: key(ownerId, value.prefix), value: target, ifAbsent: true });
  }
  if (!(await store.settings.change(changes))) throw prefixTaken(value.prefix);
  return endpointView(store, { ownerId, name, value });
}

/** @throws StoreError InvalidArgument; the default endpoint stays, but may be given other origins */
export async function deleteEndpoint(store: ObjectStore, reference: Reference): Promise<void> {
  const { ownerId, name, value } = await find<EndpointDocument>(store, "endpoint", reference);
  if (name === DEFAULT_ENDPOINT)
    throw wrong("The default endpoint can't be deleted; update its origins instead.");
  await store.settings.change([
    { kind: "endpoint", name: key(ownerId, name), value: undefined },
    { kind: "prefix", name: key(ownerId, value.prefix), value: undefined },
  ]);
}

/** What a test of an origin found, in the order in which it looked. */
export interface OriginTest {
  ok: boolean;
  findings: string[];
}

/**
 * Says what stands between an origin and its files: account, bucket, folder, the owner's right to read the first object.
 * @throws StoreError InvalidArgument: no such origin
 */
export async function testOrigin(store: ObjectStore, reference: Reference): Promise<OriginTest> {
  const { ownerId, value } = await find<OriginDocument>(store, "origin", reference);
  const findings: string[] = [];
  const verdict = (ok: boolean, finding: string): OriginTest => ({ ok, findings: [...findings, finding] });
  const account = await store.accounts.byId(ownerId);
  if (account === undefined) return verdict(false, "The origin's account is gone.");
  if (account.status !== "active")
    return verdict(false, `Account ${account.name} is suspended: all answers are 403.`);
  const bucket = await store.bucket(value.bucket);
  if (bucket === undefined) return verdict(false, `There is no bucket ${value.bucket}: all answers are 404.`);
  findings.push(`Bucket ${bucket.name} is there.`);
  const page = await store.listObjects(bucket, {
    prefix: value.folder,
    delimiter: "",
    after: "",
    maxKeys: 1,
  });
  const first = page.objects[0];
  const found = first === undefined ? undefined : await store.getObject(bucket, first.key);
  if (found === undefined)
    return verdict(true, `It holds no object${value.folder === "" ? "" : ` under ${value.folder}`} yet.`);
  const { key: objectKey, ownerId: objectOwner, acl } = found.version;
  const readable = decide({ account, ownerId: objectOwner, acl, permission: "READ" });
  if (readable) return verdict(true, `Account ${account.name} may read ${objectKey}.`);
  return verdict(
    false,
    `Account ${account.name} may not read ${objectKey}: its ACL gives no READ, so the answer is 403.`,
  );
}
