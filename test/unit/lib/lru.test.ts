import { expect, test } from "vitest";
import { Lru } from "../../../src/lib/lru.ts";

test("the entry not used for longest is forgotten first", () => {
  const lru = new Lru<string, number>({ maxEntries: 2 });
  lru.set("a", 1);
  lru.set("b", 2);
  expect(lru.get("a")).toBe(1);
  lru.set("c", 3);
  expect([lru.get("a"), lru.get("b"), lru.get("c")]).toEqual([1, undefined, 3]);
  expect(lru.size).toBe(2);
});

test("a value set again counts as used and replaces the old one", () => {
  const lru = new Lru<string, number>({ maxEntries: 2 });
  lru.set("a", 1);
  lru.set("b", 2);
  lru.set("a", 3);
  lru.set("c", 4);
  expect([lru.get("a"), lru.get("b")]).toEqual([3, undefined]);
});

test("bytes are bounded; what is larger than all is not kept and drives nothing out", () => {
  const lru = new Lru<string, string>({ maxEntries: 100, maxBytes: 10, sizeOf: (value) => value.length });
  lru.set("a", "12345");
  lru.set("b", "12345");
  lru.set("c", "1");
  expect([lru.get("a"), lru.get("b"), lru.bytes]).toEqual([undefined, "12345", 6]);
  lru.set("huge", "12345678901");
  expect([lru.get("huge"), lru.get("b"), lru.bytes]).toEqual([undefined, "12345", 6]);
  // Even when it replaces one that was kept: the old value is stale.
  lru.set("b", "12345678901");
  expect([lru.get("b"), lru.bytes]).toEqual([undefined, 1]);
});

test("entries can be deleted and all cleared", () => {
  const lru = new Lru<string, string>({ maxEntries: 9, maxBytes: 10, sizeOf: (value) => value.length });
  lru.set("a", "123");
  lru.set("b", "4");
  lru.delete("a");
  lru.delete("never");
  expect([lru.get("a"), lru.size, lru.bytes]).toEqual([undefined, 1, 1]);
  lru.clear();
  expect([lru.get("b"), lru.size, lru.bytes]).toEqual([undefined, 0, 0]);
});
