/** Read buffers, kept: allocating and faulting in 256 KiB for each read costs more than the read. */

export const READ_BYTES = 256 * 1024;
/** Lent at once, 32 MiB: beyond that, readers make do with small buffers, so that slow clients can't fill the memory. */
const MAX_LENT = 128;
/** What stays allocated when nothing is being read, 8 MiB. */
const MAX_KEPT = 32;

export class ReadBuffers {
  readonly #kept: Buffer[] = [];
  #lent = 0;

  /** READ_BYTES bytes, or undefined when too many are lent. */
  take(): Buffer | undefined {
    if (this.#lent >= MAX_LENT) return undefined;
    this.#lent++;
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
  }

  /** Only after the last read into it has ended. */
  give(buffer: Buffer): void {
    this.#lent--;
    if (this.#kept.length < MAX_KEPT) this.#kept.push(buffer);
  }
}
