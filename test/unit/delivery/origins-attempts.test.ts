/** How often an origin is asked that fails, and when it is left alone. */
import { EventEmitter, once } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import { Attempts, LastingFailure } from "../../../src/delivery/origins/attempts.ts";

const failed = new DeliveryError("OriginFailed", "down");
/** What comes of a request, and how often it was made. */
async function run(attempts: Attempts, ...results: (Error | string)[]): Promise<[string, number]> {
  let count = 0;
  const request = (): Promise<string> => {
    const result = results[Math.min(count++, results.length - 1)]!;
    return typeof result === "string" ? Promise.resolve(result) : Promise.reject(result);
  };
  const ended = attempts.run(request).catch((error: DeliveryError) => error.code as string);
  // Short of the time for which the circuit stays open.
  await vi.advanceTimersByTimeAsync(500);
  return [await ended, count];
}

describe("attempts", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("are made again after what may pass, and not after what will not", async () => {
    const attempts = new Attempts();
    expect(await run(attempts, failed, failed, "there")).toEqual(["there", 3]);
    expect(await run(attempts, failed)).toEqual(["OriginFailed", 3]);
    expect(await run(attempts, new DeliveryError("OriginTimeout", ""))).toEqual(["OriginTimeout", 1]);
    expect(await run(attempts, new DeliveryError("OriginDenied", ""))).toEqual(["OriginDenied", 1]);
    expect(await run(attempts, new LastingFailure("no"))).toEqual(["OriginFailed", 1]);
  });

  test("end for a few seconds after five failures; then one request tries for all", async () => {
    const attempts = new Attempts();
    for (let n = 0; n < 5; n++) expect(await run(attempts, failed)).toEqual(["OriginFailed", 3]);
    expect(await run(attempts, "there")).toEqual(["ServiceUnavailable", 0]);
    const refused = await attempts.run(() => Promise.resolve()).catch((error: unknown) => error);
    expect((refused as DeliveryError).headers).toEqual(["Retry-After", expect.stringMatching(/^[1-5]$/)]);
    await vi.advanceTimersByTimeAsync(5000);
    const gate = new EventEmitter();
    const probe = attempts.run(() => once(gate, "open"));
    expect(await run(attempts, "there")).toEqual(["ServiceUnavailable", 0]);
    gate.emit("open");
    await probe;
    expect(await run(attempts, "there")).toEqual(["there", 1]);
  });

  test("stay ended when that one fails, which is made once", async () => {
    const attempts = new Attempts();
    for (let n = 0; n < 5; n++) await run(attempts, failed);
    await vi.advanceTimersByTimeAsync(5000);
    expect(await run(attempts, failed)).toEqual(["OriginFailed", 1]);
    expect(await run(attempts, "there")).toEqual(["ServiceUnavailable", 0]);
  });

  test("are not ended by any number of requests that are wrong themselves", async () => {
    const attempts = new Attempts();
    for (let n = 0; n < 20; n++) await run(attempts, new LastingFailure("the key is too long"));
    expect(await run(attempts, "there")).toEqual(["there", 1]);
  });
});
