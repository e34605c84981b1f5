/** Purges: whose keys change with them, at once and on every node, and what leaves the disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DerivedCache } from "../../../src/delivery/cache/cache.ts";
import {
  Epochs,
  listPurges,
  requestPurge,
  showPurge,
  type Kept,
  type Scope,
} from "../../../src/delivery/cache/purge.ts";
import type { ObjectStore } from "../../../src/store/store.ts";
import { openFixture, OWNER, type Fixture } from "../store/fixture.ts";

const OTHER = "b".repeat(64);
const ORIGIN = `${OWNER}/photos`;

let fixture: Fixture;
let store: ObjectStore;
let folder: string;
beforeEach(async () => {
  fixture = await openFixture();
  ({ store } = fixture);
  folder = await mkdtemp(join(tmpdir(), "windlass-purge-"));
});
afterEach(async () => {
  vi.useRealTimers();
  await fixture[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const openCache = (name = "cache"): DerivedCache =>
  new DerivedCache({
    folder: join(folder, name),
    maxBytes: 1_000_000,
    memoryBytes: 100_000,
    log: pino({ level: "silent" }),
  });
async function openNode(cache = openCache()): Promise<Epochs> {
  const epochs = new Epochs(store, [cache]);
  await request(epochs);
  return epochs;
}
/** What every request begins with. */
async function request(node: Epochs): Promise<void> {
  await store.refresh();
  await node.refresh();
}
const purge = (scope: Omit<Scope, "ownerId">): ReturnType<typeof requestPurge> =>
  requestPurge(store, { ownerId: OWNER, ...scope });

/** What was asked for before and after: which of these have other keys now. */
const FILES = [
  [ORIGIN, "a/one.jpg"],
  [ORIGIN, "a/two.jpg"],
  [ORIGIN, "b/one.jpg"],
  [`${OWNER}/films`, "a/one.jpg"],
  [`${OTHER}/photos`, "a/one.jpg"],
] as const;
async function changedBy(scope: Omit<Scope, "ownerId">): Promise<number[]> {
  const node = await openNode();
  const before = FILES.map(([origin, path]) => node.of(origin, path));
  await purge(scope);
  await request(node);
  return FILES.flatMap(([origin, path], n) => (node.of(origin, path) === before[n] ? [] : [n]));
}

test.each<[string, Omit<Scope, "ownerId">, number[]]>([
  ["a file", { origin: "photos", path: "a/one.jpg" }, [0]],
  ["a folder", { origin: "photos", prefix: "a/" }, [0, 1]],
  ["an origin", { origin: "photos" }, [0, 1, 2]],
  ["an account", {}, [0, 1, 2, 3]],
])("a purge of %s gives new keys to what it covers, and to nothing else", async (_, scope, changed) => {
  expect(await changedBy(scope)).toEqual(changed);
});

test("every purge counts, also when the clock of the node before was ahead", async () => {
  const node = await openNode();
  const seen = new Set([node.of(ORIGIN, "a/one.jpg")]);
  vi.useFakeTimers({ toFake: ["Date"] });
  for (const time of ["2030-01-01T00:00:10Z", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]) {
    vi.setSystemTime(new Date(time));
    await purge({ origin: "photos" });
    await request(node);
    seen.add(node.of(ORIGIN, "a/one.jpg"));
  }
  expect(seen.size).toBe(4);
});

test("purges of one moment all count, in whatever order they become visible", async () => {
  const value = { scope: { ownerId: OWNER, origin: "photos" }, at: 5 };
  const node = await openNode();
  const seen = new Set([node.of(ORIGIN, "a/one.jpg")]);
  for (const id of ["000000005b", "000000005a"]) {
    await store.settings.change([{ kind: "purge", name: `${OWNER}/${id}`, value }]);
    await request(node);
    seen.add(node.of(ORIGIN, "a/one.jpg"));
  }
  expect(seen.size).toBe(3);
});

test("two nodes with folders of their own use the same keys", async () => {
  const nodes = [await openNode(openCache("one")), await openNode(openCache("two"))];
  await purge({ origin: "photos", prefix: "a/" });
  for (const node of nodes) await request(node);
  const late = await openNode(openCache("three"));
  const keys = [...nodes, late].map((node) => node.of(ORIGIN, "a/one.jpg"));
  expect(keys[0]).not.toBe("");
  expect(new Set(keys).size).toBe(1);
});

test("what was purged leaves the disk, and what was not stays", async () => {
  const cache = openCache();
  const node = await openNode(cache);
  const keys = FILES.map((_, n) => String(n).padStart(2, "0").repeat(32));
  for (const [n, [origin, path]] of FILES.entries()) {
    const facts = { type: "image/webp", width: 1, height: 1, headers: [], origin, path, variant: "w-3" };
    await cache.put(keys[n]!, facts, Buffer.from("picture"));
  }
  await purge({ origin: "photos", prefix: "a/" });
  await request(node);
  const kept = async (): Promise<number[]> => {
    const entries = await Promise.all(keys.map((key) => openCache().get(key)));
    return entries.flatMap((entry, n) => (entry === undefined ? [] : [n]));
  };
  await vi.waitFor(async () => expect(await kept()).toEqual([2, 3, 4]));
});

test("what was made after a purge stays, though a node learns of the purge later", async () => {
  const cache = openCache();
  const node = await openNode(cache);
  const facts = { type: "image/webp", width: 1, height: 1, headers: [], path: "a/one.jpg", variant: "w-3" };
  // The later one is looked at first.
  const [later, earlier] = ["00".repeat(32), "01".repeat(32)];
  const put = (key: string) => cache.put(key, { ...facts, origin: ORIGIN }, Buffer.from("picture"));
  vi.useFakeTimers({ toFake: ["Date"] });
  await put(earlier);
  await purge({ origin: "photos" });
  vi.setSystemTime(Date.now() + 1000);
  await put(later);
  await request(node);
  await vi.waitFor(async () => expect(await openCache().get(earlier)).toBeUndefined());
  expect(await openCache().get(later)).toBeDefined();
});

test("purges that come while the disk is looked through are all seen to by the next look", async () => {
  const looks: { match: Parameters<Kept["remove"]>[0]; end: () => void }[] = [];
  const slow: Kept = {
    remove: (match) => new Promise((resolve) => looks.push({ match, end: () => resolve(0) })),
  };
  const node = new Epochs(store, [slow]);
  await request(node);
  for (let n = 0; n < 6; n++) {
    await purge({ origin: "photos", path: `${n}.jpg` });
    await request(node);
  }
  const removed = ({ match }: (typeof looks)[number]): number[] =>
    [0, 1, 2, 3, 4, 5, 6].filter((n) => match({ origin: ORIGIN, path: `${n}.jpg`, variant: "" }, 0));
  looks[0]!.end();
  await vi.waitFor(() => expect(looks).toHaveLength(2));
  expect(looks.map(removed)).toEqual([[0], [1, 2, 3, 4, 5]]);
  looks[1]!.end();
  await purge({ origin: "photos", path: "6.jpg" });
  await request(node);
  await vi.waitFor(() => expect(looks).toHaveLength(3));
  expect(removed(looks[2]!)).toEqual([6]);
});

test("a purge is found by its id, by its account alone", async () => {
  const { id } = await purge({ origin: "photos", prefix: "a/" });
  expect(await showPurge(store, OWNER, id)).toMatchObject({
    id,
    scope: { ownerId: OWNER, origin: "photos", prefix: "a/" },
    state: "done",
  });
  await expect(showPurge(store, OTHER, id)).rejects.toMatchObject({ code: "NotFound" });
});

test("marks are bounded: the oldest become one that covers the whole account", async () => {
  const marks = Array.from({ length: 500 }, (_, n) => ({
    kind: "purge",
    name: `${OWNER}/${String(n).padStart(9, "0")}`,
    value: { scope: { ownerId: OWNER, origin: "films", path: `${n}` }, at: n },
  }));
  for (let at = 0; at < marks.length; at += 50) await store.settings.change(marks.slice(at, at + 50));
  const node = await openNode();
  const before = node.of(ORIGIN, "b/one.jpg");
  await purge({ origin: "photos", path: "a/one.jpg" });
  await request(node);
  expect((await listPurges(store)).length).toBe(252);
  expect(node.of(ORIGIN, "b/one.jpg")).not.toBe(before);
});
