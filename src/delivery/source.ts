/** From the name in a URL to the object behind it, by way of endpoint and origins. */
import { decide } from "../access/access.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Account, Bucket, ObjectVersion } from "../store/types.ts";
import { DeliveryError } from "./errors.ts";
import {
  DEFAULT_ENDPOINT,
  type AliasDocument,
  type EndpointDocument,
  type OriginDocument,
  type PrefixDocument,
} from "./origins.ts";
import { parseFile, type Url } from "./url.ts";
import type { Plan } from "./transforms.ts";

/** The file that a request is about. */
export interface Source {
  /** `account/origin`, for the log. */
  readonly origin: string;
  readonly version: ObjectVersion;
  /** Of small objects. */
  readonly body: Buffer | undefined;
}

/** What a URL asks for: a path in origins that are tried in order. */
export interface Target {
  readonly owner: Account;
  /** Names of the owner's origins. */
  readonly origins: readonly string[];
  readonly path: string;
  readonly plan: Plan | undefined;
}

/** @throws DeliveryError NotFound, AccessDenied, and those of url.ts */
export async function locate(store: ObjectStore, url: Url): Promise<Target> {
  if (url.family !== "account") {
    const alias = await store.settings.get<AliasDocument>("alias", url.alias);
    if (alias === undefined) throw new DeliveryError("NotFound", "There is no such alias.");
    const owner = active(await store.accounts.byId(alias.ownerId));
    return { owner, origins: [alias.origin], path: url.path, plan: url.plan };
  }
  const owner = active(await store.accounts.byName(url.account));
  const prefix = url.segments.length > 1 ? url.segments[0]! : "";
  const named =
    prefix === "" ? undefined : await store.settings.get<PrefixDocument>("prefix", `${owner.id}/${prefix}`);
  const name = named?.endpoint ?? DEFAULT_ENDPOINT;
  const { path, plan } = parseFile(named === undefined ? url.segments : url.segments.slice(1), url.query);
  const endpoint = await store.settings.get<EndpointDocument>("endpoint", `${owner.id}/${name}`);
  return { owner, origins: endpoint?.origins ?? [], path, plan };
}

function active(account: Account | undefined): Account {
  if (account === undefined) throw new DeliveryError("NotFound", "There is no such account.");
  if (account.status !== "active") throw new DeliveryError("AccessDenied", "The account is suspended.");
  return account;
}

const mayRead = (owner: Account, { ownerId, acl }: Pick<Bucket, "ownerId" | "acl">): boolean =>
  decide({ account: owner, ownerId, acl, permission: "READ" });

/**
 * The first origin's file of that name. Only what an origin doesn't have is looked for in the next; the origins' owner
 * must be allowed to read the object now, whatever was allowed when the origin was made.
 * @throws DeliveryError NotFound, AccessDenied
 */
export async function openSource(store: ObjectStore, { owner, origins, path }: Target): Promise<Source> {
  let listable = true;
  for (const name of origins) {
    const origin = await store.settings.get<OriginDocument>("origin", `${owner.id}/${name}`);
    const bucket = origin === undefined ? undefined : await store.bucket(origin.bucket);
    if (origin === undefined || bucket === undefined) continue;
    const found = await store.getObject(bucket, origin.folder + path, { withBody: true });
    if (found === undefined || found.version.deleteMarker) {
      listable &&= mayRead(owner, bucket);
      continue;
    }
    if (!mayRead(owner, found.version)) {
      throw new DeliveryError("AccessDenied", "The origin's owner may not read this object.");
    }
    return { origin: `${owner.name}/${name}`, version: found.version, body: found.body };
  }
  // As in S3: who may not list a bucket does not learn which keys it has.
  if (!listable) throw new DeliveryError("AccessDenied", "The origin's owner may not read this object.");
  throw new DeliveryError("NotFound", "No origin has this file.");
}

/** Bytes of a source; small ones are there already. */
export async function* readSource(
  store: ObjectStore,
  { version, body }: Source,
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  if (body === undefined) yield* store.read(version, start, end);
  else yield body.subarray(start, end);
}
