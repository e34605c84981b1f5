/** What strangers upload and ask for, within the limits; and renderers that die. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { jpegClaiming, png as pngClaiming } from "./hostile/rasters.ts";
import { noise, openSite, outcomeOf, quadrants, sizeOf, type Reply, type Site } from "./site.ts";

describe("hostile files", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite({ renderers: 1 });
  });
  afterAll(() => site[Symbol.asyncDispose]());

  test("end in a 4xx, and the renderer lives", async () => {
    const jpeg = await noise(200, 200);
    const png = await quadrants(200, 200).png().toBuffer();
    const gif = await quadrants(20, 20).gif().toBuffer();
    const frame = gif.indexOf(0x2c, 13 + 3 * 2 ** ((gif[10]! & 7) + 1));
    for (const at of [6, 8, frame + 5, frame + 7]) gif.writeUInt16LE(20_000, at);
    const files: [name: string, body: Buffer, expected: RegExp][] = [
      ["bomb.png", pngClaiming(50_000, 50_000), / 422 LimitExceeded/],
      ["bomb.jpg", jpegClaiming(jpeg, 65_000, 65_000), / 422 LimitExceeded/],
      ["bomb.gif", gif, / 422 LimitExceeded/],
      [
        "flat.png",
        await sharp({ create: { width: 9000, height: 9000, channels: 3, background: "red" } })
          .png()
          .toBuffer(),
        / 422 LimitExceeded/,
      ],
      ["empty.png", pngClaiming(100, 100), / 422 DamagedSource/],
      ["cut.jpg", jpeg.subarray(0, jpeg.length / 2), / 422 DamagedSource/],
      ["cut.png", png.subarray(0, png.length / 2), / 422 DamagedSource/],
      [
        "cut.webp",
        (await quadrants(200, 200).webp({ lossless: true }).toBuffer()).subarray(0, 60),
        / 4(15|22) /,
      ],
      ["cut.avif", (await quadrants(200, 200).avif().toBuffer()).subarray(0, 100), / 4(15|22) /],
      ["text.jpg", Buffer.from("this is no picture"), / 415 UnsupportedSource/],
      ["nothing.jpg", Buffer.alloc(0), / 415 UnsupportedSource/],
      ["one-byte.png", Buffer.from([0x89]), / 415 UnsupportedSource/],
      ["page.png", Buffer.from("<!doctype html><script>alert(1)</script>"), / 415 UnsupportedSource/],
      ["postscript.jpg", Buffer.from("%!PS-Adobe-3.0\n%%BoundingBox: 0 0 9 9\n"), / 415 UnsupportedSource/],
      ["netpbm.png", Buffer.from("P6 60000 60000 255\n"), / 415 UnsupportedSource/],
    ];
    for (const [name, body, expected] of files) {
      await site.put(name, body, { meta: { contentType: "image/jpeg" } });
      expect(`${name} ${outcomeOf(await site.get(`/root/tr:w-10/${name}`))}`).toMatch(expected);
    }
    expect(site.delivery.rendererPids()).toHaveLength(1);
    await site.put("honest.jpg", jpeg);
    expect((await site.get("/root/tr:w-10/honest.jpg")).status).toBe(200);
  });

  test("are tried once a minute, however often they are asked for", async () => {
    await site.put("again.jpg", Buffer.alloc(100_000, "no picture "), {
      meta: { contentType: "image/jpeg" },
    });
    const tries = async (): Promise<number> => {
      const before = site.reads.count;
      expect(outcomeOf(await site.get("/root/tr:w-10/again.jpg"))).toBe("415 UnsupportedSource");
      return site.reads.count - before;
    };
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      expect([await tries(), await tries()]).toEqual([1, 0]);
      vi.setSystemTime(Date.now() + 59_000);
      expect(await tries()).toBe(0);
      vi.setSystemTime(Date.now() + 2000);
      expect([await tries(), await tries()]).toEqual([1, 0]);
    } finally {
      vi.useRealTimers();
    }
  });

  test("a PNG that calls itself a JPEG is what it is", async () => {
    await site.put("lying.jpg", await quadrants(20, 20).png().toBuffer(), {
      meta: { contentType: "image/jpeg" },
    });
    const reply = await site.get("/root/tr:w-10/lying.jpg");
    expect([await sizeOf(reply.body), reply.headers.get("content-type")]).toEqual(["png 10x10", "image/png"]);
  });

  test("pages and drawings with scripts are delivered, and are inert", async () => {
    await site.put(
      "evil.svg",
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
      { meta: { contentType: "image/svg+xml" } },
    );
    await site.put("evil.html", Buffer.from("<script>alert(1)</script>"), {
      meta: { contentType: "text/html" },
    });
    for (const name of ["evil.svg", "evil.html"]) {
      const { status, headers } = await site.get(`/root/${name}`);
      expect(status).toBe(200);
      expect(headers.get("content-security-policy")).toMatch(/^default-src 'none';.*; sandbox$/);
    }
  });
});

describe("limits", () => {
  test("a source of too many bytes is 413 and is not read", async () => {
    await using site = await openSite({ sourceBytes: 40_000 });
    await site.put("large.jpg", await noise(300, 300));
    expect(outcomeOf(await site.get("/root/tr:w-10/large.jpg"))).toBe("413 SourceTooLarge");
    expect([site.reads.count, site.delivery.rendererPids()]).toEqual([0, []]);
    expect((await site.get("/root/large.jpg")).status).toBe(200);
  });

  test("a result of too many bytes is 422", async () => {
    await using site = await openSite({ resultBytes: 10_000 });
    await site.put("noise.jpg", await noise(200, 200));
    expect(outcomeOf(await site.get("/root/tr:f-png/noise.jpg"))).toBe("422 LimitExceeded");
  });

  test("a rendering that takes too long is 422, and the next one finds a fresh renderer", async () => {
    await using site = await openSite({ renderSeconds: 8, renderers: 1 });
    const before = await halted(site);
    expect(outcomeOf(await site.get("/root/tr:w-21/photo.jpg"))).toBe("422 LimitExceeded");
    expect((await site.get("/root/tr:w-22/photo.jpg")).status).toBe(200);
    expect(site.delivery.rendererPids()).not.toContain(before);
  });

  test("a rendering that was held up is no reason to refuse what another worker has made meanwhile", async () => {
    await using site = await openSite({ renderSeconds: 3, renderers: 1 });
    await using other = await site.openWorker();
    await site.put("photo.jpg", await noise(300, 300));
    expect((await site.get("/root/tr:w-20/photo.jpg")).status).toBe(200);
    process.kill(site.delivery.rendererPids()[0]!, "SIGSTOP");
    expect(outcomeOf(await site.get("/root/tr:w-21/photo.jpg"))).toBe("422 LimitExceeded");
    const made = await other.get("/root/tr:w-21/photo.jpg");
    const found = await site.get("/root/tr:w-21/photo.jpg");
    expect([made.status, found.status, found.headers.get("x-cache")]).toEqual([200, 200, "HIT"]);
  });

  test("a rendering that took too long is not begun with every request, but again after some seconds", async () => {
    await using site = await openSite({ renderSeconds: 3, renderers: 1 });
    await site.put("photo.jpg", await noise(300, 300));
    expect((await site.get("/root/tr:w-20/photo.jpg")).status).toBe(200);
    process.kill(site.delivery.rendererPids()[0]!, "SIGSTOP");
    expect(outcomeOf(await site.get("/root/tr:w-21/photo.jpg"))).toBe("422 LimitExceeded");
    expect(outcomeOf(await site.get("/root/tr:w-21/photo.jpg"))).toBe("422 LimitExceeded");
    expect(site.delivery.counts().renders).toMatchObject({ done: 1, failed: 1 });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 11_000 });
    try {
      expect((await site.get("/root/tr:w-21/photo.jpg")).status).toBe(200);
    } finally {
      vi.useRealTimers();
    }
  });

  test("a rendering that takes too long is begun by one of the workers that are asked at the same time", async () => {
    await using site = await openSite({ renderSeconds: 3, renderers: 1 });
    await using other = await site.openWorker();
    await site.put("photo.jpg", await noise(300, 300));
    const replies = await Promise.all([site, other].map((worker) => worker.get(SLOW)));
    expect(replies.map(outcomeOf)).toEqual(["422 LimitExceeded", "422 LimitExceeded"]);
    for (const worker of [site, other]) expect(outcomeOf(await worker.get(SLOW))).toBe("422 LimitExceeded");
    expect(site.delivery.counts().renders.failed + other.delivery.counts().renders.failed).toBe(1);
  });

  test("a full queue is 429 and says when to come again; the others are served", async () => {
    await using site = await openSite({ renderers: 1, queueLength: 2, renderSeconds: 50 });
    const renderer = await halted(site);
    const refused: Reply[] = [];
    const replies = [1, 2, 3, 4, 5, 6, 7].map(async (n) => {
      const reply = await site.get(`/root/tr:w-100${n}/photo.jpg`);
      if (reply.status === 429) refused.push(reply);
      return String(reply.status);
    });
    // One is rendered, one is on its way into the renderer, two wait.
    await vi.waitUntil(() => refused.length === 3, 30_000);
    process.kill(renderer, "SIGCONT");
    expect((await Promise.all(replies)).toSorted().join(" ")).toBe("200 200 200 200 429 429 429");
    for (const { headers } of refused) expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  });

  test("where nothing was asked of a picture, a full queue costs only its better format, and not for long", async () => {
    await using site = await openSite({ renderers: 1, queueLength: 1, renderSeconds: 50 });
    const renderer = await halted(site);
    const headers = { accept: "image/avif,image/webp,*/*" };
    const others = [21, 22, 23].map((width) => site.get(`/root/tr:w-${width}/photo.jpg`));
    await vi.waitUntil(() => site.delivery.counts().renders.waiting === 1, 30_000);
    const plain = await site.get("/root/photo.jpg", { headers });
    expect([plain.status, plain.headers.get("content-type")]).toEqual([200, "image/jpeg"]);
    expect(plain.headers.get("cache-control")).toMatch(/max-age=[0-5]$/);
    process.kill(renderer, "SIGCONT");
    await Promise.all(others);
    const later = await site.get("/root/photo.jpg", { headers });
    expect(later.headers.get("content-type")).not.toBe("image/jpeg");
    expect(later.headers.get("cache-control")).toBe("public, max-age=86400");
  });
});

/** The only renderer of a site, which has made one picture and is stopped: the next takes it for ever. */
async function halted(site: Site): Promise<number> {
  await site.put("photo.jpg", await noise(300, 300));
  expect((await site.get("/root/tr:w-20/photo.jpg")).status).toBe(200);
  const pid = site.delivery.rendererPids()[0]!;
  process.kill(pid, "SIGSTOP");
  return pid;
}

/** Some seconds of work for one core: 40 million pixels of AVIF. */
const SLOW = "/root/tr:w-8000,h-5000,c-force,f-avif/photo.jpg";

describe("renderers", () => {
  test("none runs before the first rendering", async () => {
    await using site = await openSite();
    await site.put("photo.jpg", await noise(300, 300));
    expect((await site.get("/root/tr:orig-true/photo.jpg")).status).toBe(200);
    expect(site.delivery.rendererPids()).toEqual([]);
  });

  test("one that is killed at its work costs one answer", async () => {
    await using site = await openSite({ renderers: 1 });
    await site.put("photo.jpg", await noise(300, 300));
    expect((await site.get("/root/tr:w-29/photo.jpg")).status).toBe(200);
    const hit = site.get(SLOW);
    // Once it has the source it works for seconds.
    while (site.reads.count < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const waiting = site.get("/root/tr:w-30/photo.jpg");
    process.kill(site.delivery.rendererPids()[0]!, "SIGKILL");
    expect(outcomeOf(await hit)).toBe("500 RendererFailed");
    expect(await sizeOf((await waiting).body)).toBe("jpeg 30x30");
  });

  test("one that is killed with two pictures at work costs no answer", async () => {
    await using site = await openSite({ renderers: 2 });
    const pid = await halted(site);
    const replies = [30, 31].map((width) => site.get(`/root/tr:w-${width}/photo.jpg`));
    while (site.reads.count < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(site.delivery.rendererPids()).toEqual([pid]);
    process.kill(pid, "SIGKILL");
    const sizes = (await Promise.all(replies)).map(({ body }) => sizeOf(body));
    expect(await Promise.all(sizes)).toEqual(["jpeg 30x30", "jpeg 31x31"]);
    expect(site.delivery.rendererPids()).not.toContain(pid);
  });

  test("more of them make what waits, as soon as there may be more", async () => {
    await using site = await openSite({ renderers: 1 });
    const pid = await halted(site);
    const replies = [30, 31, 32, 33, 34].map((width) => site.get(`/root/tr:w-${width}/photo.jpg`));
    await vi.waitUntil(() => site.delivery.counts().renders.waiting === 3, 30_000);
    site.delivery.share(6);
    expect((await Promise.race(replies)).status).toBe(200);
    process.kill(pid, "SIGCONT");
    expect((await Promise.all(replies)).map(({ status }) => status)).toEqual(replies.map(() => 200));
  });

  test("one that is killed while idle costs nothing", async () => {
    await using site = await openSite({ renderers: 1 });
    await site.put("photo.jpg", await noise(300, 300));
    await site.get("/root/tr:w-30/photo.jpg");
    const pid = site.delivery.rendererPids()[0]!;
    process.kill(pid, "SIGKILL");
    while (site.delivery.rendererPids().includes(pid))
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await site.get("/root/tr:w-31/photo.jpg")).status).toBe(200);
  });

  test("one that has done its share is replaced", async () => {
    await using site = await openSite({ renderers: 1, rendersPerProcess: 2 });
    await site.put("photo.jpg", await noise(300, 300));
    const seen = new Set<number>();
    for (const width of [10, 11, 12, 13, 14]) {
      expect((await site.get(`/root/tr:w-${width}/photo.jpg`)).status).toBe(200);
      for (const pid of site.delivery.rendererPids()) seen.add(pid);
    }
    expect(seen.size).toBe(3);
  });

  test("idle ones end", async () => {
    await using site = await openSite({ renderers: 1, idleSeconds: 0.05 });
    await site.put("photo.jpg", await noise(300, 300));
    expect((await site.get("/root/tr:w-30/photo.jpg")).status).toBe(200);
    while (site.delivery.rendererPids().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await site.get("/root/tr:w-31/photo.jpg")).status).toBe(200);
  });

  test("they know nothing of the environment, and step back behind the rest", async () => {
    await using site = await openSite({ renderers: 1 });
    await site.put("photo.jpg", await noise(300, 300));
    await site.get("/root/tr:w-30/photo.jpg");
    const { getPriority } = await import("node:os");
    const { readFileSync } = await import("node:fs");
    const pid = site.delivery.rendererPids()[0]!;
    expect(getPriority(pid)).toBeGreaterThanOrEqual(10);
    if (process.platform !== "linux") return;
    const names = readFileSync(`/proc/${pid}/environ`, "utf8")
      .split("\0")
      .map((line) => line.split("=")[0]!);
    // glibc cuts its own variable into pieces in place.
    expect(names.filter((name) => !/^(glibc\..*)?$/.test(name)).toSorted()).toEqual([
      "GLIBC_TUNABLES",
      "UV_THREADPOOL_SIZE",
      "VIPS_WARNING",
    ]);
  });

  test("fifty requests for one new picture render it once", async () => {
    await using site = await openSite();
    await site.put("photo.jpg", await noise(300, 300));
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => site.get("/root/tr:w-120,f-png/photo.jpg")),
    );
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
    expect(replies.every(({ body }) => body.equals(replies[0]!.body))).toBe(true);
    expect(site.reads.count).toBe(1);
  });

  test("fifty requests for fifty new pictures each get their own", async () => {
    await using site = await openSite();
    await site.put("photo.jpg", await noise(300, 300));
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, n) => site.get(`/root/tr:w-${n + 1},h-7,f-png/photo.jpg`)),
    );
    const sizes = await Promise.all(replies.map(({ body }) => sizeOf(body)));
    expect(sizes).toEqual(replies.map((_, n) => `png ${n + 1}x7`));
  });
});
