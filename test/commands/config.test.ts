import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { completeConfig, readConfig, renderersOf, type OptionName } from "../../src/config.ts";
import { bytes, parseAddress, seconds } from "../../src/options.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-config-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function read(sources: {
  flags?: Partial<Record<OptionName, string[]>>;
  environment?: Record<string, string>;
  file?: string;
}) {
  const warnings: string[] = [];
  const path = join(folder, "windlass.yaml");
  if (sources.file !== undefined) await writeFile(path, sources.file);
  const config = await readConfig({
    flags: { ...sources.flags, ...(sources.file === undefined ? {} : { config: path }) },
    environment: sources.environment ?? {},
    warn: (message) => warnings.push(message),
  });
  return { config, warnings };
}

test("a flag wins over the environment, the environment over the file, the file over the default", async () => {
  const file = "data: /file\nmax-buckets: 7\nregion: eu-file-1\n";
  const environment = { WINDLASS_DATA: "/environment", WINDLASS_REGION: "eu-env-1" };
  const { config } = await read({ flags: { data: ["/flag"] }, environment, file });
  expect(config).toMatchObject({ data: "/flag", region: "eu-env-1", maxBuckets: 7, compatibility: "modern" });
});

test("lists come repeated, with commas, and as YAML lists; `off` empties listeners", async () => {
  const { config } = await read({
    flags: { s3: ["127.0.0.1:1", "[::1]:2"], console: ["off"] },
    environment: { WINDLASS_BUCKETS: "photos, logs," },
    file: "domain:\n  - a.example\n  - b.example\ndelivery: []\n",
  });
  expect(config.s3).toEqual(["127.0.0.1:1", "[::1]:2"]);
  expect(config.console).toEqual([]);
  expect(config.delivery).toEqual([]);
  expect(config.buckets).toEqual(["photos", "logs"]);
  expect(config.domain).toEqual(["a.example", "b.example"]);
});

test("sizes and times carry units", async () => {
  const { config } = await read({ flags: { inlineBytes: ["64 KiB"], grace: ["2h"] } });
  expect([config.inlineBytes, config.grace]).toEqual([65_536, 7200]);
});

describe("what is wrong is refused with a sentence that helps", () => {
  const cases: [name: string, sources: Parameters<typeof read>[0], message: RegExp][] = [
    [
      "an unknown key of the file",
      { file: "domian: a.example\n" },
      /domian is not an option\. Did you mean domain\?/,
    ],
    ["a file that is no map", { file: "- a\n" }, /must hold lines of the form "name: value"/],
    ["a file that is no YAML", { file: "a: [\n" }, /is no YAML/],
    ["a map as value", { file: "data:\n  path: x\n" }, /data must be a value or a list/],
    ["an address without port", { flags: { s3: ["localhost"] } }, /--s3 must be HOST:PORT/],
    [
      "an unknown choice",
      { environment: { WINDLASS_COMPATIBILITY: "old" } },
      /WINDLASS_COMPATIBILITY must be one of/,
    ],
    ["a number out of range", { flags: { workers: ["0"] } }, /--workers must be from 1 to 256/],
    ["no number at all", { flags: { maxBuckets: ["many"] } }, /--max-buckets must be a whole number/],
    ["a certificate without key", { flags: { tlsCert: ["a.pem"] } }, /Every --tls-cert needs a --tls-key/],
    ["TLS without certificate", { flags: { s3Tls: ["127.0.0.1:1"] } }, /TLS listeners need a certificate/],
    ["half a root key", { environment: { WINDLASS_ROOT_ACCESS_KEY_ID: "AK" } }, /belong together/],
    [
      "a proxy that is no address",
      { flags: { trustedProxy: ["10.0.0.0/33"] } },
      /--trusted-proxy must be an IP address/,
    ],
    [
      "an external URL with a query",
      { flags: { externalUrl: ["http://a?b"] } },
      /--external-url must be a URL/,
    ],
    [
      "a location without name",
      { flags: { location: ["=http://a"] } },
      /--location must be NAME or NAME=URL/,
    ],
    ["an empty directory", { flags: { data: [""] } }, /--data must not be empty/],
  ];
  test.each(cases)("%s", async (_name, sources, message) => {
    await expect(read(sources)).rejects.toThrow(message);
  });

  test("a file that is not there", async () => {
    const sources = { flags: { config: join(folder, "none.yaml") }, environment: {}, warn: () => undefined };
    await expect(readConfig(sources)).rejects.toThrow(/can't be read: ENOENT/);
  });
});

test("a slip in an environment variable is warned of; a container platform's own variables are not", async () => {
  const { warnings } = await read({
    environment: { WINDLASS_DATTA: "x", WINDLASS_PORT_9000_TCP: "tcp://1.2.3.4" },
  });
  expect(warnings).toEqual([
    "The environment variable WINDLASS_DATTA is not known. Did you mean WINDLASS_DATA?",
  ]);
});

test("a program's own configuration is checked like any other", () => {
  expect(completeConfig({ data: "/x", grace: 5 })).toMatchObject({
    data: "/x",
    grace: 5,
    s3: ["127.0.0.1:9000"],
  });
  expect(() => completeConfig({ s3: ["nowhere"] })).toThrow(/s3 must be HOST:PORT/);
  expect(() => completeConfig({ worker: 2 } as never)).toThrow(
    /worker is not an option\. Did you mean workers\?/,
  );
});

test.each([
  ["32768", 32_768],
  ["32 KiB", 32_768],
  ["32k", 32_768],
  ["1.5GB", 1_500_000_000],
  ["1MiB", 1_048_576],
])("%s is %i bytes", (text, value) => expect(bytes(0, 1e12).parse(text)).toBe(value));

test.each(["", "12 apples", "-1", "1e3", "KiB"])("%j is no size", (text) => {
  expect(() => bytes(0, 1e12).parse(text)).toThrow(/must be a size/);
});

test.each([
  ["90", 90],
  ["15m", 900],
  ["7d", 604_800],
])("%s is %i seconds", (text, value) => expect(seconds(0, 1e9).parse(text)).toBe(value));

test("addresses are told apart from what is none", () => {
  expect(parseAddress("127.0.0.1:9000")).toEqual({ host: "127.0.0.1", port: 9000 });
  expect(parseAddress("[::1]:0")).toEqual({ host: "::1", port: 0 });
  for (const wrong of ["", ":9000", "9000", "::1:9000", "a:65536", "[a]:1", "a b:1"]) {
    expect(() => parseAddress(wrong)).toThrow(/HOST:PORT|no IPv6/);
  }
});

test.each([
  [1, 1, 2],
  [2, 2, 2],
  [2, 1, 3],
  [4, 4, 2],
  [8, 3, 4],
  [16, 16, 2],
])("%i cores and %i workers: each worker makes %i pictures at a time", (cores, workers, renderers) => {
  expect(renderersOf({ deliveryRenderers: undefined }, workers, cores)).toBe(renderers);
  expect(renderersOf({ deliveryRenderers: 7 }, workers, cores)).toBe(7);
});
