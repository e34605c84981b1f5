/**
 * The pool of renderer processes. A picture that crashes, hangs or bloats a codec costs its own answer: the process is
 * killed and the next one starts fresh. No renderer runs before the first render.
 */
import { isRecent } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { closing, DeliveryError, notNow } from "../errors.ts";
import type { DeliveryLimits } from "../limits.ts";
import type { Input, Job, Picture } from "./job.ts";
import type { PictureDraft } from "./process.ts";
import { PLACES, Renderer, type Rendered, type Task } from "./renderer.ts";

/** Said to clients that find the queue full: a place is free after a few renders. */
const RETRY_AFTER_SECONDS = 2;
/** How often the memory of renderers at work is looked at, in milliseconds: a codec fills some 100 MB in that time. */
const LOOK_MS = 50;
/** The source and the layers of one render together, as a share of what one file may have. Stops sixteen large layers. */
const INPUTS_SHARE = 2;

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

export class Renderers {
  readonly #limits: DeliveryLimits;
  readonly #log: Logger;
  readonly #all = new Set<Renderer>();
  readonly #queue: Task[] = [];
  #atOnce: number;
  #reaper: NodeJS.Timeout | undefined;
  /** Runs while something is rendered. */
  #guard: NodeJS.Timeout | undefined;
  #closed = false;
  #done = 0;
  #failed = 0;
  #seconds = 0;

  constructor(limits: DeliveryLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
    this.#atOnce = limits.renderers;
  }

  get counts(): RenderCounts {
    const now = { waiting: this.#queue.length, processes: this.#all.size };
    return { done: this.#done, failed: this.#failed, seconds: this.#seconds, ...now };
  }

  /** Process ids of the renderers that run. */
  get pids(): number[] {
    return [...this.#all].flatMap(({ pid }) => pid ?? []);
  }

  /** Pictures that are made at the same time from now on, one or more. What is at work goes on. */
  set atOnce(pictures: number) {
    this.#atOnce = pictures;
    if (!this.#closed) this.#serveQueue();
  }

  /**
   * Renders the first input, which is read only when a renderer has one of its few places for it; the others are the job's
   * own. The picture becomes the entry of the cache that `draft` names, if that can be done.
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
        lost: false,
        alone: false,
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
      };
      // Behind those that wait: one that is to be made alone would wait for ever.
      this.#queue.push(task);
      this.#serveQueue();
      if (this.#queue.length <= this.#limits.queueLength || this.#queue.at(-1) !== task) return;
      this.#queue.pop();
      task.reject(notNow("Too many pictures wait to be rendered.", RETRY_AFTER_SECONDS, "TooManyRenders"));
    });
  }

  /** Ends all renderers; renders under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#reaper);
    clearInterval(this.#guard);
    for (const task of this.#queue.splice(0)) task.reject(closing());
    await Promise.all([...this.#all].map((renderer) => renderer.end()));
  }

  /** Gives a task to an idle place, one of a new renderer while there may be more, else to where the fewest are before it. */
  #place(task: Task): boolean {
    let left = this.#atOnce;
    for (const { retired, killed, size } of this.#all) {
      if (retired) left -= killed ? PLACES : Math.min(PLACES, size);
    }
    let best: Renderer | undefined;
    let bestPlaces = 0;
    for (const each of this.#all) {
      if (each.retired) continue;
      const places = Math.max(0, Math.min(PLACES, left));
      left -= places;
      if (!each.takes(task, places) || (best !== undefined && best.size <= each.size)) continue;
      best = each;
      bestPlaces = places;
    }
    const idle = best !== undefined && best.size < bestPlaces;
    const started = idle || left <= 0 ? undefined : this.#start();
    const renderer = started ?? best;
    if (renderer === undefined) return false;
    renderer.give(task, started === undefined ? bestPlaces : Math.min(PLACES, left));
    this.#guard ??= setInterval(() => this.#look(), LOOK_MS).unref();
    return true;
  }

  #start(): Renderer | undefined {
    const renderer = Renderer.start(this.#limits, this.#log, (...freed) => this.#freed(...freed));
    if (renderer === undefined) return undefined;
    this.#all.add(renderer);
    this.#reaper ??= setInterval(() => this.#reap(), this.#limits.idleSeconds * 1000).unref();
    return renderer;
  }

  #freed(renderer: Renderer, again: readonly Task[]): void {
    if (renderer.over) this.#drop(renderer);
    if (this.#closed) for (const task of again) task.reject(closing());
    else {
      this.#queue.unshift(...again);
      this.#serveQueue();
    }
  }

  #drop(renderer: Renderer): void {
    this.#all.delete(renderer);
    renderer.kill();
  }

  #serveQueue(): void {
    while (this.#queue.length > 0 && this.#place(this.#queue[0]!)) this.#queue.shift();
    // Else those that there are go on with it.
    if (this.#all.size === 0) for (const task of this.#queue.splice(0)) task.reject(noRenderer());
  }

  #look(): void {
    for (const renderer of this.#all) renderer.look();
    if ([...this.#all].some(({ size }) => size > 0)) return;
    clearInterval(this.#guard);
    this.#guard = undefined;
  }

  /** Ends renderers that had nothing to do for a while. */
  #reap(): void {
    const idleMs = this.#limits.idleSeconds * 1000;
    for (const renderer of this.#all) {
      if (renderer.size === 0 && !isRecent(renderer.idleSince, idleMs)) this.#drop(renderer);
    }
  }
}

const noRenderer = (): DeliveryError => notNow("No renderer can be started now.");
