/** What the transformations do to pixels, over HTTP. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sceneJpeg } from "./conformance/scene.ts";
import {
  colourAt,
  openSite,
  quadrants,
  sizeOf,
  stripes,
  takeNextFound,
  BLUE,
  GREEN,
  RED,
  WHITE,
  type Site,
} from "./site.ts";

let site: Site;

beforeAll(async () => {
  site = await openSite();
  await site.put(
    "wide.jpg",
    await stripes(400, 200, [RED, GREEN, BLUE, WHITE]).jpeg({ quality: 95 }).toBuffer(),
  );
  await site.put("square.png", await quadrants(200, 200).png().toBuffer());
  await site.put(
    "turned.jpg",
    await quadrants(200, 100).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer(),
  );
  const clear = {
    create: { width: 50, height: 50, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0 } },
  } as const;
  await site.put("clear.png", await sharp(clear).png().toBuffer());
  const frames = await Promise.all([RED, BLUE].map((colour) => stripes(60, 40, [colour]).png().toBuffer()));
  const moving = sharp(frames, { join: { animated: true } });
  await site.put("moving.gif", await moving.gif().toBuffer());
});
afterAll(() => site[Symbol.asyncDispose]());

/** The answer's picture; the request must have been served. */
async function picture(path: string, accept = "*/*"): Promise<Buffer> {
  const reply = await site.get(path, { headers: { accept } });
  expect([path, reply.status, reply.headers.get("x-windlass-error")]).toEqual([path, 200, null]);
  return reply.body;
}

test.each([
  ["tr:w-100,h-100", "jpeg 100x100"],
  ["tr:w-100", "jpeg 100x50"],
  ["tr:h-50", "jpeg 100x50"],
  ["tr:w-0.5", "jpeg 200x100"],
  ["tr:w-.25,h-0.5", "jpeg 100x100"],
  ["tr:w-800", "jpeg 800x400"],
  ["tr:w-100,h-100,c-at_max", "jpeg 100x50"],
  ["tr:w-1000,h-1000,c-at_max", "jpeg 400x200"],
  ["tr:w-1000,c-at_max", "jpeg 400x200"],
  ["tr:w-90,h-100,c-force", "jpeg 90x100"],
  ["tr:w-100,c-force", "jpeg 100x50"],
  ["tr:w-1,h-1", "jpeg 1x1"],
  ["tr:h-1", "jpeg 2x1"],
  ["tr:w-100,h-100,f-png", "png 100x100"],
  ["tr:w-100,f-webp", "webp 100x50"],
  ["tr:w-100,f-avif", "heif 100x50"],
  ["tr:f-jpg", "jpeg 400x200"],
  ["tr:q-30", "jpeg 400x200"],
  ["tr:w-200,h-200:w-50", "jpeg 50x50"],
  ["tr:w-200,h-200:w-0.5,h-30,c-force", "jpeg 100x30"],
])("%s gives %s", async (transformation, expected) => {
  expect(await sizeOf(await picture(`/root/${transformation}/wide.jpg`))).toBe(expected);
  expect(await sizeOf(await picture(`/root/wide.jpg?tr=${transformation.slice(3)}`))).toBe(expected);
});

const across = (body: Buffer) => Promise.all([0.1, 0.4, 0.6, 0.9].map((x) => colourAt(body, x, 0.5)));

describe("both sides given", () => {
  test("maintain_ratio fills and crops from the centre", async () => {
    const body = await picture("/root/tr:w-100,h-100,f-png/wide.jpg");
    expect(await across(body)).toEqual(["green", "green", "blue", "blue"]);
  });

  test("force stretches all of it", async () => {
    const body = await picture("/root/tr:w-100,h-100,c-force,f-png/wide.jpg");
    expect(await across(body)).toEqual(["red", "green", "blue", "white"]);
  });

  test("at_max keeps all of it", async () => {
    const body = await picture("/root/tr:w-100,h-100,c-at_max,f-png/wide.jpg");
    expect(await across(body)).toEqual(["red", "green", "blue", "white"]);
  });

  test("coordinates of an extract mean nothing to what is none, whether the picture shrinks or grows", async () => {
    for (const size of ["w-100,h-100", "w-500,h-500", "w-500,h-500,c-maintain_ratio_no_enlarge"]) {
      const body = await picture(`/root/tr:${size},x-0,y-900,xc-20,f-png/wide.jpg`);
      expect([size, await across(body)]).toEqual([size, ["green", "green", "blue", "blue"]]);
    }
  });

  test("each step of a chain works on the result of the one before", async () => {
    const body = await picture("/root/tr:w-100,h-100:w-80,h-20,c-force,f-png/wide.jpg");
    expect(await across(body)).toEqual(["green", "green", "blue", "blue"]);
  });
});

/** Red, green, blue, alpha. */
const rgba = async (body: Buffer): Promise<Buffer> => sharp(body).ensureAlpha().raw().toBuffer();

describe("behind a picture that is transparent in places", () => {
  beforeAll(async () => {
    const disc =
      '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle cx="20" cy="20" r="12" fill="red"/></svg>';
    await site.put("disc.png", await sharp(Buffer.from(disc)).png().toBuffer());
  });

  test.each(["w-120,h-40,cm-pad_resize", "w-80,h-80,cm-pad_extract"])(
    "bg-blurred is the picture on white, without edges, for %s",
    async (size) => {
      const body = await picture(`/root/tr:${size},bg-blurred,f-png/disc.png`);
      // Red and white have all the red there is; black would have none.
      const data = await rgba(body);
      expect(data.every((value, n) => (n % 4 === 0 ? value > 240 : n % 4 !== 3 || value === 255))).toBe(true);
      expect(await colourAt(body, 0.5, 0.5)).toBe("red");
    },
  );

  test("bg-blurred is nothing where nothing is padded", async () => {
    const plain = await picture("/root/tr:w-20,f-png/disc.png");
    const blurred = await picture("/root/tr:w-20,bg-blurred,f-png/disc.png");
    expect((await rgba(blurred)).equals(await rgba(plain))).toBe(true);
  });
});

test("corners that turning leaves free are black, of a layer clear", async () => {
  const body = await picture("/root/tr:w-100,rt-45,f-png/square.png");
  expect([...(await rgba(body)).subarray(0, 4)]).toEqual([0, 0, 0, 255]);
  const layer = "l-image,i-wide.jpg,w-100,h-100,t-false,rt-45,l-end";
  await site.put("white.png", await stripes(200, 200, [WHITE]).png().toBuffer());
  const laid = await picture(`/root/tr:${layer},f-png/white.png`);
  // 141 pixels wide in the middle: a corner of the layer's, and its middle.
  expect([await colourAt(laid, 0.18, 0.18), await colourAt(laid, 0.4, 0.5)]).toEqual(["white", "green"]);
});

describe("fo-custom", () => {
  beforeAll(async () => {
    const body = await stripes(400, 200, [RED, GREEN, BLUE, WHITE]).jpeg({ quality: 95 }).toBuffer();
    // Of the blue stripe.
    await site.put("marked.jpg", body, { meta: { user: { customcoordinates: "210,60,80,80" } } });
  });

  test.each([
    "w-40,h-40,fo-custom",
    "w-200:w-20,h-20,fo-custom",
    "w-800:w-40,h-40,fo-custom",
    "w-300,h-80,c-force:w-40,h-40,fo-custom",
    "w-200,h-100:w-20,h-20,fo-custom",
    "w-200,e-sharpen,r-20:w-20,h-20,fo-custom",
    "w-20,h-20,cm-extract,fo-custom",
    "if-iw_gt_100,w-100:w-60,if-end:w-10,h-10,fo-custom",
  ])("shows the box that the file's metadata names, at whatever size it is then: %s", async (chain) => {
    const reply = await site.get(`/root/tr:${chain},f-png/marked.jpg`);
    expect(reply.headers.get("x-windlass-focus")).toBe(null);
    const places = [0.1, 0.9].map((x) => colourAt(reply.body, x, 0.5));
    expect(await Promise.all(places)).toEqual(["blue", "blue"]);
  });

  test.each([
    "w-200,h-200:w-20,h-20,fo-custom",
    "w-300,h-100,cm-extract:w-20,h-20,fo-custom",
    "w-400,h-400,cm-pad_resize:w-20,h-20,fo-custom",
    "fl-h:w-20,h-20,fo-custom",
    "rt-180:w-20,h-20,fo-custom",
    "b-5_red:w-20,h-20,fo-custom",
    "w-40,h-40,fo-custom:w-20,h-20,fo-custom",
    "l-image,i-wide.jpg,w-40,h-40,fo-custom,l-end",
  ])("says that it is lost once places are others: %s", async (chain) => {
    const reply = await site.get(`/root/tr:${chain}/marked.jpg`);
    expect([reply.status, reply.headers.get("x-windlass-focus")]).toEqual([200, "fallback"]);
  });
});

test("a picture that was taken sideways is turned before it is measured, and says nothing of it any more", async () => {
  const body = await picture("/root/tr:w-50,f-png/turned.jpg");
  expect(await sizeOf(body)).toBe("png 50x100");
  // Turned clockwise: what was below left is now above left.
  const corners = await Promise.all([
    colourAt(body, 0.2, 0.2),
    colourAt(body, 0.8, 0.2),
    colourAt(body, 0.2, 0.8),
  ]);
  expect(corners).toEqual(["blue", "red", "white"]);
  const { orientation, exif, icc } = await sharp(await picture("/root/tr:w-50,f-jpg/turned.jpg")).metadata();
  expect({ orientation, exif, icc }).toEqual({ orientation: undefined, exif: undefined, icc: undefined });
});

test.each(["l-image,i-cut.jpg,w-20,l-end", "l-image,i-wide.jpg,l-image,i-cut.jpg,w-20,l-end,l-end"])(
  "a damaged picture of a layer is named: %s",
  async (layer) => {
    const whole = await site.get("/root/tr:orig-true/wide.jpg");
    await site.put("cut.jpg", Buffer.from(whole.body).subarray(0, whole.body.length / 2));
    const { status, headers } = await site.get(`/root/tr:w-50,${layer}/wide.jpg`);
    expect(`${status} ${headers.get("x-windlass-error")}`).toBe(
      "422 DamagedSource - Layer cut.jpg: The source is damaged or cut short.",
    );
  },
);

test("a layer is the file that is there now", async () => {
  const path = "/root/tr:l-image,i-mark.png,l-end,f-png/square.png";
  for (const [name, colour] of [
    ["red", RED],
    ["blue", BLUE],
  ] as const) {
    await site.put("mark.png", await stripes(20, 20, [colour]).png().toBuffer());
    const { headers, body } = await site.get(path);
    expect([headers.get("x-cache"), await colourAt(body, 0.52, 0.48)]).toEqual(["MISS", name]);
  }
  expect((await site.get(path)).headers.get("x-cache")).toBe("HIT");
});

test("transparency stays where the format has it, and becomes white in a JPEG", async () => {
  expect((await sharp(await picture("/root/tr:w-20,f-webp/clear.png")).metadata()).hasAlpha).toBe(true);
  expect((await sharp(await picture("/root/tr:w-20/clear.png")).metadata()).hasAlpha).toBe(true);
  expect(await colourAt(await picture("/root/tr:w-20,f-jpg/clear.png"), 0.5, 0.5)).toBe("white");
});

describe("padding", () => {
  test.each(["0000FF", "white", "FF0000"])("of a grey picture has the colour asked for: %s", async (name) => {
    const grey = await stripes(40, 20, [[128, 128, 128]])
      .toColourspace("b-w")
      .jpeg()
      .toBuffer();
    expect((await sharp(grey).metadata()).channels).toBe(1);
    await site.put("grey.jpg", grey);
    const body = await picture(`/root/tr:w-40,h-40,cm-pad_resize,bg-${name},f-png/grey.jpg`);
    const colours = { "0000FF": "blue", white: "white", FF0000: "red" };
    expect([await colourAt(body, 0.5, 0.1), await colourAt(body, 0.5, 0.5)]).toEqual([
      colours[name as keyof typeof colours],
      "mixed",
    ]);
  });

  test("of a transparent picture becomes white in a JPEG, as the picture does", async () => {
    for (const chain of ["w-50,h-100,cm-pad_resize", "w-100,h-100,cm-pad_extract"]) {
      const body = await picture(`/root/tr:${chain},f-jpg/clear.png`);
      expect([await colourAt(body, 0.02, 0.02), await colourAt(body, 0.5, 0.5)]).toEqual(["white", "white"]);
    }
  });
});

test("of an animation the first frame is delivered", async () => {
  const body = await picture("/root/tr:w-30,f-png/moving.gif");
  expect(await sizeOf(body)).toBe("png 30x20");
  expect(await colourAt(body, 0.5, 0.5)).toBe("red");
});

test("a lower quality makes fewer bytes in each format that has one", async () => {
  for (const format of ["jpg", "webp", "avif"]) {
    const low = await picture(`/root/tr:w-200,q-10,f-${format}/square.png`);
    const high = await picture(`/root/tr:w-200,q-100,f-${format}/square.png`);
    expect(low.length).toBeLessThan(high.length);
  }
});

test("a quality that the URL names is kept, though the file itself is smaller", async () => {
  const small = await sharp(await sceneJpeg())
    .resize(300)
    .jpeg({ quality: 30 })
    .toBuffer();
  await site.put("small.jpg", small);
  for (const usual of ["/root/tr:w-300/small.jpg", "/image/photos/small.jpg?w=300"]) {
    expect([usual, (await picture(usual)).equals(small)]).toEqual([usual, true]);
  }
  for (const [named, quality] of [
    ["/root/tr:w-300,q-80/small.jpg", 80],
    ["/root/tr:w-300,q-95/small.jpg", 95],
    ["/root/tr:q-95:w-300/small.jpg", 95],
    ["/image/photos/small.jpg?w=300&q=80", 80],
  ] as const) {
    const expected = await sharp(small).jpeg({ quality }).toBuffer();
    expect([named, (await picture(named)).length]).toEqual([named, expected.length]);
  }
});

test("a quality says nothing of what has none: a PNG that is smaller as it is stays so", async () => {
  const few = await sharp(await sceneJpeg())
    .resize(300)
    .png({ palette: true, colours: 16, effort: 10, compressionLevel: 9 })
    .toBuffer();
  await site.put("few.png", few);
  for (const path of ["/image/photos/few.png?q=60", "/root/tr:q-60/few.png"]) {
    expect([path, (await picture(path)).equals(few)]).toEqual([path, true]);
  }
});

const unfiltered = async (body: Buffer) => (await sharp(body).png().toBuffer()).length;

describe("PNGs are filtered where that makes them smaller", () => {
  test("of a photograph, whatever it is stored in", async () => {
    const photograph = sharp(await sceneJpeg());
    await site.put("photograph.jpg", await photograph.toBuffer());
    await site.put("photograph.png", await photograph.png().toBuffer());
    await site.put("grey.png", await photograph.toColourspace("b-w").png().toBuffer());
    for (const key of ["photograph.jpg", "photograph.png", "grey.png"]) {
      const body = await picture(`/root/tr:w-300,f-png/${key}`);
      expect([key, body.length < 0.9 * (await unfiltered(body))]).toEqual([key, true]);
    }
  });

  test("not of text", async () => {
    const lines = Array.from(
      { length: 20 },
      (_, n) =>
        `<text x="5" y="${20 * n + 15}" font-size="${9 + (n % 7)}">Objects, keys and buckets: ${n}</text>`,
    );
    const page = `<svg xmlns="http://www.w3.org/2000/svg" width="300" height="400">${lines.join("")}</svg>`;
    await site.put(
      "page.png",
      await sharp(Buffer.from(page)).flatten({ background: "#fff" }).png().toBuffer(),
    );
    const body = await picture("/root/tr:w-250,f-png/page.png");
    expect(body.length).toBe(await unfiltered(body));
    expect(body.length).toBeLessThan((await sharp(body).png({ adaptiveFiltering: true }).toBuffer()).length);
  });
});

describe("f-auto, which holds without f- too", () => {
  const browser = "image/avif,image/webp,image/apng,image/*,*/*;q=0.8";
  test.each([
    ["image/avif,image/*;q=0.8", "image/avif"],
    // Of pictures as small as this one AVIF is not the smallest.
    [browser, "image/webp"],
    ["image/webp,*/*", "image/webp"],
    ["image/avif;q=0, image/webp", "image/webp"],
    ["*/*", "image/jpeg"],
    ["image/*", "image/jpeg"],
    ["image/png", "image/jpeg"],
  ])("Accept: %s gives %s, and says that it depends on it", async (accept, expected) => {
    for (const path of ["/root/tr:w-64/wide.jpg", "/root/tr:w-64,f-auto/wide.jpg"]) {
      const reply = await site.get(path, { headers: { accept } });
      expect(reply.headers.get("content-type")).toBe(expected);
      expect(reply.headers.get("vary")).toBe("Accept");
    }
  });

  test("the results for different clients have different ETags", async () => {
    const etags = await Promise.all(
      [browser, "*/*"].map(async (accept) =>
        (await site.get("/root/tr:w-64/wide.jpg", { headers: { accept } })).headers.get("etag"),
      ),
    );
    expect(etags[0]).not.toBe(etags[1]);
  });

  test("a format asked for by name doesn't depend on Accept", async () => {
    const reply = await site.get("/root/tr:w-64,f-webp/wide.jpg", { headers: { accept: browser } });
    expect([reply.headers.get("content-type"), reply.headers.get("vary")]).toEqual(["image/webp", null]);
  });
});

test.each([
  ["w-auto", { "sec-ch-width": "99999", "sec-ch-dpr": "1" }, 40],
  ["w-auto", { "sec-ch-width": "401" }, 500],
  ["w-auto,h-10,c-force", { "sec-ch-width": "99999" }, 5000],
  ["w-20,dpr-auto", { "sec-ch-dpr": "9" }, 100],
  ["w-20,dpr-auto", { "sec-ch-dpr": "0.01" }, 2],
])(
  "%s for a browser that says %j of itself makes no picture that is refused",
  async (chain, hints, width) => {
    await site.put("tall.png", await quadrants(40, 400).png().toBuffer());
    const { body } = await site.get(`/root/tr:${chain},f-png/tall.png`, { headers: { ...hints } });
    expect((await sharp(body).metadata()).width).toBe(width);
  },
);

test.each([
  ["w-auto", { "sec-ch-width": "5000" }, 100],
  ["w-auto,h-1000", { "sec-ch-width": "5000" }, 100],
  ["w-400,dpr-auto", { "sec-ch-dpr": "5" }, 400],
  ["w-50,l-image,i-tall.png,w-auto,l-end", { "sec-ch-width": "5000" }, 50],
])("nor an animation whose frames are too many for that: %s for %j", async (chain, hints, width) => {
  const frames = await Promise.all(
    Array.from({ length: 30 }, async (_, n) =>
      sharp({ create: { width: 100, height: 100, channels: 3, background: n % 2 === 0 ? "red" : "blue" } })
        .png()
        .toBuffer(),
    ),
  );
  const gif = await sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer();
  await site.put("long.gif", gif);
  await site.put("tall.png", await quadrants(40, 400).png().toBuffer());
  const reply = await site.get(`/root/tr:${chain},f-gif/long.gif`, { headers: { ...hints } });
  expect([reply.status, (await sharp(reply.body).metadata()).width]).toEqual([200, width]);
});

test("the query form of an alias does the same, and keeps the source's format", async () => {
  expect(await sizeOf(await picture("/image/photos/wide.jpg?w=100&h=100"))).toBe("jpeg 100x100");
  expect(await sizeOf(await picture("/image/photos/square.png?width=50&v=3", "image/avif"))).toBe(
    "png 50x50",
  );
  const stretched = await picture("/image/photos/wide.jpg?w=100&h=100&fit=fill&f=png");
  expect(await colourAt(stretched, 0.1, 0.5)).toBe("red");
});

test("what is purged between its finding and its first byte is made again", async () => {
  await site.put(
    "large.png",
    await sharp(await sceneJpeg())
      .resize(900)
      .png()
      .toBuffer(),
  );
  const path = "/root/tr:w-800,f-png/large.png";
  const body = await picture(path);
  // More than entries that are read whole.
  expect(body.length).toBeGreaterThan(256 * 1024);
  takeNextFound();
  const reply = await site.get(path);
  expect([reply.status, reply.headers.get("x-cache"), reply.body.equals(body)]).toEqual([200, "HIT", true]);
});

test("a transformation in the query may be written as forms write it, plus signs for blanks", async () => {
  await site.put("logos/logo 2+.png", await quadrants(40, 40).png().toBuffer());
  // Its Base64 has a plus sign.
  await site.put("logos/aa>.png", await quadrants(40, 40).png().toBuffer());
  const base64 = Buffer.from("logos/aa>.png").toString("base64");
  expect(base64).toContain("+");
  for (const tr of [
    "l-text,i-Hello World + 1,fs-40,co-yellow,l-end,f-png",
    "l-image,i-logos@@logo 2+.png,l-end,f-png",
    `l-image,ie-${base64},l-end,f-png`,
  ]) {
    const asked = await Promise.all(
      [
        `/root/tr:${encodeURIComponent(tr)}/wide.jpg`,
        `/root/wide.jpg?tr=${encodeURIComponent(tr)}`,
        `/root/wide.jpg?${new URLSearchParams({ tr }).toString()}`,
      ].map((path) => site.get(path)),
    );
    const [first] = asked;
    const alike = asked.map(({ status, body }) => [status, body.equals(first!.body)]);
    expect([tr, alike]).toEqual([
      tr,
      [
        [200, true],
        [200, true],
        [200, true],
      ],
    ]);
  }
  // Whoever encodes nothing has plus signs in Base64, which has no blanks.
  expect((await site.get(`/root/wide.jpg?tr=l-image,ie-${base64},l-end`)).status).toBe(200);
});
