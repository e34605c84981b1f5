/** The sweeper: removes what nothing refers to any more, in bounded commits, in one process at a time. */
import type { Check, Entry, Write } from "../meta/meta.ts";
import { decodeKey, keyAfter } from "../meta/tuple.ts";
import { commit, NOTHING, type Core } from "./core.ts";
import { mayLive } from "./incarnation.ts";
import { KEYS, type GarbageKind } from "./keys.ts";
import { decode, encode, type LeaseRecord, type ManifestRecord, type PartRecord } from "./records.ts";

/** Queue entries and files of one pass, so that a pass takes seconds. */
const ENTRIES_MAX = 1000;
const FILES_MAX = 20_000;
/** Parts or files judged by one read and one commit. */
const BATCH = 500;
const LEASE_MS = 60_000;
/** Held by a backup: no blob may go while its files are copied. */
export const BACKUP_LEASE = "backup";
const SWEEP_LEASE = "sweep";

export interface Sweeper {
  sweep(): Promise<{ removed: number }>;
}

export function createSweeper(core: Core): Sweeper {
  /** Where the search of a dead incarnation's files goes on in the next pass. */
  const positions = new Map<string, AsyncIterator<string>>();
  return {
    async sweep() {
      const lease = await acquireLease(core);
      if (lease === undefined) return { removed: 0 };
      const removed = await sweepQueue(core, lease);
      return { removed: removed + (await sweepIncarnations(core, lease, positions)) };
    },
  };
}

/** The check that fences each of the sweeper's commits (store rule 6.5); undefined: somebody else sweeps, or a backup runs. */
async function acquireLease(core: Core): Promise<Check | undefined> {
  const now = core.now();
  const key = KEYS.lease(SWEEP_LEASE);
  const [value, backup] = await core.meta.getMany([key, KEYS.lease(BACKUP_LEASE)]);
  if (backup !== undefined && decode<LeaseRecord>(backup).until > now) return undefined;
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
  const value = await core.meta.get(KEYS.lease(BACKUP_LEASE));
  return value !== undefined && decode<LeaseRecord>(value).until > core.now();
}

async function sweepQueue(core: Core, lease: Check): Promise<number> {
  let removed = 0;
  const entries = await core.meta.scan(KEYS.garbageUntil(core.now()), { limit: ENTRIES_MAX });
  for (const entry of entries) {
    const [, , kind, id] = decodeKey(entry.key) as [string, number, GarbageKind, string];
    if (kind === "blob") removed += await sweepBlob(core, lease, entry, id);
    else if (kind === "manifest") await sweepManifest(core, lease, entry, id);
    else if (kind === "parts") await sweepParts(core, lease, entry, id);
    else {
      await fenced(core, lease, [
        { key: KEYS.completed(id), delete: true },
        { key: entry.key, delete: true },
      ]);
    }
  }
  return removed;
}

/** The file goes first, the queue entry second (store rule 3.2). A range of references once empty stays empty. */
async function sweepBlob(core: Core, lease: Check, entry: Entry, id: string): Promise<number> {
  const references = KEYS.references(id);
  const referred = (await core.meta.scan(references, { limit: 1 })).length > 0;
  if (!referred) {
    if (await backupRuns(core)) return 0;
    await core.blobs.remove(id);
  }
  const writes: Write[] = [{ key: entry.key, delete: true }];
  if (!referred) writes.push({ key: KEYS.blob(id), delete: true });
  await fenced(core, lease, writes, referred ? [] : [{ empty: references }]);
  return referred ? 0 : 1;
}

/** Takes a dead manifest's references to its blobs away, chunk by chunk, and then its entry. */
async function sweepManifest(core: Core, lease: Check, entry: Entry, id: string): Promise<void> {
  const references = KEYS.references(id);
  if ((await core.meta.scan(references, { limit: 1 })).length === 0) {
    const due = core.now() + core.graceMs;
    for (;;) {
      const [chunk] = await core.meta.scan(KEYS.manifests(id), { limit: 1 });
      if (chunk === undefined) break;
      const { segments } = decode<ManifestRecord>(chunk.value);
      const writes = segments.flatMap(([blobId, , , partNumber]): Write[] => [
        { key: KEYS.reference(blobId, { uploadId: id, partNumber }), delete: true },
        { key: KEYS.garbage(due, "blob", blobId), value: NOTHING },
      ]);
      if (
        !(await fenced(core, lease, [...writes, { key: chunk.key, delete: true }], [{ empty: references }]))
      )
        return;
    }
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
