/** A directory for one test's database and socket. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "../../../src/lib/log.ts";

export interface Place {
  directory: string;
  path: string;
  socket: string;
  remove(): Promise<void>;
}

export const silent = createLogger({ level: "silent" });

export async function newPlace(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), "meta-"));
  return {
    directory,
    path: join(directory, "meta.db"),
    socket: join(directory, "writer"),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Runs a command to its end; false when it fails. */
export function succeeds(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
