/** The thread of hashespool.ts: MD5 of each lane's stream. */
import { createHash, type Hash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import type { HashThreadAnswer, HashThreadData, HashThreadRequest } from "./hashespool.ts";

const { shared, lanes } = workerData as HashThreadData;
const port = parentPort;
if (port === null) throw new Error("hashesthread.js runs as a worker thread only");

const laneBytes = shared.byteLength / lanes;
const states = Array.from({ length: lanes }, (_, index) => ({
  memory: Buffer.from(shared, index * laneBytes, laneBytes),
  hash: createHash("md5"),
}));

port.on("message", (request: HashThreadRequest) => {
  const state = states[request.lane] as { memory: Buffer; hash: Hash };
  let answer: HashThreadAnswer;
  if ("length" in request) {
    state.hash.update(state.memory.subarray(request.offset, request.offset + request.length));
    answer = { lane: request.lane };
  } else {
    answer = { lane: request.lane, md5: state.hash.digest("hex") };
    state.hash = createHash("md5");
  }
  port.postMessage(answer);
});
