/** A listener to try, and clients that speak bytes. */
import { connect, type Socket } from "node:net";
import { startListener, type FinishedRequest, type ListenerOptions } from "../../../src/lib/http.ts";
import { createLogger } from "../../../src/lib/log.ts";

export interface Trial {
  port: number;
  records: FinishedRequest[];
  /** Lines logged, parsed. */
  logged: Record<string, unknown>[];
  counts: () => { connections: number; requests: number };
  shed: () => void;
  retire: () => Promise<void>;
  close: (deadlineMs?: number) => Promise<void>;
}

/** Failures are answered with status 400 (500, 503) and their name as text. */
export async function startTrial(options: Partial<ListenerOptions>): Promise<Trial> {
  const records: FinishedRequest[] = [];
  const logged: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) };
  const listener = await startListener({
    host: "127.0.0.1",
    port: 0,
    handle: () => Promise.resolve({ status: 200, headers: [], body: "ok" }),
    onFailure: (failure, context) => ({
      status: failure === "InternalError" ? 500 : failure === "Overloaded" ? 503 : 400,
      headers: ["x-amz-request-id", context.id],
      body: context.method === "HEAD" ? undefined : failure,
    }),
    onFinish: (record) => records.push(record),
    log: createLogger({ level: "debug", stream }),
    ...options,
  });
  return {
    port: listener.port,
    records,
    logged,
    counts: () => listener.counts(),
    shed: () => listener.shed(),
    retire: () => listener.retire(),
    close: (deadlineMs = 0) => listener.close(deadlineMs),
  };
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Splits what came over a connection into answers; throws at what is no complete answer. */
export function parseAnswers(text: string, methods: string[] = []): Answer[] {
  const answers: Answer[] = [];
  let rest = text;
  if (rest === "") throw new Error("no answer");
  while (rest !== "") {
    const end = rest.indexOf("\r\n\r\n");
    const [first = "", ...lines] = rest.slice(0, end).split("\r\n");
    const match = /^HTTP\/1\.1 (\d{3}) /.exec(first);
    if (end < 0 || match === null) throw new Error(`no answer: ${JSON.stringify(rest.slice(0, 200))}`);
    const headers = Object.fromEntries(
      lines.map((line) => [
        line.slice(0, line.indexOf(":")).toLowerCase(),
        line.slice(line.indexOf(":") + 2),
      ]),
    );
    rest = rest.slice(end + 4);
    const status = Number(match[1]);
    let body = "";
    if (status >= 200 && methods[answers.length] !== "HEAD" && status !== 204 && status !== 304) {
      if (headers["transfer-encoding"] === "chunked") [body, rest] = dechunk(rest);
      else {
        const length =
          headers["content-length"] === undefined ? rest.length : Number(headers["content-length"]);
        if (rest.length < length) throw new Error(`${rest.length} bytes of ${length}`);
        body = rest.slice(0, length);
        rest = rest.slice(length);
      }
    }
    answers.push({ status, headers, body });
  }
  return answers;
}

function dechunk(text: string): [body: string, rest: string] {
  let body = "";
  let rest = text;
  for (;;) {
    const match = /^([0-9a-f]+)\r\n/.exec(rest);
    if (match === null) throw new Error("a chunk is cut off");
    const size = Number.parseInt(match[1]!, 16);
    const start = match[0].length;
    if (rest.length < start + size + 2) throw new Error("a chunk is cut off");
    body += rest.slice(start, start + size);
    rest = rest.slice(start + size + 2);
    if (size === 0) return [body, rest];
  }
}

export class Client {
  readonly socket: Socket;
  text = "";
  /** "end" after a FIN, or the error's code. */
  ended: string | undefined;
  readonly closed: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text: string) => {
      this.text += text;
      this.#wake();
    });
    this.socket.on("end", () => {
      this.ended ??= "end";
      this.#wake();
    });
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.ended ??= error.code ?? error.message;
    });
    this.closed = new Promise((resolve) => {
      this.socket.on("close", () => {
        this.ended ??= "close";
        this.#wake();
        resolve();
      });
    });
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    return this;
  }

  /** Waits until what came matches. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.text)) {
      if (this.ended !== undefined) throw new Error(`${this.ended} after ${JSON.stringify(this.text)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }

  /** Waits for the server's end of the connection, then gives all that came. */
  async untilEnd(): Promise<string> {
    while (this.ended === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }

  /**
   * After the end: true when it was a reset. Node reports a reset behind data as a mere end, but the next write fails,
   * which it does not after an orderly one.
   */
  async wasReset(): Promise<boolean> {
    if (this.ended !== "end") return true;
    const error = await new Promise((resolve) => this.socket.write("x", resolve));
    this.socket.destroy();
    return error instanceof Error;
  }
}

/** Sends bytes, closes our half, gives the answers. */
export async function exchange(
  port: number,
  bytes: string | Buffer,
  methods: string[] = [],
): Promise<Answer[]> {
  const client = new Client(port);
  client.send(bytes);
  client.socket.end();
  const text = await client.untilEnd();
  client.socket.destroy();
  return parseAnswers(text, methods);
}

/** A promise that the test fulfils. */
export class Gate {
  readonly opened: Promise<void>;
  open: () => void = () => undefined;
  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until a condition holds; fails the test through its timeout otherwise. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5);
}
