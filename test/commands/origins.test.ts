/** Origins and URL-endpoints by the command line, beside a running server. */
import { writeFile } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import { signedText } from "../signed.ts";
import { windlass, windlassJson, windlassOk, windlassWith } from "./windlass.ts";

let server: TestServer;
let data: string;
beforeAll(async () => {
  server = await startServer({ buckets: ["photos", "more"] });
  data = server.data;
  await signedText(server, { method: "PUT", target: "/photos/hello.txt", body: "hello" });
  await signedText(server, { method: "PUT", target: "/more/summer/only.txt", body: "only" });
});
afterAll(() => server.close());

const delivered = async (path: string, host?: string) => {
  const headers = host === undefined ? {} : { host };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request(`${server.deliveryUrl}${path}`, { headers }, resolve).on("error", reject).end();
  });
  const body = await text(answer);
  return answer.statusCode === 200 ? body : answer.statusCode;
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

test("an origin has blanks in its name, as in ImageKit's guide, and hyphens in its alias", async () => {
  const name = "Product images bucket";
  const bucket = ["--type", "bucket", "--bucket", "photos"];
  const made = await windlassOk(data, "origin", "create", name, ...bucket);
  expect(made).toContain("/image/Product-images-bucket/…");
  expect(made).toContain(`windlass origin test "${name}"`);
  expect(await delivered("/file/Product-images-bucket/hello.txt")).toBe("hello");
  expect(await windlassJson(data, "origin", "test", name)).toMatchObject({ ok: true });
  await windlassOk(data, "endpoint", "create", "blanks", "--origin", "more", "--origin", name);
  expect(await delivered("/root/blanks/hello.txt")).toBe("hello");
  const { scope } = await windlassJson<{ scope: object }>(data, "cache", "purge", "--origin", name);
  expect(scope).toMatchObject({ origin: name });
  expect(await windlassJson(data, "origin", "update", name, "--bucket", "more")).toMatchObject({ name });
  expect(await delivered("/file/Product-images-bucket/summer/only.txt")).toBe("only");
  await windlassOk(data, "endpoint", "delete", "blanks");
  await windlassOk(data, "origin", "delete", name);
  expect(await delivered("/file/Product-images-bucket/summer/only.txt")).toBe(404);
});

test("an origin that an endpoint can't do without is not deleted; where there are others they are left", async () => {
  await windlassOk(data, "origin", "create", "spare", "--type", "bucket", "--bucket", "more");
  await windlassOk(data, "endpoint", "update", "default", "--origin", "photos", "--origin", "spare");
  await windlassOk(data, "endpoint", "create", "shop", "--origin", "spare");
  const refused = await windlass(data, "origin", "delete", "spare");
  expect([refused.code, refused.stdout]).toEqual([1, ""]);
  expect(refused.stderr).toContain('"spare" is the only origin of the endpoint "shop"');
  expect(await delivered("/root/shop/summer/only.txt")).toBe("only");
  await windlassOk(data, "endpoint", "update", "shop", "--origin", "spare", "--origin", "photos");
  expect(await windlassOk(data, "origin", "delete", "spare")).toBe(
    "Origin spare is deleted.\nEndpoint default has photos now.\nEndpoint shop has photos now.\n",
  );
  expect(await delivered("/root/shop/hello.txt")).toBe("hello");
  await windlassOk(data, "endpoint", "delete", "shop");
});

test("the default endpoint's origins can be put in another order", async () => {
  await windlassOk(data, "endpoint", "update", "default", "--origin", "more", "--origin", "photos");
  expect(await windlassJson(data, "endpoint", "show", "default")).toMatchObject({
    origins: ["more", "photos"],
  });
  expect(await delivered("/root/only.txt")).toBe("only");
  await windlassOk(data, "endpoint", "update", "default", "--origin", "photos");
  expect(await delivered("/root/only.txt")).toBe(404);
});

test("who restricts an endpoint is told where else its files are reached", async () => {
  const shut = ["--origin", "more", "--origin", "photos", "--signed-only", "--private-files"];
  const elsewhere = "Without its rules --signed-only and --private-files its files are also reached under ";
  const said = await windlassOk(data, "endpoint", "create", "shut", ...shut);
  expect(said).toContain(`${elsewhere}/root/…, /image/more/… and /image/photos/…`);
  expect(await delivered("/image/more/only.txt")).toBe("only");
  await windlassOk(data, "endpoint", "update", "default", "--signed-only");
  const less = await windlassOk(data, "endpoint", "update", "shut", "--origin", "more");
  expect(less).toContain("Without its rule --private-files its files are also reached under /image/more/…");
  await windlassOk(data, "origin", "update", "more", "--alias", "");
  expect(await windlassOk(data, "endpoint", "update", "shut", "--origin", "more")).not.toContain("reached");
  await windlassOk(data, "origin", "update", "more", "--alias", "more");
  await windlassOk(data, "endpoint", "update", "default", "--no-signed-only");
  await windlassOk(data, "endpoint", "delete", "shut");
});

test("an endpoint's rules are switched on and off, in force with the next request", async () => {
  const rules = [
    "--domain",
    "files.example.com",
    "--signed-only",
    "--cache-seconds",
    "60",
    "--format",
    "webp",
  ];
  const made = await windlassJson(data, "endpoint", "create", "ruled", "--origin", "photos", ...rules);
  expect(made).toMatchObject({
    domain: "files.example.com",
    signedOnly: true,
    cacheSeconds: 60,
    formats: ["webp"],
  });
  expect(await delivered("/root/ruled/hello.txt")).toBe(401);
  expect(await delivered("/hello.txt", "files.example.com:9002")).toBe(401);
  const cleared = ["--no-signed-only", "--cache-seconds", "", "--format", ""];
  const changed = await windlassJson(data, "endpoint", "update", "ruled", ...cleared);
  expect(Object.keys(changed as object).toSorted()).toEqual(
    ["createdAt", "domain", "name", "origins", "owner", "ownerId", "prefix"].toSorted(),
  );
  expect(await delivered("/root/ruled/hello.txt")).toBe("hello");
  expect(await delivered("/hello.txt", "files.example.com:9002")).toBe("hello");
  await windlassOk(data, "endpoint", "update", "ruled", "--domain", "");
  expect(await delivered("/hello.txt", "files.example.com:9002")).toBe(404);
  await windlassOk(data, "endpoint", "delete", "ruled");
});

test("secrets come from standard input, variables and files, and are never shown", async () => {
  const s3 = ["--type", "s3-compatible", "--bucket", "far", "--endpoint-url", "https://s3.example.com"];
  const key = ["--access-key", "AKIDEXAMPLE0000", "--secret-key"];
  const file = join(data, "secret.txt");
  await writeFile(file, "secret-of-a-file\n");
  const shown = [
    await windlassWith(
      data,
      { input: "secret-of-input\n" },
      "origin",
      "create",
      "one",
      ...s3,
      ...key,
      "-",
      "--json",
    ),
    await windlassWith(
      data,
      { env: { AZURE_SAS: "?sv=1&sig=secret-of-variable" } },
      "origin",
      "create",
      "two",
      "--type",
      "azure",
      "--azure-account",
      "account",
      "--container",
      "files",
      "--sas-token",
      "env:AZURE_SAS",
    ),
    await windlassOk(data, "origin", "create", "three", ...s3, ...key, `file:${file}`),
    await windlassOk(data, "origin", "create", "four", ...s3, ...key, "secret-of-command"),
    await windlassOk(data, "origin", "update", "four", "--secret-key", "secret-of-update", "--json"),
    await windlassOk(data, "origin", "show", "one"),
    await windlassOk(data, "origin", "list", "--json"),
  ];
  expect(shown.join("\n")).not.toMatch(/secret-of-|sealed/);
  const { settings } = server.store;
  await server.store.refresh();
  const origins = await settings.list<{ sealed: string }>("origin");
  const opened = origins
    .filter(({ value }) => value.sealed !== undefined)
    .map(({ name, value }) => settings.unseal(value.sealed, `origin/${name}`));
  const secrets = ["secret-of-input", "?sv=1&sig=secret-of-variable", "secret-of-a-file", "secret-of-update"];
  for (const secret of secrets)
    expect(opened.filter((one) => one.includes(JSON.stringify(secret)))).toHaveLength(1);
  expect(opened).toHaveLength(secrets.length);
  const anonymous = ["--access-key", "", "--secret-key", "", "--timeout", ""];
  await windlassOk(data, "origin", "update", "three", "--timeout", "3");
  const left = await windlassJson(data, "origin", "update", "three", ...anonymous);
  expect(left).toMatchObject({ hasCredentials: false });
  expect(left).not.toHaveProperty("timeout");
  await windlassOk(data, "origin", "create", "five", "--type", "gcs", "--bucket", "far");
  await windlassOk(data, "origin", "update", "five", "--credentials-file", "");
  for (const name of ["one", "two", "three", "four", "five"])
    await windlassOk(data, "origin", "delete", name);
});

test("what is done to another account's things without --owner says whose they are", async () => {
  await server.store.accounts.create({ name: "bob" });
  const source = ["--type", "bucket", "--bucket", "more", "--owner", "bob"];
  const hint = await windlassOk(data, "origin", "create", "hers", ...source);
  expect(hint).toContain("windlass origin test hers --owner bob\n");
  await windlassOk(data, "endpoint", "create", "elsewhere", "--origin", "hers", "--owner", "bob");
  await windlassOk(data, "transformation", "create", "tiny", "w-30", "--owner", "bob");
  const tested = await windlass(data, "origin", "test", "hers");
  expect(tested.stdout).toMatch(/^Origin hers of account bob:\nBucket more is there\./);
  const said = [
    await windlassOk(data, "cache", "purge", "--origin", "hers"),
    await windlassOk(data, "transformation", "delete", "tiny"),
    await windlassOk(data, "endpoint", "delete", "elsewhere"),
    await windlassOk(data, "origin", "delete", "hers"),
  ];
  expect(said).toEqual([
    expect.stringMatching(/^Purge \S+ of everything of origin hers of account bob is done/),
    "Transformation tiny of account bob is deleted; URLs that name it are answered 400.\n",
    "Endpoint elsewhere of account bob is deleted.\n",
    "Origin hers of account bob is deleted.\nEndpoint default has no origin now.\n",
  ]);
});

const mistakes: [args: string[], message: RegExp][] = [
  [["origin", "create", "x", "--type", "bucket"], /needs --bucket/],
  [["origin", "create", "x", "--bucket", "photos"], /required option '--type <TYPE>' not specified/],
  [["origin", "create", "x", "--type", "azure", "--container", "files"], /needs --azure-account/],
  [["origin", "create", "x", "--type", "web-proxy"], /needs --allow-host/],
  [["origin", "create", "x", "--type", "ftp"], /"ftp" is no type of origin/],
  [
    ["origin", "create", "x", "--type", "s3", "--bucket", "photos", "--secret-key", "env:NO_SUCH"],
    /no variable NO_SUCH/,
  ],
  [
    ["origin", "create", "x", "--type", "gcs", "--bucket", "b-b", "--credentials-file", "/no/file"],
    /can't be read/,
  ],
  [
    ["origin", "create", "photos", "--type", "bucket", "--bucket", "photos"],
    /already has an origin "photos"/,
  ],
  [
    ["origin", "create", "x", "--type", "bucket", "--bucket", "photos", "--sas-token", "?sv=1"],
    /has no option --sas-token/,
  ],
  [["endpoint", "create", "two words", "--origin", "photos"], /can't name an endpoint/],
  [["origin", "show", "nothing"], /There is no origin "nothing"/],
  [["endpoint", "create", "x"], /at least one origin/],
  [["endpoint", "create", "x", "--origin", "nothing"], /has no origin "nothing"/],
  [["endpoint", "create", "image", "--origin", "photos"], /can't be a prefix/],
  [["endpoint", "update", "default", "--cache-seconds", "long"], /whole number of seconds/],
  [
    ["endpoint", "update", "default", "--rewriter", "other"],
    /Allowed: cloudinary, cloudinary-preserve-types, imgix, akamai/,
  ],
  [["endpoint", "delete", "default"], /default endpoint can't be deleted/],
];
test.each(mistakes)("windlass %j is refused in a sentence", async (args, message) => {
  const { code, stderr } = await windlass(data, ...args);
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^ +at /m);
});
