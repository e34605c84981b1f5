/**
 * The pool of renderer processes. A picture that crashes, hangs or bloats a codec costs its own answer: the process is
 * killed and the next one starts fresh. No renderer runs before the first render.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { isRecent } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { programUrl } from "../../lib/program.ts";
import type { Kept } from "../cache/cache.ts";
import { closing, DeliveryError, notNow } from "../errors.ts";
import type { DeliveryLimits } from "../limits.ts";
import { jsonFrame, readFrames, writeFrames } from "./wire.ts";
import type { Input, Job, Picture } from "./job.ts";
import type { Answer, Order, PictureDraft } from "./process.ts";

/** Said to clients that find the queue full: a place is free after a few renders. */
const RETRY_AFTER_SECONDS = 2;
/** A sharp pipeline takes one thread of libuv's pool; the second is for everything else. */
const THREADPOOL_SIZE = "2";
/**
 * glibc's allocator. One picture at a time needs one arena. Pages that one picture gave back are what the next one asks
 * for: kept, up to 24 MiB and in large pages, they save AVIF 5 % of its time. What is larger than 16 MiB goes back at once.
 */
const ALLOCATOR = [
  "glibc.malloc.arena_max=1",
  "glibc.malloc.hugetlb=1",
  `glibc.malloc.mmap_threshold=${16 * 1024 ** 2}`,
  `glibc.malloc.trim_threshold=${24 * 1024 ** 2}`,
].join(":");
/** A renderer's objects are few and live briefly: room for 16 MiB of them, as Node has it, is memory that others need. */
const NODE_OPTIONS = ["--max-semi-space-size=1"];
/** How often the memory of renderers at work is looked at, in milliseconds: a codec fills some 100 MB in that time. */
const LOOK_MS = 50;
/** The source and the layers of one render together, as a share of what one file may have. Stops sixteen large layers. */
const INPUTS_SHARE = 2;
/** Jobs that one renderer holds: the one that it renders, and one whose source arrives meanwhile. */
const DEPTH = 2;

/** A picture that was kept is here too if it is small. */
export type Rendered = Omit<Picture, "data"> &
  ({ readonly data: Buffer } | { readonly kept: Kept; readonly data?: Buffer });

/** Since the pool was opened, and now. */
export interface RenderCounts {
  readonly done: number;
  readonly failed: number;
  /** Of all that ended, from the question to the answer. */
  readonly seconds: number;
  /** Pictures that no renderer has taken yet. */
  readonly waiting: number;
  readonly processes: number;
}

interface Task {
  readonly job: Job;
  readonly inputs: readonly Input[];
  readonly draft: PictureDraft | undefined;
  /** Files could not be read: all inputs are sent. */
  readonly sends: boolean;
  resolve(picture: Rendered): void;
  reject(error: unknown): void;
  /** Its inputs are all with the renderer. */
  fed: boolean;
  /** Ended while its inputs were on their way: an error of the source, or the death of the renderer. */
  over: boolean;
}

interface Renderer {
  readonly process: ChildProcess;
  readonly socket: Duplex;
  /** In the order in which they will be answered. */
  readonly tasks: Task[];
  /** Inputs are written one task after the other. */
  feeding: Promise<void>;
  /** The answer whose bytes arrive. */
  arriving: { answer: Answer & { kind: "done" }; data: Buffer | undefined; filled: number } | undefined;
  deadline: NodeJS.Timeout | undefined;
  /** Whether the deadline is that of a rendering; else that of its inputs. */
  timed: boolean;
  renders: number;
  resident: number;
  idleSince: number;
  /** Takes no more tasks: it is worn, or dying. */
  retired: boolean;
  /** By us. What still comes from it answers a task that has ended, and is nobody's. */
  killed: boolean;
}

export class Renderers {
  readonly #limits: DeliveryLimits;
  atOnce: number;
  readonly #log: Logger;
  readonly #all = new Set<Renderer>();
  readonly #queue: Task[] = [];
  #reaper: NodeJS.Timeout | undefined;
  /** Runs while something is rendered. */
  #guard: NodeJS.Timeout | undefined;
  #closed = false;
  #done = 0;
  #failed = 0;
  #seconds = 0;

  constructor(limits: DeliveryLimits, log: Logger) {
    this.#limits = limits;
    this.atOnce = limits.renderers;
    this.#log = log;
  }

  get counts(): RenderCounts {
    const now = { waiting: this.#queue.length, processes: this.#all.size };
    return { done: this.#done, failed: this.#failed, seconds: this.#seconds, ...now };
  }

  /** Process ids of the renderers that run. */
  get pids(): number[] {
    return [...this.#all].flatMap(({ process: { pid } }) => pid ?? []);
  }

  /**
   * Renders the first input, which is read only when a renderer will take it next; the others are the job's own. The
   * picture becomes the entry of the cache that `draft` names, if that can be done.
   * @throws DeliveryError of render.ts; SourceTooLarge for all inputs together, TooManyRenders when the queue is full,
   * ServiceUnavailable when no renderer can be started, LimitExceeded at the deadline or for too much memory,
   * RendererFailed when the process died; errors of the inputs pass through
   */
  render(job: Job, inputs: readonly Input[]): Promise<Picture>;
  render(job: Job, inputs: readonly Input[], draft: PictureDraft | undefined): Promise<Rendered>;
  render(job: Job, inputs: readonly Input[], draft?: PictureDraft): Promise<Rendered> {
    if (this.#closed) return Promise.reject(closing());
    const bytes = inputs.reduce((sum, { size }) => sum + size, 0);
    const most = this.#limits.sourceBytes * INPUTS_SHARE;
    if (bytes > most) {
      const message = `The picture and its layers have ${bytes} bytes; together they may have ${most}.`;
      return Promise.reject(new DeliveryError("SourceTooLarge", message));
    }
    const began = performance.now();
    const ended = (): void => void (this.#seconds += (performance.now() - began) / 1000);
    return new Promise((resolve, reject) => {
      const task: Task = {
        job,
        inputs,
        draft,
        sends: false,
        resolve: (picture) => {
          this.#done++;
          ended();
          resolve(picture);
        },
        reject: (error) => {
          this.#failed++;
          ended();
          reject(error);
        },
        fed: false,
        over: false,
      };
      const renderer = this.#free();
      if (renderer !== undefined) return this.#give(renderer, task);
      if (this.#all.size === 0) return reject(noRenderer());
      if (this.#queue.length >= this.#limits.queueLength) {
        return reject(
          notNow("Too many pictures wait to be rendered.", RETRY_AFTER_SECONDS, "TooManyRenders"),
        );
      }
      this.#queue.push(task);
    });
  }

  /** Ends all renderers; renders under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#reaper);
    clearInterval(this.#guard);
    for (const task of this.#queue.splice(0)) task.reject(closing());
    await Promise.all(
      [...this.#all].map((renderer) => {
        renderer.killed = true;
        return end(renderer.process);
      }),
    );
  }

  /** An idle renderer, a new one while there may be more, else the one with the shortest queue of its own. */
  #free(): Renderer | undefined {
    const usable = [...this.#all].filter(({ retired, tasks }) => !retired && tasks.length < DEPTH);
    const best = usable.toSorted((a, b) => a.tasks.length - b.tasks.length)[0];
    if (best?.tasks.length === 0) return best;
    return (this.#all.size < this.atOnce ? this.#start() : undefined) ?? best;
  }

  /** Undefined: the system has no room for another process, or no descriptors for its pipes. */
  #start(): Renderer | undefined {
    const program = fileURLToPath(programUrl(import.meta.url, "./process.ts"));
    const child = spawn(process.execPath, [...NODE_OPTIONS, program], {
      stdio: ["ignore", "ignore", "inherit", "pipe"],
      // Nothing of our environment: it holds secrets, and a codec may be taken over.
      env: { UV_THREADPOOL_SIZE: THREADPOOL_SIZE, GLIBC_TUNABLES: ALLOCATOR, VIPS_WARNING: "1" },
    });
    if (child.pid === undefined) {
      child.on("error", (error) => this.#log.warn({ err: error }, "a renderer can't be started"));
      return undefined;
    }
    const socket = child.stdio[3] as Duplex;
    const renderer: Renderer = {
      process: child,
      socket,
      tasks: [],
      feeding: Promise.resolve(),
      arriving: undefined,
      deadline: undefined,
      timed: false,
      renders: 0,
      resident: 0,
      idleSince: Date.now(),
      retired: false,
      killed: false,
    };
    this.#all.add(renderer);
    readFrames(socket, {
      json: (_kind, value) => this.#answered(renderer, value as Answer),
      bytes: (piece) => this.#received(renderer, piece),
    });
    // Its end is told by `exit`.
    socket.on("error", () => undefined);
    child.on("error", (error) => this.#gone(renderer, error.message));
    child.on("exit", (code, signal) => this.#gone(renderer, signal ?? `exit code ${code}`));
    this.#reaper ??= setInterval(() => this.#reap(), this.#limits.idleSeconds * 1000).unref();
    return renderer;
  }

  #give(renderer: Renderer, task: Task): void {
    renderer.tasks.push(task);
    this.#watch(renderer);
    renderer.feeding = renderer.feeding.then(() => this.#feed(renderer, task));
  }

  /** Names the inputs' files, or hands them over chunk by chunk: they are never whole in this process. */
  async #feed(renderer: Renderer, task: Task): Promise<void> {
    const { socket } = renderer;
    let complete = false;
    const { job, draft, sends } = task;
    try {
      const inputs = await Promise.all(
        task.inputs.map(async (input) => {
          const files = sends ? undefined : await input.files?.();
          return { size: input.size, ...(files !== undefined && { files }) };
        }),
      );
      const order: Order = { job, inputs, ...(draft !== undefined && { draft }) };
      if (task.over || socket.destroyed) return;
      await writeFrames(socket, jsonFrame("job", order)).catch(ignore);
      const unfiled = task.inputs.filter((_, n) => inputs[n]!.files === undefined);
      for (const input of unfiled) {
        let sent = 0;
        for await (const chunk of input.read()) {
          if (task.over || socket.destroyed) return;
          sent += chunk.length;
          complete = sent >= input.size && input === unfiled.at(-1);
          if (sent > input.size) break;
          await writeFrames(socket, { kind: "bytes", bytes: chunk }).catch(ignore);
        }
        if (sent !== input.size) {
          throw new DeliveryError("OriginFailed", `The source has ${input.size} bytes and ${sent} came.`);
        }
      }
      task.fed = true;
      this.#watch(renderer);
    } catch (error) {
      if (task.over) return;
      task.over = true;
      const place = renderer.tasks.indexOf(task);
      renderer.tasks.splice(place, 1);
      if (place === 0) {
        clearTimeout(renderer.deadline);
        renderer.deadline = undefined;
      }
      if (complete) {
        // It has all that it was promised and may be at work: its answer must not be taken for another's.
        kill(renderer);
      }
      await writeFrames(socket, jsonFrame("drop", null)).catch(ignore);
      task.reject(error);
      this.#next(renderer);
    }
  }

  /** The first task's time: as long for its inputs, from when it is its turn, and then as long for the rendering. */
  #watch(renderer: Renderer): void {
    const task = renderer.tasks[0];
    if (task === undefined || (renderer.deadline !== undefined && renderer.timed === task.fed)) return;
    clearTimeout(renderer.deadline);
    renderer.timed = task.fed;
    const seconds = this.#limits.renderSeconds;
    renderer.deadline = setTimeout(() => {
      this.#abandon(
        renderer,
        task.fed
          ? new DeliveryError("LimitExceeded", `Rendering took longer than ${seconds} seconds.`)
          : new DeliveryError("OriginTimeout", `The source did not come within ${seconds} seconds.`),
      );
    }, seconds * 1000);
    this.#guard ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** The first task ends like that, and the renderer with it: nothing else stops a codec. */
  #abandon(renderer: Renderer, error: DeliveryError): void {
    clearTimeout(renderer.deadline);
    const task = renderer.tasks.shift();
    kill(renderer);
    if (task === undefined) return;
    task.over = true;
    task.reject(error);
  }

  /** Ends renderers whose work has become too large. */
  #look(): void {
    let busy = false;
    for (const renderer of this.#all) {
      if (renderer.tasks.length === 0 || renderer.killed) continue;
      busy = true;
      const { renderBytes } = this.#limits;
      if (residentBytes(renderer.process.pid) <= renderBytes) continue;
      const message = `Rendering needs more than ${renderBytes} bytes of memory.`;
      this.#abandon(renderer, new DeliveryError("LimitExceeded", message));
    }
    if (busy) return;
    clearInterval(this.#guard);
    this.#guard = undefined;
  }

  #answered(renderer: Renderer, answer: Answer): void {
    if (renderer.killed) return;
    renderer.resident = answer.resident;
    if (answer.kind === "done" && answer.follows) {
      renderer.arriving = { answer, data: undefined, filled: 0 };
      if (answer.size === 0) this.#received(renderer, Buffer.alloc(0));
      return;
    }
    const task = this.#settle(renderer);
    if (answer.kind === "failed") task?.reject(new DeliveryError(answer.code, answer.message));
    else if (answer.kind === "unread") {
      if (task !== undefined) this.#queue.unshift({ ...task, sends: true, fed: false, over: false });
    } else task?.resolve({ ...answer.picture, kept: { size: answer.size, bytes: answer.kept ?? 0 } });
    this.#next(renderer);
  }

  #received(renderer: Renderer, piece: Buffer): void {
    const { arriving } = renderer;
    if (arriving === undefined || renderer.killed) return;
    const { picture, size, kept } = arriving.answer;
    const whole = piece.length === size;
    const data = whole ? piece : (arriving.data ??= Buffer.allocUnsafe(size));
    arriving.filled += whole ? size : piece.copy(data, arriving.filled);
    if (arriving.filled < size) return;
    renderer.arriving = undefined;
    const made = { ...picture, data };
    this.#settle(renderer)?.resolve(kept === undefined ? made : { ...made, kept: { size, bytes: kept } });
    this.#next(renderer);
  }

  /** The first task has its answer. */
  #settle(renderer: Renderer): Task | undefined {
    clearTimeout(renderer.deadline);
    renderer.deadline = undefined;
    renderer.renders++;
    const task = renderer.tasks.shift();
    if (task !== undefined) task.over = true;
    return task;
  }

  /** After an answer: the next task's time begins, and whoever waits longest gets the free place. */
  #next(renderer: Renderer): void {
    const { rendersPerProcess, rendererBytes } = this.#limits;
    renderer.idleSince = Date.now();
    if (renderer.renders >= rendersPerProcess || renderer.resident > rendererBytes) renderer.retired = true;
    if (renderer.retired && renderer.tasks.length === 0) {
      this.#all.delete(renderer);
      kill(renderer);
    }
    this.#watch(renderer);
    this.#serveQueue();
  }

  #serveQueue(): void {
    while (this.#queue.length > 0) {
      const renderer = this.#free();
      if (renderer === undefined) break;
      this.#give(renderer, this.#queue.shift()!);
    }
    // Else those that there are go on with it.
    if (this.#all.size === 0) for (const task of this.#queue.splice(0)) task.reject(noRenderer());
  }

  /** A renderer has ended, as told or not: the task that it was at fails, one behind it goes to another. */
  #gone(renderer: Renderer, how: string): void {
    if (!this.#all.delete(renderer)) return;
    clearTimeout(renderer.deadline);
    const { killed } = renderer;
    renderer.retired = true;
    renderer.socket.destroy();
    const [first, ...others] = renderer.tasks.splice(0);
    const waiting = killed && first !== undefined ? [first, ...others] : others;
    if (!killed && first !== undefined) {
      this.#log.warn({ renderer: renderer.process.pid, how }, "a renderer died at its work");
      first.over = true;
      first.reject(new DeliveryError("RendererFailed", "The renderer died at this picture."));
    }
    for (const task of waiting) {
      task.over = true;
      if (this.#closed) task.reject(closing());
      else this.#queue.unshift({ ...task, fed: false, over: false });
    }
    if (!this.#closed) this.#serveQueue();
  }

  /** Ends renderers that had nothing to do for a while. */
  #reap(): void {
    const idleMs = this.#limits.idleSeconds * 1000;
    for (const renderer of this.#all) {
      if (renderer.tasks.length > 0 || isRecent(renderer.idleSince, idleMs)) continue;
      this.#all.delete(renderer);
      kill(renderer);
    }
  }
}

function kill(renderer: Renderer): void {
  renderer.retired = true;
  renderer.killed = true;
  renderer.process.kill("SIGKILL");
}

async function end(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null || process.pid === undefined) return;
  const exit = new Promise((resolve) => process.once("exit", resolve));
  process.kill("SIGKILL");
  await exit;
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
const noRenderer = (): DeliveryError => notNow("No renderer can be started now.");
