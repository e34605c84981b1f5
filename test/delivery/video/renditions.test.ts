/** What streams are made of: a film's transformations, sizes that it has, rates that they keep to. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTransformation } from "../../../src/delivery/origins/transformations.ts";
import { colourAt, openSite, type Site } from "../site.ts";
import { clip, frameAt, hasFfmpeg, loudness, made, probeFilm, remade } from "./clips.ts";
import { streamed } from "./streaming.ts";

const here = await hasFfmpeg();

type Seen = readonly [x: number, y: number, colour: string];

describe.skipIf(!here)("renditions", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite();
    await site.put("film.mp4", await clip({ width: 424, height: 240, seconds: 2 }));
    await site.put("over.mp4", await clip({ width: 100, height: 60, seconds: 2, sound: false }));
    const words = "1\n00:00:00,000 --> 00:00:09,000\nMMMMMMMMMM\nMMMMMMMMMM\n";
    await site.put("words.srt", Buffer.from(words));
  }, 60_000);
  afterAll(() => site[Symbol.asyncDispose]());

  test.each<[chain: string, size: string, ...Seen[]]>([
    [
      "l-image,i-ik_canvas,bg-FFFFFF,w-100,h-100,lx-0,ly-0,l-end",
      "424x240",
      [0.1, 0.2, "white"],
      [0.4, 0.2, "red"],
    ],
    ["l-video,i-over.mp4,fl-h,lx-0,ly-0,l-end", "424x240", [0.05, 0.1, "blue"], [0.2, 0.1, "red"]],
    ["l-text,i-MMMM,co-FFFFFF,bg-00FF00,pa-40,lfo-bottom_right,l-end", "424x240", [0.97, 0.95, "green"]],
    ["rt-90", "240x424", [0.5, 0.1, "red"], [0.5, 0.9, "blue"]],
    ["fl-h", "424x240", [0.1, 0.5, "blue"], [0.9, 0.5, "red"]],
    ["r-80,bg-FFFFFF", "424x240", [0.01, 0.01, "white"], [0.3, 0.3, "red"]],
    ["b-40_00FF00", "378x240", [0.04, 0.5, "green"], [0.3, 0.5, "red"]],
    ["b-40_00FF00:rt-180", "378x240", [0.04, 0.5, "green"], [0.3, 0.5, "blue"]],
    ["if-iw_gt_400,fl-h,if-else,rt-90,if-end", "424x240", [0.1, 0.5, "blue"]],
    ["c-force,so-1", "424x240", [0.1, 0.5, "green"]],
    ["n-turned", "240x424", [0.5, 0.1, "red"]],
  ])(
    "take %s",
    async (chain, size, ...places) => {
      await createTransformation(site.store, { name: "turned", chain: "rt-90" }).catch(() => undefined);
      const { film, master } = await streamed(site, `/root/film.mp4/ik-master.m3u8?tr=sr-240:${chain}`);
      expect(master).toContain(`RESOLUTION=${size},`);
      expect((await probeFilm(film)).streams).toEqual([`h264 ${size}`]);
      const frame = await frameAt(film, 0);
      for (const [x, y, colour] of places)
        expect([x, y, await colourAt(frame, x, y)]).toEqual([x, y, colour]);
    },
    60_000,
  );

  test("take subtitles, and layers that come and go, from the cut on", async () => {
    const block = "l-image,i-ik_canvas,bg-FFFFFF,w-100,h-100,lx-0,ly-0,lso-0.5,leo-1,l-end";
    const words = "l-subtitles,i-words.srt,fs-60,co-FFFFFF,l-end";
    const { film } = await streamed(site, `/root/film.mp4/ik-master.m3u8?tr=sr-240,so-0.4,${block},${words}`);
    const at = async (seconds: number): Promise<string> => colourAt(await frameAt(film, seconds), 0.1, 0.2);
    expect([await at(0.2), await at(0.7), await at(1.3)]).toEqual(["red", "white", "green"]);
    const frame = await frameAt(film, 0.1);
    const row = Array.from({ length: 200 }, (_, n) => colourAt(frame, n / 200, 0.88));
    expect(await Promise.all(row)).toContain("white");
  }, 60_000);

  test.each(["w-200", "h-100", "ar-1-1", "f-webm", "f-jpg", "vc-h264", "ac-none", "q-50", "q-80"])(
    "don't take %s, and say which and why",
    async (item) => {
      const { status, headers } = await site.get(`/root/film.mp4/ik-master.m3u8?tr=sr-240,${item}`);
      expect(status).toBe(400);
      const name = item.slice(0, item.indexOf("-"));
      expect(headers.get("x-windlass-error")).toBe(
        `InvalidParameter - ${name} can't stand beside sr: a stream says itself what sizes, codecs and rates it has.`,
      );
    },
    60_000,
  );

  test("have silence until the sound of the film begins, as films have: players see no edit lists", async () => {
    const sources = "-f lavfi -i color=red:s=160x90:r=25:d=3 -itsoffset 1.5 -f lavfi -i sine=d=1.5";
    await site.put("late.mp4", await made(sources.split(" ")));
    for (const [cut, seconds, silence] of [
      ["", 3, 1.5],
      [",so-1.1", 1.9, 0.4],
      [",eo-1", 1, 1],
      [",so-2", 1, 0],
    ] as const) {
      const path = `/root/late.mp4/ik-master.m3u8?tr=sr-240${cut}`;
      const { film, pieces } = await streamed(site, path, "sound");
      const sum = pieces.reduce((all, piece) => all + piece.seconds, 0);
      expect([cut, Math.abs(sum - seconds) < 0.06]).toEqual([cut, true]);
      const loud = async (from: number, to: number): Promise<boolean> =>
        (await loudness(await remade(film, ["-ss", `${from}`, "-t", `${to - from}`], "wav"))) > -40;
      const whole = await probeFilm((await site.get(`/root/late.mp4?tr=q-40${cut}`)).body);
      expect([cut, Math.abs(whole.seconds - seconds) < 0.06]).toEqual([cut, true]);
      if (silence > 0) expect([cut, await loud(0, silence - 0.1)]).toEqual([cut, false]);
      if (silence < seconds) expect([cut, await loud(silence + 0.05, seconds)]).toEqual([cut, true]);
    }
  }, 60_000);

  test("need no more bits than the table says, whatever the film", async () => {
    const args = "-f lavfi -i color=gray:s=426x240:r=25:d=8 -vf noise=alls=100:allf=t -c:v libx264 -crf 20";
    await site.put("noise.mp4", await made([...args.split(" "), "-preset", "ultrafast"]));
    const { pieces } = await streamed(site, "/root/noise.mp4/ik-master.m3u8?tr=sr-240");
    const seconds = pieces.reduce((sum, one) => sum + one.seconds, 0);
    const bits = 8 * pieces.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(Math.round(seconds)).toBe(8);
    expect(bits / seconds).toBeGreaterThan(180_000);
    expect(bits / seconds).toBeLessThan(200_000);
  }, 60_000);

  /** Sizes of the renditions. */
  async function ladder(size: string, heights: string): Promise<string[]> {
    const args = `-f lavfi -i color=c=red:s=${size}:r=5:d=0.4 -c:v libx264 -preset ultrafast`;
    await site.put(`${size}.mp4`, await made(args.split(" ")));
    const { body } = await site.get(`/root/${size}.mp4/ik-master.m3u8?tr=sr-${heights}`);
    return Array.from(body.toString().matchAll(/RESOLUTION=(\d+x\d+)/g), ([, one]) => one!);
  }

  test.each([
    ["960x540", "240_480_720_1080", ["426x240", "854x480", "960x540"]],
    ["960x540", "720_1080", ["960x540"]],
    ["640x360", "1080_240", ["426x240", "640x360"]],
    ["640x360", "240_360_480", ["426x240", "640x360"]],
    ["320x180", "240_720", ["320x180"]],
    ["540x960", "480_720", ["480x854", "540x960"]],
    // What would be hardly larger isn't made.
    ["640x368", "360_480", ["626x360"]],
  ])(
    "of a film of %s for %s are as large as the film, and never larger",
    async (size, heights, sizes) => {
      expect(await ladder(size, heights)).toEqual(sizes);
    },
    60_000,
  );
});
