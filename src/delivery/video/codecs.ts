/** Containers, what they hold, and how it is encoded. */
import { DeliveryError } from "../errors.ts";
import type { FormatChoice, Options } from "../plan/plan.ts";
import { words, type Abilities } from "./ffmpeg.ts";
import type { FilmFacts } from "./probe.ts";
import { AUDIO_SAMPLES } from "./sound.ts";
import type { Clip } from "./workplace.ts";

type Container = "mp4" | "webm";
type VideoCodec = Options["videoCodec"];
type AudioCodec = Options["audioCodec"];

export interface Codecs {
  readonly container: Container;
  readonly video: VideoCodec;
  readonly audio: AudioCodec;
}

interface Combination {
  /** The first is what is taken when nothing is said. */
  readonly video: readonly [VideoCodec, ...VideoCodec[]];
  readonly audio: readonly [AudioCodec, ...AudioCodec[]];
}
/** https://imagekit.io/docs/video-optimization#supported-values-and-combinations */
const COMBINATIONS: Readonly<Record<Container, Combination>> = {
  mp4: { video: ["h264", "none"], audio: ["aac", "none"] },
  webm: { video: ["vp9", "av1", "none"], audio: ["opus", "none"] },
};

type Source = Pick<FilmFacts, "video" | "audio" | "videoCodec"> & Pick<Clip, "demuxer">;

/**
 * What a film is encoded to. A codec alone chooses its container.
 * @throws DeliveryError InvalidParameter for what doesn't fit together, for what is no film's format
 */
export function codecsOf(
  asked: {
    readonly format: FormatChoice;
    readonly video: VideoCodec | undefined;
    readonly audio: AudioCodec | undefined;
  },
  film: Source,
): Codecs {
  const container = containerOf(asked, film);
  const allowed = COMBINATIONS[container];
  const wanted = { video: asked.video ?? allowed.video[0], audio: asked.audio ?? allowed.audio[0] };
  const fits = allowed.video.includes(wanted.video) && allowed.audio.includes(wanted.audio);
  if (!fits || (wanted.video === "none" && wanted.audio === "none")) {
    throw new DeliveryError(
      "InvalidParameter",
      `f-${container}, vc-${wanted.video} and ac-${wanted.audio} don't go together. Allowed: ` +
        "mp4 with h264 and aac, webm with vp9 or av1 and opus; one of vc and ac may be none.",
    );
  }
  const codecs: Codecs = {
    container,
    video: film.video === undefined ? "none" : wanted.video,
    audio: film.audio === undefined ? "none" : wanted.audio,
  };
  if (codecs.video !== "none" || codecs.audio !== "none") return codecs;
  const left =
    wanted.video === "none" ? "vc-none: the film has no sound" : "ac-none: the film has no picture";
  throw new DeliveryError("InvalidParameter", `${left}, so nothing is left of it.`);
}

function containerOf(
  { format, video, audio }: Parameters<typeof codecsOf>[0],
  { demuxer, videoCodec }: Source,
): Container {
  if (format === "mp4" || format === "webm") return format;
  if (format !== "auto" && format !== "source") {
    throw new DeliveryError("InvalidParameter", `f-${format}: films are mp4, webm or auto.`);
  }
  if (video === "vp9" || video === "av1" || audio === "opus") return "webm";
  const named = video !== undefined || audio !== undefined;
  const isWebm = demuxer === "matroska" && WEBM_CODECS.includes(videoCodec ?? "");
  return format === "source" && !named && isWebm ? "webm" : "mp4";
}

/** In ffmpeg's words. */
const WEBM_CODECS: readonly string[] = ["vp8", "vp9", "av1"];

/** Constant quality: what q-1 and q-100 are for an encoder. The usual q-50 lies in the middle. */
const crf = (quality: number, worst: number, best: number): string =>
  String(Math.round(worst + ((quality - 1) / 99) * (best - worst)));

interface Encoder {
  readonly name: string;
  readonly options: (quality: number) => readonly string[];
}
const VIDEO_ENCODERS: Readonly<Record<Exclude<VideoCodec, "none">, Encoder>> = {
  h264: {
    name: "libx264",
    options: (quality) => ["-preset", "veryfast", "-profile:v", "high", "-crf", crf(quality, 36, 14)],
  },
  vp9: {
    name: "libvpx-vp9",
    options: (quality) => [
      ...words("-deadline realtime -cpu-used 7 -row-mt 1"),
      "-b:v",
      "0",
      "-crf",
      crf(quality, 52, 16),
    ],
  },
  av1: {
    name: "libsvtav1",
    options: (quality) => ["-preset", "10", "-crf", crf(quality, 56, 20)],
  },
};
const AUDIO_ENCODERS: Readonly<Record<Exclude<AudioCodec, "none">, Encoder>> = {
  aac: { name: "aac", options: () => words(`-b:a 128k -ac 2 -ar ${AUDIO_SAMPLES}`) },
  opus: { name: "libopus", options: () => words("-b:a 96k -ac 2") },
};

/** ffmpeg's words for it. @throws DeliveryError NotAvailable without the encoder */
export function encodingOf(
  { container, video, audio }: Codecs,
  quality: number,
  threads: number,
  abilities: Abilities,
): readonly string[] {
  const encoder = (kind: "v" | "a", { name, options }: Encoder): readonly string[] => {
    need(name, abilities);
    return [`-c:${kind}`, name, ...options(quality)];
  };
  return [
    ...(video === "none" ? ["-vn"] : [...encoder("v", VIDEO_ENCODERS[video]), "-threads", String(threads)]),
    ...(audio === "none" ? ["-an"] : encoder("a", AUDIO_ENCODERS[audio])),
    // What players need comes first, so that they can begin before they have it all.
    ...(container === "mp4" ? ["-movflags", "+faststart"] : []),
  ];
}

function need(name: string, { encoders }: Abilities): void {
  if (encoders.has(name)) return;
  throw new DeliveryError(
    "NotAvailable",
    `This server's ffmpeg has no ${name}; a build with it makes such films.`,
  );
}
