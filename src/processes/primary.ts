/**
 * The primary process: starts the writer and the workers, starts again what crashed, and stops everything in order.
 * It serves nothing itself, so that nothing a client sends can bring it down.
 */
import { fork, type ChildProcess } from "node:child_process";
import cluster, { type Worker } from "node:cluster";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { processFamilies, type Family } from "../admin/measures.ts";
import { ConfigError, DRAIN_MS, workersMax, type Config } from "../config.ts";
import type { Logger } from "../lib/log.ts";
import { programUrl } from "../lib/program.ts";
import type { RootKey } from "../root.ts";
import type { Urls } from "../serving.ts";
import { Demand } from "./demand.ts";
import { closeWithWorker } from "./handoff.ts";
import type { FromChild, ToChild } from "./messages.ts";
import { Tally } from "./tally.ts";

/** First and longest wait before a crashed child is started again: a crash loop must not eat the machine. */
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 30_000;
/** A child that lived this long had a start of its own; its crash begins a new count. */
const HEALTHY_MS = 30_000;
/** Of a child that does not answer within this the metrics have what it said before. */
const MEASURE_MS = 1000;
/** For what comes after the drain's own deadline; then the child is killed. */
const EXTRA_MS = 3000;
/** File operations and syncs of one process at the same time; libuv's own 4 would let four slow uploads hold up all others. */
const THREADS = 16;

/**
 * MiB. Of each half of the young generation: Node's own 16 make a busy worker 25 MiB larger and nothing measurably faster. Of
 * the old one when it is collected first, as in a process that runs for long: what the start left lies there until then, and
 * V8 would let it grow to 40. What the operator says to this process holds for its children too, and comes last.
 */
const HEAP = ["--max-semi-space-size=4", "--initial-old-space-size=8"];
const execArgv = (): string[] => [...HEAP, ...process.execArgv];

export interface Primary {
  readonly urls: Urls;
  /** The root account's key, when it was generated just now. */
  readonly rootKey: RootKey | undefined;
  reload(): void;
  /** Drains the workers, then the writer. */
  stop(): Promise<void>;
  /** Kills everything at once. */
  kill(): void;
}

interface Slot {
  readonly name: string;
  /** 0: the writer. */
  readonly number: number;
  readonly child: ChildProcess;
  /** "begun" when it was told to start, "retiring" when it was told to end because fewer are needed. */
  state: "forked" | "loaded" | "begun" | "ready" | "retiring";
  readonly gone: Promise<void>;
  readonly startedAt: number;
  readonly crashes: number;
}

interface Measuring {
  missing: Set<Slot>;
  done: () => void;
}

export async function startPrimary(config: Config, socket: string, log: Logger): Promise<Primary> {
  const supervisor = new Supervisor(config, socket, log);
  try {
    return await supervisor.start();
  } catch (error) {
    supervisor.kill();
    throw error;
  }
}

class Supervisor {
  readonly #config: Config;
  readonly #socket: string;
  readonly #log: Logger;
  /** By number: the writer's, and those of the workers without a gap. */
  readonly #slots: Slot[] = [];
  readonly #demand: Demand;
  readonly #measurings = new Map<number, Measuring>();
  readonly #tally = new Tally();
  #stopping = false;
  #started = false;
  #writerReady = false;
  /** Why nothing can be written any more. */
  #readonly: string | undefined;
  #measures = 0;
  #urls: Urls | undefined;
  #rootKey: RootKey | undefined;
  #settleStart: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(config: Config, socket: string, log: Logger) {
    this.#config = config;
    this.#socket = socket;
    this.#log = log;
    this.#demand = new Demand(initialWorkers(config), workersMax(config));
  }

  async start(): Promise<Primary> {
    cluster.setupPrimary({ exec: programPath("./worker.ts"), args: [], execArgv: execArgv() });
    const started = new Promise<void>((resolve, reject) => {
      this.#settleStart = { resolve, reject };
    });
    // The workers load their programs while the writer opens the database; they begin when it is ready.
    for (let number = 0; number <= initialWorkers(this.#config); number++) this.#spawn(number);
    await started;
    this.#started = true;
    return {
      urls: this.#urls!,
      rootKey: this.#rootKey,
      reload: () => this.#broadcast({ kind: "reload" }),
      stop: () => this.stop(),
      kill: () => this.kill(),
    };
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const [writer, ...workers] = this.#slots;
    await Promise.all(workers.map((slot) => this.#end(slot, DRAIN_MS + EXTRA_MS)));
    // Last, because the workers' requests need it to the end.
    if (writer !== undefined) await this.#end(writer, EXTRA_MS);
  }

  kill(): void {
    this.#stopping = true;
    for (const { child } of this.#slots) child.kill("SIGKILL");
  }

  async #end(slot: Slot, deadlineMs: number): Promise<void> {
    send(slot.child, { kind: "drain" });
    const late = new AbortController();
    await Promise.race([
      slot.gone,
      sleep(deadlineMs, undefined, { signal: late.signal })
        .then(() => {
          this.#log.warn({ child: slot.name }, "did not end in time and is killed");
          slot.child.kill("SIGKILL");
          return slot.gone;
        })
        .catch(() => undefined),
    ]);
    late.abort();
  }

  /** Starts the writer (0) or a worker, in its old place when there was one. */
  #spawn(number: number, crashes = 0): void {
    const env = { ...process.env, UV_THREADPOOL_SIZE: process.env["UV_THREADPOOL_SIZE"] ?? String(THREADS) };
    const child =
      number === 0
        ? fork(programPath("./writer.ts"), [], { env, execArgv: execArgv() })
        : processOf(cluster.fork(env));
    const slot: Slot = {
      name: number === 0 ? "writer" : `worker ${number}`,
      number,
      child,
      state: "forked",
      gone: new Promise((resolve) => child.once("exit", () => resolve())),
      startedAt: Date.now(),
      crashes,
    };
    this.#slots[number] = slot;
    child.on("message", (message) => this.#hear(slot, message as FromChild));
    child.on("error", (error) => {
      // The exit that follows says what it means.
      if (!this.#stopping) this.#log.warn({ err: error, child: slot.name }, "channel failed");
    });
    child.on("exit", (code, signal) => this.#ended(slot, signal ?? `code ${code}`));
  }

  /** Tells whoever is loaded to start; workers only once there is a writer. */
  #beginLoaded(): void {
    for (const slot of this.#slots) {
      if (slot.state === "loaded" && (slot.number === 0 || this.#writerReady)) this.#begin(slot);
    }
  }

  #begin(slot: Slot): void {
    const { child, number } = slot;
    slot.state = "begun";
    const { length: workers } = this.#workers();
    const message: ToChild = { kind: "start", config: this.#config, socket: this.#socket, number, workers };
    send(child, this.#readonly === undefined ? message : { ...message, readonly: this.#readonly });
  }

  #hear(slot: Slot, message: FromChild): void {
    switch (message.kind) {
      case "loaded":
        slot.state = "loaded";
        return this.#beginLoaded();
      case "ready":
        return this.#isReady(slot, message);
      case "load":
        return this.#weigh(slot, message.load);
      case "failed":
        this.#log.error({ child: slot.name, reason: message.message }, "failed to start");
        if (!this.#started) this.#settleStart?.reject(new ConfigError(message.message));
        return;
      case "broken":
        this.#readonly ??= message.reason;
        this.#log.fatal(
          { child: slot.name, reason: message.reason },
          "nothing is written until the server is restarted",
        );
        this.#broadcast({ kind: "readonly", reason: message.reason });
        return;
      case "measured": {
        if (this.#slots[slot.number] === slot && lives(slot.child)) {
          this.#tally.hear(slot.number, message.families);
        }
        const measuring = this.#measurings.get(message.id);
        if (measuring?.missing.delete(slot) && measuring.missing.size === 0) measuring.done();
        return;
      }
      case "measureAll":
        void this.#measureAll().then((families) =>
          send(slot.child, { kind: "measuredAll", id: message.id, families }),
        );
        return;
    }
  }

  #isReady(slot: Slot, message: FromChild & { kind: "ready" }): void {
    slot.state = "ready";
    if (slot.number === 0) {
      this.#writerReady = true;
      this.#beginLoaded();
    }
    if (message.urls !== undefined && slot.number === 1) this.#urls ??= message.urls;
    this.#rootKey ??= message.rootKey;
    if (this.#started) {
      this.#log.info({ child: slot.name }, slot.crashes > 0 ? "is ready again" : "is ready");
      // Those that were there make room for a new one.
      this.#tellWorkers();
    } else if (this.#slots.every(({ state }) => state === "ready")) this.#settleStart?.resolve();
  }

  /** The workers that stay. */
  #workers(): Slot[] {
    return this.#slots.filter(({ number, state }) => number > 0 && state !== "retiring");
  }

  #tellWorkers(): void {
    this.#broadcast({ kind: "workers", workers: this.#workers().length });
  }

  /** One worker more, or fewer, when all that there are serve and have had their say. */
  #weigh({ number }: Slot, load: number): void {
    if (this.#stopping || !this.#slots.every(({ state }) => state === "ready")) return;
    const wish = this.#demand.hear(number, load, performance.now());
    if (wish === undefined) return;
    const last = this.#slots.at(-1)!;
    if (wish === "more") {
      this.#log.info({ child: `worker ${this.#slots.length}` }, "is started: there is work for it");
      this.#spawn(this.#slots.length);
    } else {
      this.#log.info({ child: last.name }, "ends when its work is done: the others have time enough");
      last.state = "retiring";
      send(last.child, { kind: "retire" });
      this.#tellWorkers();
    }
    this.#demand.changed(this.#workers().length);
  }

  #ended(slot: Slot, how: string): void {
    if (this.#stopping || this.#slots[slot.number] !== slot) return;
    this.#tally.end(slot.number);
    if (slot.state === "retiring") {
      this.#slots.pop();
      return;
    }
    if (!this.#started) {
      this.#settleStart?.reject(new ConfigError(`The ${slot.name} ended at its start (${how}).`));
      return;
    }
    if (slot.number === 0 && this.#readonly !== undefined) {
      // After an I/O error nobody knows what is on the disk; a new writer would find nothing wrong and go on.
      this.#log.fatal({ child: slot.name, how }, "ended after an I/O error and is not started again");
      return;
    }
    const crashes = Date.now() - slot.startedAt > HEALTHY_MS ? 1 : slot.crashes + 1;
    const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (crashes - 1));
    this.#log.error({ child: slot.name, how, delayMs }, "ended and is started again");
    setTimeout(() => {
      if (!this.#stopping) this.#spawn(slot.number, crashes);
    }, delayMs);
  }

  #broadcast(message: ToChild): void {
    for (const { child } of this.#slots) send(child, message);
  }

  async #measureAll(): Promise<Family[][]> {
    const asked = this.#slots.filter(
      ({ state, child }) => (state === "ready" || state === "retiring") && child.connected,
    );
    const id = this.#measures++;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, MEASURE_MS);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#measurings.set(id, { missing: new Set(asked), done });
      for (const { child } of asked) send(child, { kind: "measure", id });
    });
    this.#measurings.delete(id);
    return [processFamilies("primary"), ...this.#tally.families()];
  }
}

/** Who doesn't say how many workers there are has one, and others while they are needed. */
const initialWorkers = ({ workers }: Config): number => workers ?? 1;

/** A child that is just ending can't be told anything more; its exit is heard of elsewhere. */
function send(child: ChildProcess, message: ToChild): void {
  if (child.connected) child.send(message, () => undefined);
}

/** What a child had sent may be heard after its end. */
const lives = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;

function processOf(worker: Worker): ChildProcess {
  // Cluster repeats the channel's errors here, where one that nobody hears would end the primary.
  worker.on("error", () => undefined);
  closeWithWorker(worker.process);
  return worker.process;
}

const programPath = (name: string): string => fileURLToPath(programUrl(import.meta.url, name));
