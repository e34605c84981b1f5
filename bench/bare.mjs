/**
 * What a machine can do with pictures: sharp in a loop, without server, cache or limits; a process of its own. Gets one
 * job by IPC, says when it is warm, begins when it is told to, and answers with what it measured.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { performance } from "node:perf_hooks";
import sharp from "sharp";

/** As renderers are, so that what else runs on the machine takes from both alike. */
const NICE = 10;
for (const thread of process.platform === "linux" ? readdirSync("/proc/self/task") : [0])
  setPriority(Number(thread), NICE);
sharp.cache(false);
sharp.concurrency(1);

/** As src/delivery/image/encode.ts writes a photograph in quality 80. */
const ENCODERS = {
  jpeg: (image) => image.jpeg({ quality: 80 }),
  webp: (image) => image.webp({ quality: 80, effort: 2 }),
  avif: (image) => image.avif({ quality: 60, effort: 0 }),
  png: (image) => image.png({ adaptiveFiltering: true, compressionLevel: 3 }),
};
/** Rendered before the clock starts. */
const WARM = 3;

async function run({ photo, format, seconds, rampSeconds, atOnce }, begun) {
  const source = readFileSync(photo);
  const render = () => ENCODERS[format](sharp(source).resize(512, 512, { fit: "cover" })).toBuffer();
  for (let n = 0; n < WARM; n++) await render();
  process.send({ warm: true });
  await begun;
  const before = process.cpuUsage();
  // As the load generator counts: what is done between two moments, of a loop that goes on.
  const from = performance.now() + rampSeconds * 1000;
  const end = from + seconds * 1000;
  let renders = 0;
  let all = 0;
  let bytes = 0;
  const loop = async () => {
    while (performance.now() < end) {
      bytes = (await render()).length;
      all++;
      const now = performance.now();
      if (now >= from && now < end) renders++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
  const cpu = process.cpuUsage(before);
  return { renders, all, seconds, bytes, cpuMs: (cpu.user + cpu.system) / 1000 };
}

async function obey(job) {
  const begun = new Promise((resolve) => process.once("message", resolve));
  process.send(await run(job, begun));
  process.disconnect();
}
process.once("message", (job) => void obey(job));
