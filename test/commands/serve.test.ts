/** The start contract: what `windlass serve` prints, makes, keeps and refuses. */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { optionDocs } from "../../src/config.ts";
import { open } from "../../src/system.ts";
import { run } from "../clients/tools.ts";
import { eventually, freePort, startProcess, type ServerProcess } from "../process.ts";
import { signedText } from "../signed.ts";
import type { TestKey } from "../signer.ts";
import { windlass, windlassOk } from "./windlass.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-serve-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const NO_KEY = { WINDLASS_ROOT_ACCESS_KEY_ID: "", WINDLASS_ROOT_SECRET_ACCESS_KEY: "" };
const listAs = (server: { url: string; rootKey: TestKey }, key: TestKey) =>
  signedText(server, { method: "GET", target: "/" }, key);

function filesUnder(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((name) => join(root, name))
    .filter((path) => statSync(path).isFile());
}

/** Of the banner; empty texts when it shows none. */
const printedKey = (server: ServerProcess): TestKey => {
  const found = /^ *access key +(\S+)\n *secret key +(\S+)$/m.exec(server.output());
  return { accessKeyId: found?.[1] ?? "", secretAccessKey: found?.[2] ?? "" };
};

describe.each([1, 2])("with --workers %i", (workers) => {
  const start = (env: Record<string, string>, name: string, ...args: string[]) =>
    startProcess({ data: join(folder, `${name}-${workers}`), workers, env, args });
  test("the root key is generated at the first start, printed once, and kept", async () => {
    let server = await start(NO_KEY, "generated");
    const key = printedKey(server);
    expect(key.secretAccessKey).toMatch(/^\S{40}$/);
    expect((await listAs(server, key)).status).toBe(200);
    await server.stop();
    server = await start(NO_KEY, "generated");
    expect(server.output()).not.toMatch(/secret key/);
    expect((await listAs(server, key)).status).toBe(200);
    await server.stop();
    // Given later, a pair works too, and again with another secret; the first key stays.
    server = await start({}, "generated");
    expect((await listAs(server, server.rootKey)).status).toBe(200);
    expect((await listAs(server, key)).status).toBe(200);
    await server.stop();
    const changed = {
      accessKeyId: server.rootKey.accessKeyId,
      secretAccessKey: "another-secret-for-the-same-key",
    };
    server = await start({ WINDLASS_ROOT_SECRET_ACCESS_KEY: changed.secretAccessKey }, "generated");
    expect((await listAs(server, changed)).status).toBe(200);
    expect((await listAs(server, server.rootKey)).status).toBe(403);
    await server.stop();
  });

  test("it says where it listens and gives three lines to try, and makes the buckets that it is told to", async () => {
    const server = await start({ WINDLASS_BUCKETS: "photos,logs" }, "banner");
    const [s3, cp, origin] = server
      .output()
      .split("To try:\n")[1]!
      .split("\n")
      .map((line) => line.trim());
    expect(s3).toBe(`aws --endpoint-url ${server.url} s3 mb s3://photos`);
    expect(cp).toBe(`aws --endpoint-url ${server.url} s3 cp photo.jpg s3://photos/`);
    expect(origin).toMatch(/^node dist\/main\.js origin create photos --type bucket --bucket photos --data /);
    expect(server.output()).toContain(`${server.deliveryUrl}/root/tr:w-300,h-300/photo.jpg`);
    expect((await fetch(`${server.consoleUrl}/health/ready`)).status).toBe(200);
    const { text } = await listAs(server, server.rootKey);
    expect([...text.matchAll(/<Name>([^<]+)</g)].map((match) => match[1])).toEqual(["logs", "photos"]);
    await server.stop();
  });

  test("no secret lies in the data directory or in the log in clear", async () => {
    const server = await start({ ...NO_KEY, WINDLASS_BUCKETS: "secrets" }, "sealed", "--log-level", "debug");
    const data = join(folder, `sealed-${workers}`);
    const { secretAccessKey: second } = JSON.parse(
      await windlassOk(data, "account", "create", "alice", "--json"),
    ) as TestKey;
    const { secretAccessKey: first } = printedKey(server);
    await signedText(server, { method: "PUT", target: "/secrets/key", body: "x" }, printedKey(server));
    await server.stop();
    // The banner's own lines are the one place.
    const logged = server
      .output()
      .split("\n")
      .filter((line) => line.startsWith("{"));
    expect(logged.some((line) => line.includes('"operation":"PutObject"'))).toBe(true);
    for (const secret of [first, second]) {
      expect(secret).toHaveLength(40);
      expect(logged.filter((line) => line.includes(secret))).toEqual([]);
      expect(filesUnder(data).filter((path) => readFileSync(path).includes(secret))).toEqual([]);
    }
  });

  test("a directory that others may enter, with a long path, will do", async () => {
    const long = "a-long-name-".repeat(10);
    mkdirSync(join(folder, `${long}-${workers}`), { mode: 0o755 });
    const server = await start({}, long);
    expect((await listAs(server, server.rootKey)).status).toBe(200);
    await server.stop();
  });

  test("what keeps it from starting is said in a sentence, and nothing is left running", async () => {
    const other = await start({}, "other");
    const { host } = new URL(other.url);
    const data = join(folder, `refused-${workers}`);
    const serve = (...args: string[]) => {
      const off = ["--console", "off", "--delivery", "off", "--workers", String(workers)];
      return windlass(data, "serve", ...off, ...args);
    };
    const refusals: [args: string[], message: RegExp][] = [
      [
        ["--s3", host],
        new RegExp(`^windlass: ${host} can't be listened on: another program listens there\\.$`, "m"),
      ],
      [
        ["--s3", "127.0.0.1:0", "--tls-cert", "none.pem", "--tls-key", "none.key"],
        /^windlass: A certificate none\.pem .*ENOENT/m,
      ],
      [["--s3", "127.0.0.1:0", "--buckets", "No_Bucket"], /^windlass: "No_Bucket" is no bucket name/m],
    ];
    for (const [args, message] of refusals) {
      const { code, stderr } = await serve(...args);
      expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
      expect(stderr).not.toMatch(/^ +at /m);
    }
    await other.stop();
  });
});

test("the configuration may come from a file", async () => {
  const path = join(folder, "windlass.yaml");
  await writeFile(path, "region: eu-file-1\nbuckets:\n  - from-file\n");
  const server = await startProcess({ data: join(folder, "file"), workers: 1, args: ["--config", path] });
  const answer = await signedText(server, { method: "GET", target: "/from-file" });
  // Signed for another region: the error names the right one.
  expect(answer.text).toMatch(/<Code>AuthorizationHeaderMalformed<[^]*<Region>eu-file-1</);
  await server.stop();
});

test("nobody needs to read what is printed", async () => {
  const command = `{ "${process.execPath}" dist/main.js serve --help; echo "code $?" >&2; } | true`;
  const { stderr } = await run("sh", ["-c", command]);
  expect(stderr).toBe("code 0\n");
  const port = await freePort();
  const args = ["--data", join(folder, "unread"), "--s3", "off", "--delivery", "off"];
  const child = spawn(
    process.execPath,
    ["dist/main.js", "serve", ...args, "--console", `127.0.0.1:${port}`],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  child.stdout.destroy();
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const health = `http://127.0.0.1:${port}/health/ready`;
  await eventually("the server is ready, unread", () =>
    fetch(health).then(
      ({ ok }) => ok,
      () => {
        if (child.exitCode !== null) throw new Error(`The server ended at its start\n${errors}`);
        return false;
      },
    ),
  );
  child.kill("SIGTERM");
  expect(await exited).toBe(0);
  expect(errors).not.toMatch(/EPIPE/);
});

test("help names every option with its variable", async () => {
  const help = (await windlassOk(folder, "serve", "--help")).replaceAll(/\s+/g, " ");
  for (const { flag, environment } of optionDocs()) {
    if (flag === undefined) continue;
    expect(help).toContain(flag);
    expect(help).toContain(environment);
  }
  expect(help).not.toContain("ROOT_SECRET");
});

test.each([
  [["--no-such"], /unknown option '--no-such'/],
  [["--s3", "here"], /^windlass: --s3 must be HOST:PORT/],
  [["--workers", "many"], /^windlass: --workers must be a whole number/],
])("windlass serve %j is refused", async (args, message) => {
  const { code, stderr } = await windlass(join(folder, "never"), "serve", ...args);
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
});

test("a program can open a server in itself, and again after closing it", async () => {
  const config = {
    data: join(folder, "library"),
    s3: ["127.0.0.1:0"],
    console: [],
    delivery: [],
    logLevel: "error",
  } as const;
  const first = await open(config);
  const { rootKey } = first;
  expect(rootKey).toBeDefined();
  expect(first.consoleUrl).toBeUndefined();
  await expect(open(config)).rejects.toThrow(/Another server is using/);
  expect((await listAs({ url: first.s3Urls[0]!, rootKey: rootKey! }, rootKey!)).status).toBe(200);
  await first.close();
  const second = await open(config);
  expect(second.rootKey).toBeUndefined();
  expect((await listAs({ url: second.s3Urls[0]!, rootKey: rootKey! }, rootKey!)).status).toBe(200);
  await second.close();
});
