/** What players read: HLS and DASH over the same segments. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  isSetFile,
  manifest,
  masterPlaylist,
  mediaPlaylist,
  peakRate,
  segmentsOf,
  type StreamSet,
} from "../../../../src/delivery/video/playlists.ts";

const SET: StreamSet = {
  renditions: [
    { name: "v0", width: 426, height: 240, rate: 200_000, level: 30 },
    { name: "v1", width: 1280, height: 720, rate: 3_300_000, level: 32 },
  ],
  audio: 128_000,
  frameRate: "30000/1001",
  seconds: 9,
};
const HOW = { prefix: "ik-stream/abc/", suffix: "?tr=sr-240_720" };
const PLAYLIST = [
  "#EXTM3U",
  "#EXT-X-VERSION:7",
  "#EXT-X-TARGETDURATION:2",
  "#EXT-X-PLAYLIST-TYPE:EVENT",
  '#EXT-X-MAP:URI="v0.init.mp4"',
  "#EXTINF:2.002000,",
  "v0.00000.m4s",
  "#EXTINF:1.500000,",
  "v0.00001.m4s",
  "",
].join("\n");

describe("names of pieces", () => {
  test.each([
    "master.m3u8",
    "manifest.mpd",
    "v0.m3u8",
    "a0.m3u8",
    "v6.init.mp4",
    "v1.00012.m4s",
    "a0.99999.m4s",
  ])("%s is one", (name) => {
    expect(isSetFile(name)).toBe(true);
  });
  test.each([
    "done",
    "set.json",
    "",
    "..",
    "../v0.m3u8",
    "v0.m3u8/..",
    "v0.m3u8\n",
    "v10.m3u8",
    "a1.m3u8",
    "v0.1.m4s",
    "v0.00000.m4s.tmp",
    "V0.m3u8",
  ])("%j is none", (name) => {
    expect(isSetFile(name)).toBe(false);
  });
});

test("the master playlist names every rendition with what a player must know", () => {
  expect(masterPlaylist(SET, HOW).split("\n").slice(3)).toEqual([
    '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="ik-stream/abc/a0.m3u8?tr=sr-240_720"',
    '#EXT-X-STREAM-INF:BANDWIDTH=328000,RESOLUTION=426x240,FRAME-RATE=29.970,CODECS="avc1.64001e,mp4a.40.2",AUDIO="audio"',
    "ik-stream/abc/v0.m3u8?tr=sr-240_720",
    '#EXT-X-STREAM-INF:BANDWIDTH=3428000,RESOLUTION=1280x720,FRAME-RATE=29.970,CODECS="avc1.640020,mp4a.40.2",AUDIO="audio"',
    "ik-stream/abc/v1.m3u8?tr=sr-240_720",
    "",
  ]);
  const mute = masterPlaylist({ ...SET, audio: undefined }, HOW);
  expect(mute).not.toMatch(/audio|mp4a/i);
});

test("a media playlist grows until it is complete", () => {
  const growing = mediaPlaylist(PLAYLIST, { prefix: "", suffix: "?q" });
  expect(growing).toContain("#EXT-X-PLAYLIST-TYPE:EVENT");
  expect(growing).toContain('#EXT-X-MAP:URI="v0.init.mp4?q"');
  expect(growing).toContain("\nv0.00001.m4s?q\n");
  const complete = mediaPlaylist(`${PLAYLIST}#EXT-X-ENDLIST\n`, { prefix: "", suffix: "" });
  expect(complete).toContain("#EXT-X-PLAYLIST-TYPE:VOD");
  expect(segmentsOf(PLAYLIST)).toEqual([2.002, 1.5]);
});

test("a manifest foresees its segments, and knows them at the end", () => {
  const foreseen = manifest(SET, undefined, HOW);
  expect(foreseen).toContain('type="static" mediaPresentationDuration="PT9.000S"');
  expect(foreseen).toContain('media="ik-stream/abc/v1.$Number%05d$.m4s?tr=sr-240_720" duration="2000"');
  const segments = new Map([
    ["v0", [2.002, 2.002, 2.002, 2.002, 0.9]],
    ["v1", [2.002, 2.002, 2.002, 2.002, 0.9]],
    ["a0", [2.005, 2.006]],
  ]);
  const known = manifest(SET, segments, HOW);
  expect(known).toContain('mediaPresentationDuration="PT8.908S"');
  expect(known).toContain('<S t="0" d="2002" r="3"/><S t="8008" d="900"/>');
  expect(known).toContain('<S t="0" d="2005"/><S t="2005" d="2006"/>');
});

test.each([
  [[2], [2, 2, 1]],
  [[2, 2, 1], [2]],
])(
  "a manifest lasts as long as the longest of a picture of %j seconds and a sound of %j",
  (picture, sound) => {
    const segments = Object.entries({ v0: picture, v1: picture, a0: sound });
    expect(manifest(SET, new Map(segments), HOW)).toContain('mediaPresentationDuration="PT5.000S"');
  },
);

test("a film hardly longer than its segments has no segment that never comes", () => {
  expect(manifest({ ...SET, seconds: 8.05 }, undefined, HOW)).toContain(
    'mediaPresentationDuration="PT8.000S"',
  );
});

test("queries of strangers stay within their names", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...Array.from("ab\"<>&\n\r $%'\\#,=")) }), (query) => {
      const how = { prefix: "", suffix: `?${query}` };
      const lines = masterPlaylist(SET, how).trimEnd().split("\n");
      expect(lines).toHaveLength(8);
      expect(lines.filter((line) => line.startsWith("v"))).toHaveLength(2);
      expect((lines[3]!.match(/"/g) ?? []).length).toBe(8);
      const xml = manifest(SET, undefined, how);
      for (const [, value] of xml.matchAll(/media="([^"]*)"/g)) {
        expect(value).not.toMatch(/[<>\s]/);
        expect(value!.replaceAll("$$", "").split("$")).toHaveLength(3);
      }
      expect([...xml.matchAll(/<SegmentTemplate /g)]).toHaveLength(3);
    }),
  );
});

test.each([
  [[[2, 1000]], 4000],
  [[[0.2, 100]], 4000],
  [
    [
      [2, 1000],
      [2, 3000],
      [2, 500],
    ],
    12_000,
  ],
  // What is left over is no piece by itself, and may make its neighbour worse.
  [
    [
      [2, 1000],
      [0.04, 800],
    ],
    7059,
  ],
  [
    [
      [2, 1000],
      [2, 1000],
      [0.04, 5],
    ],
    4000,
  ],
] as [[number, number][], number][])("the worst of %j is %d bits a second", (pieces, rate) => {
  expect(peakRate(pieces.map(([seconds, bytes]) => ({ seconds, bytes })))).toBe(rate);
});
