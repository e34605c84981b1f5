/** Films that are none, that lie, or that lead elsewhere; and what is laid over films. */
import { describe } from "vitest";
import { clip, hasFfmpeg } from "../video/clips.ts";
import { box, full } from "./containers.ts";
import { survives, type Ending, type Hostile } from "./cases.ts";
import { gifOf, junk, latin, u32 } from "./rasters.ts";

const NO_FILM: Ending = /4(00 InvalidParameter|04 NotFound|13 SourceTooLarge|15 UnsupportedSource|22 \w+)/;
const FILM: Ending = new RegExp(`200|${NO_FILM.source}`);

/** What can be asked of a film: made small, a picture of it, what it is, a stream. */
const ways = (file: string): string[] => [
  `tr:w-64,h-36/${file}`,
  `tr:w-10/${file}/ik-thumbnail.jpg`,
  `${file}/metadata`,
  `${file}/ik-master.m3u8?tr=sr-240`,
];

const film = (await hasFfmpeg())
  ? clip({ width: 64, height: 36, seconds: 1 })
  : Promise.resolve(Buffer.alloc(0));

/** The numbers in front of, or behind, a box's name are others. */
const lying =
  (name: string, offset: number, ...values: readonly number[]) =>
  async (): Promise<Buffer> => {
    const copy = Buffer.from(await film);
    u32(...values).copy(copy, copy.indexOf(name) + offset);
    return copy;
  };

/** A film whose samples lie in another file: ISO/IEC 14496-12, section 8.7.2; QuickTime's aliases. */
const elsewhere = (kind: "url " | "alis", place: string) => async (): Promise<Buffer> => {
  const copy = Buffer.from(await film);
  const at = copy.indexOf("dref") - 4;
  const size = copy.readUInt32BE(at);
  const reference = box("dref", u32(0, 1), full(kind, latin(`${place}\0`)));
  const grown = Buffer.concat([copy.subarray(0, at), reference, copy.subarray(at + size)]);
  for (const name of ["dinf", "minf", "mdia", "trak", "moov"]) {
    const start = grown.lastIndexOf(name, at) - 4;
    grown.writeUInt32BE(grown.readUInt32BE(start) + reference.length - size, start);
  }
  return grown;
};

/** Tracks of nothing. */
const tracks = (count: number): Buffer => {
  const track = box(
    "trak",
    full("tkhd", Buffer.alloc(80)),
    box(
      "mdia",
      full("mdhd", Buffer.alloc(20)),
      full("hdlr", u32(0), latin("text"), Buffer.alloc(13)),
      box(
        "minf",
        box(
          "stbl",
          full("stsd", u32(1), box("text", Buffer.alloc(51))),
          full("stts", u32(0)),
          full("stsc", u32(0)),
          full("stsz", u32(0, 0)),
          full("stco", u32(0)),
        ),
      ),
    ),
  );
  return Buffer.concat([
    box("ftyp", latin("isom\0\0\0\0isom")),
    box("moov", full("mvhd", Buffer.alloc(96)), ...Array<Buffer>(count).fill(track)),
  ]);
};

/** Text that calls itself a film: playlists, lists, scripts. */
const TEXTS: Readonly<Record<string, string>> = {
  "hls.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
  "hlskey.ts": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="http://127.0.0.1:1/"\n#EXTINF:1,\n/etc/passwd\n',
  "dash.mp4": '<?xml version="1.0"?><MPD><Period><BaseURL>file:///etc/passwd</BaseURL></Period></MPD>',
  "concat.mp4": "ffconcat version 1.0\nfile /etc/passwd\n",
  "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5000 RTP/AVP 96\n",
  "subtitle.mp4": "1\n00:00:00,000 --> 99:59:59,999\nHello\n",
  "meta.mp4": ";FFMETADATA1\ntitle=x\n",
  "lavfi.mp4": "testsrc=size=30000x30000",
  "mvg.mp4": "push graphic-context\nimage over 0,0 0,0 'http://127.0.0.1:1/'\n",
};

const SOURCES: Hostile[] = [
  {
    name: "texts that call themselves films",
    files: Object.fromEntries(Object.entries(TEXTS).map(([name, text]) => [name, latin(text)])),
    urls: Object.keys(TEXTS).flatMap(ways),
    ends: NO_FILM,
  },
  {
    name: "a playlist inside of an AVI, and one behind each film's first bytes",
    files: {
      "gab2.avi": Buffer.concat([
        latin("RIFF"),
        u32(0xffff0000),
        latin("AVI LIST"),
        u32(0x40000000),
        latin("hdrl"),
        latin("GAB2\0\x02\0"),
        latin(TEXTS["hls.mp4"]!),
      ]),
      "ftyp.mp4": Buffer.concat([box("ftyp", latin("isom\0\0\0\0isom")), latin(TEXTS["hls.mp4"]!)]),
      "ebml.webm": Buffer.concat([Buffer.from("1a45dfa3", "hex"), latin(TEXTS["hls.mp4"]!)]),
      "oggs.ogg": Buffer.concat([latin("OggS"), latin(TEXTS["hls.mp4"]!)]),
      "mpeg.mpg": Buffer.concat([Buffer.from("000001ba", "hex"), latin(TEXTS["hls.mp4"]!)]),
    },
    urls: ["gab2.avi", "ftyp.mp4", "ebml.webm", "oggs.ogg", "mpeg.mpg"].flatMap(ways),
    ends: NO_FILM,
  },
  {
    name: "whose samples lie in other files",
    files: {
      "file.mp4": elsewhere("url ", "file:///etc/passwd"),
      "http.mp4": elsewhere("url ", "http://127.0.0.1:1/x.mp4"),
      "alias.mov": elsewhere("alis", "../../../../etc/passwd"),
    },
    urls: ["file.mp4", "http.mp4", "alias.mov"].flatMap(ways),
    ends: FILM,
  },
  {
    name: "of sizes that they aren't",
    files: {
      "wide.mp4": lying("avc1", 28, 0xffffffff),
      "track.mp4": lying("tkhd", 80, 0xffffffff, 0xffffffff),
      "negative.mp4": lying("avc1", 28, 0x80008000),
      "ratio.mp4": lying("pasp", 4, 0xffffffff, 1),
    },
    urls: ["wide.mp4", "track.mp4", "negative.mp4", "ratio.mp4"].flatMap(ways),
    ends: FILM,
  },
  {
    name: "of no time, of all time, of four billion samples",
    files: {
      "none.mp4": lying("mvhd", 16, 0, 0),
      "all.mp4": lying("mvhd", 16, 1, 0xffffffff),
      "samples.mp4": lying("stsz", 8, 0, 0xffffffff),
      "large.mp4": lying("stsz", 8, 0xffffffff),
      "rate.mp4": lying("stts", 8, 1, 0xffffffff, 1),
      "slow.mp4": lying("stts", 8, 1, 2, 0x7fffffff),
      "chunks.mp4": lying("stco", 8, 0xffffffff),
    },
    urls: ["none", "all", "samples", "large", "rate", "slow", "chunks"].flatMap((name) =>
      ways(`${name}.mp4`),
    ),
    ends: FILM,
  },
  {
    name: "of a hundred and of fifty thousand tracks",
    files: { "100.mp4": tracks(100), "50000.mp4": () => tracks(50_000) },
    urls: [...ways("100.mp4"), ...ways("50000.mp4")],
    ends: NO_FILM,
  },
  {
    name: "of boxes in boxes, of boxes without end, of noise",
    files: {
      "deep.mp4": () => {
        let inner = box("free");
        for (let n = 0; n < 20_000; n++) inner = box(n % 2 === 0 ? "moov" : "trak", inner);
        return Buffer.concat([box("ftyp", latin("isom\0\0\0\0isom")), inner]);
      },
      "zero.mp4": Buffer.concat([
        box("ftyp", latin("isom\0\0\0\0isom")),
        u32(0),
        latin("moov"),
        Buffer.alloc(99),
      ]),
      "boxes.mp4": Buffer.concat([
        box("ftyp", latin("isom\0\0\0\0isom")),
        ...Array<Buffer>(200_000).fill(box("moov")),
      ]),
      "noise.mp4": Buffer.concat([box("ftyp", latin("isom\0\0\0\0isom")), box("moov", junk(1 << 20))]),
      "noise.webm": Buffer.concat([Buffer.from("1a45dfa3", "hex"), junk(1 << 20)]),
      "noise.ts": Buffer.concat(
        Array.from({ length: 2000 }, (_, n) => Buffer.concat([Buffer.from([0x47]), junk(187, n)])),
      ),
    },
    urls: ["deep.mp4", "zero.mp4", "boxes.mp4", "noise.mp4", "noise.webm", "noise.ts"].flatMap(ways),
    ends: FILM,
  },
  {
    name: "animations that are to become films",
    files: {
      "canvas.gif": gifOf(65_535, 65_535, 3, 0, 65_535),
      "frames.gif": gifOf(4000, 4000, 3000),
      "still.gif": gifOf(1000, 1000, 100_000),
      "none.gif": gifOf(9, 9, 0),
    },
    urls: [
      "canvas.gif/ik-gif-video.mp4",
      "frames.gif/ik-gif-video.mp4",
      "still.gif/ik-gif-video.mp4",
      "none.gif/ik-gif-video.mp4",
    ],
    ends: NO_FILM,
  },
];

const captions = (text: string): Buffer => latin(`1\n00:00:00,000 --> 00:00:09,000\n${text}\n`);
const OVERLAYS: Hostile[] = [
  {
    name: "subtitles that are bombs, commands, other files",
    files: {
      "film.mp4": () => film,
      "long.srt": captions("W".repeat(1 << 20)),
      "many.srt": () =>
        Buffer.concat(
          Array.from({ length: 40_000 }, (_, n) => latin(`${n}\n00:00:00,000 --> 00:00:09,000\nx\n\n`)),
        ),
      "crowd.srt": () =>
        Buffer.concat(
          Array.from({ length: 19_000 }, (_, n) => latin(`${n}\n00:00:00,000 --> 00:00:09,000\nx\n\n`)),
        ),
      "tags.srt": captions(`${"<b><i><u>".repeat(50_000)}x`),
      "ass.srt": captions("{\\fs99999\\bord9999\\blur999\\p1}m 0 0 l 99999 99999{\\fnx\\t(0,9,\\fs9999)}"),
      "font.ass": latin(
        "[Script Info]\nPlayResX: 99999999\n[Fonts]\nfontname: ../../x.ttf\n!!!!\n[Events]\nDialogue: 0,0:00:00.00,9:59:59.99,Default,,0,0,0,,x",
      ),
      "signs.srt": () =>
        Buffer.concat(
          Array.from({ length: 190 }, (_, n) => {
            const signs = Array.from({ length: 2400 }, (__, m) => 0x10000 + n * 2400 + m);
            const [from, to] = [n, n + 1].map((time) => `00:00.${String(time * 5).padStart(3, "0")}`);
            return Buffer.from(`${from} --> ${to}\n${String.fromCodePoint(...signs)}\n\n`);
          }),
        ),
      "open.srt": captions("{\\".repeat(2400)),
      "noise.srt": junk(100_000),
      "none.srt": Buffer.alloc(0),
      "page.vtt": latin(
        "WEBVTT\n\nSTYLE\n::cue{background:url(http://127.0.0.1:1/)}\n\n00:00.000 --> 00:09.000\n<c.x><script>x",
      ),
      "list.srt": latin(TEXTS["concat.mp4"]!),
    },
    urls: [
      "long.srt",
      "many.srt",
      "crowd.srt",
      "tags.srt",
      "ass.srt",
      "signs.srt",
      "open.srt",
      "font.ass",
      "noise.srt",
      "none.srt",
      "page.vtt",
      "list.srt",
      "../../etc/passwd",
      "x.srt'%2Csubtitles=%2Fetc%2Fpasswd",
    ].map((file) => `tr:l-subtitles,i-${file.replaceAll("/", "@@")},l-end/film.mp4`),
    ends: FILM,
  },
  {
    name: "words of filters in texts and values",
    files: { "film.mp4": () => film },
    urls: [
      "l-text,i-%25%7Bpts%7D%25%7Beif:1:d%7D,l-end",
      `l-text,ie-${encodeURIComponent(Buffer.from("':textfile=/etc/passwd:x='").toString("base64"))},l-end`,
      `l-text,ie-${encodeURIComponent(Buffer.from("[in];movie=/etc/passwd[out]\\\n\0'").toString("base64"))},l-end`,
      "l-text,i-a,ff-x':textfile=@@etc@@passwd,l-end",
      "l-image,i-film.mp4,l-end",
      "l-image,i-..@@..@@etc@@passwd,l-end",
      "l-video,i-film.mp4,lx-1_div_0,l-end",
      "l-video,i-film.mp4,lso-NaN,l-end",
      "l-text,i-a,lx-bw_pow_99,ly-N99999999999,l-end",
      "l-text,i-a,fs-16000,l-end",
      "so-99999999999",
      "so-0,du-0.000001",
      "so-idu_div_0",
      "du-idu_pow_99",
      "w-8192,h-8192,c-force",
      "w-16000",
      "b-5000_FF0000",
      "bl-100",
      "rt-45",
      "vc-h264%3B",
      "sr-240_99999",
    ].map((chain) => `tr:${chain}/film.mp4`),
    ends: FILM,
  },
  {
    name: "sixteen films on a film, seventeen, and a film on itself in itself",
    files: { "film.mp4": () => film },
    urls: [16, 17, 100].map(
      (count) => `tr:${Array(count).fill("l-video,i-film.mp4,w-20,l-end").join(",")}/film.mp4`,
    ),
    ends: FILM,
  },
];

describe.skipIf((await film).length === 0)("films", () => {
  survives("of strangers", SOURCES);
  survives("with layers of strangers", OVERLAYS);
});
