/** What lies on films, when, and where; and what strangers write into layers. Looked at by their pixels. */
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import { colourAt } from "../site.ts";
import { clip, frameAt, hasFfmpeg, inFolder, made as filmFrom, probeFilm } from "./clips.ts";
import { openStudio, type Studio } from "./studio.ts";

const here = await hasFfmpeg();
const failure = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "nothing failed",
    (error: unknown) => (error instanceof DeliveryError ? error.code : String(error)),
  );
const encoded = (text: string): string => encodeURIComponent(Buffer.from(text).toString("base64"));

/** Names of colours at places of the frame at `seconds`. */
async function seen(
  made: Buffer,
  seconds: number,
  places: readonly (readonly [number, number])[],
): Promise<string[]> {
  const frame = await frameAt(made, seconds);
  return Promise.all(places.map(([x, y]) => colourAt(frame, x / 320, y / 180)));
}

/** 100 by 60: green, and nothing at all on the right. */
function seeThrough(codec: "vp8" | "vp9"): Promise<Buffer> {
  const picture =
    "color=c=lime:s=100x60:d=1:r=25,format=yuva420p,geq=lum='lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)':a='if(lt(X,50),255,0)'";
  const coding = `-c:v ${codec === "vp9" ? "libvpx-vp9" : "libvpx"} -pix_fmt yuva420p -b:v 1M -auto-alt-ref 0`;
  return filmFrom(["-f", "lavfi", "-i", picture, ...coding.split(" ")], "webm");
}

/** Red, green and blue near the upper edge of a frame of 100 by 100. */
async function meansAbove(frame: Buffer): Promise<number[]> {
  // Statistics are of what goes in, whatever else is asked.
  const edge = await sharp(frame).extract({ left: 0, top: 2, width: 100, height: 10 }).png().toBuffer();
  return (await sharp(edge).stats()).channels.map(({ mean }) => mean);
}

/** How much of a frame is white, which the film is nowhere: letters. */
async function whiteness(made: Buffer, seconds: number): Promise<number> {
  const { data } = await sharp(await frameAt(made, seconds))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  let white = 0;
  for (let n = 0; n < data.length; n += 3) if (Math.min(data[n]!, data[n + 1]!, data[n + 2]!) > 180) white++;
  return white / (data.length / 3);
}

const FONT = createRequire(import.meta.url).resolve(
  "@expo-google-fonts/lobster/400Regular/Lobster_400Regular.ttf",
);

type Moment<T> = readonly [seconds: number, expected: T];

describe.skipIf(!here)("layers of films", () => {
  let studio: Studio;
  /** Red on the left, blue on the right; green from the second second on. */
  let film: Buffer;
  let white: Buffer;
  beforeAll(async () => {
    studio = await openStudio();
    film = await clip({ width: 320, height: 180, seconds: 2 });
    white = await sharp({ create: { width: 40, height: 40, channels: 3, background: "white" } })
      .png()
      .toBuffer();
  }, 60_000);
  afterAll(() => studio[Symbol.asyncDispose]());

  test.each([
    ["l-image,i-white.png,t-false,lx-10,ly-20,l-end", [12, 22], [8, 22]],
    ["l-image,i-white.png,t-false,lx-N10,ly-N20,l-end", [300, 150], [315, 150]],
    ["l-image,i-white.png,t-false,lfo-bottom_left,l-end", [5, 175], [50, 175]],
    ["l-image,i-white.png,t-false,w-bw_div_2,h-20,lx-0,ly-0,l-end", [150, 10], [170, 10]],
    ["l-image,i-ik_canvas,bg-FFFFFF,w-30,h-30,lfo-top_right,l-end", [310, 5], [280, 5]],
    ["l-image,i-ik_canvas,bg-FFFFFF,w-100,h-100,r-max,lx-0,ly-0,l-end", [50, 50], [5, 5]],
  ] as const)(
    "%s",
    async (chain, inside, outside) => {
      const made = await studio.make(film, chain, { layers: { "white.png": white } });
      const [on, off] = await seen(made, 0.5, [inside, outside]);
      expect([on, off === "red" || off === "blue"]).toEqual(["white", true]);
    },
    60_000,
  );

  test.each<[times: string, ...moments: Moment<string>[]]>([
    ["lso-0.5", [0.2, "red"], [0.8, "white"], [1.8, "white"]],
    ["leo-0.5", [0.2, "white"], [0.8, "red"], [1.8, "green"]],
    ["lso-0.5,ldu-0.4", [0.2, "red"], [0.7, "white"], [1.8, "green"]],
    ["lso-bdu_div_4,leo-bdu_div_2,ldu-9", [0.2, "red"], [0.8, "white"], [1.8, "green"]],
  ])(
    "%s: there, and gone again",
    async (times, ...moments) => {
      const made = await studio.make(
        film,
        `l-image,i-ik_canvas,bg-FFFFFF,w-60,h-60,lx-0,ly-0,${times},l-end`,
      );
      for (const [seconds, colour] of moments) {
        expect([seconds, await seen(made, seconds, [[20, 20]])]).toEqual([seconds, [colour]]);
      }
    },
    60_000,
  );

  test("a film on a film is sized, cut, shown when it is to be, and makes it no longer", async () => {
    const layer = await clip({ width: 100, height: 100, seconds: 6, sound: false });
    const chain = "l-video,i-b.mp4,w-80,h-40,so-4,lx-0,ly-0,lso-0.5,l-end";
    const made = await studio.make(film, chain, { layers: { "b.mp4": layer } });
    expect(await seen(made, 0.2, [[20, 20]])).toEqual(["red"]);
    expect(
      await seen(made, 0.8, [
        [20, 20],
        [70, 35],
        [90, 20],
        [20, 50],
      ]),
    ).toEqual(["green", "green", "red", "red"]);
    const { seconds, streams } = await probeFilm(made);
    expect([Math.abs(seconds - 2) < 0.2, streams]).toEqual([true, ["h264 320x180", "aac"]]);
  }, 60_000);

  test("a film on a film is gone when it is over, and see-through where it is cut round", async () => {
    const layer = await clip({ width: 100, height: 100, seconds: 0.6, sound: false });
    const chain = "l-video,i-b.mp4,w-90,h-90,r-max,fl-h,lx-0,ly-0,l-end";
    const made = await studio.make(film, chain, { layers: { "b.mp4": layer } });
    expect(
      await seen(made, 0.2, [
        [25, 45],
        [2, 2],
        [65, 45],
      ]),
    ).toEqual(["blue", "red", "red"]);
    expect(await seen(made, 0.8, [[25, 45]])).toEqual(["red"]);
  }, 60_000);

  test.each(["vp9", "vp8"] as const)(
    "a see-through film (%s) shows what lies under it, also where it is cut round",
    async (codec) => {
      const layer = await seeThrough(codec);
      const make = (more: string): Promise<Buffer> =>
        studio.make(film, `l-video,i-b.webm${more},lx-0,ly-0,l-end`, { layers: { "b.webm": layer } });
      const places = [
        [25, 30],
        [75, 30],
        [3, 3],
        [97, 30],
      ] as const;
      expect(await seen(await make(""), 0.4, places)).toEqual(["green", "red", "green", "red"]);
      expect(await seen(await make(",r-max"), 0.4, places)).toEqual(["green", "red", "red", "red"]);
      expect(await seen(await make(",rt-180"), 0.4, [places[0], places[1]])).toEqual(["red", "green"]);
      expect(
        await seen(await make(",bg-FFFFFF,w-100,h-100,cm-pad_resize"), 0.4, [
          [75, 50],
          [50, 5],
        ]),
      ).toEqual(["red", "white"]);
    },
    60_000,
  );

  test("layers lie on what the steps before have made, and steps after work on them too", async () => {
    const chain = "w-160:l-image,i-ik_canvas,bg-FFFFFF,w-80,h-90,lx-0,ly-0,l-end:rt-180";
    const made = await studio.make(film, chain);
    const frame = await frameAt(made, 0.5);
    expect([await colourAt(frame, 0.75, 0.5), await colourAt(frame, 0.25, 0.5)]).toEqual(["white", "blue"]);
  }, 60_000);

  test("conditions look at what the film has become", async () => {
    const chain = "w-100:if-w_lt_200,l-image,i-ik_canvas,bg-FFFFFF,w-50,h-50,lx-0,ly-0,l-end,if-end";
    const made = await studio.make(film, chain);
    expect(await colourAt(await frameAt(made, 0.5), 0.1, 0.1)).toBe("white");
  }, 60_000);

  test("corners, borders and blurred backgrounds", async () => {
    const round = await studio.make(film, "w-100,h-100,r-30,bg-FFFFFF");
    const frame = await frameAt(round, 0.5);
    expect([await colourAt(frame, 0.02, 0.02), await colourAt(frame, 0.3, 0.02)]).toEqual(["white", "red"]);
    const bordered = await frameAt(await studio.make(film, "w-100,h-100,r-30,b-10_00FF00,bg-FFFFFF"), 0.5);
    expect((await sharp(bordered).metadata()).width).toBe(120);
    expect([
      await colourAt(bordered, 0.02, 0.02),
      await colourAt(bordered, 0.5, 0.03),
      await colourAt(bordered, 0.12, 0.12),
      await colourAt(bordered, 0.3, 0.5),
    ]).toEqual(["white", "green", "green", "red"]);
    const padded = await frameAt(
      await studio.make(film, "w-100,h-100,cm-pad_resize,bg-blurred_20_N200"),
      0.5,
    );
    const [red, , blue] = await meansAbove(padded);
    expect([red! > 3, red! < 60, blue! > 3, blue! < 60]).toEqual([true, true, true, true]);
    for (const [brightness, extreme] of [
      ["N255", 0],
      ["255", 255],
    ] as const) {
      const made = await studio.make(film, `w-100,h-100,cm-pad_resize,bg-blurred_auto_${brightness}`);
      for (const mean of await meansAbove(await frameAt(made, 0.5))) {
        expect(Math.abs(mean - extreme)).toBeLessThan(4);
      }
    }
  }, 60_000);

  const SRT = "1\n00:00:00,500 --> 00:00:01,000\nMMMMMMMMMM\n\n2\n00:00:01,500 --> 00:00:09,000\nMMMM\n";

  test.each<[chain: string, ...moments: Moment<boolean>[]]>([
    ["l-subtitles,i-words.srt,fs-40,l-end", [0.2, false], [0.7, true], [1.2, false], [1.8, true]],
    ["so-0.5,l-subtitles,i-words.srt,fs-40,l-end", [0.2, true], [0.7, false], [1.2, true]],
    [
      "l-subtitles,i-words.srt,fs-40,lso-0.7,leo-1.7,l-end",
      [0.6, false],
      [0.8, true],
      [1.6, true],
      [1.8, false],
    ],
    [
      "l-subtitles,i-words.srt,fs-40,ff-Lobster,tg-b_i,fol-2_black,fsh-black_3,l-end",
      [0.2, false],
      [0.7, true],
    ],
  ])(
    "%s is read when it is spoken",
    async (chain, ...moments) => {
      const made = await studio.make(film, chain, { layers: { "words.srt": Buffer.from(SRT) } });
      for (const [seconds, shown] of moments) {
        expect([seconds, (await whiteness(made, seconds)) > 0.003]).toEqual([seconds, shown]);
      }
    },
    60_000,
  );

  test("one file of subtitles may lie on a film twice, in two styles", async () => {
    const words = { "words.srt": Buffer.from("1\n00:00:00,000 --> 00:00:09,000\nMMMM\n") };
    const [large, small] = [
      "l-subtitles,i-words.srt,fs-60,co-FFFFFF,l-end",
      "l-subtitles,i-words.srt,fs-8,co-000000,l-end",
    ];
    const one = await whiteness(await studio.make(film, large, { layers: words }), 0.5);
    const both = await whiteness(await studio.make(film, `${large},${small}`, { layers: words }), 0.5);
    expect([one > 0.01, both > one / 2]).toEqual([true, true]);
  }, 60_000);

  test("subtitles may have a font of the user's own", async () => {
    const font = await readFile(FONT);
    const layers = { "words.srt": Buffer.from(SRT), "fonts/own.ttf": font };
    const made = await studio.make(film, "l-subtitles,i-words.srt,fs-40,ff-fonts@@own.ttf,l-end", { layers });
    expect(await whiteness(made, 0.7)).toBeGreaterThan(0.003);
    const broken = { ...layers, "fonts/own.ttf": Buffer.from("no font") };
    expect(
      await failure(studio.make(film, "l-subtitles,i-words.srt,ff-fonts@@own.ttf,l-end", { layers: broken })),
    ).toBe("InvalidParameter");
  }, 60_000);

  /** How white a film is on which a text is read. */
  async function whitenessOf(text: string): Promise<number> {
    const layers = { "words.srt": Buffer.from(`00:00.000 --> 00:02.000\n${text}\n`) };
    const made = await studio.make(film, "l-subtitles,i-words.srt,fs-40,ff-Lobster,l-end", { layers });
    return whiteness(made, 0.5);
  }

  test("subtitles may be Korean and have emoji, whatever the font", async () => {
    // Boxes in place of letters would be as white for one as for the other.
    expect(await whitenessOf("뷁뷁뷁뷁뷁")).toBeGreaterThan(2 * (await whitenessOf("ㅡㅡㅡㅡㅡ")));
    expect(await whitenessOf("➖➖➖")).toBeGreaterThan(0.0005);
  }, 60_000);

  /** Words that end an option, a filter, a string, a style or a line somewhere. */
  const NASTY = [
    "it's",
    "a:b=c;d,e[f]g",
    "%{pts} %{localtime} 100%",
    "back\\slash \\N \\'",
    "'; drawtext=textfile=/etc/passwd:x='",
    "{\\p1}m 0 0 l 100 0 100 100{\\p0}",
    "<b>not bold</b> & <script>",
    "$(id) `id` ${HOME}",
    "Grüße, 你好, ‮backwards",
  ];

  test.each(NASTY)(
    "%j is text, and nothing but text",
    async (text) => {
      const chains = [
        `l-text,ie-${encoded(text)},fs-20,co-FFFFFF,l-end`,
        "l-subtitles,i-words.srt,fs-30,l-end",
      ];
      const layers = { "words.srt": Buffer.from(`00:00.000 --> 00:02.000\n${text}\n`) };
      for (const chain of chains) {
        const made = await studio.make(film, chain, { layers });
        expect(await whiteness(made, 0.5)).toBeGreaterThan(0.001);
        expect((await probeFilm(made)).streams).toEqual(["h264 320x180", "aac"]);
      }
    },
    60_000,
  );

  test("paths of layers are names for us, and nothing to ffmpeg", async () => {
    for (const path of ["a'b:c;[d],e\\f.png", "http://169.254.169.254/x.png", "../../etc/passwd", "-i.png"]) {
      const chain = `l-image,ie-${encoded(path)},t-false,lx-0,ly-0,l-end`;
      const [layer] = studio
        .request(film, chain)
        .plan.steps.flatMap((step) => ("layers" in step ? step.layers : []));
      const known = (layer as { path: string }).path;
      const made = await studio.make(film, chain, { layers: { [known]: white } });
      expect([path, await seen(made, 0.5, [[20, 20]])]).toEqual([path, ["white"]]);
    }
  }, 60_000);

  test.each([
    ["bg-dominant", "bg-dominant"],
    ["bg-gradient_dominant_4", "bg-gradient_dominant"],
    ["bg-genfill", "bg-genfill"],
  ])("%s of a film is refused by its name", async (background, name) => {
    await expect(studio.make(film, `w-100,h-100,cm-pad_resize,${background}`)).rejects.toThrow(
      `${name}: films have colours and blurred backgrounds.`,
    );
  });

  test("files of layers that name other files are no layers", async () => {
    await inFolder(async (folder) => {
      const bait = join(folder, "bait.mp4");
      await writeFile(bait, film);
      const lists = [
        `#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://${bait}\n#EXT-X-ENDLIST\n`,
        `ffconcat version 1.0\nfile ${bait}\n`,
        "[Script Info]\n[Events]\nDialogue: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,{\\fnbait}x\n",
        "\u0000\u0001\u0002",
        "",
      ];
      for (const text of lists) {
        const layers = { x: Buffer.from(text) };
        const made = (chain: string): Promise<string> => failure(studio.make(film, chain, { layers }));
        expect(await made("l-video,i-x,l-end")).toBe("UnsupportedSource");
        await expect(studio.make(film, "l-video,i-x,l-end", { layers })).rejects.toThrow(/^Layer x: /);
        expect(await made("l-subtitles,i-x,l-end")).toBe("InvalidParameter");
        expect(await made("l-image,i-x,l-end")).toMatch(/^(Unsupported|Damaged)Source$/);
        expect(await failure(studio.make(layers.x, "w-100"))).toBe("UnsupportedSource");
      }
    });
  }, 60_000);

  test.each([
    ["l-image,i-missing.png,l-end", "NotFound"],
    ["l-video,i-missing.mp4,l-end", "NotFound"],
    ["l-subtitles,i-missing.srt,l-end", "NotFound"],
    ["l-subtitles,i-signs.srt,l-end", "LimitExceeded"],
    ["l-text,i-x,ff-Nonesuch,l-end", "InvalidParameter"],
    ["l-image,i-white.png,lm-multiply,l-end", "InvalidParameter"],
    ["l-video,i-film.mp4,e-shadow,l-end", "InvalidParameter"],
    ["e-shadow", "InvalidParameter"],
    ["w-100,h-100,fo-face", "InvalidParameter"],
    ["w-100,h-100,fo-auto", "InvalidParameter"],
    ["w-100,h-100,cm-pad_resize,bg-dominant", "InvalidParameter"],
    ["w-100,h-100,cm-extract,x-300", "InvalidParameter"],
    ["rt-45", "InvalidParameter"],
    ["f-webp", "InvalidParameter"],
    ["w-9000", "LimitExceeded"],
    ["b-9000_FF0000", "LimitExceeded"],
    ["du-0", "InvalidParameter"],
    ["so-idu", "InvalidParameter"],
  ])(
    "%s is %s",
    async (chain, code) => {
      const signs = [0x10000, 0x10900, 0x11200].map((first, n) => {
        const text = Array.from({ length: 2000 }, (_, sign) => String.fromCodePoint(first + sign)).join("");
        return `00:00.${n}00 --> 00:00.${n + 1}00\n${text}\n`;
      });
      const layers = {
        "white.png": white,
        "film.mp4": film,
        "signs.srt": Buffer.from(signs.join("\n")),
      };
      expect(await failure(studio.make(film, chain, { layers }))).toBe(code);
    },
    60_000,
  );

  test("layers together are no larger than a film may be", async () => {
    await using small = await openStudio({ limits: { sourceBytes: film.length + 10 } });
    const layers = { "a.mp4": film, "b.mp4": film };
    const chain = "l-video,i-a.mp4,w-10,l-end,l-video,i-b.mp4,w-10,l-end";
    expect(await failure(small.make(film, chain, { layers }))).toBe("SourceTooLarge");
  }, 60_000);
});
