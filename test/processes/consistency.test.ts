/** Several workers are one server: what one acknowledged, all others say with the next request. */
import { mkdtemp, rm } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
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

/** Anonymous, on a connection of its own, so that the workers take turns. */
function ask(target: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    get(`${server.url}${target}`, { agent: false }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (some: string) => {
        text += some;
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode, text }));
    }).on("error", reject);
  });
}
const askAll = (target: string) => Promise.all(Array.from({ length: 6 }, () => ask(target)));
const put = async (target: string, headers: Record<string, string>, body = "") => {
  const answer = await signedFetch(server, { method: "PUT", target, headers, body });
  expect(answer.status).toBe(200);
  await answer.arrayBuffer();
};

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
      expect(answer).toEqual({ status: 200, text: `round ${round}` });
  }
});
