/** Pictures that need the operator's detector: without one, when it comes, and while it gives no answer. */
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { createDelivery } from "../../src/delivery/delivery.ts";
import type { Service } from "../../src/delivery/service.ts";
import { startListener } from "../../src/lib/http.ts";
import { startWeb, type WebServer } from "./origins/storage.ts";
import { clip, hasFfmpeg } from "./video/clips.ts";
import { urisOf } from "./video/streaming.ts";
import { BLUE, colourAt, GREEN, openSite, RED, stripes, WHITE, type Reply, type Site } from "./site.ts";

const FACE = "/root/tr:w-50,h-200,fo-face,f-png/stripes.jpg";
const ON_WHITE = { regions: [{ x: 0.8, y: 0.2, width: 0.1, height: 0.1 }] };

let server: WebServer;
let detector: Service;
/** What the detector says; undefined: it is at a loss. */
let said: object | undefined;
let calls: number;

beforeAll(async () => {
  server = await startWeb((request, response) => {
    calls++;
    request.resume();
    request.on("end", () =>
      said === undefined ? response.writeHead(503).end() : response.end(JSON.stringify(said)),
    );
  });
  detector = { url: server.url, token: undefined };
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  calls = 0;
  said = ON_WHITE;
});
afterEach(() => void vi.useRealTimers());

async function withStripes(services: { detector?: Service }): Promise<Site> {
  const site = await openSite({ renderers: 1 }, { services });
  await site.put("stripes.jpg", await stripes(400, 200, [RED, GREEN, BLUE, WHITE]).jpeg().toBuffer());
  return site;
}

const told = ({ headers }: Pick<Reply, "headers">): (string | null)[] => [
  headers.get("x-cache"),
  headers.get("x-windlass-focus"),
];

/** A playlist says `no-cache` until its stream is put away, which may be a moment after its last piece. */
function keptSeconds({ headers }: Pick<Reply, "headers">): number {
  const control = headers.get("cache-control") ?? "";
  return control === "no-cache" ? 0 : Number(/max-age=(\d+)/.exec(control)?.[1]);
}

test("they are right as soon as there is one, and all that need none are the same", async () => {
  await using site = await withStripes({});
  const { store, folder } = site;
  const log = pino({ level: "silent" });
  const later = createDelivery({ store, cacheDir: join(folder, "cache"), log, services: { detector } });
  const { handle, onFailure } = later;
  const listener = await startListener({ host: "127.0.0.1", port: 0, log, handle, onFailure });
  try {
    for (const path of [FACE, "/root/tr:w-60:l-image,i-stripes.jpg,w-20,h-20,fo-dog,l-end/stripes.jpg"]) {
      expect([path, ...told(await site.get(path))]).toEqual([path, "MISS", "fallback"]);
      expect([path, ...told(await fetch(listener.url + path))]).toEqual([path, "MISS", null]);
    }
    const other = "/root/tr:w-50,h-50,fo-auto/stripes.jpg";
    expect(told(await site.get(other))).toEqual(["MISS", null]);
    expect(told(await fetch(listener.url + other))).toEqual(["HIT", null]);
  } finally {
    await listener.close(1000);
    await later.close();
  }
});

test.each([
  ["no answer", undefined],
  ["nonsense", { faces: 7 }],
])(
  "while it says %s they are made without it, and it is left alone; then they are right",
  async (_, nothing) => {
    said = nothing;
    await using site = await withStripes({ detector });
    const first = await site.get(FACE);
    expect([told(first), calls]).toEqual([["MISS", "fallback"], 1]);
    // Nobody keeps for a day what is right in a moment.
    expect(keptSeconds(first)).toBeLessThanOrEqual(5);
    const etag = first.headers.get("etag")!;
    const second = await site.get(FACE);
    expect([told(second), second.headers.get("etag"), calls]).toEqual([["HIT", "fallback"], etag, 1]);
    const headers = { "if-none-match": etag };
    const unchanged = await site.get(FACE, { headers });
    expect([unchanged.status, keptSeconds(second) <= 5, keptSeconds(unchanged) <= 5]).toEqual([
      304,
      true,
      true,
    ]);

    said = ON_WHITE;
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
    const third = await site.get(FACE, { headers });
    expect([third.status, told(third), calls]).toEqual([200, ["MISS", null], 2]);
    expect(keptSeconds(third)).toBe(86_400);
    expect(await colourAt(third.body, 0.5, 0.5)).toBe("white");
    expect(told(await site.get(FACE))).toEqual(["HIT", null]);
  },
);

test("where it finds nothing, that is its answer", async () => {
  said = { regions: [] };
  await using site = await withStripes({ detector });
  expect([told(await site.get(FACE)), told(await site.get(FACE)), calls]).toEqual([
    ["MISS", "fallback"],
    ["HIT", "fallback"],
    1,
  ]);
});

const here = await hasFfmpeg();

test.skipIf(!here)("nobody keeps a film that was made without it, nor pieces of a stream", async () => {
  await using site = await withStripes({ detector });
  await site.put("film.mp4", await clip({ width: 320, height: 180, seconds: 1 }));
  said = undefined;
  await site.get(FACE);
  const layer = "l-image,i-stripes.jpg,w-50,h-200,fo-face,l-end";
  const film = await site.get(`/root/film.mp4?tr=${layer}`);
  const path = `/root/film.mp4/ik-master.m3u8?tr=sr-240:${layer}`;
  const { body } = await site.get(path);
  const playlist = new URL(urisOf(body.toString())[0]!, site.url + path);
  const list = async (): Promise<Reply> => site.get(playlist.href.slice(site.url.length));
  await expect.poll(async () => (await list()).body.toString(), { timeout: 20_000 }).toContain("ENDLIST");
  const piece = new URL(urisOf((await list()).body.toString())[0]!, playlist);
  for (const reply of [film, await list(), await site.get(piece.href.slice(site.url.length))]) {
    expect([reply.status, keptSeconds(reply) <= 5]).toEqual([200, true]);
  }
});

test.skipIf(!here)("streams go on as they began, whether it goes or comes", async () => {
  await using site = await withStripes({ detector });
  await site.put("film.mp4", await clip({ width: 320, height: 180, seconds: 1 }));
  const path = "/root/film.mp4/ik-master.m3u8?tr=sr-240:l-image,i-stripes.jpg,w-50,h-200,fo-face,l-end";
  const piece = async (): Promise<string> => {
    const { body } = await site.get(path);
    return new URL(urisOf(body.toString())[0]!, site.url + path).href.slice(site.url.length);
  };
  const before = await piece();
  said = undefined;
  // It is left alone from now on.
  await site.get(FACE);
  const meanwhile = await piece();
  expect([(await site.get(before)).status, meanwhile === before]).toEqual([200, false]);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
  expect([(await site.get(meanwhile)).status, (await piece()) === before]).toEqual([200, true]);
});
