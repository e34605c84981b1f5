/** URLs of files as people write them: where they lead, and what is purged by them. */
import type { ObjectStore } from "../store/store.ts";
import { requestPurge, type Purge, type Scope } from "./cache/purge.ts";
import { DeliveryError } from "./errors.ts";
import { parse } from "./reading.ts";
import { locate, type Place } from "./site.ts";

/** Stands for the rest of a path while it is read. */
const REST = "x";

export interface LocatedUrl {
  /** As clients send it: what they percent-encode is. */
  readonly url: string;
  readonly place: Place;
}

/**
 * Where a URL leads, as it stands in a browser or its path alone.
 * @throws DeliveryError NotFound, AccessDenied, InvalidPath
 */
export async function locateUrl(store: ObjectStore, text: string): Promise<LocatedUrl> {
  const isPath = /^\/(?!\/)/.test(text);
  if ((!isPath && !/^https?:\/\//i.test(text)) || !URL.canParse(text, "http://localhost")) {
    throw new DeliveryError(
      "InvalidPath",
      `"${text}" is no URL of a file: it begins with https:// or http://, or is a path that begins with /.`,
    );
  }
  const { host, pathname: path, search, hash, origin } = new URL(text, "http://localhost");
  if (hash !== "") {
    throw new DeliveryError("InvalidPath", "What follows a # never reaches a server: leave it out.");
  }
  await store.refresh();
  const place = await locate(store, {
    host: isPath ? undefined : host,
    path,
    rawQuery: search.slice(1),
  });
  return { url: `${isPath ? "" : origin}${path}${search}`, place };
}

/**
 * What a URL names: its file with everything that was made of it, whatever transformation stands in the URL. With a `*`
 * at its end, all files whose paths begin so.
 * @throws DeliveryError NotFound, InvalidPath, InvalidParameter
 */
async function scopeOf(store: ObjectStore, { place }: LocatedUrl): Promise<Scope> {
  const { owner, origins, rawPath } = place;
  const many = rawPath.endsWith("*");
  const whole = { ...place, rawPath: many ? rawPath.slice(0, -1) + REST : rawPath };
  const { path } = await parse(store, whole);
  const origin = origins.length === 1 ? { origin: origins[0]! } : {};
  return { ownerId: owner.id, ...origin, ...(many ? { prefix: path.slice(0, -REST.length) } : { path }) };
}

/** Purges what a URL names; see `scopeOf`. In force when it returns. @throws DeliveryError */
export async function purgeUrl(store: ObjectStore, located: LocatedUrl): Promise<Purge> {
  return requestPurge(store, await scopeOf(store, located));
}
