/** A pool of renderers by itself, and sources that stop, fail and count. */
import { pino } from "pino";
import sharp from "sharp";
import { vi } from "vitest";
import { Renderers } from "../../../../src/delivery/image/image.ts";
import type { Input, Job, Picture } from "../../../../src/delivery/image/job.ts";
import { DEFAULT_LIMITS, type DeliveryLimits } from "../../../../src/delivery/limits.ts";
import { parseImageKit } from "../../../../src/delivery/plan/url.ts";

/** Kept, because some tests put a clock of their own in its place. */
const realTimeout = globalThis.setTimeout;
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => void realTimeout(resolve, ms));
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

/** Of the pool's deadlines alone; the processes live in real time. */
export const useClock = (): void => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
export const pass = (seconds: number): void => void vi.advanceTimersByTime(seconds * 1000);

/** What all sources are: 60 by 60. */
export const bytes = await sharp({ create: { width: 60, height: 60, channels: 3, background: "red" } })
  .png()
  .toBuffer();

export class Pool extends Renderers implements AsyncDisposable {
  async [Symbol.asyncDispose](): Promise<void> {
    // One that a test has stopped must not outlive it.
    await this.close();
  }
  /** To a picture of that width. */
  make(width: number, input: Input = source()): Promise<Picture> {
    return this.render(job(width), [input]);
  }
  get pid(): number {
    return this.pids[0]!;
  }
}
export const open = (limits: Partial<DeliveryLimits> = {}): Pool =>
  new Pool({ ...DEFAULT_LIMITS, renderers: 1, ...limits }, pino({ level: "silent" }));

/** By a chain, or to a width. */
export function job(chain: string | number): Job {
  const text = typeof chain === "number" ? `w-${chain}` : chain;
  const { plan } = parseImageKit({ rawPath: `tr:${text}/a.png`, rawQuery: "", named: new Map() });
  return {
    kind: "picture",
    plan: plan!,
    hints: { accepts: [] },
    inputs: [],
    limits: DEFAULT_LIMITS,
  };
}

export const source = (size = bytes.length): Input => ({ size, read: () => pieces() });
/** The picture in two pieces, with something to wait for between them. */
export async function* pieces(between?: Promise<unknown>): AsyncGenerator<Buffer> {
  yield bytes.subarray(0, 40);
  await between;
  yield bytes.subarray(40);
}

/** A source that stops in the middle until it is let go, or fails there. */
export function halting(): {
  input: Input;
  reads: () => number;
  go: () => void;
  fail: (error: Error) => void;
} {
  let reads = 0;
  let go!: () => void;
  let fail!: (error: Error) => void;
  const gate = new Promise<void>((resolve, reject) => {
    go = resolve;
    fail = reject;
  });
  gate.catch(() => undefined);
  const read = (): AsyncGenerator<Buffer> => {
    reads++;
    return pieces(gate);
  };
  return { input: { size: bytes.length, read }, reads: () => reads, go, fail };
}

/** Counts how often it was read. */
export function counted(): { input: Input; reads: () => number } {
  const { input, reads, go } = halting();
  go();
  return { input, reads };
}

/** The code of what a promise fails with; "none" when it doesn't. */
export const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "none",
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
  );
export const widthOf = async (promise: Promise<Picture>): Promise<number> => (await promise).width;
