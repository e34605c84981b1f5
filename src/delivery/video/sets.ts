/**
 * Sets of segments on disk. A set is a folder that ffmpeg fills; any process that shares it serves what is there
 * already. `done` marks a complete one.
 */
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../blob/disk.ts";
import type { Provenance } from "../cache/entries.ts";
import { DeliveryError } from "../errors.ts";
import {
  manifest,
  masterPlaylist,
  MASTERS,
  mediaPlaylist,
  peakRate,
  segmentsOf,
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

export interface SetFile {
  /** Media type. */
  readonly type: string;
  readonly size: number;
  /** Bytes `start` (inclusive) to `end` (exclusive). */
  read(start: number, end: number): AsyncIterable<Buffer>;
}

export async function isDone(folder: string): Promise<boolean> {
  return (await stat(join(folder, DONE)).catch(() => undefined)) !== undefined;
}

export const describeSet = (folder: string, set: StreamSet): Promise<void> =>
  writeFile(join(folder, DESCRIPTION), JSON.stringify(set));

/** What its pieces turned out to be takes the place of what was foreseen of them. */
export async function measureSet(folder: string, set: StreamSet): Promise<void> {
  const renditions = set.renditions.map(async (rendition) => ({
    ...rendition,
    rate: await rateOf(folder, rendition.name),
  }));
  const audio = set.audio === undefined ? undefined : await rateOf(folder, "a0");
  await describeSet(folder, { ...set, audio, renditions: await Promise.all(renditions) });
}

async function rateOf(folder: string, name: string): Promise<number> {
  const seconds = segmentsOf((await readPlaylist(folder, `${name}.m3u8`)) ?? "");
  const pieces = seconds.map(async (one, n) => {
    const { size } = await stat(join(folder, segmentName(name, n)));
    return { seconds: one, bytes: size };
  });
  return peakRate(await Promise.all(pieces));
}
const segmentName = (name: string, n: number): string => `${name}.${String(n).padStart(5, "0")}.m4s`;

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

/** A file of a set as it is now; undefined: not there, or not yet of use to a player. `name` is one of a set's. */
export async function readSetFile(
  folder: string,
  name: string,
  how: Addressing & { readonly done: boolean },
): Promise<SetFile | undefined> {
  if (name === MASTERS.hls || name === MASTERS.dash) return readMaster(folder, name, how);
  if (name.endsWith(".m3u8")) {
    const text = await readPlaylist(folder, name);
    return text === undefined ? undefined : textFile(name, mediaPlaylist(text, how));
  }
  const path = join(folder, name);
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  return size === 0
    ? undefined
    : { type: typeOfSetFile(name), size, read: (from, to) => bytes(path, from, to) };
}

async function readMaster(
  folder: string,
  name: string,
  how: Addressing & { readonly done: boolean },
): Promise<SetFile | undefined> {
  const text = await readFile(join(folder, DESCRIPTION), "utf8").catch(() => "");
  const described = parsed<StreamSet>(text);
  if (described === undefined) return undefined;
  const names = [...described.renditions.map((rendition) => rendition.name), "a0"];
  const playlists = await Promise.all(names.map((one) => readPlaylist(folder, `${one}.m3u8`)));
  if (playlists[0] === undefined) return undefined;
  // A sound that begins late holds nothing up; at the end it is seen whether there was any.
  const silent = how.done && playlists.at(-1) === undefined;
  const set: StreamSet = { ...described, audio: silent ? undefined : described.audio };
  if (name === MASTERS.hls) return textFile(name, masterPlaylist(set, how));
  const segments = new Map(names.map((one, n) => [one, segmentsOf(playlists[n] ?? "")]));
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

/** Players give up where no segment is named. */
async function readPlaylist(folder: string, name: string): Promise<string | undefined> {
  const text = await readFile(join(folder, name), "utf8").catch(() => "");
  return text.includes("#EXTINF") ? text : undefined;
}

function textFile(name: string, text: string): SetFile {
  const data = Buffer.from(text);
  return {
    type: typeOfSetFile(name),
    size: data.length,
    read: (start, end) => once(data.subarray(start, end)),
  };
}

async function* once(chunk: Buffer): AsyncGenerator<Buffer> {
  yield chunk;
}

/** @throws DeliveryError ServiceUnavailable for what went since it was found: it is made again for who asks again */
async function* bytes(path: string, start: number, end: number): AsyncGenerator<Buffer> {
  if (end <= start) return;
  const stream = createReadStream(path, { start, end: end - 1, highWaterMark: READ_BYTES });
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    throw new DeliveryError("ServiceUnavailable", "This piece of the stream is made again.", [
      "Retry-After",
      "1",
    ]);
  }
}

/** Marks a set as used. */
export async function touchSet(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  const now = Date.now();
  if (found === undefined || now - found.mtimeMs < TOUCH_MS) return;
  await utimes(folder, now / 1000, now / 1000).catch(() => undefined);
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
