/** ffmpeg and ffprobe as supervised children: no words of strangers in a shell, no network, no secrets, no endless work. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closing, DeliveryError, notNow } from "../errors.ts";

export interface Programs {
  readonly ffmpeg: string;
  readonly ffprobe: string;
}

/** Arguments that hold no blanks. */
export const words = (text: string): readonly string[] => text.split(" ");

/** Files and nothing else: neither a film nor a playlist can name an address. */
export const FILES_ONLY: readonly string[] = words("-protocol_whitelist file,pipe");

/** Characters kept of what a program said last. */
const OUTPUT_MAX = 1024 ** 2;
/** The largest piece of memory that codecs may ask for at once, in bytes. Stops sizes that only a header knows. */
const ALLOCATION_MAX = 768 * 1024 ** 2;
/** How much more polite than others. */
const NICENESS = "10";

/**
 * The shell sets limits and becomes the program; what comes behind are arguments, no words of the shell. Beside it waits
 * a watcher that kills them all when our end of the pipe closes: nothing is left when this process is killed.
 */
const LIMITED = [
  'ulimit -v "$0"; ulimit -t "$1"; shift',
  "exec 3<&0 </dev/null",
  "{ read -r _ <&3; kill -9 0; } >/dev/null 2>&1 &",
  'exec nice -n "$@" 3<&-',
].join("\n");

export interface RunOptions {
  /** Where the files are that it reads and writes. */
  readonly folder: string;
  /** Until it is killed. */
  readonly seconds: number;
  readonly memoryBytes: number;
  /** Processor seconds are counted per thread. */
  readonly threads: number;
  readonly signal: AbortSignal;
  /** Called with each line of its output, which is then not kept. */
  readonly onLine?: (line: string) => void;
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @throws DeliveryError LimitExceeded at the deadline, RendererFailed when it crashed, ServiceUnavailable when aborted, or
 * when the system has no room for another process
 */
export async function run(program: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  const { folder, seconds, memoryBytes, threads, signal, onLine } = options;
  if (signal.aborted) throw closing();
  const limits = [String(Math.floor(memoryBytes / 1024)), String(Math.ceil(seconds) * (threads + 1))];
  const child = spawn("/bin/sh", ["-c", LIMITED, ...limits, NICENESS, program, ...args], {
    cwd: folder,
    stdio: ["pipe", "pipe", "pipe"],
    // A process group of its own, which is killed as one.
    detached: true,
    // Nothing of our environment: it holds secrets, and a codec may be taken over. Caches of fonts go into the folder.
    env: { PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin", HOME: folder, LC_ALL: "C.UTF-8" },
  });
  if (child.pid === undefined) {
    // It has no pipes either.
    const [error] = (await once(child, "error")) as [NodeJS.ErrnoException];
    throw notNow(`No encoder can be started now (${error.code}).`);
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(child);
  }, seconds * 1000);
  const abort = (): void => killGroup(child);
  signal.addEventListener("abort", abort);
  try {
    const { code, ended, stdout, stderr } = await ending(child, onLine);
    if (late || ended === "SIGXCPU") {
      throw new DeliveryError("LimitExceeded", `The film took longer than ${seconds} seconds.`);
    }
    if (signal.aborted) throw closing();
    if (ended !== null) throw new DeliveryError("RendererFailed", `The encoder was ended by ${ended}.`);
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}

function ending(
  child: ChildProcess,
  onLine: ((line: string) => void) | undefined,
): Promise<Ran & { ended: NodeJS.Signals | null }> {
  let stdout = "";
  let stderr = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    stdout = (stdout + text).slice(-OUTPUT_MAX);
    if (onLine === undefined) return;
    const lines = stdout.split("\n");
    stdout = lines.pop()!;
    for (const line of lines) onLine(line);
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-OUTPUT_MAX);
  });
  // It breaks when the child ends first.
  child.stdin!.on("error", () => undefined);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    // The end of the pipe is the watcher's.
    child.on("exit", () => child.stdin!.destroy());
    child.on("close", (code, ended) => resolve({ code, ended, stdout, stderr }));
  });
}

/** What every call of ffmpeg begins with. */
const QUIETLY: readonly string[] = [
  ...words("-nostdin -hide_banner -loglevel error -y"),
  ...words(`-max_alloc ${ALLOCATION_MAX} -progress pipe:1 -nostats`),
];

/** How much was written, of the first result where there are several. */
export interface Written {
  readonly frames: number;
  readonly seconds: number;
}

/**
 * Runs ffmpeg. `seconds`: of the result, for the progress, which is told from 0 to 1.
 * @throws DeliveryError by what it says, and those of `run`
 */
export async function ffmpeg(
  { ffmpeg: program }: Programs,
  args: readonly string[],
  options: Omit<RunOptions, "onLine">,
  progress?: { readonly seconds: number; readonly report: (part: number) => void },
): Promise<Written> {
  const written = { frames: 0, seconds: 0 };
  const { code, stderr } = await run(program, [...QUIETLY, ...args], {
    ...options,
    onLine(line) {
      const [, name, value] = /^(frame|out_time_us)=(\d+)$/.exec(line) ?? [];
      if (name === "frame") written.frames = Number(value);
      if (name !== "out_time_us") return;
      written.seconds = Number(value) / 1e6;
      if (progress !== undefined && progress.seconds > 0) {
        progress.report(Math.min(1, written.seconds / progress.seconds));
      }
    },
  });
  if (code !== 0) throw errorOf(stderr);
  return written;
}

/** Also of a disk that takes nothing for another reason. */
export const diskFull = (): DeliveryError => notNow("The disk is full, or can't be written to.", 60);
const undecodable = (): DeliveryError =>
  new DeliveryError("UnsupportedSource", "The film has a codec that can't be decoded here.");

/** What the programs say when something is wrong. Their own words stay out of answers: they tell of files and versions. */
const COMPLAINTS: readonly (readonly [RegExp, () => DeliveryError])[] = [
  [/No space left on device|Disk quota exceeded|Read-only file system/, diskFull],
  [
    /Cannot allocate memory|memory allocation|failed to allocate/i,
    () => new DeliveryError("LimitExceeded", "The film needs more memory than it may have."),
  ],
  [/Decoder .{0,100}not found|Unknown decoder|not currently supported|Unsupported codec/i, undecodable],
  [
    /Error while opening encoder|Error initializing output stream|incorrect parameters/i,
    () => new DeliveryError("InvalidParameter", "The codec can't encode a film of that size or rate."),
  ],
  [
    // Of sizes and shapes that no filter takes: the film is not damaged for that.
    /Failed to configure|Error reinitializing filters|Error initializing (complex )?filter/i,
    () =>
      new DeliveryError(
        "LimitExceeded",
        "The film has, or would get, a size or shape that can't be worked on.",
      ),
  ],
  // Said of every such stream, also of those that nobody wants: last, as the cause where no other is told.
  [/Codec .{0,40}not on whitelist/, undecodable],
];

/** What is wrong, of a program that failed, by what it said. */
export function errorOf(stderr: string): DeliveryError {
  const found = COMPLAINTS.find(([complaint]) => complaint.test(stderr));
  return found?.[1]() ?? damaged();
}

export const damaged = (): DeliveryError =>
  new DeliveryError("DamagedSource", "The film is damaged or cut short.");

/** What this machine's ffmpeg has. */
export interface Abilities {
  readonly encoders: ReadonlySet<string>;
  readonly filters: ReadonlySet<string>;
}

/** Without these nothing can be made. */
const ENCODERS: readonly string[] = ["libx264", "aac"];
const PROBE_SECONDS = 20;

/** Looks at both programs. A text says why films can't be made. */
export async function abilitiesOf(
  { ffmpeg: program, ffprobe }: Programs,
  options: Pick<RunOptions, "folder" | "memoryBytes" | "signal">,
): Promise<Abilities | string> {
  const how = { ...options, seconds: PROBE_SECONDS, threads: 1 };
  const [encoders, filters, probe] = await Promise.all([
    run(program, ["-hide_banner", "-encoders"], how),
    run(program, ["-hide_banner", "-filters"], how),
    run(ffprobe, ["-version"], how),
  ]);
  if (encoders.code !== 0 || filters.code !== 0) {
    return `Films can't be made: ${program} is not installed or doesn't run. Install ffmpeg 5 or later (apt install ffmpeg).`;
  }
  if (probe.code !== 0) {
    return `Films can't be made: ${ffprobe} is not installed or doesn't run. It comes with ffmpeg (apt install ffmpeg).`;
  }
  const found = { encoders: namesIn(encoders.stdout), filters: namesIn(filters.stdout) };
  const lacking = ENCODERS.filter((name) => !found.encoders.has(name));
  if (lacking.length === 0) return found;
  return `Films can't be made: ${program} lacks ${lacking.join(" and ")}. Install a build with them (apt install ffmpeg).`;
}

/** The second word of each line: ` V....D libx264   libx264 H.264 …`. */
const namesIn = (list: string): ReadonlySet<string> =>
  new Set(list.split("\n").flatMap((line) => /^\s*\S+\s+(\S+)/.exec(line)?.[1] ?? []));
