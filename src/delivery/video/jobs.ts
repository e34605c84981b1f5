/**
 * Work that takes longer than a request waits: it goes on by itself, once for all who ask for it, in this process and in
 * those that share the folder.
 */
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isRecent } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { removeOlder } from "../cache/cache.ts";
import { isClaimed, tryClaim, type Claim } from "../claims.ts";
import { closing, DeliveryError, notNow, type DeliveryErrorCode } from "../errors.ts";
import { patientController, Turnstile } from "./turnstile.ts";

export interface JobStatus {
  readonly state: "queued" | "running" | "done" | "failed";
  /** 0 to 1. */
  readonly progress: number;
  /** Why it failed. */
  readonly message?: string;
}

export interface JobTools {
  readonly signal: AbortSignal;
  /** Told from 0 to 1. */
  readonly report: (part: number) => void;
}

/** What is made. Each has places of its own: players of a stream don't wait as long as who wants a film. */
export type Work = "film" | "stream";

export interface Job {
  readonly id: string;
  /** Whose work it is. */
  readonly account: string;
  /** Whichever process is asked how the job stands can tell from then on. Never fails. */
  readonly announced: Promise<void>;
  /** Fails as the work does. */
  readonly done: Promise<void>;
  readonly status: JobStatus;
}

interface Running extends Job {
  readonly kind: Work;
  status: JobStatus;
  /** Other processes hear of it from us; else we wait for one of them. */
  ours: boolean;
  error: unknown;
  endedAt: number;
}

export interface JobsOptions {
  readonly folder: string;
  readonly log: Logger;
  /** Of each kind of work. */
  readonly atOnce: number;
  readonly queueLength: number;
}

/** Jobs whose end one process remembers. */
const REMEMBERED_MAX = 200;
/** How often other processes are told how far a job is, in milliseconds. */
const TELL_MS = 1000;
/** Silence after which nobody believes that a job goes on, and age at which its end is forgotten, in milliseconds. */
const SILENT_MS = 20_000;
const FORGOTTEN_MS = 3_600_000;
/** How often that is looked for, in milliseconds. Stops each of thousands of short films from looking at all others. */
const SWEEP_MS = 60_000;
/** How often it is looked whether another process is done, in milliseconds. */
const LOOK_MS = 200;
/** What a source will not do better at once, and for how long it isn't tried again, in milliseconds. */
const FINAL: readonly DeliveryErrorCode[] = [
  "InvalidParameter",
  "UnsupportedSource",
  "DamagedSource",
  "LimitExceeded",
  "NotAvailable",
  "SourceTooLarge",
];
const FINAL_MS = 30_000;
const RETRY_SECONDS = 10;
const ID = /^[0-9a-f]{16,64}$/;

/** Of this process. */
export interface JobCounts {
  readonly running: number;
  /** In line for a place; those that another process has are not among them. */
  readonly waiting: number;
}

export class Jobs {
  readonly #options: JobsOptions;
  readonly #jobs = new Map<string, Running>();
  readonly #turnstiles: Readonly<Record<Work, Turnstile>>;
  readonly #closing = patientController();
  #sweptAt = 0;

  constructor(options: JobsOptions) {
    this.#options = options;
    const { atOnce } = options;
    this.#turnstiles = { film: new Turnstile(atOnce), stream: new Turnstile(atOnce) };
  }

  /**
   * The running job of this id, one that just failed for good, or a new one. When another process did the work first,
   * `work` is called all the same and should find what there is. Accounts take turns, and each may have a job in line,
   * however many others have.
   * @throws DeliveryError TooManyRenders
   */
  run(
    { id, account, kind }: Pick<Job, "id" | "account"> & { readonly kind: Work },
    work: (tools: JobTools) => Promise<void>,
  ): Job {
    const known = this.#jobs.get(id);
    if (known !== undefined && (isOpen(known) || isFinal(known))) return known;
    const { atOnce, queueLength } = this.#options;
    const open = [...this.#jobs.values()].filter((job) => job.kind === kind && isOpen(job));
    if (open.length >= atOnce + queueLength && open.some((job) => job.account === account)) {
      throw notNow("Too many films wait to be made.", RETRY_SECONDS, "TooManyRenders");
    }
    const status: JobStatus = { state: "queued", progress: 0 };
    const announced = this.#announce({ id, status });
    const job: Running = {
      id,
      account,
      kind,
      announced,
      status,
      ours: false,
      error: undefined,
      endedAt: 0,
      done: announced.then(() => this.#finish(job, work)),
    };
    // Whoever waits hears of it; nobody may be waiting.
    job.done.catch(() => undefined);
    this.#jobs.delete(id);
    this.#jobs.set(id, job);
    this.#forget();
    return job;
  }

  /** How a job stands that this process or another one does: all say what was told last, or it would seem to go back. */
  async status(id: string): Promise<JobStatus | undefined> {
    if (!ID.test(id)) return undefined;
    const own = this.#jobs.get(id);
    if (own !== undefined && !isOpen(own)) return own.status;
    const told = await readStatus(this.#pathOf(id));
    // What waits here is not over, whatever became of the work before.
    return told === undefined || (own !== undefined && isOver(told)) ? own?.status : told;
  }

  get counts(): JobCounts {
    const running = [...this.#jobs.values()].filter(({ status }) => status.state === "running").length;
    const { film, stream } = this.#turnstiles;
    return { running, waiting: film.waiting + stream.waiting };
  }

  /** Whether any process has work on it. */
  isClaimed(id: string): Promise<boolean> {
    return isClaimed(this.#claimOf(id));
  }

  /** Ends all work. */
  async close(): Promise<void> {
    this.#closing.abort(closing());
    await Promise.allSettled([...this.#jobs.values()].map(({ done }) => done));
  }

  async #finish(job: Running, work: (tools: JobTools) => Promise<void>): Promise<void> {
    try {
      await this.#work(job, work);
      job.status = { state: "done", progress: 1 };
    } catch (error) {
      const told = error instanceof DeliveryError;
      const message = told ? error.message : "The film could not be made.";
      if (!told) this.#options.log.error({ err: error, job: job.id }, "a film could not be made");
      job.error = error;
      job.status = { state: "failed", progress: job.status.progress, message };
      throw error;
    } finally {
      job.endedAt = Date.now();
      if (job.ours) await this.#tell(job);
      job.ours = false;
    }
  }

  async #work(job: Running, work: (tools: JobTools) => Promise<void>): Promise<void> {
    const { signal } = this.#closing;
    await using mine = await this.#claim(job.id, signal);
    job.ours = mine !== undefined;
    await this.#tell(job);
    const timer = setInterval(() => void this.#tell(job), TELL_MS);
    timer.unref();
    try {
      const report = (progress: number): void => {
        job.status = { state: "running", progress };
      };
      const take = async (): Promise<void> => {
        report(0);
        await this.#tell(job);
        return work({ signal, report });
      };
      await this.#turnstiles[job.kind].pass(signal, take, job.account);
    } finally {
      clearInterval(timer);
    }
  }

  /** Waits while another process has it. On a disk that takes no file each process works for itself. */
  async #claim(id: string, signal: AbortSignal): Promise<Claim | undefined> {
    const path = this.#claimOf(id);
    for (;;) {
      signal.throwIfAborted();
      try {
        const mine = await tryClaim(path);
        if (mine !== undefined) return mine;
      } catch (error) {
        this.#options.log.warn({ err: error, path }, "work on films can't be shared between processes");
        return undefined;
      }
      // Aborted it goes on at once, and is told above.
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #claimOf(id: string): string {
    return join(this.#options.folder, "claims", id);
  }
  #pathOf(id: string): string {
    return join(this.#options.folder, "jobs", `${id}.json`);
  }

  /** Tells of a job, unless the process that does it has told already. */
  async #announce(job: Pick<Job, "id" | "status">): Promise<void> {
    const told = await readStatus(this.#pathOf(job.id));
    if (told === undefined || isOver(told)) await this.#tell(job);
  }

  /** Tells other processes. Never fails: then they know less. */
  async #tell({ id, status }: Pick<Job, "id" | "status">): Promise<void> {
    const path = this.#pathOf(id);
    const draft = `${path}.${process.pid}`;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(draft, JSON.stringify(status));
      await rename(draft, path);
      if (isOver(status)) await this.#sweep();
    } catch (error) {
      this.#options.log.debug({ err: error, path }, "the state of a film could not be written");
    }
  }

  async #sweep(): Promise<void> {
    if (isRecent(this.#sweptAt, SWEEP_MS)) return;
    this.#sweptAt = Date.now();
    await removeOlder(join(this.#options.folder, "jobs"), FORGOTTEN_MS);
  }

  #forget(): void {
    for (const [id, job] of this.#jobs) {
      if (this.#jobs.size <= REMEMBERED_MAX) return;
      if (!isOpen(job)) this.#jobs.delete(id);
    }
  }
}

const isOpen = ({ status }: Job): boolean => !isOver(status);

const isFinal = ({ error, endedAt }: Running): boolean =>
  error instanceof DeliveryError && FINAL.includes(error.code) && isRecent(endedAt, FINAL_MS);

const isOver = ({ state }: JobStatus): boolean => state === "done" || state === "failed";

async function readStatus(path: string): Promise<JobStatus | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    const status = JSON.parse(text) as JobStatus;
    return isOver(status) || isRecent(mtimeMs, SILENT_MS) ? status : undefined;
  } catch {
    // No process has told of it.
    return undefined;
  }
}
