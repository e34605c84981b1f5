/** Many bombs at once, while somebody wants an honest picture. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noise, openSite, quadrants, sizeOf, type Site } from "../site.ts";
import { endingOf, leftovers, MemoryWatch } from "./cases.ts";
import {
  flatPng,
  gifOf,
  jpegClaiming,
  jpegOfScans,
  junk,
  png,
  tiffOfPages,
  vp8lClaiming,
} from "./rasters.ts";

const BOMBS = 36;
const svg = (inner: string): Buffer =>
  Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300">${inner}</svg>`);
const spikes = (points: number): string =>
  Array.from({ length: points }, (_, n) => `L${(n * 7919) % 300} ${(n * 104_729) % 300}`).join("");

const progressive = sharp({ create: { width: 3000, height: 3000, channels: 3, background: "#204060" } })
  .jpeg({ progressive: true })
  .toBuffer();

/** Of the kinds that only the clock or the memory's limit ends, and of those that are refused at once. */
const makers: readonly [name: string, make: (n: number) => Promise<Buffer> | Buffer][] = [
  ["spikes.svg", (n) => svg(`<path d="M${n} 0${spikes(100_000)}" stroke="red" stroke-width="9"/>`)],
  [
    "groups.svg",
    (n) => svg(`<!--${n}-->${'<g opacity="0.9"><rect width="300" height="300"/></g>'.repeat(60_000)}`),
  ],
  ["bomb.png", () => flatPng(16_000, 16_000, { depth: 1, colour: 0 })],
  ["within.png", () => flatPng(7000, 7000, { depth: 8, colour: 6 })],
  ["claims.png", (n) => png(60_000 + n, 60_000)],
  ["scans.jpg", async () => jpegOfScans(await progressive, 3000)],
  ["claims.jpg", async (n) => jpegClaiming(await noise(200, 200), 60_000 + n, 60_000)],
  ["frames.gif", (n) => gifOf(100 + n, 100, 200_000)],
  ["claims.webp", (n) => vp8lClaiming(16_000 + n, 16_000)],
  ["pages.tif", () => tiffOfPages(60_000)],
  [
    "noise.heic",
    (n) => Buffer.concat([Buffer.from("00000018667479706865696300000000", "hex"), junk(100_000, n)]),
  ],
  ["noise.jxl", (n) => Buffer.concat([Buffer.from([0xff, 0x0a]), junk(100_000, n)])],
];

describe("a storm of bombs", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite({ renderers: 2, renderSeconds: 3, renderBytes: 768 * 1024 ** 2, queueLength: 26 });
    await site.put("honest.jpg", await noise(300, 300));
    for (let n = 0; n < BOMBS; n++) {
      const [name, make] = makers[n % makers.length]!;
      await site.put(`${n}-${name}`, await make(n));
    }
  }, 120_000);
  afterAll(() => site[Symbol.asyncDispose]());

  test("ends in 4xx each, and honest pictures are served or told to come again meanwhile", async () => {
    using watch = new MemoryWatch(site);
    expect((await site.get("/root/tr:w-30/honest.jpg")).status).toBe(200);
    const storm = { over: false };
    const bombs = Promise.all(
      Array.from({ length: BOMBS }, (_, n) =>
        endingOf(site, `/root/tr:w-2000,f-png,r-max/${n}-${makers[n % makers.length]![0]}`),
      ),
    ).finally(() => (storm.over = true));
    const honest: string[] = [];
    for (let width = 31; !storm.over; width++) {
      // What was made before is there at once, whatever is being rendered.
      honest.push(await endingOf(site, "/root/tr:w-30/honest.jpg"));
      expect(honest.at(-1)).toBe("200");
      honest.push(await endingOf(site, `/root/tr:w-${width}/honest.jpg`));
    }
    const endings = await bombs;
    expect(endings.filter((ending) => !/^(200|4(15|22|29) \w+)$/.test(ending))).toEqual([]);
    expect(endings.filter((ending) => ending === "422 LimitExceeded").length).toBeGreaterThan(5);
    expect(honest.filter((ending) => ending !== "200" && ending !== "429 TooManyRenders")).toEqual([]);
    expect(honest.length).toBeGreaterThan(2);
    expect(watch.peak).toBeLessThan(1280 * 1024 ** 2);
    // Renderers that were killed are replaced by as many as may be.
    const { status, body } = await site.get("/root/tr:w-200,h-100/honest.jpg");
    expect([status, await sizeOf(body)]).toEqual([200, "jpeg 200x100"]);
    expect(site.delivery.rendererPids().length).toBeLessThanOrEqual(2);
    expect(await leftovers(site)).toEqual([]);
  }, 120_000);

  test("a hundred who ask for one bomb set it off once", async () => {
    await site.put("once.svg", svg(`<path d="M1 1${spikes(100_000)}" stroke="red" stroke-width="8"/>`));
    const before = site.reads.count;
    const endings = await Promise.all(
      Array.from({ length: 100 }, () => endingOf(site, "/root/tr:w-2000,f-png/once.svg")),
    );
    expect(new Set(endings)).toEqual(new Set(["422 LimitExceeded"]));
    expect(await endingOf(site, "/root/tr:w-2000,f-png/once.svg")).toBe("422 LimitExceeded");
    expect(site.reads.count - before).toBe(1);
  });
});

describe("a renderer that dies at its work", () => {
  test.each(["SIGKILL", "SIGSEGV", "SIGABRT"] as const)(
    "by %s costs that answer alone: what waits behind it, and beside it, is served",
    async (signal) => {
      await using site = await openSite({ renderers: 1 });
      await site.put("photo.jpg", await noise(300, 300));
      await site.put("other.png", await quadrants(40, 40).png().toBuffer());
      expect(await endingOf(site, "/root/tr:w-29/photo.jpg")).toBe("200");
      const [victim] = site.delivery.rendererPids();
      const hit = endingOf(site, "/root/tr:w-8000,h-5000,c-force,f-avif/photo.jpg");
      while (site.reads.count < 2) await new Promise((resolve) => setTimeout(resolve, 10));
      await new Promise((resolve) => setTimeout(resolve, 300));
      const behind = [31, 32, 33].map((width) => endingOf(site, `/root/tr:w-${width}/photo.jpg`));
      const others = [31, 32].map((width) => endingOf(site, `/root/tr:w-${width}/other.png`));
      process.kill(victim!, signal);
      expect(await hit).toBe("500 RendererFailed");
      expect(new Set(await Promise.all([...behind, ...others]))).toEqual(new Set(["200"]));
      expect(site.delivery.rendererPids()).not.toContain(victim);
      // It isn't held against the picture: the next one who asks gets it.
      expect(await endingOf(site, "/root/tr:w-80,h-50,c-force,f-avif/photo.jpg")).toBe("200");
      expect(await leftovers(site)).toEqual([]);
    },
  );

  test("again and again, does so each time", async () => {
    await using site = await openSite({ renderers: 1 });
    await site.put("photo.jpg", await noise(300, 300));
    for (let round = 0; round < 4; round++) {
      expect(await endingOf(site, `/root/tr:w-${20 + round}/photo.jpg`)).toBe("200");
      const reads = site.reads.count;
      const hit = endingOf(site, `/root/tr:w-${8000 - round},h-5000,c-force,f-avif/photo.jpg`);
      while (site.reads.count === reads) await new Promise((resolve) => setTimeout(resolve, 10));
      await new Promise((resolve) => setTimeout(resolve, 200));
      process.kill(site.delivery.rendererPids()[0]!, "SIGKILL");
      expect(await hit).toBe("500 RendererFailed");
    }
    expect(await endingOf(site, "/root/tr:w-40/photo.jpg")).toBe("200");
  });

  test("for too much memory is our doing, and says so", async () => {
    await using site = await openSite({ renderers: 1, renderBytes: 200 * 1024 ** 2, renderSeconds: 30 });
    await site.put("photo.jpg", await noise(300, 300));
    expect(await endingOf(site, "/root/tr:w-29/photo.jpg")).toBe("200");
    const behind = (): Promise<string> => endingOf(site, "/root/tr:w-31/photo.jpg");
    const large = site.get("/root/tr:w-6000,h-6000,c-force,e-contrast,f-png/photo.jpg");
    expect(await behind()).toBe("200");
    if (process.platform !== "linux") return;
    const { status, headers } = await large;
    expect([status, headers.get("x-windlass-error")]).toEqual([
      422,
      "LimitExceeded - Rendering needs more than 209715200 bytes of memory.",
    ]);
  });
});
