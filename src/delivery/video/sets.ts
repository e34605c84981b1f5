/**
 * Sets of segments on disk. A set is a folder that ffmpeg fills; any process that shares it serves what is there
 * already. `done` marks a complete one.
 */
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../blob/disk.ts";
import { once } from "../../lib/chunks.ts";
import { isRecent } from "../../lib/clock.ts";
import { touch } from "../cache/cache.ts";
import type { Provenance } from "../cache/entries.ts";
import { notNow } from "../errors.ts";
import { diskFull } from "./ffmpeg.ts";
import {
  initName,
  manifest,
  masterPlaylist,
  MASTERS,
  mediaPlaylist,
  peakRate,
  playlistName,
  segmentName,
  segmentsOf,
  SOUND,
  tracksOf,
  typeOfSetFile,
  type Addressing,
  type StreamSet,
} from "./playlists.ts";

/** File of a set that says what it will hold. */
const DESCRIPTION = "set.json";
const DONE = "done";
/** How often a set that is read is marked as used, in milliseconds. */
const TOUCH_MS = 60_000;
const READ_BYTES = 256 * 1024;
/** Bytes of the smallest box: its size and its name. */
const BOX_MIN = 8;

export interface SetFile {
  /** Media type. */
  readonly type: string;
  readonly size: number;
  /** Bytes `start` (inclusive) to `end` (exclusive). */
  read(start: number, end: number): AsyncIterable<Buffer>;
}

export async function isDone(folder: string): Promise<boolean> {
  // A loss of power leaves files empty.
  return ((await stat(join(folder, DONE)).catch(() => undefined))?.size ?? 0) > 0;
}

export const describeSet = (folder: string, set: StreamSet): Promise<void> =>
  writeFile(join(folder, DESCRIPTION), JSON.stringify(set));

/**
 * What its pieces turned out to be takes the place of what was foreseen of them. ffmpeg ends well also where the disk took
 * half of them, or none. @throws DeliveryError ServiceUnavailable then
 */
export async function measureSet(folder: string, foreseen: StreamSet): Promise<void> {
  // Of a sound that has no moment some versions write nothing, and others a piece that lasts no time.
  const begun = await stat(join(folder, initName(SOUND))).catch(() => undefined);
  const set = begun === undefined ? { ...foreseen, audio: undefined } : foreseen;
  const tracks = await Promise.all(tracksOf(set).map((name) => piecesOf(folder, name)));
  const renditions = set.renditions.map((rendition, n) => ({ ...rendition, rate: peakRate(tracks[n]!) }));
  const sound = set.audio === undefined ? [] : tracks.at(-1)!;
  const audio = sound.some(({ seconds }) => seconds > 0) ? peakRate(sound) : undefined;
  await describeSet(folder, { ...set, audio, renditions });
}

async function piecesOf(folder: string, name: string): Promise<{ seconds: number; bytes: number }[]> {
  const playlist = await readPlaylist(folder, playlistName(name), true);
  const begins = await wholeSize(join(folder, initName(name)));
  if (playlist === undefined || begins === undefined) throw diskFull();
  const pieces = [];
  for (const [n, seconds] of segmentsOf(playlist).entries()) {
    const size = await wholeSize(join(folder, segmentName(name, String(n).padStart(5, "0"))));
    if (size === undefined) throw diskFull();
    pieces.push({ seconds, bytes: size });
  }
  return pieces;
}

/** Of what a set was made, and when its making began, in milliseconds since 1970. */
export interface SetOrigin extends Provenance {
  readonly createdAt: number;
}

export const finishSet = (folder: string, origin: SetOrigin): Promise<void> =>
  writeFile(join(folder, DONE), JSON.stringify(origin));

export async function freshFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

/**
 * A file of a set as it is now; undefined: not there, not whole, or not yet of use to a player. `name` is one of a set's.
 * `done`: the set is; nothing more will come.
 */
export async function readSetFile(
  folder: string,
  name: string,
  how: Addressing & { readonly done: boolean },
): Promise<SetFile | undefined> {
  if (name === MASTERS.hls || name === MASTERS.dash) return readMaster(folder, name, how);
  if (name.endsWith(".m3u8")) {
    const text = await readPlaylist(folder, name, how.done);
    return text === undefined ? undefined : textFile(name, mediaPlaylist(text, how));
  }
  const path = join(folder, name);
  const size = await wholeSize(path);
  return size === undefined
    ? undefined
    : { type: typeOfSetFile(name), size, read: (from, to) => bytes(path, from, to) };
}

/** Whether a complete set should have a file of that name: where `readSetFile` finds none, the set is damaged. */
export async function belongsToSet(folder: string, name: string): Promise<boolean> {
  const set = await readDescription(folder);
  if (set === undefined || name === MASTERS.hls || name === MASTERS.dash) return true;
  const track = name.slice(0, name.indexOf("."));
  if (!tracksOf(set).includes(track)) return false;
  const number = /(\d{5})\.m4s$/.exec(name)?.[1];
  const playlist = await readPlaylist(folder, playlistName(track), true);
  return number === undefined || playlist === undefined || Number(number) < segmentsOf(playlist).length;
}

/** What is damaged is as good as never made. */
export const reopenSet = (folder: string): Promise<void> => rm(join(folder, DONE), { force: true });

/**
 * Bytes of a piece whose boxes fill it to its end; undefined: part of it is missing, or all. ISO/IEC 14496-12, section 4.2:
 * each begins with its size, and so do larger ones than ours.
 */
async function wholeSize(path: string): Promise<number | undefined> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const head = Buffer.alloc(4);
    let end = 0;
    while (end < size) {
      const { bytesRead } = await file.read(head, 0, head.length, end);
      const box = head.readUInt32BE();
      if (bytesRead < head.length || box < BOX_MIN) return undefined;
      end += box;
    }
    return size > 0 && end === size ? size : undefined;
  } finally {
    await file.close();
  }
}

async function readDescription(folder: string): Promise<StreamSet | undefined> {
  return parsed<StreamSet>(await readFile(join(folder, DESCRIPTION), "utf8").catch(() => ""));
}

async function readMaster(
  folder: string,
  name: string,
  how: Addressing & { readonly done: boolean },
): Promise<SetFile | undefined> {
  const set = await readDescription(folder);
  if (set === undefined) return undefined;
  const tracks = tracksOf(set);
  const playlists = await Promise.all(tracks.map((one) => readPlaylist(folder, playlistName(one), how.done)));
  // A sound that begins late holds nothing up.
  if ((how.done ? playlists : playlists.slice(0, 1)).includes(undefined)) return undefined;
  if (name === MASTERS.hls) return textFile(name, masterPlaylist(set, how));
  const segments = new Map(tracks.map((one, n) => [one, segmentsOf(playlists[n] ?? "")]));
  return textFile(name, manifest(set, how.done ? segments : undefined, how));
}

function parsed<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    // Not written to its end yet.
    return undefined;
  }
}

/** Players give up where no segment is named. `done`: it has to have its end. */
async function readPlaylist(folder: string, name: string, done: boolean): Promise<string | undefined> {
  const text = await readFile(join(folder, name), "utf8").catch(() => "");
  return text.includes("#EXTINF") && (!done || text.includes("#EXT-X-ENDLIST")) ? text : undefined;
}

function textFile(name: string, text: string): SetFile {
  const data = Buffer.from(text);
  return {
    type: typeOfSetFile(name),
    size: data.length,
    read: (start, end) => once(data.subarray(start, end)),
  };
}

/** @throws DeliveryError ServiceUnavailable for what went since it was found: it is made again for who asks again */
async function* bytes(path: string, start: number, end: number): AsyncGenerator<Buffer> {
  if (end <= start) return;
  const stream = createReadStream(path, { start, end: end - 1, highWaterMark: READ_BYTES });
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    throw notNow("This piece of the stream is made again.");
  }
}

/** Marks a set as used. */
export async function touchSet(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found !== undefined && !isRecent(found.mtimeMs, TOUCH_MS)) await touch(folder);
}

/**
 * Removes the sets that were not used for longest while all together are too large, and those that nobody works on any
 * more. `keep`: a set that is about to be read. `inWork`: whether somebody works on one.
 */
export async function pruneSets(
  parent: string,
  { maxBytes, keep }: { readonly maxBytes: number; readonly keep: string },
  inWork: (id: string) => Promise<boolean>,
): Promise<void> {
  const sets: { folder: string; usedAt: number; size: number }[] = [];
  for (const id of await readdir(parent)) {
    const folder = join(parent, id);
    if (!(await isDone(folder))) {
      if (!(await inWork(id))) await rm(folder, { recursive: true, force: true });
      continue;
    }
    const usedAt = (await stat(folder).catch(() => undefined))?.mtimeMs ?? 0;
    sets.push({ folder, usedAt: id === keep ? Infinity : usedAt, size: await sizeOf(folder) });
  }
  let total = sets.reduce((sum, { size }) => sum + size, 0);
  for (const { folder, size, usedAt } of sets.toSorted((a, b) => a.usedAt - b.usedAt)) {
    if (total <= maxBytes || usedAt === Infinity) return;
    await rm(folder, { recursive: true, force: true });
    total -= size;
  }
}

/** Removes complete sets, from all who share the folder; resolves to how many. */
export async function removeSets(
  parent: string,
  match: (about: Provenance, createdAt: number) => boolean,
): Promise<number> {
  let removed = 0;
  for (const id of await readdir(parent).catch(() => [])) {
    const folder = join(parent, id);
    const origin = parsed<SetOrigin>(await readFile(join(folder, DONE), "utf8").catch(() => ""));
    if (origin === undefined || !match(origin, origin.createdAt)) continue;
    await rm(folder, { recursive: true, force: true });
    removed++;
  }
  return removed;
}

async function sizeOf(folder: string): Promise<number> {
  let size = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    size += (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0;
  }
  return size;
}
