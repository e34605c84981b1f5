/**
 * The thread of the decoders in WebAssembly: one picture, then it is ended. A machine of WebAssembly never gives
 * memory back (libvips' keeps 100 MB for each), and prints what it likes; both end with the thread.
 */
import { parentPort, workerData } from "node:worker_threads";
import { DeliveryError } from "../errors.ts";
import type { Outcome, Undecoded } from "./aside.ts";
import { decodeHeic } from "./heic.ts";
import { decodeJxl } from "./jxl.ts";
import { decodePdf } from "./pdf.ts";

const DECODERS = { heic: decodeHeic, jxl: decodeJxl, pdf: decodePdf };

const port = parentPort;
if (port === null) throw new Error("decodethread.js runs as a worker thread only");
const undecoded = workerData as Undecoded;
let outcome: Outcome;
try {
  outcome = await DECODERS[undecoded.kind](undecoded);
} catch (error) {
  if (!(error instanceof DeliveryError)) throw error;
  outcome = { code: error.code, message: error.message };
}
port.postMessage(outcome);
