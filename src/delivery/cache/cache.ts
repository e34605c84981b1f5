/**
 * Made pictures, pieces of films and fetched files on disk, least recently used ones removed first. Keys tell source
 * version, plan and format, so an entry is never wrong, only unused. Several processes share a folder: entries appear by
 * rename, and whoever removes one that another is reading leaves the reader its open file.
 *
 * A file is a line of JSON, which describes the content, and the content.
 */
import { randomBytes } from "node:crypto";
import { constants, createReadStream, createWriteStream, existsSync, fstatSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { crc32 } from "@node-rs/crc32";
import { errorCode, localDisk } from "../../blob/disk.ts";
import type { Logger } from "../../lib/log.ts";
import { Lru } from "../../lib/lru.ts";
import { SingleFlight } from "../../lib/singleflight.ts";
import { claim, isLost, type Claim } from "../claims.ts";

export interface CacheOptions {
  readonly folder: string;
  /** Budget on disk; a process that shares the folder with others may overshoot by `SCAN_SHARE` of it. */
  readonly maxBytes: number;
  /** Budget in this process's memory, for what is asked for all the time. */
  readonly memoryBytes: number;
  readonly log: Logger;
}

/** What an entry is. */
export interface Facts {
  /** Media type. */
  readonly type: string;
  /** In pixels; 0 for what is no picture. */
  readonly width: number;
  readonly height: number;
  /** Flat: name, value. */
  readonly headers: readonly string[];
  /** `owner id/origin`. */
  readonly origin: string;
  readonly path: string;
  /** The plan's text. */
  readonly variant: string;
}

export interface Entry {
  readonly facts: Facts;
  readonly size: number;
  /** When it is small enough to be in memory whole. */
  readonly data: Buffer | undefined;
  /** Bytes `start` (inclusive) to `end` (exclusive). */
  read(start: number, end: number): AsyncIterable<Buffer>;
}

/** What a maker hands over: bytes, or a finished file in `draftFolder()`, which is moved. */
export type Made = { readonly facts: Facts } & ({ readonly data: Buffer } | { readonly file: string });

interface Header extends Facts {
  readonly v: 2;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly size: number;
  /** Of entries that are read whole; the others would take too long. */
  readonly crc32: number | undefined;
}

/** After writing this share of the budget a process counts the folder again, because others write to it too. */
const SCAN_SHARE = 1 / 16;
/** A sweep goes down to this share of the budget, so that the next one is some time away. */
const SWEEP_SHARE = 0.9;
/** How often an entry that is served from memory is marked as used on disk, in milliseconds. */
const TOUCH_MS = 10 * 60_000;
/** Age at which a half-written file is one that a dead process left, in milliseconds. */
const STALE_MS = 3_600_000;
/** Entries in memory at most; their number costs memory too. */
const MEMORY_ENTRIES_MAX = 4096;
/** Bytes up to which an entry is read whole. */
const WHOLE_BYTES_MAX = 4 * 1024 ** 2;
/** Longest header line: longer means damage. The longest path and plan fit. */
const HEADER_BYTES_MAX = 16_384;
const READ_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

interface Hot {
  readonly entry: Entry & { readonly data: Buffer };
  touchedAt: number;
}

export class DerivedCache {
  readonly #options: CacheOptions;
  readonly #memory: Lru<string, Hot>;
  readonly #flights = new SingleFlight<{ entry: Entry; hit: boolean }>();
  /** Bytes in the folder as last counted and since written; undefined before the first count. */
  #total: number | undefined;
  #writtenSinceScan = 0;
  #sweeping: Promise<void> | undefined;

  constructor(options: CacheOptions) {
    this.#options = options;
    this.#memory = new Lru({
      maxEntries: MEMORY_ENTRIES_MAX,
      maxBytes: options.memoryBytes,
      sizeOf: ({ entry }) => entry.data.length,
    });
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

  /**
   * The entry, or what `make` makes now: once for all callers, in this process and in all that share the folder. A
   * failure goes to those who wait in this process; the others try for themselves.
   */
  async produce(key: string, make: () => Promise<Made>): Promise<{ entry: Entry; hit: boolean }> {
    const hot = this.#hot(key);
    if (hot !== undefined) return { entry: hot, hit: true };
    const joins = this.#flights.has(key);
    const { entry, hit } = await this.#flights.run(key, async () => {
      const found = await this.get(key);
      if (found !== undefined) return { entry: found, hit: true };
      // On a disk that takes no file each process works for itself.
      const path = join(this.#options.folder, "tmp", `${key.slice(0, 40)}.claim`);
      await using mine = await claim(path).catch(() => undefined);
      // Somebody else may have made it while we waited, or between our look and our claim.
      const made = await this.get(key);
      return made === undefined
        ? { entry: await this.#keep(key, await make(), mine), hit: false }
        : { entry: made, hit: true };
    });
    return { entry, hit: hit || joins };
  }

  /** Never fails: what can't be kept is only slower the next time. */
  async put(key: string, facts: Facts, data: Buffer): Promise<void> {
    await this.#keep(key, { facts, data });
  }

  async #keep(key: string, made: Made, mine?: Claim): Promise<Entry> {
    const path = this.#path(key);
    const { log } = this.#options;
    if ("data" in made) {
      const entry = entryOf(made.facts, made.data);
      this.#remember(key, entry);
      const { size, data, facts } = entry;
      const header = {
        v: 2,
        createdAt: Date.now(),
        ...facts,
        size,
        crc32: size <= WHOLE_BYTES_MAX ? crc32(data) : undefined,
      } satisfies Header;
      try {
        await this.#write(path, header, mine, (fd, line) => writeAll(fd, [line, data]));
      } catch (error) {
        log.warn({ err: error, path }, "a made picture could not be cached");
      }
      return entry;
    }
    const { size } = await stat(made.file);
    const header: Header = { v: 2, createdAt: Date.now(), ...made.facts, size, crc32: undefined };
    await this.#write(path, header, mine, async (fd, line) => {
      await writeAll(fd, [line]);
      await pipeline(
        createReadStream(made.file),
        createWriteStream("", { fd, autoClose: false, start: line.length }),
      );
    });
    await rm(made.file, { force: true });
    const entry = await readEntry(path);
    if (entry === "damaged") throw new Error(`The entry ${path} can't be read back`);
    this.#remember(key, entry);
    return entry;
  }

  /** From this process's memory. On disk it must not look unused meanwhile. */
  #hot(key: string): Entry | undefined {
    const hot = this.#memory.get(key);
    if (hot !== undefined && Date.now() - hot.touchedAt > TOUCH_MS) {
      hot.touchedAt = Date.now();
      void touch(this.#path(key));
    }
    return hot?.entry;
  }

  #remember(key: string, entry: Entry): void {
    if (entry.data === undefined) return;
    this.#memory.set(key, { entry: entry as Hot["entry"], touchedAt: Date.now() });
  }

  /** A header and what `body` writes behind it, visible by rename; in the claim's file, or one of its own. */
  async #write(
    path: string,
    header: Header,
    mine: Claim | undefined,
    body: (fd: number, line: Buffer) => Promise<void>,
  ): Promise<void> {
    const { maxBytes, folder } = this.#options;
    const line = Buffer.from(`${JSON.stringify(header)}\n`);
    const bytes = line.length + header.size;
    if (bytes > maxBytes && header.crc32 !== undefined) return;
    if (mine === undefined) {
      const name = `${process.pid}-${randomBytes(8).toString("hex")}`;
      await using draft = await claim(join(folder, "tmp", name));
      return await this.#write(path, header, draft, body);
    }
    await body(mine.fd, line);
    if (isLost(mine)) throw new Error("the claim was lost");
    await moveTo(mine.path, path);
    mine.moved();
    this.#written(bytes);
  }

  #written(bytes: number): void {
    const { maxBytes } = this.#options;
    this.#writtenSinceScan += bytes;
    if (this.#total !== undefined) this.#total += bytes;
    const due =
      this.#total === undefined || this.#total > maxBytes || this.#writtenSinceScan > maxBytes * SCAN_SHARE;
    if (due) this.#sweeping ??= this.#sweep().finally(() => (this.#sweeping = undefined));
  }

  /** For files that are to become entries: on the same file system. */
  async draftFolder(): Promise<string> {
    const folder = join(this.#options.folder, "tmp");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return folder;
  }

  /** Removes what `match` says, from disk and from this process's memory; returns how many entries went. */
  async remove(match: (facts: Facts, createdAt: number) => boolean): Promise<number> {
    this.#memory.clear();
    let removed = 0;
    for (const { path } of await listEntries(this.#options.folder)) {
      const header = await readHeader(path, 0).catch(() => undefined);
      if (header === undefined || !match(header.header, header.header.createdAt)) continue;
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
    return join(this.#options.folder, key.slice(0, 2), key.slice(2));
  }

  /** Counts the folder and removes the least recently used entries while it holds too much. */
  async #sweep(): Promise<void> {
    const { folder, maxBytes, log } = this.#options;
    try {
      this.#writtenSinceScan = 0;
      const entries = await listEntries(folder);
      let total = entries.reduce((sum, { size }) => sum + size, 0);
      if (total > maxBytes) {
        entries.sort((a, b) => a.usedAt - b.usedAt);
        for (const { path, size } of entries) {
          if (total <= maxBytes * SWEEP_SHARE) break;
          await rm(path, { force: true });
          total -= size;
        }
      }
      this.#total = total + this.#writtenSinceScan;
      await removeDrafts(join(folder, "tmp"));
    } catch (error) {
      log.warn({ err: error, folder }, "the derived cache could not be swept");
    }
  }
}

async function writeAll(fd: number, buffers: readonly Buffer[]): Promise<void> {
  let rest = buffers;
  for (let at = 0; rest.length > 0;) {
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

function entryOf(facts: Facts, data: Buffer): Entry & { readonly data: Buffer } {
  return { facts, size: data.length, data, read: (start, end) => once(data.subarray(start, end)) };
}

async function* once(chunk: Buffer): AsyncGenerator<Buffer> {
  yield chunk;
}

/**
 * What a file begins with, and where its content does; with the content in `first` when that has at most `wholeBytes`.
 * Undefined for what a crash, a full disk or another hand left.
 */
async function readHeader(
  path: string,
  wholeBytes: number,
): Promise<{ header: Header; start: number; first: Buffer; size: number } | undefined> {
  const fd = await localDisk.open(path, constants.O_RDONLY);
  try {
    const { size } = fstatSync(fd);
    const whole = size <= wholeBytes + HEADER_BYTES_MAX;
    const first = Buffer.allocUnsafe(whole ? size : HEADER_BYTES_MAX);
    const bytesRead = await localDisk.read(fd, first, 0, first.length, 0);
    const read = first.subarray(0, bytesRead);
    const end = read.subarray(0, HEADER_BYTES_MAX).indexOf(NEWLINE);
    if (end < 0) return undefined;
    const header = JSON.parse(read.toString("utf8", 0, end)) as Header;
    if (header.v !== 2 || size !== end + 1 + header.size) return undefined;
    return { header, start: end + 1, first: read, size };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    await localDisk.close(fd);
  }
}

async function readEntry(path: string): Promise<Entry | "damaged"> {
  const found = await readHeader(path, WHOLE_BYTES_MAX);
  if (found === undefined) return "damaged";
  const { v: _, createdAt: _at, size, crc32: sum, ...facts } = found.header;
  if (size <= WHOLE_BYTES_MAX && found.first.length === found.start + size) {
    const data = found.first.subarray(found.start);
    return sum !== undefined && sum !== crc32(data) ? "damaged" : entryOf(facts, data);
  }
  return {
    facts,
    size,
    data: undefined,
    read: (start, end) => readRange(path, found.start + start, found.start + end),
  };
}

async function* readRange(path: string, start: number, end: number): AsyncGenerator<Buffer> {
  if (end <= start) return;
  const stream = createReadStream(path, { start, end: end - 1, highWaterMark: READ_BYTES });
  for await (const chunk of stream) yield chunk as Buffer;
}

/** Modification times say when an entry was last used. */
async function touch(path: string): Promise<void> {
  const now = Date.now() / 1000;
  await utimes(path, now, now).catch(() => undefined);
}

interface Listed {
  readonly path: string;
  readonly size: number;
  readonly usedAt: number;
}

/** One file after the other: a sweep leaves the disk's queue and libuv's threads to the requests. */
async function listEntries(folder: string): Promise<Listed[]> {
  const entries: Listed[] = [];
  for (const group of await readdir(folder).catch(() => [])) {
    if (!/^[0-9a-f]{2}$/.test(group)) continue;
    for (const name of await readdir(join(folder, group))) {
      const path = join(folder, group, name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined) entries.push({ path, size: found.size, usedAt: found.mtimeMs });
    }
  }
  return entries;
}

async function removeDrafts(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > STALE_MS) await rm(path, { force: true });
  }
}
