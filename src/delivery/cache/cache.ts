/**
 * Made pictures, pieces of films and fetched files on disk, least recently used ones removed first. Keys tell source
 * version, plan and format, so an entry is never wrong, only unused. Several processes share a folder: entries appear by
 * rename, and whoever removes one that another is reading leaves the reader its open file.
 */
import { randomBytes } from "node:crypto";
import { constants, existsSync, statSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BlobMissing } from "../../blob/blob.ts";
import { ReadBuffers } from "../../blob/buffers.ts";
import { errorCode, localDisk } from "../../blob/disk.ts";
import { readFile } from "../../blob/filereader.ts";
import { breaths } from "../../lib/breaths.ts";
import { isRecent } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { Lru } from "../../lib/lru.ts";
import { once } from "../../lib/chunks.ts";
import { SingleFlight } from "../../lib/singleflight.ts";
import { claim, isLost, type Claim } from "../claims.ts";
import { DeliveryError, notNow, type DeliveryErrorCode } from "../errors.ts";
import { endOf, readEnd, WHOLE_BYTES_MAX, type Draft, type Facts, type Provenance } from "./entries.ts";

export type { Draft, Facts } from "./entries.ts";

export interface CacheOptions {
  readonly folder: string;
  /** Budget on disk. A process that shares the folder with others may overshoot it by `SCAN_SHARE`. */
  readonly maxBytes: number;
  /** Budget in this process's memory, for what is asked for all the time. */
  readonly memoryBytes: number;
  readonly log: Logger;
}

export interface Entry {
  readonly facts: Facts;
  readonly size: number;
  /** When it is small enough to be in memory whole. */
  readonly data: Buffer | undefined;
  /** The file whose first `size` bytes are the content. It may make room at any time. Undefined: it was not kept. */
  readonly path: string | undefined;
  /** Bytes `start` (inclusive) to `end` (exclusive). A chunk is valid until the next is asked for. */
  read(start: number, end: number): AsyncIterable<Buffer>;
}

/** What a maker hands over: bytes, a finished file in `draftFolder()`, which is moved, or what it kept itself. */
export type Made = { readonly facts: Facts } & (
  | { readonly data: Buffer }
  | { readonly file: string }
  | { readonly kept: Kept; readonly data?: Buffer }
);
/** What became of a draft. */
export interface Kept {
  /** Of the content. */
  readonly size: number;
  /** Of the whole file. */
  readonly bytes: number;
}

/**
 * After writing this share of the budget a process counts the folder again, because others write to it too; or later, while
 * half of what is free is still free at the pace at which the folder grew.
 */
const SCAN_SHARE = 1 / 16;
/** How many others may write as much as this process, as long as nothing is known of them. */
const UNKNOWN_PACE = 16;
/** How long a count may hold this thread, in milliseconds. */
const SCAN_MS = 1;
/** A sweep goes down to this share of the budget, so that the next one is some time away. */
const SWEEP_SHARE = 0.9;
/**
 * What file systems give a file at least, and in steps of. A budget of bytes alone would let millions of entries of a few
 * hundred bytes fill the disk and its table of files.
 */
const BLOCK_BYTES = 4096;
/** How often an entry that is served from memory is marked as used on disk, in milliseconds. */
const TOUCH_MS = 10 * 60_000;
/** Age at which a half-written file is one that a dead process left, in milliseconds. */
const STALE_MS = 3_600_000;
/** Entries in memory at most; their number costs memory too. */
const MEMORY_ENTRIES_MAX = 4096;
/** Of all caches of a process: for reading large entries. */
const BUFFERS = new ReadBuffers();

interface Hot {
  readonly entry: Entry & { readonly data: Buffer };
  touchedAt: number;
}

export class DerivedCache {
  readonly #options: CacheOptions;
  readonly #memory: Lru<string, Hot>;
  readonly #flights = new SingleFlight<{ entry: Entry; hit: boolean }>();
  /** Space that the folder takes as last counted and since written; undefined before the first count. */
  #total: number | undefined;
  #writtenSinceScan = 0;
  /** Bytes that this process may write before it counts again. */
  #allowance = 0;
  #sweeping: Promise<void> | undefined;
  #hits = 0;
  #misses = 0;

  constructor(options: CacheOptions) {
    this.#options = options;
    this.#memory = new Lru({
      maxEntries: MEMORY_ENTRIES_MAX,
      maxBytes: options.memoryBytes,
      sizeOf: ({ entry }) => entry.data.length,
    });
  }

  /**
   * How often `produce` and `find` found what they were asked for, and how often it was made; the space that the folder
   * takes, as far as this process knows.
   */
  get counts(): { readonly hits: number; readonly misses: number; readonly bytes: number | undefined } {
    return { hits: this.#hits, misses: this.#misses, bytes: this.#total };
  }

  /** Keys are hexadecimal. A damaged entry is removed and counts as absent. */
  async get(key: string): Promise<Entry | undefined> {
    const hot = this.#hot(key);
    if (hot !== undefined) return hot;
    const path = this.#path(key);
    // In this thread, as reading files are opened: it takes a microsecond, an error of `open` ten.
    if (!existsSync(path)) return undefined;
    let entry: Entry | "damaged" | undefined;
    try {
      entry = await readEntry(path);
    } catch {
      return undefined;
    }
    if (entry === "damaged") {
      this.#options.log.warn({ path }, "a damaged entry of the derived cache is removed");
      await rm(path, { force: true });
      return undefined;
    }
    this.#remember(key, entry);
    await touch(path);
    return entry;
  }

  /** As `get`, of what is written anew under the same key: as the disk has it, whichever process wrote it. */
  async latest(key: string): Promise<Entry | undefined> {
    this.#memory.delete(key);
    return this.get(key);
  }

  /** As `find`, of what is in this process's memory. */
  ready(key: string): Entry | undefined {
    const hot = this.#hot(key);
    if (hot !== undefined) this.#hits++;
    return hot;
  }

  /** As `get`, for what `produce` is not asked for before it is clear that it has to be made. */
  async find(key: string): Promise<Entry | undefined> {
    const found = await this.get(key);
    if (found !== undefined) this.#hits++;
    return found;
  }

  /**
   * The entry, or what `make` makes now: once for all callers, in this process and in all that share the folder. It may
   * keep what it makes itself, in `draft`, which is there if the disk takes files. A failure goes to those who wait in this
   * process; of the others, those who wait learn of it where they would meet it too, and after as long.
   */
  async produce(
    key: string,
    make: (draft: Draft | undefined) => Promise<Made>,
  ): Promise<{ entry: Entry; hit: boolean }> {
    const produced = await this.#produce(key, make);
    if (produced.hit) this.#hits++;
    else this.#misses++;
    return produced;
  }

  async #produce(
    key: string,
    make: (draft: Draft | undefined) => Promise<Made>,
  ): Promise<{ entry: Entry; hit: boolean }> {
    const hot = this.#hot(key);
    if (hot !== undefined) return { entry: hot, hit: true };
    const joins = this.#flights.has(key);
    const { entry, hit } = await this.#flights.run(key, async () => {
      const found = await this.get(key);
      if (found !== undefined) return { entry: found, hit: true };
      // On a disk that takes no file each process works for itself.
      const path = `${this.#options.folder}/tmp/${key.slice(0, 40)}.claim`;
      await using mine = await claim(path).catch((error: unknown) => {
        if (error instanceof DeliveryError) throw error;
        return undefined;
      });
      // Somebody else may have made it while we waited, or between our look and our claim.
      const made = await this.get(key);
      if (made !== undefined) return { entry: made, hit: true };
      try {
        return { entry: await this.#keep(key, await make(this.#draft(key, mine)), mine), hit: false };
      } catch (error) {
        if (isCommon(error)) mine?.failed(error);
        throw error;
      }
    });
    return { entry, hit: hit || joins };
  }

  /** Never fails: what can't be kept is only slower the next time. */
  async put(key: string, facts: Facts, data: Buffer): Promise<void> {
    await this.#keep(key, { facts, data });
  }

  #draft(key: string, mine: Claim | undefined): Draft | undefined {
    if (mine === undefined) return undefined;
    return { path: mine.path, entry: this.#path(key), bytesMax: this.#options.maxBytes };
  }

  async #keep(key: string, made: Made, mine?: Claim): Promise<Entry> {
    const { facts } = made;
    if ("file" in made) return this.#keepFile(key, facts, made.file);
    const path = this.#path(key);
    if ("kept" in made) {
      const { kept, data } = made;
      mine?.moved();
      this.#written(kept.bytes);
      return data === undefined ? fileEntry(facts, kept.size, path) : entryOf(facts, data, path);
    }
    if (await this.#keepData(path, facts, made.data, mine)) return entryOf(facts, made.data, path);
    const entry = entryOf(facts, made.data, undefined);
    this.#remember(key, entry);
    return entry;
  }

  /** Whether it is kept. Never fails: what can't be kept is only slower the next time. */
  async #keepData(path: string, facts: Facts, data: Buffer, mine: Claim | undefined): Promise<boolean> {
    const { folder, maxBytes, log } = this.#options;
    try {
      const end = endOf(facts, data.length, data);
      const bytes = data.length + end.length;
      if (bytes > maxBytes) return false;
      const name = `${process.pid}-${randomBytes(8).toString("hex")}`;
      await using own = mine === undefined ? await claim(join(folder, "tmp", name)) : undefined;
      const draft = mine ?? own!;
      await writeAll(draft.fd, [data, end], 0);
      if (isLost(draft)) throw new Error("the claim was lost");
      await moveTo(draft.path, path);
      draft.moved();
      this.#written(bytes);
      return true;
    } catch (error) {
      log.warn({ err: error, path }, "a made picture could not be cached");
      return false;
    }
  }

  async #keepFile(key: string, facts: Facts, file: string): Promise<Entry> {
    const path = this.#path(key);
    const { size } = await stat(file);
    const end = endOf(facts, size, undefined);
    const fd = await localDisk.open(file, constants.O_WRONLY);
    try {
      await writeAll(fd, [end], size);
    } finally {
      await localDisk.close(fd);
    }
    await moveTo(file, path);
    this.#written(size + end.length);
    const entry = await readEntry(path);
    if (entry === "damaged") throw new Error(`The entry ${path} can't be read back`);
    return entry;
  }

  /** From this process's memory. On disk it must not look unused meanwhile. */
  #hot(key: string): Entry | undefined {
    const hot = this.#memory.get(key);
    if (hot !== undefined && !isRecent(hot.touchedAt, TOUCH_MS)) {
      hot.touchedAt = Date.now();
      void touch(this.#path(key));
    }
    return hot?.entry;
  }

  /**
   * What is asked for again, and what no disk takes. All that is made would push that out, and memory that lives on is dear
   * to collect.
   */
  #remember(key: string, entry: Entry): void {
    if (entry.data === undefined) return;
    this.#memory.set(key, { entry: entry as Hot["entry"], touchedAt: Date.now() });
  }

  #written(bytes: number): void {
    const { maxBytes } = this.#options;
    const space = spaceOf(bytes);
    this.#writtenSinceScan += space;
    if (this.#total !== undefined) this.#total += space;
    const due =
      this.#total === undefined || this.#total > maxBytes || this.#writtenSinceScan > this.#allowance;
    if (due) this.#sweeping ??= this.#sweep().finally(() => (this.#sweeping = undefined));
  }

  /** For files that are to become entries: on the same file system. */
  async draftFolder(): Promise<string> {
    const folder = join(this.#options.folder, "tmp");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return folder;
  }

  /** Removes what `match` says, from disk and from this process's memory; returns how many entries went. */
  async remove(match: (facts: Provenance, createdAt: number) => boolean): Promise<number> {
    this.#memory.clear();
    let removed = 0;
    for (const { path } of await listEntries(this.#options.folder)) {
      const found = await readEnd(path, 0).catch(() => undefined);
      if (found === undefined || !match(found.about, found.about.createdAt)) continue;
      await rm(path, { force: true });
      removed++;
    }
    return removed;
  }

  /** Resolves when no sweep is under way. */
  async settled(): Promise<void> {
    await this.#sweeping;
  }

  #path(key: string): string {
    // Not by `join`, which goes through all of it by character each time.
    return `${this.#options.folder}/${key.slice(0, 2)}/${key.slice(2)}`;
  }

  /** Counts the folder and removes the least recently used entries while it holds too much. */
  async #sweep(): Promise<void> {
    const { folder, maxBytes, log } = this.#options;
    try {
      const [written, known] = [this.#writtenSinceScan, this.#total];
      this.#writtenSinceScan = 0;
      const entries = await listEntries(folder);
      let total = entries.reduce((sum, { space }) => sum + space, 0);
      const before = known === undefined ? undefined : known - written;
      const pace = before === undefined ? UNKNOWN_PACE : Math.max(1, (total - before) / Math.max(1, written));
      let failure: unknown;
      if (total > maxBytes) {
        entries.sort((a, b) => a.usedAt - b.usedAt);
        for (const { path, space, usedAt } of entries) {
          if (total <= maxBytes * SWEEP_SHARE) break;
          // Somebody found it since it was listed, and may be about to read it.
          if ((statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > usedAt) continue;
          try {
            // What lies there may be anything, even a folder.
            await rm(path, { recursive: true, force: true });
            total -= space;
          } catch (error) {
            failure ??= error;
          }
        }
      }
      this.#total = total + this.#writtenSinceScan;
      this.#allowance = Math.max(maxBytes * SCAN_SHARE, (maxBytes - total) / 2 / pace);
      await removeOlder(join(folder, "tmp"), STALE_MS);
      if (failure !== undefined) throw failure;
    } catch (error) {
      log.warn({ err: error, folder }, "the derived cache could not be swept");
    }
  }
}

/** What took its time and says nothing of this process. Of its subclasses only the code would come through. */
const isCommon = (error: unknown): error is DeliveryError =>
  error instanceof DeliveryError && error.constructor === DeliveryError && COMMON.includes(error.code);
const COMMON: readonly DeliveryErrorCode[] = [
  "DamagedSource",
  "LimitExceeded",
  "OriginFailed",
  "OriginTimeout",
];

async function writeAll(fd: number, buffers: readonly Buffer[], position: number): Promise<void> {
  let rest = buffers;
  for (let at = position; rest.length > 0;) {
    let written = await localDisk.writev(fd, rest, at);
    at += written;
    rest = rest.flatMap((buffer) => {
      const done = Math.min(written, buffer.length);
      written -= done;
      return done === buffer.length ? [] : [buffer.subarray(done)];
    });
  }
}

/** The folder is there but for the first time. */
async function moveTo(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await rename(from, to);
  }
}

function entryOf(facts: Facts, data: Buffer, path: string | undefined): Entry & { readonly data: Buffer } {
  return { facts, size: data.length, data, path, read: (start, end) => once(data.subarray(start, end)) };
}

function fileEntry(facts: Facts, size: number, path: string): Entry {
  const source = { disk: localDisk, buffers: BUFFERS, id: path, path, failed: () => undefined };
  return { facts, size, data: undefined, path, read: (start, end) => readFile(source, start, end) };
}

/**
 * The bytes of an entry that was found, though a purge or a sweep may have taken it since: then they are made again, which
 * gives undefined where that takes too long. @throws DeliveryError ServiceUnavailable; what `make` throws
 */
export async function* lasting(
  entry: Entry,
  make: () => Promise<Entry | undefined>,
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  try {
    yield* entry.read(start, end);
  } catch (error) {
    if (!(error instanceof BlobMissing)) throw error;
    const made = await make();
    // Their number was told with the one that was found.
    if (made?.size !== entry.size) {
      throw notNow("What was made is gone again.");
    }
    yield* lasting(made, make, start, end);
  }
}

async function readEntry(path: string): Promise<Entry | "damaged"> {
  const found = await readEnd(path, WHOLE_BYTES_MAX);
  if (found === undefined) return "damaged";
  const { v: _, createdAt: _at, crc32: _sum, size, ...facts } = found.about;
  const { content } = found;
  if (content === undefined || size > WHOLE_BYTES_MAX) return fileEntry(facts, size, path);
  return entryOf(facts, content, path);
}

/** Modification times say when something was last used. */
export async function touch(path: string): Promise<void> {
  const now = Date.now() / 1000;
  await utimes(path, now, now).catch(() => undefined);
}

const spaceOf = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;

interface Listed {
  readonly path: string;
  readonly space: number;
  readonly usedAt: number;
}

/** In this thread, as files are looked for: the system knows most of them. In short pieces, so that requests go on. */
async function listEntries(folder: string): Promise<Listed[]> {
  const entries: Listed[] = [];
  const breath = breaths(SCAN_MS);
  for (const group of await readdir(folder).catch(() => [])) {
    if (!/^[0-9a-f]{2}$/.test(group)) continue;
    for (const name of await readdir(join(folder, group)).catch(() => [])) {
      const path = join(folder, group, name);
      const found = statSync(path, { throwIfNoEntry: false });
      if (found !== undefined) entries.push({ path, space: spaceOf(found.size), usedAt: found.mtimeMs });
      await breath();
    }
  }
  return entries;
}

/** What lies in a folder and has not been touched for so long goes. */
export async function removeOlder(folder: string, ms: number): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && !isRecent(found.mtimeMs, ms)) await rm(path, { recursive: true, force: true });
  }
}
