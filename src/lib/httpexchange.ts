/** One request and its answer. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { FinishedRequest, HttpFailure, HttpRequest, HttpResponse, Shared } from "./http.ts";
import { answerHead, failureAnswer, isBodiless, isStream, Streaming } from "./httpanswer.ts";
import { BodyError, BodyReader } from "./httpbody.ts";
import type { Connection } from "./httpconnection.ts";
import { readHead } from "./httphead.ts";

/** Unread bytes of a body that are read and dropped to keep the connection; more closes it. */
const DRAIN_BYTES = 64 * 1024;

export class Exchange implements HttpRequest {
  readonly id: string;
  readonly hostId: string;
  readonly method: string;
  readonly path: string;
  readonly rawQuery: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: readonly string[];
  readonly httpVersion: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly contentLength: number | undefined;
  readonly #message: IncomingMessage;
  readonly #output: ServerResponse;
  readonly #connection: Connection;
  readonly #shared: Shared;
  readonly #onDone: () => void;
  readonly #hasBody: boolean;
  readonly #refused: HttpFailure | undefined;
  readonly #startedAt = performance.now();
  #awaitsContinue: boolean;
  #answeredAt = 0;
  #reader: BodyReader | undefined;
  #streaming: Streaming | undefined;
  #response: HttpResponse | undefined;
  #bytesSent = 0;
  #bodyBroken = false;
  #closed = false;
  #lost = false;
  #settled = false;

  constructor(
    message: IncomingMessage,
    output: ServerResponse,
    connection: Connection,
    shared: Shared,
    onDone: () => void,
  ) {
    const head = readHead(message, shared.limits);
    this.id = shared.nextId();
    this.hostId = shared.hostId;
    this.method = message.method ?? "";
    this.path = head.path;
    this.rawQuery = head.rawQuery;
    this.headers = head.headers;
    this.rawHeaders = message.rawHeaders;
    this.httpVersion = message.httpVersion;
    this.remoteAddress = connection.remoteAddress;
    this.secure = shared.options.tls !== undefined;
    this.contentLength = head.contentLength;
    this.#message = message;
    this.#output = output;
    this.#connection = connection;
    this.#shared = shared;
    this.#onDone = onDone;
    this.#hasBody = head.hasBody;
    this.#awaitsContinue = head.expectsContinue;
    this.#refused = head.failure ?? (this.#isTooMuch() ? "Overloaded" : undefined);
    // Node would answer HTTP/1.0 in chunks when asked with "TE"; no client of that age understands them.
    if (this.httpVersion === "1.0") output.useChunkedEncodingByDefault = false;
    output.on("close", () => this.#onClose());
  }

  body(): AsyncIterable<Buffer> {
    if (this.#reader !== undefined) throw new Error("the body can be read once only");
    return this.#openBody();
  }

  /** Calls the handler and sends its answer. Never rejects. */
  async serve(): Promise<void> {
    this.#shared.requests++;
    try {
      if (this.#refused === undefined) await this.#answer(await this.#shared.options.handle(this));
      else await this.#answer(this.#failure(this.#refused));
    } catch (error) {
      await this.#onError(error);
    }
    this.#shared.requests--;
    this.#settled = true;
    if (this.#closed) this.#finish();
  }

  /** True when the whole request has come in. */
  received(): boolean {
    return !this.#hasBody || this.#message.complete;
  }

  /** The rest of the body will never come, though the client may still listen. */
  breakBody(): void {
    this.#bodyBroken = true;
    this.#reader?.fail(new BodyError("IncompleteBody", "the body ended early or is not well-formed"));
  }

  sweep(now: number): void {
    const since = this.#reader?.waitingSince ?? 0;
    if (since === 0 || now - since < this.#shared.limits.bodyIdleMs) return;
    this.#bodyBroken = true;
    this.#reader?.fail(new BodyError("RequestTimeout", "the client sent nothing for too long"));
  }

  #isTooMuch(): boolean {
    return this.#connection.surplus || this.#shared.requests >= this.#shared.limits.maxRequests;
  }

  #openBody(): BodyReader {
    this.#reader = new BodyReader(this.#message, this.#hasBody, () => {
      if (!this.#awaitsContinue) return;
      this.#awaitsContinue = false;
      this.#output.writeContinue();
    });
    if (this.#bodyBroken) this.breakBody();
    else if (this.#closed) this.#reader.fail(new BodyError("IncompleteBody", "the client left"));
    return this.#reader;
  }

  #failure(failure: HttpFailure): HttpResponse {
    return failureAnswer(this.#shared, failure, this);
  }

  /** The handler or the sending of its answer failed. */
  async #onError(error: unknown): Promise<void> {
    await this.#closeStream();
    // A client that left or sent half a body is no defect of ours.
    const cause = error instanceof BodyError ? error.code : undefined;
    const level = this.#closed || cause !== undefined ? "debug" : "error";
    this.#shared.options.log[level](
      { err: error, requestId: this.id, method: this.method, path: this.path },
      this.#output.headersSent ? "answer cut off" : "request failed",
    );
    if (this.#closed) return;
    if (this.#output.headersSent) {
      this.#cut();
      return;
    }
    try {
      const ofBody = cause === "RequestTimeout" ? "RequestTimeout" : "BadRequest";
      await this.#answer(this.#failure(cause === undefined ? "InternalError" : ofBody));
    } catch (again) {
      this.#shared.options.log.error({ err: again, requestId: this.id }, "no answer could be given");
      this.#cut();
    }
  }

  async #answer(response: HttpResponse): Promise<void> {
    this.#response = response;
    const { body } = response;
    if (isStream(body)) {
      this.#streaming = new Streaming(this.#output, body);
      if (this.#closed || isBodiless(this.method, response.status)) await this.#closeStream();
      else {
        const failure = await this.#streaming.prepare().catch((error: unknown) => {
          if (response.failed === undefined) throw error;
          return response.failed(error);
        });
        if (failure !== undefined) {
          await this.#closeStream();
          return this.#answer(failure);
        }
      }
    }
    if (this.#closed) {
      await this.#closeStream();
      return;
    }
    const { headers, length, whole } = answerHead(this.method, response);
    this.#decideConnection();
    this.#output.writeHead(response.status, headers);
    this.#answeredAt = performance.now();
    const { socket } = this.#connection;
    if (this.#streaming !== undefined) {
      this.#limitSending();
      await this.#streaming.run(length);
      return;
    }
    if (whole === undefined || whole.length === 0) this.#output.end();
    else if (typeof whole === "string") this.#output.end(whole, "latin1");
    else this.#output.end(whole);
    this.#bytesSent = whole === undefined ? 0 : (length ?? 0);
    // The default on a timeout is to destroy the socket. It is replaced when the answer is out.
    if (socket.writableLength > 0) socket.setTimeout(this.#shared.limits.sendIdleMs);
  }

  /** Whether this connection can go on after the answer; if not, says so in it, and how it ends. */
  #decideConnection(): void {
    const connection = this.#connection;
    // Behind a head that others may read differently nothing is taken for a request.
    const suspect = this.#refused !== undefined && this.#refused !== "Overloaded";
    if (suspect) connection.ending = true;
    if (this.#shared.closing || connection.surplus || connection.last || connection.ending) {
      this.#output.shouldKeepAlive = false;
    }
    if (!suspect) {
      if (this.received()) return;
      const rest = (this.contentLength ?? Infinity) - (this.#reader?.received ?? 0);
      if (rest <= DRAIN_BYTES && !this.#bodyBroken && !this.#awaitsContinue) return;
    }
    this.#output.shouldKeepAlive = false;
    // Node calls this when the last answer of a connection is out.
    connection.socket.destroySoon = () => connection.linger();
  }

  /** Cuts a client that takes nothing of a stream; a source that gives nothing has all the time it needs. */
  #limitSending(): void {
    const { socket } = this.#connection;
    const { sendIdleMs } = this.#shared.limits;
    socket.setTimeout(sendIdleMs);
    this.#output.on("timeout", () => {
      if (this.#streaming?.blocked === true) socket.destroy();
      else socket.setTimeout(sendIdleMs);
    });
  }

  /** Ends the connection so that nobody takes what was sent for a complete answer. */
  #cut(): void {
    const { socket } = this.#connection;
    // A reset also tells clients that read until the end of the connection.
    if (this.secure) socket.destroy();
    else socket.resetAndDestroy();
  }

  async #closeStream(): Promise<void> {
    const streaming = this.#streaming;
    if (streaming === undefined) return;
    this.#streaming = undefined;
    this.#bytesSent = streaming.sent;
    try {
      await streaming.close();
    } catch (error) {
      this.#shared.options.log.error({ err: error, requestId: this.id }, "a source could not be closed");
    }
  }

  /** The answer is out, or the connection is lost. */
  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Node parts answer and socket when all is written, or when a socket is destroyed; `writableFinished` lies.
    this.#lost = this.#output.socket !== null || this.#connection.socket.destroyed;
    if (!this.#lost) {
      this.#reader?.discard();
    } else {
      this.#reader?.fail(new BodyError("IncompleteBody", "the client closed the connection"));
      this.#streaming?.abort(new Error("the client closed the connection"));
    }
    if (this.#settled) this.#finish();
  }

  #finish(): void {
    this.#shared.options.onFinish?.(this.#record());
    this.#onDone();
  }

  #record(): FinishedRequest {
    const now = performance.now();
    return {
      id: this.id,
      method: this.method,
      path: this.path,
      rawQuery: this.rawQuery,
      httpVersion: this.httpVersion,
      status: this.#output.headersSent ? this.#output.statusCode : 499,
      bytesSent: this.#streaming?.sent ?? this.#bytesSent,
      bytesReceived: this.#reader?.received ?? (this.#message.complete ? (this.contentLength ?? 0) : 0),
      durationMs: now - this.#startedAt,
      ttfbMs: (this.#answeredAt === 0 ? now : this.#answeredAt) - this.#startedAt,
      remoteAddress: this.remoteAddress,
      secure: this.secure,
      userAgent: this.headers["user-agent"] ?? "",
      referer: this.headers["referer"] ?? "",
      aborted: this.#lost,
      log: this.#response?.log,
    };
  }
}
