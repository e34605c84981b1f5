/** Streams: HLS and DASH from one set of segments, and what a browser makes of them. */
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { requestPurge } from "../../../src/delivery/cache/purge.ts";
import { createEndpoint, updateEndpoint } from "../../../src/delivery/origins/endpoints.ts";
import { createTransformation } from "../../../src/delivery/origins/transformations.ts";
import { createUrlKey, deleteUrlKey, signUrl } from "../../../src/delivery/signature.ts";
import { locate } from "../../../src/delivery/site.ts";
import { startWeb, type WebServer } from "../origins/storage.ts";
import { openSite, outcomeOf, type Site } from "../site.ts";
import { burst, clip, hasFfmpeg, made, picturesFrom, remade } from "./clips.ts";
import { streamed, urisOf } from "./streaming.ts";

const here = await hasFfmpeg();
const CHROMIUM = "/usr/bin/chromium";
const browserHere = await exists(CHROMIUM);

describe.skipIf(!here)("a film of ten seconds in 720p", () => {
  let site: Site;
  const path = "/root/film.mp4/ik-master.m3u8?tr=sr-240_360_480";
  beforeAll(async () => {
    site = await openSite();
    const film = await clip({ width: 1280, height: 720, seconds: 10 });
    await site.put("film.mp4", film, { meta: { contentType: "video/mp4" } });
  }, 60_000);
  afterAll(() => site[Symbol.asyncDispose]());

  const get = async (url: string): Promise<string> => {
    const reply = await site.get(url);
    expect([url, reply.status]).toEqual([url, 200]);
    return reply.body.toString();
  };

  test.skipIf(!browserHere)(
    "plays in hls.js while it is still being made",
    async () => {
      await using page = await pageOf(site.url + path);
      const browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: [
          "--no-sandbox",
          "--disable-gpu",
          "--disable-background-networking",
          "--autoplay-policy=no-user-gesture-required",
        ],
      });
      try {
        const tab = await browser.newPage();
        await tab.goto(page.url);
        await tab.waitForFunction(
          "window.seen !== undefined && (window.seen.currentTime > 1 || window.seen.error)",
          undefined,
          { timeout: 60_000 },
        );
        const seen = await tab.evaluate<{ currentTime: number; levels: number; error?: string }>(
          "window.seen",
        );
        expect(seen.error).toBeUndefined();
        expect(seen.levels).toBe(3);
        await tab.waitForFunction("window.seen.duration > 9.5", undefined, { timeout: 60_000 });
      } finally {
        await browser.close();
      }
    },
    120_000,
  );

  test("has a master playlist with sizes, rates and codecs, and every piece that is named", async () => {
    const master = await get(path);
    expect(master).toMatch(/CODECS="avc1\.[0-9a-f]{6},mp4a\.40\.2"/);
    for (const size of ["426x240", "640x360", "854x480"]) expect(master).toContain(`RESOLUTION=${size}`);
    const media = urisOf(master).map((uri) => new URL(uri, site.url + path));
    expect(media).toHaveLength(3);
    await expect
      .poll(async () => (await get(media[0]!.pathname + media[0]!.search)).includes("#EXT-X-ENDLIST"), {
        timeout: 60_000,
      })
      .toBe(true);
    for (const url of media) {
      const playlist = await get(url.pathname + url.search);
      expect(playlist).toContain("#EXT-X-MAP:URI=");
      const segments = urisOf(playlist);
      expect(segments.length).toBeGreaterThanOrEqual(4);
      const first = await site.get(new URL(segments[0]!, url).href.slice(site.url.length));
      expect([first.status, first.headers.get("content-type"), first.body.length > 1000]).toEqual([
        200,
        "video/iso.segment",
        true,
      ]);
    }
  }, 90_000);

  test("has a DASH manifest over the same pieces", async () => {
    const { headers, body } = await site.get("/root/film.mp4/ik-master.mpd?tr=sr-240_360_480");
    expect(headers.get("content-encoding")).toBe("gzip");
    const manifest = body.toString();
    const media = /media="([^"]+)"/.exec(manifest)![1]!.replaceAll("&amp;", "&");
    const [, id] = /ik-stream\/([0-9a-f]+)\//.exec(media)!;
    expect(await get(path)).toContain(id);
    const segment = media.replace("$RepresentationID$", "0").replace("$Number%05d$", "00001");
    expect((await site.get(`/root/film.mp4/${segment}`)).body.length).toBeGreaterThan(1000);
    for (const height of [240, 360, 480]) expect(manifest).toContain(`height="${height}"`);
  }, 60_000);

  test("pieces of other sets, and names that lead elsewhere, are 404", async () => {
    const master = await get(path);
    const id = /ik-stream\/([0-9a-f]+)\//.exec(master)![1]!;
    for (const name of ["..%2f..%2fkey", "done", "media_0.m3u8.new", "source"]) {
      expect([
        name,
        (await site.get(`/root/film.mp4/ik-stream/${id}/${name}?tr=sr-240_360_480`)).status,
      ]).toEqual([name, 404]);
    }
    expect((await site.get(`/root/film.mp4/ik-stream/${id}/media_0.m3u8?tr=sr-240_360`)).status).toBe(404);
  });

  test("behind a restriction, what no playlist has told is refused before anything is looked for", async () => {
    const origins = ["photos"];
    await createEndpoint(site.store, { name: "signed", origins, signedOnly: true });
    await createEndpoint(site.store, { name: "named", origins, namedOnly: true });
    await createEndpoint(site.store, { name: "private", origins, privateFiles: true });
    const query = "?tr=sr-240_360_480";
    const place = { host: undefined, path: "/root/signed/film.mp4/ik-master.m3u8", rawQuery: query.slice(1) };
    const url = await signUrl(site.store, {
      url: site.url + place.path + query,
      place: await locate(site.store, place),
      scheme: "windlass",
      now: Date.now(),
    });
    const master = await get(url.slice(site.url.length));
    const piece = new URL(urisOf(master)[0]!, url);
    expect(await get(piece.pathname + piece.search)).toContain("#EXTINF");

    const id = /ik-stream\/([0-9a-f.]+)\//.exec(master)![1]!;
    const elsewhere = /ik-stream\/([0-9a-f]+)\//.exec(await get(path))![1]!;
    const refused = async (...urls: readonly string[]): Promise<string[]> =>
      Promise.all(urls.map(async (one) => outcomeOf(await site.get(one))));
    // The right is one of the endpoint whose playlist told it.
    const moved = piece.pathname.replace("/signed/", "/private/") + piece.search;
    expect(await refused(moved)).toEqual(["401 SignatureRequired"]);
    const tried = [
      `film.mp4/ik-stream/abc/v0.m3u8`,
      `film.mp4/ik-stream/abc/v0.m3u8${query}`,
      `missing.mp4/ik-stream/abc/v0.m3u8${query}`,
      `missing.mp4/ik-stream/${id}/v0.m3u8${query}`,
      `film.mp4/ik-stream/${elsewhere}/v0.m3u8${query}`,
      `film.mp4/ik-stream/${id}/v0.m3u8?tr=sr-240`,
    ];
    for (const one of tried) {
      expect([one, await refused(`/root/signed/${one}`, `/root/private/${one}`)]).toEqual([
        one,
        ["401 SignatureRequired", "401 SignatureRequired"],
      ]);
    }
    expect(await refused(`/root/named/missing.mp4/ik-stream/${id}/v0.m3u8${query}`)).toEqual([
      "400 UnnamedTransformation",
    ]);
  }, 60_000);
});

const sets = (site: Site): Promise<string[]> => readdir(join(site.folder, "cache", "video", "streams"));

/** Puts a film and has a stream of it made to its end; gives the stream's id. */
async function streamOf(site: Site, name: string): Promise<string> {
  const film = await clip({ width: 160, height: 90, seconds: 1, sound: false });
  await site.put(name, film);
  const reply = await site.get(`/root/${name}/ik-master.m3u8?tr=sr-240`);
  const [media = ""] = urisOf(reply.body.toString());
  const lasting = async (): Promise<string | null> =>
    (await site.get(`/root/${name}/${media}`)).headers.get("cache-control");
  await expect.poll(lasting, { timeout: 30_000 }).toMatch(/^public/);
  return media.split("/")[1]!.slice(-64);
}

describe.skipIf(!here)("streams of short films", () => {
  test("end with their cut, also where the sound ends before it", async () => {
    await using site = await openSite();
    const sources = "-f lavfi -i testsrc2=s=160x90:r=25:d=6 -f lavfi -i sine=d=1";
    await site.put("a.mp4", await made([...sources.split(" "), "-c:v", "libx264", "-preset", "ultrafast"]));
    const { pieces } = await streamed(site, "/root/a.mp4/ik-master.m3u8?tr=sr-240,so-1.5,du-2");
    expect(pieces.reduce((sum, { seconds }) => sum + seconds, 0)).toBeCloseTo(2, 1);
  });

  test("that a signed URL began go on for some hours behind its end, and no longer than its key", async () => {
    await using site = await openSite();
    const film = await clip({ width: 160, height: 90, seconds: 1, sound: false });
    await site.put("a.mp4", film, { meta: { user: { isprivatefile: "true" } } });
    for (const id of ["one", "other"]) await createUrlKey(site.store, { id });
    const place = { host: undefined, path: "/root/a.mp4/ik-master.m3u8", rawQuery: "tr=sr-240" };
    const begin = async (keyId: string, expires?: number) => {
      const url = await signUrl(site.store, {
        url: `${site.url}${place.path}?${place.rawQuery}`,
        place: await locate(site.store, place),
        keyId,
        expires,
        now: Date.now(),
      });
      const master = url.slice(site.url.length);
      const [media = ""] = urisOf((await site.get(master)).body.toString());
      return { master, piece: `/root/a.mp4/${media}` };
    };
    const [short, long, endless] = [await begin("one", 60), await begin("one", 86_400), await begin("other")];
    const heard = async (): Promise<string[]> =>
      Promise.all(
        [short.master, short.piece, long.piece, endless.piece].map(async (one) =>
          outcomeOf(await site.get(one)),
        ),
      );
    expect(await heard()).toEqual(["200 -", "200 -", "200 -", "200 -"]);
    const kept = async (piece: string): Promise<number> => {
      const { headers } = await site.get(piece);
      return Number(/^public, max-age=(\d+)$/.exec(headers.get("cache-control") ?? "")?.[1]);
    };
    // Once it is made, no cache has a piece for longer than it may be asked for.
    await expect.poll(() => kept(short.piece), { timeout: 30_000 }).toBeLessThan(12 * 3_600 + 60);
    await expect.poll(() => kept(endless.piece), { timeout: 30_000 }).toBe(86_400);
    const plain = endless.piece.replace(/ik-stream\/0\.[0-9a-f]{8}\./, "ik-stream/");
    expect(outcomeOf(await site.get(plain))).toBe("401 SignatureRequired");
    expect(outcomeOf(await site.get(short.piece.replace(/ik-stream\/\d+/, "ik-stream/0")))).toBe(
      "401 SignatureRequired",
    );
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      vi.setSystemTime(Date.now() + 5 * 3_600_000);
      expect(await heard()).toEqual(["401 ExpiredUrl", "200 -", "200 -", "200 -"]);
      vi.setSystemTime(Date.now() + 8 * 3_600_000);
      expect(await heard()).toEqual(["401 ExpiredUrl", "401 ExpiredUrl", "200 -", "200 -"]);
    } finally {
      vi.useRealTimers();
    }
    await deleteUrlKey(site.store, { id: "other" });
    expect(outcomeOf(await site.get(endless.piece))).toBe("401 InvalidSignature");
    await createUrlKey(site.store, { id: "other" });
    expect(outcomeOf(await site.get(endless.piece))).toBe("401 InvalidSignature");
  }, 60_000);

  test("that anybody could begin end when their endpoint is closed", async () => {
    await using site = await openSite();
    await site.put("a.mp4", await clip({ width: 160, height: 90, seconds: 1, sound: false }));
    await createTransformation(site.store, { name: "small", chain: "sr-240" });
    await createEndpoint(site.store, { name: "open", origins: ["photos"] });
    const begin = async (chain: string): Promise<string> => {
      const master = await site.get(`/root/open/a.mp4/ik-master.m3u8?tr=${chain}`);
      return `/root/open/a.mp4/${urisOf(master.body.toString())[0]!}`;
    };
    const pieces = [await begin("sr-240"), await begin("n-small")];
    const heard = async (): Promise<string[]> =>
      Promise.all(pieces.map(async (one) => outcomeOf(await site.get(one))));
    expect(await heard()).toEqual(["200 -", "200 -"]);
    await updateEndpoint(site.store, { name: "open" }, { namedOnly: true });
    expect(await heard()).toEqual(["400 UnnamedTransformation", "200 -"]);
    await updateEndpoint(site.store, { name: "open" }, { privateFiles: true });
    expect(await heard()).toEqual(["400 UnnamedTransformation", "200 -"]);
    await updateEndpoint(site.store, { name: "open" }, { signedOnly: true });
    expect(await heard()).toEqual(["401 SignatureRequired", "401 SignatureRequired"]);
  }, 60_000);

  test("go with a purge of their file, which leaves others", async () => {
    await using site = await openSite();
    const [purged, other] = [await streamOf(site, "a.mp4"), await streamOf(site, "b.mp4")];
    expect((await sets(site)).toSorted()).toEqual([purged, other].toSorted());
    const { id: ownerId } = (await site.store.accounts.byName("root"))!;
    await requestPurge(site.store, { ownerId, origin: "photos", path: "a.mp4" });
    await site.get("/root/a.mp4");
    await expect.poll(() => sets(site)).toEqual([other]);
    await requestPurge(site.store, { ownerId });
    await site.get("/root/a.mp4");
    await expect.poll(() => sets(site)).toEqual([]);
  }, 60_000);

  test("tell rates that no piece of them exceeds, before and after they are made", async () => {
    await using site = await openSite();
    const calm = await clip({ width: 426, height: 240, seconds: 6 });
    // Nothing to encode for a while, and then more than fits.
    const stormy = await remade(calm, ["-vf", "noise=alls=60:allf=t:enable='gte(t,2)'", "-crf", "20"]);
    await site.put("a.mp4", stormy);
    const path = "/root/a.mp4/ik-master.m3u8?tr=sr-240";
    const told = async (): Promise<number> =>
      Number(/BANDWIDTH=(\d+)/.exec((await site.get(path)).body.toString())![1]);
    const early = await told();
    const cached = async (): Promise<string | null> => (await site.get(path)).headers.get("cache-control");
    await expect.poll(cached, { timeout: 30_000 }).toMatch(/^public/);
    const master = (await site.get(path)).body.toString();
    const media = [...urisOf(master), /URI="([^"]+)"/.exec(master)![1]!];
    const peaks = media.map(async (uri) => {
      const playlist = (await site.get(`/root/a.mp4/${uri}`)).body.toString();
      const seconds = [...playlist.matchAll(/#EXTINF:([\d.]+)/g)].map(([, text]) => Number(text));
      const rates = urisOf(playlist).map(async (name, n) => {
        const piece = await site.get(
          new URL(name, `${site.url}/root/a.mp4/${uri}`).href.slice(site.url.length),
        );
        return seconds[n]! < 1 ? 0 : (piece.body.length * 8) / seconds[n]!;
      });
      return Math.max(...(await Promise.all(rates)));
    });
    const peak = (await Promise.all(peaks)).reduce((sum, one) => sum + one, 0);
    expect(peak).toBeGreaterThan(200_000);
    expect(early).toBeGreaterThanOrEqual(peak);
    const late = await told();
    expect([late >= peak, late <= early]).toEqual([true, true]);
  }, 60_000);

  test("have all pictures of films whose pictures come at one rate first, and at another then", async () => {
    await using site = await openSite();
    const film = await burst();
    expect(await picturesFrom(2, film)).toBe(30);
    await site.put("a.mp4", film);
    const { master, film: stream } = await streamed(site, "/root/a.mp4/ik-master.m3u8?tr=sr-240");
    expect(master).toContain("FRAME-RATE=30.000");
    expect(await picturesFrom(2, stream)).toBe(30);
  }, 60_000);

  test("have no more room than the cache", async () => {
    await using site = await openSite({ cacheBytes: 1 });
    await streamOf(site, "a.mp4");
    const last = await streamOf(site, "b.mp4");
    await expect.poll(() => sets(site)).toEqual([last]);
  }, 60_000);
});

async function exists(path: string): Promise<boolean> {
  try {
    await readFile(path);
    return true;
  } catch (error) {
    if (process.env["WINDLASS_REQUIRE_CLIENTS"] === "1") throw error;
    return false;
  }
}

/** A page that plays a stream with hls.js and tells what it sees, from an origin of its own. */
async function pageOf(stream: string): Promise<WebServer> {
  const script = await readFile(createRequire(import.meta.url).resolve("hls.js/dist/hls.min.js"));
  const html = `<!doctype html><video id="v" muted></video><script src="/hls.js"></script><script>
    const video = document.getElementById("v");
    const hls = new Hls({ enableWorker: false });
    hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) window.seen = { error: data.details + " " + (data.reason ?? "") }; });
    hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
    hls.loadSource(${JSON.stringify(stream)});
    hls.attachMedia(video);
    video.addEventListener("timeupdate", () => {
      window.seen = { currentTime: video.currentTime, levels: hls.levels.length, duration: video.duration };
    });
    setInterval(() => { if (window.seen && !window.seen.error) window.seen.duration = video.duration; }, 200);
  </script>`;
  return startWeb(({ url }, response) => {
    response.setHeader("content-type", url === "/hls.js" ? "text/javascript" : "text/html");
    response.end(url === "/hls.js" ? script : html);
  });
}
