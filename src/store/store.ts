/**
 * THE object store: the only place where metadata and blobs meet. Read docs/DATA.md before changing what is stored.
 *
 * All methods are atomic and durable when they resolve, throw `StoreError` for what the caller did wrong, and
 * are safe to call concurrently, in one process or several.
 */
import type { BlobStore, FileRange } from "../blob/blob.ts";
import type { ChecksumAlgorithm } from "../lib/hashes.ts";
import { ChurnMap } from "../lib/churn.ts";
import { createHashPool } from "../lib/hashespool.ts";
import type { Logger } from "../lib/log.ts";
import type { Meta } from "../meta/meta.ts";
import { AccountStore, createSettings } from "./accounts.ts";
import {
  createBucket,
  deleteBucket,
  getBucket,
  listBuckets,
  updateBucket,
  usage,
  type BucketChange,
} from "./buckets.ts";
import { createCache } from "./cache.ts";
import { checkStore, type CheckReport } from "./check.ts";
import { commit, type Core } from "./core.ts";
import { registerIncarnation } from "./incarnation.ts";
import { KEYS } from "./keys.ts";
import { listObjects, listUploads, listVersions } from "./listing.ts";
import {
  abortUpload,
  completeUpload,
  copyPart,
  createUpload,
  getUpload,
  listParts,
  putPart,
} from "./multipart.ts";
import { copyObject, deleteObject, files, getObject, putObject, read, updateObject } from "./objects.ts";
import { decode, encode, FORMAT } from "./records.ts";
import { openSecrets } from "./secrets.ts";
import { receive } from "./staging.ts";
import { createSweeper } from "./sweep.ts";
import type {
  AccessKey,
  Account,
  Acl,
  Bucket,
  BucketUsage,
  Credential,
  DeleteResult,
  ListPage,
  ListQuery,
  ObjectVersion,
  Part,
  PutInput,
  Staged,
  Tags,
  Upload,
  UploadsPage,
  VersionsPage,
  WriteConditions,
} from "./types.ts";

export interface ObjectStore {
  /**
   * Once at the start of each request: drops cached records when any account, key, setting, bucket setting or bucket's ACL
   * changed. Resolves to the number of such changes so far.
   */
  refresh(): Promise<number>;

  readonly accounts: Accounts;
  readonly settings: Settings;

  // ---- buckets
  /** @throws BucketAlreadyExists, BucketAlreadyOwnedByYou, TooManyBuckets */
  createBucket(input: {
    name: string;
    ownerId: string;
    location: string;
    acl: Acl;
    maxBuckets: number;
  }): Promise<Bucket>;
  /** From the cache that `refresh` keeps honest. */
  bucket(name: string): Promise<Bucket | undefined>;
  /** By name in byte order, of one owner. `after`: names greater than this. */
  listBuckets(
    ownerId: string,
    query: { prefix: string; after: string; max: number },
  ): Promise<{ buckets: Bucket[]; truncated: boolean }>;
  /** @throws NoSuchBucket, BucketNotEmpty */
  deleteBucket(bucket: Bucket): Promise<void>;
  /** Read-modify-write of the settings record; retried when raced. @throws NoSuchBucket */
  updateBucket(bucket: Bucket, change: BucketChange): Promise<Bucket>;
  usage(bucket: Bucket): Promise<BucketUsage>;

  // ---- objects
  /**
   * Reads a body to its end onto stable storage (small ones stay in memory until the commit), hashing as it goes.
   * `size`, when known, chooses the way; the source decides the length. @throws EntityTooLarge beyond `maxSize`,
   * SlowDown, InsufficientStorage; errors of the source pass through and leave nothing behind. The store keeps the
   * chunks: a source that reuses their memory (`read`) must copy them.
   */
  receive(
    source: AsyncIterable<Buffer>,
    options: { size?: number; maxSize: number; checksums: ChecksumAlgorithm[] },
  ): Promise<Staged>;
  /** @throws NoSuchBucket, NoSuchKey / PreconditionFailed / ConditionalRequestConflict by `conditions` */
  putObject(bucket: Bucket, input: PutInput, staged: Staged): Promise<ObjectVersion>;
  /**
   * A version, the current one without `versionId`. A delete marker is returned as such. Undefined: no such key.
   * With `withBody`, a small body comes along from the same snapshot.
   * @throws NoSuchVersion for a well-formed unknown version id, InvalidArgument for a malformed one
   */
  getObject(
    bucket: Bucket,
    key: string,
    options?: { versionId?: string; withBody?: boolean },
  ): Promise<{ version: ObjectVersion; body?: Buffer } | undefined>;
  /** Bytes start (inclusive) to end (exclusive); a chunk is valid until the next is asked for (see BlobReader). */
  read(version: ObjectVersion, start: number, end: number): AsyncIterable<Buffer>;
  /**
   * The files of this machine that hold the bytes of a version, in order, for other processes to read: they may be gone
   * when they try. Undefined where there are none.
   */
  files(version: ObjectVersion): Promise<readonly FileRange[] | undefined>;
  /** Without `versionId`: by the bucket's versioning, removes, or adds a delete marker. Missing keys succeed. */
  deleteObject(
    bucket: Bucket,
    key: string,
    options?: { versionId?: string; ownerId?: string; conditions?: WriteConditions },
  ): Promise<DeleteResult>;
  /** Shares blobs, copies inline bodies; `input.checksum` is kept from the source by the caller. */
  copyObject(source: ObjectVersion, bucket: Bucket, input: PutInput): Promise<ObjectVersion>;
  /** @throws NoSuchKey, NoSuchVersion, MethodNotAllowed on a delete marker */
  updateObject(
    bucket: Bucket,
    key: string,
    versionId: string | undefined,
    change: { acl?: Acl; tags?: Tags },
  ): Promise<ObjectVersion>;

  listObjects(bucket: Bucket, query: ListQuery): Promise<ListPage>;
  /** `afterVersionId` only with `after`: versions of that key older than this one, then later keys. */
  listVersions(bucket: Bucket, query: ListQuery & { afterVersionId: string }): Promise<VersionsPage>;

  // ---- multipart
  createUpload(
    bucket: Bucket,
    input: PutInput,
    options: {
      initiatorId: string;
      checksumAlgorithm?: ChecksumAlgorithm;
      checksumType?: "COMPOSITE" | "FULL_OBJECT";
    },
  ): Promise<Upload>;
  /** @throws NoSuchUpload (also when it belongs to another key) */
  upload(bucket: Bucket, key: string, uploadId: string): Promise<Upload>;
  /** `staged.checksums` holds the upload's algorithm. Replaces an earlier part of that number. @throws NoSuchUpload */
  putPart(upload: Upload, partNumber: number, staged: Staged): Promise<Part>;
  /** A range of a version as a part, without copying bytes where that is possible (and MD5 is known), else copied. @throws NoSuchUpload */
  copyPart(
    upload: Upload,
    partNumber: number,
    source: ObjectVersion,
    start: number,
    end: number,
  ): Promise<Part>;
  /** Part numbers greater than `after`, ascending. */
  listParts(
    upload: Upload,
    query: { after: number; max: number },
  ): Promise<{ parts: Part[]; truncated: boolean }>;
  /**
   * Moves no bytes. Repeating a completed call gives the same version again. @throws NoSuchUpload, InvalidPart,
   * InvalidPartOrder, EntityTooSmall, PreconditionFailed, InvalidRequest
   */
  completeUpload(
    bucket: Bucket,
    key: string,
    uploadId: string,
    parts: { partNumber: number; etag: string; checksum?: string }[],
    options?: { conditions?: WriteConditions; checksum?: string; expectedSize?: number },
  ): Promise<ObjectVersion>;
  /** @throws NoSuchUpload */
  abortUpload(bucket: Bucket, key: string, uploadId: string): Promise<void>;
  listUploads(
    bucket: Bucket,
    query: { prefix: string; delimiter: string; afterKey: string; afterUploadId: string; max: number },
  ): Promise<UploadsPage>;

  // ---- upkeep
  /** Undefined while writes are possible, else why not. */
  health(): string | undefined;
  /** Removes garbage that is older than the grace period: queued blobs, dead incarnations' leftovers. One bounded pass. */
  sweep(): Promise<{ removed: number }>;
  /** Holds every record against the bytes it names; works beside a running server. */
  check(): Promise<CheckReport>;
  close(): Promise<void>;
}

/** Accounts and their access keys. Changes are in force on every worker with the next request. */
export interface Accounts {
  /** @throws InvalidArgument: name taken or malformed (1–64 of [A-Za-z0-9._-]; not image, video, file), id taken or not 64 hex, key taken */
  create(input: {
    name: string;
    email?: string;
    id?: string;
    accessKeyId?: string;
    secretAccessKey?: string;
  }): Promise<{ account: Account; key: Credential }>;
  byName(name: string): Promise<Account | undefined>;
  byId(id: string): Promise<Account | undefined>;
  byEmail(email: string): Promise<Account[]>;
  list(): Promise<Account[]>;
  update(
    id: string,
    change: { email?: string; status?: "active" | "suspended"; name?: string },
  ): Promise<Account>;
  /** With its keys and its documents in the settings. @throws BucketNotEmpty while it owns buckets; root is never deleted: InvalidRequest */
  delete(id: string): Promise<void>;
  createKey(accountId: string, pair?: { accessKeyId: string; secretAccessKey: string }): Promise<Credential>;
  keys(accountId: string): Promise<AccessKey[]>;
  setKeyEnabled(accessKeyId: string, enabled: boolean): Promise<void>;
  deleteKey(accessKeyId: string): Promise<void>;
  /** For signatures; cached (see refresh). Disabled keys and suspended accounts are returned as such. */
  credential(accessKeyId: string): Promise<Credential | undefined>;
}

/**
 * Small named JSON documents (origins, URL-endpoints, aliases …) of modules above; a change moves `epoch`. One is an
 * account's when its name begins with the account's id and a slash, or its `ownerId` is that id; it goes with the account.
 */
export interface SettingChange {
  kind: string;
  name: string;
  value: unknown;
  ifAbsent?: boolean;
  /** As `get` or `list` gave it. */
  was?: unknown;
}

export interface Settings {
  get<T>(kind: string, name: string): Promise<T | undefined>;
  list<T>(kind: string): Promise<{ name: string; value: T }[]>;
  /** As `list`, from the cache that `refresh` keeps honest: the same array while nothing changes. */
  all<T>(kind: string): Promise<readonly { name: string; value: T }[]>;
  /**
   * All or nothing; `value: undefined` deletes. The whole change fails (false) when a document exists that has
   * `ifAbsent`, or is no longer what `was` says that it read, or when its name begins with the id of an account that is gone.
   */
  change(changes: SettingChange[]): Promise<boolean>;
  /** For secrets within documents. `context` says whose it is; what was sealed for another does not open. */
  seal(secret: string, context: string): string;
  /** @throws Error when the key file is another one, or the text was changed */
  unseal(sealed: string, context: string): string;
  /** A secret of its own for each purpose, the same on every node and at every start: 64 hex digits. */
  derive(purpose: string): string;
}

export interface StoreOptions {
  meta: Meta;
  blobs: BlobStore;
  log: Logger;
  /** Path of the file that secrets are sealed with. */
  keyFile: string;
  /** Bodies up to this many bytes live beside the metadata; 32 KiB when left out. */
  inlineBytes?: number;
  /** How long removed blobs stay for their readers; one hour when left out. */
  graceMs?: number;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** The command line only reads and changes records: it registers no incarnation and can't receive bodies. */
  readOnlyBlobs?: boolean;
}

/**
 * Opens the store over its two engines; `close` closes them too.
 * @throws Error when the data is of a later format, or the key file is missing or another one's
 */
export async function openStore(options: StoreOptions): Promise<ObjectStore> {
  const core: Core = {
    meta: options.meta,
    blobs: options.blobs,
    log: options.log,
    now: options.now ?? Date.now,
    inlineBytes: options.inlineBytes ?? 32 * 1024,
    graceMs: options.graceMs ?? 60 * 60 * 1000,
    hashes: createHashPool(),
    queues: new ChurnMap(),
    space: { freeBytes: Number.POSITIVE_INFINITY, lookedAt: Number.NEGATIVE_INFINITY },
    blobFailure: undefined,
  };
  await openFormat(core);
  const secrets = await openSecrets(options.keyFile);
  const incarnation = options.readOnlyBlobs === true ? undefined : await registerIncarnation(core);
  const cache = createCache(core);
  const sweeper = createSweeper(core);
  return {
    refresh: () => cache.refresh(),
    accounts: new AccountStore(core, cache, secrets),
    settings: createSettings(core, cache, secrets),
    createBucket: (input) => createBucket(core, input),
    bucket: (name) => getBucket(core, cache, name),
    listBuckets: (ownerId, query) => listBuckets(core, ownerId, query),
    deleteBucket: (bucket) => deleteBucket(core, bucket),
    updateBucket: (bucket, change) => updateBucket(core, bucket, change),
    usage: (bucket) => usage(core, bucket),
    receive: (source, how) => receive(core, source, how),
    putObject: (bucket, input, staged) => putObject(core, bucket, input, staged),
    getObject: (bucket, key, which) => getObject(core, bucket, key, which),
    read: (version, start, end) => read(core, version, start, end),
    files: (version) => files(core, version),
    deleteObject: (bucket, key, how) => deleteObject(core, bucket, key, how),
    copyObject: (source, bucket, input) => copyObject(core, source, bucket, input),
    updateObject: (bucket, key, versionId, change) => updateObject(core, bucket, key, versionId, change),
    listObjects: (bucket, query) => listObjects(core, bucket, query),
    listVersions: (bucket, query) => listVersions(core, bucket, query),
    createUpload: (bucket, input, how) => createUpload(core, bucket, input, how),
    upload: (bucket, key, uploadId) => getUpload(core, bucket.id, key, uploadId),
    putPart: (upload, partNumber, staged) => putPart(core, upload, partNumber, staged),
    copyPart: (upload, partNumber, source, start, end) =>
      copyPart(core, upload, partNumber, source, start, end),
    listParts: (upload, query) => listParts(core, upload, query),
    completeUpload: (bucket, key, uploadId, parts, how) =>
      completeUpload(core, bucket, key, uploadId, parts, how),
    abortUpload: (bucket, key, uploadId) => abortUpload(core, bucket, key, uploadId),
    listUploads: (bucket, query) => listUploads(core, bucket, query),
    health: () => core.meta.health() ?? core.blobFailure ?? incarnation?.ended(),
    sweep: () => sweeper.sweep(),
    check: () => checkStore(core),
    async close() {
      await incarnation?.close();
      await core.hashes.close();
      await core.blobs.close();
      await core.meta.close();
    },
  };
}

/** Writes the format's version into new data, and refuses that of a later program. */
async function openFormat(core: Core): Promise<void> {
  const key = KEYS.format();
  const checks = [{ key, absent: true as const }];
  const value = await core.meta.get(key);
  if (
    value === undefined &&
    (await commit(core, { checks, writes: [{ key, value: encode({ version: FORMAT }) }] }))
  )
    return;
  const { version } = decode<{ version: number }>(value ?? (await core.meta.get(key))!);
  if (version > FORMAT) {
    throw new Error(
      `The data has format ${version}, this program knows formats up to ${FORMAT}: use a newer one`,
    );
  }
}
