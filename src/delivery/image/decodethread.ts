/**
 * The thread of the decoders in WebAssembly: one picture, then it is ended. A machine of WebAssembly never gives
 * memory back (libvips' keeps 100 MB for each), and prints what it likes; both end with the thread.
 */
import { parentPort, workerData } from "node:worker_threads";
import { DeliveryError, type DeliveryErrorCode } from "../errors.ts";
import { decodeHeic } from "./heic.ts";
import { decodeJxl } from "./jxl.ts";

export interface Undecoded {
  readonly kind: "heic" | "jxl";
  readonly bytes: Uint8Array;
  readonly pixelsMax: number;
  /** Whether the fourth channel is wanted; JPEG XL says so itself. */
  readonly alpha: boolean;
  /** Colour profile of the pixels, where the container has it. */
  readonly icc: Uint8Array | undefined;
}
/** Bytes of a TIFF, or why not. */
export type Decoded =
  | { readonly tiff: Uint8Array }
  | { readonly code: DeliveryErrorCode; readonly message: string };

const port = parentPort;
if (port === null) throw new Error("decodethread.js runs as a worker thread only");
const undecoded = workerData as Undecoded;
let decoded: Decoded;
try {
  decoded = { tiff: await (undecoded.kind === "heic" ? decodeHeic : decodeJxl)(undecoded) };
} catch (error) {
  if (!(error instanceof DeliveryError)) throw error;
  decoded = { code: error.code, message: error.message };
}
port.postMessage(decoded);
