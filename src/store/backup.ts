/**
 * Backup and restore of the embedded engines. The order is what makes a backup whole (store rule 2.9): a lease that stops
 * the removal of blobs, the database as it is at one moment, the files which that snapshot names, the manifest last.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BlobDamaged, BlobMissing } from "../blob/blob.ts";
import { copyBlobFile, syncFolders, syncPath } from "../blob/copyfile.ts";
import { copyDatabase } from "../meta/copydatabase.ts";
import type { Key, Meta, Write } from "../meta/meta.ts";
import { openSqlite } from "../meta/sqlite.ts";
import { decodeKey, keyAfter } from "../meta/tuple.ts";
import { randomId } from "./core.ts";
import { KEYS } from "./keys.ts";
import { decode, encode, FORMAT, type BlobRecord, type LeaseRecord } from "./records.ts";
import { BACKUP_LEASE } from "./sweep.ts";

/** Where the embedded engines keep their files. */
export interface StorePaths {
  /** The database file. */
  database: string;
  /** The root of the blob files. */
  blobs: string;
}
export interface BackupManifest {
  format: number;
  /** ISO 8601. */
  createdAt: string;
  blobs: number;
  /** Of the blobs. */
  bytes: number;
}

const MANIFEST = "manifest.json";
const DATABASE = "meta.db";
const BLOBS = "blobs";
/** If the backup dies, blobs are removed again after this; it renews far more often. */
const LEASE_MS = 5 * 60_000;
const RENEW_MS = 60_000;
const PAGE = 500;
/** Files copied at a time. */
const CONCURRENT = 8;

/**
 * Copies a store, server running or not, into a directory that is missing or empty. The key file is not included.
 * @throws Error when the directory holds something, or a blob that is referred to is missing
 */
export async function backup(paths: StorePaths, directory: string): Promise<BackupManifest> {
  await requireEmpty(directory);
  const live = await openSqlite({ path: paths.database });
  try {
    const lease = await holdLease(live);
    try {
      await copyDatabase(paths.database, join(directory, DATABASE));
      const copied = await copyBlobs(join(directory, DATABASE), paths.blobs, join(directory, BLOBS));
      const manifest = { format: FORMAT, createdAt: new Date().toISOString(), ...copied };
      await writeFile(join(directory, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, {
        flag: "wx",
        mode: 0o600,
      });
      await syncPath(join(directory, MANIFEST));
      await syncPath(directory);
      return manifest;
    } finally {
      await lease.release();
    }
  } finally {
    await live.close();
  }
}

/**
 * Brings a backup back. No server may run on the target.
 * @throws Error when the backup is not whole or of a later format, or the target holds a store
 */
export async function restore(directory: string, paths: StorePaths): Promise<BackupManifest> {
  const text = await readFile(join(directory, MANIFEST), "utf8").catch(() => {
    throw new Error(`${directory} is no whole backup: it has no ${MANIFEST}`);
  });
  const manifest = JSON.parse(text) as BackupManifest;
  if (manifest.format > FORMAT)
    throw new Error(`The backup has format ${manifest.format}, this program knows formats up to ${FORMAT}`);
  await requireEmpty(paths.blobs);
  const copied = await copyBlobs(join(directory, DATABASE), join(directory, BLOBS), paths.blobs);
  if (copied.blobs !== manifest.blobs || copied.bytes !== manifest.bytes) {
    throw new Error(
      `The backup holds ${copied.blobs} blobs with ${copied.bytes} bytes, its manifest names ${manifest.blobs} with ${manifest.bytes}`,
    );
  }
  // Last: a target without a database is no store.
  await copyDatabase(join(directory, DATABASE), paths.database);
  await syncPath(dirname(paths.database));
  return manifest;
}

async function requireEmpty(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length > 0) throw new Error(`${directory} is not empty`);
}

/** Keeps every blob where it is until it is released, or for some minutes when this process dies. */
async function holdLease(meta: Meta): Promise<{ release(): Promise<void> }> {
  const holder = `${BACKUP_LEASE}-${randomId()}`;
  const key = KEYS.lease(holder);
  const take = async (writes: Write[] = []) => {
    const record: LeaseRecord = { r: 1, holder, until: Date.now() + LEASE_MS };
    await meta.commit({ reclaims: true, writes: [{ key, value: encode(record) }, ...writes] });
  };
  const others = await meta.scan(KEYS.leases(BACKUP_LEASE), { limit: PAGE });
  const dead = others.filter(({ value }) => decode<LeaseRecord>(value).until < Date.now());
  await take(dead.map((entry) => ({ key: entry.key, delete: true })));
  const timer = setInterval(() => {
    // A renewal that fails leaves four minutes for the next ones.
    take().catch(() => undefined);
  }, RENEW_MS);
  return {
    async release() {
      clearInterval(timer);
      await meta.commit({ writes: [{ key, delete: true }] });
    },
  };
}

/** Copies every blob that a database refers to, and makes the copies durable. */
async function copyBlobs(
  database: string,
  from: string,
  to: string,
): Promise<{ blobs: number; bytes: number }> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  const snapshot = await openSqlite({ path: database });
  const folders = new Set<string>();
  const total = { blobs: 0, bytes: 0 };
  const copyOne = async (id: string, size: number): Promise<void> => {
    const isReferred = (await snapshot.scan(KEYS.references(id), { limit: 1 })).length > 0;
    if (!isReferred) return;
    const copied = await copyBlobFile(from, to, id);
    if (copied.size !== size) throw new BlobDamaged(`Blob ${id} has ${copied.size} bytes instead of ${size}`);
    folders.add(copied.folder);
    total.blobs++;
    total.bytes += size;
  };
  try {
    const { start: first, end } = KEYS.blobs();
    for (let start: Key = first; ;) {
      const entries = await snapshot.scan({ start, end }, { limit: PAGE });
      for (let at = 0; at < entries.length; at += CONCURRENT) {
        const some = entries.slice(at, at + CONCURRENT);
        await Promise.all(
          some.map(({ key, value }) => copyOne(decodeKey(key)[1] as string, decode<BlobRecord>(value).z)),
        );
      }
      if (entries.length < PAGE) break;
      start = keyAfter(entries.at(-1)!.key);
    }
  } catch (error) {
    if (error instanceof BlobMissing || error instanceof BlobDamaged)
      throw new Error(`The copy is not whole: ${error.message}`, { cause: error });
    throw error;
  } finally {
    await snapshot.close();
  }
  await syncFolders(to, folders);
  return total;
}
