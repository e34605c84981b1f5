/** What is wrong with an origin: as its test says it, and as those see it who ask for a file. */
import { once } from "node:events";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEndpoint } from "../../../src/delivery/origins/endpoints.ts";
import { createOrigin, testOrigin, type OriginInput } from "../../../src/delivery/origins/origins.ts";
import { openSite, type Site } from "../site.ts";
import { AZURE_ACCOUNT, startWeb, type WebServer } from "./storage.ts";

let site: Site;
let web: WebServer;
beforeAll(async () => {
  [site, web] = await Promise.all([openSite(), startWeb((_, response) => response.end("<html>Shop</html>"))]);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
});

let count = 0;
async function added(input: Omit<OriginInput, "name">): Promise<string> {
  const name = `origin-${++count}`;
  await createOrigin(site.store, { name, ...input, allowHosts: ["127.0.0.1"] });
  return name;
}

/** Every kind of storage at an address. */
const kinds = (url: string): Record<string, Omit<OriginInput, "name">> => ({
  "S3 service": { type: "s3-compatible", bucket: "b-1", endpointUrl: url, pathStyle: true },
  "Blob service": { type: "azure", azureAccount: AZURE_ACCOUNT, container: "box", azureEndpoint: url },
  "Google Cloud Storage": { type: "gcs", bucket: "b-1", endpointUrl: url },
});

/** What its test finds, with HOST for the address. */
async function findings(input: Omit<OriginInput, "name">): Promise<string> {
  const tested = await testOrigin(site.store, { name: await added(input) });
  return `${tested.ok} ${tested.findings.join(" ").replaceAll(/127\.0\.0\.1:\d+/g, "HOST")}`;
}

test.each(Object.keys(kinds("")))("a web page is no %s", async (kind) => {
  expect(await findings(kinds(web.url)[kind]!)).toBe(
    `false HOST has an answer for a file that can't exist: it is no ${kind}, or the address is that of its web page.`,
  );
});

describe.each(["web server", ...Object.keys(kinds(""))])("the address of a %s", (kind) => {
  const at = (url: string): Omit<OriginInput, "name"> =>
    kinds(url)[kind] ?? { type: "web", baseUrl: `${url}/` };

  test("that speaks no TLS is not one to ask by https", async () => {
    expect(await findings(at(web.url.replace("http:", "https:")))).toBe(
      "false TLS with HOST fails: it doesn't speak TLS at this port (http:// instead of https://?).",
    );
  });

  test("that speaks TLS is not one to ask by http; one without a certificate agrees to nothing", async () => {
    const secure = createTlsServer({}).listen(0, "127.0.0.1");
    await once(secure, "listening");
    const host = `127.0.0.1:${(secure.address() as AddressInfo).port}`;
    try {
      expect(await findings(at(`http://${host}`))).toBe(
        "false HOST hangs up before it answers (https:// instead of http://?).",
      );
      expect(await findings(at(`https://${host}`))).toMatch(
        /^false TLS with HOST fails: (ssl\/tls|sslv3) alert handshake failure\.$/,
      );
    } finally {
      secure.close();
    }
  });
});

test("a public bucket that is asked as a web server lacks what it calls AccessDenied: the next origin has it", async () => {
  await using bucket = await startWeb((request, response) => {
    if (request.url === "/there.txt") response.end("there");
    else if (request.url === "/shut.txt") response.writeHead(403).end("<html>Forbidden</html>");
    else response.writeHead(403).end("<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>");
  });
  await using other = await startWeb((_, response) => response.end("from the other"));
  const names = [
    await added({ type: "web", baseUrl: `${bucket.url}/` }),
    await added({ type: "web", baseUrl: `${other.url}/` }),
  ];
  await createEndpoint(site.store, { name: "alone", origins: names.slice(0, 1) });
  await createEndpoint(site.store, { name: "both", origins: names });
  const asked = async (path: string): Promise<string> => {
    const { status, body } = await site.get(path);
    return status === 200 ? body.toString() : String(status);
  };
  expect(await asked("/root/alone/missing.txt")).toBe("404");
  expect(await asked("/root/both/missing.txt")).toBe("from the other");
  expect(await asked("/root/both/there.txt")).toBe("there");
  expect(await asked("/root/both/shut.txt")).toBe("403");
});
