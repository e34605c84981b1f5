/** What the table's rows allow beyond their examples: each value against a picture that was computed in another way. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  at300,
  BLACK,
  padded,
  part,
  rounded,
  scaled,
  stretched,
  toleranceOf,
  TURNED_TOLERANCE,
  unsharpened,
  WHITE,
  type Expected,
} from "./expected.ts";
import {
  blurred,
  canvas,
  difference,
  drawn,
  each,
  imageOf,
  laid,
  luma,
  masked,
  mirrored,
  over,
  pixelsOf,
  quarterTurned,
  turned,
  upsideDown,
  within,
  type Pixels,
} from "./pixels.ts";
import { APPLE } from "./scene.ts";
import { openStage, served, verdict, wanted, type Stage } from "./setup.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  await stage.site.put("marked.jpg", stage.scene, { meta: { user: { customcoordinates: "430,262,90,90" } } });
  // Held sideways: the camera says so.
  await stage.site.put(
    "sideways.jpg",
    await sharp(stage.scene).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer(),
  );
});
afterAll(() => stage[Symbol.asyncDispose]());

type Case = readonly [
  path: string,
  is: string,
  picture: NonNullable<Expected["picture"]>,
  tolerance?: Expected["tolerance"],
];
const WHOLE = "jpeg 300x200";
const cover = (position: string, width = 150, height = 300) =>
  scaled(width, height, { fit: "cover", position });
const halfTurned = (pixels: Pixels): Pixels => mirrored(upsideDown(pixels));
const GREY = [0xf3, 0xf3, 0xf3, 255] as const;

/** Without a slash in front: of the endpoint. */
const SIZES: readonly Case[] = [
  ["tr:w-0.5/photo.jpg", WHOLE, scaled(300, 200)],
  ["tr:w-iw_div_2,h-ih_div_4/photo.jpg", "jpeg 300x100", cover("centre", 300, 100)],
  // Powers come last: (2 + 3)².
  ["tr:w-2_add_3_pow_2,c-force,h-20/photo.jpg", "jpeg 25x20", scaled(25, 20)],
  ["tr:h-200,ar-1/photo.jpg", "jpeg 200x200", cover("centre", 200, 200)],
  ["tr:w-300,h-300,ar-4-3/photo.jpg", "jpeg 300x300", cover("centre", 300, 300)],
  ["tr:w-1000,h-1000,c-at_max/photo.jpg", "jpeg 600x400", scaled(600, 400)],
  ["tr:w-90000,h-200/photo.jpg", WHOLE, scaled(300, 200)],
  [
    "tr:w-900,h-300/photo.jpg",
    "jpeg 900x300",
    async (scene) => pixelsOf(imageOf(await part(0, 100, 600, 200)(scene)).resize(900, 300)),
  ],
  ["tr:w-100,dpr-1.5/photo.jpg", "jpeg 150x100", scaled(150, 100)],
  ["tr:w-100,dpr-5/photo.jpg", "jpeg 500x333", scaled(500, 333)],
  ["tr:w-100,dpr-iw_div_400/photo.jpg", "jpeg 150x100", scaled(150, 100)],
  ["tr:w-1200,dpr-5/photo.jpg", "jpeg 1200x800", scaled(1200, 800)],
  [
    "tr:w-300,h-300,cm-pad_resize_no_enlarge,bg-F3F3F3/photo.jpg",
    "jpeg 300x300",
    padded(300, 300, GREY, scaled(300, 200), 0, 50),
  ],
  [
    "tr:w-300,h-300,cm-pad_resize/photo.jpg",
    "jpeg 300x300",
    padded(300, 300, BLACK, scaled(300, 200), 0, 50),
  ],
  [
    "tr:w-300,h-300,cm-pad_resize,fo-top,bg-white/photo.jpg",
    "jpeg 300x300",
    padded(300, 300, WHITE, scaled(300, 200), 0, 0),
  ],
  [
    "tr:w-700,h-300,cm-pad_extract,fo-left,bg-white/photo.jpg",
    "jpeg 700x300",
    padded(700, 300, WHITE, part(0, 50, 600, 300), 0, 0),
  ],
  ["tr:if-iw_gt_700,w-400,if-else,h-200,if-end/photo.jpg", WHOLE, scaled(300, 200)],
  ["tr:if-ar_eq_1_or_ih_lte_400,w-300,if-end:fl-h/photo.jpg", WHOLE, at300(mirrored)],
];

const at = (x: number, y: number) => part(x, y, 200, 150);
const FOCUS: readonly Case[] = [
  ...(
    [
      ["center", 200, 125],
      ["top", 200, 0],
      ["left", 0, 125],
      ["bottom", 200, 250],
      ["right", 400, 125],
      ["top_left", 0, 0],
      ["top_right", 400, 0],
      ["bottom_left", 0, 250],
      ["bottom_right", 400, 250],
    ] as const
  ).map(([name, x, y]): Case => [`tr:w-200,h-150,cm-extract,fo-${name}/photo.jpg`, "jpeg 200x150", at(x, y)]),
  ["tr:w-300,h-100,fo-top/photo.jpg", "jpeg 300x100", cover("top", 300, 100)],
  ["tr:w-300,h-100,fo-bottom/photo.jpg", "jpeg 300x100", cover("bottom", 300, 100)],
  ["tr:w-150,h-300,fo-left/photo.jpg", "jpeg 150x300", cover("left")],
  ["tr:w-150,h-300,fo-bottom_right/photo.jpg", "jpeg 150x300", cover("right bottom")],
  ["tr:w-150,h-300,fo-entropy/photo.jpg", "jpeg 150x300", cover("entropy")],
  ["tr:w-90,h-90,fo-custom/marked.jpg", "jpeg 90x90", part(430, 262, 90, 90)],
  [
    "tr:fo-apple/photo.jpg",
    `jpeg ${APPLE.width}x${APPLE.height}`,
    part(APPLE.x, APPLE.y, APPLE.width, APPLE.height),
  ],
  ["tr:w-200,h-150,cm-extract,x-iw_sub_200,y-ih_sub_150/photo.jpg", "jpeg 200x150", at(400, 250)],
];

const SHAPES: readonly Case[] = [
  ["tr:w-300,rt-180/photo.jpg", WHOLE, at300(halfTurned)],
  ["tr:w-300,rt-270/photo.jpg", "jpeg 200x300", at300((pixels) => quarterTurned(halfTurned(pixels)))],
  ["tr:w-300,rt-N90/photo.jpg", "jpeg 200x300", at300((pixels) => quarterTurned(halfTurned(pixels)))],
  ["tr:w-300,rt-360/photo.jpg", WHOLE, scaled(300, 200)],
  ["tr:w-200,rt-auto/sideways.jpg", "jpeg 200x300", at300(quarterTurned), { mean: 1.6, worst: 6 }],
  ["tr:w-300,fl-h_v/photo.jpg", WHOLE, at300(halfTurned)],
  ["tr:w-300,fl-v_h/photo.jpg", WHOLE, at300(halfTurned)],
  [
    "tr:w-300,b-iw_div_60_00FF00/photo.jpg",
    "jpeg 320x220",
    padded(320, 220, [0, 255, 0, 255], scaled(300, 200), 10, 10),
  ],
  [
    "tr:w-300,r-30,f-jpg/photo.jpg",
    WHOLE,
    at300(async (pixels) => laid(canvas(300, 200, WHITE), await masked(pixels, rounded(300, 200, 30)), 0, 0)),
  ],
  [
    "tr:w-300,r-iw_div_20,bg-00FF00/photo.jpg",
    WHOLE,
    at300(async (pixels) =>
      laid(canvas(300, 200, [0, 255, 0, 255]), await masked(pixels, rounded(300, 200, 30)), 0, 0),
    ),
  ],
  [
    "tr:w-300,r-max/photo.jpg",
    "png 300x200",
    at300((pixels) => masked(pixels, '<ellipse cx="150" cy="100" rx="150" ry="100"/>')),
  ],
  [
    "tr:w-300,h-300,cm-pad_resize,bg-tomato/photo.jpg",
    "jpeg 300x300",
    padded(300, 300, [255, 99, 71, 255], scaled(300, 200), 0, 50),
  ],
  // The last two digits are per cents.
  [
    "tr:w-300,h-300,cm-pad_resize,bg-FF000050/photo.jpg",
    "png 300x300",
    padded(300, 300, [255, 0, 0, 127.5], scaled(300, 200), 0, 50),
  ],
  ["tr:w-300,o-40/photo.jpg", "png 300x200", at300((pixels) => each(pixels, ([r, g, b]) => [r, g, b, 102]))],
];

const EFFECTS: readonly Case[] = [
  ["tr:w-300,bl-2/photo.jpg", WHOLE, at300((pixels) => pixelsOf(imageOf(pixels).blur(2)))],
  ["tr:w-300,e-sharpen/photo.jpg", WHOLE, at300((pixels) => pixelsOf(imageOf(pixels).sharpen()))],
  [
    "tr:w-300,e-usm-2-1-3-0,f-png/photo.jpg",
    "png 300x200",
    at300((pixels) => unsharpened(pixels, 1, 3, 0)),
    // What blurring rounds off is trebled.
    { mean: 1.5, worst: 2 },
  ],
  [
    "tr:w-300,o-50,bg-808080:e-contrast/photo.jpg",
    WHOLE,
    at300((pixels) => stretched(each(pixels, ([r, g, b]) => over([r, g, b, 127.5], [128, 128, 128, 255])))),
    // Half of the shades are gone.
    { mean: 2, worst: 5 },
  ],
  [
    "tr:w-300,e-gradient/photo.jpg",
    WHOLE,
    at300(async (pixels) => {
      const fade =
        '<linearGradient id="a" x2="0" y2="1"><stop stop-color="#fff"/><stop offset="1" stop-color="#fff" stop-opacity="0"/></linearGradient>';
      return laid(
        pixels,
        await drawn(300, 200, `${fade}<rect width="300" height="200" fill="url(#a)"/>`),
        0,
        0,
      );
    }),
  ],
];

function eachCase(cases: readonly Case[], url: (text: string) => string): void {
  for (const [text, is, picture, tolerance] of cases) {
    test(`shows ${text}`, async () => {
      const expected: Expected = { is, picture, ...(tolerance && { tolerance }) };
      const { body } = await served(stage, url(text));
      const target = await wanted(stage.scene, text, expected);
      expect(await verdict(body, target, expected)).toBe(is);
      // A check that lets the mirrored picture pass is none.
      for (const mirror of [mirrored, upsideDown]) {
        expect(within(difference(mirror(await pixelsOf(body)), target), toleranceOf(expected))).toBe(false);
      }
    });
  }
}

describe.each([
  ["sizes", SIZES],
  ["places", FOCUS],
  ["shapes", SHAPES],
  ["effects", EFFECTS],
])("of endpoints: %s", (_, cases) => {
  eachCase(cases, (path) => `/root/${path}`);
});

describe("of alias URLs", () => {
  const cases: readonly Case[] = [
    ["width=300&height=300", "jpeg 300x300", cover("centre", 300, 300)],
    ["w=300&h=300&fit=cover", "jpeg 300x300", cover("centre", 300, 300)],
    ["w=300&h=300&fit=fill", "jpeg 300x300", scaled(300, 300)],
    ["w=300&h=300&fit=inside", WHOLE, scaled(300, 200)],
    ["w=300&h=300&fit=outside", "jpeg 450x300", scaled(450, 300)],
    ["w=300&h=300&fit=contain", "jpeg 300x300", padded(300, 300, BLACK, scaled(300, 200), 0, 50)],
    ["s=300x300&w=150", "jpeg 150x300", cover("centre")],
    ["w=0.5", WHOLE, scaled(300, 200)],
    ["w=300&h=100&p=top", "jpeg 300x100", cover("top", 300, 100)],
    ["w=300&h=100&p=bottom", "jpeg 300x100", cover("bottom", 300, 100)],
    ["w=150&h=300&p=right", "jpeg 150x300", cover("right")],
    ["w=150&h=300&p=centre", "jpeg 150x300", cover("centre")],
    ["w=300&rotate=90", "jpeg 200x300", at300(quarterTurned)],
    ["w=300&rotate=-90", "jpeg 200x300", at300((pixels) => quarterTurned(halfTurned(pixels)))],
    [
      "w=300&rotate=20",
      "jpeg 350x291",
      at300((pixels) => laid(canvas(350, 291, BLACK), turned(pixels, 20), 0, 0)),
      TURNED_TOLERANCE,
    ],
    ["w=300&flip=true&flop=true", WHOLE, at300(halfTurned)],
    ["w=300&flip=false", WHOLE, scaled(300, 200)],
    [
      "w=300&grayscale=true",
      WHOLE,
      at300((pixels) => each(pixels, (one) => [luma(one), luma(one), luma(one)])),
    ],
    ["w=300&grayscale=false", WHOLE, scaled(300, 200)],
    ["w=300&blur=1", WHOLE, at300((pixels) => blurred(pixels, 1))],
    ["w=300&blur=20", WHOLE, at300((pixels) => pixelsOf(imageOf(pixels).blur(20)))],
    ["w=300&sharpen=0.5", WHOLE, at300((pixels) => pixelsOf(imageOf(pixels).sharpen({ sigma: 0.5 })))],
    ["w=300&gamma=1", WHOLE, scaled(300, 200)],
    [
      "w=300&gamma=3",
      WHOLE,
      at300((pixels) => each(pixels, ([r, g, b]) => [r, g, b].map((one) => 255 * (one / 255) ** (1 / 3)))),
    ],
    [
      "w=300&brightness=0.5",
      WHOLE,
      at300((pixels) => pixelsOf(imageOf(pixels).modulate({ brightness: 0.5 }))),
    ],
    ["w=300&saturation=0", WHOLE, at300((pixels) => pixelsOf(imageOf(pixels).modulate({ saturation: 0 })))],
    ["w=300&saturation=3", WHOLE, at300((pixels) => pixelsOf(imageOf(pixels).modulate({ saturation: 3 })))],
    ["w=300&hue=-120", WHOLE, at300((pixels) => pixelsOf(imageOf(pixels).modulate({ hue: 240 })))],
    [
      "w=300&threshold=60",
      WHOLE,
      at300((pixels) => each(pixels, (one) => (luma(one) >= 60 ? WHITE : BLACK))),
    ],
    [
      "w=300&threshold=200",
      WHOLE,
      at300((pixels) => each(pixels, (one) => (luma(one) >= 200 ? WHITE : BLACK))),
    ],
  ];

  eachCase(cases, (query) => `/image/photos/photo.jpg?${query}`);
});

const judged = async (body: Buffer, expected: Expected): Promise<string> =>
  verdict(body, await wanted(stage.scene, "", expected), expected);

const bytesOf = async (chain: string, headers: Record<string, string>): Promise<number> =>
  (await served(stage, `/root/tr:${chain},f-jpg/photo.jpg`, headers)).body.length;

async function told(path: string, headers: Record<string, string>): Promise<(string | null)[]> {
  const reply = await served(stage, path, headers);
  return ["x-cache", "content-dpr", "etag"].map((name) => reply.headers.get(name));
}

describe("what the browser says of itself", () => {
  test("w-auto is its width, rounded up to the next hundred, and dpr-auto its pixels", async () => {
    const wide = await served(stage, "/root/tr:w-auto/photo.jpg", {
      "sec-ch-width": "212",
      "sec-ch-dpr": "2",
    });
    expect(await judged(wide.body, { is: WHOLE, picture: scaled(300, 200) })).toMatch(/^jpeg \d+x\d+$/);
    expect([wide.headers.get("content-dpr"), wide.headers.get("vary")]).toEqual([
      "2.83",
      "Accept, Sec-CH-Width, Width, Sec-CH-DPR, DPR, Save-Data",
    ]);
    const dense = await served(stage, "/root/tr:w-150,dpr-auto/photo.jpg", { "sec-ch-dpr": "2" });
    expect(await judged(dense.body, { is: WHOLE, picture: scaled(300, 200) })).toMatch(/^jpeg \d+x\d+$/);
    const plain = await served(stage, "/root/tr:w-150,dpr-auto/photo.jpg");
    expect(await judged(plain.body, { is: "jpeg 150x100", picture: scaled(150, 100) })).toMatch(
      /^jpeg \d+x\d+$/,
    );
  });

  test("windows of nearly the same width share a picture, and each is told how dense it is there", async () => {
    const path = "/root/tr:w-auto,e-grayscale/photo.jpg";
    const [cache, dpr, etag] = await told(path, { "sec-ch-width": "301" });
    expect([cache, dpr]).toEqual(["MISS", "1.33"]);
    expect(await told(path, { "sec-ch-width": "350.5" })).toEqual(["HIT", "1.14", etag]);
    expect(await told(path, { width: "400", dpr: "2" })).toEqual(["HIT", "2", etag]);
    expect((await told(path, { "sec-ch-width": "401" }))[0]).toBe("MISS");
    const none = (await told(path, {}))[2];
    for (const nonsense of ["1e3", "-300", "0", "100000", "300px"]) {
      expect([nonsense, ...(await told(path, { "sec-ch-width": nonsense }))]).toEqual([
        nonsense,
        "HIT",
        null,
        none,
      ]);
    }
    const dense = "/root/tr:w-150,dpr-auto,e-grayscale/photo.jpg";
    // What a browser says at 110 %.
    expect((await told(dense, { "sec-ch-dpr": "1.100000023841858" }))[0]).toBe("MISS");
    expect((await told(dense, { dpr: "1.1" }))[0]).toBe("HIT");
  });

  test("who saves data gets a lower quality where the URL leaves the size to the browser and names none", async () => {
    const saving = { "save-data": "on" };
    const fewer = await bytesOf("w-150,dpr-auto", saving);
    expect(fewer).toBeLessThan(0.9 * (await bytesOf("w-150,dpr-auto", {})));
    expect(fewer).toBe(await bytesOf("w-150,q-60", {}));
    for (const chain of ["w-150", "w-150,dpr-auto,q-90", "w-150,dpr-auto,q-80"]) {
      expect([chain, await bytesOf(chain, saving)]).toEqual([
        chain,
        await bytesOf(chain, { "save-data": "off" }),
      ]);
    }
  });

  test("without a detector a face is looked for by what catches the eye, and the answer says so", async () => {
    const reply = await served(stage, "/root/tr:w-200,h-300,fo-dog/photo.jpg");
    expect(reply.headers.get("x-windlass-focus")).toBe("fallback");
    const auto = await served(stage, "/root/tr:w-200,h-300,fo-auto/photo.jpg");
    expect(auto.headers.get("x-windlass-focus")).toBe(null);
    expect(difference(await pixelsOf(reply.body), await pixelsOf(auto.body)).mean).toBeLessThan(1);
  });
});

const tiny = scaled(90, 60);
const block = (opacity: number): Pixels => canvas(60, 40, [255, 0, 0, opacity * 255]);
const lays =
  (layer: (scene: Buffer) => Promise<Pixels> | Pixels, left: number, top: number): Case[2] =>
  async (scene) =>
    laid(await scaled(300, 200)(scene), await layer(scene), left, top);

describe("layers", () => {
  const picture = "l-image,i-photo.jpg,w-90";
  const red = "l-image,i-ik_canvas,bg-FF0000,w-60,h-40";
  const cases: readonly Case[] = [
    [`${picture},l-end`, WHOLE, lays(tiny, 105, 70)],
    [`l-image,ie-${Buffer.from("photo.jpg").toString("base64")},w-90,l-end`, WHOLE, lays(tiny, 105, 70)],
    [`${picture},lx-10,ly-20,l-end`, WHOLE, lays(tiny, 10, 20)],
    [`${picture},lx-N10,ly-N20,l-end`, WHOLE, lays(tiny, 200, 120)],
    [`${picture},lxc-60,lyc-100,l-end`, WHOLE, lays(tiny, 15, 70)],
    [`${picture},lx-10,ly-20,lap-bottom_right,l-end`, WHOLE, lays(tiny, 200, 120)],
    [`${picture},lx-bw_div_3,ly-bh_div_4,l-end`, WHOLE, lays(tiny, 100, 50)],
    // Never beyond the picture.
    [`${picture},lx-290,ly-190,l-end`, WHOLE, lays(tiny, 210, 140)],
    ...(
      [
        ["top_left", 0, 0],
        ["top", 120, 0],
        ["top_right", 240, 0],
        ["left", 0, 80],
        ["center", 120, 80],
        ["right", 240, 80],
        ["bottom_left", 0, 160],
        ["bottom", 120, 160],
        ["bottom_right", 240, 160],
      ] as const
    ).map(([name, x, y]): Case => [`${red},lfo-${name},l-end`, WHOLE, lays(() => block(1), x, y)]),
    [`${red},al-3,l-end`, WHOLE, lays(() => block(0.3), 120, 80)],
    [`${picture}:rt-90,l-end`, WHOLE, lays(async (scene) => quarterTurned(await tiny(scene)), 120, 55)],
    [
      `${picture},${red.replace("60", "20").replace("40", "20")},lfo-top_left,l-end,l-end`,
      WHOLE,
      lays(async (scene) => laid(await tiny(scene), canvas(20, 20, [255, 0, 0, 255]), 0, 0), 105, 70),
    ],
    [
      "l-image,i-ik_canvas,bg-FF8000,w-60,h-40,lm-multiply,l-end",
      WHOLE,
      at300((pixels) =>
        each(pixels, ([r, g, b], x, y) =>
          x < 120 || x >= 180 || y < 80 || y >= 120 ? [r, g, b] : [r, (g * 128) / 255, 0],
        ),
      ),
    ],
    [
      `${red},lm-cutout,l-end`,
      "png 300x200",
      at300((pixels) =>
        each(pixels, ([r, g, b], x, y) => [r, g, b, x < 120 || x >= 180 || y < 80 || y >= 120 ? 255 : 0]),
      ),
    ],
    [
      "l-image,i-ik_canvas,w-100,h-100,r-max,lm-cutter,l-end",
      "png 100x100",
      async (scene) => {
        const cut = imageOf(await scaled(300, 200)(scene)).extract({
          left: 100,
          top: 50,
          width: 100,
          height: 100,
        });
        return masked(await pixelsOf(cut), '<circle cx="50" cy="50" r="50"/>');
      },
    ],
    [
      // Full red: everything comes from 15 pixels further right.
      "l-image,i-ik_canvas,bg-FF8080,w-300,h-200,lm-displace,x-15,l-end",
      WHOLE,
      at300((pixels) =>
        each(pixels, (_, x, y) => {
          const n = (y * 300 + Math.min(299, x + 15)) * 4;
          return [...pixels.data.subarray(n, n + 3)];
        }),
      ),
    ],
  ];

  eachCase(cases, (layer) => `/root/photo.jpg?tr=${encodeURIComponent(`w-300,h-200,${layer}`)}`);

  test("text has the size, the colour, the place and the turn that are asked for", async () => {
    const texts = async (style: string): Promise<Pixels> => {
      const query = encodeURIComponent(`w-300,h-200,f-png,l-text,i-Windlass,${style},l-end`);
      return pixelsOf((await served(stage, `/root/photo.jpg?tr=${query}`)).body);
    };
    const bare = await scaled(300, 200)(stage.scene);
    /** Where the text changed the picture. */
    const box = (pixels: Pixels) => {
      const [xs, ys]: [number[], number[]] = [[], []];
      each(pixels, (colour, x, y) => {
        const n = (y * 300 + x) * 4;
        if (colour.some((value, channel) => Math.abs(value - bare.data[n + channel]!) > 60)) {
          xs.push(x);
          ys.push(y);
        }
        return colour;
      });
      const [left, top] = [Math.min(...xs), Math.min(...ys)];
      return {
        left,
        top,
        width: Math.max(...xs) - left + 1,
        height: Math.max(...ys) - top + 1,
        ink: xs.length,
      };
    };
    const small = box(await texts("fs-20,co-FF00FF"));
    const large = box(await texts("fs-40,co-FF00FF"));
    expect(large.width / small.width).toBeCloseTo(2, 0);
    expect(Math.abs(large.left + large.width / 2 - 150)).toBeLessThan(3);
    const turnedText = box(await texts("fs-40,co-FF00FF,rt-90"));
    expect(Math.abs(turnedText.height - large.width)).toBeLessThan(4);
    const low = box(await texts("fs-20,co-FF00FF,lfo-bottom_left"));
    expect([low.left < 4, low.top + low.height > 196]).toEqual([true, true]);
    const bold = box(await texts("fs-40,co-FF00FF,tg-b"));
    expect(bold.ink).toBeGreaterThan(large.ink * 1.1);
    const wrapped = box(await texts("fs-40,co-FF00FF,w-100"));
    expect([wrapped.width <= 100, wrapped.height > large.height * 1.5]).toEqual([true, true]);
    const boxed = box(await texts("fs-20,co-FF00FF,bg-00FF00,pa-15"));
    expect(Math.abs(boxed.width - small.width - 30)).toBeLessThan(4);
  });
});
