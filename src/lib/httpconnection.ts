/** One client connection: its requests one after the other, its broken ones, and its end. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { HttpFailure, Shared } from "./http.ts";
import { failureAnswer, rawAnswer } from "./httpanswer.ts";
import { Exchange } from "./httpexchange.ts";

/** Requests that a client may send before their answers: heads that are parsed faster than answered. */
const MAX_PIPELINED = 100;
/** Milliseconds without a byte, and in all, for which bytes are read and thrown away after the last answer. */
const LINGER_IDLE_MS = 5000;
const LINGER_MS = 30_000;

export class Connection {
  readonly socket: Socket;
  readonly remoteAddress: string;
  /** More connections are open than allowed: its first request is refused. */
  readonly surplus: boolean;
  /** Its last answer is out or on its way; whatever else arrives is not looked at. */
  ending = false;
  /** The next answer is its last. */
  last: boolean;
  readonly #shared: Shared;
  readonly #waiting: { message: IncomingMessage; output: ServerResponse }[] = [];
  #current: Exchange | undefined;
  #served = 0;
  #brokenBy: HttpFailure | undefined;
  #lingerUntil = Infinity;

  constructor(socket: Socket, shared: Shared) {
    this.socket = socket;
    this.#shared = shared;
    this.last = shared.retiring;
    this.surplus = shared.connections.size >= shared.limits.maxConnections;
    // IPv4 clients of a listener on "::" are named as IPv4.
    this.remoteAddress = (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/, "");
    socket.on("close", () => (this.#waiting.length = 0));
  }

  /** A request whose head is parsed. Pipelined ones wait, so that one client never works on two of its requests. */
  receive(message: IncomingMessage, output: ServerResponse): void {
    if (this.ending) return;
    if (this.#current !== undefined) {
      if (this.#waiting.length < MAX_PIPELINED) this.#waiting.push({ message, output });
      else this.ending = true;
      return;
    }
    this.#start(message, output);
  }

  /** Node's parser gave up: bad syntax, a chunk or body cut off, a head too large or too late, or a dead socket. */
  broken(error: NodeJS.ErrnoException): void {
    if (this.#brokenBy !== undefined || this.#lingerUntil !== Infinity) return;
    this.#brokenBy = failureOf(error);
    // Nobody to answer: the peer is gone, or opened a connection and never spoke.
    if (!this.socket.writable || isDead(error) || this.socket.bytesRead === 0) {
      this.socket.destroy();
      return;
    }
    const current = this.#current;
    if (current === undefined) this.answerRaw(this.#brokenBy);
    else if (!current.received()) current.breakBody();
    // Else what came after the current request is broken; it is answered after that one.
  }

  /** Answers what never became a request, and ends. */
  answerRaw(failure: HttpFailure): void {
    if (this.ending || !this.socket.writable) return;
    const context = { id: this.#shared.nextId(), hostId: this.#shared.hostId, method: "", path: "/" };
    const response = failureAnswer(this.#shared, failure, context);
    const bytes = rawAnswer(response);
    this.socket.write(bytes);
    this.linger();
    this.#shared.options.onFinish?.({
      id: context.id,
      method: "",
      path: "",
      rawQuery: "",
      httpVersion: "",
      status: response.status,
      bytesSent: Buffer.byteLength(typeof response.body === "string" ? response.body : ""),
      bytesReceived: 0,
      durationMs: 0,
      ttfbMs: 0,
      remoteAddress: this.remoteAddress,
      secure: this.#shared.options.tls !== undefined,
      userAgent: "",
      referer: "",
      aborted: false,
      log: response.log,
    });
  }

  /** CONNECT: Node has let go of the socket. */
  refuseTunnel(): void {
    this.socket.on("error", () => this.socket.destroy());
    if (this.#current === undefined) this.answerRaw("BadRequest");
    else this.socket.destroy();
  }

  /**
   * Ends our half and reads on for a while. Closing a socket with unread bytes resets the connection, and a client
   * that is still sending would lose the answer that explains why it should stop.
   */
  linger(): void {
    this.ending = true;
    this.#lingerUntil = performance.now() + LINGER_MS;
    this.socket.end();
    this.socket.setTimeout(LINGER_IDLE_MS, () => this.socket.destroy());
    this.socket.resume();
  }

  /** Every second or more often. */
  sweep(now: number): void {
    if (now > this.#lingerUntil) this.socket.destroy();
    this.#current?.sweep(now);
  }

  /** While the listener drains: `fresh` includes connections that never asked anything. */
  closeIfIdle(fresh: boolean): void {
    if (this.#current !== undefined || this.#waiting.length > 0) return;
    if (this.#lingerUntil !== Infinity) return;
    if (fresh || this.#served > 0) this.socket.destroy();
  }

  #start(message: IncomingMessage, output: ServerResponse): void {
    this.#served++;
    this.#current = new Exchange(message, output, this, this.#shared, () => this.#next());
    void this.#current.serve();
  }

  #next(): void {
    this.#current = undefined;
    // Not writable: that answer was the connection's last.
    if (!this.socket.writable) return;
    if (this.ending) {
      this.linger();
      return;
    }
    const next = this.#waiting.shift();
    if (next !== undefined) this.#start(next.message, next.output);
    else if (this.#brokenBy !== undefined) this.answerRaw(this.#brokenBy);
    else if (this.#shared.closing) this.socket.destroySoon();
  }
}

const isDead = (error: NodeJS.ErrnoException) => error.code === "ECONNRESET" || error.code === "EPIPE";

function failureOf(error: NodeJS.ErrnoException): HttpFailure {
  if (error.code === "HPE_HEADER_OVERFLOW") return "HeadersTooLarge";
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return "RequestTimeout";
  return "BadRequest";
}
