/**
 * The pool of renderer processes. A picture that crashes, hangs or bloats a codec costs its own answer: the process is
 * killed and the next one starts fresh. No renderer runs before the first render.
 */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { programUrl } from "../lib/program.ts";
import type { Logger } from "../lib/log.ts";
import { DeliveryError } from "./errors.ts";
import type { Job, Picture } from "./image.ts";
import type { DeliveryLimits } from "./limits.ts";
import type { Answer, Order } from "./rendererprocess.ts";

/** Said to clients that find the queue full: a place is free after a few renders. */
const RETRY_AFTER_SECONDS = 2;
/** A sharp pipeline takes one thread of libuv's pool; the second is for everything else. */
const THREADPOOL_SIZE = "2";

interface Renderer {
  readonly process: ChildProcess;
  renders: number;
  resident: number;
  idleSince: number;
  /** Of the render that it is at. */
  finish?: ((answer: Answer | DeliveryError) => void) | undefined;
}

export class Renderers {
  readonly #limits: DeliveryLimits;
  readonly #log: Logger;
  readonly #all = new Set<Renderer>();
  readonly #idle: Renderer[] = [];
  readonly #queue: { resolve: (renderer: Renderer) => void; reject: (error: DeliveryError) => void }[] = [];
  #reaper: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(limits: DeliveryLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
  }

  /** Process ids of the renderers that run. */
  get pids(): number[] {
    return [...this.#all].flatMap(({ process: { pid } }) => pid ?? []);
  }

  /**
   * Renders one source, which is read only when a renderer is free.
   * @throws DeliveryError of image.ts; TooManyRenders when the queue is full, LimitExceeded at the deadline,
   * RendererFailed when the process died; errors of the source pass through
   */
  async render(job: Job, source: () => AsyncIterable<Buffer>): Promise<Picture> {
    const renderer = await this.#take();
    const answer = await this.#run(renderer, job, source()).finally(() => this.#release(renderer));
    if (answer.kind === "failed") throw new DeliveryError(answer.code, answer.message);
    const { data, ...rest } = answer.picture;
    // Structured clones of Buffers arrive as Uint8Arrays in some versions of Node.
    return { ...rest, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength) };
  }

  /** Ends all renderers; renders under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#reaper);
    for (const waiting of this.#queue.splice(0)) waiting.reject(closing());
    await Promise.all([...this.#all].map(({ process }) => end(process)));
  }

  #take(): Promise<Renderer> {
    if (this.#closed) return Promise.reject(closing());
    const idle = this.#idle.pop();
    if (idle !== undefined) return Promise.resolve(idle);
    if (this.#all.size < this.#limits.renderers) return Promise.resolve(this.#start());
    if (this.#queue.length >= this.#limits.queueLength) {
      const headers = ["Retry-After", String(RETRY_AFTER_SECONDS)];
      return Promise.reject(
        new DeliveryError("TooManyRenders", "Too many pictures wait to be rendered.", headers),
      );
    }
    return new Promise((resolve, reject) => this.#queue.push({ resolve, reject }));
  }

  #start(): Renderer {
    const child = fork(fileURLToPath(programUrl(import.meta.url, "./rendererprocess.ts")), [], {
      serialization: "advanced",
      execArgv: [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      // Nothing of our environment: it holds secrets, and a codec may be taken over.
      env: { UV_THREADPOOL_SIZE: THREADPOOL_SIZE, MALLOC_ARENA_MAX: "2", VIPS_WARNING: "1" },
    });
    const renderer: Renderer = { process: child, renders: 0, resident: 0, idleSince: 0 };
    this.#all.add(renderer);
    child.on("message", (answer: Answer) => renderer.finish?.(answer));
    child.on("error", (error) => this.#gone(renderer, error.message));
    child.on("exit", (code, signal) => this.#gone(renderer, signal ?? `exit code ${code}`));
    this.#reaper ??= setInterval(() => this.#reap(), this.#limits.idleSeconds * 1000).unref();
    return renderer;
  }

  /** A renderer has ended, as told or not. */
  #gone(renderer: Renderer, how: string): void {
    if (!this.#all.delete(renderer)) return;
    const at = this.#idle.indexOf(renderer);
    if (at >= 0) this.#idle.splice(at, 1);
    if (renderer.finish === undefined) return;
    this.#log.warn({ pid: renderer.process.pid, how }, "a renderer died at its work");
    renderer.finish(new DeliveryError("RendererFailed", "The renderer died at this picture."));
  }

  async #run(renderer: Renderer, job: Job, source: AsyncIterable<Buffer>): Promise<Answer> {
    let deadline: NodeJS.Timeout | undefined;
    const answered = new Promise<Answer>((resolve, reject) => {
      renderer.finish = (answer) => (answer instanceof DeliveryError ? reject(answer) : resolve(answer));
      const seconds = this.#limits.renderSeconds;
      deadline = setTimeout(() => {
        reject(new DeliveryError("LimitExceeded", `Rendering took longer than ${seconds} seconds.`));
        renderer.process.kill("SIGKILL");
      }, seconds * 1000);
    });
    try {
      // The feed ends first in good order; when it fails because the process died, `answered` says so better.
      const fed = this.#feed(renderer, job, source).then(() => answered);
      const answer = await Promise.race([answered, fed]);
      renderer.renders++;
      renderer.resident = answer.resident;
      return answer;
    } finally {
      clearTimeout(deadline);
      renderer.finish = undefined;
    }
  }

  /** Hands the source over chunk by chunk: it is never whole in this process. */
  async #feed(renderer: Renderer, job: Job, source: AsyncIterable<Buffer>): Promise<void> {
    const send = (order: Order): Promise<void> =>
      new Promise((resolve, reject) => {
        // A process that is gone can't be sent to; its exit tells the render.
        renderer.process.send(order, (error) => (error === null ? resolve() : reject(error)));
      });
    await send({ kind: "job", job }).catch(ignore);
    try {
      // Serialized before `send` returns, so a chunk may be overwritten afterwards.
      for await (const chunk of source) {
        if (!renderer.process.connected) return;
        await send({ kind: "chunk", chunk }).catch(ignore);
      }
    } catch (error) {
      await send({ kind: "drop" }).catch(ignore);
      throw error;
    }
    await send({ kind: "render" }).catch(ignore);
  }

  /** Back into the pool, to whoever waits longest; replaced when it is worn. */
  #release(renderer: Renderer): void {
    const { rendersPerProcess, rendererBytes } = this.#limits;
    const worn = renderer.renders >= rendersPerProcess || renderer.resident > rendererBytes;
    const usable = this.#all.has(renderer) && renderer.process.connected && !renderer.process.killed && !worn;
    if (!usable) {
      this.#all.delete(renderer);
      renderer.process.kill("SIGKILL");
    }
    const waiting = this.#queue.shift();
    if (waiting !== undefined) return waiting.resolve(usable ? renderer : this.#start());
    if (!usable) return;
    renderer.idleSince = Date.now();
    this.#idle.push(renderer);
  }

  /** Ends renderers that had nothing to do for a while. */
  #reap(): void {
    const before = Date.now() - this.#limits.idleSeconds * 1000;
    for (const renderer of this.#idle.filter(({ idleSince }) => idleSince <= before)) {
      this.#idle.splice(this.#idle.indexOf(renderer), 1);
      this.#all.delete(renderer);
      renderer.process.kill("SIGKILL");
    }
  }
}

async function end(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null || process.pid === undefined) return;
  const exit = new Promise((resolve) => process.once("exit", resolve));
  process.kill("SIGKILL");
  await exit;
}

const ignore = (): void => undefined;
const closing = (): DeliveryError => new DeliveryError("ServiceUnavailable", "The server is closing.");
