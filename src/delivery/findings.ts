/** What addresses came to, so that those that are asked for all the time are not taken apart each time. */
import { Lru } from "../lib/lru.ts";
import { canonical } from "./plan/canonical.ts";
import type { Plan } from "./plan/plan.ts";
import { summaryOf } from "./plan/summary.ts";
import type { Asked } from "./plan/url.ts";
import type { Address, Place } from "./site.ts";

/** All that follows from an address and the settings alone. Who may have it, and until when, is judged each time. */
export interface Finding {
  readonly place: Place;
  readonly asked: Asked;
  /** The canonical plan of the URL without its prompt; undefined: nothing is to be done. */
  readonly plan: Plan | undefined;
}

/** Bytes in this process's memory, and their number, which costs memory too. Stops a walk through all URLs from filling it. */
const FINDINGS_BYTES_MAX = 1.5 * 1024 * 1024;
const FINDINGS_MAX = 1000;
/** What a finding takes at least, and for each character that it was made of, measured. */
const FINDING_BYTES = 1000;
const CHARACTER_BYTES = 12;

/** Addresses of which it is known that they were asked for, a power of two. */
const SEEN = 4096;

interface Kept extends Finding {
  readonly bytes: number;
}

/** The findings of one epoch of the store. */
export class EpochFindings {
  readonly #kept = new Lru<string, Kept>({
    maxEntries: FINDINGS_MAX,
    maxBytes: FINDINGS_BYTES_MAX,
    sizeOf: ({ bytes }) => bytes,
  });
  /** Hashes of addresses that were asked for once, each in the place that it names. */
  readonly #seen = new Uint32Array(SEEN);

  get(address: Address): Finding | undefined {
    const name = nameOf(address);
    return name === undefined ? undefined : this.#kept.get(name);
  }

  /**
   * Kept from the second time on: most of what is asked for once is never asked for again, and would push out what is, and
   * memory that lives on is dear to collect.
   */
  keep(address: Address, place: Place, asked: Asked): Finding {
    const plan = asked.plan === undefined ? undefined : canonical(asked.plan);
    const name = nameOf(address);
    if (name === undefined || !this.#wasSeen(name)) return { place, asked, plan };
    // Names in the URL may stand for much longer chains.
    const characters = name.length + (plan === undefined ? 0 : summaryOf(plan).text.length);
    const kept = { place, asked, plan, bytes: FINDING_BYTES + CHARACTER_BYTES * characters };
    this.#kept.set(name, kept);
    return kept;
  }

  /** Two addresses with one hash are each taken for the other. */
  #wasSeen(name: string): boolean {
    const hash = hashOf(name);
    const place = hash % SEEN;
    const was = this.#seen[place] === hash;
    this.#seen[place] = hash;
    return was;
  }
}

/** FNV-1a, of UTF-16 code units. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n++) hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193);
  return hash >>> 0;
}

/** Undefined for those that nobody asks for all the time. A path begins with a slash, and has no question mark. */
const nameOf = ({ host, path, rawQuery, loop }: Address): string | undefined =>
  host === undefined || loop !== undefined ? undefined : `${host}${path}?${rawQuery}`;

/** Another change of any setting, and everything is found anew. */
export class Findings {
  #epoch = -1;
  #current = new EpochFindings();

  /** To be asked before the settings are read for it, so that what is older never comes into a later epoch. */
  of(epoch: number): EpochFindings {
    if (epoch === this.#epoch) return this.#current;
    this.#epoch = epoch;
    return (this.#current = new EpochFindings());
  }
}
