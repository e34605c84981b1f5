/** How a database file is opened and created: the only place that does either, for readers, writer and command line. */
import Database from "better-sqlite3";
import { setTimeout as sleep } from "node:timers/promises";

export type Connection = Database.Database;
export type Statement = Database.Statement;

/** "WIND": what `file` and the check below know the database by. */
const APPLICATION_ID = 0x57494e44;
/** The version of the tables below. What the rows mean has a version of its own, kept by the store. */
const SCHEMA_VERSION = 1;

/** Bytes. Larger pages doubled the log, since every changed row writes a page. */
export const PAGE_BYTES = 4_096;
/** KiB of pages that one connection keeps. */
const CACHE_KIB = 8_192;
/** SQLite's number for FULL: every commit is synced. NORMAL, its default for a reopened log, loses commits. */
const SYNCHRONOUS_FULL = 2;
const AUTO_VACUUM_INCREMENTAL = 2;

/**
 * Counters are rows of their own table, so that adding to one touches a table which stays in memory. Body ids come
 * from `sequence`, never from SQLite: it gives a deleted last row's id to the next insert.
 */
const SCHEMA = `
  CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE body (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
  CREATE TABLE counter (k BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE sequence (name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO sequence VALUES ('body', 1);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Milliseconds to go on trying to open a file which another process is just creating or recovering. */
const OPEN_WAIT_MS = 10_000;

export interface ConnectionOptions {
  path: string;
  /** A reader never creates, and cannot change, the file. */
  readonly: boolean;
  /** Milliseconds that SQLite itself waits, and blocks this thread, for another process's lock. */
  busyMs: number;
}

/**
 * Opens a connection, creating the file and its tables when it writes and they are missing. Every setting that
 * durability or speed rests on is set and read back, because some silently don't take.
 * @throws Error when the file is not ours, is newer than this program, or refuses a setting
 */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const deadline = Date.now() + OPEN_WAIT_MS;
  for (;;) {
    const db = new Database(options.path, {
      readonly: options.readonly,
      fileMustExist: options.readonly,
      timeout: options.busyMs,
    });
    try {
      if (!options.readonly) createIfEmpty(db);
      verifyOwn(db, options.path);
      configure(db, options);
      return db;
    } catch (error) {
      db.close();
      // Turning on the log needs the file for itself, and fails at once rather than wait for a second opener.
      if (sqliteCode(error)?.startsWith("BUSY") !== true || Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}

/** What SQLite calls an error, without its prefix: "BUSY", "FULL", "IOERR_FSYNC", …; undefined for other errors. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? error.code.replace("SQLITE_", "") : undefined;
}

function createIfEmpty(db: Connection): void {
  if (db.pragma("application_id", { simple: true }) === APPLICATION_ID) return;
  if (db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get() !== 0) return;
  // Both are fixed by the first page ever written.
  db.pragma(`page_size = ${PAGE_BYTES}`);
  db.pragma(`auto_vacuum = ${AUTO_VACUUM_INCREMENTAL}`);
  db.pragma("journal_mode = WAL");
  db.pragma(`synchronous = ${SYNCHRONOUS_FULL}`);
  db.exec("BEGIN IMMEDIATE");
  if (db.pragma("application_id", { simple: true }) !== APPLICATION_ID) db.exec(SCHEMA);
  db.exec("COMMIT");
}

function configure(db: Connection, options: ConnectionOptions): void {
  set(db, "synchronous", SYNCHRONOUS_FULL);
  // Each foreign commit unmaps: beside a writer, mapped random reads cost twice as much.
  set(db, "mmap_size", 0);
  set(db, "cache_size", -CACHE_KIB);
  // The writer checkpoints between batches. A commit that did so by itself would stall whoever made it.
  set(db, "wal_autocheckpoint", 0);
  set(db, "busy_timeout", options.busyMs);
  set(db, "temp_store", 2);
  expect(db, "journal_mode", "wal");
  expect(db, "page_size", PAGE_BYTES);
  expect(db, "auto_vacuum", AUTO_VACUUM_INCREMENTAL);
}

function set(db: Connection, name: string, value: number): void {
  db.pragma(`${name} = ${value}`);
  expect(db, name, value);
}

function expect(db: Connection, name: string, value: number | string): void {
  const actual = db.pragma(name, { simple: true });
  if (actual !== value) throw new Error(`SQLite's ${name} is ${String(actual)} where ${value} is needed`);
}

function verifyOwn(db: Connection, path: string): void {
  if (db.pragma("application_id", { simple: true }) !== APPLICATION_ID) {
    throw new Error(`${path} is not a Windlass database`);
  }
  const version = Number(db.pragma("user_version", { simple: true }));
  if (version > SCHEMA_VERSION) {
    throw new Error(`${path} has table version ${version}; this program knows up to ${SCHEMA_VERSION}`);
  }
}
