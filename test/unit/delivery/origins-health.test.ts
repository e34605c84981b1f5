/** Who asks for metrics and logs of origins is not flooded by them. */
import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import { OutsideOrigin } from "../../../src/delivery/origins/client.ts";
import { OriginHealth } from "../../../src/delivery/origins/health.ts";

const open = (lines: string[] = []): OriginHealth =>
  new OriginHealth(pino({ level: "info" }, { write: (line: string) => void lines.push(line) }));

test("a hundred origins are counted by name, all others as one", async () => {
  const health = open();
  for (let turn = 0; turn < 2; turn++) {
    for (let n = 0; n < 150; n++)
      await health.of(`account/origin-${n}`).ask(() => Promise.resolve({ kind: "missing" }));
  }
  const counts = health.counts();
  expect(counts).toHaveLength(101);
  expect(counts.map(({ results }) => results.get("missing"))).toEqual([...Array<number>(100).fill(2), 100]);
  expect([counts[0]!.origin, counts[100]!.origin]).toEqual(["account/origin-0", "others"]);
});

test("each of an origin's faults is said once; a URL that is none of its own is no fault", async () => {
  const lines: string[] = [];
  const health = open(lines);
  const failing = async (fault: Error): Promise<void> => {
    const ask = async (): Promise<never> => {
      throw fault;
    };
    await expect(health.of("root/web").ask(ask)).rejects.toBe(fault);
  };
  for (let n = 0; n < 3; n++) {
    await failing(new DeliveryError("OriginDenied", "no"));
    await failing(new DeliveryError("OriginTimeout", "late", [], "HOST is late"));
    await failing(new DeliveryError("ServiceUnavailable", "left alone"));
    await failing(new OutsideOrigin("OriginRefused", "another host"));
  }
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { level: 40, origin: "root/web", code: "OriginDenied", detail: "no" },
    { level: 40, origin: "root/web", code: "OriginTimeout", detail: "HOST is late" },
  ]);
  const results = Object.fromEntries(health.counts()[0]!.results);
  expect(results).toEqual({ OriginDenied: 3, OriginTimeout: 3, ServiceUnavailable: 3 });
});

test("a fault is said again when the clock was set back since", async () => {
  const lines: string[] = [];
  const health = open(lines);
  const fail = (): Promise<unknown> =>
    health
      .of("root/web")
      .ask(() => Promise.reject(new DeliveryError("OriginDenied", "no")))
      .catch(() => undefined);
  await fail();
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 3_600_000 });
  try {
    await fail();
  } finally {
    vi.useRealTimers();
  }
  expect(lines).toHaveLength(2);
});
