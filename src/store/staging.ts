/** Bytes on their way in: received onto stable storage before any name refers to them. */
import { BlobBroken, type BlobWriter } from "../blob/blob.ts";
import type { ChecksumAlgorithm } from "../lib/hashes.ts";
import { toStoreError, type Change, type Core } from "./core.ts";
import { StoreError } from "./errors.ts";
import { KEYS, type ReferenceOwner } from "./keys.ts";
import type { BlobRecord, VersionRecord } from "./records.ts";
import type { Staged } from "./types.ts";

/** A staged body whose fate the store tracks: what may be in a commit must not be removed. */
interface Tracked extends Staged {
  /** Set while a commit that names it is under way, and for ever when its outcome is unknown or success. */
  committed: boolean;
}

/** See ObjectStore.receive. */
export async function receive(
  core: Core,
  source: AsyncIterable<Buffer>,
  options: { size?: number; maxSize: number; checksums: readonly ChecksumAlgorithm[] },
): Promise<Staged> {
  await requireSpace(core, Math.min(options.size ?? 0, options.maxSize));
  const hasher = core.hashes.start({ md5: true, checksums: options.checksums }, options.size);
  const small: Buffer[] = [];
  let writer: BlobWriter | undefined;
  let size = 0;
  try {
    if ((options.size ?? 0) > options.maxSize) throw new StoreError("EntityTooLarge");
    if ((options.size ?? 0) > core.inlineBytes) writer = await core.blobs.create();
    for await (const chunk of source) {
      size += chunk.length;
      if (size > options.maxSize) throw new StoreError("EntityTooLarge");
      // Hashed and written at the same time; neither changes the chunk.
      const hashing = hasher.update(chunk);
      if (writer !== undefined) await writer.write(chunk);
      if (hashing !== undefined) await hashing;
      if (writer === undefined) {
        small.push(chunk);
        if (size > core.inlineBytes) {
          writer = await core.blobs.create();
          for (const waiting of small.splice(0)) await writer.write(waiting);
        }
      }
    }
    const [{ md5, checksums }] = await Promise.all([hasher.finish(), writer?.finish()]);
    const content: Staged["content"] =
      writer === undefined
        ? { kind: "inline", bytes: small.length === 1 ? small[0]! : Buffer.concat(small) }
        : { kind: "blob", blobId: writer.id };
    return track(core, { size, md5: md5!, checksums, content });
  } catch (error) {
    hasher.abandon();
    await writer?.abort();
    throw blobError(core, error);
  }
}

/** After a failed sync nobody may write any more; `health` tells those who have to know. */
function blobError(core: Core, error: unknown): unknown {
  if (error instanceof BlobBroken) core.blobFailure ??= error.message;
  return toStoreError(error);
}

/** Bytes that uploads leave free on the disk, so that deletes, clean-up and the log always have room (store rule 2.7). */
const FREE_BYTES_MIN = 64 << 20;
/** How old the last look at the disk may be. */
const SPACE_MS = 1000;

/** Whether so many bytes more leave enough free. @throws InsufficientStorage */
async function requireSpace(core: Core, size: number): Promise<void> {
  const { space } = core;
  const now = core.now();
  if (now < space.lookedAt || now - space.lookedAt > SPACE_MS) {
    space.lookedAt = now;
    space.freeBytes = await core.blobs.free();
  }
  if (space.freeBytes - size < FREE_BYTES_MIN) throw new StoreError("InsufficientStorage");
}

function track(core: Core, staged: Omit<Staged, "discard">): Staged {
  const tracked: Tracked = {
    ...staged,
    committed: false,
    discard: async () => {
      if (tracked.committed || tracked.content.kind !== "blob") return;
      tracked.committed = true;
      try {
        await core.blobs.remove(tracked.content.blobId);
      } catch (error) {
        core.log.warn({ err: error, blobId: tracked.content.blobId }, "an unused blob stays for the sweeper");
      }
    },
  };
  return tracked;
}

/**
 * Runs `work`, whose commit names the staged bytes. Only a refusal lets them be discarded later: after an unknown
 * outcome the commit may stand, and the sweeper judges (store rule 1.3).
 */
export async function whileCommitting<T>(staged: Staged, work: () => Promise<T>): Promise<T> {
  const tracked = staged as Tracked;
  tracked.committed = true;
  try {
    return await work();
  } catch (error) {
    // After a failed write of the database nobody knows what is on the disk.
    if (error instanceof StoreError && error.code !== "ServiceUnavailable") tracked.committed = false;
    throw error;
  }
}

/**
 * A blob that is to be named by a commit: its record, its first reference, and the check that its incarnation
 * lives (store rule 3.1).
 */
export function nameBlob(
  core: Core,
  change: Change,
  blobId: string,
  staged: { size: number; md5: string },
  owner: ReferenceOwner,
): void {
  change.checks.push({ key: KEYS.incarnation(core.blobs.incarnation), present: true });
  const record: BlobRecord = { r: 1, z: staged.size, h: staged.md5 };
  change.put(KEYS.blob(blobId), record);
  change.refer(blobId, owner);
}

/** Puts staged content into a version's record and into the commit. */
export function placeStaged(
  core: Core,
  change: Change,
  record: VersionRecord,
  staged: Staged,
  bodyId: number | undefined,
  owner: ReferenceOwner,
): void {
  if (staged.content.kind === "blob") {
    record.f = staged.content.blobId;
    nameBlob(core, change, staged.content.blobId, staged, owner);
  } else if (bodyId !== undefined) {
    record.b = bodyId;
    change.putBody(bodyId, staged.content.bytes);
  }
}

/** A small staged body as a blob, for those who can refer to blobs only (parts). */
export async function asBlob(core: Core, staged: Staged): Promise<Staged> {
  if (staged.content.kind === "blob") return staged;
  try {
    const writer = await core.blobs.create();
    try {
      await writer.write(staged.content.bytes);
      await writer.finish();
    } catch (error) {
      await writer.abort();
      throw error;
    }
    return track(core, { ...staged, content: { kind: "blob", blobId: writer.id } });
  } catch (error) {
    throw blobError(core, error);
  }
}
