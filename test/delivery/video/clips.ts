/** Small films made by ffmpeg, and what ffprobe says of films. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);

/** False only where the machine has no ffmpeg and need not have it. @throws when it must */
export async function hasFfmpeg(): Promise<boolean> {
  try {
    await exec("ffmpeg", ["-version"]);
    return true;
  } catch (error) {
    if (process.env["WINDLASS_REQUIRE_CLIENTS"] === "1") throw error;
    return false;
  }
}

/** False only where the machine's ffmpeg need not have it. @throws when it must */
export async function hasFilter(name: string): Promise<boolean> {
  const { stdout } = await exec("ffmpeg", ["-hide_banner", "-filters"]);
  const has = stdout.includes(` ${name} `);
  if (!has && process.env["WINDLASS_REQUIRE_CLIENTS"] === "1") throw new Error(`ffmpeg has no ${name}`);
  return has;
}

export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "windlass-clip-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** With a film as a file, of no name that tells anything. */
const withFile = <T>(film: Buffer, use: (file: string) => Promise<T>): Promise<T> =>
  inFolder(async (folder) => {
    const file = join(folder, "film");
    await writeFile(file, film);
    return use(file);
  });

/** Red on the left, blue on the right, green from the middle of its time on; with a tone. */
export function clip(options: {
  width: number;
  height: number;
  seconds: number;
  format?: string;
  sound?: boolean;
}): Promise<Buffer> {
  const { width, height, seconds, format = "mp4", sound = true } = options;
  const half = width / 2;
  const picture = `color=c=red:s=${half}x${height}:d=${seconds}:r=25[l];color=c=blue:s=${half}x${height}:d=${seconds}:r=25[r];[l][r]hstack,drawbox=c=lime:t=fill:enable='gte(t,${seconds / 2})'[v]`;
  const tone = `-f lavfi -i sine=frequency=440:duration=${seconds}`.split(" ");
  const streams = sound ? "-map [v] -map 0:a" : "-map [v]";
  const coding = format === "mp4" ? " -c:v libx264 -preset ultrafast -pix_fmt yuv420p" : "";
  const args = [...(sound ? tone : []), "-filter_complex", picture, ...(streams + coding).split(" ")];
  return made(args, format);
}

export interface Probed {
  /** `h264 320x240`, `aac`. */
  readonly streams: readonly string[];
  readonly seconds: number;
  readonly container: string;
  /** Of the picture, as the container says; 0 where it doesn't. */
  readonly frames: number;
}

export function probeFilm(film: Buffer): Promise<Probed> {
  return withFile(film, async (file) => {
    const args = "-v error -print_format json -show_format -show_streams".split(" ");
    const { stdout } = await exec("ffprobe", [...args, file]);
    const { streams, format } = JSON.parse(stdout) as {
      streams: { codec_name: string; width?: number; height?: number; nb_frames?: string }[];
      format: { duration: string; format_name: string };
    };
    return {
      streams: streams.map(({ codec_name: codec, width, height }) =>
        width === undefined ? codec : `${codec} ${width}x${height}`,
      ),
      seconds: Number(format.duration),
      container: format.format_name,
      frames: Number(streams.find(({ width }) => width !== undefined)?.nb_frames ?? 0),
    };
  });
}

/** Matrix and range of colours, as a film says them: `bt709 tv`. */
export function colourTags(film: Buffer): Promise<string> {
  return withFile(film, async (file) => {
    const entries = "-select_streams v:0 -show_entries stream=color_space,color_range -print_format json";
    const { stdout } = await exec("ffprobe", ["-v", "error", ...entries.split(" "), file]);
    const { streams } = JSON.parse(stdout) as { streams: { color_space?: string; color_range?: string }[] };
    return `${streams[0]?.color_space ?? "unknown"} ${streams[0]?.color_range ?? "unknown"}`;
  });
}

/** A frame as PNG. */
export const frameAt = (film: Buffer, seconds: number): Promise<Buffer> =>
  withFile(film, (file) => made(["-ss", String(seconds), "-i", file, "-frames:v", "1"], "png"));

/** The loudest moment, in decibels; silence has some -91. */
export function loudness(film: Buffer): Promise<number> {
  return withFile(film, async (file) => {
    const filter = "-af volumedetect -f null -".split(" ");
    const { stderr } = await exec("ffmpeg", ["-hide_banner", "-i", file, ...filter]);
    return Number(/max_volume: (\S+) dB/.exec(stderr)![1]);
  });
}

/** What ffmpeg makes of nothing but its arguments. */
export function made(args: readonly string[], format = "mp4"): Promise<Buffer> {
  return inFolder(async (folder) => {
    const to = join(folder, `to.${format}`);
    await exec("ffmpeg", ["-v", "error", ...args, to]);
    return readFile(to);
  });
}

/** Two pictures a second for two seconds, and then thirty in one. */
export function burst(): Promise<Buffer> {
  const args = "-f lavfi -i testsrc2=s=320x180:r=30:d=3 -fps_mode vfr -c:v libx264 -preset ultrafast -vf";
  return made([...args.split(" "), "select='gte(t,2)+not(mod(n,15))'"]);
}

/** How many pictures of a film, from a second on, are not what the one before was. */
export async function picturesFrom(seconds: number, film: Buffer): Promise<number> {
  const filters = `select='gte(t,${seconds})',mpdecimate`;
  return (await probeFilm(await remade(film, ["-an", "-vf", filters, "-fps_mode", "vfr"]))).frames;
}

/** What ffmpeg makes of a film. */
export const remade = (film: Buffer, args: readonly string[], format = "mp4"): Promise<Buffer> =>
  withFile(film, (file) => made(["-i", file, ...args], format));

/** A film of which its header says that it lies on its side, as telephones write them. */
export function turnedFilm(film: Buffer): Buffer {
  const turned = Buffer.from(film);
  // ISO/IEC 14496-12, section 8.3.2: the matrix of the first track.
  const matrix = turned.indexOf("tkhd") + 44;
  for (const [n, value] of [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000].entries()) {
    turned.writeInt32BE(value, matrix + n * 4);
  }
  return turned;
}
