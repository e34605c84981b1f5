/**
 * Who may be writing blobs: each process registers its incarnation before its first upload, and every commit that names
 * a new blob checks that the incarnation still stands. The sweeper ends dead ones first and removes their leftovers after,
 * so an upload in progress never looks like garbage (store rule 3.1).
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { commit, type Core } from "./core.ts";
import { KEYS } from "./keys.ts";
import { decode, encode, type IncarnationRecord } from "./records.ts";

/** A process says that it lives this far ahead, and says so again ten times as often. Judges those of other hosts. */
const LIFETIME_MS = 3 * 60 * 60 * 1000;
const RENEWALS = 10;

export interface Incarnation {
  /** Why this process may not write any more; undefined while it may. */
  ended(): string | undefined;
  close(): Promise<void>;
}

export async function registerIncarnation(core: Core): Promise<Incarnation> {
  const { incarnation } = core.blobs;
  const key = KEYS.incarnation(incarnation);
  const record = (): IncarnationRecord => ({
    r: 1,
    host: hostname(),
    pid: process.pid,
    started: startOf(process.pid) ?? "",
    until: core.now() + LIFETIME_MS,
  });
  await commit(core, { writes: [{ key, value: encode(record()) }] });
  let ended: string | undefined;
  const renew = async () => {
    const stands = await commit(core, {
      checks: [{ key, present: true }],
      writes: [{ key, value: encode(record()) }],
    });
    if (!stands) ended = "this process was taken for dead: restart it";
  };
  const timer = setInterval(() => {
    renew().catch((error: unknown) => core.log.warn({ err: error }, "the incarnation could not be renewed"));
  }, LIFETIME_MS / RENEWALS);
  timer.unref();
  return {
    ended: () => ended,
    async close() {
      clearInterval(timer);
      // Without a writer there is nothing to wait for: the sweeper finds that this process is gone.
      if (core.meta.health() !== undefined) return;
      await commit(core, { writes: [{ key, delete: true }] }).catch((error: unknown) =>
        core.log.warn({ err: error }, "the incarnation stays registered; the sweeper ends it"),
      );
    },
  };
}

/** Whether the process of that record may still be writing. */
export function mayLive(core: Core, value: Buffer): boolean {
  const { host, pid, started, until } = decode<IncarnationRecord>(value);
  if (host !== hostname()) return until > core.now();
  const start = startOf(pid);
  return start !== undefined && start === started;
}

/** When a process of this host started, in the kernel's own count; "" where it can't be had; undefined: it is gone. */
function startOf(pid: number): string | undefined {
  try {
    // After the name, which may hold blanks and brackets: field 22 of the line is the twentieth here.
    const line = readFileSync(`/proc/${pid}/stat`, "latin1");
    return line.slice(line.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    try {
      process.kill(pid, 0);
      return "";
    } catch {
      return undefined;
    }
  }
}
