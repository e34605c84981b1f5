/** How answers get onto the socket: heads, bodies in one write, streams with back-pressure, and raw last words. */
import { STATUS_CODES, type ServerResponse } from "node:http";
import type { FailureContext, HttpFailure, HttpResponse, Shared } from "./http.ts";

const SAFE_VALUE = /^[\x20-\x7e]*$/;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/g;
const NON_ASCII = /[^\0-\x7f]/;

/** A header value that cannot split the answer, as the latin1 string whose bytes are its UTF-8. */
function safeValue(value: string): string {
  if (SAFE_VALUE.test(value)) return value;
  const text = value.replace(CONTROL, "");
  return NON_ASCII.test(text) ? Buffer.from(text, "utf8").toString("latin1") : text;
}

export interface AnswerHead {
  /** Flat and safe; Content-Length, when known, is the last: Node re-encodes a Content-Disposition that follows it. */
  readonly headers: string[];
  /** Of a Content-Length that the handler gave, or of the string or buffer. */
  readonly length: number | undefined;
  /** What follows the head in one write; undefined for streams and where no body may be. */
  readonly whole: string | Buffer | undefined;
}

/** True for answers that end with their head. */
export function isBodiless(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 304;
}

export const isStream = (body: HttpResponse["body"]): body is AsyncIterable<Buffer> =>
  typeof body === "object" && !Buffer.isBuffer(body);

/** @throws TypeError for a Content-Length that is no number or not the length of a whole body */
export function answerHead(method: string, response: HttpResponse): AnswerHead {
  const { headers: given, body, status } = response;
  const headers: string[] = [];
  let length: number | undefined;
  let named = false;
  for (let at = 0; at < given.length; at += 2) {
    const name = given[at]!;
    if (name.length === 14 && name.toLowerCase() === "content-length") {
      length = Number(given[at + 1]);
      continue;
    }
    if (name.length === 6 && name.toLowerCase() === "server") named = true;
    headers.push(name, safeValue(given[at + 1]!));
  }
  if (!named) headers.push("Server", "Windlass");
  const bodiless = isBodiless(method, status);
  let whole: string | Buffer | undefined;
  if (!isStream(body)) {
    const bytes = body === undefined ? 0 : typeof body === "string" ? Buffer.byteLength(body) : body.length;
    // HEAD and 304 may tell a length that another request would get; nothing told is nothing known there.
    if (!bodiless || body !== undefined) {
      if (length !== undefined && length !== bytes)
        throw new TypeError(`${bytes} bytes of ${length} announced`);
      length = bytes;
    }
    // Text of ASCII only goes out as one latin1 string together with the head.
    if (!bodiless) whole = typeof body === "string" && bytes !== body.length ? Buffer.from(body) : body;
  }
  if (length !== undefined && !(Number.isSafeInteger(length) && length >= 0)) {
    throw new TypeError("the Content-Length given is no length");
  }
  if (length !== undefined && status !== 204) headers.push("Content-Length", String(length));
  return { headers, length, whole };
}

/** One answer being streamed. `blocked` is true while the client takes nothing. */
export class Streaming {
  blocked = false;
  sent = 0;
  readonly #output: ServerResponse;
  readonly #iterator: AsyncIterator<Buffer>;
  #abort: ((error: Error) => void) | undefined;
  #first: IteratorResult<Buffer> | undefined;

  constructor(output: ServerResponse, body: AsyncIterable<Buffer>) {
    this.#output = output;
    this.#iterator = body[Symbol.asyncIterator]();
  }

  /** Fetches the first chunk, before anything is sent, so that what fails at once can still be answered. */
  async prepare(): Promise<undefined> {
    this.#first = await this.#iterator.next();
  }

  /**
   * Sends until the source ends.
   * @throws what the source throws; Error when it gives another number of bytes than `length`, or the client left
   */
  async run(length: number | undefined): Promise<void> {
    let step = this.#first ?? (await this.#iterator.next());
    this.#first = undefined;
    while (step.done !== true) {
      const chunk = step.value;
      this.sent += chunk.length;
      if (length !== undefined && this.sent > length)
        throw new Error(`more than the ${length} bytes announced`);
      if (chunk.length > 0) await this.#write(chunk, this.sent === length);
      step = await this.#iterator.next();
    }
    if (length !== undefined && this.sent < length) {
      throw new Error(`${this.sent} bytes instead of the ${length} announced`);
    }
    this.#output.end();
  }

  /** The client left: a write that waits for it fails. */
  abort(error: Error): void {
    this.#abort?.(error);
  }

  /** Lets the source free what it holds. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  /** Resolves when the chunk's memory may be used again. The last chunk ends the answer in the same write. */
  #write(chunk: Buffer, last: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#output.destroyed) throw new Error("the client left");
      this.blocked = true;
      this.#abort = reject;
      const done = (error?: Error | null) => {
        this.blocked = false;
        this.#abort = undefined;
        if (error) reject(error);
        else resolve();
      };
      if (last) this.#output.end(chunk, () => done());
      else this.#output.write(chunk, done);
    });
  }
}

/** A whole answer as bytes, for connections whose request never became one. Always closes. */
export function rawAnswer(response: HttpResponse): Buffer {
  const { headers, whole } = answerHead("", response);
  const status = `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? "Unknown"}\r\n`;
  let head = `${status}Date: ${new Date().toUTCString()}\r\nConnection: close\r\n`;
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
  const body = typeof whole === "string" ? Buffer.from(whole) : (whole ?? Buffer.alloc(0));
  return Buffer.concat([Buffer.from(`${head}\r\n`, "latin1"), body]);
}

/** What `onFailure` says; a bare status should that fail too. */
export function failureAnswer(shared: Shared, failure: HttpFailure, context: FailureContext): HttpResponse {
  try {
    return shared.options.onFailure(failure, context);
  } catch (error) {
    shared.options.log.error({ err: error, requestId: context.id }, "onFailure failed");
    return { status: 500, headers: [] };
  }
}
