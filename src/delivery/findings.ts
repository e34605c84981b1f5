/** What addresses came to, so that those that are asked for all the time are taken apart once. */
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

  get(address: Address): Finding | undefined {
    const name = nameOf(address);
    return name === undefined ? undefined : this.#kept.get(name);
  }

  keep(address: Address, place: Place, asked: Asked): Finding {
    const plan = asked.plan === undefined ? undefined : canonical(asked.plan);
    const name = nameOf(address);
    if (name === undefined) return { place, asked, plan };
    // Names in the URL may stand for much longer chains.
    const characters = name.length + (plan === undefined ? 0 : summaryOf(plan).text.length);
    const kept = { place, asked, plan, bytes: FINDING_BYTES + CHARACTER_BYTES * characters };
    this.#kept.set(name, kept);
    return kept;
  }
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
