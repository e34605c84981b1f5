/** What every metadata engine must do, whatever is beneath it. */
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Commit, Entry, Meta } from "../../../src/meta/meta.ts";
import {
  KEY_BYTES_MAX,
  decodeKey,
  encodeKey,
  keyAfter,
  stringRange,
  tupleRange,
} from "../../../src/meta/tuple.ts";

/** One engine on a place of its own. */
export interface Engine {
  meta: Meta;
  /** Another handle on the same data, as another worker has it; undefined when the engine has none. */
  second?: () => Promise<Meta>;
  /** Closes everything and opens it anew; undefined when the data does not outlive the handle. */
  reopen?: () => Promise<Meta>;
  /** Writes a key at once, from outside and without waiting: what another process may do at any moment. */
  interfere?: (key: Buffer) => void;
  dispose(): Promise<void>;
}

const bytes = (text: string): Buffer => Buffer.from(text);
const key = (...parts: (string | number)[]): Buffer => encodeKey(parts);
const put = (...parts: (string | number)[]): { key: Buffer; value: Buffer } => ({
  key: key(...parts),
  value: bytes(parts.join()),
});
const names = (entries: readonly Entry[]): unknown[] => entries.map((entry) => decodeKey(entry.key).at(-1));

export function contract(name: string, start: () => Promise<Engine>): void {
  describe(`metadata in ${name}`, () => {
    let engine: Engine;
    let meta: Meta;
    beforeEach(async () => {
      engine = await start();
      meta = engine.meta;
    });
    afterEach(async () => {
      await engine.dispose();
    });
    const fill = (...parts: (string | number)[]): Promise<boolean> =>
      meta.commit({ writes: parts.map((part) => put("t", part)) });

    test("reads back what was committed, empty values included", async () => {
      expect(await meta.get(key("a"))).toBeUndefined();
      expect(await meta.commit({ writes: [put("a"), { key: key("b"), value: Buffer.alloc(0) }] })).toBe(true);
      expect(await meta.get(key("a"))).toEqual(bytes("a"));
      expect(await meta.get(key("b"))).toEqual(Buffer.alloc(0));
      expect(await meta.getMany([key("b"), key("none"), key("a")])).toEqual([
        Buffer.alloc(0),
        undefined,
        bytes("a"),
      ]);
      expect(await meta.getMany([])).toEqual([]);
    });

    test("overwrites and deletes, the last write to a key winning", async () => {
      await fill(1, 2, 3);
      await meta.commit({
        writes: [
          { key: key("t", 1), value: bytes("new") },
          { key: key("t", 2), delete: true },
          { key: key("t", 3), delete: true },
          { key: key("t", 3), value: bytes("again") },
          { key: key("t", "never"), delete: true },
        ],
      });
      expect(await meta.getMany([key("t", 1), key("t", 2), key("t", 3)])).toEqual([
        bytes("new"),
        undefined,
        bytes("again"),
      ]);
    });

    test.each<[string, (present: Buffer, absent: Buffer) => Commit["checks"] & object, boolean]>([
      ["the expected value", (present) => [{ key: present, value: bytes("t,x") }], true],
      ["another value", (present) => [{ key: present, value: bytes("t,y") }], false],
      ["a value that only begins alike", (present) => [{ key: present, value: bytes("t,") }], false],
      ["a value of an absent key", (_, absent) => [{ key: absent, value: Buffer.alloc(0) }], false],
      ["absence of an absent key", (_, absent) => [{ key: absent, absent: true }], true],
      ["absence of a present key", (present) => [{ key: present, absent: true }], false],
      ["presence of a present key", (present) => [{ key: present, present: true }], true],
      ["presence of an absent key", (_, absent) => [{ key: absent, present: true }], false],
      ["emptiness of an empty range", () => [{ empty: tupleRange(["u"]) }], true],
      ["emptiness of a range with a key", () => [{ empty: tupleRange(["t"]) }], false],
      ["emptiness up to a key", (present) => [{ empty: { start: key("t"), end: present } }], true],
      ["emptiness after a key", (present) => [{ empty: { start: keyAfter(present), end: key("u") } }], true],
      [
        "a true and a false check",
        (present, absent) => [
          { key: present, present: true },
          { key: absent, present: true },
        ],
        false,
      ],
    ])("checks %s", async (_, checks, holds) => {
      await fill("x");
      const commit = {
        checks: checks(key("t", "x"), key("t", "z")),
        writes: [put("w"), { key: key("c"), add: 1 }, { key: key("t", "x"), delete: true } as const],
        bodies: { put: [{ id: await meta.newBodyId(), bytes: bytes("body") }] },
      };
      expect(await meta.commit(commit)).toBe(holds);
      expect(await meta.get(key("w"))).toEqual(holds ? bytes("w") : undefined);
      expect(await meta.get(key("t", "x"))).toEqual(holds ? undefined : bytes("t,x"));
      expect(await meta.sum(key("c"))).toBe(holds ? 1 : 0);
      expect(await meta.getBody(commit.bodies.put[0]!.id)).toEqual(holds ? bytes("body") : undefined);
    });

    test("checks see the state before the commit's own writes", async () => {
      expect(await meta.commit({ checks: [{ key: key("a"), absent: true }], writes: [put("a")] })).toBe(true);
      const range = tupleRange(["t"]);
      expect(await meta.commit({ checks: [{ empty: range }], writes: [put("t", 1)] })).toBe(true);
      expect(await meta.commit({ checks: [{ empty: range }], writes: [put("t", 2)] })).toBe(false);
    });

    test("of many at once that want one key, exactly one gets it", async () => {
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, n) =>
          meta.commit({
            checks: [{ key: key("one"), absent: true }],
            writes: [{ key: key("one"), value: bytes(`${n}`) }],
          }),
        ),
      );
      expect(results.filter(Boolean)).toHaveLength(1);
      expect(await meta.get(key("one"))).toEqual(bytes(`${results.indexOf(true)}`));
    });

    test("a failed check leaves its neighbours alone", async () => {
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          meta.commit({
            checks: [n % 2 === 0 ? { key: key("no"), absent: true } : { key: key("no"), present: true }],
            writes: [put("t", n), { key: key("count"), add: 1 }],
          }),
        ),
      );
      expect(results).toEqual(Array.from({ length: 40 }, (_, n) => n % 2 === 0));
      expect(names(await meta.scan(tupleRange(["t"]), { limit: 100 }))).toEqual(
        Array.from({ length: 20 }, (_, n) => 2 * n),
      );
      expect(await meta.sum(key("count"))).toBe(20);
    });

    test("a defective commit fails alone", async () => {
      const id = await meta.newBodyId();
      await meta.commit({ bodies: { put: [{ id, bytes: bytes("first") }] } });
      const outcomes = await Promise.allSettled([
        meta.commit({ writes: [put("t", 1), { key: key("n"), add: 1 }] }),
        meta.commit({ writes: [put("t", 2)], bodies: { put: [{ id, bytes: bytes("second") }] } }),
        meta.commit({ writes: [put("t", 3), { key: key("n"), add: 1 }] }),
      ]);
      expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(names(await meta.scan(tupleRange(["t"]), { limit: 10 }))).toEqual([1, 3]);
      expect(await meta.getBody(id)).toEqual(bytes("first"));
      expect(await meta.sum(key("n"))).toBe(2);
    });

    test("counters add up, go below zero, and are seen by nothing but sum", async () => {
      expect(await meta.sum(key("c"))).toBe(0);
      await Promise.all(
        Array.from({ length: 30 }, (_, n) => meta.commit({ writes: [{ key: key("c"), add: n }] })),
      );
      expect(await meta.sum(key("c"))).toBe(435);
      await meta.commit({ writes: [{ key: key("c"), add: -500 }] });
      expect(await meta.sum(key("c"))).toBe(-65);
      expect(await meta.get(key("c"))).toBeUndefined();
      expect(
        await meta.commit({ checks: [{ key: key("c"), absent: true }, { empty: tupleRange([]) }] }),
      ).toBe(true);
      await meta.commit({ writes: [{ key: key("c"), add: 5 * 2 ** 50 }] });
      expect(await meta.sum(key("c"))).toBe(5 * 2 ** 50 - 65);
    });

    test("deleting a key ends its counter, which then begins at zero", async () => {
      await meta.commit({ writes: [{ key: key("c"), add: 7 }] });
      await Promise.all([
        meta.commit({ writes: [{ key: key("c"), add: 1 }] }),
        meta.commit({ writes: [{ key: key("c"), delete: true }] }),
        meta.commit({ writes: [{ key: key("c"), add: 3 }] }),
      ]);
      expect(await meta.sum(key("c"))).toBe(3);
      await meta.commit({
        writes: [
          { key: key("c"), add: 1 },
          { key: key("c"), delete: true },
        ],
      });
      expect(await meta.sum(key("c"))).toBe(0);
    });

    test("scans forward, in reverse, with limits and exact ends", async () => {
      await fill("a", "b", "c", "d", "e");
      await meta.commit({ writes: [put("s", "z"), put("u", "a")] });
      const range = { start: key("t", "b"), end: key("t", "e") };
      expect(names(await meta.scan(range, { limit: 10 }))).toEqual(["b", "c", "d"]);
      expect(names(await meta.scan(range, { limit: 2 }))).toEqual(["b", "c"]);
      expect(names(await meta.scan(range, { limit: 2, reverse: true }))).toEqual(["d", "c"]);
      expect(names(await meta.scan(tupleRange(["t"]), { limit: 10, reverse: true }))).toEqual([
        "e",
        "d",
        "c",
        "b",
        "a",
      ]);
      expect(names(await meta.scan(stringRange(["t"], "c"), { limit: 10 }))).toEqual(["c"]);
      expect(await meta.scan({ start: key("t", "e"), end: key("t", "b") }, { limit: 10 })).toEqual([]);
      expect(await meta.scan({ start: key("v"), end: key("w") }, { limit: 10, reverse: true })).toEqual([]);
      expect((await meta.scan(range, { limit: 1 }))[0]!.value).toEqual(bytes("t,b"));
    });

    test.each([0, -1, 1.5, 10_001, Number.NaN])("refuses a scan of %s entries", async (limit) => {
      await expect(meta.scan(tupleRange([]), { limit })).rejects.toThrow(RangeError);
    });

    test("agrees with a model through any sequence of writes", async () => {
      const write = fc.tuple(fc.nat(60), fc.constantFrom("put", "delete"));
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(write, { maxLength: 8 }), { maxLength: 12 }),
          fc.nat(60),
          fc.nat(60),
          async (commits, low, high) => {
            const all = await meta.scan(tupleRange(["m"]), { limit: 10_000 });
            await meta.commit({ writes: all.map((entry) => ({ key: entry.key, delete: true })) });
            const model = new Map<number, string>();
            for (const [index, writes] of commits.entries()) {
              for (const [n, what] of writes) {
                if (what === "put") model.set(n, `${index}`);
                else model.delete(n);
              }
              await meta.commit({
                writes: writes.map(([n, what]) =>
                  what === "put"
                    ? { key: key("m", n), value: bytes(`${index}`) }
                    : { key: key("m", n), delete: true },
                ),
              });
            }
            const expected = [...model].filter(([n]) => n >= low && n < high).toSorted((a, b) => a[0] - b[0]);
            const found = await meta.scan({ start: key("m", low), end: key("m", high) }, { limit: 10_000 });
            expect(found.map((entry) => [decodeKey(entry.key)[1], String(entry.value)])).toEqual(expected);
            const back = await meta.scan(
              { start: key("m", low), end: key("m", high) },
              { limit: 10_000, reverse: true },
            );
            expect(back).toEqual(found.toReversed());
          },
        ),
        { numRuns: 15 },
      );
    });

    test("holds thousands of keys in order", async () => {
      const order = Array.from({ length: 3_000 }, (_, n) => (n * 7_919) % 3_000);
      for (let from = 0; from < 3_000; from += 500) await fill(...order.slice(from, from + 500));
      expect(names(await meta.scan(tupleRange(["t"]), { limit: 10_000 }))).toEqual(
        order.toSorted((a, b) => a - b),
      );
      const gone = order.filter((n) => n >= 100 && n < 2_900);
      await meta.commit({ writes: gone.map((n) => ({ key: key("t", n), delete: true })) });
      expect(names(await meta.scan(tupleRange(["t"]), { limit: 101, reverse: true })).at(-1)).toBe(99);
    });

    test("takes keys of exactly the limit and refuses longer and empty ones", async () => {
      const longest = Buffer.alloc(KEY_BYTES_MAX, 7);
      expect(await meta.commit({ writes: [{ key: longest, value: bytes("v") }] })).toBe(true);
      expect(await meta.get(longest)).toEqual(bytes("v"));
      const escaped = encodeKey(["v", "0".repeat(36), "\0".repeat(1_024), Number.MAX_SAFE_INTEGER]);
      expect(await meta.commit({ writes: [{ key: escaped, value: bytes("e") }] })).toBe(true);
      expect(names(await meta.scan(stringRange(["v", "0".repeat(36)], "\0\0"), { limit: 5 }))).toEqual([
        Number.MAX_SAFE_INTEGER,
      ]);
      for (const bad of [Buffer.alloc(KEY_BYTES_MAX + 1), Buffer.alloc(0)]) {
        await expect(meta.commit({ writes: [{ key: bad, value: bytes("v") }] })).rejects.toThrow(RangeError);
        await expect(meta.commit({ checks: [{ key: bad, absent: true }] })).rejects.toThrow(RangeError);
      }
      await expect(meta.commit({ writes: [{ key: key("c"), add: 0.5 }] })).rejects.toThrow(RangeError);
    });

    test("takes values and bodies of a megabyte", async () => {
      const large = Buffer.alloc(1024 * 1024, "large");
      const id = await meta.newBodyId();
      await meta.commit({
        writes: [{ key: key("large"), value: large }],
        bodies: { put: [{ id, bytes: large }] },
      });
      expect((await meta.get(key("large")))!.equals(large)).toBe(true);
      expect((await meta.getBody(id))!.equals(large)).toBe(true);
    });

    test("keeps its own copy of what it is given", async () => {
      const value = bytes("value");
      const body = bytes("body");
      const id = await meta.newBodyId();
      await meta.commit({ writes: [{ key: key("a"), value }], bodies: { put: [{ id, bytes: body }] } });
      value.fill(0);
      body.fill(0);
      expect(await meta.get(key("a"))).toEqual(bytes("value"));
      expect(await meta.getBody(id)).toEqual(bytes("body"));
    });

    test("bodies come and go with their commit", async () => {
      const [a, b] = [await meta.newBodyId(), await meta.newBodyId()];
      await meta.commit({
        bodies: {
          put: [
            { id: a, bytes: bytes("a") },
            { id: b, bytes: Buffer.alloc(0) },
          ],
        },
      });
      expect([await meta.getBody(a), await meta.getBody(b)]).toEqual([bytes("a"), Buffer.alloc(0)]);
      await meta.commit({ bodies: { delete: [a, 2 ** 50] } });
      expect([await meta.getBody(a), await meta.getBody(b)]).toEqual([undefined, Buffer.alloc(0)]);
    });

    test("body ids rise and are never given twice", async () => {
      const ids = await Promise.all(Array.from({ length: 3_000 }, () => meta.newBodyId()));
      expect(new Set(ids).size).toBe(3_000);
      expect(ids.toSorted((a, b) => a - b)).toEqual(ids);
      expect(ids.every((id) => Number.isSafeInteger(id) && id > 0)).toBe(true);
    });

    test("a snapshot reads several things of one moment", async () => {
      const id = await meta.newBodyId();
      await meta.commit({
        writes: [put("t", 1), put("t", 2), { key: key("c"), add: 3 }],
        bodies: { put: [{ id, bytes: bytes("body") }] },
      });
      const seen = await meta.snapshot(function* (read) {
        const one = yield* read.get(key("t", 1));
        const many = yield* read.getMany([key("t", 2), key("t", 3)]);
        const page = yield* read.scan(tupleRange(["t"]), { limit: 1, reverse: true });
        return {
          one,
          many,
          page: names(page),
          sum: yield* read.sum(key("c")),
          body: yield* read.getBody(id),
        };
      });
      expect(seen).toEqual({
        one: bytes("t,1"),
        many: [bytes("t,2"), undefined],
        page: [2],
        sum: 3,
        body: bytes("body"),
      });
    });

    test("a snapshot's generator may throw, and may not wait", async () => {
      await expect(
        meta.snapshot(function* (read) {
          yield* read.get(key("a"));
          throw new Error("mine");
        }),
      ).rejects.toThrow("mine");
      await expect(
        meta.snapshot(function* () {
          yield Promise.resolve();
          return 1;
        }),
      ).rejects.toThrow(TypeError);
      await fill(1);
      expect(await meta.get(key("t", 1))).toBeDefined();
    });

    test("concurrent snapshots see all of a commit or nothing", async () => {
      const pair = { a: key("pair", "a"), b: key("pair", "b") };
      await meta.commit({
        writes: [
          { key: pair.a, value: bytes("0") },
          { key: pair.b, value: bytes("0") },
        ],
      });
      const commits = Array.from({ length: 100 }, (_, n) =>
        meta.commit({
          writes: [
            { key: pair.a, value: bytes(`${n}`) },
            { key: pair.b, value: bytes(`${n}`) },
          ],
        }),
      );
      for (let n = 0; n < 200; n++) {
        const [a, b] = await meta.snapshot(function* (read) {
          return [yield* read.get(pair.a), yield* read.get(pair.b)];
        });
        expect(a).toEqual(b);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await Promise.all(commits)).not.toContain(false);
    });

    test("says that it is closed", async () => {
      expect(meta.health()).toBeUndefined();
      await meta.close();
      expect(meta.health()).toBeDefined();
      await expect(meta.get(key("a"))).rejects.toThrow(/closed|not open/);
      await expect(meta.commit({ writes: [put("a")] })).rejects.toThrow(/closed|not open/);
    });

    test("another worker sees a commit as soon as it is acknowledged", async ({ skip }) => {
      if (engine.second === undefined) {
        skip("the engine has one handle");
        return;
      }
      const other = await engine.second();
      try {
        for (let n = 0; n < 50; n++) {
          const [writer, reader] = n % 2 === 0 ? [meta, other] : [other, meta];
          await writer.commit({
            writes: [
              { key: key("seen"), value: bytes(`${n}`) },
              { key: key("c"), add: 1 },
            ],
          });
          expect(await reader.get(key("seen"))).toEqual(bytes(`${n}`));
          expect(await reader.sum(key("c"))).toBe(n + 1);
        }
      } finally {
        await other.close();
      }
    });

    test("a snapshot does not see what another process commits meanwhile", async ({ skip }) => {
      const { interfere } = engine;
      if (interfere === undefined) {
        skip("nothing runs beside the engine");
        return;
      }
      await meta.commit({ writes: [put("t", 1)] });
      const before = await meta.snapshot(function* (read) {
        const first = yield* read.scan(tupleRange(["t"]), { limit: 10 });
        interfere(key("t", 2));
        const second = yield* read.scan(tupleRange(["t"]), { limit: 10 });
        return [names(first), names(second), yield* read.get(key("t", 2))];
      });
      expect(before).toEqual([[1], [1], undefined]);
      expect(await meta.get(key("t", 2))).toBeDefined();
    });

    test("two workers never get one body id, and both win some of a race", async ({ skip }) => {
      if (engine.second === undefined) {
        skip("the engine has one handle");
        return;
      }
      const other = await engine.second();
      try {
        const ids = await Promise.all(
          Array.from({ length: 3_000 }, (_, n) => (n % 2 === 0 ? meta : other).newBodyId()),
        );
        expect(new Set(ids).size).toBe(3_000);
        const races = await Promise.all(
          Array.from({ length: 60 }, (_, n) =>
            Promise.all(
              [meta, other].map((each) =>
                each.commit({ checks: [{ key: key("race", n), absent: true }], writes: [put("race", n)] }),
              ),
            ),
          ),
        );
        for (const outcome of races) expect(outcome.filter(Boolean)).toHaveLength(1);
      } finally {
        await other.close();
      }
    });

    test("all is there after it was closed and opened again, and no body id comes back", async ({ skip }) => {
      if (engine.reopen === undefined) {
        skip("the engine forgets");
        return;
      }
      let last = 0;
      for (let round = 0; round < 3; round++) {
        const id = await meta.newBodyId();
        expect(id).toBeGreaterThan(last);
        last = id;
        await meta.commit({
          writes: [put("t", round), { key: key("c"), add: 2 }],
          bodies: { put: [{ id, bytes: bytes(`body ${round}`) }] },
        });
        // The newest row goes: SQLite by itself would give its id to the next one.
        if (round === 1) await meta.commit({ bodies: { delete: [id] } });
        meta = await engine.reopen();
        expect(names(await meta.scan(tupleRange(["t"]), { limit: 10 }))).toHaveLength(round + 1);
        expect(await meta.sum(key("c"))).toBe(2 * (round + 1));
        expect(await meta.getBody(id)).toEqual(round === 1 ? undefined : bytes(`body ${round}`));
      }
    });
  });
}
