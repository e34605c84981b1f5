/** Accounts and keys by the command line, beside a running server, in force with the next request. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import { signedText } from "../signed.ts";
import type { TestKey } from "../signer.ts";
import { windlass, windlassJson, windlassOk } from "./windlass.ts";

let server: TestServer;
let data: string;
beforeAll(async () => {
  server = await startServer();
  data = server.data;
});
afterAll(() => server.close());

interface Created {
  id: string;
  name: string;
  accessKeyId: string;
  secretAccessKey: string;
}
const keyOf = ({ accessKeyId, secretAccessKey }: Created): TestKey => ({ accessKeyId, secretAccessKey });
const listAs = async (key: TestKey) => (await signedText(server, { method: "GET", target: "/" }, key)).status;
const codeAs = async (key: TestKey) =>
  /<Code>(\w+)</.exec((await signedText(server, { method: "GET", target: "/" }, key)).text)?.[1];

test("an account works as soon as it is made, and again after a suspension", async () => {
  const alice = await windlassJson<Created>(
    data,
    "account",
    "create",
    "alice",
    "--email",
    "alice@example.com",
  );
  expect(alice).toMatchObject({ name: "alice", id: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
  expect(await listAs(keyOf(alice))).toBe(200);
  await windlassOk(data, "account", "suspend", "alice");
  expect(await listAs(keyOf(alice))).toBe(403);
  await windlassOk(data, "account", "resume", "alice");
  expect(await listAs(keyOf(alice))).toBe(200);
});

test("id and keys may be brought along", async () => {
  const id = "ab".repeat(32);
  const pair = ["--access-key", "BROUGHTALONG00000000", "--secret-key", "a/secret+that+was+brought+along"];
  const bob = await windlassJson<Created>(data, "account", "create", "bob", "--id", id, ...pair);
  expect(bob.id).toBe(id);
  expect(
    await listAs({ accessKeyId: "BROUGHTALONG00000000", secretAccessKey: "a/secret+that+was+brought+along" }),
  ).toBe(200);
  expect(await windlassJson(data, "account", "show", id)).toMatchObject({ name: "bob" });
});

test("an account has several keys, each of which can be disabled, enabled and deleted", async () => {
  await windlassOk(data, "account", "create", "carol");
  const key = await windlassJson<Created>(data, "key", "create", "carol");
  expect(await listAs(keyOf(key))).toBe(200);
  await windlassOk(data, "key", "disable", key.accessKeyId);
  expect(await listAs(keyOf(key))).toBe(403);
  expect(await windlassOk(data, "key", "list", "carol")).toMatch(
    new RegExp(`^${key.accessKeyId} +disabled`, "m"),
  );
  await windlassOk(data, "key", "enable", key.accessKeyId);
  expect(await listAs(keyOf(key))).toBe(200);
  await windlassOk(data, "key", "delete", key.accessKeyId);
  expect(await codeAs(keyOf(key))).toBe("InvalidAccessKeyId");
  expect(await windlassJson(data, "key", "list", "carol")).toHaveLength(1);
});

test("show counts what a full listing finds, per bucket and in total", async () => {
  const dave = await windlassJson<Created>(data, "account", "create", "dave");
  const put = (target: string, body?: string) =>
    signedText(server, { method: "PUT", target, ...(body === undefined ? {} : { body }) }, keyOf(dave));
  for (const bucket of ["dave-one", "dave-two"]) expect((await put(`/${bucket}`)).status).toBe(200);
  for (const [name, body] of [
    ["a", "12345"],
    ["b", "1234567890"],
    ["a", "123"],
  ] as const) {
    expect((await put(`/dave-one/${name}`, body)).status).toBe(200);
  }
  const shown = await windlassJson(data, "account", "show", "dave");
  expect(shown).toMatchObject({
    buckets: [
      { name: "dave-one", objects: 2, bytes: 13 },
      { name: "dave-two", objects: 0, bytes: 0 },
    ],
    objects: 2,
    bytes: 13,
  });
  expect(await windlassOk(data, "account", "show", "dave")).toMatch(/^total +2 +13 +2 +13$/m);
});

test("an account that owns buckets stays; one that owns none goes", async () => {
  const eve = await windlassJson<Created>(data, "account", "create", "eve");
  await signedText(server, { method: "PUT", target: "/eve-bucket" }, keyOf(eve));
  expect(await windlass(data, "account", "delete", "eve")).toMatchObject({ code: 1 });
  expect(await listAs(keyOf(eve))).toBe(200);
  await signedText(server, { method: "DELETE", target: "/eve-bucket" }, keyOf(eve));
  await windlassOk(data, "account", "delete", "eve");
  expect(await codeAs(keyOf(eve))).toBe("InvalidAccessKeyId");
  expect(await windlassOk(data, "account", "list")).not.toMatch(/^eve /m);
});

test("name and address can be changed", async () => {
  await windlassOk(data, "account", "create", "frank");
  await windlassOk(data, "account", "update", "frank", "--name", "franz", "--email", "franz@example.com");
  expect(await windlassJson(data, "account", "show", "franz")).toMatchObject({
    name: "franz",
    email: "franz@example.com",
  });
});

test("no secret is shown after its creation", async () => {
  const { secretAccessKey } = await windlassJson<Created>(data, "account", "create", "grace");
  for (const args of [
    ["account", "show", "grace"],
    ["account", "list"],
    ["key", "list", "grace"],
  ]) {
    for (const json of [[], ["--json"]])
      expect(await windlassOk(data, ...args, ...json)).not.toContain(secretAccessKey);
  }
});

const mistakes: [args: string[], message: RegExp][] = [
  [["account", "create", "root"], /taken/],
  [["account", "create", "image"], /image/],
  [["account", "create", "a b"], /name/i],
  [["account", "create", "short", "--id", "abc"], /64/],
  [["account", "create", "half", "--access-key", "AK"], /--access-key and --secret-key belong together/],
  [["account", "show", "nobody"], /There is no account "nobody"/],
  [["account", "update", "root"], /Nothing to change/],
  [["account", "delete", "root"], /root/],
  [["account", "suspend"], /missing required argument 'NAME'/],
  [["account", "crate", "x"], /unknown command 'crate'/],
  [["account", "list", "--jsn"], /unknown option '--jsn'/],
  [["key", "disable", "NOSUCHKEY"], /NOSUCHKEY|no such|not/i],
  [["bucket", "update", "none", "--compatibility", "modern"], /There is no bucket "none"/],
  [["bucket", "update", "none", "--compatibility", "old"], /must be one of modern, 2006-03-01/],
];
test.each(mistakes)("windlass %j is refused in a sentence, without a stack", async (args, message) => {
  const { code, stderr, stdout } = await windlass(data, ...args);
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^ +at /m);
  expect(stdout).toBe("");
});

test("a directory without a store is named", async () => {
  const { code, stderr } = await windlass("/nonexistent/windlass", "account", "list");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^windlass: There is no store in \/nonexistent\/windlass\. Name the data directory/);
});

test("a bucket can follow the 2006-03-01 guide", async () => {
  await signedText(server, { method: "PUT", target: "/old-bucket" });
  await windlassOk(data, "bucket", "update", "old-bucket", "--compatibility", "2006-03-01");
  await server.store.refresh();
  expect(await server.store.bucket("old-bucket")).toMatchObject({ compatibility: "2006-03-01" });
});
