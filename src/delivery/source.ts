/** From a path to the file behind it, by way of a place's origins. */
import { decide } from "../access/access.ts";
import type { FileRange } from "../blob/blob.ts";
import { once } from "../lib/chunks.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Account, Bucket, ObjectVersion } from "../store/types.ts";
import type { Epochs } from "./cache/purge.ts";
import { DeliveryError } from "./errors.ts";
import type { ForeignFiles } from "./foreign.ts";
import { PATH_BYTES_MAX } from "./limits.ts";
import { encodedPath, markedIn, OutsideOrigin, type FileInfo } from "./origins/client.ts";
import type { OriginDocument } from "./origins/documents.ts";
import type { ForeignDocument } from "./origins/open.ts";
import { canonicalLink, type OriginClients } from "./origins/origins.ts";
import type { Place } from "./site.ts";

/** The file that a request is about. */
export interface Source {
  /** `account/origin`, for the log. */
  readonly origin: string;
  /** `owner id/origin`, for purges. */
  readonly originId: string;
  readonly path: string;
  readonly info: FileInfo;
  /** Names this version of this file; changes with every purge of it. */
  readonly identity: string;
  /** When a foreign origin last confirmed it, milliseconds since 1970; undefined for our own buckets. */
  readonly checkedAt: number | undefined;
  /** The origin can't be asked now. */
  readonly stale: boolean;
  /** Of a foreign origin: whether a copy is served that was kept before, and how long it took to know, in milliseconds. */
  readonly found?: { readonly hit: boolean; readonly ms: number };
  /** Value of a Link header. */
  readonly link: string | undefined;
  /** It stands in for a file that is missing. */
  readonly standsIn?: true;
  read(start: number, end: number): AsyncIterable<Buffer>;
  /** The files of this machine that hold it, in order; they may be gone when they are read. */
  files(): Promise<readonly FileRange[] | undefined>;
}

export interface SourceContext {
  readonly store: ObjectStore;
  readonly clients: OriginClients;
  readonly foreign: ForeignFiles;
  readonly epochs: Epochs;
}

/** What is looked for. */
export interface Wanted {
  readonly path: string;
  /** As in Asked; what web servers are asked for. */
  readonly urlPath: string;
  /** Of the client's URL without our parameters; web servers get it. */
  readonly query: string;
}

/** What no URL names, but a plan or a setting. */
export const wantedAt = (path: string): Wanted => ({ path, urlPath: encodedPath(path), query: "" });

/**
 * The first origin's file of that name. Only what an origin doesn't have is looked for in the next.
 * @throws DeliveryError NotFound, AccessDenied, and those of OriginClient; OutsideOrigin where no other origin
 * could have it
 */
export async function openSource(
  context: SourceContext,
  { owner, origins, rules, host, ours }: Pick<Place, "owner" | "origins" | "rules" | "host" | "ours">,
  wanted: Wanted,
): Promise<Source> {
  const started = performance.now();
  // Only URLs are that long.
  const isTooLong = Buffer.byteLength(wanted.path) > PATH_BYTES_MAX;
  let listable = true;
  let looked = false;
  let outside: OutsideOrigin | undefined;
  for (const name of origins) {
    const document = await context.store.settings.get<OriginDocument>("origin", `${owner.id}/${name}`);
    if (document === undefined) continue;
    if (isTooLong && document.type !== "web-proxy") {
      looked = true;
      continue;
    }
    const named = { owner, name };
    try {
      if (ours && document.type !== "bucket") context.clients.refuseLoop(titleOf(named));
      const found =
        document.type === "bucket"
          ? await ownFile(context, named, document, wanted)
          : await foreignFile(context, named, document, {
              ...wanted,
              host,
              seconds: rules.cacheSeconds,
              started,
            });
      if (found === "hidden") listable = false;
      else if (found !== undefined) return found;
      looked = true;
    } catch (error) {
      if (error instanceof OutsideOrigin) outside ??= error;
      else {
        if (error instanceof DeliveryError) error.origin = titleOf(named);
        throw error;
      }
    }
  }
  // As in S3: who may not list a bucket does not learn which keys it has.
  if (!listable) throw new DeliveryError("AccessDenied", "The origin's owner may not read this object.");
  throw (looked ? undefined : outside) ?? new DeliveryError("NotFound", "No origin has this file.");
}

/** Whether an error of openSource says that no origin has the file. */
export const isMissing = (error: unknown): boolean =>
  error instanceof OutsideOrigin || (error instanceof DeliveryError && error.code === "NotFound");

interface Named {
  readonly owner: Account;
  readonly name: string;
}

const titleOf = ({ owner, name }: Named): string => `${owner.name}/${name}`;

const mayRead = (owner: Account, { ownerId, acl }: Pick<Bucket, "ownerId" | "acl">): boolean =>
  decide({ account: owner, ownerId, acl, permission: "READ" });

/**
 * `hidden`: not there or not to be read, and the owner may not know which. The origins' owner must be allowed to read
 * the object now, whatever was allowed when the origin was made. @throws DeliveryError AccessDenied
 */
async function ownFile(
  { store, epochs }: SourceContext,
  { owner, name }: Named,
  document: OriginDocument & { type: "bucket" },
  { path }: Wanted,
): Promise<Source | "hidden" | undefined> {
  const bucket = await store.bucket(document.bucket);
  if (bucket === undefined) return undefined;
  const found = await store.getObject(bucket, document.folder + path, { withBody: true });
  if (found === undefined || found.version.deleteMarker) return mayRead(owner, bucket) ? undefined : "hidden";
  const { version, body } = found;
  if (!mayRead(owner, version)) {
    // As what isn't there, to who may not know.
    if (!mayRead(owner, bucket)) return "hidden";
    throw new DeliveryError("AccessDenied", "The origin's owner may not read this object.");
  }
  const originId = `${owner.id}/${name}`;
  return {
    origin: titleOf({ owner, name }),
    originId,
    path,
    info: infoOf(version),
    identity: identityOf(version, epochs.of(originId, path)),
    checkedAt: undefined,
    stale: false,
    link: document.canonicalBase === undefined ? undefined : canonicalLink(document, encodedPath(path)),
    read: (start, end) =>
      body === undefined ? store.read(version, start, end) : once(body.subarray(start, end)),
    files: async () => (body === undefined ? store.files(version) : undefined),
  };
}

function infoOf({ etag, lastModified, size, meta }: ObjectVersion): FileInfo {
  const { contentType, contentEncoding, contentLanguage, contentDisposition, cacheControl, user } = meta;
  return {
    etag,
    lastModified,
    size,
    contentType,
    contentEncoding,
    contentLanguage,
    contentDisposition,
    cacheControl,
    ...markedIn(user),
  };
}

function identityOf(
  { bucketId, key, versionId, etag, size, lastModified }: ObjectVersion,
  epoch: string,
): string {
  return JSON.stringify([bucketId, key, versionId, etag, size, lastModified, epoch]);
}

interface Asked extends Wanted {
  readonly host: string | undefined;
  /** For which the endpoint lets files be kept. */
  readonly seconds: number | undefined;
  /** When the first origin was asked, by `performance.now()`. */
  readonly started: number;
}

async function foreignFile(
  { store, clients, foreign, epochs }: SourceContext,
  { owner, name }: Named,
  document: ForeignDocument,
  { path, urlPath, query, host, seconds, started }: Asked,
): Promise<Source | undefined> {
  const originId = `${owner.id}/${name}`;
  const title = titleOf({ owner, name });
  const isWeb = document.type === "web";
  const file = await foreign.open({
    client: clients.get(store, { ownerId: owner.id, name, value: document }, title),
    origin: `${originId}/${document.createdAt}/${document.updatedAt ?? ""}`,
    originId,
    path,
    name: isWeb ? urlPath : path,
    query: isWeb || document.type === "web-proxy" ? query : "",
    host: isWeb && document.forwardHost === true ? host : undefined,
    epoch: epochs.of(originId, path),
    lifetimeMs: seconds === undefined ? undefined : seconds * 1000,
  });
  if (file === undefined) return undefined;
  const link = canonicalLink(document, isWeb ? urlPath : encodedPath(path));
  const { hit, ...rest } = file;
  return { origin: title, originId, path, link, found: { hit, ms: performance.now() - started }, ...rest };
}
