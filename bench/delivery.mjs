/**
 * `npm run bench:delivery`: pictures over HTTP beside sharp in a bare loop, cached pictures beside objects, and objects
 * while pictures are made, in one run, rounds in turn. See docs/performance.md.
 *
 *   --rounds N     of each measurement (5)
 *   --seconds N    of each measurement (4), for pictures in turns of one second
 *   --photo FILE   source, instead of the picture that is made for it
 *   --serve "…"    further options of `windlass serve`
 *   --json FILE    everything measured
 *   --quick        a few seconds, to see that everything works
 */
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { PHOTO_KEY, SMALL_KEY, uncached } from "./deliverycases.mjs";
import { median } from "./median.mjs";
import { photo } from "./photo.mjs";
import { memory, startWindlass, usage } from "./servers.mjs";
import { signer } from "./sign.mjs";

const text = { type: "string" };
const { values: options } = parseArgs({
  options: {
    rounds: text,
    seconds: text,
    json: text,
    photo: text,
    serve: text,
    quick: { type: "boolean" },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
const seconds = Number(options.seconds ?? (options.quick ? 0.7 : 4));
const FORMATS = ["jpeg", "webp", "avif", "png"];
/**
 * As many renders at a time as two cores have. One process that makes two at once is what a program with sharp does; two
 * processes with one each are the most that sharp does on such a machine.
 */
const BARE = { processes: 1, atOnce: 2 };
const BARE_APART = { processes: 2, atOnce: 1 };
/** The two ways to run Windlass on such a machine: with workers as they are needed, and everything but the renderers in one process. */
const CONFIGURATIONS = { "default workers": [], "--workers 1": ["--workers", "1"] };
/** A look at the memory of all processes takes some 3 ms of the cores that are measured. */
const SAMPLE_MS = 1000;
/** Clients that want one picture at the same moment. */
const CROWD = 200;
/**
 * Of small pictures, before the first round: V8 compiles what is called often, for the first five thousand pictures or so.
 * Large ones take two minutes for them.
 */
const WARM_RENDERS_SECONDS = 20;
/** Pixels. */
const SMALL_SIDE = 64;
/** Machines are faster and slower by the second: what is compared takes turns this short. */
const TURN_SECONDS = 1;
/**
 * In front of each: after 0.3 s renderers begin to answer several at once. What is held back then would be missing at the
 * turn's end, and nothing at its beginning.
 */
const RAMP_SECONDS = 0.6;
const turn = { seconds: Math.min(seconds, TURN_SECONDS), rampSeconds: RAMP_SECONDS };
const TURNS = Math.ceil(seconds / TURN_SECONDS);
/** JPEGs are made the fastest, so that what isn't codec counts the most: it takes more turns to tell how much. */
const turnsOf = (format) => (format === "jpeg" ? 2 * TURNS : TURNS);
/** For thousands of requests a second to call the workers that they need. */
const WARM_SECONDS = 3;
/** After such a time without them these workers have gone again. */
const CALM_SECONDS = 15;
/** Further than any measurement: for cases that go through their requests once. */
const ONCE_SECONDS = 600;

/** Starts a child, hands it its job, and resolves with its last word. */
function work(program, job, hear = () => undefined) {
  const child = fork(new URL(program, import.meta.url));
  child.send(job);
  const result = new Promise((resolve, reject) => {
    let last;
    child.on("message", (message) => {
      last = message;
      hear(message, child);
    });
    child.once("error", reject);
    child.once("exit", () => {
      if (last?.error === undefined && last?.seconds !== undefined) resolve(last);
      else reject(new Error(`${program}: ${last?.error ?? "ended early"}`));
    });
  });
  return result;
}

async function bare(file, format, { processes, atOnce }) {
  const warm = [];
  const all = await Promise.all(
    Array.from({ length: processes }, () =>
      work("./bare.mjs", { photo: file, format, ...turn, atOnce }, (message, child) => {
        if (message.warm && warm.push(child) === processes) for (const each of warm) each.send("begin");
      }),
    ),
  );
  const renders = all.reduce((sum, each) => sum + each.all, 0);
  return {
    rate: all.reduce((sum, each) => sum + each.renders / each.seconds, 0),
    cpuMs: all.reduce((sum, each) => sum + each.cpuMs, 0) / renders,
    bytes: all[0].bytes,
  };
}

let offset = 0;
async function drive(server, name, more = {}) {
  const delivered = !/^(GET|store) \d/.test(name);
  const before = usage(server.pid);
  const result = await work("./client.mjs", {
    case: name,
    host: server.host,
    port: delivered ? server.deliveryPort : server.port,
    key: delivered ? undefined : server.key,
    seconds,
    offset: offset++,
    ...more,
  });
  if (result.failed > 0) throw new Error(`${name}: ${result.failed} of ${result.requests} requests failed`);
  const cpuMs = (usage(server.pid).cpuMs - before.cpuMs) / result.answered;
  return { ...result, rate: result.requests / result.seconds, cpuMs, bytes: result.bytes / result.answered };
}

/** With the memory of all processes looked at meanwhile. */
async function watched(server, measure, peak) {
  const timer = setInterval(() => {
    const { rss, pss } = memory(server.pid);
    peak.rss = Math.max(peak.rss ?? 0, rss);
    if (pss !== undefined) peak.pss = Math.max(peak.pss ?? 0, pss);
  }, SAMPLE_MS);
  try {
    return await measure();
  } finally {
    clearInterval(timer);
  }
}

async function rendered(server, format, peak) {
  const result = await watched(server, () => drive(server, `render ${format}`, turn), peak);
  if (result.misses !== result.answered)
    throw new Error(`${format}: ${result.misses} of ${result.answered} were rendered`);
  return result;
}

/** One URL that is not cached, wanted by many at once: how often it is rendered, and whether all get the same. */
async function crowd(server) {
  const agent = new Agent({ keepAlive: false, maxSockets: CROWD });
  const path = uncached("webp", `crowd-${offset++}`);
  const started = performance.now();
  const answers = await Promise.all(
    Array.from(
      { length: CROWD },
      () =>
        new Promise((resolve, reject) => {
          const request = get({ host: server.host, port: server.deliveryPort, path, agent }, (response) => {
            const hash = createHash("sha256");
            response.on("data", (chunk) => hash.update(chunk));
            response.on("end", () =>
              resolve({
                status: response.statusCode,
                cache: response.headers["x-cache"],
                body: hash.digest("hex"),
              }),
            );
            response.on("error", reject);
          });
          request.on("error", reject);
        }),
    ),
  );
  return {
    ms: performance.now() - started,
    failed: answers.filter(({ status }) => status !== 200).length,
    renders: answers.filter(({ cache }) => cache === "MISS").length,
    bodies: new Set(answers.map(({ body }) => body)).size,
  };
}

async function storm(server, peak) {
  const alone = await drive(server, "GET 4 KiB, unhurried");
  const storming = watched(server, () => drive(server, "render storm", { seconds: seconds + 1 }), peak);
  await sleep(500);
  const meanwhile = await drive(server, "GET 4 KiB, unhurried");
  const { rate } = await storming;
  return { alone, meanwhile, rate };
}

async function put(server, key, body) {
  const head = signer({ host: `${server.host}:${server.port}`, key: server.key })(
    "PUT",
    `/bench/${key}`,
    {},
    body.length,
  );
  const headers = Object.fromEntries(
    head
      .toString()
      .split("\r\n")
      .slice(1)
      .filter((line) => line !== "" && !/^(host|content-length):/i.test(line))
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
  );
  const response = await fetch(`http://${server.host}:${server.port}/bench/${key}`, {
    method: "PUT",
    headers: { ...headers, "content-type": "image/jpeg" },
    body,
  });
  if (response.status !== 200) throw new Error(`${key} could not be stored: ${await response.text()}`);
}

const of = (results, field) => median(results.map((result) => result[field]));
const digits = (value, places = 0) => (value === undefined ? "" : value.toFixed(places));
const table = (rows) =>
  [rows[0], rows[0].map(() => "---"), ...rows.slice(1)].map((row) => `| ${row.join(" | ")} |`).join("\n");
const span = (values) =>
  `${digits(median(values), 2)} (${digits(Math.min(...values), 2)}–${digits(Math.max(...values), 2)})`;

/** What is measured of one configuration. */
const measurements = () => ({
  http: Object.fromEntries(FORMATS.map((format) => [format, []])),
  cache: [],
  crowds: [],
  storms: [],
  /** MiB resident while pictures are made, and while thousands of requests a second are answered. */
  peak: {},
  peakServing: {},
});

/** A row of each configuration. */
const rowsOf = (windlass, row) => Object.entries(windlass).map(([name, measured]) => row(name, measured));

function rendersTable({ bares, windlass }) {
  const rows = FORMATS.flatMap((format) => {
    const { loop, apart } = bares[format];
    return rowsOf(windlass, (name, { http: { [format]: http } }) => {
      const against = (reference) => span(http.map(({ rate }, n) => rate / reference[n].rate));
      return [
        `${format}, ${name}`,
        digits(of(loop, "rate"), 1),
        digits(of(apart, "rate"), 1),
        digits(of(http, "rate"), 1),
        against(loop),
        against(apart),
        digits(of(loop, "cpuMs"), 1),
        digits(of(apart, "cpuMs"), 1),
        digits(of(http, "cpuMs"), 1),
        digits(of(http, "p50")),
        digits(of(http, "p99")),
        digits(loop[0].bytes),
        digits(http[0].bytes),
      ];
    });
  });
  return table([
    [
      "512 × 512, not cached",
      "bare sharp /s",
      "in two processes /s",
      "Windlass /s",
      "ratio to bare (lowest–highest)",
      "to two processes",
      "bare CPU ms",
      "two processes CPU ms",
      "Windlass CPU ms",
      "p50 ms",
      "p99 ms",
      "bare bytes",
      "Windlass bytes",
    ],
    ...rows,
  ]);
}

function cacheTable({ windlass }) {
  const rows = rowsOf(windlass, (name, { cache }) => {
    const ratio = span(cache.map(({ object, picture }) => picture.rate / object.rate));
    const [object, picture] = ["object", "picture"].map((which) => cache.map((both) => both[which]));
    return [
      [`S3 GET 64 KiB, ${name}`, object, ""],
      [`cached picture, ${digits(picture[0].bytes)} bytes, ${name}`, picture, ratio],
    ].map(([what, results, against]) => [
      what,
      digits(of(results, "rate")),
      digits(of(results, "cpuMs") * 1000),
      digits(of(results, "p50"), 2),
      digits(of(results, "p99"), 2),
      against,
    ]);
  });
  return table([
    ["32 connections", "req/s", "CPU µs", "p50 ms", "p99 ms", "ratio (lowest–highest)"],
    ...rows.flat(),
  ]);
}

const latencyRow = (what, results) => [
  what,
  digits(of(results, "p50"), 2),
  digits(of(results, "p99"), 2),
  digits(of(results, "max"), 1),
];

function stormTable({ windlass }) {
  const rows = rowsOf(windlass, (name, { storms }) => [
    latencyRow(
      `alone, ${name}`,
      storms.map(({ alone }) => alone),
    ),
    latencyRow(
      `beside ${digits(of(storms, "rate"))} renders a second for 32 connections, ${name}`,
      storms.map(({ meanwhile }) => meanwhile),
    ),
  ]);
  return table([
    ["S3 GET 4 KiB, 8 connections, each every 20 ms", "p50 ms", "p99 ms", "max ms"],
    ...rows.flat(),
  ]);
}

const crowdTable = ({ windlass }) =>
  table([
    [`${CROWD} at once for one picture`, "times rendered", "different bodies", "failed", "ms for all"],
    ...rowsOf(windlass, (name, { crowds }) => [
      name,
      crowds.map(({ renders }) => renders).join(", "),
      Math.max(...crowds.map(({ bodies }) => bodies)),
      Math.max(...crowds.map(({ failed }) => failed)),
      digits(of(crowds, "ms")),
    ]),
  ]);

const memoryTable = ({ windlass }) =>
  table([
    [
      "resident, all processes, MiB",
      ...["sum", "shared pages once"].flatMap((way) =>
        ["idle", "rendering, at most", "thousands of requests a second, at most"].map(
          (when) => `${when}, ${way}`,
        ),
      ),
    ],
    ...rowsOf(windlass, (name, { idle, peak, peakServing }) => [
      name,
      ...["rss", "pss"].flatMap((way) => [idle, peak, peakServing].map((each) => each[way] ?? "")),
    ]),
  ]);

const report = (measured) =>
  [
    `${measured.machine}; medians of ${rounds} rounds of ${seconds} s, pictures in turns of ${turn.seconds} s; a JPEG of 2725 × 2225 pixels and ${measured.size} bytes.`,
    ...[rendersTable, cacheTable, stormTable, crowdTable, memoryTable].map((tableOf) => tableOf(measured)),
  ].join("\n\n");

const folder = mkdtempSync(join(tmpdir(), "windlass-photo-"));
const file = options.photo ?? join(folder, "photo.jpg");
if (options.photo === undefined) writeFileSync(file, await photo());
const note = (words) => process.stderr.write(`\r${words.padEnd(60)}`);
const servers = {};
try {
  const body = readFileSync(file);
  const small = await sharp(body).resize(SMALL_SIDE).jpeg().toBuffer();
  const windlass = {};
  for (const [name, more] of Object.entries(CONFIGURATIONS)) {
    note(`${name}: objects and pictures`);
    const server = await startWindlass([...(options.serve?.split(" ") ?? []), ...more]);
    servers[name] = server;
    await put(server, PHOTO_KEY, body);
    await put(server, SMALL_KEY, small);
    server.command("origin", "create", "photos", "--type", "bucket", "--bucket", "bench");
    windlass[name] = { ...measurements(), idle: memory(server.pid) };
    for (const what of ["store 4 KiB", "store 64 KiB", "make cached"])
      await drive(server, what, { seconds: ONCE_SECONDS });
    await drive(server, "render small", { seconds: options.quick ? seconds : WARM_RENDERS_SECONDS });
  }
  const bares = Object.fromEntries(FORMATS.map((format) => [format, { loop: [], apart: [] }]));
  const all = Object.entries(servers);
  for (let round = 0; round < rounds; round++) {
    const say = (what) => note(`round ${round + 1} of ${rounds}: ${what}`);
    for (const format of FORMATS) {
      say(format);
      const measures = [
        async () => bares[format].loop.push(await bare(file, format, BARE)),
        ...all.map(([name, server]) => async () => {
          const { http, peak } = windlass[name];
          http[format].push(await rendered(server, format, peak));
        }),
        async () => bares[format].apart.push(await bare(file, format, BARE_APART)),
      ];
      // Who comes later has the warmer machine: in turn.
      for (let n = 0; n < turnsOf(format) * measures.length; n++)
        await measures[(round + Math.floor(n / measures.length) + n) % measures.length]();
    }
    for (const [name, server] of all) {
      const { crowds, storms, peak } = windlass[name];
      say(`storm, ${name}`);
      crowds.push(await crowd(server));
      storms.push(await storm(server, peak));
    }
    for (const [name, server] of all) {
      const { cache, peakServing } = windlass[name];
      say(`cached, ${name}`);
      await drive(server, "GET cached", { seconds: Math.min(seconds, WARM_SECONDS) });
      const both = async () => ({
        picture: await drive(server, "GET cached"),
        object: await drive(server, "GET 64 KiB", { keys: 0 }),
      });
      cache.push(await watched(server, both, peakServing));
    }
    if (round + 1 < rounds) await sleep(CALM_SECONDS * 1000);
  }
  note("");
  const machine = `${cpus().length} × ${cpus()[0].model}, Node ${process.version}`;
  const measured = { machine, rounds, seconds, size: body.length, bares, windlass };
  process.stdout.write(`\r${report(measured)}\n`);
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(measured, null, 2));
} finally {
  for (const server of Object.values(servers)) await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
