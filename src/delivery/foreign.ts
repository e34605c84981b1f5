/**
 * Files of other people's storage. What was fetched is kept on disk beside the derived pictures, and asked for again
 * only when its lifetime is over, and then only whether it has changed. Two kinds of entries:
 *   a note    what the origin said of a path, and when it said so; replaced when the origin is asked again
 *   a body    the bytes, under a key that names their version; never replaced
 * Large files are not kept: they are read from the origin, range by range.
 */
import { createHash, randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { FileRange } from "../blob/blob.ts";
import { errorCode } from "../blob/disk.ts";
import { isRecent } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { Lru } from "../lib/lru.ts";
import { SingleFlight } from "../lib/singleflight.ts";
import { lasting, type DerivedCache, type Entry, type Facts } from "./cache/cache.ts";
import { keyOf } from "./cache/entries.ts";
import { DeliveryError, notNow, type DeliveryErrorCode } from "./errors.ts";
import {
  CONNECTIONS_MAX,
  type Fetched,
  type FetchOptions,
  type FileInfo,
  type OriginReader,
} from "./origins/client.ts";

/** One file of one origin. */
export interface Address {
  readonly client: OriginReader;
  /** Names the origin with its present settings: with others the same path is another file. */
  readonly origin: string;
  /** For purges. */
  readonly originId: string;
  readonly path: string;
  /** As `fetch` of the client has it. */
  readonly name: string;
  /** Of the client's URL; web servers get it. */
  readonly query: string;
  /** That the client named; web servers that want it get it. */
  readonly host?: string | undefined;
  /** Changes with every purge that the file is part of. */
  readonly epoch: string;
  /** How long an answer of the origin is good for, whatever it says itself. */
  readonly lifetimeMs: number | undefined;
}

export interface ForeignFile {
  readonly info: FileInfo;
  /** Names this version of this file. */
  readonly identity: string;
  /** When the origin last said that this is the file, whoever has kept its word since; milliseconds since 1970. */
  readonly checkedAt: number;
  /** The origin can't be asked now: this is what it said before. */
  readonly stale: boolean;
  /** A copy is served that was kept before, new as it may be that it is still the file. */
  readonly hit: boolean;
  read(start: number, end: number): AsyncIterable<Buffer>;
  /** Where it is kept. It may be gone when it is read. */
  files(): Promise<readonly FileRange[] | undefined>;
}

interface Note {
  /** Undefined: the file is gone. */
  readonly info: FileInfo | undefined;
  /** Names the content as well as the origin lets us. */
  readonly version: string;
  /** The body is to be kept: where it isn't, it had to make room, or the disk had none. */
  readonly kept: boolean;
  readonly checkedAt: number;
  /** When the origin could not be asked; it is left alone for a while since. Milliseconds since 1970. */
  readonly failedAt?: number;
  /** What was read since is another file: the origin is asked again whatever the lifetime says. */
  readonly doubtful?: boolean;
}

/** Bytes up to which bodies are kept: pictures, not films. */
const KEPT_BYTES_MAX = 40 * 1024 ** 2;
/** How long an origin's answer is good for where neither the endpoint nor the origin says. */
const LIFETIME_MS = 300_000;
/** The longest that an origin may ask for: a mistake there must heal. */
const LIFETIME_MS_MAX = 30 * 86_400_000;
/** How long a file that can't be confirmed is still served (stale-if-error, RFC 5861). */
const STALE_MS = 86_400_000;
/** Failures that say nothing of the file. Whose credentials were taken away has no right to what was read with them. */
const UNCONFIRMED: readonly DeliveryErrorCode[] = ["OriginFailed", "OriginTimeout", "ServiceUnavailable"];
/**
 * How slowly a file that is kept may come, in bytes per second, beyond the first seconds. Stops origins that send a byte now
 * and then from holding a request, and all that wait for the same file.
 */
const PACE = 128 * 1024;
const PACE_AFTER_SECONDS = 30;
/**
 * Bodies of one origin that are passed on at the same time. Stops slow readers, who may take hours, from holding all
 * connections that short requests need.
 */
const PASSED_MAX = CONNECTIONS_MAX * 0.75;
/** How long nobody asks again after the origin failed, and after it said that there is no such file. */
const RETRY_MS = 5000;
const MISSING_MS = 5000;
/** Notes and absences that one process remembers. Stops floods of names from filling the memory. */
const REMEMBERED_MAX = 10_000;

export class ForeignFiles {
  readonly #cache: DerivedCache;
  readonly #log: Logger;
  readonly #notes = new Lru<string, Note>({ maxEntries: REMEMBERED_MAX });
  readonly #missing = new Lru<string, number>({ maxEntries: REMEMBERED_MAX });
  readonly #flights = new SingleFlight<Note | undefined>();
  readonly #bodies = new SingleFlight<Entry | undefined>();
  /** By origin, how many bodies are passed on now. */
  readonly #passed = new Map<string, number>();

  constructor(cache: DerivedCache, log: Logger) {
    this.#cache = cache;
    this.#log = log;
  }

  /**
   * Undefined: the origin has no such file.
   * @throws DeliveryError of the client, where nothing is known of the file
   */
  async open(address: Address): Promise<ForeignFile | undefined> {
    const key = keyFor(NOTE, address);
    if (isRecent(this.#missing.get(key) ?? 0, MISSING_MS)) return undefined;
    const known = await this.#known(key, address);
    const note =
      known !== undefined && isBelieved(address, known)
        ? known
        : await this.#flights.run(key, () => this.#ask(key, address, known));
    if (note?.info === undefined) return undefined;
    return {
      info: note.info,
      identity: keyFor("version", address, note.version, note.info.customCoordinates ?? ""),
      checkedAt: note.checkedAt - agedOf(address, note.info) * 1000,
      stale: note.failedAt !== undefined,
      hit: note.kept && note.version === known?.version,
      read: (start, end) => this.#read(address, note, start, end),
      files: async () => {
        const { path, size } = (await this.#cache.get(bodyKeyOf(address, note.version))) ?? {};
        return path === undefined || size === undefined ? undefined : [{ path, start: 0, end: size }];
      },
    };
  }

  /** Before the origin is asked: another process may have asked it since. */
  async #known(key: string, address: Address): Promise<Note | undefined> {
    const before = this.#notes.get(key);
    if (before !== undefined && isBelieved(address, before)) return before;
    const data = (await this.#cache.latest(key))?.data;
    // Somebody may have asked while the disk was read.
    const own = this.#notes.get(key);
    if (data === undefined) return own;
    const stored = JSON.parse(data.toString()) as Note;
    if (own !== undefined && newsOf(stored) <= newsOf(own)) return own;
    this.#notes.set(key, stored);
    return stored;
  }

  async #ask(key: string, address: Address, known: Note | undefined): Promise<Note | undefined> {
    const note = known === undefined ? await this.#first(key, address) : await this.#confirm(address, known);
    if (known !== undefined && note !== undefined) await this.#write(key, address, note);
    if (note === undefined) this.#missing.set(key, Date.now());
    else this.#notes.set(key, note);
    return note;
  }

  #write(key: string, address: Address, note: Note): Promise<void> {
    return this.#cache.put(key, factsOf(address, "note"), Buffer.from(JSON.stringify(note)));
  }

  /** Other processes that want the same file wait for the one that fetches it. */
  async #first(key: string, address: Address): Promise<Note | undefined> {
    try {
      const { entry } = await this.#cache.produce(key, async () => {
        const fetched = await address.client.fetch(address.name, optionsOf(address));
        if (fetched.kind === "missing") throw new Missing();
        if (fetched.kind === "unchanged")
          throw new DeliveryError("OriginFailed", "The origin answers 304 to a request without a condition.");
        const note = await this.#received(address, fetched);
        return { facts: factsOf(address, "note"), data: Buffer.from(JSON.stringify(note)) };
      });
      return JSON.parse(entry.data!.toString()) as Note;
    } catch (error) {
      if (error instanceof Missing) return undefined;
      throw error;
    }
  }

  async #confirm(address: Address, known: Note): Promise<Note> {
    const now = Date.now();
    const { client, name } = address;
    const { info, version, kept } = known;
    let fetched: Fetched;
    try {
      fetched = await client.fetch(name, {
        ...optionsOf(address),
        ...(info === undefined ? {} : { known: info }),
      });
      if (fetched.kind === "unchanged" && info !== undefined && hasNews(info, fetched))
        fetched = await client.fetch(name, optionsOf(address));
    } catch (error) {
      const unconfirmed = error instanceof DeliveryError && UNCONFIRMED.includes(error.code);
      if (!unconfirmed || info === undefined || now > known.checkedAt + staleOf(address, info)) throw error;
      return { ...known, checkedAt: Math.min(known.checkedAt, now), failedAt: now };
    }
    if (fetched.kind === "missing") return { info: undefined, version: "", kept: false, checkedAt: now };
    if (fetched.kind === "unchanged") {
      const { cacheControl = info?.cacheControl, age } = fetched.said;
      return { info: info && { ...info, cacheControl, age }, version, kept, checkedAt: now };
    }
    if (fetched.info.etag !== undefined && fetched.info.etag === version) {
      await close(fetched.body);
      const { size = info?.size } = fetched.info;
      return { info: { ...fetched.info, size }, version, kept, checkedAt: now };
    }
    return this.#received(address, fetched);
  }

  /** Keeps the body where it is not too large, and says what is known of it then. */
  async #received(address: Address, { info, body }: Fetched & { kind: "found" }): Promise<Note> {
    const checkedAt = Date.now();
    const large = (info.size ?? 0) > KEPT_BYTES_MAX;
    if (large) await close(body);
    const kept = large ? "too large" : await this.#keep(address, info, body);
    if (typeof kept === "string") {
      const later = kept === "no room" && info.etag !== undefined;
      return { info, version: versionOf(info) ?? String(checkedAt), kept: later, checkedAt };
    }
    const { version, entry } = kept;
    return { info: { ...info, size: entry.size }, version, kept: true, checkedAt };
  }

  /**
   * Without a strong ETag the content itself is the version. A disk of ours that takes no file is no reason to refuse it.
   * @throws DeliveryError of the origin
   */
  async #keep(
    address: Address,
    info: FileInfo,
    body: AsyncIterable<Buffer>,
  ): Promise<{ entry: Entry; version: string } | "too large" | "no room"> {
    const name = `source-${process.pid}-${randomBytes(8).toString("hex")}`;
    let file: string | undefined;
    try {
      file = join(await this.#cache.draftFolder(), name);
      const sha256 = await download(body, file, info.size);
      const version = info.etag ?? sha256;
      const facts = { ...factsOf(address, "source"), type: info.contentType ?? "application/octet-stream" };
      const made = { facts, file };
      const { entry } = await this.#cache.produce(bodyKeyOf(address, version), async () => made);
      return { entry, version };
    } catch (error) {
      // Nobody may have begun it.
      await close(body);
      if (error instanceof TooLarge) return "too large";
      if (error instanceof DeliveryError || errorCode(error) === undefined) throw error;
      this.#log.warn({ err: error, path: address.path }, "a fetched file could not be cached");
      return "no room";
    } finally {
      if (file !== undefined) await rm(file, { force: true }).catch(() => undefined);
    }
  }

  async *#read(address: Address, note: Note, start: number, end: number): AsyncGenerator<Buffer> {
    const again = (): Promise<Entry | undefined> => this.#again(address, note);
    const kept =
      (await this.#cache.get(bodyKeyOf(address, note.version))) ?? (note.kept ? await again() : undefined);
    if (kept !== undefined) yield* lasting(kept, again, start, Math.min(end, kept.size));
    else yield* this.#pass(address, note, start, end);
  }

  /** As it comes from the origin. @throws DeliveryError ServiceUnavailable */
  async *#pass(address: Address, note: Note, start: number, end: number): AsyncGenerator<Buffer> {
    const { client, originId, name } = address;
    const passed = this.#passed.get(originId) ?? 0;
    if (passed >= PASSED_MAX) {
      throw notNow("Too many large files of the origin are read now.");
    }
    this.#passed.set(originId, passed + 1);
    try {
      const whole = start === 0 && (end === Infinity || end === note.info?.size);
      const fetched = await client.fetch(
        name,
        whole ? optionsOf(address) : { ...optionsOf(address), range: { start, end } },
      );
      if (fetched.kind !== "found" || !isSame(note, fetched.info)) {
        await this.#changed(address, note, fetched);
      } else yield* part(fetched, start, end);
    } finally {
      const left = this.#passed.get(originId)! - 1;
      if (left === 0) this.#passed.delete(originId);
      else this.#passed.set(originId, left);
    }
  }

  /** A body that isn't there is fetched once more, for all who want it now. Undefined: the disk doesn't take it. */
  #again(address: Address, note: Note): Promise<Entry | undefined> {
    const { client, name } = address;
    return this.#bodies.run(bodyKeyOf(address, note.version), async () => {
      const fetched = await client.fetch(name, optionsOf(address));
      if (fetched.kind !== "found" || !isSame(note, fetched.info))
        return this.#changed(address, note, fetched);
      const kept = await this.#keep(address, fetched.info, fetched.body);
      if (kept === "no room") return undefined;
      const same = kept !== "too large" && kept.version === note.version;
      return same ? kept.entry : this.#changed(address, note, undefined);
    });
  }

  /** The next request asks the origin. @throws SourceChanged */
  async #changed(address: Address, note: Note, fetched: Fetched | undefined): Promise<never> {
    if (fetched?.kind === "found") await close(fetched.body);
    const key = keyFor(NOTE, address);
    const doubted: Note = { ...note, doubtful: true };
    this.#notes.set(key, doubted);
    await this.#write(key, address, doubted);
    throw new SourceChanged("OriginFailed", "The origin's file changed while it was read.");
  }
}

/** What a file was opened as is there no more: opened again it is another one. */
export class SourceChanged extends DeliveryError {}

/** Not for clients: says within this file that there is nothing to keep. */
class Missing extends Error {}
class TooLarge extends Error {}

/** Raised when notes come to mean something else. */
const NOTE = "note 2";

const keyFor = (
  kind: string,
  { origin, name, query, host, epoch }: Address,
  ...more: readonly string[]
): string => keyOf([kind, origin, name, query, host ?? "", epoch, ...more]);

const optionsOf = ({ query, host }: Address): FetchOptions => ({ query, host });

const bodyKeyOf = (address: Address, version: string): string => keyFor("body", address, version);

const factsOf = ({ originId, path }: Address, variant: string): Facts => ({
  type: "application/json",
  width: 0,
  height: 0,
  headers: [],
  origin: originId,
  path,
  variant,
});

/** Of a file that isn't kept. Undefined for origins that name no version. */
const versionOf = ({ etag, lastModified, size }: FileInfo): string | undefined =>
  etag ?? (lastModified === undefined ? undefined : `${lastModified}/${size}`);

/** Whether something else of the file than its content changed: its metadata has to be asked for then. */
const hasNews = (info: FileInfo, { said }: Fetched & { kind: "unchanged" }): boolean =>
  (said.lastModified !== undefined && said.lastModified !== info.lastModified) ||
  (said.private && !info.private);

/** Whether an answer is of the version that a note is about. Chunked answers tell no size, answers with ranges do. */
function isSame({ info, version }: Note, { etag, weakEtag, lastModified, size }: FileInfo): boolean {
  if (etag !== undefined || info?.etag !== undefined) return etag === version;
  if (lastModified !== info?.lastModified || weakEtag !== info?.weakEtag) return false;
  return size === undefined || info?.size === undefined || size === info.size;
}

/** When the origin was last asked, in milliseconds since 1970. */
const newsOf = ({ checkedAt, failedAt = 0 }: Note): number => Math.max(checkedAt, failedAt);

/** Whether nobody needs to ask. A note from the future has no age: the clock was set back since. */
function isBelieved(address: Address, { info, checkedAt, failedAt = 0, doubtful }: Note): boolean {
  if (isRecent(failedAt, RETRY_MS)) return true;
  const age = Date.now() - checkedAt;
  const lifetime = info === undefined ? MISSING_MS : lifetimeOf(address, info);
  return doubtful !== true && age >= 0 && age < lifetime;
}

/** Seconds that an answer was old when it came. What the endpoint says counts from then on. */
const agedOf = ({ lifetimeMs }: Address, { age = 0 }: FileInfo): number =>
  lifetimeMs === undefined ? age : 0;

function lifetimeOf(address: Address, info: FileInfo): number {
  const { cacheControl } = info;
  if (address.lifetimeMs !== undefined) return address.lifetimeMs;
  if (cacheControl === undefined) return LIFETIME_MS;
  if (/\b(no-cache|no-store|private)\b/i.test(cacheControl)) return 0;
  const seconds = secondsOf("s-maxage", cacheControl) ?? secondsOf("max-age", cacheControl);
  if (seconds === undefined) return LIFETIME_MS;
  return Math.min((seconds - agedOf(address, info)) * 1000, LIFETIME_MS_MAX);
}

/** How long after its confirmation a file may stand in for what can't be confirmed, in milliseconds. */
function staleOf(address: Address, info: FileInfo): number {
  const said = address.lifetimeMs === undefined ? (info.cacheControl ?? "") : "";
  if (/\b(no-cache|no-store|private|must-revalidate|proxy-revalidate)\b/i.test(said)) return 0;
  const seconds = secondsOf("stale-if-error", said);
  const stale = seconds === undefined ? STALE_MS : Math.min(seconds * 1000, STALE_MS);
  return lifetimeOf(address, info) + stale;
}

function secondsOf(name: string, cacheControl: string): number | undefined {
  const found = new RegExp(`(?:^|[,\\s])${name}\\s*=\\s*"?(\\d{1,9})`, "i").exec(cacheControl)?.[1];
  return found === undefined ? undefined : Number(found);
}

/**
 * Writes a body to a file and returns its SHA-256.
 * @throws TooLarge; OriginFailed when fewer or more bytes come than were promised, OriginTimeout
 */
async function download(
  body: AsyncIterable<Buffer>,
  file: string,
  promised: number | undefined,
): Promise<string> {
  const sha256 = createHash("sha256");
  const began = performance.now();
  let size = 0;
  async function* measured(): AsyncGenerator<Buffer> {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > KEPT_BYTES_MAX) throw new TooLarge();
      const seconds = (performance.now() - began) / 1000 - PACE_AFTER_SECONDS;
      if (size < seconds * PACE)
        throw new DeliveryError("OriginTimeout", "The origin sends its file too slowly.");
      sha256.update(chunk);
      yield chunk;
    }
  }
  await pipeline(measured(), createWriteStream(file, { flags: "wx", mode: 0o600 }));
  if (promised !== undefined && size !== promised) {
    throw new DeliveryError("OriginFailed", `The origin promised ${promised} bytes and sent ${size}.`);
  }
  return sha256.digest("hex");
}

/** The wanted bytes, whether the origin sent them alone or among all others. `end` is infinite for all that comes. */
async function* part(
  fetched: Fetched & { kind: "found" },
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  let at = fetched.range?.start ?? 0;
  if (at > start) {
    await close(fetched.body);
    throw new DeliveryError("OriginFailed", "The origin sent other bytes than those that were asked for.");
  }
  for await (const chunk of fetched.body) {
    const from = Math.max(0, start - at);
    const wanted = chunk.subarray(from, Math.max(from, end - at));
    at += chunk.length;
    if (wanted.length > 0) yield wanted;
    if (at >= end) return;
  }
  if (at < end && end !== Infinity) {
    throw new DeliveryError("OriginFailed", "The origin sent less than it promised.");
  }
}

async function close(body: AsyncIterable<Buffer>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.();
}
