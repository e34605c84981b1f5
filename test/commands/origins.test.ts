/** Origins and URL-endpoints by the command line, beside a running server. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import { signedText } from "../signed.ts";
import { windlass, windlassJson, windlassOk } from "./windlass.ts";

let server: TestServer;
let data: string;
beforeAll(async () => {
  server = await startServer({ buckets: ["photos", "more"] });
  data = server.data;
  await signedText(server, { method: "PUT", target: "/photos/hello.txt", body: "hello" });
  await signedText(server, { method: "PUT", target: "/more/summer/only.txt", body: "only" });
});
afterAll(() => server.close());

const delivered = async (path: string) => {
  const answer = await fetch(`${server.deliveryUrl}${path}`);
  return answer.status === 200 ? await answer.text() : answer.status;
};

test("an account's first origin is reached through its default endpoint, with the next request", async () => {
  expect(await delivered("/root/hello.txt")).toBe(404);
  const origin = await windlassJson(
    data,
    "origin",
    "create",
    "photos",
    "--type",
    "bucket",
    "--bucket",
    "photos",
  );
  expect(origin).toMatchObject({
    name: "photos",
    owner: "root",
    type: "bucket",
    bucket: "photos",
    alias: "photos",
  });
  expect(await delivered("/root/hello.txt")).toBe("hello");
});

test("further origins are reached through endpoints that name them", async () => {
  await windlassOk(
    data,
    "origin",
    "create",
    "more",
    "--type",
    "bucket",
    "--bucket",
    "more",
    "--folder",
    "summer",
  );
  await windlassOk(
    data,
    "endpoint",
    "create",
    "both",
    "--prefix",
    "all",
    "--origin",
    "photos",
    "--origin",
    "more",
  );
  expect(await delivered("/root/all/hello.txt")).toBe("hello");
  expect(await delivered("/root/all/only.txt")).toBe("only");
  expect(await windlassJson(data, "endpoint", "show", "both")).toMatchObject({
    prefix: "all",
    origins: ["photos", "more"],
  });
  await windlassOk(data, "endpoint", "update", "both", "--origin", "more");
  expect(await delivered("/root/all/hello.txt")).toBe(404);
  await windlassOk(data, "endpoint", "delete", "both");
  expect(await delivered("/root/all/only.txt")).toBe(404);
});

test("origins are listed, shown, changed, tested and deleted", async () => {
  await windlassOk(
    data,
    "origin",
    "create",
    "brief",
    "--type",
    "bucket",
    "--bucket",
    "more",
    "--alias",
    "short",
  );
  expect(await windlassOk(data, "origin", "list")).toMatch(/^root +brief +bucket +more\/ +short$/m);
  await windlassOk(data, "origin", "update", "brief", "--bucket", "photos", "--alias", "shorter");
  expect(await windlassJson(data, "origin", "show", "brief")).toMatchObject({
    bucket: "photos",
    alias: "shorter",
  });
  expect(await windlassJson(data, "origin", "test", "brief")).toMatchObject({ ok: true });
  await windlassOk(data, "origin", "update", "brief", "--bucket", "missing");
  const tested = await windlass(data, "origin", "test", "brief");
  expect(tested.code).toBe(1);
  expect(tested.stdout).toContain("There is no bucket missing");
  await windlassOk(data, "origin", "delete", "brief");
  expect(await windlassOk(data, "origin", "list")).not.toContain("brief");
});

const mistakes: [args: string[], message: RegExp][] = [
  [["origin", "create", "x", "--type", "bucket"], /needs --bucket/],
  [["origin", "create", "x", "--bucket", "photos"], /required option '--type <TYPE>' not specified/],
  [["origin", "create", "x", "--type", "azure", "--container", "c"], /azure are not built yet/],
  [
    ["origin", "create", "x", "--type", "bucket", "--bucket", "photos", "--sas-token", "?sv=1"],
    /has no option --sas-token/,
  ],
  [["origin", "show", "nothing"], /There is no origin "nothing"/],
  [["endpoint", "create", "x"], /at least one --origin/],
  [["endpoint", "create", "x", "--origin", "photos", "--signed-only"], /--signed-only is not built yet/],
];
test.each(mistakes)("windlass %j is refused in a sentence", async (args, message) => {
  const { code, stderr } = await windlass(data, ...args);
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^ +at /m);
});
