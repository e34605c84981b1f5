/** The embedded engine: reads from this process's own connection, commits through the one writer or directly. */
import type { Logger } from "../lib/log.ts";
import type { Commit, Entry, Key, KeyRange, Meta, ScanOptions, SnapshotReads } from "./meta.ts";
import { MetaError } from "./meta.ts";
import { LOG_BYTES_MAX } from "./checkpoint.ts";
import { WriterClient } from "./client.ts";
import { Committer, type Outcome, type Work } from "./committer.ts";
import { openConnection, type Connection } from "./connection.ts";
import { Reads } from "./reads.ts";
import { validateCommit } from "./validate.ts";

/** Body ids taken at a time. What a process does not use is lost, which 2^53 ids can bear. */
const ID_BLOCK = 1_024;
/** Milliseconds that SQLite may block this thread for another process's lock; only recovery holds one that long. */
const BUSY_MS = 5_000;

export interface SqliteOptions {
  /** The database file. Without `writer` it is made when missing. */
  path: string;
  /** The writer's Unix socket. Without it commits go straight to the file, which is safe beside a running writer. */
  writer?: string;
  /** Milliseconds that a commit waits for a writer to come (back) before it is refused; 5,000 unless stated. */
  writerWaitMs?: number;
  /** Gets what goes wrong behind direct commits. */
  log?: Logger;
}

/**
 * @throws MetaError overloaded when no writer answers within seconds; Error when the file is not ours or is newer than
 * this program
 */
export async function openSqlite(options: SqliteOptions): Promise<Meta> {
  if (options.writer === undefined) {
    const db = await openConnection({ path: options.path, readonly: false, busyMs: BUSY_MS });
    const commits = new DirectCommits(db, options.log);
    return new SqliteMeta(db, commits, async () => commits.close());
  }
  const writer = new WriterClient(options.writer, options.writerWaitMs);
  try {
    // First: it is the writer that creates the file.
    await writer.ready();
    const db = await openConnection({ path: options.path, readonly: true, busyMs: BUSY_MS });
    return new SqliteMeta(db, writer, async () => {
      await writer.close();
      db.close();
    });
  } catch (error) {
    await writer.close();
    throw error;
  }
}

/** Where changes go. */
interface Commits {
  commit(commit: Commit): Promise<boolean>;
  takeBodyIds(count: number): Promise<number>;
  health(): string | undefined;
}

class SqliteMeta implements Meta {
  readonly #reads: Reads;
  readonly #commits: Commits;
  readonly #bodyIds: BodyIds;
  readonly #close: () => Promise<void>;
  #closed = false;

  constructor(db: Connection, commits: Commits, close: () => Promise<void>) {
    this.#close = close;
    this.#reads = new Reads(db);
    this.#commits = commits;
    this.#bodyIds = new BodyIds(commits);
  }

  async get(key: Key): Promise<Buffer | undefined> {
    return this.#reads.get(key);
  }

  async getMany(keys: readonly Key[]): Promise<(Buffer | undefined)[]> {
    return this.#reads.getMany(keys);
  }

  async scan(range: KeyRange, options: ScanOptions): Promise<Entry[]> {
    return this.#reads.scan(range, options);
  }

  async sum(key: Key): Promise<number> {
    return this.#reads.sum(key);
  }

  async getBody(id: number): Promise<Buffer | undefined> {
    return this.#reads.getBody(id);
  }

  async newBodyId(): Promise<number> {
    return this.#bodyIds.next();
  }

  async snapshot<T>(body: (read: SnapshotReads) => Generator<unknown, T, unknown>): Promise<T> {
    return this.#reads.snapshot(body);
  }

  async commit(commit: Commit): Promise<boolean> {
    validateCommit(commit);
    return this.#commits.commit(commit);
  }

  health(): string | undefined {
    return this.#closed ? "The store is closed" : this.#commits.health();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#close();
  }
}

/** Hands out ids from blocks, and fetches the next block before the present one ends. */
class BodyIds {
  readonly #commits: Commits;
  #next = 1;
  #end = 1;
  #spare: number | undefined;
  #fetching: Promise<void> | undefined;

  constructor(commits: Commits) {
    this.#commits = commits;
  }

  async next(): Promise<number> {
    while (this.#next === this.#end) {
      if (this.#spare === undefined) {
        await (this.#fetching ?? this.#fetch());
      } else {
        this.#next = this.#spare;
        this.#end = this.#spare + ID_BLOCK;
        this.#spare = undefined;
      }
    }
    if (
      this.#end - this.#next === ID_BLOCK / 2 &&
      this.#spare === undefined &&
      this.#fetching === undefined
    ) {
      // Ahead of need; a failure is met again, and told, by the caller who needs the block.
      this.#fetch().catch(() => undefined);
    }
    return this.#next++;
  }

  #fetch(): Promise<void> {
    this.#fetching = this.#take().finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  async #take(): Promise<void> {
    try {
      this.#spare = await this.#commits.takeBodyIds(ID_BLOCK);
    } catch (error) {
      // A block whose answer was lost is lost: ask for another.
      if (!(error instanceof MetaError) || error.kind !== "unknown") throw error;
      this.#spare = await this.#commits.takeBodyIds(ID_BLOCK);
    }
  }
}

/** Commits from this thread, each with its own fsync: for the command line. */
class DirectCommits implements Commits {
  readonly #committer: Committer;

  constructor(db: Connection, log: Logger | undefined) {
    this.#committer = new Committer(db, {
      logBytesMax: LOG_BYTES_MAX,
      ...(log === undefined ? {} : { log }),
    });
  }

  async commit(commit: Commit): Promise<boolean> {
    return this.#run(commit) as boolean;
  }

  async takeBodyIds(count: number): Promise<number> {
    return this.#run({ takeIds: count }) as number;
  }

  health(): string | undefined {
    return this.#committer.trouble === "" ? undefined : this.#committer.trouble;
  }

  close(): void {
    this.#committer.close();
  }

  #run(work: Work): Exclude<Outcome, Error> {
    const outcomes = this.#committer.run([work]);
    if (outcomes === "busy") throw new MetaError("overloaded", "Another process holds the database");
    const outcome = outcomes[0]!;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }
}
