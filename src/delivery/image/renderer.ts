/**
 * A renderer as the pool has it: its process, what it is given, what it answers, and how it ends. It makes up to `PLACES`
 * pictures at the same time, and answers as they are done; while more wait than it can begin, it may answer several together.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { ChurnMap } from "../../lib/churn.ts";
import type { Logger } from "../../lib/log.ts";
import { programUrl } from "../../lib/program.ts";
import type { Kept } from "../cache/cache.ts";
import { DeliveryError } from "../errors.ts";
import type { DeliveryLimits } from "../limits.ts";
import { bytesFrame, jsonFrame, readFrames, writeFrames, type Frame } from "./wire.ts";
import type { Input, Job, Picture } from "./job.ts";
import type { Answer, Order, PictureDraft } from "./process.ts";

/**
 * Pictures that one process makes at the same time, on two cores: two keep these busy, and a third one where one of them
 * begins, ends or waits for its thread. They share 80 MiB; of more, a crash would cost more.
 */
export const PLACES = 3;
/** Pictures whose sources arrive while others are made, so that none of these places is ever empty. */
const AHEAD = 1;
/** The same of a renderer that has all its places and is at nothing long: what waits there lets it answer several at once. */
const AHEAD_OF_SHORT = 4;
/** Bytes of a picture's sources with which it is more than the first to wait there. Stops large ones from filling its memory. */
const AHEAD_BYTES = 4 * 1024 ** 2;
/** Each picture at work takes one thread of libuv's pool; one more is for everything else. */
const THREADPOOL_SIZE = `${PLACES + 1}`;
/**
 * glibc's allocator. What is at work at the same time shares one arena. Pages that one picture gave back are what the next
 * one asks for: kept, up to 24 MiB and in large pages, they save AVIF 5 % of its time. What is larger than 16 MiB goes back
 * at once.
 */
const ALLOCATOR = [
  "glibc.malloc.arena_max=1",
  "glibc.malloc.hugetlb=1",
  `glibc.malloc.mmap_threshold=${16 * 1024 ** 2}`,
  `glibc.malloc.trim_threshold=${24 * 1024 ** 2}`,
].join(":");
/** A renderer's objects are few and live briefly: room for 16 MiB of them, as Node has it, is memory that others need. */
const NODE_OPTIONS = ["--max-semi-space-size=1"];
/** How much more memory several pictures at work may take together than one alone. */
const SHARED = 2;
/**
 * How long most pictures are at work at most, in milliseconds. One that takes longer is looked at for the memory that it takes
 * (by then the fastest codec has filled less than half of what it may have), and others don't wait behind it.
 */
const SHORT_MS = 200;
/** How long a renderer may take to say whose thread was held, in milliseconds: one that can say so does at once. */
const REPLY_MS = 500;
/** The share of its time in which a picture that is slow by itself was not held up by its neighbour. */
const OWN_SHARE = 0.9;

/** A picture that was kept is here too if it is small. */
export type Rendered = Omit<Picture, "data"> &
  ({ readonly data: Buffer } | { readonly kept: Kept; readonly data?: Buffer });

/** A picture that somebody waits for. */
export interface Task {
  readonly job: Job;
  readonly inputs: readonly Input[];
  readonly draft: PictureDraft | undefined;
  /** Files could not be read: all inputs are sent. */
  sends: boolean;
  /** It was with a renderer that ended. */
  lost: boolean;
  /** That may have been its own doing, or it was not the first: it is made with nothing beside it, and so for the last time. */
  alone: boolean;
  resolve(picture: Rendered): void;
  reject(error: unknown): void;
}

/** A task that a renderer has. */
interface Attempt {
  readonly id: number;
  readonly task: Task;
  /**
   * `ready`: its inputs are all with the renderer, which has none of its places free. `late`: it has been refused, and its
   * codec goes on.
   */
  state: "arriving" | "ready" | "working" | "late";
  /** A frame of it is on its way into the renderer: what it waits for is not its source. */
  writing: boolean;
  /** When it came to work, by `performance.now()`. */
  began: number;
  /** There was another one at work beside it, which may have held the thread of all. */
  shared: boolean;
  deadline: NodeJS.Timeout | undefined;
}

/** Told after an answer, and after the process has ended. `again`: what is to be made by another one, before all else. */
type Freed = (renderer: Renderer, again: readonly Task[]) => void;

export class Renderer {
  readonly #limits: DeliveryLimits;
  readonly #log: Logger;
  readonly #freed: Freed;
  readonly #process: ChildProcess;
  readonly #socket: Duplex;
  /** By their ids, in the order in which they came. */
  readonly #attempts = new ChurnMap<number, Attempt>();
  /** Those that wait for a place, and those that take one, in the order in which they do. */
  readonly #ready: Attempt[] = [];
  readonly #busy: Attempt[] = [];
  #ids = 0;
  /** Pictures that it may make at the same time. */
  #places = 1;
  /** What it has is to be made with nothing beside it. */
  #alone = false;
  /** The answer whose bytes arrive. */
  #arriving: { answer: Answer & { kind: "done" }; data: Buffer | undefined; filled: number } | undefined;
  #renders = 0;
  #retired = false;
  #killed = false;
  #ended = false;
  #idleSince = Date.now();

  /** Undefined: the system has no room for another process, or no descriptors for its pipes. */
  static start(limits: DeliveryLimits, log: Logger, freed: Freed): Renderer | undefined {
    const program = fileURLToPath(programUrl(import.meta.url, "./process.ts"));
    const child = spawn(process.execPath, [...NODE_OPTIONS, program], {
      stdio: ["ignore", "ignore", "inherit", "pipe"],
      // Nothing of our environment: it holds secrets, and a codec may be taken over.
      env: { UV_THREADPOOL_SIZE: THREADPOOL_SIZE, GLIBC_TUNABLES: ALLOCATOR, VIPS_WARNING: "1" },
    });
    if (child.pid !== undefined) return new Renderer(limits, log, freed, child);
    child.on("error", (error) => log.warn({ err: error }, "a renderer can't be started"));
    return undefined;
  }

  private constructor(limits: DeliveryLimits, log: Logger, freed: Freed, child: ChildProcess) {
    this.#limits = limits;
    this.#log = log;
    this.#freed = freed;
    this.#process = child;
    this.#socket = child.stdio[3] as Duplex;
    readFrames(this.#socket, {
      json: (_kind, id, value) => this.#answered(id, value as Answer),
      bytes: (id, piece) => this.#received(id, piece),
    });
    // Its end is told by `exit`.
    this.#socket.on("error", ignore);
    child.on("error", (error) => this.#gone(error.message));
    child.on("exit", (code, signal) => this.#gone(signal ?? `exit code ${code}`));
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }
  /** Tasks that it has. */
  get size(): number {
    return this.#attempts.size;
  }
  /** Milliseconds since 1970. */
  get idleSince(): number {
    return this.#idleSince;
  }
  /** Takes no more tasks: it is worn, or dying. */
  get retired(): boolean {
    return this.#retired;
  }
  /** By us: its memory is still to be given back. */
  get killed(): boolean {
    return this.#killed;
  }
  /** Nothing will come of it any more. */
  get over(): boolean {
    return this.#ended || (this.#retired && !this.#killed && this.size === 0);
  }

  /** Whether it has a place for a task, where it may make so many pictures at the same time. */
  takes({ alone, inputs }: Task, places: number): boolean {
    if (this.#retired || places === 0) return false;
    if (this.size === 0) return true;
    if (alone || this.#alone) return false;
    const bytes = inputs.reduce((sum, { size }) => sum + size, 0);
    const short = places === PLACES && bytes <= AHEAD_BYTES && !this.#isLong();
    return this.size < places + (short ? AHEAD_OF_SHORT : AHEAD);
  }

  /** Whether the first at work takes longer than most. */
  #isLong(): boolean {
    const [first] = this.#busy;
    return first !== undefined && performance.now() - first.began >= SHORT_MS;
  }

  /** Its end is told by the task. */
  give(task: Task, places: number): void {
    const attempt: Attempt = {
      id: this.#ids++,
      task,
      state: "arriving",
      writing: false,
      began: Infinity,
      shared: false,
      deadline: undefined,
    };
    this.#alone = task.alone;
    this.#places = task.alone ? 1 : places;
    this.#attempts.set(attempt.id, attempt);
    this.#advance();
    void this.#feed(attempt);
  }

  kill(): void {
    this.#retired = true;
    this.#killed = true;
    for (const { deadline } of this.#attempts.values()) clearTimeout(deadline);
    this.#process.kill("SIGKILL");
  }

  /** Resolves when the process is no more. */
  async end(): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const exit = new Promise((resolve) => this.#process.once("exit", resolve));
    this.kill();
    await exit;
  }

  /** Ends it if its work has become too large: of several at work nobody knows whose it is. */
  look(): void {
    const { renderBytes } = this.#limits;
    const [first, second] = this.#busy;
    if (first === undefined || this.#killed || !this.#isLong()) return;
    const most = second === undefined ? renderBytes : renderBytes * SHARED;
    if (residentBytes(this.pid) <= most) return;
    const error = new DeliveryError(
      "LimitExceeded",
      `Rendering needs more than ${renderBytes} bytes of memory.`,
    );
    this.#abandon(second === undefined ? first : undefined, error);
  }

  /** Names the inputs' files, or hands them over chunk by chunk: they are never whole in this process. */
  async #feed(attempt: Attempt): Promise<void> {
    const { id, task } = attempt;
    try {
      const inputs = await Promise.all(
        task.inputs.map(async (input) => {
          const files = task.sends ? undefined : await input.files?.();
          return { size: input.size, ...(files !== undefined && { files }) };
        }),
      );
      const { job, draft } = task;
      const order: Order = { job, inputs, places: this.#places, ...(draft !== undefined && { draft }) };
      if (!(await this.#write(attempt, jsonFrame("job", id, order)))) return;
      const unfiled = task.inputs.filter((_, n) => inputs[n]!.files === undefined);
      for (const input of unfiled) {
        let sent = 0;
        for await (const chunk of input.read()) {
          sent += chunk.length;
          if (sent > input.size) break;
          if (!(await this.#write(attempt, bytesFrame(id, chunk)))) return;
          if (sent === input.size && input === unfiled.at(-1)) this.#complete(attempt);
        }
        if (sent !== input.size) {
          throw new DeliveryError("OriginFailed", `The source has ${input.size} bytes and ${sent} came.`);
        }
      }
      this.#complete(attempt);
    } catch (error) {
      this.#refuse(attempt, error);
    }
  }

  /** False: it is over, and nothing more is to be sent. */
  async #write(attempt: Attempt, frame: Frame): Promise<boolean> {
    if (!this.#has(attempt) || this.#socket.destroyed) return false;
    attempt.writing = true;
    await writeFrames(this.#socket, frame).catch(ignore);
    attempt.writing = false;
    return true;
  }

  #has({ id }: Attempt): boolean {
    return this.#attempts.has(id);
  }

  /** It has all that it was promised, and begins once there is a place. */
  #complete(attempt: Attempt): void {
    if (!this.#has(attempt) || attempt.state !== "arriving") return;
    attempt.state = "ready";
    clearTimeout(attempt.deadline);
    this.#ready.push(attempt);
    this.#advance();
  }

  /** Its inputs can't be had. */
  #refuse(attempt: Attempt, error: unknown): void {
    if (!this.#settle(attempt)) return;
    attempt.task.reject(error);
    if (attempt.state === "arriving")
      void writeFrames(this.#socket, jsonFrame("drop", attempt.id)).catch(ignore);
    // It may be at work, and would be kept.
    else this.kill();
    this.#freed(this, []);
  }

  /** As the renderer does: what is ready takes the free places. Those that are left are kept for what comes first. */
  #advance(): void {
    if (this.#killed) return;
    while (this.#busy.length < this.#places && this.#ready.length > 0) this.#begin(this.#ready.shift()!);
    let free = this.#places - this.#busy.length;
    if (free <= 0) return;
    for (const attempt of this.#attempts.values()) {
      if (attempt.state !== "arriving") continue;
      if (attempt.deadline === undefined) this.#time(attempt, () => this.#missing(attempt));
      if (--free === 0) return;
    }
  }

  #begin(attempt: Attempt): void {
    attempt.state = "working";
    attempt.began = performance.now();
    this.#time(attempt, () => this.#late(attempt));
    this.#busy.push(attempt);
    if (this.#busy.length > 1) for (const each of this.#busy) each.shared = true;
  }

  #time(attempt: Attempt, passed: () => void): void {
    attempt.deadline = setTimeout(passed, this.#limits.renderSeconds * 1000);
  }

  #missing(attempt: Attempt): void {
    const { renderSeconds } = this.#limits;
    if (!attempt.writing) {
      const message = `The source did not come within ${renderSeconds} seconds.`;
      this.#refuse(attempt, new DeliveryError("OriginTimeout", message));
    } else {
      // It is the renderer that takes nothing, for another one's sake if there is one.
      this.#abandon(this.size === 1 ? attempt : undefined, this.#tooSlow());
    }
  }

  /** The renderer is asked whether it was this picture alone that took the time; one whose thread is held says nothing. */
  #late(attempt: Attempt): void {
    if (!attempt.shared) {
      this.#convict(attempt);
      return;
    }
    void writeFrames(this.#socket, jsonFrame("ask", attempt.id)).catch(ignore);
    attempt.deadline = setTimeout(() => this.#abandon(), REPLY_MS);
  }

  /** It is refused, and ends with the process, as nothing else stops a codec: once what is beside it is done. */
  #convict(attempt: Attempt): void {
    clearTimeout(attempt.deadline);
    attempt.state = "late";
    this.#retired = true;
    attempt.task.reject(this.#tooSlow());
    this.#endLate();
  }

  #endLate(): void {
    const busy = this.#busy;
    if (busy.length > 0 && busy.every(({ state }) => state === "late")) this.kill();
  }

  #tooSlow(): DeliveryError {
    const { renderSeconds } = this.#limits;
    return new DeliveryError("LimitExceeded", `Rendering took longer than ${renderSeconds} seconds.`);
  }

  /** The process ends, this one with an error; all others are made again. */
  #abandon(guilty?: Attempt, error?: DeliveryError): void {
    this.kill();
    if (guilty !== undefined && this.#settle(guilty)) guilty.task.reject(error);
  }

  #answered(id: number, answer: Answer): void {
    const attempt = this.#attempts.get(id);
    if (attempt === undefined || attempt.state === "late") return;
    if (answer.kind === "asked") {
      if (answer.freeMs >= this.#limits.renderSeconds * 1000 * OWN_SHARE) this.#convict(attempt);
      else this.#abandon();
      return;
    }
    if (answer.kind === "done" && answer.follows) {
      this.#arriving = { answer, data: undefined, filled: 0 };
      if (answer.size === 0) this.#received(id, Buffer.alloc(0));
      return;
    }
    const { task } = attempt;
    const again = answer.kind === "unread" ? [task] : [];
    this.#done(attempt, answer);
    if (answer.kind === "failed") task.reject(new DeliveryError(answer.code, answer.message));
    else if (answer.kind === "unread") task.sends = true;
    else task.resolve({ ...answer.picture, kept: { size: answer.size, bytes: answer.kept ?? 0 } });
    this.#freed(this, again);
  }

  /** Bytes follow their answer before any other answer comes. */
  #received(id: number, piece: Buffer): void {
    const arriving = this.#arriving;
    const attempt = this.#attempts.get(id);
    if (arriving === undefined || attempt === undefined || attempt.state === "late") return;
    const { picture, size, kept } = arriving.answer;
    const whole = piece.length === size;
    const data = whole ? piece : (arriving.data ??= Buffer.allocUnsafe(size));
    arriving.filled += whole ? size : piece.copy(data, arriving.filled);
    if (arriving.filled < size) return;
    this.#arriving = undefined;
    this.#done(attempt, arriving.answer);
    const made = { ...picture, data };
    attempt.task.resolve(kept === undefined ? made : { ...made, kept: { size, bytes: kept } });
    this.#freed(this, []);
  }

  #done(attempt: Attempt, { resident }: { readonly resident: number }): void {
    const { rendersPerProcess, rendererBytes } = this.#limits;
    this.#settle(attempt);
    this.#renders++;
    // What others take now they will give back.
    const most = rendererBytes * (1 + this.#busy.length);
    if (this.#renders >= rendersPerProcess || resident > most) this.#retired = true;
    this.#endLate();
    this.#advance();
  }

  /** False: it was over already. */
  #settle(attempt: Attempt): boolean {
    clearTimeout(attempt.deadline);
    this.#idleSince = Date.now();
    for (const place of [this.#ready, this.#busy]) {
      const at = place.indexOf(attempt);
      if (at >= 0) place.splice(at, 1);
    }
    return this.#attempts.delete(attempt.id);
  }

  /**
   * It has ended, as told or not. A picture that was alone at work fails with it; of several each is suspected, and made once
   * more. What was to come is not, unless that happens to it again.
   */
  #gone(how: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#retired = true;
    this.#socket.destroy();
    const attempts = [...this.#attempts.values()];
    const [guilty, another] = this.#busy.length > 0 ? this.#busy : attempts;
    if (!this.#killed && guilty !== undefined) {
      this.#log.warn({ renderer: this.pid, how }, "a renderer died at its work");
      if (another === undefined && guilty.state !== "late" && this.#settle(guilty)) {
        guilty.task.reject(new DeliveryError("RendererFailed", "The renderer died at this picture."));
      }
    }
    const again = attempts.filter((attempt) => this.#settle(attempt) && attempt.state !== "late");
    for (const { task, state } of again) {
      task.alone = task.lost || state === "working";
      task.lost = true;
    }
    this.#freed(
      this,
      again.map(({ task }) => task),
    );
  }
}

/** What a process holds now; 0 where the system doesn't say, which is all but Linux. Asks the kernel, not a disk. */
function residentBytes(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

const ignore = (): void => undefined;
