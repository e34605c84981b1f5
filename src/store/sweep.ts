/** The sweeper: removes what nothing refers to any more, in bounded commits, in one process at a time. */
import type { Check, Entry, Key, Write } from "../meta/meta.ts";
import { decodeKey, keyAfter } from "../meta/tuple.ts";
import { commit, NOTHING, type Core } from "./core.ts";
import { mayLive } from "./incarnation.ts";
import { KEYS, type GarbageKind } from "./keys.ts";
import { decode, encode, type LeaseRecord, type ManifestRecord, type PartRecord } from "./records.ts";

/** Queue entries that are read at once, and how often in one pass: overwrites make garbage by the hundreds a second. */
const ENTRIES_MAX = 1000;
const ROUNDS_MAX = 20;
/** Files of dead processes looked at in one pass, so that a pass takes seconds. */
const FILES_MAX = 20_000;
/** Parts or files judged by one read and one commit. */
const BATCH = 500;
/** Blobs removed under one commit. */
const BLOBS = 100;
const LEASE_MS = 60_000;
/** How the leases of backups begin, each of which has its own: no blob may go while its files are copied. */
export const BACKUP_LEASE = "backup";
/** Backups that are looked at; those that died are removed by the next. */
const BACKUPS_MAX = 100;
const SWEEP_LEASE = "sweep";

export interface Sweeper {
  sweep(): Promise<{ removed: number }>;
}

export function createSweeper(core: Core): Sweeper {
  /** Where the search of a dead incarnation's files goes on in the next pass. */
  const positions = new Map<string, AsyncIterator<string>>();
  return {
    async sweep() {
      let removed = 0;
      let start: Key | undefined;
      for (let round = 1; ; round++) {
        const lease = await acquireLease(core);
        if (lease === undefined) return { removed };
        const done = await sweepQueue(core, lease, start);
        removed += done.removed;
        start = done.next;
        if (start === undefined || round === ROUNDS_MAX)
          return { removed: removed + (await sweepIncarnations(core, lease, positions)) };
      }
    },
  };
}

/** The check that fences each of the sweeper's commits (store rule 6.5); undefined: somebody else sweeps, or a backup runs. */
async function acquireLease(core: Core): Promise<Check | undefined> {
  const now = core.now();
  const key = KEYS.lease(SWEEP_LEASE);
  if (await backupRuns(core)) return undefined;
  const value = await core.meta.get(key);
  const current = value === undefined ? undefined : decode<LeaseRecord>(value);
  const holder = core.blobs.incarnation;
  if (current !== undefined && current.holder !== holder && current.until > now) return undefined;
  const record: LeaseRecord = { r: 1, holder, until: now + LEASE_MS };
  const mine = encode(record);
  const won = await commit(core, {
    reclaims: true,
    checks: [value === undefined ? { key, absent: true } : { key, value }],
    writes: [{ key, value: mine }],
  });
  return won ? { key, value: mine } : undefined;
}

/** Fenced by the lease, and undone by a backup that began in the meantime. */
function fenced(core: Core, lease: Check, writes: Write[], checks: Check[] = []): Promise<boolean> {
  return commit(core, { reclaims: true, checks: [lease, ...checks], writes });
}

async function backupRuns(core: Core): Promise<boolean> {
  const leases = await core.meta.scan(KEYS.leases(BACKUP_LEASE), { limit: BACKUPS_MAX });
  return leases.some(({ value }) => decode<LeaseRecord>(value).until > core.now());
}

/** One stretch of the queue; `next`: where the rest of what is due begins. */
async function sweepQueue(
  core: Core,
  lease: Check,
  from: Key | undefined,
): Promise<{ removed: number; next: Key | undefined }> {
  const { start, end } = KEYS.garbageUntil(core.now());
  const entries = await core.meta.scan({ start: from ?? start, end }, { limit: ENTRIES_MAX });
  const blobs: Garbage[] = [];
  for (const entry of entries) {
    const [, , kind, id] = decodeKey(entry.key) as [string, number, GarbageKind, string];
    if (kind === "blob") blobs.push({ entry, id });
    else if (kind === "manifest") await sweepManifest(core, lease, entry, id);
    else if (kind === "parts") await sweepParts(core, lease, entry, id);
    else {
      await fenced(core, lease, [
        { key: KEYS.completed(id), delete: true },
        { key: entry.key, delete: true },
      ]);
    }
  }
  let removed = 0;
  for (let at = 0; at < blobs.length; at += BLOBS) {
    const count = await sweepBlobs(core, lease, blobs.slice(at, at + BLOBS));
    if (count === undefined) return { removed, next: undefined };
    removed += count;
  }
  return { removed, next: entries.length < ENTRIES_MAX ? undefined : keyAfter(entries.at(-1)!.key) };
}

interface Garbage {
  entry: Entry;
  id: string;
}

/**
 * The files go first, the queue entries second (store rule 3.2). A range of references once empty stays empty.
 * Undefined: a backup has begun, or the lease is lost.
 */
async function sweepBlobs(core: Core, lease: Check, some: readonly Garbage[]): Promise<number | undefined> {
  if (await backupRuns(core)) return undefined;
  const free: Garbage[] = [];
  for (const garbage of some) {
    const [reference] = await core.meta.scan(KEYS.references(garbage.id), { limit: 1 });
    if (reference === undefined) free.push(garbage);
    else await keep(core, lease, garbage.entry, reference.key);
  }
  if (free.length === 0) return 0;
  for (const { id } of free) await core.blobs.remove(id);
  const done = await fenced(
    core,
    lease,
    free.flatMap(({ entry, id }): Write[] => [
      { key: entry.key, delete: true },
      { key: KEYS.blob(id), delete: true },
    ]),
    free.map(({ id }) => ({ empty: KEYS.references(id) })),
  );
  return done ? free.length : undefined;
}

/**
 * Takes an entry out of the queue because of a reference, if that still stands: whoever released it in the meantime
 * may have put an entry of the same name there, which must stay.
 */
async function keep(core: Core, lease: Check, entry: Entry, reference: Key): Promise<void> {
  await fenced(core, lease, [{ key: entry.key, delete: true }], [{ key: reference, present: true }]);
}

/** Takes a dead manifest's references to its blobs away, chunk by chunk, and then its entry. */
async function sweepManifest(core: Core, lease: Check, entry: Entry, id: string): Promise<void> {
  const references = KEYS.references(id);
  const [reference] = await core.meta.scan(references, { limit: 1 });
  if (reference !== undefined) return keep(core, lease, entry, reference.key);
  const due = core.now() + core.graceMs;
  for (;;) {
    const [chunk] = await core.meta.scan(KEYS.manifests(id), { limit: 1 });
    if (chunk === undefined) break;
    const { segments } = decode<ManifestRecord>(chunk.value);
    const writes = segments.flatMap(([blobId, , , partNumber]): Write[] => [
      { key: KEYS.reference(blobId, { uploadId: id, partNumber }), delete: true },
      { key: KEYS.garbage(due, "blob", blobId), value: NOTHING },
    ]);
    if (!(await fenced(core, lease, [...writes, { key: chunk.key, delete: true }], [{ empty: references }])))
      return;
  }
  await fenced(core, lease, [{ key: entry.key, delete: true }]);
}

/** The parts of a finished or aborted upload: their rows, and the blobs of those that no manifest took over. */
async function sweepParts(core: Core, lease: Check, entry: Entry, uploadId: string): Promise<void> {
  const unused = JSON.parse(entry.value.toString()) as number[] | "all";
  const released = unused === "all" ? undefined : new Set(unused);
  const due = core.now() + core.graceMs;
  for (;;) {
    const parts = await core.meta.scan(KEYS.parts(uploadId), { limit: BATCH });
    if (parts.length === 0) break;
    const writes = parts.flatMap(({ key, value }): Write[] => {
      const partNumber = decodeKey(key)[2] as number;
      const isFree = released === undefined || released.has(partNumber);
      const { segments } = decode<PartRecord>(value);
      return [
        { key, delete: true },
        ...(isFree ? segments : []).flatMap(([blobId]): Write[] => [
          { key: KEYS.reference(blobId, { uploadId, partNumber }), delete: true },
          { key: KEYS.garbage(due, "blob", blobId), value: NOTHING },
        ]),
      ];
    });
    if (!(await fenced(core, lease, writes))) return;
  }
  await fenced(core, lease, [{ key: entry.key, delete: true }]);
}

/** Ends incarnations whose process is gone, and removes the files that they left without a name. */
async function sweepIncarnations(
  core: Core,
  lease: Check,
  positions: Map<string, AsyncIterator<string>>,
): Promise<number> {
  let removed = 0;
  let files = 0;
  for (const incarnation of await core.blobs.incarnations()) {
    if (incarnation === core.blobs.incarnation) continue;
    const key = KEYS.incarnation(incarnation);
    const [value, swept] = await core.meta.getMany([key, KEYS.swept(incarnation)]);
    if (swept !== undefined) continue;
    if (value !== undefined) {
      if (mayLive(core, value)) continue;
      if (!(await fenced(core, lease, [{ key, delete: true }], [{ key, value }]))) continue;
    }
    const position = positions.get(incarnation) ?? core.blobs.list(incarnation)[Symbol.asyncIterator]();
    positions.set(incarnation, position);
    for (; files < FILES_MAX; files += BATCH) {
      const ids = await take(position, BATCH);
      if (await backupRuns(core)) {
        positions.delete(incarnation);
        return removed;
      }
      removed += await removeNameless(core, ids);
      if (ids.length === BATCH) continue;
      positions.delete(incarnation);
      await fenced(core, lease, [{ key: KEYS.swept(incarnation), value: NOTHING }]);
      break;
    }
  }
  await forgetEnded(core, lease);
  return removed;
}

/** Records of processes that died without leaving any file. */
async function forgetEnded(core: Core, lease: Check): Promise<void> {
  let { start, end } = KEYS.incarnations();
  for (;;) {
    const entries = await core.meta.scan({ start, end }, { limit: BATCH });
    for (const { key, value } of entries) {
      if (!mayLive(core, value)) await fenced(core, lease, [{ key, delete: true }], [{ key, value }]);
    }
    if (entries.length < BATCH) return;
    start = keyAfter(entries.at(-1)!.key);
  }
}

async function take(iterator: AsyncIterator<string>, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const next = await iterator.next();
    if (next.done === true) break;
    ids.push(next.value);
  }
  return ids;
}

/** Every blob that was ever named has a record until the sweeper removes it. */
async function removeNameless(core: Core, ids: readonly string[]): Promise<number> {
  const records = await core.meta.getMany(ids.map((id) => KEYS.blob(id)));
  const nameless = ids.filter((_, n) => records[n] === undefined);
  for (const id of nameless) await core.blobs.remove(id);
  return nameless.length;
}
