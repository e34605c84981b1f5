/** What only processes of their own can show: races, kills, and a disk that ends. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { programUrl } from "../../../src/lib/program.ts";
import { MetaError, type Commit, type Meta } from "../../../src/meta/meta.ts";
import { openSqlite } from "../../../src/meta/sqlite.ts";
import { encodeKey, tupleRange } from "../../../src/meta/tuple.ts";
import { startWriter } from "../../../src/meta/writer.ts";
import { newPlace, silent, succeeds, type Place } from "./place.ts";

const compiled = (file: string): string =>
  programUrl(new URL("../../../src/meta/meta.ts", import.meta.url).href, file).href;
const key = (n: number | string): Buffer => encodeKey(["t", n]);
const put = (n: number | string, value: Buffer): Commit => ({ writes: [{ key: key(n), value }] });

/** Serves commits and says so; ends when told by its input's end. */
const WRITER = `
  import { startWriter } from "${compiled("./writer.ts")}";
  import { createLogger } from "${compiled("../lib/log.ts")}";
  const [path, socket, reserveBytesMax] = process.argv.slice(1);
  const log = createLogger({ level: "silent" });
  const writer = await startWriter({ path, socket, log, reserveBytesMax: Number(reserveBytesMax) });
  console.log("ready");
  writer.failed.then((error) => console.log("failed " + error.message));
`;

/** Wants each of many keys and prints those it got. */
const RACER = `
  import { openSqlite } from "${compiled("./sqlite.ts")}";
  import { encodeKey } from "${compiled("./tuple.ts")}";
  const [path, name, count] = process.argv.slice(1);
  const meta = await openSqlite({ path });
  console.log("ready");
  await new Promise((resolve) => process.stdin.once("data", resolve));
  const won = [];
  const ids = [];
  for (let n = 0; n < Number(count); n++) {
    ids.push(await meta.newBodyId());
    const key = encodeKey(["t", n]);
    const writes = [{ key, value: Buffer.from(name) }, { key: encodeKey(["sum"]), add: 1 }];
    if (await meta.commit({ checks: [{ key, absent: true }], writes })) won.push(n);
  }
  await meta.close();
  console.log(JSON.stringify({ won, ids }));
  process.exit(0);
`;

/** Which of these keys do not hold the value that was committed: their number, repeated. */
async function damaged(meta: Meta, numbers: readonly number[], size: number): Promise<number[]> {
  const values = await meta.getMany(numbers.map(key));
  return numbers.filter((n, i) => values[i]?.equals(Buffer.alloc(size, `${n}`)) !== true);
}

interface Program {
  child: ChildProcess;
  /** The next line that it prints. */
  line(): Promise<string>;
}

function program(source: string, args: string[], shell = "exec"): Program {
  const node = [process.execPath, "--input-type=module", "-e", source, "--", ...args];
  const child = spawn("bash", ["-c", `${shell} "$@"`, "bash", ...node], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    line: async () => {
      const next = await lines.next();
      if (next.done === true) throw new Error("The program ended without another line");
      return next.value;
    },
  };
}

describe("metadata and processes", () => {
  let place: Place;
  const closing: (() => unknown)[] = [];
  beforeEach(async () => {
    place = await newPlace();
  });
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
    await place.remove();
  });
  async function launch(source: string, args: string[], shell?: string): Promise<Program> {
    const started = program(source, args, shell);
    closing.push(() => started.child.kill("SIGKILL"));
    expect(await started.line()).toBe("ready");
    return started;
  }
  async function open(): Promise<Meta> {
    const meta = await openSqlite({ path: place.path, writer: place.socket });
    closing.push(() => meta.close());
    return meta;
  }

  test("of two processes that commit directly, exactly one wins each race", async () => {
    const count = 150;
    // Both create the file at the same moment, too.
    const racers = await Promise.all(["a", "b"].map((name) => launch(RACER, [place.path, name, `${count}`])));
    for (const racer of racers) racer.child.stdin!.write("go\n");
    const results = await Promise.all(
      racers.map(async (racer) => JSON.parse(await racer.line()) as { won: number[]; ids: number[] }),
    );
    const won = results.flatMap((result) => result.won).toSorted((a, b) => a - b);
    expect(won).toEqual(Array.from({ length: count }, (_, n) => n));
    expect(new Set(results.flatMap((result) => result.ids)).size).toBe(2 * count);
    const meta = await openSqlite({ path: place.path });
    expect(await meta.sum(encodeKey(["sum"]))).toBe(count);
    const values = await meta.scan(tupleRange(["t"]), { limit: count });
    expect(values.map((entry) => String(entry.value))).toEqual(
      won.map((n) => (results[0]!.won.includes(n) ? "a" : "b")),
    );
    await meta.close();
  });

  test("the command line commits while the writer runs", async () => {
    await launch(WRITER, [place.path, place.socket, "0"]);
    const [served, direct] = [await open(), await openSqlite({ path: place.path })];
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        (n % 3 === 0 ? direct : served).commit({ writes: [{ key: encodeKey(["sum"]), add: 1 }] }),
      ),
    );
    expect(outcomes).not.toContain(false);
    expect(await served.sum(encodeKey(["sum"]))).toBe(60);
    await direct.close();
  });

  test("a killed writer loses nothing that it acknowledged, and the rest is unknown", async () => {
    let writer = await launch(WRITER, [place.path, place.socket, "0"]);
    const meta = await open();
    const acknowledged: number[] = [];
    const kinds = new Set<string>();
    for (let round = 0; round < 4; round++) {
      const commits = Array.from({ length: 400 }, async (_, i) => {
        const n = round * 400 + i;
        try {
          await meta.commit({
            writes: [...put(n, Buffer.alloc(1_500, `${n}`)).writes!, { key: encodeKey(["sum"]), add: 1 }],
          });
          acknowledged.push(n);
        } catch (error) {
          kinds.add(error instanceof MetaError ? error.kind : String(error));
        }
      });
      await Promise.race(commits);
      writer.child.kill("SIGKILL");
      await once(writer.child, "exit");
      await Promise.all(commits);
      writer = await launch(WRITER, [place.path, place.socket, "0"]);
    }
    expect(acknowledged.length).toBeGreaterThan(0);
    expect([...kinds].filter((kind) => kind !== "unknown" && kind !== "overloaded")).toEqual([]);
    const found = await meta.scan(tupleRange(["t"]), { limit: 10_000 });
    expect(await damaged(meta, acknowledged, 1_500)).toEqual([]);
    // Whatever else stands, stands whole.
    expect(await meta.sum(encodeKey(["sum"]))).toBe(found.length);
    expect(new Database(place.path, { readonly: true }).pragma("integrity_check", { simple: true })).toBe(
      "ok",
    );
  });

  test("an I/O error ends writing until a restart, keeps reading, and loses nothing acknowledged", async () => {
    // Writing beyond this file size fails, as a broken disk does: in KiB.
    const writer = await launch(WRITER, [place.path, place.socket, "0"], "ulimit -f 2000; exec");
    const meta = await open();
    const acknowledged: number[] = [];
    const kinds: string[] = [];
    for (let n = 0; n < 400 && kinds.length < 3; n++) {
      try {
        await meta.commit(put(n, Buffer.alloc(20_000, `${n}`)));
        acknowledged.push(n);
      } catch (error) {
        kinds.push(error instanceof MetaError ? error.kind : String(error));
      }
    }
    expect(kinds).toEqual(["unknown", "readonly", "readonly"]);
    expect(await writer.line()).toContain("failed Writing failed");
    expect(meta.health()).toContain("read-only until a restart");
    expect(acknowledged.length).toBeGreaterThan(20);
    expect(await damaged(meta, acknowledged, 20_000)).toEqual([]);

    writer.child.kill("SIGKILL");
    await once(writer.child, "exit");
    await launch(WRITER, [place.path, place.socket, "0"]);
    expect(await meta.commit(put("after", Buffer.from("restart")))).toBe(true);
    expect(meta.health()).toBeUndefined();
    expect(await damaged(meta, acknowledged, 20_000)).toEqual([]);
  });

  test("a full disk refuses what grows, takes deletions, and recovers", async ({ skip }) => {
    const disk = `${place.directory}/disk`;
    await mkdir(disk, { mode: 0o700 });
    if (!succeeds("mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", disk)) {
      skip("needs the right to mount a small file system");
      return;
    }
    closing.push(() => succeeds("umount", "-l", disk));
    place = { ...place, path: `${disk}/meta.db` };
    const MIB = 1024 * 1024;
    const writer = await startWriter({
      path: place.path,
      socket: place.socket,
      log: silent,
      logBytesMax: MIB,
      reserveBytesMax: 3 * MIB,
    });
    closing.push(() => writer.close());
    const meta = await open();

    const acknowledged: number[] = [];
    const kinds: unknown[] = [];
    for (let n = 0; n < 4_000 && kinds.length < 40; n += 8) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, i) => meta.commit(put(n + i, Buffer.alloc(20_000, `${n + i}`)))),
      );
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.status === "fulfilled") acknowledged.push(n + i);
        else kinds.push((outcome.reason as MetaError).kind);
      }
    }
    expect(new Set(kinds)).toEqual(new Set(["full"]));
    expect(acknowledged.length).toBeGreaterThan(300);
    // The last bytes, which a log or another program may take.
    succeeds("dd", "if=/dev/zero", `of=${disk}/filler`, "bs=4096");
    expect(await damaged(meta, acknowledged, 20_000)).toEqual([]);

    const gone = acknowledged.splice(0, 200);
    for (const n of gone) {
      const writes = [
        { key: key(n), delete: true } as const,
        { key: encodeKey(["garbage", n]), value: Buffer.from("queued") },
      ];
      expect(await meta.commit({ writes, reclaims: true })).toBe(true);
    }
    expect(await meta.getMany(gone.map(key))).toEqual(gone.map(() => undefined));
    await rm(`${disk}/filler`);
    await expect
      .poll(
        () =>
          meta.commit(put("again", Buffer.alloc(50_000, "again"))).catch((error: MetaError) => error.kind),
        { timeout: 20_000, interval: 200 },
      )
      .toBe(true);
    expect(meta.health()).toBeUndefined();
    expect(await damaged(meta, acknowledged, 20_000)).toEqual([]);
  });

  test("a file that is newer than the program, or not ours, is refused and left alone", async () => {
    await (await openSqlite({ path: place.path })).close();
    const db = new Database(place.path);
    expect(db.pragma("page_size", { simple: true })).toBe(4096);
    expect(db.pragma("auto_vacuum", { simple: true })).toBe(2);
    expect(db.pragma("journal_mode", { simple: true })).toBe("wal");
    db.pragma("user_version = 2");
    db.close();
    await expect(openSqlite({ path: place.path })).rejects.toThrow("table version 2");
    await expect(
      startWriter({ path: place.path, socket: place.socket, log: silent, reserveBytesMax: 0 }),
    ).rejects.toThrow("table version 2");

    const foreign = `${place.directory}/foreign.db`;
    const other = new Database(foreign);
    other.exec("CREATE TABLE theirs (a)");
    other.close();
    await expect(openSqlite({ path: foreign })).rejects.toThrow("not a Windlass database");
    const unchanged = new Database(foreign);
    expect(unchanged.pragma("journal_mode", { simple: true })).toBe("delete");
    unchanged.close();
  });
});
