/**
 * The thread of the decoders in WebAssembly: one picture, then it is ended. A machine of WebAssembly never gives
 * memory back (libvips' keeps 100 MB for each), and prints what it likes; both end with the thread.
 */
import { parentPort, workerData } from "node:worker_threads";
import { DeliveryError, type DeliveryErrorCode } from "../errors.ts";
import type { Pages } from "../plan/plan.ts";
import { decodeHeic } from "./heic.ts";
import { decodeJxl } from "./jxl.ts";
import { decodePdf } from "./pdf.ts";

export interface Undecoded {
  readonly kind: "heic" | "jxl" | "pdf";
  readonly bytes: Uint8Array;
  readonly pixelsMax: number;
  /** In pixels. What has no size of its own is drawn within it. */
  readonly sideMax: number;
  /** Of a document. */
  readonly pages?: Pages | undefined;
  /** Of a HEIC: whether it has transparency, and the colour profile of its pixels. */
  readonly alpha?: boolean | undefined;
  readonly icc?: Uint8Array | undefined;
}
export interface Decoded {
  readonly tiff: Uint8Array;
  /** Of a document: the pages that it has, and the pixels per inch of the one that is drawn. */
  readonly document?: { readonly pages: number; readonly density: number };
}
/** A picture, or why there is none. */
export type Outcome = Decoded | { readonly code: DeliveryErrorCode; readonly message: string };

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
