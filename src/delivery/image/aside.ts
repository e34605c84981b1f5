/** What is decoded in a thread of its own, decodethread.ts: what goes there and what comes back. */
import { Worker } from "node:worker_threads";
import { programUrl } from "../../lib/program.ts";
import { DeliveryError, type DeliveryErrorCode } from "../errors.ts";
import type { Pages } from "../plan/plan.ts";
import type { Job } from "./job.ts";
import type { Size } from "./surface.ts";

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

/** @throws DeliveryError LimitExceeded */
export function checkPixels({ width, height }: Size, pixelsMax: number): void {
  const pixels = width * height;
  if (pixels > 0 && pixels <= pixelsMax) return;
  throw new DeliveryError("LimitExceeded", `The source has ${pixels} pixels; the limit is ${pixelsMax}.`);
}

/** The thread ends with the picture. @throws DeliveryError of the decoder */
export async function decodeAside(
  bytes: Buffer,
  { limits }: Job,
  how: Pick<Undecoded, "kind" | "alpha" | "icc" | "pages">,
): Promise<Decoded & { tiff: Buffer }> {
  const { sourcePixels: pixelsMax, resultSide: sideMax } = limits;
  const thread = new Worker(programUrl(import.meta.url, "./decodethread.ts"), {
    workerData: { ...how, bytes, pixelsMax, sideMax } satisfies Undecoded,
    stdout: true,
    stderr: true,
  });
  try {
    const outcome = await new Promise<Outcome>((resolve, reject) => {
      thread.once("message", resolve);
      thread.once("error", reject);
      thread.once("exit", () => reject(new Error("The decoder ended early.")));
    });
    if (!("tiff" in outcome)) throw new DeliveryError(outcome.code, outcome.message);
    const { tiff } = outcome;
    return { ...outcome, tiff: Buffer.from(tiff.buffer, tiff.byteOffset, tiff.length) };
  } finally {
    await thread.terminate();
  }
}
