/** The one writer: gathers what all workers want committed, commits it with one fsync, answers each. */
import { chmod, mkdir, rm, stat, statfs } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import type { Logger } from "../lib/log.ts";
import { MetaError } from "./meta.ts";
import { LOG_BYTES_MAX } from "./checkpoint.ts";
import { Committer, type Outcome, type Work } from "./committer.ts";
import { openConnection } from "./connection.ts";
import { FrameError, GREETING, decodeRequest } from "./frames.ts";
import { Reserve } from "./reserve.ts";
import { FrameSocket, validateSocketPath } from "./socket.ts";
import { validateCommit } from "./validate.ts";

export interface WriterOptions {
  /** The database file; made when missing. */
  path: string;
  /** Unix socket, at most 100 bytes, in a directory that only its owner may enter (made when missing). */
  socket: string;
  log: Logger;
  /** Bytes of log at which it is written back. */
  logBytesMax?: number;
  /** Bytes of disk space kept for when the disk is full: three times the log's bound unless stated; 0 keeps none. */
  reserveBytesMax?: number;
  /** Bytes of requests that may wait. Beyond it clients are told to slow down; it bounds the writer's memory. */
  queueBytesMax?: number;
}

export interface Writer {
  /** Answers what has arrived, then closes the file. */
  close(): Promise<void>;
  /** Settles when an I/O error or damage made the writer refuse all writes; the operator must look before a restart. */
  readonly failed: Promise<Error>;
}

/** Bounds of one transaction, so that no commit waits long behind others, whatever they hold. */
const BATCH = { works: 512, bytes: 8 * 1024 * 1024, writes: 20_000 } as const;
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Milliseconds that SQLite blocks this thread for another process's lock; after it, sockets are read again. */
const BUSY_MS = 100;
const BUSY_RETRY_MS = 10;
/** Milliseconds without work after which upkeep begins. */
const IDLE_MS = 1_000;
/** Milliseconds between slices of upkeep. */
const IDLE_SLICE_MS = 100;
/** Bytes of answers that a client may leave unread before its connection is cut. */
const BACKLOG_BYTES_MAX = 16 * 1024 * 1024;

/** Body ids that one request may take: a client that counts wrongly must not use them up. */
const ID_BLOCK_MAX = 65_536;
/** The share of the file system that the log may take, where that is less than its usual bound. */
const LOG_SHARE_MAX = 1 / 64;

/**
 * Opens the database and serves commits.
 * @throws Error when the socket's path or directory won't do, another writer serves it, or the file can't be opened
 */
export async function startWriter(options: WriterOptions): Promise<Writer> {
  await prepareSocket(options.socket);
  const db = await openConnection({ path: options.path, readonly: false, busyMs: BUSY_MS });
  const logBytesMax = options.logBytesMax ?? (await logBound(options.path));
  const reserveBytesMax = options.reserveBytesMax ?? 3 * logBytesMax;
  const reserve = new Reserve(`${options.path}.reserve`, reserveBytesMax, options.log);
  const committer = new Committer(db, { logBytesMax, reserve, log: options.log });
  const writer = new SocketWriter(committer, reserve, options);
  try {
    await writer.listen();
  } catch (error) {
    committer.close();
    throw error;
  }
  return writer;
}

interface Job {
  peer: Peer;
  id: number;
  work: Work;
  bytes: number;
  writes: number;
}

class SocketWriter implements Writer {
  readonly failed: Promise<Error>;
  readonly #committer: Committer;
  readonly #reserve: Reserve;
  readonly #options: WriterOptions;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #peers = new Set<Peer>();
  readonly #queueBytesMax: number;
  #queue: Job[] = [];
  #queuedBytes = 0;
  #scheduled = false;
  #idleTimer: NodeJS.Timeout | undefined;
  #trouble = "";
  #fail!: (reason: Error) => void;
  #closing = false;

  constructor(committer: Committer, reserve: Reserve, options: WriterOptions) {
    this.#committer = committer;
    this.#reserve = reserve;
    this.#options = options;
    this.#log = options.log;
    this.#queueBytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX;
    this.failed = new Promise((resolve) => (this.#fail = resolve));
    this.#server = createServer((socket) => this.#accept(socket));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#options.socket, resolve);
    });
    await chmod(this.#options.socket, 0o600);
    this.#idleIn(0);
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearTimeout(this.#idleTimer);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const peer of this.#peers) peer.frames.pause();
    while (this.#queue.length > 0) {
      this.#turn();
      if (this.#queue.length > 0) await new Promise((resolve) => setTimeout(resolve, BUSY_RETRY_MS));
    }
    for (const peer of this.#peers) peer.frames.end();
    await closed;
    await this.#reserve.settle();
    this.#committer.close();
  }

  #accept(socket: Socket): void {
    if (this.#closing) {
      socket.destroy();
      return;
    }
    const peer = new Peer(socket, {
      greeted: () => {
        peer.frames.out.state(this.#trouble);
        peer.frames.schedule();
      },
      work: (id, work, bytes, writes) => this.#enqueue({ peer, id, work, bytes, writes }),
      gone: (reason) => {
        this.#peers.delete(peer);
        if (reason !== undefined) this.#log.warn({ err: reason }, "A connection to the writer was cut");
      },
    });
    this.#peers.add(peer);
  }

  #enqueue(job: Job): void {
    if (this.#queuedBytes + job.bytes > this.#queueBytesMax) {
      job.peer.answer(job.id, new MetaError("overloaded", "The writer's queue is full"));
      return;
    }
    this.#queue.push(job);
    this.#queuedBytes += job.bytes;
    this.#schedule();
  }

  /** The batch runs after this turn's sockets have been read, so that it holds all that has arrived. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    clearTimeout(this.#idleTimer);
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#queue.length === 0) return;
    const batch = this.#takeBatch();
    const outcomes = this.#committer.run(batch.map((job) => job.work));
    if (outcomes === "busy") {
      this.#queue = [...batch, ...this.#queue];
      if (!this.#closing) setTimeout(() => this.#schedule(), BUSY_RETRY_MS);
      return;
    }
    for (const [index, job] of batch.entries()) {
      this.#queuedBytes -= job.bytes;
      job.peer.answer(job.id, outcomes[index]!);
    }
    this.#tellTrouble();
    // Answers leave before the next batch begins, which may take a while.
    for (const peer of this.#peers) peer.frames.flush();
    if (this.#queue.length > 0) this.#schedule();
    else this.#idleIn(IDLE_MS);
  }

  #takeBatch(): Job[] {
    let count = 0;
    let bytes = 0;
    let writes = 0;
    for (const job of this.#queue) {
      bytes += job.bytes;
      writes += job.writes;
      if (count > 0 && (count === BATCH.works || bytes > BATCH.bytes || writes > BATCH.writes)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  #idleIn(ms: number): void {
    clearTimeout(this.#idleTimer);
    if (this.#closing) return;
    this.#idleTimer = setTimeout(() => {
      const more = this.#committer.idle();
      this.#tellTrouble();
      if (more) this.#idleIn(this.#trouble === "" ? IDLE_SLICE_MS : IDLE_MS);
    }, ms);
  }

  /** Tells every client when writes become impossible, and when they are possible again. */
  #tellTrouble(): void {
    const trouble = this.#committer.trouble;
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    if (trouble === "") this.#log.info("The metadata writer accepts all writes again");
    else this.#log.error({ reason: trouble }, "The metadata writer refuses writes");
    for (const peer of this.#peers) {
      peer.frames.out.state(trouble);
      peer.frames.schedule();
    }
    if (this.#committer.broken !== undefined) this.#fail(new Error(this.#committer.broken));
  }
}

interface PeerEvents {
  greeted(): void;
  work(id: number, work: Work, bytes: number, writes: number): void;
  /** With the reason, unless it was a plain end. */
  gone(reason: Error | undefined): void;
}

/** One client's connection. */
class Peer {
  readonly frames: FrameSocket;
  readonly #events: PeerEvents;
  #greeted = false;

  constructor(socket: Socket, events: PeerEvents) {
    this.#events = events;
    this.frames = new FrameSocket(
      socket,
      (frame) => this.#receive(frame),
      (reason) => events.gone(reason),
    );
  }

  answer(id: number, outcome: Outcome): void {
    const out = this.frames.out;
    if (typeof outcome === "boolean") out.done(id, outcome);
    else if (typeof outcome === "number") out.firstId(id, outcome);
    else out.failed(id, outcome instanceof MetaError ? outcome.kind : undefined, outcome.message);
    this.frames.schedule();
    if (this.frames.backlog > BACKLOG_BYTES_MAX)
      this.frames.destroy(new Error("Client does not read its answers"));
  }

  #receive(frame: Buffer): void {
    const request = decodeRequest(frame);
    if (!this.#greeted) {
      if (request.type !== "hello" || request.greeting !== GREETING)
        throw new FrameError("Client of another version");
      this.#greeted = true;
      this.#events.greeted();
    } else if (request.type === "commit") {
      validateCommit(request.commit);
      const writes = request.commit.writes?.length ?? 0;
      this.#events.work(request.id, request.commit, request.bytes, writes);
    } else if (request.type === "takeIds") {
      if (request.count > ID_BLOCK_MAX) throw new FrameError(`${request.count} body ids at once`);
      this.#events.work(request.id, { takeIds: request.count }, frame.length, 1);
    } else {
      throw new FrameError("A second greeting");
    }
  }
}

/** On a small disk a shorter log, and with it a smaller reserve. */
async function logBound(path: string): Promise<number> {
  const disk = await statfs(dirname(path));
  return Math.min(LOG_BYTES_MAX, Math.ceil(disk.blocks * disk.bsize * LOG_SHARE_MAX));
}

/** Makes way for a socket: its directory, and the remains of a writer that was killed. */
async function prepareSocket(path: string): Promise<void> {
  validateSocketPath(path);
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { mode } = await stat(directory);
  if ((mode & 0o077) !== 0) {
    throw new Error(
      `${directory} is open to others (mode ${(mode & 0o777).toString(8)}); the writer's socket needs 700`,
    );
  }
  if (await isServed(path)) throw new Error(`Another writer serves ${path}`);
  await rm(path, { force: true });
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
