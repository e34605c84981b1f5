/** Renditions of a film, encoded at once into one set of CMAF segments, which HLS and DASH share. */
import { join } from "node:path";
import { DeliveryError } from "../errors.ts";
import type { Size } from "../image/surface.ts";
import type { Options, Plan, StepOptions } from "../plan/plan.ts";
import { optionsOf } from "../plan/steps.ts";
import { compose } from "./compose.ts";
import { lastSaid, NO_METADATA, type Encoding } from "./encoding.ts";
import { damaged, words } from "./ffmpeg.ts";
import { add, nameOf, settle, type Track } from "./filters.ts";
import { madeRate } from "./frames.ts";
import type { VideoLimits } from "./limits.ts";
import {
  initName,
  playlistName,
  SEGMENT_SECONDS,
  segmentName,
  SOUND,
  type Rendition,
  type StreamSet,
} from "./playlists.ts";
import type { Cut } from "./placement.ts";
import { describeSet, measureSet } from "./sets.ts";
import { AUDIO_SAMPLES, soundOf } from "./sound.ts";
import { secondsText, type Workplace } from "./workplace.ts";

interface Rung {
  readonly width: number;
  readonly height: number;
  /** Bits per second at most, of all that a player fetches. */
  readonly rate: number;
  /** H.264's, times ten: what decoders must be able to do, at 60 frames a second. */
  readonly level: number;
}

/** https://imagekit.io/docs/adaptive-bitrate-streaming */
const LADDER: readonly Rung[] = [
  { width: 426, height: 240, rate: 200_000, level: 30 },
  { width: 640, height: 360, rate: 400_000, level: 31 },
  { width: 854, height: 480, rate: 800_000, level: 31 },
  { width: 1280, height: 720, rate: 3_300_000, level: 32 },
  { width: 1920, height: 1080, rate: 5_500_000, level: 42 },
  { width: 2560, height: 1440, rate: 12_000_000, level: 51 },
  { width: 3840, height: 2160, rate: 18_000_000, level: 52 },
];
/** What a stream says itself, and no step may. https://imagekit.io/docs/adaptive-bitrate-streaming */
const OWN: readonly (keyof Options)[] = [
  "width",
  "height",
  "aspectRatio",
  "format",
  "videoCodec",
  "audioCodec",
  "quality",
];

/** @throws DeliveryError InvalidParameter */
function heightsOf({ steps, defaults }: Plan): readonly number[] {
  const options = optionsOf(steps);
  const heights = lastSaid(options, "streamingResolutions");
  if (heights === undefined) {
    throw new DeliveryError("InvalidParameter", "A stream needs its renditions: ?tr=sr-240_360_480.");
  }
  const { format, explicitQuality } = defaults;
  const said: StepOptions = {
    ...(format === "auto" ? {} : { format }),
    ...(explicitQuality === true ? { quality: defaults.quality } : {}),
  };
  const other = OWN.find((name) => [...options, said].some((one) => one[name] !== undefined));
  if (other !== undefined) {
    throw new DeliveryError(
      "InvalidParameter",
      `${nameOf(other)} can't stand beside sr: a stream says itself what sizes, codecs and rates it has.`,
    );
  }
  return heights;
}

/** By what a film is multiplied to fit into a rendition; upright films go into one that stands. */
function scaleInto({ width, height }: Size, rung: Rung): number {
  const [across, down] = height > width ? [rung.height, rung.width] : [rung.width, rung.height];
  return Math.min(across / width, down / height);
}

/** What is larger by less isn't worth another rendition. */
const LARGER = 1.1;

/** No rendition is larger than the film; the largest is about as large, if one that large is wanted. */
function rungsFor(heights: readonly number[], film: Size): readonly Rung[] {
  const wanted = LADDER.filter(({ height }) => heights.includes(height));
  const beyond = wanted.findIndex((rung) => scaleInto(film, rung) > 1);
  if (beyond === -1) return wanted;
  const below = wanted[beyond - 1];
  const reached = below !== undefined && scaleInto(film, below) * LARGER > 1;
  return wanted.slice(0, reached ? beyond : beyond + 1);
}

/** `at_max`, with even sides. */
function sizeIn(film: Size, rung: Rung): Size {
  const by = Math.min(1, scaleInto(film, rung));
  const even = (side: number): number => Math.max(2, 2 * Math.round((side * by) / 2));
  return { width: even(film.width), height: even(film.height) };
}

/**
 * Encoding a film again at more than this many times its own rate gains nothing, and smaller renditions need less. This
 * bounds a set by the size of its source.
 */
const RATE_FACTOR = 2;
const RATE_STEP = 100_000;
/**
 * What the encoder is told of a rate: the buffer that it begins with, and boxes, come on top. Measured: so a film of eight
 * seconds of noise has 0.98 of the rate, and its worst pieces 1.13. With 0.8 no piece would have more than the rate, and
 * ordinary films lost 0.4 to 0.9 dB.
 */
const RATE_SHARE = 0.93;

/** Seconds for which a rendition may go beyond its rate, at the expense of what it didn't need before. */
const BUFFER_SECONDS = 0.5;
/** Bits per second that segments have besides pictures, and at most of sound. */
const WRAPPING_RATE = 20_000;
const AUDIO_RATE = 128_000;
const AUDIO_RATE_MAX = 150_000;
/** What no segment exceeds: what comes in while it lasts, and all that was saved before. */
const peakOf = (rate: number): number =>
  Math.round(rate * (1 + BUFFER_SECONDS / SEGMENT_SECONDS)) + WRAPPING_RATE;

/** Bits per second at most, in the long run, of the rendition of that number. `own`: the film's. */
function rateOf(film: Size, rung: Rung, n: number, own: number): number {
  const size = sizeIn(film, rung);
  const part = ((size.width * size.height) / (film.width * film.height)) ** 0.75;
  return Math.round(
    Math.min(rung.rate * RATE_SHARE, Math.max(RATE_STEP * (n + 1), own * RATE_FACTOR * part)),
  );
}

/** `limit`: bits per second at most, in the long run. */
interface Encoded extends Rendition {
  readonly limit: number;
}

/** `size`: of the film as its steps leave it. `own`: its bits per second. */
function renditionsFor(heights: readonly number[], size: Size, own: number): readonly Encoded[] {
  return rungsFor(heights, size).map((rung, n): Encoded => {
    const limit = rateOf(size, rung, n, own);
    return { name: `v${n}`, ...sizeIn(size, rung), limit, rate: peakOf(limit), level: rung.level };
  });
}

/** Sends a track into all renditions, under their names. */
function fanOut(track: Track, renditions: readonly Encoded[]): void {
  // The smaller ones are made of the largest: large pictures cost most, and bringing down HDR more than that.
  const { width, height } = renditions.at(-1)!;
  add(track, `scale=${width}:${height}`, { width, height });
  settle(track);
  track.graph.filters.push(
    `[${track.label}]split=${renditions.length}${renditions.map(({ name }) => `[s${name}]`).join("")}`,
    ...renditions.map(
      (one) => `[s${one.name}]scale=${one.width}:${one.height},setsar=1,format=yuv420p[${one.name}]`,
    ),
  );
}

/** Fills a folder; players may read along. @throws DeliveryError */
export async function encodeSet(
  place: Workplace,
  {
    plan,
    inputs,
    renderer,
    folder,
    sourceBytes,
    report,
  }: Omit<Encoding, "to"> & { readonly folder: string; readonly sourceBytes: number },
): Promise<void> {
  const { limits } = place.shop;
  const heights = heightsOf(plan);
  const { duration } = place.film.facts;
  // What lies on a film has to be encoded as well.
  const bytes = [...inputs.values()].reduce((sum, { size }) => sum + size, sourceBytes);
  const own = duration > 0 ? (bytes * 8) / duration : Infinity;
  const renditions: Encoded[] = [];
  const made = await compose(plan.steps, { place, inputs, renderer }, (track) => {
    renditions.push(...renditionsFor(heights, track, own));
    fanOut(track, renditions);
  });
  if (made.label === undefined) throw new DeliveryError("UnsupportedSource", "The film has no picture.");
  const { film, cut } = made;
  const sound = soundOf(film.facts, cut);
  const set: StreamSet = {
    renditions,
    audio: sound === undefined ? undefined : AUDIO_RATE_MAX,
    frameRate: madeRate(film.facts),
    seconds: cut.seconds,
  };
  await describeSet(folder, set);
  const args = [
    ...made.reads,
    "-filter_complex",
    [...made.graph, ...(sound?.graph ?? [])].join(";"),
    ...renditions.flatMap((rendition) => [
      ...videoOutput(rendition, limits),
      ...hls(folder, rendition.name, cut),
    ]),
    ...(sound === undefined ? [] : [...sound.output, ...AUDIO_OUTPUT, ...hls(folder, SOUND, cut)]),
  ];
  const progress = { seconds: cut.seconds, report };
  const { frames } = await place.run(args, { seconds: limits.streamSeconds, progress });
  if (frames === 0) throw damaged();
  await measureSet(folder, set);
}

function videoOutput({ name, limit, level }: Encoded, limits: VideoLimits): readonly string[] {
  return [
    ...words(`-map [${name}] -an`),
    ...words(`-c:v libx264 -preset superfast -threads ${limits.threads}`),
    ...words(`-profile:v high -level:v ${level / 10} -crf 23`),
    ...words(`-maxrate ${limit} -bufsize ${Math.round(limit * BUFFER_SECONDS)}`),
    // Players change between renditions at key frames, which lie at the same times in all. Without B-frames the first
    // picture is shown at 0, as the first sound is.
    ...words("-bf 0 -sc_threshold 0 -g 600"),
    ...words(`-force_key_frames expr:gte(t,n_forced*${SEGMENT_SECONDS})`),
    ...NO_METADATA,
  ];
}

const AUDIO_OUTPUT: readonly string[] = [
  ...words(`-vn -c:a aac -b:a ${AUDIO_RATE} -ac 2 -ar ${AUDIO_SAMPLES}`),
  ...NO_METADATA,
];

/**
 * Segments appear whole, by rename. Each output ends by itself: while one waits for a sound that has none left, ffmpeg reads
 * on, and the others would go on with it.
 */
const hls = (folder: string, name: string, { seconds }: Cut): readonly string[] => [
  "-t",
  secondsText(seconds),
  ...words(`-f hls -hls_time ${SEGMENT_SECONDS} -hls_playlist_type event`),
  ...words("-hls_segment_type fmp4 -hls_flags independent_segments+temp_file"),
  ...words(`-hls_fmp4_init_filename ${initName(name)}`),
  "-hls_segment_filename",
  join(folder, segmentName(name, "%05d")),
  join(folder, playlistName(name)),
];
