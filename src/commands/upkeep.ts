/** windlass check, backup, restore: looking after what is stored. */
import type { Command } from "commander";
import { ConfigError } from "../config.ts";
import { dataPaths, requireStore, takeEmptyDirectory } from "../datadir.ts";
import { dataCommand, dataConfig, print, printJson, warn, withStore, type DataFlags } from "./shared.ts";

async function check(flags: DataFlags & { json?: true }): Promise<void> {
  const report = await withStore(flags, (store) => store.check());
  const { buckets, versions, blobs, bytes, garbage, problems } = report;
  if (flags.json) printJson(report);
  else {
    print(`${buckets} buckets, ${versions} versions, ${blobs} blobs, ${bytes} bytes read and compared.`);
    if (garbage > 0) print(`${garbage} files that nothing refers to; the sweeper removes them.`);
    for (const problem of problems) warn(problem);
    print(problems.length === 0 ? "All is well." : `${problems.length} problems.`);
  }
  if (problems.length > 0) process.exitCode = 1;
}

export function checkCommand(): Command {
  return dataCommand(
    "check",
    "compare every record with the bytes it names; ends with 1 when something is wrong",
  )
    .option("--json", "print JSON")
    .action(check);
}

/** What goes wrong here is a directory that won't do, a disk, or a file: the user's to judge, not a defect's trace. */
async function explained<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new ConfigError(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

async function makeBackup(directory: string, flags: DataFlags & { json?: true }): Promise<void> {
  const paths = dataPaths(await dataConfig(flags));
  requireStore(paths);
  const { backup } = await import("../store/backup.ts");
  const from = { database: paths.meta, blobs: paths.blobs };
  const manifest = await explained("The backup failed", () => backup(from, directory));
  if (flags.json) return printJson(manifest);
  print(`${manifest.blobs} blobs with ${manifest.bytes} bytes, and the metadata, are in ${directory}.`);
  print(`The key file ${paths.keyFile} is not among them: keep a copy of it somewhere else.`);
}

async function bringBack(directory: string, flags: DataFlags & { json?: true }): Promise<void> {
  const paths = dataPaths(await dataConfig(flags));
  const lock = takeEmptyDirectory(paths);
  try {
    const { restore } = await import("../store/backup.ts");
    const to = { database: paths.meta, blobs: paths.blobs };
    const manifest = await explained("The restore failed", () => restore(directory, to));
    if (flags.json) return printJson(manifest);
    print(`${manifest.blobs} blobs with ${manifest.bytes} bytes, and the metadata, are in ${paths.root}.`);
    print(`Put the key file at ${paths.keyFile} before you start the server.`);
  } finally {
    lock.release();
  }
}

export function backupCommand(): Command {
  return dataCommand("backup", "copy the store, server running or not; the key file is not included")
    .argument("<DIR>", "directory that is missing or empty")
    .option("--json", "print JSON")
    .action(makeBackup);
}

export function restoreCommand(): Command {
  return dataCommand("restore", "bring a backup back into an empty data directory, with the server stopped")
    .argument("<DIR>", "the backup")
    .option("--json", "print JSON")
    .action(bringBack);
}
