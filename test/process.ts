import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

type Victim = "primary" | "writer" | "worker" | "tree";

export interface ServerProcess {
  readonly url: string;
  readonly consoleUrl: string;
  readonly deliveryUrl: string;
  readonly rootKey: { accessKeyId: string; secretAccessKey: string };
  /** To the primary. */
  signal(name: "SIGTERM" | "SIGINT" | "SIGHUP"): void;
  /** All that was written to standard output and standard error so far. */
  output(): string;
  /** Live processes of this server: the primary's id first. */
  pids(): number[];
  pidsOf(victim: Victim): number[];
  /** Sends SIGKILL and waits until the victims are gone; with the primary, until all its children are. */
  kill(victim: Victim): Promise<void>;
  /** SIGTERM, or nothing when it is dead already; gives the exit code. */
  stop(): Promise<number | null>;
}

const ROOT_KEY = {
  accessKeyId: "WLTESTROOTACCESSKEY0",
  secretAccessKey: "test/root+secret/0123456789abcdefghijklm",
};
const START_MS = 30_000;
const GONE_MS = 20_000;

function parentOf(pid: number): number {
  try {
    // The name in brackets may hold anything; the fields after it are fixed.
    return Number(
      readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\)\s/s, "")
        .split(" ")[1],
    );
  } catch {
    return -1;
  }
}

function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

export function isAlive(pid: number): boolean {
  try {
    // A zombie answers signals but does nothing any more.
    return !/\)\s[ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

const childrenOf = (pid: number): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => parentOf(other) === pid && isAlive(other));

/** Waits until a condition holds. @throws Error after `ms`, naming it */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = GONE_MS,
): Promise<void> {
  const end = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`Not within ${ms} ms: ${what}`);
    await sleep(20);
  }
}

/** One that nobody listens on, for programs that can't choose their own. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Runs `windlass serve` from dist/ with free ports, as an operator would. */
export async function startProcess(options: {
  data: string;
  /** 2 when left out; "as needed": what Windlass does when it isn't told. */
  workers?: number | "as needed";
  env?: Record<string, string>;
  args?: readonly string[];
  /** The folder that holds `dist`; the project's own. */
  cwd?: string;
  /** No file may grow beyond this: a way to make writes fail. */
  fileBytesMax?: number;
}): Promise<ServerProcess> {
  const ports = ["--s3", "127.0.0.1:0", "--console", "127.0.0.1:0", "--delivery", "127.0.0.1:0"];
  const workers = options.workers === "as needed" ? [] : ["--workers", String(options.workers ?? 2)];
  const command = [
    process.execPath,
    "dist/main.js",
    "serve",
    "--data",
    options.data,
    ...ports,
    ...workers,
    ...(options.args ?? []),
  ];
  // The shell counts in blocks of 512 bytes, and becomes the server: the process id stays.
  const limited = [
    "sh",
    "-c",
    `ulimit -f ${Math.ceil((options.fileBytesMax ?? 0) / 512)}; exec "$@"`,
    "sh",
    ...command,
  ];
  const [program = "", ...args] = options.fileBytesMax === undefined ? command : limited;
  const primary = spawn(program, args, {
    cwd: options.cwd,
    env: {
      ...process.env,
      WINDLASS_ROOT_ACCESS_KEY_ID: ROOT_KEY.accessKeyId,
      WINDLASS_ROOT_SECRET_ACCESS_KEY: ROOT_KEY.secretAccessKey,
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [primary.stdout, primary.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => (output += text));
  }
  const exited = new Promise<number | null>((resolve) => primary.once("exit", resolve));
  const url = (name: string) => new RegExp(`^ *${name} +(http\\S+)`, "m").exec(output)?.[1];
  await eventually(
    "the server says where it listens",
    () => {
      if (primary.exitCode !== null)
        throw new Error(`The server ended at its start with ${primary.exitCode}\n${output}`);
      // The last line of the banner: the one before it may still be on its way.
      return /^To try:/m.test(output);
    },
    START_MS,
  ).catch((error: unknown) => {
    primary.kill("SIGKILL");
    throw new Error(output, { cause: error });
  });
  const pid = primary.pid!;
  const pidsOf = (victim: Victim): number[] => {
    if (victim === "primary") return [pid];
    const children = childrenOf(pid);
    return victim === "tree"
      ? [pid, ...children]
      : children.filter((child) => titleOf(child).startsWith(`windlass: ${victim}`));
  };
  let stopping = false;
  const signal = (name: "SIGTERM" | "SIGINT" | "SIGHUP"): void => {
    stopping ||= name !== "SIGHUP";
    primary.kill(name);
  };
  return {
    url: url("S3")!,
    consoleUrl: url("console")!,
    deliveryUrl: url("delivery")!,
    rootKey: ROOT_KEY,
    signal,
    output: () => output,
    pids: () => pidsOf("tree").filter(isAlive),
    pidsOf,
    async kill(victim) {
      const all = pidsOf("tree");
      const found = pidsOf(victim);
      if (found.length === 0) throw new Error(`There is no ${victim} to kill`);
      // One worker at a time: the others must go on.
      const victims = victim === "worker" ? found.slice(0, 1) : found;
      for (const one of victims) process.kill(one, "SIGKILL");
      const leaving = victim === "primary" ? all : victims;
      await eventually(`gone after the ${victim} was killed`, () => !leaving.some(isAlive));
    },
    async stop() {
      // A second signal would cut the drain short.
      if (!stopping && primary.exitCode === null && primary.signalCode === null) signal("SIGTERM");
      return exited;
    },
  };
}
