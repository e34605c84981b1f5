/** The pool of renderers by itself. Its processes are compiled: `npm run build` first. */
import { mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readEnd } from "../../../../src/delivery/cache/entries.ts";
import type { Input } from "../../../../src/delivery/image/job.ts";
import type { PictureDraft } from "../../../../src/delivery/image/process.ts";
import { once } from "../../../../src/lib/chunks.ts";
import {
  bytes,
  codeOf,
  counted,
  halting,
  job,
  open,
  pass,
  pieces,
  sleep,
  source,
  until,
  useClock,
  widthOf,
} from "./pool.ts";

afterEach(() => void vi.useRealTimers());

describe("a renderer", () => {
  test("answers in the order of the questions, and each with its own picture", async () => {
    await using pool = open();
    const widths = [31, 12, 45, 7, 50, 23, 60, 18];
    const order: number[] = [];
    const pictures = await Promise.all(
      widths.map(async (width) => {
        const picture = await pool.make(width);
        order.push(width);
        return picture;
      }),
    );
    expect(order).toEqual(widths);
    const sizes = await Promise.all(pictures.map(({ data }) => sharp(data).metadata()));
    expect(sizes.map(({ width }) => width)).toEqual(widths);
  });

  test("receives the next source while it works, and no further one; the queue has an end", async () => {
    await using pool = open({ queueLength: 1 });
    await pool.make(5);
    process.kill(pool.pid, "SIGSTOP");
    const [first, second, third] = [counted(), counted(), counted()];
    const answers = [first, second, third].map(({ input }, n) => widthOf(pool.make(10 + n, input)));
    await expect(pool.make(20)).rejects.toMatchObject({
      code: "TooManyRenders",
      headers: ["Retry-After", expect.any(String)],
    });
    await until(() => second.reads() === 1);
    await sleep(50);
    expect([first, second, third].map(({ reads }) => reads())).toEqual([1, 1, 0]);
    process.kill(pool.pid, "SIGCONT");
    expect(await Promise.all(answers)).toEqual([10, 11, 12]);
  });

  test("that is killed costs the answer that it was at; the one behind it is made by another", async () => {
    await using pool = open();
    await pool.make(5);
    const { pid } = pool;
    process.kill(pid, "SIGSTOP");
    const [first, second, third] = [counted(), counted(), counted()];
    const hit = codeOf(pool.make(10, first.input));
    const behind = widthOf(pool.make(11, second.input));
    const queued = widthOf(pool.make(12, third.input));
    await until(() => second.reads() === 1);
    process.kill(pid, "SIGKILL");
    expect(await Promise.all([hit, behind, queued])).toEqual(["RendererFailed", 11, 12]);
    expect([first, second, third].map(({ reads }) => reads())).toEqual([1, 2, 1]);
    expect(pool.pids).not.toContain(pid);
  });

  test("ends when it has nothing to do for a while, and not while it waits for a source", async () => {
    await using pool = open({ idleSeconds: 0.1 });
    const late = halting();
    const answer = widthOf(pool.make(10, late.input));
    const { pid } = pool;
    await sleep(300);
    late.go();
    expect(await answer).toBe(10);
    expect(pool.pids).toEqual([pid]);
    await until(() => pool.pids.length === 0);
    expect(await widthOf(pool.make(11))).toBe(11);
  });

  test("is replaced when it has done its share, and no answer is lost", async () => {
    await using pool = open({ rendersPerProcess: 3 });
    const widths = Array.from({ length: 10 }, (_, n) => 10 + n);
    expect(await Promise.all(widths.map((width) => widthOf(pool.make(width))))).toEqual(widths);
  });

  test("is replaced when it has become too large", async () => {
    await using pool = open({ rendererBytes: 1 });
    const pids = new Set<number>();
    for (const width of [10, 11]) {
      const made = pool.make(width);
      pids.add(pool.pid);
      expect(await widthOf(made)).toBe(width);
    }
    expect(pids.size).toBe(2);
  });
});

describe("a source", () => {
  test.each([
    ["shorter", 1],
    ["longer", -1],
    ["much longer", -60],
  ])("that is %s than it was said to be fails, and nothing behind it does", async (_, more) => {
    await using pool = open();
    const [wrong, right] = [codeOf(pool.make(10, source(bytes.length + more))), widthOf(pool.make(11))];
    expect(await Promise.all([wrong, right])).toEqual(["OriginFailed", 11]);
    expect(await widthOf(pool.make(12))).toBe(12);
  });

  test("that fails in the middle gives its own error, and the renderer goes on", async () => {
    await using pool = open();
    await pool.make(5);
    const { pid } = pool;
    const [before, broken] = [halting(), halting()];
    const answers = [
      widthOf(pool.make(10, before.input)),
      codeOf(pool.make(11, broken.input)),
      widthOf(pool.make(12)),
    ];
    const error = new Error("the network is gone");
    before.go();
    await until(() => broken.reads() === 1);
    broken.fail(error);
    expect(await Promise.all(answers)).toEqual([10, error, 12]);
    expect(pool.pids).toEqual([pid]);
  });

  test("that fails behind its last byte is not answered, nor is its picture taken for another's", async () => {
    await using pool = open();
    const error = new Error("the checksum is wrong");
    const input: Input = {
      size: bytes.length,
      async *read() {
        yield* pieces();
        throw error;
      },
    };
    const answers = [codeOf(pool.make(10, input)), widthOf(pool.make(11)), widthOf(pool.make(12))];
    expect(await Promise.all(answers)).toEqual([error, 11, 12]);
  });
});

describe("files", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "windlass-renderers-"));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const write = async (name: string, data: Buffer): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, data);
    return path;
  };

  test("that hold a source, in one piece or in several, are read by the renderer", async () => {
    await using pool = open();
    const path = await write("a", Buffer.concat([Buffer.alloc(7), bytes.subarray(0, 30)]));
    const rest = await write("b", bytes.subarray(30));
    const { input, reads } = counted();
    const files = [
      { path, start: 7, end: 37 },
      { path: rest, start: 0, end: bytes.length - 30 },
    ];
    const made = pool.make(10, { ...input, files: () => Promise.resolve(files) });
    expect([await widthOf(made), reads()]).toEqual([10, 0]);
  });

  test("beside a source that is in none don't confuse them", async () => {
    await using pool = open();
    const path = await write("a", bytes);
    const filed = (): Input => ({
      ...source(),
      files: () => Promise.resolve([{ path, start: 0, end: bytes.length }]),
    });
    const layered = { ...job(10), inputs: ["one.png", "two.png"] };
    const made = pool.render(layered, [filed(), source(), filed()]);
    expect(
      await Promise.all([widthOf(made), widthOf(pool.make(11, filed())), widthOf(pool.make(12))]),
    ).toEqual([10, 11, 12]);
  });

  test.each<[string, (path: string) => Promise<void>, number]>([
    ["are gone", (path) => rm(path), 0],
    ["are cut short", (path) => truncate(path, 20), 0],
    ["are said to hold more than the source", () => Promise.resolve(), 1],
    ["are said to hold less", () => Promise.resolve(), -1],
  ])("that %s are not missed: the source is sent", async (_, spoil, more) => {
    await using pool = open();
    const path = await write("a", bytes);
    await spoil(path);
    const { input, reads } = counted();
    const files = () => Promise.resolve([{ path, start: 0, end: bytes.length + more }]);
    const answers = [pool.make(10, { ...input, files }), pool.make(11)].map(widthOf);
    expect([await Promise.all(answers), reads()]).toEqual([[10, 11], 1]);
  });

  test("that can't be told of fail like a source that can't be read", async () => {
    await using pool = open();
    const error = new Error("the database is gone");
    const answers = [
      codeOf(pool.make(10, { ...source(), files: () => Promise.reject(error) })),
      widthOf(pool.make(11)),
    ];
    expect(await Promise.all(answers)).toEqual([error, 11]);
  });

  test("keep the picture where they are told to; what can't be kept is sent all the same", async () => {
    await using pool = open();
    const about = { origin: "owner/photos", path: "a.png", variant: "w" };
    const draftOf = async (name: string, bytesMax: number): Promise<PictureDraft> => {
      const path = await write(name, Buffer.alloc(0));
      return { path, entry: join(folder, "new", `${name}.kept`), bytesMax, about };
    };
    const small = await draftOf("small", 1e6);
    const made = await pool.render(job(10), [source()], small);
    const found = (await readEnd(small.entry, 1e6))!;
    const { type, width, height, headers } = made;
    expect(found.about).toMatchObject({ ...about, type, width, height, headers, size: made.data!.length });
    expect(found.content).toEqual(made.data);
    const { size } = await stat(small.entry);
    expect("kept" in made && made.kept).toEqual({ size: made.data!.length, bytes: size });
    const noise = await sharp({
      create: { width: 400, height: 400, channels: 3, noise: { type: "gaussian" }, background: "red" },
    })
      .png()
      .toBuffer();
    const large = await draftOf("large", 1e7);
    const input = { size: noise.length, read: () => once(noise) };
    expect(Object.keys(await pool.render(job(400), [input], large))).not.toContain("data");
    expect((await stat(large.entry)).size).toBeGreaterThan(256 * 1024);
    const tight = await draftOf("tight", 100);
    const missing = { ...tight, path: join(folder, "missing"), bytesMax: 1e6 };
    for (const draft of [tight, missing]) {
      const other = await pool.render(job(10), [source()], draft);
      expect([other.data, "kept" in other]).toEqual([made.data, false]);
    }
    await expect(stat(tight.entry)).rejects.toThrow("ENOENT");
  });
});

describe("time", () => {
  const renderSeconds = 10;

  test("begins when it is a picture's turn, and again when its source is there", async () => {
    await using pool = open({ renderSeconds });
    await pool.make(5);
    useClock();
    const [first, second] = [halting(), halting()];
    const answers = [widthOf(pool.make(10, first.input)), widthOf(pool.make(11, second.input))];
    await until(() => first.reads() === 1);
    pass(9);
    first.go();
    expect(await answers[0]).toBe(10);
    await until(() => second.reads() === 1);
    pass(9);
    second.go();
    expect(await answers[1]).toBe(11);
  });

  test("ends a source that does not come; the picture behind it is made meanwhile", async () => {
    await using pool = open({ renderSeconds });
    await pool.make(5);
    useClock();
    const stuck = halting();
    const answer = codeOf(pool.make(10, stuck.input));
    expect(await widthOf(pool.make(11))).toBe(11);
    pass(11);
    expect(await answer).toBe("OriginTimeout");
  });

  test("ends a rendering that does not; the picture behind it is made by another renderer", async () => {
    await using pool = open({ renderSeconds });
    await pool.make(5);
    const { pid } = pool;
    useClock();
    process.kill(pid, "SIGSTOP");
    const [first, second] = [counted(), counted()];
    const answers = [codeOf(pool.make(10, first.input)), widthOf(pool.make(11, second.input))];
    // Sources are handed over one after the other.
    await until(() => second.reads() === 1);
    pass(11);
    expect(await Promise.all(answers)).toEqual(["LimitExceeded", 11]);
    expect(pool.pids).not.toContain(pid);
  });
});

test("closing ends what is under way and what waits, and the processes; afterwards nothing is taken", async () => {
  await using pool = open();
  const [working, waiting] = [halting(), halting()];
  const answers = [working, halting(), waiting, halting()].map(({ input }, n) =>
    codeOf(pool.make(10 + n, input)),
  );
  await until(() => working.reads() === 1);
  const { pid } = pool;
  await pool.close();
  expect([...new Set(await Promise.all(answers))]).toEqual(["ServiceUnavailable"]);
  expect([pool.pids, waiting.reads()]).toEqual([[], 0]);
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  expect(await codeOf(pool.make(20))).toBe("ServiceUnavailable");
});
