/** Renderers that make several pictures at the same time. They are compiled: `npm run build` first. */
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Input } from "../../../../src/delivery/image/job.ts";
import {
  codeOf,
  counted,
  halting,
  job,
  open,
  pass,
  sleep,
  source,
  until,
  useClock,
  widthOf,
} from "./pool.ts";

afterEach(() => void vi.useRealTimers());

const MIB = 1024 ** 2;
/** A defect ends the process: nothing of this plan can be read. */
const poison = (): ReturnType<typeof job> => ({ ...job(10), plan: {} as never });

/** A pool whose one process has made a picture and is stopped, so that it is known what is at work when it goes on. */
async function stopped(...args: Parameters<typeof open>): Promise<ReturnType<typeof open>> {
  const pool = open({ renderers: 2, ...args[0] });
  await pool.make(5);
  process.kill(pool.pid, "SIGSTOP");
  return pool;
}

test("two are made by one process, and the source of a third one arrives meanwhile", async () => {
  await using pool = await stopped();
  const sources = [counted(), counted(), counted(), counted()];
  const answers = sources.map(({ input }, n) => widthOf(pool.make(10 + n, input)));
  await until(() => sources[2]!.reads() === 1);
  await sleep(50);
  expect(sources.map(({ reads }) => reads())).toEqual([1, 1, 1, 0]);
  expect(pool.pids).toHaveLength(1);
  process.kill(pool.pid, "SIGCONT");
  expect(await Promise.all(answers)).toEqual([10, 11, 12, 13]);
});

test("a short one is not held up by a long one", async () => {
  await using pool = open({ renderers: 2 });
  const order: string[] = [];
  const long = pool.render(job("w-2000,h-2000,c-force,f-avif"), [source()]).then(() => order.push("long"));
  for (const width of [10, 11, 12]) await pool.make(width).then(() => order.push(`${width}`));
  await long;
  expect(order).toEqual(["10", "11", "12", "long"]);
});

test("a source that is slow holds up nobody, and one that never comes costs no renderer", async () => {
  await using pool = open({ renderers: 2 });
  await pool.make(5);
  const { pid } = pool;
  useClock();
  const slow = halting();
  const answer = codeOf(pool.make(10, slow.input));
  await until(() => slow.reads() === 1);
  const others = [11, 12, 13, 14].map((width) => widthOf(pool.make(width)));
  expect(await Promise.all(others)).toEqual([11, 12, 13, 14]);
  pass(11);
  expect([await answer, await widthOf(pool.make(15)), pool.pids]).toEqual(["OriginTimeout", 15, [pid]]);
});

describe("a process that is killed", () => {
  test("with two at work costs no answer: each is made once more", async () => {
    await using pool = await stopped();
    const { pid } = pool;
    const sources = [counted(), counted(), counted(), counted()];
    const answers = sources.map(({ input }, n) => widthOf(pool.make(10 + n, input)));
    await until(() => sources[2]!.reads() === 1);
    await sleep(50);
    process.kill(pid, "SIGKILL");
    expect(await Promise.all(answers)).toEqual([10, 11, 12, 13]);
    expect(sources.map(({ reads }) => reads())).toEqual([2, 2, 2, 1]);
    expect(pool.pids).not.toContain(pid);
  });

  test("with one at work costs that one, and not what arrives", async () => {
    await using pool = await stopped();
    const arriving = halting();
    const answers = [codeOf(pool.make(10)), widthOf(pool.make(11, arriving.input))];
    await until(() => arriving.reads() === 1);
    await sleep(50);
    process.kill(pool.pid, "SIGKILL");
    await until(() => arriving.reads() === 2);
    arriving.go();
    expect(await Promise.all(answers)).toEqual(["RendererFailed", 11]);
  });
});

test("a picture that kills its process beside another one costs its own answer alone", async () => {
  await using pool = await stopped();
  const { input, reads } = counted();
  const answers = [codeOf(pool.render(poison(), [source()])), widthOf(pool.make(11, input))];
  await until(() => reads() === 1);
  await sleep(50);
  process.kill(pool.pid, "SIGCONT");
  expect(await Promise.all(answers)).toEqual(["RendererFailed", 11]);
  expect(reads()).toBe(2);
});

test("nobody is begun more than twice, however many others kill their processes", async () => {
  await using pool = open({ renderers: 2 });
  await pool.make(5);
  const good = [10, 11, 12].map((width) => ({ width, ...counted() }));
  const answers = good.flatMap(({ width, input }) => [
    codeOf(pool.render(poison(), [source()])),
    widthOf(pool.make(width, input)),
    codeOf(pool.render(poison(), [source()])),
  ]);
  const failed = "RendererFailed";
  expect(await Promise.all(answers)).toEqual([10, 11, 12].flatMap((width) => [failed, width, failed]));
  // Once to come, and twice at work.
  for (const { reads } of good) expect(reads()).toBeLessThanOrEqual(3);
});

describe("of two at work", () => {
  test("the one that holds the thread of all too long fails, and the other one is made", async () => {
    await using pool = open({ renderers: 2, renderSeconds: 2 });
    await pool.make(5);
    const { pid } = pool;
    // Ten seconds in one loop.
    const held = codeOf(pool.render(job("w-4000,h-4000,c-force,e-distort-a-180"), [source()]));
    await sleep(1000);
    const { input, reads } = counted();
    expect(await widthOf(pool.make(10, input))).toBe(10);
    expect(await held).toBe("LimitExceeded");
    // On a slow machine the loop has not begun yet, and the other one is made beside what comes before it.
    expect(reads()).toBeLessThanOrEqual(2);
    await until(() => !pool.pids.includes(pid));
  });

  test("the one that takes too long by itself fails, and the other one is not disturbed", async () => {
    await using pool = open({ renderers: 2, renderSeconds: 2 });
    await pool.make(5);
    const { pid } = pool;
    const slow = codeOf(pool.render(job("w-8000,h-6000,c-force,f-avif"), [source()]));
    await sleep(1400);
    const { input, reads } = counted();
    const other = widthOf(pool.render(job("w-1500,h-1500,c-force,f-avif"), [input]));
    const behind = widthOf(pool.make(10));
    expect(await Promise.all([slow, other, behind])).toEqual(["LimitExceeded", 1500, 10]);
    expect(reads()).toBe(1);
    await until(() => !pool.pids.includes(pid));
  });

  test("neither is refused when the process does nothing at all", async () => {
    await using pool = await stopped();
    useClock();
    const sources = [counted(), counted()];
    const answers = sources.map(({ input }, n) => widthOf(pool.make(10 + n, input)));
    await until(() => sources[1]!.reads() === 1);
    await sleep(50);
    pass(10);
    await sleep(50);
    pass(1);
    expect(await Promise.all(answers)).toEqual([10, 11]);
    expect(sources.map(({ reads }) => reads())).toEqual([2, 2]);
  });

  test.runIf(process.platform === "linux")("the one that takes too much memory fails", async () => {
    await using pool = await stopped({ renderBytes: 200 * MIB });
    const { input, reads } = counted();
    const large = codeOf(pool.render(job("w-6000,h-6000,c-force,e-contrast,f-png"), [source()]));
    const other = widthOf(pool.render(job("w-2000,h-2000,c-force,f-avif"), [input]));
    await until(() => reads() === 1);
    process.kill(pool.pid, "SIGCONT");
    expect(await Promise.all([large, other])).toEqual(["LimitExceeded", 2000]);
  });
});

/** Pictures by the moment in which they were answered. */
function moments(answers: readonly Promise<number>[]): Promise<number[][]> {
  const all: number[][] = [];
  let now: number[] | undefined;
  const note = (width: number): void => {
    if (now === undefined) {
      all.push((now = []));
      setImmediate(() => (now = undefined));
    }
    now.push(width);
  };
  return Promise.all(answers.map((answer) => answer.then(note))).then(() => all);
}

const avif = (width: number): ReturnType<typeof job> => job(`w-${width},h-${width},c-force,f-avif`);
const counting = (from: number, count: number): number[] => Array.from({ length: count }, (_, n) => from + n);

/** Files of pictures that nothing makes smaller, no two alike. */
async function noises(
  count: number,
): Promise<AsyncDisposable & { readonly bytes: readonly Buffer[]; readonly inputs: readonly Input[] }> {
  const folder = await mkdtemp(join(tmpdir(), "windlass-noise-"));
  const raw = { width: 200, height: 200, channels: 3 } as const;
  const bytes: Buffer[] = [];
  const inputs: Input[] = [];
  for (const n of counting(0, count)) {
    const png = await sharp(randomBytes(raw.width * raw.height * raw.channels), { raw })
      .png({ compressionLevel: 9 })
      .toBuffer();
    const path = join(folder, `${n}.png`);
    await writeFile(path, png);
    bytes.push(png);
    const { length: size } = png;
    inputs.push({
      size,
      read: () => createReadStream(path),
      files: async () => [{ path, start: 0, end: size }],
    });
  }
  return { bytes, inputs, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

describe("where others wait", () => {
  test("answers come together, and the last one waits for nobody", async () => {
    await using pool = await stopped({ renderers: 3 });
    const widths = counting(500, 60);
    const answered = moments(widths.map((width) => widthOf(pool.render(avif(width), [source()]))));
    process.kill(pool.pid, "SIGCONT");
    const all = await answered;
    expect(all.flat().toSorted((a, b) => a - b)).toEqual(widths);
    // By fours, behind the first ones and until there are but three that wait.
    expect(all.filter((some) => some.length > 2).length).toBeGreaterThan(2);
  });

  test("a few come one by one", async () => {
    await using pool = await stopped({ renderers: 3 });
    const answered = moments(counting(350, 8).map((width) => widthOf(pool.render(avif(width), [source()]))));
    process.kill(pool.pid, "SIGCONT");
    expect((await answered)[0]!.length).toBeLessThan(3);
  });

  test("an answer is held back for a moment, and not until they are done", async () => {
    await using pool = await stopped({ renderers: 3 });
    const widths = [1200, ...counting(2400, 6)];
    const answered = moments(widths.map((width) => widthOf(pool.render(avif(width), [source()]))));
    process.kill(pool.pid, "SIGCONT");
    expect((await answered)[0]).toEqual([1200]);
  });

  test("pictures that stay as they are come whole, each its own", async () => {
    await using files = await noises(80);
    await using pool = await stopped({ renderers: 3 });
    const answers = files.inputs.map((input) => pool.render(job("f-orig"), [input]));
    process.kill(pool.pid, "SIGCONT");
    const made = await Promise.all(answers);
    const same = made.map(({ data }, n) => data.equals(files.bytes[n]!));
    expect(same).toEqual(files.bytes.map(() => true));
  });

  test("the end of the process costs no answer that it holds back", async () => {
    await using pool = await stopped({ renderers: 3 });
    const { pid } = pool;
    const widths = counting(500, 60);
    let done = 0;
    const answers = widths.map((width) =>
      widthOf(pool.render(avif(width), [source()])).finally(() => done++),
    );
    process.kill(pid, "SIGCONT");
    await until(() => done > 30);
    await sleep(30);
    process.kill(pid, "SIGKILL");
    expect(await Promise.all(answers)).toEqual(widths);
  });

  test("large sources don't come early, nor does anything behind what takes long", async () => {
    await using pool = await stopped({ renderers: 3 });
    const large = { ...source(), size: 5 * MIB };
    const answers = [10, 11, 12, 13].map((width) => widthOf(pool.make(width)));
    expect(pool.counts.waiting).toBe(0);
    const refused = [large, large].map((input) => codeOf(pool.make(20, input)));
    expect(pool.counts.waiting).toBe(2);
    process.kill(pool.pid, "SIGCONT");
    expect(await Promise.all(answers)).toEqual([10, 11, 12, 13]);
    expect(await Promise.all(refused)).toEqual(["OriginFailed", "OriginFailed"]);

    const long = job("w-3000,h-3000,c-force,f-avif");
    const slow = [widthOf(pool.render(long, [source()]))];
    await sleep(250);
    for (const width of [10, 11, 12, 13]) slow.push(widthOf(pool.make(width)));
    expect(pool.counts.waiting).toBe(1);
    expect(await Promise.all(slow)).toEqual([3000, 10, 11, 12, 13]);
  });
});

test("how many are made at the same time may change", async () => {
  await using pool = open({ renderers: 1, idleSeconds: 0.3 });
  await pool.make(5);
  const { pid } = pool;
  process.kill(pid, "SIGSTOP");
  const answers = [10, 11, 12, 13, 14].map((width) => widthOf(pool.make(width)));
  expect([pool.pids, pool.counts.waiting]).toEqual([[pid], 3]);
  pool.atOnce = 6;
  expect(pool.counts.waiting).toBe(0);
  expect([await answers[3], await answers[4]]).toEqual([13, 14]);
  expect(pool.pids).toHaveLength(2);
  pool.atOnce = 1;
  process.kill(pid, "SIGCONT");
  expect(await Promise.all(answers)).toEqual([10, 11, 12, 13, 14]);
  for (let width = 15; pool.pids.length > 1; width++) {
    expect(await widthOf(pool.make(width))).toBe(width);
    await sleep(20);
  }
  expect(pool.pids).toEqual([pid]);
});
