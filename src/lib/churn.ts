interface Box<V> {
  value: V | undefined;
}

/**
 * A map of what comes and goes all the time, in the order in which it came. Where V8's own map makes room it leaves a table
 * behind that holds what was in it then, and leads to the next one. Once one of these tables has grown old, all later ones
 * live with it until the whole heap is collected, and so does what went through them: requests with the bodies of their
 * answers. Here they hold boxes that are emptied.
 */
export class ChurnMap<K, V> {
  readonly #boxes = new Map<K, Box<V>>();

  get size(): number {
    return this.#boxes.size;
  }

  get(key: K): V | undefined {
    return this.#boxes.get(key)?.value;
  }

  has(key: K): boolean {
    return this.#boxes.has(key);
  }

  /** A key that is there stays in its place. */
  set(key: K, value: V): void {
    const box = this.#boxes.get(key);
    if (box === undefined) this.#boxes.set(key, { value });
    else box.value = value;
  }

  /** Whether it was there. */
  delete(key: K): boolean {
    const box = this.#boxes.get(key);
    if (box === undefined) return false;
    box.value = undefined;
    return this.#boxes.delete(key);
  }

  clear(): void {
    for (const box of this.#boxes.values()) box.value = undefined;
    this.#boxes.clear();
  }

  /** Which of them came first; undefined: there is none. */
  first(): K | undefined {
    return this.#boxes.keys().next().value;
  }

  *values(): Generator<V> {
    for (const { value } of this.#boxes.values()) yield value as V;
  }
}
