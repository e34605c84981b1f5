import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Jobs } from "../../../../src/delivery/video/jobs.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-jobs-"));
  await mkdir(join(folder, "jobs"));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

test("what was told of old work is forgotten, and looked for once a minute, not with each film", async () => {
  const jobs = new Jobs({ folder, log: pino({ level: "silent" }), atOnce: 1, queueLength: 1 });
  const old = join(folder, "jobs", "old.json");
  const told = async (hours: number): Promise<void> => {
    await writeFile(old, "{}");
    const at = Date.now() / 1000 - hours * 3600;
    await utimes(old, at, at);
  };
  let count = 0;
  const work = (): Promise<void> =>
    jobs.run({ id: String(++count).padStart(16, "0"), account: "a", kind: "film" }, async () => undefined)
      .done;
  await told(2);
  await work();
  expect(existsSync(old)).toBe(false);
  await told(2);
  await work();
  expect(existsSync(old)).toBe(true);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
  await work();
  expect(existsSync(old)).toBe(false);
  await jobs.close();
});
