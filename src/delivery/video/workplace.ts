/** A folder for one film: its source, its layers, and ffmpeg at work on them. */
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isRunning } from "../../lib/program.ts";
import { DeliveryError, notNow } from "../errors.ts";
import type { Input } from "../image/job.ts";
import { ffmpeg, words, type Abilities, type Programs, type RunOptions, type Written } from "./ffmpeg.ts";
import type { VideoLimits } from "./limits.ts";
import type { Cut } from "./placement.ts";
import { BARE, demuxerOf, HEAD_BYTES, opening, probe, type FilmFacts } from "./probe.ts";

/** What all work of one server shares. */
export interface Workshop {
  readonly programs: Programs;
  readonly abilities: Abilities;
  readonly limits: VideoLimits;
  /** Where folders of work are made. */
  readonly folder: string;
}

/** A film in a workplace. */
export interface Clip {
  /** Name of the file in the folder. */
  readonly file: string;
  readonly demuxer: string;
  readonly facts: FilmFacts;
}

export interface Workplace extends AsyncDisposable {
  readonly shop: Workshop;
  readonly folder: string;
  readonly film: Clip;
  /** A copy of a film, looked into. @throws DeliveryError SourceTooLarge, and as `probe` */
  addClip(input: Input): Promise<Clip>;
  /**
   * The clip, or a copy of it in which the beginning of the cut is found: without an index ffmpeg would begin at the next key
   * frame. `seconds`: that the copy may take. @throws DeliveryError as `ffmpeg`
   */
  seekable(clip: Clip, cut: Cut, seconds: number): Promise<Clip>;
  /** @throws DeliveryError as `ffmpeg` */
  run(
    args: readonly string[],
    how: { readonly seconds: number; readonly progress?: Parameters<typeof ffmpeg>[3] },
  ): Promise<Written>;
}

/** Demuxers of films that have times and no index. */
const UNINDEXED: readonly string[] = ["mpegts", "mpeg"];
/** What is copied behind a cut: frames may come out of their order. */
const MARGIN_SECONDS = 1;
/** Times the bytes that a source may have: what a copy may. Stops what is small until it is decoded. */
const COPY_FACTOR = 4;

/** Names of folders say whose they are: a process that is killed leaves them behind. */
const PREFIX = "film-";

/** @throws DeliveryError SourceTooLarge, UnsupportedSource, DamagedSource, LimitExceeded, and those of the source */
export async function openWorkplace(shop: Workshop, source: Input, signal: AbortSignal): Promise<Workplace> {
  const { programs, limits } = shop;
  await mkdir(shop.folder, { recursive: true, mode: 0o700 });
  await removeAbandoned(shop.folder, limits.streamSeconds);
  const folder = await mkdtemp(join(shop.folder, `${PREFIX}${process.pid}-`));
  const dispose = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const options: Pick<RunOptions, "folder" | "signal"> = { folder, signal };
  let files = 0;
  let layerBytes = 0;
  const copied = async (input: Input, maxBytes: number): Promise<string> => {
    // Paths of strangers stay outside.
    const name = `input-${files++}`;
    await copy(input, join(folder, name), { maxBytes, firstSeconds: limits.frameSeconds }, signal);
    return name;
  };
  const clipOf = async (file: string): Promise<Clip> => {
    const demuxer = demuxerOf(await headOf(join(folder, file)));
    if (demuxer === undefined) throw notAFilm();
    return { file, demuxer, facts: await probe(programs, { file, demuxer }, limits, options) };
  };
  const run: Workplace["run"] = (args, { seconds, progress }) => {
    const how = { ...options, seconds, memoryBytes: limits.memoryBytes, threads: limits.threads };
    return keeping(folder, () => ffmpeg(programs, args, how, progress));
  };
  const seekable: Workplace["seekable"] = async (clip, { start, seconds: shown }, seconds) => {
    const { demuxer, facts } = clip;
    const bare = BARE.includes(demuxer);
    if (start === 0 || !(bare || UNINDEXED.includes(demuxer))) return clip;
    const streams = [facts.video, facts.audio].filter((one) => one !== undefined);
    const file = `input-${files++}`;
    const args = [
      // Program streams tell the times of some frames only.
      ...words("-fflags +genpts"),
      "-t",
      secondsText(start + shown + MARGIN_SECONDS),
      ...reading(clip, { start: 0 }),
      ...streams.flatMap((one) => ["-map", `0:${one}`]),
      // Only what decoding gives times can be put into a file that has them.
      ...(bare ? words("-c:v libx264 -preset ultrafast -crf 8") : words("-c copy")),
      ...words(`-fs ${limits.sourceBytes * COPY_FACTOR} -f matroska`),
      file,
    ];
    await run(args, { seconds });
    const at = (stream: number | undefined): number | undefined =>
      stream === undefined ? undefined : streams.indexOf(stream);
    return {
      file,
      demuxer: "matroska",
      // Where it was copied to, not where the film ends.
      facts: { ...facts, pictureTo: undefined, video: at(facts.video), audio: at(facts.audio) },
    };
  };
  try {
    return {
      shop,
      folder,
      film: await keeping(folder, async () => clipOf(await copied(source, limits.sourceBytes))),
      async addClip(input) {
        const left = limits.sourceBytes - layerBytes;
        layerBytes += input.size;
        return keeping(folder, async () => clipOf(await copied(input, left)));
      },
      seekable,
      run,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

export const goneAgain = (): DeliveryError => notNow("What was made of the film is gone again.");

/** The cache may be emptied at any time: what fails then says nothing of the film. */
async function keeping<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw existsSync(folder) ? error : goneAgain();
  }
}

const notAFilm = (): DeliveryError =>
  new DeliveryError(
    "UnsupportedSource",
    "The file is no film that can be decoded. Known: MP4, MOV, 3GP, WebM, Matroska, MPEG, MPEG-TS, HEVC, Ogg, AVI, GIF.",
  );

/** How slowly a source may come, beyond the first seconds. Stops origins that send a byte now and then. */
const BYTES_PER_SECOND = 512 * 1024;

interface Bounds {
  readonly maxBytes: number;
  readonly firstSeconds: number;
}

/** @throws DeliveryError SourceTooLarge, OriginTimeout, and what reading the source throws */
async function copy(input: Input, file: string, bounds: Bounds, signal: AbortSignal): Promise<void> {
  const { maxBytes } = bounds;
  if (input.size > maxBytes) throw tooLarge(input.size, maxBytes);
  const into = createWriteStream(file, { flags: "wx", mode: 0o600 });
  await pipeline(Readable.from(checked(input, bounds)), into, { signal });
}

/** An origin may send more than it said. A store's chunk is valid only until the next; a stream keeps several. */
async function* checked(input: Input, { maxBytes, firstSeconds }: Bounds): AsyncGenerator<Buffer> {
  const began = performance.now();
  let bytes = 0;
  for await (const chunk of input.read()) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(bytes, maxBytes);
    const seconds = (performance.now() - began) / 1000 - firstSeconds;
    if (bytes < seconds * BYTES_PER_SECOND) {
      throw new DeliveryError("OriginTimeout", "The film comes too slowly to be worked on.");
    }
    yield Buffer.from(chunk);
  }
}

const tooLarge = (bytes: number, maxBytes: number): DeliveryError =>
  new DeliveryError(
    "SourceTooLarge",
    `The film, or its layers together, have ${bytes} bytes; ${maxBytes} are left to them.`,
  );

async function headOf(file: string): Promise<Buffer> {
  await using opened = await open(file, "r");
  const { buffer, bytesRead } = await opened.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

/**
 * How ffmpeg is told to read a film, so that `start` is its 0, from the key frame before on: the frame that is seen at 0 may
 * be an old one. Filters cut off the rest.
 */
export const reading = ({ file, demuxer }: Clip, { start }: Pick<Cut, "start">): readonly string[] => [
  ...opening(demuxer),
  ...(start > 0 ? ["-noaccurate_seek", "-ss", secondsText(start)] : []),
  "-i",
  file,
];

/** Never in powers of ten, which filters don't read. */
export const secondsText = (seconds: number): string => seconds.toFixed(3);

/** Takes away the folders of processes that are no more. Numbers of processes come back, so age counts, too. */
async function removeAbandoned(parent: string, longest: number): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = Number(/^film-(\d{1,10})-/.exec(name)?.[1]);
    if (!(pid > 0)) continue;
    const folder = join(parent, name);
    const made = await stat(folder).catch(() => undefined);
    if (made === undefined) continue;
    const seconds = (Date.now() - made.mtimeMs) / 1000;
    if (!isRunning(pid) || seconds > longest * 2) await rm(folder, { recursive: true, force: true });
  }
}
