/** What goes into a renderer and what comes out. */
import type { FileRange } from "../../blob/blob.ts";
import type { DeliveryLimits } from "../limits.ts";
import type { Format, Plan } from "../plan/plan.ts";
import type { Service } from "../service.ts";

/** What the client said that a picture may depend on; part of the cache's key where the plan asks for it. */
export interface ClientHints {
  /** For `f-auto`: what the client accepts beside JPEG, PNG and GIF. */
  readonly accepts: readonly Format[];
  /** Sec-CH-Width, in device pixels, rounded up. */
  readonly width?: number;
  /** Sec-CH-DPR. */
  readonly dpr?: number;
  readonly saveData?: boolean;
}

export interface Job {
  /**
   * `facts`: says what the source is (`Facts`), and renders nothing. `mezzanine`: what is dear to decode as a JPEG that
   * looks the same; anything else as it is.
   */
  readonly kind: "picture" | "facts" | "mezzanine";
  readonly plan: Plan;
  readonly hints: ClientHints;
  /**
   * Paths of layers' pictures and fonts (as `pathsOf(plan)` gives them), in the order in which their bytes follow
   * those of the source.
   */
  readonly inputs: readonly string[];
  /** `x,y,width,height`: for the focus `custom`. */
  readonly customCoordinates?: string;
  /** Does the work of models and generators; without it they are NotAvailable. */
  readonly models?: Service;
  /** Finds faces and objects; without it `fo-face` and the like fall back to what catches the eye, and say so. */
  readonly detector?: Service;
  readonly limits: Pick<
    DeliveryLimits,
    | "sourceBytes"
    | "sourcePixels"
    | "resultPixels"
    | "resultSide"
    | "resultBytes"
    | "frames"
    | "renderSeconds"
  >;
}

export interface Picture {
  readonly data: Buffer;
  /** Media type. */
  readonly type: string;
  readonly width: number;
  readonly height: number;
  /**
   * Headers that belong to the picture: `x-windlass-focus: fallback`. Flat: name, value.
   */
  readonly headers: readonly string[];
}

/** One source for a renderer. */
export interface Input {
  /** Bytes. */
  readonly size: number;
  read(): AsyncIterable<Buffer>;
  /** The files that hold it, in order: a renderer reads them itself. They may be gone by then. */
  files?(): Promise<readonly FileRange[] | undefined>;
}
