/** What the server's environment says to other programs says nothing to an origin. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openAzureOrigin } from "../../../src/delivery/origins/azure.ts";
import type { OriginClient } from "../../../src/delivery/origins/client.ts";
import { openGcsOrigin } from "../../../src/delivery/origins/gcs.ts";
import { openS3Origin, type S3OriginOptions } from "../../../src/delivery/origins/s3.ts";
import { openWebOrigin } from "../../../src/delivery/origins/web.ts";
import { collect } from "../../../src/lib/chunks.ts";
import { startWeb, type WebServer } from "../../delivery/origins/storage.ts";

const policy = { allowHosts: ["127.0.0.1"] };
const headMs = 1000;
const headers = { etag: '"1"', "content-length": 2 };

let server: WebServer;
beforeEach(async () => {
  server = await startWeb((_, response) => void response.writeHead(200, headers).end("ok"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server[Symbol.asyncDispose]();
});

const s3 = (more: Partial<S3OriginOptions> = {}): OriginClient =>
  openS3Origin({
    bucket: "box",
    region: undefined,
    endpointUrl: server.url,
    pathStyle: true,
    credentials: { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "secret" },
    policy,
    headMs,
    ...more,
  });
const KINDS = {
  s3: () => s3(),
  azure: () =>
    openAzureOrigin({
      account: "account1",
      container: "box",
      endpoint: server.url,
      sasToken: "?sv=1&sig=secret",
      accountKey: undefined,
      policy,
      headMs,
    }),
  gcs: () => openGcsOrigin({ bucket: "box", endpointUrl: server.url, account: undefined, policy, headMs }),
  web: () => openWebOrigin({ baseUrl: `${server.url}/`, forwardHost: false, policy, headMs }),
};

test.each([
  ["AWS_ENDPOINT_URL", "http://127.0.0.1:9"],
  ["AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"],
  ["AWS_REGION", "eu-west-1"],
  ["AWS_PROFILE", "none-of-that-name"],
  ["AWS_USE_FIPS_ENDPOINT", "true"],
  ["AWS_USE_DUALSTACK_ENDPOINT", "true"],
  ["AWS_AUTH_SCHEME_PREFERENCE", "sigv4a"],
  ["AWS_DEFAULTS_MODE", "none-of-that-name"],
  ["HTTPS_PROXY", "http://127.0.0.1:9"],
])("%s doesn't move a bucket of Amazon's", async (name, value) => {
  vi.stubEnv(name, value);
  const asked = new Set<string>();
  const resolve = (host: string): Promise<never> => {
    asked.add(host);
    return Promise.reject(Object.assign(new Error(), { code: "ENOTFOUND" }));
  };
  const client = s3({ endpointUrl: undefined, pathStyle: false, policy: { ...policy, resolve } });
  await expect(client.fetch("photo.jpg", {})).rejects.toThrow("can't be looked up");
  client.close();
  expect([...asked]).toEqual(["box.s3.us-east-1.amazonaws.com"]);
});

test.each([
  ["s3", "AWS_USE_FIPS_ENDPOINT", "true"],
  ["s3", "AWS_USE_DUALSTACK_ENDPOINT", "true"],
  ["azure", "HTTP_PROXY", "http://127.0.0.1:9"],
  ["gcs", "HTTP_PROXY", "http://127.0.0.1:9"],
  ["gcs", "GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json"],
  ["web", "HTTP_PROXY", "http://127.0.0.1:9"],
] as const)("%s is asked where its settings say, whatever %s says", async (kind, name, value) => {
  vi.stubEnv(name, value);
  const client = KINDS[kind]();
  const fetched = await client.fetch("photo.jpg", {});
  const body = fetched.kind === "found" ? await collect(fetched.body) : fetched.kind;
  client.close();
  expect(body.toString()).toBe("ok");
});
