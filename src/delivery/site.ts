/** From the address of a request to the place that it names: whose it is, which rules hold, which origins are asked. */
import type { ObjectStore } from "../store/store.ts";
import type { Account } from "../store/types.ts";
import { DeliveryError } from "./errors.ts";
import { DEFAULT_ENDPOINT, type AliasDocument } from "./origins/documents.ts";
import { domainOf, isPrefix, type EndpointDocument, type PrefixDocument } from "./origins/endpoints.ts";
import { isOurs } from "./origins/loop.ts";

export type AliasFamily = "image" | "video" | "file";
const FAMILIES: readonly string[] = ["image", "video", "file"] satisfies AliasFamily[];

/** What an endpoint allows. Aliases have no endpoint of their own: those of the account's default endpoint hold. */
export type Rules = Pick<
  EndpointDocument,
  | "signedOnly"
  | "namedOnly"
  | "allowPrompts"
  | "privateFiles"
  | "defaultImage"
  | "cacheSeconds"
  | "formats"
  | "rewriter"
>;

export interface Place {
  readonly owner: Account;
  /** ImageKit's URLs, or those of one of Weekerp's families. */
  readonly grammar: "imagekit" | AliasFamily;
  /** What a signature is good for, however the place is addressed: `endpoint/{name}` or `alias/{family}/{alias}`. */
  readonly scope: string;
  readonly rules: Rules;
  /** Names of the owner's origins, in order of preference. */
  readonly origins: readonly string[];
  /** What follows the place, as it came over the wire, without a slash in front. */
  readonly rawPath: string;
  readonly rawQuery: string;
  /** That the client named, port included, for origins that want to know it. */
  readonly host: string | undefined;
  /** We made the request ourselves: an origin leads back here. */
  readonly ours: boolean;
}

/** The parts of a request that name a place. */
export interface Address {
  /** The Host header; undefined when there is none. */
  readonly host: string | undefined;
  /** Un-decoded, beginning with a slash. */
  readonly path: string;
  readonly rawQuery: string;
  /** Of the CDN-Loop header. */
  readonly loop?: string | undefined;
}

/**
 *   any host    /{account}/[{prefix}/]…          an endpoint
 *   any host    /{image|video|file}/{alias}/…    an alias
 *   a domain    /…                               the endpoint that has this domain
 * @throws DeliveryError NotFound, AccessDenied
 */
export async function locate(store: ObjectStore, { host, path, rawQuery, loop }: Address): Promise<Place> {
  if (!path.startsWith("/")) throw new DeliveryError("NotFound", "The URL names no account.");
  const ours = isOurs(store, loop);
  const domain = host === undefined ? undefined : await domainOf(store, hostName(host));
  if (domain !== undefined) {
    const owner = active(await store.accounts.byId(domain.ownerId));
    return endpointPlace(store, owner, domain.endpoint, { rawPath: path.slice(1), rawQuery, host, ours });
  }
  const segments = path.slice(1).split("/");
  const first = decodeSegment(segments[0]);
  if (first === "") throw new DeliveryError("NotFound", "The URL names no account.");
  if (FAMILIES.includes(first))
    return aliasPlace(store, first as AliasFamily, segments.slice(1), { rawQuery, host, ours });
  const owner = active(await store.accounts.byName(first));
  const prefix = segments.length > 2 ? decodeSegment(segments[1]) : "";
  const named = isPrefix(prefix)
    ? await store.settings.get<PrefixDocument>("prefix", `${owner.id}/${prefix}`)
    : undefined;
  const rawPath = segments.slice(named === undefined ? 1 : 2).join("/");
  return endpointPlace(store, owner, named?.endpoint ?? DEFAULT_ENDPOINT, { rawPath, rawQuery, host, ours });
}

/** The account's default endpoint, which has no path of the request's any more. */
export const defaultPlace = (store: ObjectStore, { owner, host, ours }: Place): Promise<Place> =>
  endpointPlace(store, owner, DEFAULT_ENDPOINT, { rawPath: "", rawQuery: "", host, ours });

async function endpointPlace(
  store: ObjectStore,
  owner: Account,
  name: string,
  raw: Pick<Place, "rawPath" | "rawQuery" | "host" | "ours">,
): Promise<Place> {
  const endpoint = await store.settings.get<EndpointDocument>("endpoint", `${owner.id}/${name}`);
  return {
    owner,
    grammar: "imagekit",
    scope: `endpoint/${name}`,
    rules: endpoint ?? {},
    origins: endpoint?.origins ?? [],
    ...raw,
  };
}

async function aliasPlace(
  store: ObjectStore,
  family: AliasFamily,
  [first = "", ...rest]: readonly string[],
  raw: Pick<Place, "rawQuery" | "host" | "ours">,
): Promise<Place> {
  const name = decodeSegment(first);
  const alias = await store.settings.get<AliasDocument>("alias", name);
  if (alias === undefined) throw new DeliveryError("NotFound", "There is no such alias.");
  const owner = active(await store.accounts.byId(alias.ownerId));
  const place = await endpointPlace(store, owner, DEFAULT_ENDPOINT, { rawPath: rest.join("/"), ...raw });
  return { ...place, grammar: family, scope: `alias/${family}/${name}`, origins: [alias.origin] };
}

/** Without port and dot at the end, in lower case. */
const hostName = (host: string): string => host.toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");

function decodeSegment(segment = ""): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new DeliveryError("InvalidPath", "The path holds a % that encodes nothing.");
  }
}

function active(account: Account | undefined): Account {
  if (account === undefined) throw new DeliveryError("NotFound", "There is no such account.");
  if (account.status !== "active") throw new DeliveryError("AccessDenied", "The account is suspended.");
  return account;
}
