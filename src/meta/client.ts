/** A worker's side of the one writer: commits go over its socket, many at a time. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ChurnMap } from "../lib/churn.ts";
import { MetaError, type Commit } from "./meta.ts";
import { decodeAnswer, type Answer } from "./frames.ts";
import { FrameSocket, validateSocketPath } from "./socket.ts";

/** Milliseconds that a commit waits for a writer to come (back): a restarted one is there in well under a second. */
const WAIT_MS = 5_000;
/** Milliseconds between attempts to connect, doubled from the first to the last. */
const BACK_OFF_MS = { first: 10, last: 250 };

interface Pending {
  resolve(value: boolean | number): void;
  reject(reason: Error): void;
}

export class WriterClient {
  readonly #path: string;
  readonly #waitMs: number;
  #link: Link | undefined;
  /** Resolves with the next link; replaced when a link is lost. */
  #next = deferred<Link>();
  #closed = false;

  constructor(socketPath: string, waitMs = WAIT_MS) {
    validateSocketPath(socketPath);
    this.#waitMs = waitMs;
    this.#path = socketPath;
    void this.#connect();
  }

  /** @throws MetaError overloaded: no writer came within a few seconds */
  async ready(): Promise<void> {
    await this.#current();
  }

  commit(commit: Commit): Promise<boolean> {
    const link = this.#link;
    return link === undefined ? this.#commitLater(commit) : link.commit(commit);
  }

  /** The first of `count` consecutive ids. */
  async takeBodyIds(count: number): Promise<number> {
    return (this.#link ?? (await this.#current())).takeBodyIds(count);
  }

  health(): string | undefined {
    if (this.#link === undefined) return "There is no connection to the metadata writer";
    return this.#link.trouble === "" ? undefined : this.#link.trouble;
  }

  /** Waits for the answers to what was sent. */
  async close(): Promise<void> {
    const link = this.#link;
    this.#closed = true;
    this.#link = undefined;
    await link?.drain();
    link?.close();
  }

  async #commitLater(commit: Commit): Promise<boolean> {
    return (await this.#current()).commit(commit);
  }

  async #current(): Promise<Link> {
    if (this.#closed) throw new Error("The metadata store is closed");
    if (this.#link !== undefined) return this.#link;
    const timer = new AbortController();
    const timeout = sleep(this.#waitMs, undefined, { signal: timer.signal }).catch(() => undefined);
    try {
      const link = await Promise.race([this.#next.promise, timeout]);
      if (link === undefined)
        throw new MetaError("overloaded", "There is no connection to the metadata writer");
      return link;
    } finally {
      timer.abort();
    }
  }

  /** Connects, and connects again whenever the link is lost, until closed. */
  async #connect(): Promise<void> {
    let backOffMs = BACK_OFF_MS.first;
    while (!this.#closed) {
      const link = new Link(this.#path);
      if (await link.opened) {
        if (this.#closed) return link.close();
        backOffMs = BACK_OFF_MS.first;
        this.#link = link;
        this.#next.resolve(link);
        await link.lost;
        this.#link = undefined;
        this.#next = deferred();
      }
      if (this.#closed) return;
      await sleep(backOffMs);
      backOffMs = Math.min(backOffMs * 2, BACK_OFF_MS.last);
    }
  }
}

/** One connection. Its end makes the outcome of all that it carried unknown. */
class Link {
  /** False: there was no writer. */
  readonly opened: Promise<boolean>;
  readonly lost: Promise<void>;
  /** Why the writer refuses commits; "" when it does not. */
  trouble = "";
  readonly #frames: FrameSocket;
  readonly #pending = new ChurnMap<number, Pending>();
  #lastId = 0;
  #isLost = false;
  #drained: (() => void) | undefined;

  constructor(path: string) {
    const opened = deferred<boolean>();
    const lost = deferred<void>();
    this.opened = opened.promise;
    this.lost = lost.promise;
    this.#frames = new FrameSocket(
      connect({ path }),
      (frame) => {
        const answer = decodeAnswer(frame);
        if (answer.type !== "state") return this.#settle(answer);
        this.trouble = answer.reason;
        // The writer greets back with its state.
        opened.resolve(true);
      },
      (reason) => {
        // Told before the pending requests are, so that whoever tries again already waits for the next link.
        lost.resolve();
        opened.resolve(false);
        this.#lose(reason);
      },
    );
    this.#frames.out.hello();
    this.#frames.schedule();
  }

  commit(commit: Commit): Promise<boolean> {
    return this.#send((id) => this.#frames.out.commit(id, commit)) as Promise<boolean>;
  }

  takeBodyIds(count: number): Promise<number> {
    return this.#send((id) => this.#frames.out.takeIds(id, count)) as Promise<number>;
  }

  async drain(): Promise<void> {
    if (this.#pending.size > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
  }

  close(): void {
    this.#frames.destroy();
  }

  #send(encode: (id: number) => void): Promise<boolean | number> {
    return new Promise((resolve, reject) => {
      // Between the connection's end and the next one.
      if (this.#isLost)
        throw new MetaError("overloaded", "The connection to the metadata writer was just lost");
      this.#lastId = (this.#lastId + 1) >>> 0;
      encode(this.#lastId);
      this.#pending.set(this.#lastId, { resolve, reject });
      this.#frames.schedule();
    });
  }

  #settle(answer: Exclude<Answer, { type: "state" }>): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) throw new Error(`Answer to unknown request ${answer.id}`);
    this.#pending.delete(answer.id);
    if (answer.type !== "failed") pending.resolve(answer.value);
    else if (answer.kind === undefined) pending.reject(new Error(answer.message));
    else pending.reject(new MetaError(answer.kind, answer.message));
    if (this.#pending.size === 0) this.#drained?.();
  }

  #lose(reason: Error | undefined): void {
    this.#isLost = true;
    for (const pending of this.#pending.values()) {
      pending.reject(
        new MetaError("unknown", "The connection to the metadata writer was lost before it answered", reason),
      );
    }
    this.#pending.clear();
    this.#drained?.();
  }
}

interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((fulfil) => (resolve = fulfil));
  return { promise, resolve };
}
