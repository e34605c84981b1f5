/** Every kind of origin delivers a photograph, whole, in parts and resized; and each is asked only for what the one before lacks. */
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { createVerify, generateKeyPairSync } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { createEndpoint } from "../../../src/delivery/origins/endpoints.ts";
import { createOrigin, testOrigin, type OriginInput } from "../../../src/delivery/origins/origins.ts";
import type { HttpRequest } from "../../../src/lib/http.ts";
import { startServer, type TestServer } from "../../server.ts";
import { noise, openSite, outcomeOf, sizeOf, type Site } from "../site.ts";
import {
  AZURE_ACCOUNT,
  AZURE_KEY,
  files,
  startAzurite,
  startWeb,
  type Azure,
  type WebServer,
} from "./storage.ts";

let site: Site;
let foreign: TestServer;
let s3: S3Client;
let azure: Azure;
let web: WebServer;
let google: WebServer;
let photo: Buffer;
const key = generateKeyPairSync("rsa", { modulusLength: 2048 });
const allowHosts = ["127.0.0.1"];

const errorOf = async (path: string): Promise<string> => outcomeOf(await site.get(path));

async function add(input: OriginInput): Promise<void> {
  await createOrigin(site.store, input);
  await createEndpoint(site.store, { name: input.name, origins: [input.name] });
}

/** The same content each time, and so the same ETag. */
const putForeign = (Key: string, Metadata: Record<string, string>) =>
  s3.send(new PutObjectCommand({ Bucket: "media", Key, Body: photo, ContentType: "image/jpeg", Metadata }));

beforeAll(async () => {
  photo = await noise(640, 480);
  [site, foreign, azure, web, google] = await Promise.all([
    openSite(),
    startServer(),
    startAzurite(),
    startWeb(files({ "photo.jpg": photo, "assets/cat.jpg": photo, "image+example.jpg": photo })),
    startWeb((request, response) => {
      const [head = "", claims = "", signature = ""] = (request.headers.authorization ?? "")
        .replace("Bearer ", "")
        .split(".");
      const valid = createVerify("RSA-SHA256")
        .update(`${head}.${claims}`)
        .verify(key.publicKey, signature, "base64url");
      const { iss, aud, exp } = JSON.parse(Buffer.from(claims, "base64url").toString() || "{}") as Record<
        string,
        unknown
      >;
      if (
        !valid ||
        iss !== "reader@project.iam" ||
        aud !== "https://storage.googleapis.com/" ||
        Number(exp) * 1000 < Date.now()
      ) {
        response.writeHead(401).end();
        return;
      }
      if (request.url!.includes("private")) response.setHeader("x-goog-meta-isprivatefile", "true");
      files({ "bucket-1/photo.jpg": photo, "bucket-1/private.jpg": photo })(request, response);
    }),
  ]);
  const { accessKeyId, secretAccessKey } = foreign.rootKey;
  s3 = new S3Client({
    endpoint: foreign.url,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  await s3.send(new CreateBucketCommand({ Bucket: "media" }));
  for (const Key of ["photo.jpg", "folder/cat.jpg", "image%2Bexample.jpg", "only-s3.jpg", "private.jpg"]) {
    await putForeign(Key, Key === "private.jpg" ? { isprivatefile: "true" } : {});
  }
  const container = azure.service.getContainerClient("pictures");
  await container.create();
  await container
    .getBlockBlobClient("photo.jpg")
    .upload(photo, photo.length, { blobHTTPHeaders: { blobContentType: "image/jpeg" } });
  await container
    .getBlockBlobClient("private.jpg")
    .upload(photo, photo.length, { metadata: { isprivatefile: "true" } });
  const sasToken = `?${generateBlobSASQueryParameters(
    {
      containerName: "pictures",
      permissions: ContainerSASPermissions.parse("r"),
      expiresOn: new Date(Date.now() + 3_600_000),
    },
    new StorageSharedKeyCredential(AZURE_ACCOUNT, AZURE_KEY),
  ).toString()}`;
  const compatible = {
    type: "s3-compatible",
    bucket: "media",
    endpointUrl: foreign.url,
    pathStyle: true,
    accessKey: accessKeyId,
    secretKey: secretAccessKey,
    allowHosts,
  };
  await site.put("own.jpg", photo, { meta: { contentType: "image/jpeg" } });
  await add({ name: "s3", ...compatible });
  await add({ name: "s3folder", ...compatible, folder: "/folder", canonicalBase: "https://www.example.com" });
  await add({ name: "encoded", ...compatible, encodeKeys: true });
  await add({ name: "wrongkey", ...compatible, secretKey: "wrong" });
  await add({ name: "nobucket", ...compatible, bucket: "nothing-here" });
  await add({
    name: "azure",
    type: "azure",
    azureAccount: AZURE_ACCOUNT,
    container: "pictures",
    azureEndpoint: azure.endpoint,
    sasToken,
    allowHosts,
  });
  await add({
    name: "azurekey",
    type: "azure",
    azureAccount: AZURE_ACCOUNT,
    container: "pictures",
    azureEndpoint: azure.endpoint,
    accountKey: AZURE_KEY,
    allowHosts,
  });
  await add({
    name: "azurewrong",
    type: "azure",
    azureAccount: AZURE_ACCOUNT,
    container: "pictures",
    azureEndpoint: azure.endpoint,
    sasToken: sasToken.replace(/sig=[^&]{4}/, "sig=AAAA"),
    allowHosts,
  });
  await add({ name: "web", type: "web", baseUrl: web.url, allowHosts });
  await add({
    name: "webfolder",
    type: "web",
    baseUrl: web.url,
    folder: "assets",
    allowHosts,
    alias: "assets",
  });
  await add({ name: "refused", type: "web", baseUrl: web.url });
  await add({ name: "proxy", type: "web-proxy", allowHosts, alias: "anywhere" });
  const private_key = key.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  await add({
    name: "gcs",
    type: "gcs",
    bucket: "bucket-1",
    endpointUrl: google.url,
    credentials: JSON.stringify({ client_email: "reader@project.iam", private_key }),
    allowHosts,
  });
  await createEndpoint(site.store, { name: "all", origins: ["photos", "s3", "web"] });
  await createEndpoint(site.store, { name: "broken", origins: ["wrongkey", "web"] });
}, 60_000);
afterEach(() => void vi.useRealTimers());
afterAll(async () => {
  s3.destroy();
  await site[Symbol.asyncDispose]();
  await Promise.all([
    foreign.close(),
    azure[Symbol.asyncDispose](),
    web[Symbol.asyncDispose](),
    google[Symbol.asyncDispose](),
  ]);
});

describe.each(["s3", "azure", "azurekey", "gcs", "web"])("an origin of kind %s", (name) => {
  test("delivers tr:w-300,h-300 of a photograph", async () => {
    const reply = await site.get(`/root/${name}/tr:w-300,h-300/photo.jpg`);
    expect([outcomeOf(reply), await sizeOf(reply.body)]).toEqual(["200 -", "jpeg 300x300"]);
    expect((await site.get(`/root/${name}/photo.jpg?tr=w-300,h-300`)).headers.get("x-cache")).toBe("HIT");
  });

  test("delivers the original byte for byte, in ranges, and to HEAD", async () => {
    const whole = await site.get(`/root/${name}/tr:orig-true/photo.jpg`);
    expect([
      whole.body.equals(photo),
      whole.headers.get("content-type"),
      whole.headers.get("content-length"),
    ]).toEqual([true, "image/jpeg", String(photo.length)]);
    const part = await site.get(`/root/${name}/tr:orig-true/photo.jpg`, {
      headers: { range: "bytes=100-199" },
    });
    expect([part.status, part.body.equals(photo.subarray(100, 200))]).toEqual([206, true]);
    const head = await site.get(`/root/${name}/tr:orig-true/photo.jpg`, { method: "HEAD" });
    expect([head.status, head.body.length, head.headers.get("content-length")]).toEqual([
      200,
      0,
      String(photo.length),
    ]);
    const again = await site.get(`/root/${name}/tr:orig-true/photo.jpg`, {
      headers: { "if-none-match": whole.headers.get("etag")! },
    });
    expect(again.status).toBe(304);
  });

  test("is 404 for what is not there, and its test is content", async () => {
    expect(await errorOf(`/root/${name}/missing.jpg`)).toBe("404 NotFound");
    expect(await errorOf(`/root/${name}/tr:w-10/missing.jpg`)).toBe("404 NotFound");
    const { ok, findings } = await testOrigin(site.store, { name });
    expect([ok, findings.length > 0]).toEqual([true, true]);
  });
});

test("origins are asked in order, the next one only for what the one before lacks", async () => {
  for (const name of ["own.jpg", "only-s3.jpg", "photo.jpg"])
    expect([name, await errorOf(`/root/all/${name}`)]).toEqual([name, "200 -"]);
  const before = web.asked.length;
  await site.get("/root/all/tr:w-10/only-s3.jpg");
  expect(web.asked.length).toBe(before);
  expect(await errorOf("/root/all/nowhere.jpg")).toBe("404 NotFound");
  // Who is refused must not be taken for who has nothing.
  expect(await errorOf("/root/broken/photo.jpg")).toBe("403 OriginDenied");
});

const words = async (name: string): Promise<string> => {
  const { ok, findings } = await testOrigin(site.store, { name });
  return `${ok} ${findings.join(" ")}`;
};

test("what is wrong with an origin is said to the client by status, and by its test in words", async () => {
  expect(await errorOf("/root/wrongkey/photo.jpg")).toBe("403 OriginDenied");
  expect(await words("wrongkey")).toBe(
    "false SignatureDoesNotMatch: the secret key is not that of the access key.",
  );
  expect(await errorOf("/root/nobucket/photo.jpg")).toBe("502 OriginFailed");
  expect(await words("nobucket")).toMatch(/^false There is no bucket nothing-here at 127\.0\.0\.1/);
  expect(await errorOf("/root/azurewrong/photo.jpg")).toBe("403 OriginDenied");
  expect(await words("azurewrong")).toMatch(/^false The SAS token ends on .* Auth\w+: /);
  const refused = await site.get("/root/refused/photo.jpg");
  expect(outcomeOf(refused)).toBe("403 OriginRefused");
  const answers = [
    refused,
    await site.get("/root/wrongkey/photo.jpg"),
    await site.get("/root/nobucket/a.jpg"),
  ];
  expect(answers.map(({ headers }) => headers.get("ik-error")?.split(" ")[0])).toEqual([
    "ECONNREFUSED",
    "EACCES",
    "ECONNREFUSED",
  ]);
  // Where our own network has what is not for clients to know.
  expect(refused.body.toString() + JSON.stringify([...refused.headers])).not.toMatch(
    /127\.0\.0\.1|allow-host/,
  );
  expect(await words("refused")).toContain("allow it with --allow-host 127.0.0.1");
});

test("what clients aren't told of an origin's address is logged, for layers too", async () => {
  await createEndpoint(site.store, { name: "both", origins: ["s3", "refused"] });
  for (const path of ["/root/both/none.jpg", "/root/both/tr:l-image,i-none.png,l-end/photo.jpg"]) {
    const request = { id: "", method: "GET", path, rawQuery: "", headers: {} } as unknown as HttpRequest;
    const { status, body, log } = await site.delivery.handle(request);
    expect([status, body, log]).toEqual([
      403,
      expect.not.stringContaining("127.0.0.1"),
      expect.objectContaining({ detail: expect.stringContaining("--allow-host 127.0.0.1") as string }),
    ]);
  }
});

test("folders, aliases, canonical links and encoded keys", async () => {
  const cat = await site.get("/root/s3folder/tr:w-20/cat.jpg");
  expect([cat.status, cat.headers.get("link")]).toEqual([
    200,
    '<https://www.example.com/cat.jpg>; rel="canonical"',
  ]);
  expect((await site.get("/root/s3folder/cat.jpg")).headers.get("link")).toBe(
    '<https://www.example.com/cat.jpg>; rel="canonical"',
  );
  expect(await errorOf("/image/assets/cat.jpg?w=20")).toBe("200 -");
  expect(await errorOf("/root/s3/image+example.jpg")).toBe("404 NotFound");
  expect(await errorOf("/root/encoded/image+example.jpg")).toBe("200 -");
  expect(await errorOf("/root/encoded/photo.jpg")).toBe("200 -");
});

test.each(["s3", "azure", "gcs"])("private files of %s are for signed URLs alone", async (name) => {
  expect(await errorOf(`/root/${name}/photo.jpg`)).toBe("200 -");
  expect(await errorOf(`/root/${name}/private.jpg`)).toBe("401 SignatureRequired");
  expect(await errorOf(`/root/${name}/tr:w-10/private.jpg`)).toBe("401 SignatureRequired");
});

test("Google is shown one token until shortly before its end, and then the next", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const tokens: (string | undefined)[] = [];
  // Beyond the file's lifetime, each time.
  for (const minutes of [6, 6, 50, 6]) {
    vi.setSystemTime(Date.now() + minutes * 60_000);
    expect(await errorOf("/root/gcs/photo.jpg")).toBe("200 -");
    tokens.push(google.headers.at(-1)!.authorization);
  }
  const [first, second, third, fourth] = tokens;
  expect([second === first, third === first, fourth === third]).toEqual([true, false, true]);
});

test("metadata that changed without the content is known when the file's lifetime is over", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  for (const name of ["secret.jpg", "focus.jpg"]) await putForeign(name, {});
  const cropped = "/root/s3/tr:w-40,h-40,fo-custom/focus.jpg";
  const before = await site.get(cropped);
  expect([outcomeOf(before), await errorOf("/root/s3/secret.jpg")]).toEqual(["200 -", "200 -"]);
  vi.setSystemTime(Date.now() + 301_000);
  // Times of HTTP are of whole seconds, and the store's clock is the real one.
  await sleep(1000);
  await putForeign("secret.jpg", { isprivatefile: "true" });
  await putForeign("focus.jpg", { customcoordinates: "0,0,60,60" });
  expect(await errorOf("/root/s3/secret.jpg")).toBe("401 SignatureRequired");
  expect(await errorOf("/root/s3/tr:w-10/secret.jpg")).toBe("401 SignatureRequired");
  const after = await site.get(cropped);
  expect([outcomeOf(after), after.body.equals(before.body)]).toEqual(["200 -", false]);
  vi.setSystemTime(Date.now() + 301_000);
  expect(await errorOf("/root/s3/secret.jpg")).toBe("401 SignatureRequired");
});

test("a web proxy fetches URLs of the hosts that it is told, however they are written", async () => {
  const inner = `${web.url}/photo.jpg`;
  for (const path of [inner, inner.replace("//", "/"), encodeURIComponent(inner)]) {
    const reply = await site.get(`/root/proxy/tr:w-30/${path}`);
    expect([path, outcomeOf(reply)]).toEqual([path, "200 -"]);
  }
  expect(await errorOf("/root/proxy/https://example.com/a.jpg")).toBe("403 OriginRefused");
  expect(await errorOf("/root/proxy/photo.jpg")).toBe("400 InvalidPath");
});

test("fifty who ask for one new file fetch it once, and the client's query reaches the web server", async () => {
  const before = web.asked.length;
  const replies = await Promise.all(
    Array.from({ length: 50 }, () => site.get("/root/web/tr:w-40/photo.jpg?token=abc&alt=media")),
  );
  expect(new Set(replies.map(outcomeOf))).toEqual(new Set(["200 -"]));
  expect(web.asked.slice(before)).toEqual(["GET /photo.jpg?token=abc&alt=media"]);
  expect(web.headers.at(-1)).toMatchObject({ "x-req-from": "windlass", "accept-encoding": "identity" });
});

test.each([
  [
    "/image/assets/cat.jpg?alt=media&w=30&token=a%2Fb&debug=true&v=2",
    "GET /assets/cat.jpg?alt=media&token=a%2Fb",
  ],
  ["/image/anywhere/{web}/photo.jpg?token=abc&w=20&utm_source=x", "GET /photo.jpg?token=abc&utm_source=x"],
])("of %s a web server hears what is not ours", async (url, heard) => {
  const before = web.asked.length;
  const reply = await site.get(url.replace("{web}", web.url));
  expect([outcomeOf(reply), web.asked.slice(before)]).toEqual(["200 -", [heard]]);
});

test("many who ask several workers for one file of a silent origin wait for one timeout, not for one after the other", async () => {
  await createOrigin(site.store, {
    name: "silent",
    type: "web",
    baseUrl: web.url,
    allowHosts: ["127.0.0.1"],
    timeout: 1,
  });
  await createEndpoint(site.store, { name: "silent", origins: ["silent"] });
  await using other = await site.openWorker();
  const { answer } = web;
  web.answer = () => undefined;
  const before = web.asked.length;
  const workers = [site, other, site, other, other];
  const replies = await Promise.all(workers.map((worker) => worker.get("/root/silent/photo.jpg")));
  web.answer = answer;
  expect(replies.map(outcomeOf)).toEqual(workers.map(() => "504 OriginTimeout"));
  expect(web.asked.slice(before)).toEqual(["GET /photo.jpg"]);
  for (const worker of [site, other])
    expect(outcomeOf(await worker.get("/root/silent/photo.jpg"))).toBe("200 -");
});
