/** What the primary and its children say to each other over their channels. */
import type { Family } from "../admin/measures.ts";
import type { Config } from "../config.ts";
import type { RootKey } from "../root.ts";
import type { Urls } from "../serving.ts";

export type ToChild =
  /**
   * Once to each, when it is loaded; to workers when the writer is ready too. `workers`: how many there are with this one.
   * `readonly`: why nothing can be written.
   */
  | { kind: "start"; config: Config; socket: string; number: number; workers: number; readonly?: string }
  /** There are so many workers now: more or fewer than before. */
  | { kind: "workers"; workers: number }
  /** Take no new connections, finish what is under way however long it takes, and end. */
  | { kind: "retire" }
  /** Finish what is under way and end. */
  | { kind: "drain" }
  /** Read the certificates again. */
  | { kind: "reload" }
  /** Nothing may be written any more. */
  | { kind: "readonly"; reason: string }
  | { kind: "measure"; id: number }
  /** The answer to `measureAll`. */
  | { kind: "measuredAll"; id: number; families: Family[][] };

export type FromChild =
  /** Its program is there: a message sent earlier could be lost. */
  | { kind: "loaded" }
  | { kind: "ready"; urls?: Urls; rootKey?: RootKey }
  /** Once a second, of a worker that may be joined by others: the share of that second in which it worked. */
  | { kind: "load"; load: number }
  /** It could not start; the message is for the user. */
  | { kind: "failed"; message: string }
  /** The writer, or a worker, met an I/O error: nothing more is written until the operator has looked. */
  | { kind: "broken"; reason: string }
  | { kind: "measured"; id: number; families: Family[] }
  /** A worker was asked for the metrics of every process. */
  | { kind: "measureAll"; id: number };
