/** A worker process: serves requests on the sockets that all workers share. Started by primary.ts. */
import type { EventLoopUtilization } from "node:perf_hooks";
import { processFamilies, type Family } from "../admin/measures.ts";
import { createLogger } from "../lib/log.ts";
import { ensureRoot } from "../root.ts";
import { openServing, type Serving } from "../serving.ts";
import { openStorage, type Storage } from "../storage.ts";
import { obey, tell } from "./child.ts";
import type { ToChild } from "./messages.ts";

process.title = "windlass: worker";

/** Between two looks at the store's health. */
const FAILURE_MS = 500;
/** Over which the load is measured. */
const LOAD_MS = 1000;

let running: { serving: Serving; storage: Storage } | undefined;
let readonly: string | undefined;
/** How many there are. */
let workers = 1;
let questions = 0;
const waiting = new Map<number, (families: Family[][]) => void>();

async function start(message: ToChild & { kind: "start" }): Promise<void> {
  const { config, socket, number } = message;
  const name = `worker ${number}`;
  process.title = `windlass: ${name}`;
  readonly ??= message.readonly;
  ({ workers } = message);
  const log = createLogger({ level: config.logLevel, fd: 2, name });
  const storage = await openStorage(config, { writer: socket, log, readonly: () => readonly });
  // Once for all of them.
  const rootKey =
    number === 1 && readonly === undefined ? await ensureRoot(storage.store, config) : undefined;
  const serving = await openServing({
    config,
    storage,
    log,
    processName: name,
    workers,
    readonly: () => readonly,
    families: () =>
      new Promise((resolve) => {
        const id = questions++;
        waiting.set(id, resolve);
        tell({ kind: "measureAll", id });
      }),
  });
  running = { serving, storage };
  setInterval(() => tellFailure(storage), FAILURE_MS).unref();
  if (config.workers === undefined) tellLoad();
  tell({ kind: "ready", urls: serving.urls, ...(rootKey === undefined ? {} : { rootKey }) });
}

/** What the writer does not know of, such as a failed sync of a blob, everybody has to know. */
function tellFailure({ store, meta }: Storage): void {
  const reason = meta.health() === undefined ? store.health() : undefined;
  if (reason === undefined || readonly !== undefined) return;
  readonly = reason;
  tell({ kind: "broken", reason });
}

/** But for the first second, in which the program warms up. */
function tellLoad(): void {
  const { eventLoopUtilization } = performance;
  let before: EventLoopUtilization | undefined;
  setInterval(() => {
    const now = eventLoopUtilization();
    if (before !== undefined) tell({ kind: "load", load: eventLoopUtilization(now, before).utilization });
    before = now;
  }, LOAD_MS).unref();
}

/** A new worker gets its part of the clients as soon as those of the old ones connect again. */
function countWorkers(count: number): void {
  const more = count > workers;
  workers = count;
  running?.serving.share(count);
  if (more) running?.serving.shed();
}

async function end(): Promise<void> {
  await running?.serving.close();
  await running?.storage.close();
  process.exit(0);
}

obey(async (message) => {
  switch (message.kind) {
    case "start":
      return start(message);
    case "workers":
      return countWorkers(message.workers);
    case "retire":
      await running?.serving.retire();
      return end();
    case "drain":
      return end();
    case "reload":
      return running?.serving.reload();
    case "readonly":
      readonly = message.reason;
      return;
    case "measure": {
      const families = running?.serving.ownFamilies() ?? processFamilies("worker");
      tell({ kind: "measured", id: message.id, families });
      return;
    }
    case "measuredAll":
      waiting.get(message.id)?.(message.families);
      waiting.delete(message.id);
      return;
  }
});
