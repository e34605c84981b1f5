/**
 * Rendered pictures on disk, least recently used ones removed first. Keys tell source version, plan and format, so an
 * entry is never wrong, only unused. Several processes share a folder: entries appear by rename, and whoever removes
 * one that another is reading leaves the reader its open file.
 *
 * A file is a line of JSON, which describes the picture, and the picture.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import type { Logger } from "../lib/log.ts";
import { Lru } from "../lib/lru.ts";
import type { Picture } from "./image.ts";

export interface CacheOptions {
  readonly folder: string;
  /** Budget on disk; a process that shares the folder with others may overshoot by `SCAN_SHARE` of it. */
  readonly maxBytes: number;
  /** Budget in this process's memory, for what is asked for all the time. */
  readonly memoryBytes: number;
  readonly log: Logger;
}

interface Header {
  readonly v: 1;
  readonly format: Picture["format"];
  readonly width: number;
  readonly height: number;
  readonly size: number;
  readonly crc32: number;
}

/** After writing this share of the budget a process counts the folder again, because others write to it too. */
const SCAN_SHARE = 1 / 16;
/** A sweep goes down to this share of the budget, so that the next one is some time away. */
const SWEEP_SHARE = 0.9;
/** How often a picture that is served from memory is marked as used on disk, in milliseconds. */
const TOUCH_MS = 10 * 60_000;
/** Age at which a half-written file is one that a dead process left, in milliseconds. */
const STALE_MS = 3_600_000;
/** Entries in memory at most; their number costs memory too. */
const MEMORY_ENTRIES_MAX = 4096;
/** Longest header line: longer means damage. */
const HEADER_BYTES_MAX = 512;
const NEWLINE = 0x0a;

interface Hot {
  readonly picture: Picture;
  touchedAt: number;
}

export class DerivedCache {
  readonly #options: CacheOptions;
  readonly #memory: Lru<string, Hot>;
  /** Bytes in the folder as last counted and since written; undefined before the first count. */
  #total: number | undefined;
  #writtenSinceScan = 0;
  #sweeping: Promise<void> | undefined;

  constructor(options: CacheOptions) {
    this.#options = options;
    this.#memory = new Lru({
      maxEntries: MEMORY_ENTRIES_MAX,
      maxBytes: options.memoryBytes,
      sizeOf: ({ picture }) => picture.data.length,
    });
  }

  /** Keys are hexadecimal. A damaged entry is removed and counts as absent. */
  async get(key: string): Promise<Picture | undefined> {
    const hot = this.#memory.get(key);
    if (hot !== undefined) {
      if (Date.now() - hot.touchedAt > TOUCH_MS) {
        hot.touchedAt = Date.now();
        void touch(this.#path(key));
      }
      return hot.picture;
    }
    const path = this.#path(key);
    let file: Buffer;
    try {
      file = await readFile(path);
    } catch {
      return undefined;
    }
    const picture = parse(file);
    if (picture === undefined) {
      this.#options.log.warn({ path }, "a damaged entry of the derived cache is removed");
      await rm(path, { force: true });
      return undefined;
    }
    this.#memory.set(key, { picture, touchedAt: Date.now() });
    await touch(path);
    return picture;
  }

  /** Never fails: what can't be kept is only slower the next time. */
  async put(key: string, picture: Picture): Promise<void> {
    this.#memory.set(key, { picture, touchedAt: Date.now() });
    const { folder, maxBytes, log } = this.#options;
    const { data, format, width, height } = picture;
    const header: Header = { v: 1, format, width, height, size: data.length, crc32: crc32(data) };
    const line = Buffer.from(`${JSON.stringify(header)}\n`);
    const bytes = line.length + data.length;
    if (bytes > maxBytes) return;
    const path = this.#path(key);
    const draft = join(folder, "tmp", `${process.pid}-${randomBytes(8).toString("hex")}`);
    try {
      await write(draft, path, [line, data]);
    } catch (error) {
      log.warn({ err: error, path }, "a rendered picture could not be cached");
      await rm(draft, { force: true }).catch(() => undefined);
      return;
    }
    this.#writtenSinceScan += bytes;
    if (this.#total !== undefined) this.#total += bytes;
    const due =
      this.#total === undefined || this.#total > maxBytes || this.#writtenSinceScan > maxBytes * SCAN_SHARE;
    if (due) this.#sweeping ??= this.#sweep().finally(() => (this.#sweeping = undefined));
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

async function write(draft: string, path: string, parts: Buffer[]): Promise<void> {
  try {
    await writeFile(draft, parts, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(dirname(draft), { recursive: true, mode: 0o700 });
    await writeFile(draft, parts, { flag: "wx", mode: 0o600 });
  }
  try {
    await rename(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await rename(draft, path);
  }
}

/** Undefined for what a crash, a full disk or another hand left. */
function parse(file: Buffer): Picture | undefined {
  const end = file.subarray(0, HEADER_BYTES_MAX).indexOf(NEWLINE);
  if (end < 0) return undefined;
  try {
    const header = JSON.parse(file.toString("utf8", 0, end)) as Header;
    const data = file.subarray(end + 1);
    const intact = header.v === 1 && header.size === data.length && header.crc32 === crc32(data);
    return intact ? { data, format: header.format, width: header.width, height: header.height } : undefined;
  } catch {
    return undefined;
  }
}

/** Modification times say when an entry was last used. */
async function touch(path: string): Promise<void> {
  const now = Date.now() / 1000;
  await utimes(path, now, now).catch(() => undefined);
}

interface Entry {
  readonly path: string;
  readonly size: number;
  readonly usedAt: number;
}

/** One file after the other: a sweep leaves the disk's queue and libuv's threads to the requests. */
async function listEntries(folder: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const group of await readdir(folder)) {
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
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > STALE_MS) await rm(path, { force: true });
  }
}
