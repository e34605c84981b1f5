/** Several workers are one server: what one acknowledged, all others say with the next request. */
import { mkdtemp, rm } from "node:fs/promises";
import { get, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { windlassOk } from "../commands/windlass.ts";
import { quadrants } from "../delivery/site.ts";
import { startProcess, type ServerProcess } from "../process.ts";
import { signedFetch } from "../signed.ts";

const ROUNDS = 15;
let data: string;
let server: ServerProcess;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), "windlass-consistency-"));
  server = await startProcess({ data, workers: 2, env: { WINDLASS_BUCKETS: "shared" } });
});
afterAll(async () => {
  await server.stop();
  await rm(data, { recursive: true });
});

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

/** Anonymous, on a connection of its own, so that the workers take turns. */
function ask(target: string, url = server.url): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(`${url}${target}`, { agent: false }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (some: string) => {
        text += some;
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode, text, headers: incoming.headers }));
    }).on("error", reject);
  });
}
const askAll = (target: string, url?: string) =>
  Promise.all(Array.from({ length: 6 }, () => ask(target, url)));
const put = async (target: string, headers: Record<string, string>, body: string | Buffer = "") => {
  const answer = await signedFetch(server, { method: "PUT", target, headers, body });
  expect(answer.status).toBe(200);
  await answer.arrayBuffer();
};
const command = (...words: string[]) => windlassOk(data, ...words);
const putPhoto = async (side: number) =>
  put("/shared/photo.png", { "content-type": "image/png" }, await quadrants(side, side).png().toBuffer());

test("a bucket's ACL holds everywhere at once", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    await put("/shared?acl", { "x-amz-acl": "public-read" });
    for (const { status } of await askAll("/shared")) expect(status).toBe(200);
    await put("/shared?acl", { "x-amz-acl": "private" });
    for (const { status } of await askAll("/shared")) expect(status).toBe(403);
  }
});

test("an overwritten object is the new one everywhere at once", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    await put("/shared/k", { "x-amz-acl": "public-read" }, `round ${round}`);
    for (const answer of await askAll("/shared/k"))
      expect(answer).toMatchObject({ status: 200, text: `round ${round}` });
  }
});

test("so is a picture that was asked for before, and what may be done to it", async () => {
  /** Everywhere the same, however often it is asked for. */
  const said = async (): Promise<string> => {
    const answers = [...(await askAll(path, url)), ...(await askAll(path, url))];
    const all = new Set(answers.map(({ status, headers }) => `${status} ${headers.etag ?? "-"}`));
    expect([...all]).toHaveLength(1);
    return [...all][0]!;
  };
  const [path, url] = ["/root/tr:n-small/photo.png", server.deliveryUrl];
  await command("origin", "create", "photos", "--type", "bucket", "--bucket", "shared");
  await command("transformation", "create", "small", "w-20");
  await putPhoto(40);
  const first = await said();
  expect(first).toMatch(/^200 "/);
  await command("transformation", "update", "small", "w-10");
  const second = await said();
  await putPhoto(50);
  const third = await said();
  await command("cache", "purge", "--url", path);
  const fourth = await said();
  expect(new Set([first, second, third, fourth]).size).toBe(4);
  await command("endpoint", "update", "default", "--signed-only");
  expect(await said()).toBe("401 -");
  await command("endpoint", "update", "default", "--no-signed-only");
  expect(await said()).toBe(fourth);
});
