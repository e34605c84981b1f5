/** Credentials go to the storage that they are for, and nowhere else. */
import { generateKeyPairSync } from "node:crypto";
import { Writable } from "node:stream";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEndpoint } from "../../../src/delivery/origins/endpoints.ts";
import {
  createOrigin,
  listOrigins,
  showOrigin,
  testOrigin,
  updateOrigin,
  type OriginInput,
} from "../../../src/delivery/origins/origins.ts";
import { openSite, type Site } from "../site.ts";
import { startWeb, type WebServer } from "./storage.ts";

let site: Site;
let web: WebServer;
let logged = "";

const SECRET = "zO9secretOfTheBucket";
const SIGNATURE = "sig9OfTheContainer%3D";
const ACCOUNT_KEY = Buffer.from("account-key-of-azure-0123456789").toString("base64");
const PRIVATE_KEY = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
  type: "pkcs8",
  format: "pem",
}) as string;
/** A line out of the middle of the key. */
const SECRETS = [SECRET, SIGNATURE, ACCOUNT_KEY, PRIVATE_KEY.split("\n")[8]!];

const kept = (text: string): string[] => SECRETS.filter((secret) => text.includes(secret));

beforeAll(async () => {
  const sink = new Writable({
    write(chunk, _, done) {
      logged += String(chunk);
      done();
    },
  });
  const log = pino({ level: "trace" }, sink);
  log.trace("the log is read");
  site = await openSite({}, { log });
  web = await startWeb((_, response) => void response.writeHead(500).end());
  const azure = {
    type: "azure",
    azureAccount: "account1",
    container: "box",
    azureEndpoint: web.url,
  };
  const bucket = { bucket: "box", endpointUrl: web.url };
  const credentials = JSON.stringify({ client_email: "reader@project.iam", private_key: PRIVATE_KEY });
  const inputs: OriginInput[] = [
    { name: "s3", type: "s3-compatible", ...bucket, pathStyle: true, accessKey: "AKIA", secretKey: SECRET },
    { name: "sas", ...azure, sasToken: `?sv=2024-01-01&sig=${SIGNATURE}` },
    { name: "key", ...azure, accountKey: ACCOUNT_KEY },
    { name: "gcs", type: "gcs", ...bucket, credentials },
  ];
  for (const input of inputs) {
    await createOrigin(site.store, { ...input, allowHosts: ["127.0.0.1"], timeout: 0.3 });
    await createEndpoint(site.store, { name: input.name, origins: [input.name] });
  }
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
});

const ANSWERS: Readonly<Record<string, WebServer["answer"]>> = {
  "a file": (_, response) => void response.writeHead(200, { "content-length": 2, etag: '"1"' }).end("ok"),
  "an error": (_, response) => void response.writeHead(500).end(),
  "a refusal": (_, response) =>
    void response
      .writeHead(403, { "x-ms-error-code": "AuthenticationFailed" })
      .end("<Error><Code>SignatureDoesNotMatch</Code></Error>"),
  "another place": (request, response) =>
    void response.writeHead(307, { location: `http://127.0.0.1:1${request.url}` }).end(),
  "no XML": (_, response) => void response.writeHead(400).end("<Error><Code>"),
  "half a file": (_, response) => {
    response.writeHead(200, { "content-length": 100 });
    response.write("half", () => response.destroy());
  },
  "no HTTP": (_, response) => void response.socket!.end("what?\r\n\r\n"),
  silence: () => undefined,
};

test.each(Object.keys(ANSWERS))(
  "not into answers, findings and logs, when the storage answers with %s",
  async (what) => {
    web.answer = ANSWERS[what]!;
    let told = "";
    for (const name of ["s3", "sas", "key", "gcs"]) {
      const { status, headers, body } = await site.get(`/root/${name}/tr:w-10/${encodeURI(what)}.jpg`);
      told += `${status} ${JSON.stringify([...headers])} ${body.toString("latin1")}\n`;
      told += JSON.stringify(await testOrigin(site.store, { name }));
    }
    expect([kept(told), kept(logged)]).toEqual([[], []]);
    expect(logged).toContain("the log is read");
  },
);

test("to the storage they do go: this test would see them", () => {
  const sent = web.asked.join() + JSON.stringify(web.headers);
  expect(kept(sent)).toEqual([SIGNATURE]);
  expect(sent).toMatch(/AWS4-HMAC-SHA256 Credential=AKIA/);
  expect(sent).toMatch(/SharedKey account1:/);
  expect(sent).toMatch(/Bearer eyJ/);
});

test("not into views, and into records only sealed", async () => {
  const { settings } = site.store;
  await updateOrigin(site.store, { name: "s3" }, { folder: "x" });
  const shown = JSON.stringify([
    await listOrigins(site.store),
    await showOrigin(site.store, { name: "gcs" }),
    await settings.list("origin"),
  ]);
  expect(kept(shown)).toEqual([]);
  const records = await settings.list<{ sealed?: string }>("origin");
  const sealed = records.filter(({ value }) => value.sealed !== undefined);
  const opened = sealed.map(({ name, value }) => settings.unseal(value.sealed!, `origin/${name}`)).join();
  expect(kept(opened.replaceAll("\\n", "\n"))).toEqual(SECRETS);
  // Bound to their origin: a sealed text that is copied to another opens nothing.
  const [one, two] = sealed;
  expect(() => settings.unseal(one!.value.sealed!, `origin/${two!.name}`)).toThrow("does not open");
});
