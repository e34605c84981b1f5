/**
 * Origins, where files come from, kept as settings documents:
 *   origin    {account id}/{name}    alias   {alias} → its origin
 * Aliases are unique on the server; names within their account. Credentials are sealed and never come out again.
 */
import { decide } from "../../access/access.ts";
import type { ObjectStore } from "../../store/store.ts";
import type { Account, Bucket } from "../../store/types.ts";
import type { OriginTest } from "./client.ts";
import {
  accountOf,
  checkName,
  checkOriginName,
  find,
  hyphenated,
  insist,
  key,
  listed,
  ownerName,
  taken,
  viewOf,
  type AliasDocument,
  type Change,
  type CommonDocument,
  type Found,
  type OriginDocument,
  type OriginSecrets,
  type OriginType,
  type Reference,
  type View,
} from "./documents.ts";
import { endpointsWithout, joinDefault } from "./endpoints.ts";
import { openPlain, sealContext, secretsOf } from "./open.ts";
import { fieldsOf, mergedSecrets, type OriginFields } from "./originfields.ts";

export { OriginClients } from "./open.ts";
export type { OriginFields } from "./originfields.ts";

export interface OriginInput extends Reference, OriginFields {
  readonly type: string;
}
/** What may be told of an origin: everything but its secrets. */
export interface OriginView extends View<Omit<CommonDocument, "sealed">> {
  type: OriginType;
  bucket?: string;
  region?: string;
  endpointUrl?: string;
  pathStyle?: boolean;
  /** Beginning and end of it. */
  accessKey?: string;
  azureAccount?: string;
  container?: string;
  azureEndpoint?: string;
  clientEmail?: string;
  baseUrl?: string;
  forwardHost?: boolean;
  /** Whether it has secrets. */
  hasCredentials: boolean;
}

const shortened = (accessKey: string): string =>
  accessKey.length <= 8 ? "…" : `${accessKey.slice(0, 4)}…${accessKey.slice(-2)}`;

async function originView(
  store: ObjectStore,
  { name, ownerId, value }: Found<OriginDocument>,
): Promise<OriginView> {
  const { sealed: secrets, ...document } = value;
  const told = await viewOf(store, { name, ownerId, value: document });
  const view: OriginView = { ...told, hasCredentials: secrets !== undefined };
  return view.accessKey === undefined ? view : { ...view, accessKey: shortened(view.accessKey) };
}

const aliasTaken = (alias: string): Error =>
  taken(`The alias "${alias}" is taken: aliases are unique on the server.`);

/** The document with its secrets sealed into it, and no others. */
function sealed(
  store: ObjectStore,
  { id, name }: { id: string; name: string },
  before: OriginDocument,
  secrets: OriginSecrets,
): OriginDocument {
  const { sealed: _, ...document } = before;
  if (Object.keys(secrets).length === 0) return document;
  return { ...document, sealed: store.settings.seal(JSON.stringify(secrets), sealContext(id, name)) };
}

/**
 * Adds an origin; the first of an account joins its default endpoint. Without `alias` the name becomes the alias where
 * that is free, with hyphens for its blanks. The bucket need not exist yet. @throws StoreError InvalidArgument with a message for the user
 */
export async function createOrigin(store: ObjectStore, input: OriginInput): Promise<OriginView> {
  await store.refresh();
  checkOriginName(input.name);
  const { alias: givenAlias } = input;
  if (givenAlias !== undefined) checkName("an alias", givenAlias);
  const owner = await accountOf(store, input.owner ?? "root");
  const { document: plain, secrets } = fieldsOf(input.type, input, undefined);
  const document = sealed(store, { id: owner.id, name: input.name }, plain, mergedSecrets({}, secrets));
  const name = key(owner.id, input.name);
  const wanted = givenAlias === undefined ? [hyphenated(input.name), undefined] : [givenAlias];
  for (const alias of wanted) {
    const value: OriginDocument = alias === undefined ? document : { ...document, alias };
    const changes: Change[] = [{ kind: "origin", name, value, ifAbsent: true }];
    if (alias !== undefined) {
      const target: AliasDocument = { ownerId: owner.id, origin: input.name };
      changes.push({ kind: "alias", name: alias, value: target, ifAbsent: true });
    }
    changes.push(...(await joinDefault(store, owner.id, input.name)));
    if (await store.settings.change(changes)) {
      return originView(store, { ownerId: owner.id, name: input.name, value });
    }
    await store.refresh();
    if ((await store.settings.get("origin", name)) !== undefined) {
      throw taken(`Account ${owner.name} already has an origin "${input.name}".`);
    }
    if (givenAlias !== undefined && (await store.settings.get("alias", givenAlias)) !== undefined) {
      throw aliasTaken(givenAlias);
    }
  }
  throw taken("Someone else changed the origins at the same time: try again.");
}

/** All origins, or those of one account, in order of account and name. */
export const listOrigins = (
  store: ObjectStore,
  filter: { owner?: string | undefined } = {},
): Promise<OriginView[]> => listed(store, "origin", filter, originView);

/** @throws StoreError InvalidArgument: no such origin */
export async function showOrigin(store: ObjectStore, reference: Reference): Promise<OriginView> {
  return originView(store, await find<OriginDocument>(store, "origin", reference));
}

/** Changes what is given; "" and null take away what isn't needed. The type stays. @throws StoreError InvalidArgument */
export function updateOrigin(
  store: ObjectStore,
  reference: Reference,
  change: OriginFields,
): Promise<OriginView> {
  return insist(store, async () => {
    const found = await find<OriginDocument>(store, "origin", reference);
    const { ownerId, name, value: before } = found;
    const { alias: oldAlias } = before;
    const alias = change.alias === undefined ? oldAlias : change.alias === "" ? undefined : change.alias;
    if (alias !== undefined) checkName("an alias", alias);
    const { document, secrets } = fieldsOf(before.type, change, before);
    const { alias: _, ...rest } = document;
    const kept = secretsOf(store, found);
    const plain = {
      ...rest,
      ...(alias === undefined ? {} : { alias }),
      updatedAt: Date.now(),
    } as OriginDocument;
    const value = sealed(store, { id: ownerId, name }, plain, mergedSecrets(kept, secrets));
    const changes: Change[] = [{ kind: "origin", name: key(ownerId, name), value, was: before }];
    if (oldAlias !== alias) {
      if (oldAlias !== undefined) changes.push({ kind: "alias", name: oldAlias, value: undefined });
      const target: AliasDocument = { ownerId, origin: name };
      if (alias !== undefined) changes.push({ kind: "alias", name: alias, value: target, ifAbsent: true });
    }
    if (await store.settings.change(changes)) return originView(store, { ownerId, name, value });
    await store.refresh();
    if (
      alias !== undefined &&
      alias !== oldAlias &&
      (await store.settings.get("alias", alias)) !== undefined
    ) {
      throw aliasTaken(alias);
    }
    return undefined;
  });
}

export interface DeletedOrigin {
  /** Account name; its id when the account is gone. */
  owner: string;
  /** Those that asked it, with the origins that are left to them. */
  endpoints: { name: string; origins: string[] }[];
}

/**
 * Removes an origin, its alias, and its name from its account's endpoints. Only the default endpoint may be left without
 * any. @throws StoreError InvalidArgument; ConditionalRequestConflict for the only origin of another endpoint
 */
export function deleteOrigin(store: ObjectStore, reference: Reference): Promise<DeletedOrigin> {
  return insist(store, async () => {
    const { ownerId, name, value } = await find<OriginDocument>(store, "origin", reference);
    const changes: Change[] = [{ kind: "origin", name: key(ownerId, name), value: undefined, was: value }];
    if (value.alias !== undefined) changes.push({ kind: "alias", name: value.alias, value: undefined });
    const endpoints = await endpointsWithout(store, ownerId, name);
    for (const { name: endpoint, ...change } of endpoints) {
      changes.push({ kind: "endpoint", name: key(ownerId, endpoint), ...change });
    }
    if (!(await store.settings.change(changes))) return undefined;
    return {
      owner: await ownerName(store, ownerId),
      endpoints: endpoints.map((one) => ({ name: one.name, origins: one.value.origins })),
    };
  });
}

/** Value of the Link header that names a file's canonical address; undefined for origins without one. */
export const canonicalLink = ({ canonicalBase }: OriginDocument, urlPath: string): string | undefined =>
  canonicalBase === undefined ? undefined : `<${canonicalBase}${urlPath}>; rel="canonical"`;

/**
 * Says what stands between an origin and its files. `discreet`: not what addresses names have.
 * @throws StoreError InvalidArgument: no such origin
 */
export async function testOrigin(
  store: ObjectStore,
  reference: Reference,
  discreet = false,
): Promise<OriginTest> {
  const { ownerId, name, value } = await find<OriginDocument>(store, "origin", reference);
  const account = await store.accounts.byId(ownerId);
  if (account === undefined) return { ok: false, findings: ["The origin's account is gone."] };
  if (account.status !== "active") {
    return { ok: false, findings: [`Account ${account.name} is suspended: all answers are 403.`] };
  }
  if (value.type === "bucket") return testBucket(store, account, value);
  const client = await openPlain(store, { ownerId, name, value, discreet });
  try {
    return await client.test();
  } finally {
    client.close();
  }
}

/** Bucket, folder, the owner's rights to list the one and to read the first object. */
async function testBucket(
  store: ObjectStore,
  owner: Account,
  value: OriginDocument & { type: "bucket" },
): Promise<OriginTest> {
  const bucket = await store.bucket(value.bucket);
  if (bucket === undefined) {
    return { ok: false, findings: [`There is no bucket ${value.bucket}: all answers are 404.`] };
  }
  const findings = [`Bucket ${bucket.name} is there.`];
  const verdict = (ok: boolean, finding: string): OriginTest => ({ ok, findings: [...findings, finding] });
  const mayRead = ({ ownerId, acl }: Pick<Bucket, "ownerId" | "acl">): boolean =>
    decide({ account: owner, ownerId, acl, permission: "READ" });
  // Anybody may name any bucket. Who may not list it learns neither its keys nor whether it has any.
  if (!mayRead(bucket)) {
    return verdict(
      false,
      `Account ${owner.name} may not list bucket ${bucket.name}: what it may read there depends on each object's ACL, and all else is 403.`,
    );
  }
  const page = await store.listObjects(bucket, {
    prefix: value.folder,
    delimiter: "",
    after: "",
    maxKeys: 1,
  });
  const first = page.objects[0];
  const found = first === undefined ? undefined : await store.getObject(bucket, first.key);
  if (found === undefined) {
    return verdict(true, `It holds no object${value.folder === "" ? "" : ` under ${value.folder}`} yet.`);
  }
  const { version } = found;
  if (mayRead(version)) return verdict(true, `Account ${owner.name} may read ${version.key}.`);
  return verdict(
    false,
    `Account ${owner.name} may not read ${version.key}: its ACL gives no READ, so the answer is 403.`,
  );
}
