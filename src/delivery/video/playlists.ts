/** What players read of a stream: HLS and DASH over the same segments. Pure: sets are files of sets.ts. */
import { escapeXml } from "../../lib/xml.ts";
import { numberOf } from "./frames.ts";

/** Seconds of a segment: short ones start sooner. */
export const SEGMENT_SECONDS = 2;

export interface Rendition {
  /** `v0`: what its files are called. */
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Bits per second of its worst pieces, or what they can't exceed. */
  readonly rate: number;
  /** H.264's, times ten. */
  readonly level: number;
}

export interface StreamSet {
  readonly renditions: readonly Rendition[];
  /** Bits per second of its worst pieces; undefined: there is no sound. */
  readonly audio: number | undefined;
  /** A fraction: `30000/1001`. */
  readonly frameRate: string;
  /** As the source says; what is encoded may differ by some frames. */
  readonly seconds: number;
}

/** How files are named to players: what stands before a name, and behind it. */
export interface Addressing {
  readonly prefix: string;
  /** A query with its question mark, or "". */
  readonly suffix: string;
}

/** The track of the sound; those of pictures are called by their renditions. */
export const SOUND = "a0";
export const tracksOf = ({ renditions, audio }: StreamSet): string[] => [
  ...renditions.map(({ name }) => name),
  ...(audio === undefined ? [] : [SOUND]),
];

/** Files of a track. */
export const playlistName = (track: string): string => `${track}.m3u8`;
export const initName = (track: string): string => `${track}.init.mp4`;
/** `number`: five digits, or what stands for them where they are counted. */
export const segmentName = (track: string, number: string): string => `${track}.${number}.m4s`;

export const MASTERS = { hls: "master.m3u8", dash: "manifest.mpd" } as const;
const SET_FILE = /^(?:master\.m3u8|manifest\.mpd|(?:v\d|a0)\.(?:m3u8|init\.mp4|\d{5}\.m4s))$/;

/** Whether a set can have a file of that name. */
export const isSetFile = (name: string): boolean => SET_FILE.test(name);

const TYPES: Readonly<Record<string, string>> = {
  m3u8: "application/vnd.apple.mpegurl",
  mpd: "application/dash+xml",
  m4s: "video/iso.segment",
  mp4: "video/mp4",
};
/** Media type of a file of a set. */
export function typeOfSetFile(name: string): string {
  if (name === initName(SOUND)) return "audio/mp4";
  return TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
}

/** H.264 High in four bytes' worth of hexadecimal (RFC 6381). */
const codecOf = ({ level }: Rendition): string => `avc1.6400${level.toString(16).padStart(2, "0")}`;
const AUDIO_CODEC = "mp4a.40.2";

/** Names in playlists stand in quotes and on lines of their own; queries of strangers must not leave them. */
const uri = (name: string, { prefix, suffix }: Addressing): string =>
  `${prefix}${name}${suffix.replaceAll(/["<>\\\s]/g, (character) => encodeURIComponent(character))}`;

/** RFC 8216, section 4.3.4. */
export function masterPlaylist({ renditions, audio, frameRate }: StreamSet, how: Addressing): string {
  const lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"];
  if (audio !== undefined) {
    const media = 'TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"';
    lines.push(`#EXT-X-MEDIA:${media},URI="${uri(playlistName(SOUND), how)}"`);
  }
  for (const rendition of renditions) {
    const { name, width, height, rate } = rendition;
    const attributes = [
      `BANDWIDTH=${rate + (audio ?? 0)}`,
      `RESOLUTION=${width}x${height}`,
      `FRAME-RATE=${numberOf(frameRate).toFixed(3)}`,
      `CODECS="${[codecOf(rendition), ...(audio === undefined ? [] : [AUDIO_CODEC])].join(",")}"`,
      ...(audio === undefined ? [] : ['AUDIO="audio"']),
    ];
    lines.push(`#EXT-X-STREAM-INF:${attributes.join(",")}`, uri(playlistName(name), how));
  }
  return `${lines.join("\n")}\n`;
}

const INFO = /^#EXTINF:(\d+(?:\.\d+)?),/;

/** Seconds of the segments that a media playlist of ffmpeg's names. */
export const segmentsOf = (playlist: string): number[] =>
  playlist.split("\n").flatMap((line) => {
    const seconds = INFO.exec(line)?.[1];
    return seconds === undefined ? [] : [Number(seconds)];
  });

/**
 * Bits per second of the worst pieces: of neighbours that together last about as long as a piece should.
 * RFC 8216, section 4.1.
 */
export function peakRate(pieces: readonly { readonly seconds: number; readonly bytes: number }[]): number {
  const target = Math.max(1, Math.round(Math.max(...pieces.map(({ seconds }) => seconds))));
  let peak = 0;
  for (const start of pieces.keys()) {
    let [seconds, bytes] = [0, 0];
    for (let n = start; n < pieces.length; n++) {
      seconds += pieces[n]!.seconds;
      bytes += pieces[n]!.bytes;
      if (seconds > target * 1.5) break;
      // A film that is shorter than that has no others.
      if (seconds >= target / 2 || pieces.length === 1) peak = Math.max(peak, (bytes * 8) / seconds);
    }
  }
  return Math.ceil(peak);
}

/** ffmpeg's media playlist with our names; one that is complete may be jumped around in. */
export function mediaPlaylist(playlist: string, how: Addressing): string {
  const complete = playlist.includes("#EXT-X-ENDLIST");
  return playlist
    .split("\n")
    .map((line) => {
      if (line === "#EXT-X-PLAYLIST-TYPE:EVENT" && complete) return "#EXT-X-PLAYLIST-TYPE:VOD";
      if (line === "" || line.startsWith("#")) {
        return line.replace(/URI="([^"]+)"/, (_, name: string) => `URI="${uri(name, how)}"`);
      }
      return uri(line, how);
    })
    .join("\n");
}

const total = (seconds: readonly number[]): number => seconds.reduce((sum, one) => sum + one, 0);

/** Ticks of a second in what we write. */
const TIMESCALE = 1000;
/** What is left over at the end of a film and makes no segment of its own, in seconds. */
const LEFTOVER_SECONDS = 0.1;

/**
 * Static: players may begin at the start while it is still being encoded. `segments`: seconds of each, by the name of a
 * rendition; without them the segments are those that will come, and who asks for one waits for it.
 * ISO/IEC 23009-1, section 5.
 */
export function manifest(
  set: StreamSet,
  segments: ReadonlyMap<string, readonly number[]> | undefined,
  how: Addressing,
): string {
  const { renditions, audio, frameRate, seconds } = set;
  const foreseen = Math.max(
    SEGMENT_SECONDS,
    Math.ceil((seconds - LEFTOVER_SECONDS) / SEGMENT_SECONDS) * SEGMENT_SECONDS,
  );
  // Sound may go on when the picture is over, or the other way round.
  const duration =
    segments === undefined ? Math.min(seconds, foreseen) : Math.max(...[...segments.values()].map(total));
  const template = (name: string): string => templateOf(name, segments?.get(name), how);
  const sides = {
    maxWidth: Math.max(...renditions.map(({ width }) => width)),
    maxHeight: Math.max(...renditions.map(({ height }) => height)),
  };
  const video = renditions.map((rendition) => {
    const { name, width, height, rate } = rendition;
    return (
      `<Representation id="${name}" bandwidth="${rate}" codecs="${codecOf(rendition)}" width="${width}" ` +
      `height="${height}" frameRate="${frameRate}" sar="1:1">${template(name)}</Representation>`
    );
  });
  const sound =
    `<AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1">` +
    `<Representation id="${SOUND}" bandwidth="${audio}" codecs="${AUDIO_CODEC}" audioSamplingRate="48000">` +
    `<AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2"/>` +
    `${template(SOUND)}</Representation></AdaptationSet>`;
  return [
    '<?xml version="1.0" encoding="utf-8"?>',
    '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" ' +
      `mediaPresentationDuration="PT${duration.toFixed(3)}S" minBufferTime="PT${SEGMENT_SECONDS * 2}S">`,
    '<Period id="0" start="PT0S">',
    '<AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1" ' +
      `maxWidth="${sides.maxWidth}" maxHeight="${sides.maxHeight}">`,
    ...video,
    "</AdaptationSet>",
    ...(audio === undefined ? [] : [sound]),
    "</Period>",
    "</MPD>",
    "",
  ].join("\n");
}

function templateOf(name: string, segments: readonly number[] | undefined, how: Addressing): string {
  // A dollar in a query would be taken for the beginning of a variable.
  const { prefix, suffix } = how;
  const address = (file: string): string =>
    escapeXml(uri(file, { prefix, suffix: suffix.replaceAll("$", "$$$$") }));
  const common =
    `timescale="${TIMESCALE}" startNumber="0" initialization="${address(initName(name))}" ` +
    `media="${address(segmentName(name, "$Number%05d$"))}"`;
  if (segments === undefined) {
    return `<SegmentTemplate ${common} duration="${SEGMENT_SECONDS * TIMESCALE}"/>`;
  }
  return `<SegmentTemplate ${common}><SegmentTimeline>${timeline(segments)}</SegmentTimeline></SegmentTemplate>`;
}

/** Runs of equally long segments; what is rounded in one is made up for in the next. */
function timeline(segments: readonly number[]): string {
  let end = 0;
  let seconds = 0;
  const runs: { start: number; ticks: number; more: number }[] = [];
  for (const segment of segments) {
    seconds += segment;
    const start = end;
    end = Math.round(seconds * TIMESCALE);
    const ticks = end - start;
    const run = runs.at(-1);
    if (run?.ticks === ticks) run.more++;
    else runs.push({ start, ticks, more: 0 });
  }
  return runs
    .map(({ start, ticks, more }) => `<S t="${start}" d="${ticks}"${more === 0 ? "" : ` r="${more}"`}/>`)
    .join("");
}
