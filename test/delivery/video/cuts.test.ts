/** Films that are cut, also where their frames lie far apart, step by step and as layers: what is seen and heard, and when. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSite, type Reply, type Site } from "../site.ts";
import { hasFfmpeg, loudness, made, remade } from "./clips.ts";

const here = await hasFfmpeg();

const COLOURS: readonly (readonly [name: string, r: number, g: number, b: number])[] = [
  ["red", 255, 0, 0],
  ["lime", 0, 255, 0],
  ["blue", 0, 0, 255],
  ["white", 255, 255, 255],
  ["gray", 128, 128, 128],
];
const nameOf = (pixel: Buffer): string =>
  COLOURS.toSorted(([, ...one], [, ...other]) => distance(one, pixel) - distance(other, pixel))[0]![0];
const distance = (colour: readonly number[], pixel: Buffer): number =>
  Math.max(...colour.map((value, n) => Math.abs(value - pixel[n]!)));

/** What is seen in the corner on the left above, and for how long: `red 2.0, blue 0.5`. */
async function seen(film: Buffer): Promise<string> {
  const filters = "-vf fps=50,crop=16:16:0:0,scale=1:1 -f rawvideo -pix_fmt rgb24";
  const pixels = await remade(film, filters.split(" "), "rgb");
  const runs: { name: string; frames: number }[] = [];
  for (let at = 0; at < pixels.length; at += 3) {
    const name = nameOf(pixels.subarray(at, at + 3));
    if (runs.at(-1)?.name === name) runs.at(-1)!.frames++;
    else runs.push({ name, frames: 1 });
  }
  return runs.map(({ name, frames }) => `${name} ${(frames / 50).toFixed(2)}`).join(", ");
}

/** The same in tenths of a second, as clocks of files are not all fine enough for more. */
const roughly = (text: string): (string | number)[] =>
  text.split(/,? /).map((word) => (/\d/.test(word) ? Math.round(Number(word) * 10) : word));

type Slides = readonly (readonly [colour: string, seconds: number])[];

/** One colour after the other, at 25 frames a second; `frames`: only those of which that is true. */
function slides(show: Slides, { frames, sound }: { frames?: string; sound?: string } = {}) {
  const colours = show.map(([colour, seconds]) => `color=c=${colour}:s=160x90:r=25:d=${seconds}`).join(";");
  const parts = colours.split(";").map((one, n) => `${one}[c${n}]`);
  const chosen = frames === undefined ? "" : `,select='${frames}'`;
  const graph = `${parts.join(";")};${parts.map((_, n) => `[c${n}]`).join("")}concat=n=${parts.length}${chosen}[v]`;
  return made([
    ...(sound === undefined ? [] : ["-f", "lavfi", "-i", sound]),
    "-filter_complex",
    graph,
    "-map",
    "[v]",
    ...(sound === undefined ? [] : ["-map", "0:a"]),
    ..."-fps_mode vfr -c:v libx264 -bf 0 -pix_fmt yuv420p".split(" "),
  ]);
}

/** A second of each, and from the third on a tone. */
const CLOCK: Slides = [
  ["red", 1],
  ["lime", 1],
  ["blue", 1],
  ["white", 1],
];
const LATE_TONE = "sine=d=2,adelay=2000";

function gif(delays: readonly (readonly [colour: string, ms: number])[]): Promise<Buffer> {
  const [width, height] = [64, 48];
  const pages = delays.map(([colour]) => {
    const [, ...rgb] = COLOURS.find(([name]) => name === colour)!;
    return Buffer.concat(Array.from({ length: width * height }, () => Buffer.from(rgb)));
  });
  const raw = { width, height: height * delays.length, channels: 3, pageHeight: height } as const;
  return sharp(Buffer.concat(pages), { raw })
    .gif({ delay: delays.map(([, ms]) => ms) })
    .toBuffer();
}

const layer = (chain: string): string => `l-video,${chain},lx-0,ly-0,l-end`;

describe.skipIf(!here)("cuts", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite();
    const long: Slides = [
      ["red", 4],
      ["lime", 4],
      ["blue", 4],
    ];
    const clock = await slides(CLOCK, { sound: LATE_TONE });
    const screen: Slides = [
      ["red", 1],
      ["lime", 5],
      ["blue", 1],
    ];
    const films = {
      "slides.mp4": await slides(long, { frames: "not(mod(n,100))+eq(n,299)" }),
      "screen.mp4": await slides(screen, {
        frames: "lte(n,25)+gte(n,150)",
        sound: "sine=d=7",
      }),
      "held.mp4": await slides(long.slice(0, 2), {
        frames: "lte(n,100)",
        sound: "sine=d=12",
      }),
      "two.mp4": await slides(long.slice(0, 2), { frames: "not(mod(n,100))", sound: "sine=d=12" }),
      "clock.mp4": clock,
      "clock.webm": await remade(clock, "-c:v libvpx -c:a libopus".split(" "), "webm"),
      "clock.ts": await remade(clock, "-c:v libx264 -g 250".split(" "), "ts"),
      "halves.mp4": await slides(CLOCK.slice(0, 2)),
      "gray.mp4": await slides([["gray", 4]]),
      "slow.gif": await gif([
        ["red", 200],
        ["lime", 200],
        ["blue", 400],
        ["white", 200],
        ["red", 1000],
      ]),
    };
    for (const [name, body] of Object.entries(films)) await site.put(name, body);
    const logo = sharp({ create: { width: 40, height: 40, channels: 3, background: "white" } });
    await site.put("logo.png", await logo.png().toBuffer());
  }, 60_000);
  afterAll(() => site[Symbol.asyncDispose]());

  const get = async (path: string): Promise<Reply> => {
    const reply = await site.get(`/root/${path}`);
    expect([path, reply.status, reply.headers.get("x-windlass-error")]).toEqual([path, 200, null]);
    return reply;
  };

  test.each([
    ["slides.mp4?tr=w-64", "red 4.00, lime 4.00, blue 4.00"],
    ["slides.mp4?tr=eo-3", "red 3.00"],
    ["slides.mp4?tr=so-2,du-1", "red 1.00"],
    ["slides.mp4?tr=so-3,du-2", "red 1.00, lime 1.00"],
    ["screen.mp4?tr=so-3,du-2", "lime 2.00"],
    ["screen.mp4?tr=so-5", "lime 1.00, blue 1.00"],
    ["screen.mp4?tr=eo-5", "red 1.00, lime 4.00"],
    ["held.mp4?tr=so-6,du-2", "lime 2.00"],
    ["held.mp4?tr=so-3,du-2", "red 1.00, lime 1.00"],
    ["two.mp4?tr=so-6,du-5", "lime 5.00"],
    ["slow.gif/ik-gif-video.mp4", "red 0.20, lime 0.20, blue 0.40, white 0.20, red 1.00"],
    ["slow.gif/ik-gif-video.mp4?tr=so-0.4,du-0.4", "blue 0.40"],
    ["slow.gif/ik-gif-video.mp4?tr=so-1.5", "red 0.50"],
    ["gray.mp4?tr=l-video,i-slow.gif,lx-0,ly-0,so-0.8,l-end", "white 0.20, red 1.00, gray 2.80"],
    [
      "gray.mp4?tr=l-video,i-screen.mp4,lx-0,ly-0,so-5,lso-1,l-end",
      "gray 1.00, lime 1.00, blue 1.00, gray 1.00",
    ],
  ])(
    "%s keeps each picture until the next comes: %s",
    async (path, expected) => {
      expect(await seen((await get(path)).body)).toBe(expected);
    },
    60_000,
  );

  test.each([
    ["clock.mp4", "1.5", "1.5", "lime 0.52, blue 1.00"],
    ["clock.mp4", "1.52", "1", "lime 0.48, blue 0.52"],
    ["clock.webm", "1.5", "1.5", "lime 0.52, blue 0.98"],
    ["clock.ts", "1.5", "1", "lime 0.50, blue 0.50"],
  ])(
    "%s from %s for %s seconds begins and ends there, its sound with it",
    async (name, so, du, expected) => {
      const { body } = await get(`${name}?tr=so-${so},du-${du}`);
      expect(roughly(await seen(body))).toEqual(roughly(expected));
      const silent = 2 - Number(so);
      const [before, after] = await Promise.all([
        loudness(await remade(body, ["-vn", "-t", String(silent - 0.1)], "wav")),
        loudness(await remade(body, ["-vn", "-ss", String(silent + 0.05), "-t", "0.1"], "wav")),
      ]);
      expect([before < -60, after > -40]).toEqual([true, true]);
    },
    60_000,
  );

  test.each([
    ["slides.mp4", "3", "red"],
    ["slides.mp4", "5", "lime"],
    ["slides.mp4", "4", "lime"],
    ["screen.mp4", "5.9", "lime"],
    ["held.mp4", "3.98", "red"],
    ["held.mp4", "11", "lime"],
    ["two.mp4", "3.98", "red"],
    ["two.mp4", "11", "lime"],
    ["clock.mp4", "0.99", "red"],
    ["clock.mp4", "1", "lime"],
    ["clock.ts", "2.9", "blue"],
  ])("the thumbnail of %s at %s is what is seen there: %s", async (name, so, expected) => {
    const { body } = await get(`${name}/ik-thumbnail.jpg?tr=so-${so},w-16`);
    const { data } = await sharp(body).resize(1, 1).raw().toBuffer({ resolveWithObject: true });
    expect(nameOf(data)).toBe(expected);
  });

  const shown = "l-image,i-logo.png,lx-0,ly-0,lso-1,leo-2,l-end";
  test.each([
    ["clock.mp4?tr=so-1:so-1", "blue 1.00, white 1.00"],
    ["clock.mp4?tr=so-2:eo-1", "blue 1.00"],
    ["clock.mp4?tr=eo-2:so-idu_div_2", "lime 1.00"],
    ["clock.mp4?tr=eo-3:du-1", "red 1.00"],
    ["clock.mp4?tr=so-1:w-64:du-2", "lime 1.00, blue 1.00"],
    ["clock.mp4?tr=so-1:if-w_gt_10,so-1,if-end:du-1", "blue 1.00"],
    [`gray.mp4?tr=${shown}`, "gray 1.00, white 1.00, gray 2.00"],
    [`gray.mp4?tr=${shown}:so-1`, "white 1.00, gray 2.00"],
    [`gray.mp4?tr=${shown}:so-2`, "gray 2.00"],
    [`gray.mp4?tr=so-1:${shown}`, "gray 1.00, white 1.00, gray 1.00"],
    [`gray.mp4?tr=${layer("i-clock.mp4,lso-1")}:so-1.52`, "red 0.48, lime 1.00, blue 1.00"],
    [`gray.mp4?tr=${layer("i-halves.mp4")}:so-3`, "gray 1.00"],
    [`gray.mp4?tr=${layer("i-clock.mp4,so-1:so-1")}`, "blue 1.00, white 1.00, gray 2.00"],
  ])(
    "%s: each step cuts what the one before left",
    async (path, expected) => {
      expect(await seen((await get(path)).body)).toBe(expected);
    },
    60_000,
  );

  test.each([
    ["i-halves.mp4,lso-bdu_div_4,ldu-idu_div_2", "gray 1.00, red 1.00, gray 2.00"],
    ["i-halves.mp4,du-bdu_div_10", "red 0.40, gray 3.60"],
    ["i-halves.mp4,so-idu_div_2", "lime 1.00, gray 3.00"],
    ["i-halves.mp4,lso-bdu_sub_idu", "gray 2.00, red 1.00, lime 1.00"],
  ])(
    "of a layer %s idu is its own length, bdu its film's",
    async (chain, expected) => {
      expect(await seen((await get(`gray.mp4?tr=${layer(chain)}`)).body)).toBe(expected);
    },
    60_000,
  );

  test("behind the last frame it is seen on, as long as the film lasts", async () => {
    expect(await seen((await get("clock.mp4?tr=so-3.97")).body)).toBe("white 0.04");
    expect(await seen((await get("held.mp4?tr=so-11.6")).body)).toBe("lime 0.40");
    expect((await site.get("/root/clock.mp4?tr=so-4.5")).status).toBe(400);
  }, 60_000);

  test("streams of them are seen and heard from the cut on", async () => {
    for (const [cut, picture] of [
      ["clock.mp4/ik-master.m3u8?tr=sr-240,so-1.52,du-1", "lime 0.48, blue 0.52"],
      ["held.mp4/ik-master.m3u8?tr=sr-240,so-11", "lime 1.00"],
    ] as const) {
      const master = (await get(cut)).body.toString();
      const file = /ik-stream\/[^"\n]*\//.exec(master)![0];
      const query = cut.slice(cut.indexOf("?"));
      const piece = (name: string): Promise<Reply> => get(`${cut.split("/")[0]}/${file}${name}${query}`);
      const ended = async (): Promise<string> => (await piece("v0.m3u8")).body.toString();
      await expect.poll(ended, { timeout: 30_000 }).toContain("#EXT-X-ENDLIST");
      const joined = async (name: string): Promise<Buffer> =>
        Buffer.concat([(await piece(`${name}.init.mp4`)).body, (await piece(`${name}.00000.m4s`)).body]);
      expect(await seen(await joined("v0"))).toBe(picture);
      if (!cut.startsWith("clock")) continue;
      const sound = await joined("a0");
      expect(await loudness(await remade(sound, ["-t", "0.4"], "wav"))).toBeLessThan(-60);
      expect(await loudness(await remade(sound, ["-ss", "0.55", "-t", "0.1"], "wav"))).toBeGreaterThan(-40);
    }
  }, 60_000);

  test("what can't be a time is answered with an example that can", async () => {
    const { status, headers } = await site.get("/root/clock.mp4?tr=du-x");
    expect([status, headers.get("x-windlass-error")]).toEqual([400, expect.stringContaining("idu_mul_0.5")]);
    expect((await get("clock.mp4?tr=du-idu_mul_0.5")).status).toBe(200);
  }, 60_000);
});
