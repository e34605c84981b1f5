/** A process that may open no further file must not end when it would start another. Compiled: `npm run build` first. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { programUrl } from "../../../src/lib/program.ts";

const DELIVERY = new URL("../../../src/delivery/delivery.ts", import.meta.url).href;
const urlOf = (module: string): string => JSON.stringify(programUrl(DELIVERY, module).href);

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR4nGNgAAIAAAUAAXpeqz8AAAAASUVORK5CYII=";

/** What a process says of `attempt` three times: without descriptors, with them, and without them again. */
async function starved(setup: string, attempt: string, end = ""): Promise<unknown> {
  const script = `
    import { closeSync, openSync } from "node:fs";
    ${setup}
    const attempt = () => (${attempt}).catch(({ code, headers }) => [code, ...(headers ?? [])]);
    const starving = async () => {
      const taken = [];
      try {
        for (;;) taken.push(openSync("/dev/null"));
      } catch {}
      const said = await Promise.all([attempt(), attempt(), attempt()]);
      for (const fd of taken) closeSync(fd);
      return said;
    };
    const said = [await starving(), await attempt(), await starving()];
    ${end}
    process.stdout.write(JSON.stringify(said));`;
  const few = ["-c", 'ulimit -n 100; exec "$0" --input-type=module -e "$1"', process.execPath, script];
  return JSON.parse((await promisify(execFile)("/bin/sh", few)).stdout);
}

const LATER = ["ServiceUnavailable", "Retry-After", "1"];

test("a picture without a renderer is 503; where there is one, it makes them all", async () => {
  const setup = `
    import { Renderers } from ${urlOf("./image/image.ts")};
    import { DEFAULT_LIMITS } from ${urlOf("./limits.ts")};
    const limits = { ...DEFAULT_LIMITS, renderers: 2 };
    const pool = new Renderers(limits, { warn() {} });
    const bytes = Buffer.from("${PIXEL}", "base64");
    const input = { size: bytes.length, async *read() { yield bytes; } };
    const plan = { steps: [], defaults: { quality: 80, format: "png" } };
    const job = { kind: "picture", plan, hints: { accepts: [] }, inputs: [], limits };`;
  const said = await starved(
    setup,
    "pool.render(job, [input]).then(({ type }) => type)",
    "await pool.close();",
  );
  const made = "image/png";
  expect(said).toEqual([[LATER, LATER, LATER], made, [made, made, made]]);
});

test("a film without an encoder is 503", async () => {
  const setup = `
    import { run } from ${urlOf("./video/ffmpeg.ts")};
    const { signal } = new AbortController();
    const options = { folder: "/tmp", seconds: 20, memoryBytes: 2 ** 32, threads: 1, signal };`;
  const said = await starved(setup, `run("echo", ["made"], options).then(({ stdout }) => stdout)`);
  expect(said).toEqual([[LATER, LATER, LATER], "made\n", [LATER, LATER, LATER]]);
});
