/** What is kept of other people's files, when it has had to make room and when the origin changes meanwhile. */
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DerivedCache } from "../../../src/delivery/cache/cache.ts";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import { ForeignFiles, type Address, type ForeignFile } from "../../../src/delivery/foreign.ts";
import type { Fetched, FetchOptions, FileInfo, OriginClient } from "../../../src/delivery/origins/client.ts";
import { guardedAgents } from "../../../src/delivery/origins/http.ts";
import { collect } from "../../../src/lib/chunks.ts";
import { startWeb } from "../../delivery/origins/storage.ts";

const NOTHING_SAID: FileInfo = {
  etag: undefined,
  lastModified: undefined,
  size: undefined,
  contentType: undefined,
  contentEncoding: undefined,
  contentLanguage: undefined,
  contentDisposition: undefined,
  cacheControl: undefined,
  private: false,
  customCoordinates: undefined,
};

const log = pino({ level: "silent" });
let folder: string;
let cache: DerivedCache;
let files: ForeignFiles;
let asked: FetchOptions[];
/** What the origin answers. */
let answer: (options: FetchOptions) => Fetched | Promise<Fetched>;
const client: OriginClient = {
  fetch: async (_, options) => {
    asked.push(options);
    return answer(options);
  },
  test: () => Promise.resolve({ ok: true, findings: [] }),
  close: () => undefined,
};
const address: Address = {
  client,
  origin: "account/origin/1",
  originId: "account/origin",
  path: "a.bin",
  name: "a.bin",
  query: "",
  epoch: "",
  lifetimeMs: undefined,
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-foreign-"));
  cache = new DerivedCache({ folder, maxBytes: 1 << 30, memoryBytes: 1 << 24, log });
  files = new ForeignFiles(cache, log);
  asked = [];
});
afterEach(async () => {
  vi.useRealTimers();
  await cache.settled();
  await rm(folder, { recursive: true });
});

async function* chunks(body: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += 1000) yield body.subarray(at, at + 1000);
}
const found = (
  body: Buffer,
  info: Partial<FileInfo> = {},
  range?: { start: number; end: number },
): Fetched => ({
  kind: "found",
  info: { ...NOTHING_SAID, ...info },
  range,
  body: chunks(body),
});

const opened = async (): Promise<ForeignFile> => {
  const file = await files.open(address);
  if (file === undefined) throw new Error("There is no such file");
  return file;
};
const read = async (file: ForeignFile, start = 0, end = file.info.size ?? Infinity): Promise<string> =>
  (await collect(file.read(start, end))).toString();
const evict = (): Promise<number> => cache.remove(({ variant }) => variant === "source");
const outcome = (reading: Promise<string>): Promise<string> =>
  reading.catch((error: unknown) =>
    error instanceof DeliveryError ? `${error.code}: ${error.message}` : String(error),
  );
const CHANGED = "OriginFailed: The origin's file changed while it was read.";

const one = Buffer.from("one ".repeat(1000));
const two = Buffer.from("two ".repeat(1000));

test.each<[string, Partial<FileInfo>]>([
  ["an ETag", { etag: "1", size: one.length }],
  ["a time", { lastModified: 1_000_000, size: one.length }],
  ["a time and no length", { lastModified: 1_000_000 }],
  ["no validator", {}],
])(
  "a body with %s that made room is fetched once more for all who read it, and is kept again",
  async (_, info) => {
    answer = () => found(one, info);
    const file = await opened();
    expect(await read(file, 4, 8)).toBe("one ");
    expect(asked).toHaveLength(1);
    expect(await evict()).toBe(1);
    const readings = await Promise.all(Array.from({ length: 20 }, () => read(file, 4, 8)));
    expect(new Set(readings)).toEqual(new Set(["one "]));
    expect(await read(await opened())).toBe(one.toString());
    expect(asked).toHaveLength(2);
  },
);

test.each<[string, Partial<FileInfo>, Partial<FileInfo>]>([
  ["an ETag", { etag: "1" }, { etag: "2" }],
  ["a time", { lastModified: 1_000_000 }, { lastModified: 2_000_000 }],
  ["no validator", {}, {}],
])(
  "no reader gets two versions in one: with %s, a file that changed fails once, and is then the new one",
  async (_, before, after) => {
    answer = () => found(one, before);
    const file = await opened();
    await evict();
    answer = () => found(two, after);
    expect(await outcome(read(file))).toBe(CHANGED);
    const fresh = await opened();
    expect([await read(fresh), fresh.identity === file.identity]).toEqual([two.toString(), false]);
  },
);

test("other processes that share the cache learn that a file changed", async () => {
  answer = () => found(one, { etag: "1" });
  const file = await opened();
  const others = new ForeignFiles(cache, log);
  await evict();
  answer = () => found(two, { etag: "2" });
  await outcome(read(file));
  expect(await read((await others.open(address))!)).toBe(two.toString());
});

const LARGE = 100 * 1024 ** 2;

test("what one process learned since, another that has an older note of the file believes", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const another = new ForeignFiles(
    new DerivedCache({ folder, maxBytes: 1 << 30, memoryBytes: 1 << 24, log }),
    log,
  );
  answer = () => found(one, { etag: "1", size: one.length });
  await another.open(address);
  await opened();
  const day = 86_400_000;
  for (const days of [0.9, 1.8]) {
    vi.setSystemTime(Date.now() + 0.9 * day);
    await opened();
    expect(asked, `after ${days} days`).toHaveLength(days === 0.9 ? 2 : 3);
  }
  // The other's note is too old to stand in for the file by itself.
  answer = () => Promise.reject(new DeliveryError("OriginFailed", "down"));
  expect((await another.open(address))?.stale).toBe(false);
  expect(asked).toHaveLength(3);
  vi.setSystemTime(Date.now() + day / 2);
  expect((await another.open(address))?.stale).toBe(true);
});

test("a range of a large file that is not the one that was asked for is an error", async () => {
  answer = ({ range }) =>
    range === undefined
      ? found(one, { etag: "1", size: LARGE })
      : found(one.subarray(0, 10), { etag: "1", size: LARGE }, { start: 60, end: 70 });
  const file = await opened();
  expect(await outcome(read(file, 50, 70))).toBe(
    "OriginFailed: The origin sent other bytes than those that were asked for.",
  );
  expect(await outcome(read(file, 62, 66))).toBe("one ".slice(2) + "on");
  expect(await outcome(read(file, 60, 80))).toBe("OriginFailed: The origin sent less than it promised.");
});

test("a large file that changed or went between two ranges is an error, and is asked for anew", async () => {
  answer = () => found(one, { etag: "1", size: LARGE });
  const file = await opened();
  answer = () => found(two, { etag: "2", size: LARGE });
  expect(await outcome(read(file, 0, 10))).toBe(CHANGED);
  const fresh = await opened();
  expect(fresh.info.etag).toBe("2");
  answer = () => ({ kind: "missing" });
  expect(await outcome(read(fresh, 0, 10))).toBe(CHANGED);
  expect(await files.open(address)).toBeUndefined();
});

/** So many bytes every nine seconds. */
async function* drops(bytes: number, seconds: number): AsyncGenerator<Buffer> {
  for (let n = 0; n < seconds / 9; n++) {
    vi.advanceTimersByTime(9000);
    yield Buffer.alloc(bytes);
  }
}

const slowly = (bytes: number, seconds: number): Fetched => ({
  kind: "found",
  info: { ...NOTHING_SAID, etag: "1" },
  range: undefined,
  body: drops(bytes, seconds),
});

test("an origin that sends a byte now and then is given up, soon; one that is slow is not", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  answer = () => slowly(1, 45);
  await expect(files.open(address)).rejects.toMatchObject({ code: "OriginTimeout" });
  answer = () => slowly(9 * 128 * 1024, 250);
  expect((await opened()).info.size).toBe(28 * 9 * 128 * 1024);
});

test("more or fewer bytes than were promised are no file", async () => {
  for (const size of [one.length - 1, one.length + 1]) {
    answer = () => found(one, { etag: "1", size });
    await expect(files.open(address)).rejects.toMatchObject({ code: "OriginFailed" });
  }
});

test("the sockets that SDKs open go to no literal address that is not allowed", async () => {
  await using server = await startWeb((_, response) => void response.end("secret"));
  for (const [allowHosts, host, expected] of [
    [[], "127.0.0.1", "OriginRefused"],
    [["127.0.0.1:1"], "127.0.0.1", "OriginRefused"],
    [["127.0.0.1"], "127.0.0.1", "200"],
    [[`127.0.0.1:${server.port}`], "127.0.0.1", "200"],
    [[], "::ffff:127.0.0.1", "OriginRefused"],
  ] as [string[], string, string][]) {
    const agents = guardedAgents({ allowHosts });
    const result = await new Promise<string>((resolve) => {
      request({ host, port: server.port, agent: agents.http }, (reply) => {
        reply.resume();
        resolve(String(reply.statusCode));
      })
        .on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
        .end();
    });
    expect([allowHosts, host, result]).toEqual([allowHosts, host, expected]);
    agents.http.destroy();
    agents.https.destroy();
  }
});
