/** The table's rows that only films have: what is seen of their frames. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clip, frameAt, hasFfmpeg, probeFilm } from "../video/clips.ts";
import { canvas, colourAt, difference, laid, pixelsOf, type Pixels, type Rgba } from "./pixels.ts";
import { openStage, served, type Stage } from "./setup.ts";

const RED: Rgba = [255, 0, 0, 255];
const BLUE: Rgba = [0, 0, 255, 255];
const GREEN: Rgba = [0, 255, 0, 255];
/** Chroma at half the size and a coarse quality: edges are soft. */
const NEAR = 8;

/** As clip() makes it: red and blue, then all green. */
const early = (width: number, height: number): Pixels =>
  laid(canvas(width, height, BLUE), canvas(width / 2, height, RED), 0, 0);
const late = (width: number, height: number): Pixels => canvas(width, height, GREEN);
const far = async (body: Buffer, seconds: number, expected: Pixels): Promise<number> =>
  difference(await pixelsOf(await frameAt(body, seconds)), expected).mean;

describe.skipIf(!(await hasFfmpeg()))("films", () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
    const meta = { meta: { contentType: "video/mp4" } };
    await stage.site.put("film.mp4", await clip({ width: 320, height: 180, seconds: 4 }), meta);
    await stage.site.put("words.srt", Buffer.from("1\n00:00:01,000 --> 00:00:03,000\nHello there\n"));
  }, 60_000);
  afterAll(() => stage[Symbol.asyncDispose]());

  const film = async (transformation: string): Promise<Buffer> =>
    (await served(stage, `/root/film.mp4?tr=${encodeURIComponent(transformation)}`)).body;
  test("so-, eo- and du- cut: the frames are those of that time", async () => {
    const begun = await film("w-160,so-1.5,eo-3");
    expect(await far(begun, 0.2, early(160, 90))).toBeLessThan(NEAR);
    expect(await far(begun, 1, late(160, 90))).toBeLessThan(NEAR);
    expect(await far(begun, 1, early(160, 90))).toBeGreaterThan(60);
    const short = await film("w-160,so-2.5,du-1");
    expect(await far(short, 0.1, late(160, 90))).toBeLessThan(NEAR);
    expect((await probeFilm(short)).seconds).toBeCloseTo(1, 0);
    const thumbnail = await served(stage, "/root/film.mp4/ik-thumbnail.jpg?tr=so-3,w-160");
    expect(difference(await pixelsOf(thumbnail.body), late(160, 90)).mean).toBeLessThan(NEAR);
  }, 120_000);

  test.each([
    ["f-mp4,vc-h264,ac-none", "h264 160x90"],
    ["f-webm,vc-vp9,ac-none", "vp9 160x90"],
    ["f-webm,vc-av1,ac-none", "av1 160x90"],
  ])(
    "%s is the same film in that codec",
    async (transformation, stream) => {
      const body = await film(`w-160,${transformation},du-0.5`);
      expect((await probeFilm(body)).streams).toEqual([stream]);
      expect(await far(body, 0.2, early(160, 90))).toBeLessThan(NEAR);
    },
    120_000,
  );

  test("l-video is a film on the film, of its size, at its place and in its time", async () => {
    const body = await film("l-video,i-film.mp4,w-80,lx-200,ly-100,lso-0.5,ldu-1,l-end");
    const both = laid(early(320, 180), early(80, 45), 200, 100);
    expect(await far(body, 0.2, early(320, 180))).toBeLessThan(NEAR);
    const during = await pixelsOf(await frameAt(body, 1));
    expect(difference(during, both).mean).toBeLessThan(NEAR);
    expect(colourAt(during, 215, 120)[0]).toBeGreaterThan(180);
    expect(await far(body, 1.8, early(320, 180))).toBeLessThan(NEAR);
  }, 120_000);

  test("an extract of which one edge is named lies by the focus along the other side", async () => {
    const body = await film("w-100,h-90,cm-extract,y-0,fo-left,du-0.5");
    expect(await far(body, 0.2, canvas(100, 90, RED))).toBeLessThan(NEAR);
  }, 120_000);

  test("bg-blurred_0 is the film itself, not softened", async () => {
    const body = await film("w-160,h-181,cm-pad_resize,bg-blurred_0,du-0.5");
    const seen = await pixelsOf(await frameAt(body, 0.2));
    // Beside the edge between red and blue, on the canvas.
    const [left, right] = [colourAt(seen, 76, 10), colourAt(seen, 83, 10)];
    expect([left[0] - left[2] > 220, right[2] - right[0] > 220, left, right]).toEqual([
      true,
      true,
      left,
      right,
    ]);
  }, 120_000);

  test("l-subtitles are seen while they are said", async () => {
    const body = await film("l-subtitles,i-words.srt,co-FFFFFF,l-end");
    const white = async (seconds: number): Promise<number> => {
      const { data } = await pixelsOf(await frameAt(body, seconds));
      let count = 0;
      for (let n = 0; n < data.length; n += 4)
        if (Math.min(data[n]!, data[n + 1]!, data[n + 2]!) > 120) count++;
      return count;
    };
    expect(await white(0.5)).toBe(0);
    expect(await white(1.5)).toBeGreaterThan(50);
  }, 120_000);

  test("sr-240 is a rendition of that height, with the film's frames", async () => {
    const master = (await served(stage, "/root/film.mp4/ik-master.m3u8?tr=sr-240")).body.toString();
    const playlist = new URL(
      master.split("\n").find((line) => line !== "" && !line.startsWith("#"))!,
      `${stage.site.url}/root/film.mp4/ik-master.m3u8`,
    );
    const media = await (await fetch(playlist)).text();
    const names = [
      /#EXT-X-MAP:URI="([^"]+)"/.exec(media)![1]!,
      ...media.split("\n").filter((line) => /^[^#]/.test(line)),
    ];
    const pieces = await Promise.all(
      names.map(async (name) => Buffer.from(await (await fetch(new URL(name, playlist))).arrayBuffer())),
    );
    const frame = await pixelsOf(await frameAt(Buffer.concat(pieces), 0.5));
    expect(frame.height).toBeLessThanOrEqual(240);
    expect(difference(frame, early(frame.width, frame.height)).mean).toBeLessThan(NEAR);
  }, 120_000);
});
