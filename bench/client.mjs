/**
 * The load generator, a process of its own: raw sockets with keep-alive, requests prepared before the clock starts.
 * Gets one job by IPC and answers with what it measured.
 */
import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { CASES } from "./cases.mjs";
import { DELIVERY_CASES } from "./deliverycases.mjs";
import { signer } from "./sign.mjs";

const LATENCIES_MAX = 4_000_000;
const READ_BYTES = 256 * 1024;

/**
 * @typedef {{ case: string, host: string, port: number, key?: import("./sign.mjs").Key,
 *   seconds: number, rampSeconds?: number, offset: number, keys: number }} Job `rampSeconds`: of the same load before the
 *   clock starts, so that neither the first answers' wait nor the last ones' is in it
 * @param {Job} job
 */
async function run(job) {
  const shape = CASES[job.case] ?? DELIVERY_CASES[job.case];
  const sign = signer({ host: `${job.host}:${job.port}`, key: job.key });
  const { requests, body } = shape.prepare(sign, job);
  const latencies = new Float64Array(LATENCIES_MAX);
  const once = shape.once === true;
  const state = { next: 0, done: 0, answered: 0, bytes: 0, failed: 0, misses: 0, from: 0, stop: false, once };
  const ramp = job.rampSeconds ?? 0;
  state.from = performance.now() + ramp * 1000;
  let ended;
  const timer = setTimeout(
    () => {
      state.stop = true;
      if (ramp > 0) ended = performance.now();
    },
    (ramp + job.seconds) * 1000,
  );
  await Promise.all(
    Array.from({ length: shape.connections }, () => connection(job, shape, requests, body, state, latencies)),
  );
  clearTimeout(timer);
  const seconds = ((ended ?? performance.now()) - state.from) / 1000;
  const sorted = latencies.subarray(0, Math.min(state.done, LATENCIES_MAX)).toSorted();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const cpu = process.cpuUsage();
  return {
    requests: state.done,
    answered: state.answered,
    failed: state.failed,
    misses: state.misses,
    seconds,
    bytes: state.bytes,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    max: sorted.at(-1) ?? 0,
    clientCpuMs: (cpu.user + cpu.system) / 1000,
  };
}

/** One connection's loop: write a request, count its answer's bytes, write the next; on a new one where the server wishes it. */
function connection(job, shape, requests, body, state, latencies) {
  return new Promise((resolve, reject) => {
    // One buffer for all that comes: the client must not need the time that it measures.
    const onread = { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback: receive };
    const socket = connect({ host: job.host, port: job.port, noDelay: true, onread });
    let sentAt = 0;
    let head = true;
    let left = 0;
    let pending;
    let last = false;
    const send = () => {
      if (state.stop || (state.once && state.next >= requests.length)) {
        socket.destroy();
        resolve();
        return;
      }
      const request = requests[state.next++ % requests.length];
      head = true;
      sentAt = performance.now();
      if (body === undefined) socket.write(request);
      else if (body.length <= 65_536) socket.write(Buffer.concat([request, body]));
      else {
        socket.write(request);
        socket.write(body);
      }
    };
    const finish = () => {
      state.answered++;
      const now = performance.now();
      if (job.rampSeconds === undefined || (now >= state.from && !state.stop)) {
        if (state.done < LATENCIES_MAX) latencies[state.done] = now - sentAt;
        state.done++;
      }
      if (body !== undefined) state.bytes += body.length;
      if (last) {
        resolve(connection(job, shape, requests, body, state, latencies));
        socket.destroy();
      } else if (shape.pauseMs === undefined) send();
      else setTimeout(send, shape.pauseMs);
    };
    socket.on("connect", send);
    function receive(size, buffer) {
      let chunk = buffer.subarray(0, size);
      if (head) {
        if (pending !== undefined) chunk = Buffer.concat([pending, chunk]);
        const end = chunk.indexOf("\r\n\r\n");
        if (end === -1) {
          pending = Buffer.from(chunk);
          return true;
        }
        pending = undefined;
        head = false;
        const text = chunk.latin1Slice(0, end);
        const status = Number(text.slice(9, 12));
        if (status >= 400) {
          state.failed++;
          if (state.failed === 1)
            process.stderr.write(`${job.case}: ${chunk.toString("latin1").slice(0, 600)}\n`);
        }
        if (text.includes("\r\nX-Cache: MISS")) state.misses++;
        last = /\r\nconnection: *close/i.test(text);
        const length = /\r\ncontent-length: *(\d+)/i.exec(text);
        left = shape.method === "HEAD" || status === 204 || length === null ? 0 : Number(length[1]);
        chunk = chunk.subarray(end + 4);
      }
      left -= chunk.length;
      if (body === undefined) state.bytes += chunk.length;
      if (left <= 0) finish();
      return true;
    }
    socket.on("error", reject);
    socket.on("close", () =>
      state.stop || last ? resolve() : reject(new Error(`${job.case}: the connection closed`)),
    );
  });
}

async function obey(job) {
  try {
    process.send(await run(job));
  } catch (error) {
    process.send({ error: String(error) });
  }
  process.disconnect();
}
process.once("message", (job) => void obey(job));
