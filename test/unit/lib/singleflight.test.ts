import { expect, test } from "vitest";
import { SingleFlight } from "../../../src/lib/singleflight.ts";
import { Gate } from "./wire.ts";

function fail(): never {
  throw new Error("boom");
}

test("callers of one key at one time share the work; later ones start it anew", async () => {
  const flight = new SingleFlight<number>();
  const gate = new Gate();
  let started = 0;
  const work = async () => {
    const number = ++started;
    await gate.opened;
    return number;
  };
  const both = [flight.run("a", work), flight.run("a", work)];
  const other = flight.run("b", work);
  gate.open();
  expect(await Promise.all(both)).toEqual([1, 1]);
  expect(await other).toBe(2);
  expect(await flight.run("a", work)).toBe(3);
});

test("an error reaches all callers and is not kept, also one thrown at once", async () => {
  const flight = new SingleFlight<string>();
  const both = await Promise.allSettled([flight.run("a", fail), flight.run("a", fail)]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await flight.run("a", () => Promise.resolve("fine"))).toBe("fine");
});
