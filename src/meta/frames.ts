/**
 * What travels between a worker and the one writer: length, type, request id, fields; little-endian, no JSON, because
 * every small PUT passes here with its body.
 */
import type { Check, Commit, KeyRange, MetaErrorKind, Write } from "./meta.ts";

/** The first frame of a connection carries it, so that a client of another version is refused, not misread. */
export const GREETING = "windlass-writer 1";

/**
 * Bytes of one frame. Bounds what a connection can make the writer hold before a commit is complete; ten times
 * above the largest commit that the store makes (a manifest of 10,000 parts).
 */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** Length (4), type (1), request id (4). */
const HEAD_BYTES = 9;
/** The length itself is not part of what it counts. */
const LENGTH_BYTES = 4;

const HELLO = 1;
const COMMIT = 2;
const TAKE_IDS = 3;
const DONE = 16;
const FIRST_ID = 17;
const FAILED = 18;
const STATE = 19;

export type Request =
  | { type: "hello"; greeting: string }
  | { type: "commit"; id: number; commit: Commit; bytes: number }
  | { type: "takeIds"; id: number; count: number };

export type Answer =
  | { type: "done"; id: number; value: boolean }
  | { type: "firstId"; id: number; value: number }
  /** No kind: a defect, such as a body id used twice. */
  | { type: "failed"; id: number; kind: MetaErrorKind | undefined; message: string }
  /** Unasked for: why writes are impossible; "" when they are possible. */
  | { type: "state"; reason: string };

const KINDS: readonly (MetaErrorKind | undefined)[] = [
  undefined,
  "overloaded",
  "full",
  "readonly",
  "unknown",
];

/** The peer does not speak this protocol; nothing more can be read from it. */
export class FrameError extends Error {}

/** Frames of one event-loop turn, gathered in one buffer for one write. */
export class Outbox {
  #buffer: Buffer = Buffer.allocUnsafeSlow(POOL_BYTES);
  #used = 0;
  readonly #spare: Buffer[] = [];

  /** Bytes gathered so far. */
  get used(): number {
    return this.#used;
  }

  /** What was gathered; give the same buffer back once it is written. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#used);
    this.#buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(POOL_BYTES);
    this.#used = 0;
    return taken;
  }

  giveBack(taken: Buffer): void {
    if (taken.buffer.byteLength === POOL_BYTES && this.#spare.length < SPARE_BUFFERS_MAX) {
      this.#spare.push(Buffer.from(taken.buffer));
    }
  }

  hello(): void {
    this.#text(HELLO, 0, GREETING);
  }

  /** @throws RangeError when the commit is larger than a frame may be */
  commit(id: number, commit: Commit): void {
    const size = HEAD_BYTES + commitBytes(commit);
    if (size > FRAME_BYTES_MAX) throw new RangeError(`Commit of ${size} bytes exceeds ${FRAME_BYTES_MAX}`);
    const into = this.#head(COMMIT, id, size);
    this.#used = putCommit(into, this.#used, commit);
  }

  takeIds(id: number, count: number): void {
    const into = this.#head(TAKE_IDS, id, HEAD_BYTES + 4);
    this.#used = into.writeUInt32LE(count, this.#used);
  }

  done(id: number, value: boolean): void {
    const into = this.#head(DONE, id, HEAD_BYTES + 1);
    into[this.#used++] = value ? 1 : 0;
  }

  firstId(id: number, value: number): void {
    const into = this.#head(FIRST_ID, id, HEAD_BYTES + 8);
    this.#used = into.writeDoubleLE(value, this.#used);
  }

  failed(id: number, kind: MetaErrorKind | undefined, message: string): void {
    const text = message.slice(0, MESSAGE_UNITS_MAX);
    const into = this.#head(FAILED, id, HEAD_BYTES + 1 + Buffer.byteLength(text));
    into[this.#used++] = KINDS.indexOf(kind);
    this.#used += into.write(text, this.#used);
  }

  state(reason: string): void {
    this.#text(STATE, 0, reason.slice(0, MESSAGE_UNITS_MAX));
  }

  #text(type: number, id: number, text: string): void {
    const into = this.#head(type, id, HEAD_BYTES + Buffer.byteLength(text));
    this.#used += into.write(text, this.#used);
  }

  /** Makes room for a frame of `size` bytes, head included, and writes the head. */
  #head(type: number, id: number, size: number): Buffer {
    if (this.#used + size > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#used + size));
      larger.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = larger;
    }
    const into = this.#buffer;
    into.writeUInt32LE(size - LENGTH_BYTES, this.#used);
    into[this.#used + 4] = type;
    into.writeUInt32LE(id, this.#used + 5);
    this.#used += HEAD_BYTES;
    return into;
  }
}

/** Bytes. A turn's frames rarely exceed it; larger turns grow a buffer that is thrown away after. */
const POOL_BYTES = 256 * 1024;
const SPARE_BUFFERS_MAX = 4;
/** UTF-16 units of an error's text. */
const MESSAGE_UNITS_MAX = 2_000;

/** Cuts a byte stream into frames. A frame within one chunk is a view of it; one that straddles chunks is copied. */
export class FrameReader {
  /** The beginning of a frame whose end has not come. */
  #pieces: Buffer[] = [];
  #have = 0;

  /**
   * Calls `each` with every frame (without its length) that this chunk completes.
   * @throws FrameError when a frame's length is impossible
   */
  push(chunk: Buffer, each: (frame: Buffer) => void): void {
    let at = 0;
    while (this.#have > 0) {
      const need = this.#have < LENGTH_BYTES ? LENGTH_BYTES : LENGTH_BYTES + frameLength(this.#joined(), 0);
      const piece = chunk.subarray(at, at + need - this.#have);
      this.#pieces.push(piece);
      this.#have += piece.length;
      at += piece.length;
      if (this.#have < need) return;
      if (need === LENGTH_BYTES) continue;
      const whole = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#have);
      this.#pieces = [];
      this.#have = 0;
      each(whole.subarray(LENGTH_BYTES));
    }
    while (chunk.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + frameLength(chunk, at);
      if (end > chunk.length) break;
      each(chunk.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
    if (at < chunk.length) {
      this.#pieces.push(chunk.subarray(at));
      this.#have = chunk.length - at;
    }
  }

  /** The first piece, made to hold at least the length field. */
  #joined(): Buffer {
    if (this.#pieces[0]!.length < LENGTH_BYTES) this.#pieces = [Buffer.concat(this.#pieces, this.#have)];
    return this.#pieces[0]!;
  }
}

function frameLength(data: Buffer, at: number): number {
  const length = data.readUInt32LE(at);
  if (length < HEAD_BYTES - LENGTH_BYTES || length > FRAME_BYTES_MAX) {
    throw new FrameError(`Frame of ${length} bytes`);
  }
  return length;
}

/** @throws FrameError */
export function decodeRequest(frame: Buffer): Request {
  const cursor = new Cursor(frame);
  const type = cursor.u8();
  const id = cursor.u32();
  if (type === COMMIT) {
    const commit = readCommit(cursor);
    cursor.expectEnd();
    return { type: "commit", id, commit, bytes: frame.length };
  }
  if (type === TAKE_IDS) return { type: "takeIds", id, count: cursor.u32() };
  if (type === HELLO) return { type: "hello", greeting: cursor.rest() };
  throw new FrameError(`Unknown request ${type}`);
}

/** @throws FrameError */
export function decodeAnswer(frame: Buffer): Answer {
  const cursor = new Cursor(frame);
  const type = cursor.u8();
  const id = cursor.u32();
  if (type === DONE) return { type: "done", id, value: cursor.u8() === 1 };
  if (type === FIRST_ID) return { type: "firstId", id, value: cursor.f64() };
  if (type === FAILED) return { type: "failed", id, kind: KINDS[cursor.u8()], message: cursor.rest() };
  if (type === STATE) return { type: "state", reason: cursor.rest() };
  throw new FrameError(`Unknown answer ${type}`);
}

const VALUE = 0;
const ABSENT = 1;
const PRESENT = 2;
const EMPTY = 3;
const DELETE = 1;
const ADD = 2;

function commitBytes(commit: Commit): number {
  let size = 16;
  for (const check of commit.checks ?? []) {
    if ("empty" in check) size += 5 + check.empty.start.length + check.empty.end.length;
    else size += 3 + check.key.length + ("value" in check ? 4 + check.value.length : 0);
  }
  for (const write of commit.writes ?? []) {
    size += 3 + write.key.length;
    if ("value" in write) size += 4 + write.value.length;
    else if ("add" in write) size += 8;
  }
  for (const body of commit.bodies?.put ?? []) size += 12 + body.bytes.length;
  return size + 8 * (commit.bodies?.delete?.length ?? 0) + 1;
}

function putCommit(into: Buffer, start: number, commit: Commit): number {
  const checks = commit.checks ?? [];
  const writes = commit.writes ?? [];
  const put = commit.bodies?.put ?? [];
  const deleted = commit.bodies?.delete ?? [];
  let at = start;
  into[at++] = commit.reclaims === true ? 1 : 0;
  at = into.writeUInt32LE(checks.length, at);
  for (const check of checks) at = putCheck(into, at, check);
  at = into.writeUInt32LE(writes.length, at);
  for (const write of writes) at = putWrite(into, at, write);
  at = into.writeUInt32LE(put.length, at);
  for (const body of put) {
    at = into.writeDoubleLE(body.id, at);
    at = putLong(into, at, body.bytes);
  }
  at = into.writeUInt32LE(deleted.length, at);
  for (const id of deleted) at = into.writeDoubleLE(id, at);
  return at;
}

function putCheck(into: Buffer, start: number, check: Check): number {
  let at = start;
  if ("empty" in check) {
    into[at++] = EMPTY;
    at = putShort(into, at, check.empty.start);
    return putShort(into, at, check.empty.end);
  }
  into[at++] = "value" in check ? VALUE : "absent" in check ? ABSENT : PRESENT;
  at = putShort(into, at, check.key);
  return "value" in check ? putLong(into, at, check.value) : at;
}

function putWrite(into: Buffer, start: number, write: Write): number {
  let at = start;
  into[at++] = "value" in write ? VALUE : "add" in write ? ADD : DELETE;
  at = putShort(into, at, write.key);
  if ("value" in write) return putLong(into, at, write.value);
  return "add" in write ? into.writeDoubleLE(write.add, at) : at;
}

function putShort(into: Buffer, at: number, bytes: Buffer): number {
  into.set(bytes, into.writeUInt16LE(bytes.length, at));
  return at + 2 + bytes.length;
}

function putLong(into: Buffer, at: number, bytes: Buffer): number {
  into.set(bytes, into.writeUInt32LE(bytes.length, at));
  return at + 4 + bytes.length;
}

function readCommit(cursor: Cursor): Commit {
  const reclaims = cursor.u8() === 1;
  const checks: Check[] = [];
  for (let n = cursor.u32(); n > 0; n--) checks.push(readCheck(cursor));
  const writes: Write[] = [];
  for (let n = cursor.u32(); n > 0; n--) writes.push(readWrite(cursor));
  const put: { id: number; bytes: Buffer }[] = [];
  for (let n = cursor.u32(); n > 0; n--) put.push({ id: cursor.f64(), bytes: cursor.bytes(cursor.u32()) });
  const deleted: number[] = [];
  for (let n = cursor.u32(); n > 0; n--) deleted.push(cursor.f64());
  return { checks, writes, bodies: { put, delete: deleted }, reclaims };
}

function readCheck(cursor: Cursor): Check {
  const kind = cursor.u8();
  const key = cursor.bytes(cursor.u16());
  if (kind === VALUE) return { key, value: cursor.bytes(cursor.u32()) };
  if (kind === ABSENT) return { key, absent: true };
  if (kind === PRESENT) return { key, present: true };
  if (kind !== EMPTY) throw new FrameError(`Unknown check ${kind}`);
  const empty: KeyRange = { start: key, end: cursor.bytes(cursor.u16()) };
  return { empty };
}

function readWrite(cursor: Cursor): Write {
  const kind = cursor.u8();
  const key = cursor.bytes(cursor.u16());
  if (kind === VALUE) return { key, value: cursor.bytes(cursor.u32()) };
  if (kind === DELETE) return { key, delete: true };
  if (kind !== ADD) throw new FrameError(`Unknown write ${kind}`);
  return { key, add: cursor.f64() };
}

/** Reads fields one after another. Every read is bounded by the frame, so that a wrong count cannot loop for long. */
class Cursor {
  readonly #frame: Buffer;
  #at = 0;

  constructor(frame: Buffer) {
    this.#frame = frame;
  }

  u8(): number {
    return this.#frame[this.#advance(1)]!;
  }

  u16(): number {
    return this.#frame.readUInt16LE(this.#advance(2));
  }

  u32(): number {
    return this.#frame.readUInt32LE(this.#advance(4));
  }

  f64(): number {
    return this.#frame.readDoubleLE(this.#advance(8));
  }

  bytes(length: number): Buffer {
    const at = this.#advance(length);
    return this.#frame.subarray(at, at + length);
  }

  rest(): string {
    return this.#frame.toString("utf8", this.#at);
  }

  expectEnd(): void {
    if (this.#at !== this.#frame.length) throw new FrameError("Frame is longer than its content");
  }

  #advance(length: number): number {
    const at = this.#at;
    if (at + length > this.#frame.length) throw new FrameError("Frame ends within a field");
    this.#at = at + length;
    return at;
  }
}
