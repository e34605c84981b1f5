/** Structured logs: one JSON object a line. */
import { destination, pino, type DestinationStream } from "pino";
import type { Logger } from "pino";

export type { Logger };

/** Lowest first; "silent" writes nothing. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export interface LogOptions {
  readonly level: (typeof LOG_LEVELS)[number];
  /** File descriptor: 1 standard output (the default), 2 standard error. */
  readonly fd?: 1 | 2;
  /** Of the process's role: "worker 1", "writer"; in every line. */
  readonly name?: string;
  /** Instead of `fd`; for tests. */
  readonly stream?: DestinationStream;
}

/** Field names whose values never reach a log, wherever in the first two levels of a line they stand. */
const SECRETS = ["authorization", "Authorization", "secretKey", "secretAccessKey", "password", "cookie"];

/** Lines are written synchronously, so that the last words of a dying process are not lost. */
export function createLogger(options: LogOptions): Logger {
  const paths = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  return pino(
    {
      level: options.level,
      base: { pid: process.pid, ...(options.name === undefined ? {} : { name: options.name }) },
      redact: { paths, censor: "[secret]" },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.stream ?? destination({ dest: options.fd ?? 1, sync: true }),
  );
}
