/**
 * Carrying out many commits with one fsync, on the one connection that writes, and what each error of SQLite's means.
 * Synchronous throughout: while this runs, further commits gather in the writer's socket.
 */
import type { Logger } from "../lib/log.ts";
import { MetaError, type Commit } from "./meta.ts";
import { Applier } from "./apply.ts";
import { Checkpointer } from "./checkpoint.ts";
import { PAGE_BYTES, sqliteCode, type Connection, type Statement } from "./connection.ts";
import type { Reserve } from "./reserve.ts";

/** What is asked of the writer: a commit, or so many body ids. */
export type Work = Commit | { takeIds: number };
/** A commit's outcome, the first of the ids, or why there is none. */
export type Outcome = boolean | number | Error;

/** Pages given back in one slice: a transaction of a few milliseconds. */
const VACUUM_PAGES = 256;
/** Free pages that are kept for reuse rather than given back. */
const FREE_PAGES_KEPT = 4_096;

/** What an error of SQLite's means for what comes next. "defect": the one commit is at fault, not the store. */
type Verdict = "busy" | "full" | "fatal" | "defect";

export class Committer {
  readonly #db: Connection;
  readonly #applier: Applier;
  readonly #checkpointer: Checkpointer;
  readonly #freePages: Statement;
  readonly #reserve: Reserve | undefined;
  readonly #log: Logger | undefined;
  /** Why nothing is written until a restart: after a failed fsync the next may succeed though pages were lost. */
  #broken: string | undefined;
  /** The reserve is released: only commits that reclaim space are carried out. */
  #tight = false;

  constructor(db: Connection, options: { logBytesMax: number; reserve?: Reserve; log?: Logger }) {
    this.#db = db;
    this.#log = options.log;
    this.#applier = new Applier(db);
    this.#checkpointer = new Checkpointer(db, options.logBytesMax);
    this.#freePages = db.prepare("PRAGMA freelist_count").pluck();
    this.#reserve = options.reserve;
  }

  /** Why writes are impossible now; "" when they are possible. */
  get trouble(): string {
    if (this.#broken !== undefined) return this.#broken;
    return this.#tight ? "The disk is full: only deletions are accepted until space is free" : "";
  }

  get broken(): string | undefined {
    return this.#broken;
  }

  /**
   * One outcome for each piece of work, in its order, or "busy": another process holds the write lock, nothing was
   * done, try again later.
   */
  run(batch: readonly Work[]): Outcome[] | "busy" {
    if (this.#broken !== undefined) return batch.map(() => this.#readonlyError());
    if (this.#tight) return this.#runTight(batch);
    let outcomes: Outcome[];
    try {
      outcomes = this.#transaction(batch);
    } catch (error) {
      const verdict = judge(error);
      if (verdict === "busy") return "busy";
      if (verdict === "fatal") return this.#break(error, batch);
      if (verdict === "full") return this.#runSingly(batch);
      return batch.length === 1 ? [asError(error)] : batch.map((work) => this.#runAlone(work));
    }
    this.#upkeep();
    return outcomes;
  }

  /** Work for idle moments. True: there is more of it. */
  idle(): boolean {
    if (this.#broken !== undefined) return false;
    try {
      const state = this.#checkpointer.run(Date.now());
      const more = this.#vacuum();
      this.#keepReserve(state.frames);
      return more || this.#tight;
    } catch (error) {
      this.#excuse(error);
      return true;
    }
  }

  /** Folds the log into the file where no reader forbids it. After an I/O error the file is left as it is. */
  close(): void {
    if (this.#broken === undefined) this.#db.close();
  }

  #transaction(batch: readonly Work[]): Outcome[] {
    const applier = this.#applier;
    applier.begin();
    let committing = false;
    try {
      const outcomes = batch.map((work) =>
        "takeIds" in work ? applier.takeBodyIds(work.takeIds) : applier.apply(work),
      );
      committing = true;
      applier.commit();
      return outcomes;
    } catch (error) {
      applier.rollback();
      // The frames may be in the log already, to be found by the next recovery.
      throw committing && judge(error) === "fatal" ? new FatalAtCommit(error) : error;
    }
  }

  /** The disk is full, as a group: what fits alone is done, deletions first, since they may make room. */
  #runSingly(batch: readonly Work[]): Outcome[] {
    const outcomes: Outcome[] = [];
    for (const [index, work] of batch.entries()) {
      if (reclaims(work)) outcomes[index] = this.#runReclaiming(work);
    }
    for (const [index, work] of batch.entries()) {
      if (!reclaims(work)) outcomes[index] = this.#tight ? fullError() : this.#runAlone(work);
    }
    return outcomes;
  }

  #runReclaiming(work: Work): Outcome {
    const outcome = this.#runAlone(work);
    if (!(outcome instanceof MetaError) || outcome.kind !== "full" || !this.#release()) return outcome;
    return this.#runAlone(work);
  }

  /** With the reserve released: deletions, together; all else is refused, or it would use the reserve up. */
  #runTight(batch: readonly Work[]): Outcome[] | "busy" {
    const reclaiming = batch.filter(reclaims);
    let done: Outcome[] = [];
    try {
      if (reclaiming.length > 0) done = this.#transaction(reclaiming);
    } catch (error) {
      const verdict = judge(error);
      if (verdict === "busy") return "busy";
      if (verdict === "fatal") return this.#break(error, batch);
      done = reclaiming.map((work) => this.#runAlone(work));
    }
    this.#upkeep();
    const results = done.values();
    return batch.map((work) => (reclaims(work) ? results.next().value! : fullError()));
  }

  #runAlone(work: Work): Outcome {
    if (this.#broken !== undefined) return this.#readonlyError();
    try {
      return this.#transaction([work])[0]!;
    } catch (error) {
      const verdict = judge(error);
      if (verdict === "fatal") return this.#break(error, [work])[0]!;
      if (verdict === "full") return fullError(error);
      if (verdict === "busy") return new MetaError("overloaded", "Another process holds the database", error);
      return asError(error);
    }
  }

  /** After each transaction. Its failures are not those of the commits before it, which stand. */
  #upkeep(): void {
    try {
      if (this.#tight) this.#vacuum();
      const now = Date.now();
      const state = this.#tight ? this.#checkpointer.run(now) : this.#checkpointer.afterCommit(now);
      this.#keepReserve(state.frames);
    } catch (error) {
      this.#excuse(error);
    }
  }

  #excuse(error: unknown): void {
    const verdict = judge(error);
    if (verdict === "fatal") this.#break(error, []);
    // The log cannot be written back for lack of space: with the reserve's, it can.
    else if (verdict === "full") this.#release();
    else if (verdict === "defect") this.#log?.error({ err: error }, "Upkeep of the metadata failed");
  }

  /** Gives some free pages back to the file system. True: there are more. */
  #vacuum(): boolean {
    const free = Number(this.#freePages.get());
    const surplus = free - (this.#tight ? 0 : FREE_PAGES_KEPT);
    if (surplus > 0) this.#db.pragma(`incremental_vacuum(${Math.min(surplus, VACUUM_PAGES)})`);
    return surplus > VACUUM_PAGES;
  }

  #release(): boolean {
    if (this.#reserve?.release() !== true) return false;
    this.#tight = true;
    return true;
  }

  #keepReserve(frames: number): void {
    if (this.#reserve === undefined) return;
    this.#reserve.growFor(frames * PAGE_BYTES);
    if (this.#tight && this.#reserve.held > 0) this.#tight = false;
  }

  #break(error: unknown, batch: readonly Work[]): Outcome[] {
    const cause = error instanceof FatalAtCommit ? error.cause : error;
    this.#broken ??= `Writing failed (${asError(cause).message}): read-only until a restart after repair`;
    if (!(error instanceof FatalAtCommit)) return batch.map(() => this.#readonlyError(cause));
    return batch.map(() => new MetaError("unknown", "Writing failed while committing", cause));
  }

  #readonlyError(cause?: unknown): MetaError {
    return new MetaError("readonly", this.#broken!, cause);
  }
}

class FatalAtCommit extends Error {
  constructor(cause: unknown) {
    super("Writing failed while committing", { cause });
  }
}

function judge(error: unknown): Verdict {
  if (error instanceof FatalAtCommit) return "fatal";
  const code = sqliteCode(error);
  if (code === undefined) return "defect";
  if (code.startsWith("BUSY")) return "busy";
  // The shared index beside the log could not grow: the only I/O error that means no more than a full disk.
  if (code === "FULL" || code === "IOERR_SHMSIZE") return "full";
  return FATAL.test(code) ? "fatal" : "defect";
}

/** The file, or the device under it, cannot be trusted or not be written any more. */
const FATAL = /^(IOERR|CORRUPT|NOTADB|READONLY|CANTOPEN|PERM|AUTH|FORMAT|PROTOCOL|NOLFS)/;

/** Whether a commit may use the reserve; see Commit.reclaims. */
function reclaims(work: Work): boolean {
  if ("takeIds" in work) return false;
  if (work.reclaims === true) return true;
  if ((work.bodies?.put?.length ?? 0) > 0) return false;
  let deletes = work.bodies?.delete?.length ?? 0;
  let values = 0;
  for (const write of work.writes ?? []) {
    if ("delete" in write) deletes++;
    else if ("value" in write) values++;
  }
  return deletes > 0 && deletes >= values;
}

function fullError(cause?: unknown): MetaError {
  return new MetaError("full", "The disk is full", cause);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
