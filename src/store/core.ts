/** What all of the store's parts work with: the two engines below, the clock, and the way to change things safely. */
import { randomBytes } from "node:crypto";
import { BlobBroken, BlobFull, type BlobStore } from "../blob/blob.ts";
import type { ChurnMap } from "../lib/churn.ts";
import type { HashPool } from "../lib/hashespool.ts";
import type { Logger } from "../lib/log.ts";
import { MetaError, type Check, type Commit, type Key, type Meta, type Write } from "../meta/meta.ts";
import { StoreError } from "./errors.ts";
import { KEYS, type Counter, type GarbageKind, type ReferenceOwner } from "./keys.ts";
import { encode } from "./records.ts";

export interface Core {
  readonly meta: Meta;
  readonly blobs: BlobStore;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  now(): number;
  /** Bodies up to this many bytes live beside the metadata. */
  readonly inlineBytes: number;
  /** How long removed blobs stay, so that readers finish. */
  readonly graceMs: number;
  readonly hashes: HashPool;
  /** Queues of mutations by key; see `mutate`. */
  readonly queues: ChurnMap<string, Promise<unknown>>;
  /** What the blobs' disk had left when it was last looked at. */
  readonly space: { freeBytes: number; lookedAt: number };
  /** Why blobs can't be written any more, once they can't. */
  blobFailure: string | undefined;
}

/** Failed checks on one key before the client is told to slow down (store rule 1.4). */
const ATTEMPTS_MAX = 16;

/** 20 URL-safe characters, 120 bits. */
export const randomId = (): string => randomBytes(15).toString("base64url");

/** Sorts by time and is never given twice: 12 hex digits of milliseconds, 20 random characters. */
export const timeId = (ms: number): string => ms.toString(16).padStart(12, "0") + randomId();
/** The milliseconds of a `timeId`; undefined when it is none. */
export function timeOfId(id: string): number | undefined {
  return /^[0-9a-f]{12}[\w-]{20}$/.test(id) ? Number.parseInt(id.slice(0, 12), 16) : undefined;
}

/** What the engines throw, as the store's own errors; anything else comes back as it is. */
export function toStoreError(error: unknown): unknown {
  if (error instanceof MetaError) {
    switch (error.kind) {
      case "overloaded":
        return new StoreError("SlowDown");
      case "full":
        return new StoreError("InsufficientStorage");
      case "readonly":
        return new StoreError("ServiceUnavailable", {}, "The store accepts no writes until it is restarted.");
      case "unknown":
        return error;
    }
  }
  if (error instanceof BlobFull) return new StoreError("InsufficientStorage");
  if (error instanceof BlobBroken) {
    return new StoreError("ServiceUnavailable", {}, "The store accepts no writes until it is restarted.");
  }
  return error;
}

export async function commit(core: Core, change: Commit): Promise<boolean> {
  try {
    return await core.meta.commit(change);
  } catch (error) {
    throw toStoreError(error);
  }
}

/** See Meta.newBodyId. @throws SlowDown, ServiceUnavailable, … while there is no writer */
export async function newBodyId(core: Core): Promise<number> {
  try {
    return await core.meta.newBodyId();
  } catch (error) {
    throw toStoreError(error);
  }
}

/** One commit in the making: checks, writes and counter differences gathered by several functions. */
export class Change {
  /** Set by what gives space back: it must go through when the disk is full (store rule 2.7). */
  reclaims = false;
  readonly checks: Check[] = [];
  readonly writes: Write[] = [];
  readonly #putBodies: { id: number; bytes: Buffer }[] = [];
  readonly #deleteBodies: number[] = [];
  readonly #counts: Record<Counter, number> = { objects: 0, bytes: 0, oldVersions: 0, oldBytes: 0 };
  readonly #bucketId: string;

  /** Every write into a bucket checks that it is still there (store rule 1.2). */
  constructor(bucketId: string) {
    this.#bucketId = bucketId;
    this.checks.push({ key: KEYS.bucketId(bucketId), present: true });
  }

  /** The key must still hold what was read; undefined: nothing. */
  expect(key: Key, value: Buffer | undefined): void {
    this.checks.push(value === undefined ? { key, absent: true } : { key, value });
  }
  put(key: Key, value: object | Buffer): void {
    this.writes.push({ key, value: Buffer.isBuffer(value) ? value : encode(value) });
  }
  delete(key: Key): void {
    this.writes.push({ key, delete: true });
  }
  count(counter: Counter, difference: number): void {
    this.#counts[counter] += difference;
  }
  putBody(id: number, bytes: Buffer): void {
    this.#putBodies.push({ id, bytes });
  }
  deleteBody(id: number): void {
    this.#deleteBodies.push(id);
  }
  refer(id: string, owner: ReferenceOwner): void {
    this.put(KEYS.reference(id, owner), NOTHING);
  }
  /** Takes a reference away and lets the sweeper look at what it referred to after `dueMs`. */
  release(id: string, owner: ReferenceOwner, kind: GarbageKind, dueMs: number): void {
    this.delete(KEYS.reference(id, owner));
    this.put(KEYS.garbage(dueMs, kind, id), NOTHING);
  }

  toCommit(): Commit {
    const writes = [...this.writes];
    for (const counter of COUNTERS) {
      const add = this.#counts[counter];
      if (add !== 0) writes.push({ key: KEYS.count(this.#bucketId, counter), add });
    }
    const hasBodies = this.#putBodies.length > 0 || this.#deleteBodies.length > 0;
    return {
      checks: this.checks,
      writes,
      ...(this.reclaims ? { reclaims: true } : {}),
      ...(hasBodies ? { bodies: { put: this.#putBodies, delete: this.#deleteBodies } } : {}),
    };
  }
}
export const NOTHING: Buffer = Buffer.alloc(0);
const COUNTERS = ["objects", "bytes", "oldVersions", "oldBytes"] as const satisfies Counter[];

/** What an attempt wants done, or (without a change) only said. */
export interface Attempt<T> {
  change?: Change;
  result: T;
}

/**
 * Reads, decides and commits until no other writer came between. Mutations of one key queue within the process, so
 * that they don't make each other fail. `attempt` is told whether somebody else was at the key at the same time.
 * @throws NoSuchBucket when the bucket went away, SlowDown after 16 lost races
 */
export async function mutate<T>(
  core: Core,
  bucketId: string,
  key: string,
  attempt: (contended: boolean) => Promise<Attempt<T>>,
): Promise<T> {
  const name = `${bucketId}/${key}`;
  const before = core.queues.get(name);
  const work = (async () => {
    if (before !== undefined) await before.catch(() => undefined);
    for (let n = 0; n < ATTEMPTS_MAX; n++) {
      const { change, result } = await attempt(before !== undefined || n > 0);
      if (change === undefined || (await commit(core, change.toCommit()))) return result;
      if ((await core.meta.get(KEYS.bucketId(bucketId))) === undefined) throw new StoreError("NoSuchBucket");
    }
    throw new StoreError("SlowDown");
  })();
  core.queues.set(name, work);
  try {
    return await work;
  } finally {
    if (core.queues.get(name) === work) core.queues.delete(name);
  }
}
