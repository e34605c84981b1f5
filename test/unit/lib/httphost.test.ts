import { afterAll, beforeAll, expect, test } from "vitest";
import { exchange, startTrial, type Trial } from "./wire.ts";

let trial: Trial;
beforeAll(async () => {
  trial = await startTrial({
    handle: async ({ headers }) => ({ status: 200, headers: [], body: headers["host"] ?? "" }),
  });
});
afterAll(() => trial.close());

/** Status and body of the answer to a request of that target and Host. */
async function told(target: string, host: string): Promise<string> {
  const head = `GET ${target} HTTP/1.1\r\nHost: ${Buffer.from(host).toString("latin1")}\r\n\r\n`;
  const [answer] = await exchange(trial.port, head);
  return `${answer!.status} ${answer!.body}`;
}

test.each(["", "h:", "[::1]:80", "[fe80::1%25br-lan]", "a_b.example.com.", "xn--fiq.example.com:8080"])(
  "%j is a Host",
  async (host) => {
    expect(await told("/", host)).toBe(`200 ${host}`);
  },
);

test.each(["中.example.com", "é", "a b", "a/b", "a@b", "a\\b", "a:b", "[::1", "a#", "a?b", "a,b", '"a"'])(
  "%j is none",
  async (host) => expect(await told("/", host)).toBe("400 BadRequest"),
);

test.each(["a\\b", "a,b", '"a"', "a:b", "[a"])("%j is none in a target, either", async (host) => {
  expect(await told(`http://${host}/`, "h")).toBe("400 BadRequest");
});
