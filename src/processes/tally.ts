/**
 * What the children have counted, those that have ended or are too busy to say included: whoever reads a counter that
 * falls takes it for one that began anew, and adds all of it once more.
 */
import type { Family } from "../admin/measures.ts";

export class Tally {
  /** By the child's number, what it said last. */
  readonly #said = new Map<number, readonly Family[]>();
  /** Of those that have ended. */
  #ended: readonly Family[] = [];

  hear(child: number, families: readonly Family[]): void {
    this.#said.set(child, families);
  }

  /** Its counters stay; what else it was has ended with it. */
  end(child: number): void {
    const counted = (this.#said.get(child) ?? []).filter(({ type }) => type !== "gauge");
    this.#said.delete(child);
    this.#ended = sum([...this.#ended, ...counted]);
  }

  families(): Family[][] {
    return [this.#ended, ...this.#said.values()].map((one) => [...one]);
  }
}

function sum(families: readonly Family[]): Family[] {
  const sums = new Map<string, Family>();
  for (const family of families) {
    const before = sums.get(family.name)?.values ?? [];
    const values = new Map(before.map((one) => [JSON.stringify([one.metricName, one.labels]), one]));
    for (const sample of family.values) {
      const name = JSON.stringify([sample.metricName, sample.labels]);
      values.set(name, { ...sample, value: sample.value + (values.get(name)?.value ?? 0) });
    }
    sums.set(family.name, { ...family, values: [...values.values()] });
  }
  return [...sums.values()];
}
