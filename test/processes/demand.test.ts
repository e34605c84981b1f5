/** Whoever doesn't say how many workers there should be has one, a second while it is needed, and loses no request to that. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, request as httpRequest } from "node:http";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { eventually, startProcess, type ServerProcess } from "../process.ts";
import { signedText } from "../signed.ts";

const CONNECTIONS = 16;
/** Listed again and again: that costs the server more than its clients, which share the cores with it. */
const KEYS = 400;
const UPLOADS = 6;

const FAILED: Reply = { status: undefined, worker: "" };

interface Reply {
  readonly status: number | undefined;
  /** Each worker has its own. */
  readonly worker: string;
}

/** Sends `pieces` one by one; resolves with the answer. */
async function ask(
  url: string,
  agent: Agent | false,
  pieces?: AsyncIterable<Buffer>,
  size = 0,
): Promise<Reply> {
  const options = { agent, ...(pieces && { method: "PUT", headers: { "content-length": size } }) };
  const outgoing = httpRequest(url, options);
  const reply = new Promise<Reply>((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      response.resume();
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode, worker: String(response.headers["x-amz-id-2"]) }),
      );
    });
  });
  for await (const piece of pieces ?? []) outgoing.write(piece);
  outgoing.end();
  return reply;
}

/** Asks over connections that are kept until it is told to stop; then closes them. */
function load(server: ServerProcess) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const replies: Reply[] = [];
  const ended = new AbortController();
  const loops = Array.from({ length: CONNECTIONS }, async () => {
    while (!ended.signal.aborted) {
      // What fails is seen by its status.
      replies.push(await ask(`${server.url}/open?list-type=2`, agent).catch(() => FAILED));
    }
  });
  return {
    replies,
    async stop() {
      ended.abort();
      await Promise.all(loops);
      agent.destroy();
    },
  };
}

test.skipIf(availableParallelism() < 2)(
  "a second worker comes when the first is busy, takes its part, and goes when there is nothing more to do",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "windlass-demand-"));
    const server = await startProcess({
      data: folder,
      workers: "as needed",
      env: { WINDLASS_BUCKETS: "open" },
    });
    const sent = (target: string, body: string) => signedText(server, { method: "PUT", target, body });
    const several = (): boolean => server.pidsOf("worker").length > 1;
    try {
      expect(server.pidsOf("worker")).toHaveLength(1);
      const acl = { method: "PUT", target: "/open?acl", headers: { "x-amz-acl": "public-read-write" } };
      expect((await signedText(server, acl)).status).toBe(200);
      const readable = { method: "PUT", target: "/open/small", headers: { "x-amz-acl": "public-read" } };
      expect((await signedText(server, { ...readable, body: "small" })).status).toBe(200);

      for (let n = 0; n < KEYS; n += 20) {
        const some = Array.from({ length: 20 }, (_, k) => sent(`/open/key-${n + k}`, "x"));
        for (const { status } of await Promise.all(some)) expect(status).toBe(200);
      }
      const busy = load(server);
      await eventually("another worker is ready", () =>
        /"child":"worker 2","msg":"is ready"/.test(server.output()),
      );
      const before = busy.replies.length;
      await eventually("both answer", () => {
        const workers = new Set(busy.replies.slice(before).map(({ worker }) => worker));
        return workers.size > 1;
      });
      await busy.stop();
      expect(new Set(busy.replies.map(({ status }) => status))).toEqual(new Set([200]));

      // Begun while there are several, so that some come to the one that will go.
      const finish = new AbortController();
      const slow = async function* (): AsyncGenerator<Buffer> {
        yield Buffer.alloc(1000);
        while (!finish.signal.aborted) await sleep(100);
        yield randomBytes(1000);
      };
      const uploads = Array.from({ length: UPLOADS }, (_, n) =>
        ask(`${server.url}/open/slow-${n}`, false, slow(), 2000),
      );

      await eventually(
        "one is told to go",
        () => server.output().includes("ends when its work is done"),
        60_000,
      );
      await sleep(2000);
      expect(several()).toBe(true);
      const meanwhile = await Promise.all(
        Array.from({ length: 8 }, () => ask(`${server.url}/open/small`, false)),
      );
      expect(new Set(meanwhile.map(({ status }) => status))).toEqual(new Set([200]));
      expect(new Set(meanwhile.map(({ worker }) => worker)).size).toBeLessThan(
        server.pidsOf("worker").length,
      );
      finish.abort();
      const uploaded = await Promise.all(uploads);
      expect(uploaded.map(({ status }) => status)).toEqual(uploads.map(() => 200));
      expect(new Set(uploaded.map(({ worker }) => worker)).size).toBeGreaterThan(1);
      await eventually("it is gone", () => !several(), 60_000);
      expect((await sent("/open/after", "after")).status).toBe(200);
      expect(server.output()).not.toMatch(/"level":"(error|fatal)"/);
    } finally {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
  180_000,
);
