/** What a file is, before anything is made of it. */
import { DeliveryError } from "../errors.ts";
import { errorOf, FILES_ONLY, run, words, type Programs, type RunOptions } from "./ffmpeg.ts";
import type { Colouring, Timing } from "./frames.ts";
import { FRAME_RATE_MAX, GIF_PIXELS_MAX, STREAMS_MAX, type VideoLimits } from "./limits.ts";

/** Bytes of a file that tell what it is. */
export const HEAD_BYTES = 512;

/**
 * The demuxer for what begins like that; undefined: no film. It is named to ffmpeg, so that a text that is called a film
 * is no playlist and no list of other files.
 */
export function demuxerOf(head: Buffer): string | undefined {
  const ascii = (start: number, end: number): string => head.toString("latin1", start, end);
  const hex = (bytes: number): string => head.toString("hex", 0, bytes);
  if (MOV_BOXES.includes(ascii(4, 8))) return "mov";
  if (hex(4) === "1a45dfa3") return "matroska";
  if (ascii(0, 4) === "OggS") return "ogg";
  if (ascii(0, 4) === "RIFF" && ascii(8, 12) === "AVI ") return "avi";
  if (/^GIF8[79]a$/.test(ascii(0, 6))) return "gif";
  if (hex(4) === "000001ba") return "mpeg";
  if (hex(4) === "000001b3") return "mpegvideo";
  // 188 bytes a packet; 192 where each has a time in front.
  if (head[0] === 0x47 && head[188] === 0x47) return "mpegts";
  if (head[4] === 0x47 && head[196] === 0x47) return "mpegts";
  // A parameter set of HEVC.
  if (/^(00)?000001(40|42|44)01/.test(hex(6))) return "hevc";
  return undefined;
}
const MOV_BOXES: readonly string[] = ["ftyp", "moov", "mdat", "wide", "free", "skip", "pnot"];

/** Media type of a film that begins like that; undefined: no film. */
export function filmTypeOf(head: Buffer): string | undefined {
  const demuxer = demuxerOf(head);
  if (demuxer === "mov") return head.includes("ftypqt  ") ? "video/quicktime" : "video/mp4";
  if (demuxer === "matroska") return head.includes("webm") ? "video/webm" : "video/x-matroska";
  return demuxer === undefined ? undefined : TYPES[demuxer];
}
const TYPES: Readonly<Record<string, string>> = {
  ogg: "video/ogg",
  avi: "video/x-msvideo",
  gif: "image/gif",
  mpeg: "video/mpeg",
  mpegvideo: "video/mpeg",
  mpegts: "video/mp2t",
  hevc: "video/hevc",
};

/** Whether what begins like that is a film and neither a picture nor a song, which may come in the same boxes. */
export function beginsAsFilm(head: Buffer): boolean {
  const demuxer = demuxerOf(head);
  if (demuxer === "mov") return !STILL_OR_SOUND.test(head.toString("latin1", 4, 12));
  if (demuxer === "ogg") return head.includes("theora") || head.includes("OVP80");
  return demuxer !== undefined && demuxer !== "gif";
}
const STILL_OR_SOUND = /^ftyp(hei[cxms]|hev[cmsx]|mif1|msf1|avi[fs]|crx |M4[AB] )/;

/**
 * Decoders that films may use. ffmpeg has some hundred more, for games of the nineties and the like, which nobody looks
 * after so well.
 */
const DECODERS: readonly string[] = [
  ...words("h264 hevc mpeg4 mpeg1video mpeg2video h263 mjpeg gif prores theora"),
  ...words("libdav1d libaom-av1 av1 vp8 vp9 libvpx libvpx-vp9"),
  ...words(
    "aac aac_latm mp3 mp3float mp2 mp2float opus libopus vorbis libvorbis ac3 eac3 flac alac amrnb amrwb",
  ),
  ...words("pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be"),
  ...words("pcm_f32le pcm_f32be pcm_bluray pcm_dvd pcm_u8 pcm_alaw pcm_mulaw"),
];

/**
 * Decoders that ffprobe opens besides, and gives nothing to decode: it gives up a film when it can't open one for each of its
 * streams. They are those of subtitles, of covers, and of sound that others will not miss.
 */
const OPENED: readonly string[] = [
  ...words("ass ssa srt subrip text mov_text webvtt dvbsub dvdsub pgssub xsub cc_dec libzvbi_teletextdec"),
  ...words("png bmp webp"),
  ...words("dca truehd mlp mp1float s302m wmav1 wmav2 wmapro speex wavpack tta gsm gsm_ms qdm2 qcelp"),
  ...words("adpcm_ms adpcm_ima_wav adpcm_ima_qt pcm_s8 pcm_f64le pcm_f64be"),
];

/** How a file is opened that a stranger made. */
export const opening = (demuxer: string): readonly string[] => [
  ...FILES_ONLY,
  "-f",
  demuxer,
  "-codec_whitelist",
  DECODERS.join(","),
];
/** The list after the colon is that of ffprobe itself; its library keeps to the other one, and decodes some frames. */
const looking = (demuxer: string): readonly string[] => [
  ...opening(demuxer),
  "-codec_whitelist:",
  [...DECODERS, ...OPENED].join(","),
];

/** What a film is, upright and with square pixels. Its frame rate is at most FRAME_RATE_MAX. */
export interface FilmFacts extends Timing {
  readonly width: number;
  readonly height: number;
  /** Numbers of the streams that are shown and heard; undefined: it has none. */
  readonly video: number | undefined;
  readonly audio: number | undefined;
  /** Seconds from the film's beginning to that of its sound. */
  readonly audioFrom: number;
  readonly square: boolean;
  readonly interlaced: boolean;
  readonly colouring: Colouring;
  /** It is see-through, and this decoder of ffmpeg sees it: the usual one leaves the opacity out. */
  readonly clearDecoder: string | undefined;
  /** In ffmpeg's words: `h264`, `aac`. */
  readonly videoCodec: string | undefined;
  readonly audioCodec: string | undefined;
  /** Bits a second of all streams together; undefined: the file doesn't say. */
  readonly bitRate: number | undefined;
}

interface Stream {
  readonly index: number;
  readonly codec_type?: string;
  readonly codec_name?: string;
  readonly width?: number;
  readonly height?: number;
  readonly start_time?: string;
  readonly duration?: string;
  readonly avg_frame_rate?: string;
  readonly r_frame_rate?: string;
  readonly nb_frames?: string;
  readonly sample_aspect_ratio?: string;
  readonly field_order?: string;
  readonly pix_fmt?: string;
  readonly color_range?: string;
  readonly color_space?: string;
  readonly color_primaries?: string;
  readonly color_transfer?: string;
  readonly disposition?: { readonly attached_pic?: number; readonly default?: number };
  readonly side_data_list?: readonly { readonly rotation?: number }[];
  readonly tags?: {
    readonly rotate?: string;
    readonly alpha_mode?: string;
    readonly ALPHA_MODE?: string;
    readonly DURATION?: string;
  };
}
interface Probed {
  readonly streams?: readonly Stream[];
  readonly format?: {
    readonly start_time?: string;
    readonly duration?: string;
    readonly bit_rate?: string;
    readonly nb_streams?: number;
  };
}

const ENTRIES = [
  "stream=index,codec_type,codec_name,width,height,start_time,duration,avg_frame_rate,nb_frames,sample_aspect_ratio",
  "stream=r_frame_rate,field_order,pix_fmt,color_range,color_space,color_primaries,color_transfer",
  "stream_disposition=attached_pic,default",
  "stream_side_data=rotation",
  "stream_tags=rotate,alpha_mode,ALPHA_MODE,DURATION",
  "format=start_time,duration,bit_rate,nb_streams",
].join(":");

/** Looks into a file. @throws DeliveryError UnsupportedSource, DamagedSource, LimitExceeded, and those of `run` */
export async function probe(
  { ffprobe }: Programs,
  { file, demuxer }: { readonly file: string; readonly demuxer: string },
  limits: VideoLimits,
  options: Pick<RunOptions, "folder" | "signal">,
): Promise<FilmFacts> {
  const { memoryBytes, threads, frameSeconds: seconds } = limits;
  const args = ["-v", "error", ...looking(demuxer), "-show_entries", ENTRIES, "-print_format", "json", file];
  const limited = { ...options, seconds, memoryBytes, threads };
  const { code, stdout, stderr } = await run(ffprobe, args, limited);
  if (code !== 0) throw errorOf(stderr);
  const probed = parsed(stdout);
  const facts = factsOf(probed, limits);
  const late = FROM_ZERO.includes(demuxer) && Number(probed.format?.start_time) > LATE_SECONDS;
  const told = facts.duration > 0 && !late && !BARE.includes(demuxer);
  const known = told
    ? facts
    : { ...facts, bitRate: undefined, duration: await measured(ffprobe, { file, demuxer, facts }, limited) };
  if (known.duration > limits.duration) {
    throw new DeliveryError(
      "LimitExceeded",
      `The film lasts ${Math.round(known.duration)} seconds; the limit is ${limits.duration}.`,
    );
  }
  return known;
}

/**
 * Demuxers of films that begin at 0. Those that were cut out of others with their clock may say when they end instead of
 * how long they last.
 */
const FROM_ZERO: readonly string[] = ["matroska", "mov"];
const LATE_SECONDS = 1;

/** Demuxers of pictures without times. ffprobe guesses by the bit rate how long they last. */
export const BARE: readonly string[] = ["mpegvideo", "hevc"];

/**
 * Seconds from the first packet to the end of the last, where the header doesn't tell: what browsers record, what was
 * never written to its end. All of the file is read for it, and nothing decoded. 0: it holds no packet.
 */
async function measured(
  ffprobe: string,
  { file, demuxer, facts }: { readonly file: string; readonly demuxer: string; readonly facts: FilmFacts },
  options: RunOptions,
): Promise<number> {
  const stream = String(facts.video ?? facts.audio);
  const entries = "packet=pts_time,dts_time,duration_time";
  let first = Infinity;
  let end = 0;
  let sum = 0;
  await run(
    ffprobe,
    [
      ...words("-v error"),
      ...looking(demuxer),
      ...words(`-select_streams ${stream} -show_entries ${entries} -print_format csv=p=0`),
      file,
    ],
    {
      ...options,
      onLine(line) {
        const [shown, decoded, length] = line.split(",").map(Number);
        const seconds = length! > 0 ? length! : 0;
        // Packets without times follow one another.
        const start = shown! >= 0 ? shown! : decoded! >= 0 ? decoded! : sum;
        sum += seconds;
        first = Math.min(first, start);
        end = Math.max(end, start + seconds);
      },
    },
  );
  return Number(Math.max(0, end - first).toFixed(6));
}

function parsed(text: string): Probed {
  try {
    return JSON.parse(text) as Probed;
  } catch {
    // Only what is too long to be kept whole is no JSON.
    throw tooManyStreams();
  }
}
const tooManyStreams = (): DeliveryError =>
  new DeliveryError("LimitExceeded", `The film has too many streams; the limit is ${STREAMS_MAX}.`);

function factsOf({ streams = [], format = {} }: Probed, limits: VideoLimits): FilmFacts {
  if (streams.length > STREAMS_MAX) throw tooManyStreams();
  const video = streams.find(
    ({ codec_type: type, width = 0, height = 0, disposition }) =>
      type === "video" && width > 0 && height > 0 && disposition?.attached_pic !== 1,
  );
  const sounds = streams.filter(({ codec_type: type }) => type === "audio");
  const heard = sounds.filter(({ codec_name: codec = "" }) => DECODERS.includes(codec));
  // Where none can be decoded, only what needs the sound fails.
  const audio = heard.find(({ disposition }) => disposition?.default === 1) ?? heard[0] ?? sounds[0];
  if (video === undefined && audio === undefined) {
    throw new DeliveryError("UnsupportedSource", "The file holds neither picture nor sound.");
  }
  const duration = positive(format.duration) ?? positive(video?.duration) ?? 0;
  const began = Number(format.start_time ?? 0) || 0;
  return {
    ...sizeOf(video, limits),
    duration,
    video: video?.index,
    audio: audio?.index,
    audioFrom: Number(audio?.start_time ?? began) - began || 0,
    ...pictureTimes(video, began),
    frameRate: rateOf(video),
    square: ratioOf(video?.sample_aspect_ratio) === 1,
    interlaced: INTERLACED.includes(video?.field_order ?? ""),
    colouring: colouringOf(video),
    clearDecoder: video && isClear(video) ? CLEAR_DECODERS[video.codec_name ?? ""] : undefined,
    videoCodec: video?.codec_name,
    audioCodec: audio?.codec_name,
    bitRate: positive(format.bit_rate),
  };
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text);
  return value > 0 && Number.isFinite(value) ? value : undefined;
}

/** `began`: the film's clock at its beginning. */
function pictureTimes(video: Stream | undefined, began: number): Pick<Timing, "pictureFrom" | "pictureTo"> {
  const from = Number(video?.start_time ?? began) - began || 0;
  const length = positive(video?.duration);
  if (length !== undefined) return { pictureFrom: from, pictureTo: from + length };
  // Matroska's, of its clock at the end.
  const [, hours, minutes, seconds] =
    /^(\d\d):(\d\d):(\d\d\.\d{1,9})$/.exec(video?.tags?.DURATION ?? "") ?? [];
  const end = positive(String(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)));
  return { pictureFrom: from, pictureTo: end === undefined ? undefined : end - began };
}

/** @throws DeliveryError LimitExceeded */
function sizeOf(video: Stream | undefined, { pixels }: VideoLimits): { width: number; height: number } {
  const height = video?.height ?? 0;
  const width = Math.round((video?.width ?? 0) * ratioOf(video?.sample_aspect_ratio));
  if (width * height > pixels) {
    throw new DeliveryError(
      "LimitExceeded",
      `The film has ${width} by ${height} pixels; the limit is ${pixels} in all.`,
    );
  }
  if (video?.codec_name === "gif" && width * height * Number(video.nb_frames ?? 1) > GIF_PIXELS_MAX) {
    throw new DeliveryError(
      "LimitExceeded",
      `The GIF has ${video.nb_frames} frames of ${width} by ${height} pixels; the limit is ${GIF_PIXELS_MAX} pixels in all.`,
    );
  }
  const rotation =
    video?.side_data_list?.find((data) => data.rotation !== undefined)?.rotation ?? video?.tags?.rotate ?? 0;
  const lying = Math.abs(Math.round(Number(rotation))) % 180 === 90;
  return lying ? { width: height, height: width } : { width, height };
}

function colouringOf(video: Stream | undefined): Colouring {
  return {
    pixels: video?.pix_fmt,
    full: video?.color_range === "pc",
    matrix: said(video?.color_space),
    primaries: said(video?.color_primaries),
    transfer: said(video?.color_transfer),
    lines: video?.height ?? 0,
  };
}
const said = (word: string | undefined): string | undefined =>
  word === "unknown" || word === "reserved" ? undefined : word;

/** WebM keeps opacity in a picture of its own beside each. */
const isClear = ({ tags }: Stream): boolean => (tags?.alpha_mode ?? tags?.ALPHA_MODE) === "1";
const CLEAR_DECODERS: Readonly<Record<string, string>> = { vp8: "libvpx", vp9: "libvpx-vp9" };

/** Width of a pixel by its height: `4:3`. `0:1` and `N/A` say nothing. */
function ratioOf(text: string | undefined): number {
  const [, across = "", down = ""] = /^(\d{1,9}):(\d{1,9})$/.exec(text ?? "") ?? [];
  const ratio = Number(across) / Number(down);
  return ratio > 0.1 && ratio < 10 ? ratio : 1;
}

/** Which lines are stored first, and which are shown first. */
const INTERLACED: readonly string[] = ["tt", "bb", "tb", "bt"];

/** Where nothing is said that can be true. */
const USUAL_RATE = "25/1";
/** Beyond that ffprobe has found the ticks of a clock, not frames. */
const DENSEST_RATE = 240;

/** What screens and telephones record comes at one rate for a while and at another then. */
function rateOf(video: Stream | undefined): string {
  const average = fraction(video?.avg_frame_rate);
  const densest = fraction(video?.r_frame_rate);
  // About twice as many are fields.
  const fields = Math.abs(densest.value / average.value - 2) < 0.05;
  // The mean is a little too high where the file says that the last frame is short.
  const denser = densest.value > average.value * 0.97 && densest.value <= DENSEST_RATE && !fields;
  const { text, value } = denser ? densest : average;
  if (value > FRAME_RATE_MAX) return `${FRAME_RATE_MAX}/1`;
  return value > 0 ? text : USUAL_RATE;
}

/** 0: it says nothing. */
function fraction(text = ""): { readonly text: string; readonly value: number } {
  const [, above, below] = /^(\d{1,9})\/(\d{1,9})$/.exec(text) ?? [];
  const value = Number(above) / Number(below);
  return { text, value: value > 0 && Number.isFinite(value) ? value : 0 };
}
