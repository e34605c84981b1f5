/**
 * `npm run bench`: Windlass beside references in one run, the same client, rounds in turn. See docs/performance.md.
 *
 *   --cases a,b      names, or parts of names (all)       --rounds N     of each case (5)
 *   --seconds N      of each measurement (4)              --keys N       in the listed bucket (1000000)
 *   --json FILE      everything measured                  --serve "…"    further options of `windlass serve`
 *   --endpoint URL --access-key AK --secret-key SK        a Windlass that runs already (no CPU and memory figures)
 *   --reference URL --reference-access-key AK --reference-secret-key SK    any S3 server beside it
 */
import { fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { CASES, LIST_BATCH } from "./cases.mjs";
import { median } from "./median.mjs";
import { startNginx, startWindlass, usage } from "./servers.mjs";

const text = { type: "string" };
const { values: options } = parseArgs({
  options: {
    cases: text,
    rounds: text,
    seconds: text,
    keys: text,
    json: text,
    serve: text,
    endpoint: text,
    "access-key": text,
    "secret-key": text,
    reference: text,
    "reference-access-key": text,
    "reference-secret-key": text,
  },
});
const rounds = Number(options.rounds ?? 5);
const seconds = Number(options.seconds ?? 4);
const keys = Number(options.keys ?? 1_000_000);
const wanted = options.cases?.split(",") ?? [""];
const names = Object.keys(CASES).filter(
  (name) => !CASES[name].hidden && wanted.some((part) => name.includes(part)),
);

function remote(name, url, accessKeyId, secretAccessKey) {
  const { hostname: host, port } = new URL(url);
  const key = { accessKeyId, secretAccessKey, region: "us-east-1" };
  return { name, host, port: Number(port || 80), key, pid: undefined, stop: async () => undefined };
}

let offset = Date.now() % 1_000_000;
function measure(target, name, more = {}) {
  const before = target.pid === undefined ? undefined : usage(target.pid);
  return new Promise((resolve, reject) => {
    const child = fork(new URL("./client.mjs", import.meta.url));
    child.once("message", (result) => {
      if (result.error !== undefined) {
        reject(new Error(`${target.name}: ${result.error}`));
        return;
      }
      const after = target.pid === undefined ? undefined : usage(target.pid);
      resolve({
        ...result,
        rate: result.requests / result.seconds,
        cpuUs: after && ((after.cpuMs - before.cpuMs) * 1000) / result.requests,
        peakMiB: after?.peakMiB,
      });
    });
    child.once("error", reject);
    const job = {
      case: name,
      host: target.host,
      port: target.port,
      key: target.key,
      seconds,
      keys,
      offset: offset++,
    };
    child.send({ ...job, ...more });
  });
}

const LONG = { seconds: 600 };
/** What GET and list read. */
async function prepare(target) {
  for (const size of ["4 KiB", "64 KiB", "1 MiB", "64 MiB"]) {
    if (names.some((name) => new RegExp(`^(GET|HEAD) ${size}`).test(name)))
      await measure(target, `store ${size}`, LONG);
  }
  if (target.name === "nginx" || !names.some((name) => CASES[name].listing)) return;
  for (let at = 0; at < keys; at += LIST_BATCH) {
    const { rate } = await measure(target, "store listing", { ...LONG, offset: at });
    process.stderr.write(
      `\r${target.name}: ${Math.min(at + LIST_BATCH, keys)} keys to list, ${Math.round(rate)}/s `,
    );
  }
  process.stderr.write("\n");
}

function summary(results) {
  const of = (field) =>
    results[0][field] === undefined ? undefined : median(results.map((result) => result[field]));
  return {
    rate: of("rate"),
    cpuUs: of("cpuUs"),
    p50: of("p50"),
    p99: of("p99"),
    p999: of("p999"),
    peakMiB: of("peakMiB"),
    max: Math.max(...results.map(({ max }) => max)),
    mibPerSecond: median(results.map((result) => result.bytes / result.seconds / 1048576)),
    failed: results.reduce((sum, { failed }) => sum + failed, 0),
    clientCpuShare: median(results.map((result) => result.clientCpuMs / 1000 / result.seconds)),
  };
}

const digits = (number, places = 0) => (number === undefined ? "" : number.toFixed(places));
function table(all, references) {
  const heads = [
    "case",
    "req/s",
    "MiB/s",
    "CPU µs",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "max ms",
    "failed",
    ...references.flatMap(({ name }) => [`${name} req/s`, `${name} CPU µs`, "ratio"]),
  ];
  const rows = names.map((name) => {
    const mine = all[name].Windlass;
    return [
      name,
      digits(mine.rate),
      digits(mine.mibPerSecond, mine.mibPerSecond < 10 ? 1 : 0),
      digits(mine.cpuUs),
      digits(mine.p50, 2),
      digits(mine.p99, 2),
      digits(mine.p999, 1),
      digits(mine.max, 1),
      mine.failed,
      ...references.flatMap((reference) => {
        const other = all[name][reference.name];
        return other === undefined
          ? ["", "", ""]
          : [digits(other.rate), digits(other.cpuUs), digits(mine.rate / other.rate, 2)];
      }),
    ];
  });
  return [heads, heads.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

const windlass =
  options.endpoint === undefined
    ? await startWindlass(options.serve?.split(" ") ?? [])
    : remote("Windlass", options.endpoint, options["access-key"], options["secret-key"]);
const references = [
  await startNginx(),
  options.reference === undefined
    ? undefined
    : remote(
        "reference",
        options.reference,
        options["reference-access-key"],
        options["reference-secret-key"],
      ),
].filter((reference) => reference !== undefined);
const targets = [windlass, ...references];
try {
  for (const target of targets) await prepare(target);
  const all = Object.fromEntries(names.map((name) => [name, {}]));
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      for (const target of targets) {
        const { listing, before } = CASES[name];
        if (target.name === "nginx" && (listing === true || before !== undefined)) continue;
        process.stderr.write(`\rround ${round + 1} of ${rounds}: ${name}, ${target.name}            `);
        const at = offset++;
        if (before !== undefined) await measure(target, before, { ...LONG, offset: at });
        (all[name][target.name] ??= []).push(
          await measure(target, name, before === undefined ? {} : { ...LONG, offset: at }),
        );
      }
    }
  }
  process.stderr.write("\n");
  for (const name of names)
    for (const each of Object.keys(all[name])) all[name][each] = summary(all[name][each]);
  const machine = `${cpus().length} × ${cpus()[0].model}, Node ${process.version}`;
  const lines = [
    `${machine}; medians of ${rounds} rounds of ${seconds} s; ${keys} keys listed.`,
    "",
    table(all, references),
  ];
  if (windlass.pid !== undefined) {
    lines.push(
      "",
      `Resident: ${windlass.idle} MiB idle, ${usage(windlass.pid).peakMiB} MiB at most (the sum of each process's peak).`,
    );
  }
  if (references.length === 0) lines.push("", "nginx is not installed: no ratios.");
  process.stdout.write(`${lines.join("\n")}\n`);
  if (options.json !== undefined)
    writeFileSync(options.json, JSON.stringify({ machine, rounds, seconds, keys, cases: all }, null, 2));
} finally {
  for (const target of targets) await target.stop();
}
