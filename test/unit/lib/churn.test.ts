import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { array, assert, constant, integer, oneof, property, tuple } from "fast-check";
import { expect, test } from "vitest";
import { ChurnMap } from "../../../src/lib/churn.ts";

test("is a map", () => {
  const key = integer({ min: 0, max: 9 });
  const step = oneof(
    tuple(constant("set" as const), key, integer()),
    tuple(constant("delete" as const), key, constant(0)),
    tuple(constant("clear" as const), key, constant(0)),
  );
  assert(
    property(array(step, { maxLength: 60 }), (steps) => {
      const [churn, plain] = [new ChurnMap<number, number>(), new Map<number, number>()];
      for (const [what, at, value] of steps) {
        if (what === "set") {
          churn.set(at, value);
          plain.set(at, value);
        } else if (what === "delete") expect(churn.delete(at)).toBe(plain.delete(at));
        else if (at === 0) {
          churn.clear();
          plain.clear();
        }
        expect(churn.get(at)).toBe(plain.get(at));
        expect(churn.has(at)).toBe(plain.has(at));
        expect([...churn.values()]).toEqual([...plain.values()]);
        expect(churn.size).toBe(plain.size);
        expect(churn.first()).toBe(plain.keys().next().value);
      }
    }),
  );
});

test("what went through it doesn't wait for the whole heap to be collected", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const map = new ChurnMap<number, Buffer>();
  const live = 8;
  const bytes = 64 * 1024;
  let count = 0;
  let most = 0;
  const pass = (times: number): void => {
    for (let n = 0; n < times; n++) {
      map.set(count, Buffer.allocUnsafeSlow(bytes));
      map.delete(count++ - live);
      // What else a request needs: it fills the young generation.
      Array.from({ length: 2000 }, (_, i) => ({ i }));
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
  };
  pass(100);
  // Makes the table old that there is now.
  collect();
  most = 0;
  const before = process.memoryUsage().arrayBuffers;
  pass(1000);
  expect(most - before).toBeLessThan(20 * 1024 ** 2);
});
