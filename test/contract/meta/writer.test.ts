import { chmod, stat, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FrameReader, Outbox, decodeRequest, type Request } from "../../../src/meta/frames.ts";
import { MetaError, type Commit, type Meta } from "../../../src/meta/meta.ts";
import { openSqlite } from "../../../src/meta/sqlite.ts";
import { startWriterThread } from "../../../src/meta/thread.ts";
import { encodeKey, tupleRange } from "../../../src/meta/tuple.ts";
import { startWriter, type Writer, type WriterOptions } from "../../../src/meta/writer.ts";
import { newPlace, silent, succeeds, type Place } from "./place.ts";

const MIB = 1024 * 1024;
const put = (n: number | string, value: Buffer | string): Commit => ({
  writes: [{ key: encodeKey(["t", n]), value: Buffer.from(value) }],
});
const kindOf = (outcome: PromiseSettledResult<boolean>): unknown =>
  outcome.status === "fulfilled" ? outcome.value : (outcome.reason as MetaError).kind;

describe("the one writer", () => {
  let place: Place;
  const closing: (() => Promise<void>)[] = [];
  beforeEach(async () => {
    place = await newPlace();
  });
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
    await place.remove();
  });

  async function start(options: Partial<WriterOptions> = {}): Promise<Writer> {
    const writer = await startWriter({
      path: place.path,
      socket: place.socket,
      log: silent,
      reserveBytesMax: 0,
      ...options,
    });
    closing.push(() => writer.close());
    return writer;
  }
  async function open(writerWaitMs = 5_000): Promise<Meta> {
    const meta = await openSqlite({ path: place.path, writer: place.socket, writerWaitMs });
    closing.push(() => meta.close());
    return meta;
  }
  /** A writer that does as it is told; the file is there as if a true one had made it. */
  async function pretend(behave: (request: Request, socket: Socket, out: Outbox) => void): Promise<void> {
    await (await openSqlite({ path: place.path })).close();
    const server = createServer((socket) => {
      const reader = new FrameReader();
      const out = new Outbox();
      socket.on("data", (chunk) =>
        reader.push(chunk, (frame) => {
          const request = decodeRequest(frame);
          if (request.type === "hello") out.state("");
          else behave(request, socket, out);
          if (!socket.destroyed) socket.write(Buffer.from(out.take()));
        }),
      );
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(place.socket, resolve));
    closing.push(() => new Promise((resolve) => server.close(() => resolve())));
  }
  /** Sends bytes as a client and waits until the writer cuts the connection. */
  function sendUntilCut(data: Buffer): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(place.socket, () => socket.write(data));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
      socket.resume();
    });
  }

  test("a lost answer is an unknown outcome, and the next commit finds the next connection", async () => {
    let deaf = true;
    await pretend((request, socket, out) => {
      if (request.type !== "commit") return;
      if (deaf) socket.destroy();
      else out.done(request.id, true);
    });
    const meta = await open();
    const lost = await Promise.allSettled([meta.commit(put(1, "a")), meta.commit(put(2, "b"))]);
    expect(lost.map(kindOf)).toEqual(["unknown", "unknown"]);
    deaf = false;
    expect(await meta.commit(put(3, "c"))).toBe(true);
  });

  test("a writer that answers nonsense is left, with outcomes unknown", async () => {
    await pretend((request, socket) => {
      if (request.type === "commit") socket.write(Buffer.alloc(64, 0xff));
    });
    const meta = await open();
    await expect(meta.commit(put(1, "a"))).rejects.toMatchObject({ kind: "unknown" });
  });

  test("a body id whose block's answer was lost is asked for again", async () => {
    let asked = 0;
    await pretend((request, socket, out) => {
      if (request.type !== "takeIds") return;
      if (asked++ === 0) socket.destroy();
      else out.firstId(request.id, 7_000);
    });
    expect(await (await open()).newBodyId()).toBe(7_000);
  });

  test("commits wait while the writer restarts", async () => {
    const first = await start();
    const meta = await open();
    expect(await meta.commit(put(1, "a"))).toBe(true);
    await first.close();
    await vi.waitFor(() => expect(meta.health()).toContain("no connection"));
    const waiting = meta.commit({ ...put(2, "b"), checks: [{ key: encodeKey(["t", 1]), present: true }] });
    await start();
    expect(await waiting).toBe(true);
    expect(meta.health()).toBeUndefined();
  });

  test("without a writer commits are refused as overload, reads go on, and health says so", async () => {
    const writer = await start();
    const meta = await open(50);
    await meta.commit(put(1, "a"));
    await writer.close();
    await vi.waitFor(() => expect(meta.health()).toContain("no connection"));
    await expect(meta.commit(put(2, "b"))).rejects.toMatchObject({ kind: "overloaded" });
    await expect(meta.newBodyId()).rejects.toMatchObject({ kind: "overloaded" });
    expect(await meta.get(encodeKey(["t", 1]))).toEqual(Buffer.from("a"));
    await expect(
      openSqlite({ path: place.path, writer: place.socket, writerWaitMs: 50 }),
    ).rejects.toMatchObject({
      kind: "overloaded",
    });
  });

  test("closing answers what was sent", async () => {
    const writer = await start();
    const meta = await open();
    await meta.commit(put("warm", "a"));
    const commits = Array.from({ length: 300 }, (_, n) => meta.commit(put(n, Buffer.alloc(2_000, n))));
    await meta.close();
    expect(await Promise.all(commits)).not.toContain(false);
    await writer.close();
    const again = await openSqlite({ path: place.path });
    expect(await again.scan(tupleRange(["t"]), { limit: 1_000 })).toHaveLength(301);
    await again.close();
  });

  test.each<[string, Buffer]>([
    ["another protocol", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["noise", Buffer.alloc(5_000, 0xa5)],
    [
      "a greeting of another version",
      frames(
        (out) => out.hello(),
        (bytes) => bytes.writeUInt8(0x39, bytes.length - 1),
      ),
    ],
    ["a commit before the greeting", frames((out) => out.commit(1, put(1, "a")))],
    ["two greetings", frames((out) => (out.hello(), out.hello()))],
    [
      "an empty key",
      frames((out) => (out.hello(), out.commit(1, { writes: [{ key: Buffer.alloc(0), delete: true }] }))),
    ],
    ["a million body ids", frames((out) => (out.hello(), out.takeIds(1, 1_000_000)))],
    ["an answer", frames((out) => (out.hello(), out.done(1, true)))],
    [
      "a commit with fewer checks than it says",
      frames(
        (out) => (out.hello(), out.commit(1, put(1, "abc"))),
        (bytes) => bytes.writeUInt32LE(1_000, 35),
      ),
    ],
  ])("a client that sends %s costs its connection only", async (_, data) => {
    await start();
    const meta = await open();
    const before = meta.commit(put(1, "a"));
    await sendUntilCut(data);
    expect(await before).toBe(true);
    expect(await meta.commit(put(2, "b"))).toBe(true);
    expect(await meta.scan(tupleRange([]), { limit: 10 })).toHaveLength(2);
  });

  test("a full queue refuses what exceeds it and carries out the rest", async () => {
    await start({ queueBytesMax: 120_000 });
    const meta = await open();
    await meta.commit(put("warm", "a"));
    const other = new Database(place.path);
    other.exec("BEGIN IMMEDIATE");
    const commits = Array.from({ length: 30 }, (_, n) => meta.commit(put(n, Buffer.alloc(20_000, n))));
    const settled = Promise.allSettled(commits);
    await expect(commits.at(-1)).rejects.toMatchObject({ kind: "overloaded" });
    other.exec("COMMIT");
    other.close();
    const kinds = (await settled).map(kindOf);
    expect(new Set(kinds)).toEqual(new Set([true, "overloaded"]));
    const kept = await meta.getMany(kinds.map((_, n) => encodeKey(["t", n])));
    expect(kept.map((value) => (value === undefined ? "overloaded" : true))).toEqual(kinds);
    expect(await meta.commit(put("after", "b"))).toBe(true);
  });

  test("many commits become few transactions", async () => {
    await start();
    const meta = await open();
    await meta.commit({ writes: [{ key: encodeKey(["n"]), add: 1 }] });
    await Promise.all(
      Array.from({ length: 400 }, () => meta.commit({ writes: [{ key: encodeKey(["n"]), add: 1 }] })),
    );
    expect(await meta.sum(encodeKey(["n"]))).toBe(401);
    // Each transaction writes the counter's page once.
    expect(logState(place.path).log).toBeLessThan(100);
  });

  test("the log stays bounded under sustained writes, also behind a reader", async () => {
    await start({ logBytesMax: MIB });
    const meta = await open();
    let count = 0;
    // SQLite skips overwrites with the same bytes.
    const next = (): Commit => put(count % 500, Buffer.alloc(8_000, `${count++}`));
    const work = async (rounds: number): Promise<void> => {
      for (let n = 0; n < rounds; n++) {
        await Promise.all(Array.from({ length: 16 }, () => meta.commit(next())));
        await meta.scan(tupleRange(["t"]), { limit: 10 });
      }
    };
    await work(80);
    const logBytes = async (): Promise<number> => (await stat(`${place.path}-wal`)).size;
    expect(await logBytes()).toBeLessThan(3 * MIB);

    const reader = new Database(place.path, { readonly: true });
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM kv").get();
    await work(20);
    expect(logState(place.path).log * 4096).toBeGreaterThan(2 * MIB);
    reader.exec("COMMIT");
    reader.close();
    // The writer backs off from a blocked log; it tries again within seconds.
    await vi.waitFor(
      async () => {
        await work(2);
        expect(logState(place.path).log * 4096).toBeLessThan(2 * MIB);
      },
      { timeout: 30_000 },
    );
  });

  test("waits while another process holds the write lock", async () => {
    await start();
    const meta = await open();
    const other = new Database(place.path);
    other.exec("BEGIN IMMEDIATE");
    const waiting = meta.commit(put(1, "a"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await meta.get(encodeKey(["t", 1]))).toBeUndefined();
    // The writer blocks this thread while it waits; give it its turn to see that it must.
    other.exec("COMMIT");
    other.close();
    expect(await waiting).toBe(true);
  });

  test("damage makes it read-only for good, and everybody is told", async () => {
    const before = await openSqlite({ path: place.path });
    await Promise.all(Array.from({ length: 200 }, (_, n) => before.commit(put(n, Buffer.alloc(3_000, n)))));
    await before.close();
    // By another program: no process that has the file open may touch it beside SQLite.
    expect(
      succeeds("dd", "if=/dev/urandom", `of=${place.path}`, "bs=4096", "seek=2", "count=60", "conv=notrunc"),
    ).toBe(true);
    const writer = await start();
    const meta = await open();
    expect(meta.health()).toBeUndefined();
    await expect(meta.commit(put(100, "x"))).rejects.toMatchObject({ kind: "readonly" });
    expect((await writer.failed).message).toContain("read-only until a restart");
    await expect(meta.commit(put("other", "x"))).rejects.toMatchObject({ kind: "readonly" });
    expect(meta.health()).toContain("read-only until a restart");
    expect((await open()).health()).toContain("read-only until a restart");
  });

  test("in a thread of its own says why it cannot start", async () => {
    await chmod(place.directory, 0o755);
    const options = {
      path: place.path,
      socket: place.socket,
      logLevel: "silent",
      reserveBytesMax: 0,
    } as const;
    await expect(startWriterThread(options)).rejects.toThrow("open to others");
  });

  test("keeps a reserve on disk that grows with the log, up to its bound", async () => {
    const writer = await start({ logBytesMax: 4 * MIB, reserveBytesMax: 6 * MIB });
    const reserve = async (): Promise<number> => (await stat(`${place.path}.reserve`)).size;
    await vi.waitFor(async () => expect(await reserve()).toBe(4 * MIB), { timeout: 20_000 });
    const meta = await open();
    await vi.waitFor(
      async () => {
        await meta.commit(put("x", Buffer.alloc(MIB, `${performance.now()}`)));
        expect(await reserve()).toBe(6 * MIB);
      },
      { timeout: 20_000 },
    );
    // Really written: blocks of 512 bytes.
    expect((await stat(`${place.path}.reserve`)).blocks * 512).toBeGreaterThanOrEqual(6 * MIB);
    await writer.close();
  });

  describe("the socket", () => {
    test("can be opened by its owner only", async () => {
      await start();
      expect((await stat(place.socket)).mode & 0o777).toBe(0o600);
      expect((await stat(place.directory)).mode & 0o777).toBe(0o700);
    });

    test("gets a directory of its own when that is missing", async () => {
      await start({ socket: join(place.directory, "run", "s") });
      expect((await stat(join(place.directory, "run"))).mode & 0o777).toBe(0o700);
    });

    test("is refused in a directory that others may enter", async () => {
      await chmod(place.directory, 0o755);
      await expect(start()).rejects.toThrow("open to others");
    });

    test("is refused when its path is too long", async () => {
      const socket = join(place.directory, "x".repeat(100));
      await expect(start({ socket })).rejects.toThrow("exceeds 100");
      await expect(openSqlite({ path: place.path, writer: socket })).rejects.toThrow("exceeds 100");
    });

    test("is refused while another writer serves it, and taken over from a dead one", async () => {
      await writeFile(place.socket, "left behind");
      const writer = await start();
      await expect(start()).rejects.toThrow("Another writer serves");
      await writer.close();
      await start();
      expect(await (await open()).commit(put(1, "a"))).toBe(true);
    });
  });
});

function frames(add: (out: Outbox) => unknown, alter: (bytes: Buffer) => unknown = () => undefined): Buffer {
  const out = new Outbox();
  add(out);
  const bytes = Buffer.from(out.take());
  alter(bytes);
  return bytes;
}

function logState(path: string): { log: number; checkpointed: number } {
  const db = new Database(path);
  try {
    db.pragma("wal_autocheckpoint = 0");
    return (db.pragma("wal_checkpoint(NOOP)") as { log: number; checkpointed: number }[])[0]!;
  } finally {
    db.close();
  }
}
