import Database from "better-sqlite3";
import { open } from "node:fs/promises";
import { openConnection } from "./connection.ts";

/** Milliseconds that the copy waits, and blocks this thread, for a lock of the file it reads. */
const BUSY_MS = 10_000;

/**
 * Copies the database as it is at one moment, beside a running writer, into a new file that is on stable storage when
 * this resolves. The library's own `backup()` starts anew with every commit of a busy writer and would never end.
 * Blocks this thread: for a process that serves nobody.
 */
export async function copyDatabase(path: string, to: string): Promise<void> {
  const source = await openConnection({ path, readonly: true, busyMs: BUSY_MS });
  try {
    source.prepare("VACUUM INTO ?").run(to);
  } finally {
    source.close();
  }
  // The copy begins with the journal mode that openConnection refuses.
  const copy = new Database(to, { fileMustExist: true });
  copy.pragma("journal_mode = WAL");
  copy.close();
  const file = await open(to, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
