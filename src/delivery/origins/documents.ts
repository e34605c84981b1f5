/** What origins, endpoints and named transformations have in common as documents in the settings. */
import { StoreError } from "../../store/errors.ts";
import type { ObjectStore, SettingChange } from "../../store/store.ts";
import type { Account } from "../../store/types.ts";

/** The endpoint that an account has without asking, reached without a prefix. */
export const DEFAULT_ENDPOINT = "default";

export interface CommonDocument {
  /** "" or a folder with its slash at the end; put before the path of a URL. */
  folder: string;
  alias?: string;
  /** With a slash at the end: what Link headers put before a path. */
  canonicalBase?: string;
  /** Keys are looked for percent-encoded first. */
  encodeKeys?: boolean;
  /** Hosts that are asked although their addresses are private: `host`, `host:port`, `*.example.com`. */
  allowHosts?: string[];
  /** None of them may have a private address: an account that isn't root named them. */
  publicHosts?: true;
  /** Seconds until the first byte of an answer, and between two pieces of it. */
  timeout?: number;
  createdAt: number;
  updatedAt?: number;
  /** Credentials, sealed under `origin/{owner id}/{name}`. */
  sealed?: string;
}

/** As stored under `origin` {account id}/{name}. */
export type OriginDocument = CommonDocument &
  (
    | { type: "bucket"; bucket: string }
    | { type: "s3"; bucket: string; region?: string; accessKey?: string }
    | {
        type: "s3-compatible";
        bucket: string;
        endpointUrl: string;
        region?: string;
        pathStyle?: boolean;
        accessKey?: string;
      }
    | { type: "azure"; azureAccount: string; container: string; azureEndpoint?: string }
    | { type: "gcs"; bucket: string; endpointUrl?: string; clientEmail?: string }
    | { type: "web"; baseUrl: string; forwardHost?: boolean }
    | { type: "web-proxy" }
  );
export type OriginType = OriginDocument["type"];

/** What is sealed within a document. */
export interface OriginSecrets {
  secretKey?: string;
  sasToken?: string;
  accountKey?: string;
  /** Of a Google service account. */
  privateKey?: string;
}

/** As stored under `alias` {alias}. */
export interface AliasDocument {
  ownerId: string;
  origin: string;
}

/** Which one is meant: without `owner`, root's, else the only one of that name. */
export interface Reference {
  readonly name: string;
  /** Account name or canonical user id. */
  readonly owner?: string | undefined;
}

export type Change = SettingChange;

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

export const wrong = (message: string): StoreError => new StoreError("InvalidArgument", {}, message);
/** A name that somebody else has, or a thing that something else needs. */
export const taken = (message: string): StoreError =>
  new StoreError("ConditionalRequestConflict", {}, message);
export const key = (ownerId: string, name: string): string => `${ownerId}/${name}`;

/** @throws StoreError InvalidArgument */
export function checkName(what: string, name: string): void {
  if (NAME.test(name)) return;
  throw wrong(
    `"${name}" can't name ${what}: 1 to 64 letters, digits, dots, dashes and underscores, beginning and ending with a letter or digit.`,
  );
}

/** A name of several words as one: what names an origin where there are no blanks. */
export const hyphenated = (name: string): string => name.replaceAll(/(?<! ) (?! )/g, "-");

/** As `checkName`; origins may be named in several words. @throws StoreError InvalidArgument */
export function checkOriginName(name: string): void {
  if (NAME.test(hyphenated(name))) return;
  throw wrong(
    `"${name}" can't name an origin: 1 to 64 letters, digits, dots, dashes, underscores and single blanks, beginning and ending with a letter or digit.`,
  );
}

/** @throws StoreError InvalidArgument */
export async function accountOf(store: ObjectStore, nameOrId: string): Promise<Account> {
  const account = (await store.accounts.byName(nameOrId)) ?? (await store.accounts.byId(nameOrId));
  if (account === undefined) throw wrong(`There is no account "${nameOrId}".`);
  return account;
}

/** What is told of a document. */
export type View<T> = T & {
  name: string;
  /** Account name; its id when the account is gone. */
  owner: string;
  ownerId: string;
};

export const viewOf = async <T>(
  store: ObjectStore,
  { ownerId, name, value }: Found<T>,
): Promise<View<T>> => ({ name, owner: await ownerName(store, ownerId), ownerId, ...value });

/** The account's name; its id when it is gone. */
export const ownerName = async (store: ObjectStore, ownerId: string): Promise<string> =>
  (await store.accounts.byId(ownerId))?.name ?? ownerId;

export interface Found<T> {
  readonly ownerId: string;
  readonly name: string;
  readonly value: T;
}

/** `{owner id}/{name}` of each document of a kind, taken apart; in order of account and name. */
export async function all<T>(store: ObjectStore, kind: string): Promise<Found<T>[]> {
  const documents = await store.settings.list<T>(kind);
  return documents.map(({ name, value }) => {
    const at = name.indexOf("/");
    return { ownerId: name.slice(0, at), name: name.slice(at + 1), value };
  });
}

/** What is told of all documents of a kind, or of those of one account. @throws StoreError InvalidArgument */
export async function listed<T, Told>(
  store: ObjectStore,
  kind: string,
  { owner }: { owner?: string | undefined },
  tell: (store: ObjectStore, found: Found<T>) => Promise<Told>,
): Promise<Told[]> {
  await store.refresh();
  const only = owner === undefined ? undefined : (await accountOf(store, owner)).id;
  const found = await all<T>(store, kind);
  const wanted = found.filter(({ ownerId }) => only === undefined || ownerId === only);
  return Promise.all(wanted.map((one) => tell(store, one)));
}

/** Changes that somebody else's change came before, until it is said that too much is going on. */
const ATTEMPTS_MAX = 8;

/** Does `attempt` again while somebody else's change comes before its own. @throws StoreError ConditionalRequestConflict */
export async function insist<T>(store: ObjectStore, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let n = 0; n < ATTEMPTS_MAX; n++) {
    await store.refresh();
    const done = await attempt();
    if (done !== undefined) return done;
  }
  throw taken("Someone else changes the same at the same time: try again.");
}

/** @throws StoreError InvalidArgument */
export async function find<T>(
  store: ObjectStore,
  kind: "origin" | "endpoint" | "transformation",
  { name, owner }: Reference,
): Promise<Found<T>> {
  await store.refresh();
  const account = await accountOf(store, owner ?? "root");
  const value = await store.settings.get<T>(kind, key(account.id, name));
  if (value !== undefined) return { ownerId: account.id, name, value };
  const others =
    owner === undefined ? (await all<T>(store, kind)).filter((found) => found.name === name) : [];
  if (others.length > 1) throw wrong(`Several accounts have an ${kind} "${name}": name its --owner.`);
  if (others[0] !== undefined) return others[0];
  throw wrong(`There is no ${kind} "${name}"${owner === undefined ? "" : ` of account ${account.name}`}.`);
}
