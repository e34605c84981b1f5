/** Named transformations, signed URLs and purges by the command line, beside a running server. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import { signedText } from "../signed.ts";
import { windlass, windlassJson, windlassOk } from "./windlass.ts";

let server: TestServer;
let data: string;
beforeAll(async () => {
  server = await startServer({ buckets: ["photos"] });
  data = server.data;
  const body = await sharp({ create: { width: 60, height: 40, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  await signedText(server, { method: "PUT", target: "/photos/red.png", body });
  await windlassOk(data, "origin", "create", "photos", "--type", "bucket", "--bucket", "photos");
});
afterAll(() => server.close());

const sizeOf = async (path: string) => {
  const answer = await fetch(`${server.deliveryUrl}${path}`);
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (answer.status !== 200) return answer.status;
  const { width, height } = await sharp(bytes).metadata();
  return `${width}x${height}`;
};

test("a named transformation is used, changed and deleted", async () => {
  expect(await sizeOf("/root/tr:n-tiny/red.png")).toBe(400);
  await windlassOk(data, "transformation", "create", "tiny", "w-30");
  expect(await sizeOf("/root/tr:n-tiny/red.png")).toBe("30x20");
  expect(await windlassOk(data, "transformation", "list")).toMatch(/^root +tiny +w-30$/m);
  await windlassOk(data, "transformation", "update", "tiny", "w-30,h-30,c-force");
  expect(await windlassJson(data, "transformation", "show", "tiny")).toMatchObject({
    chain: "w-30,h-30,c-force",
  });
  expect(await sizeOf("/root/tr:n-tiny/red.png")).toBe("30x30");
  await windlassOk(data, "transformation", "delete", "tiny");
  expect(await sizeOf("/root/tr:n-tiny/red.png")).toBe(400);
});

test.each(["imagekit", "windlass"])(
  "a URL signed by scheme %s is served, an altered one is not",
  async (scheme) => {
    const rules = ["--origin", "photos", "--signed-only"];
    await windlassOk(data, "endpoint", "create", `only-${scheme}`, ...rules);
    const path = `/root/only-${scheme}/tr:w-20/red.png`;
    expect(await sizeOf(path)).toBe(401);
    const sign = async (...more: string[]) => {
      const url = await windlassOk(
        data,
        "url",
        "sign",
        `${server.deliveryUrl}${path}`,
        "--scheme",
        scheme,
        ...more,
      );
      return url.trim().slice(server.deliveryUrl.length);
    };
    const signed = await sign();
    expect(await sizeOf(signed)).toBe("20x13");
    expect(await sizeOf(signed.replace("w-20", "w-21"))).toBe(401);
    const ending = await sign("--expires", "600");
    expect(await sizeOf(ending)).toBe("20x13");
    expect(await sizeOf(ending.replace(/(ik-t|wl-expires)=1/, "$1=2"))).toBe(401);
  },
);

test("a key signs until it is deleted; its secret is shown once", async () => {
  const { secret } = await windlassJson<{ secret: string }>(data, "url", "key", "create", "second");
  expect(await windlassOk(data, "url", "key", "list")).toContain("second");
  expect(await windlassOk(data, "url", "key", "list", "--json")).not.toContain(secret);
  await windlassOk(data, "endpoint", "create", "keyed", "--origin", "photos", "--signed-only");
  const signed = (await windlassOk(data, "url", "sign", "/root/keyed/red.png", "--key", "second")).trim();
  expect(await sizeOf(signed)).toBe("60x40");
  await windlassOk(data, "url", "key", "delete", "second");
  expect(await sizeOf(signed)).toBe(401);
});

/** A web server whose one picture changes when it is told to. */
async function startOrigin(): Promise<{ server: Server; port: number; show: (width: number) => void }> {
  let width = 10;
  const origin = createServer((_request, response) => {
    void sharp({ create: { width, height: 10, channels: 3, background: "blue" } })
      .png()
      .toBuffer()
      .then((body) => response.writeHead(200, { "content-type": "image/png" }).end(body));
  });
  await new Promise<void>((resolve) => void origin.listen(0, "127.0.0.1", resolve));
  const { port } = origin.address() as AddressInfo;
  return { server: origin, port, show: (next) => (width = next) };
}

test("a purge makes what changed at its origin seen with the next request", async () => {
  const origin = await startOrigin();
  const name = "Product images";
  const web = ["--base-url", `http://127.0.0.1:${origin.port}/`, "--allow-host", "127.0.0.1"];
  await windlassOk(data, "origin", "create", name, "--type", "web", ...web);
  await windlassOk(data, "endpoint", "create", "web", "--origin", name, "--cache-seconds", "3600");
  const path = "/root/web/tr:h-5/a/picture.png";
  expect(await sizeOf(path)).toBe("5x5");
  origin.show(20);
  expect(await sizeOf(path)).toBe("5x5");
  const purge = await windlassJson<{ id: string }>(
    data,
    "cache",
    "purge",
    "--url",
    `${server.deliveryUrl}${path}`,
  );
  expect(purge).toMatchObject({ state: "done", scope: { origin: name, path: "a/picture.png" } });
  expect(await sizeOf(path)).toBe("10x5");
  expect(await windlassOk(data, "cache", "status", purge.id)).toContain(
    `a/picture.png of origin ${name} is done`,
  );
  origin.show(40);
  await windlassOk(data, "cache", "purge", "--origin", name, "--prefix", "b/");
  expect(await sizeOf(path)).toBe("10x5");
  await windlassOk(data, "cache", "purge", "--origin", name, "--prefix", "a/");
  expect(await sizeOf(path)).toBe("20x5");
  origin.server.close();
});

const mistakes: [args: string[], message: RegExp][] = [
  [["transformation", "create", "x"], /missing required argument 'CHAIN'/],
  [["transformation", "create", "x", "w-much"], /w can't be "much"/],
  [["transformation", "create", "x", "n-other"], /can't name another one/],
  [["transformation", "show", "none"], /There is no transformation "none"/],
  [["url", "sign", "photo.jpg"], /is no URL of a file/],
  [["url", "sign", "/nobody/photo.jpg"], /no such account/],
  [["url", "sign", "/root/photo.jpg#top"], /leave it out/],
  [["url", "sign", "/root/photo.jpg", "--key", "none"], /no URL key "none"/],
  [["url", "sign", "/root/photo.jpg", "--expires", "0"], /whole number of seconds/],
  [["url", "key", "create", "a b"], /can't be a key's id/],
  [["cache", "purge"], /Give --url, or --origin/],
  [["cache", "purge", "--origin", "none"], /There is no origin "none"/],
  [["cache", "status", "none"], /There is no purge "none"/],
];
test.each(mistakes)("windlass %j is refused in a sentence", async (args, message) => {
  const { code, stderr, stdout } = await windlass(data, ...args);
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^ +at /m);
  expect(stdout).toBe("");
});
