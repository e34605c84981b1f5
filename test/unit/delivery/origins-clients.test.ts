/** What becomes of the answers, silences and lies of other people's storage. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import { openAzureOrigin } from "../../../src/delivery/origins/azure.ts";
import { encodedPath, type FetchOptions, type OriginClient } from "../../../src/delivery/origins/client.ts";
import { openGcsOrigin } from "../../../src/delivery/origins/gcs.ts";
import { openS3Origin, type S3OriginOptions } from "../../../src/delivery/origins/s3.ts";
import { openWebOrigin } from "../../../src/delivery/origins/web.ts";
import { collect } from "../../../src/lib/chunks.ts";
import { startWeb, type WebServer } from "../../delivery/origins/storage.ts";

const policy = { allowHosts: ["127.0.0.1"] };
/** Time enough for an answer, on a busy machine too. */
const HEAD_MS = 10_000;

let server: WebServer;
const opened: OriginClient[] = [];
beforeEach(async () => {
  server = await startWeb((_, response) => response.writeHead(500).end());
});
afterEach(async () => {
  for (const client of opened.splice(0)) client.close();
  await server[Symbol.asyncDispose]();
});

const keep = (client: OriginClient): OriginClient => {
  opened.push(client);
  return client;
};
/** For those whose silence is waited for. */
const SILENCE_MS = 1000;
const KINDS: Readonly<Record<string, (headMs?: number) => OriginClient>> = {
  s3: (headMs = HEAD_MS) => s3({ headMs }),
  azure: (headMs = HEAD_MS) => {
    const named = { account: "account1", container: "box", endpoint: server.url };
    const keys = { sasToken: "?sv=1&sig=topsecret", accountKey: undefined };
    return keep(openAzureOrigin({ ...named, ...keys, policy, headMs }));
  },
  gcs: (headMs = HEAD_MS) =>
    keep(openGcsOrigin({ bucket: "box", endpointUrl: server.url, account: undefined, policy, headMs })),
  web: (headMs = HEAD_MS) =>
    keep(openWebOrigin({ baseUrl: `${server.url}/`, forwardHost: false, policy, headMs })),
};
const s3 = (more: Partial<S3OriginOptions> = {}): OriginClient =>
  keep(
    openS3Origin({
      bucket: "box",
      region: undefined,
      endpointUrl: server.url,
      pathStyle: true,
      credentials: { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "topsecret" },
      policy,
      headMs: HEAD_MS,
      ...more,
    }),
  );

/** In a word or two, with the body read to its end. */
async function outcome(client: OriginClient, options: FetchOptions = {}): Promise<string> {
  try {
    const fetched = await client.fetch("a b/photo.jpg", options);
    if (fetched.kind !== "found") return fetched.kind;
    return `found ${(await collect(fetched.body)).toString()}`;
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    const { code, message, detail = message } = error;
    expect(`${message} ${detail}`).not.toContain("topsecret");
    // Only the operator is told the host.
    expect(message).not.toContain("127.0.0.1");
    return `${code}: ${detail.replaceAll(/127\.0\.0\.1:\d+/g, "HOST")}`;
  }
}

const tested = async (client: OriginClient): Promise<string> => {
  const { ok, findings } = await client.test();
  expect(findings.join()).not.toContain("topsecret");
  return `${ok} ${findings.join(" ").replaceAll(/127\.0\.0\.1:\d+/g, "HOST")}`;
};

const xml =
  (status: number, code: string, headers: Record<string, string> = {}, more = ""): WebServer["answer"] =>
  (request, response) => {
    response.writeHead(status, { "content-type": "application/xml", "x-ms-error-code": code, ...headers });
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>No.</Message>${more}</Error>`;
    response.end(request.method === "HEAD" ? undefined : body);
  };

describe.each(Object.keys(KINDS))("an origin of kind %s", (kind) => {
  const open = (headMs?: number): OriginClient => KINDS[kind]!(headMs);

  test("that never answers is a timeout, to its test as well", async () => {
    server.answer = () => undefined;
    expect(await outcome(open(SILENCE_MS))).toBe("OriginTimeout: HOST did not answer in time.");
    expect(await tested(open(SILENCE_MS))).toBe("false HOST did not answer in time.");
  });

  test("that falls silent within a file is a timeout", async () => {
    server.answer = (_, response) => {
      response.writeHead(200, { "content-length": 1000, etag: '"1"' });
      response.write("half of");
    };
    expect(await outcome(open(SILENCE_MS))).toBe("OriginTimeout: HOST did not answer in time.");
  });

  test("whose files are read slowly is waited for as long as that takes", async () => {
    const half = Buffer.alloc(2 ** 20, "x");
    server.answer = (_, response) => {
      response.writeHead(200, { "content-length": 2 * half.length, etag: '"1"' });
      response.end(Buffer.concat([half, half]));
    };
    const fetched = await open(SILENCE_MS).fetch("photo.jpg", {});
    expect(fetched.kind).toBe("found");
    let size = 0;
    for await (const chunk of (fetched as { body: AsyncIterable<Buffer> }).body) {
      if (size === 0) await new Promise((resolve) => setTimeout(resolve, 2 * SILENCE_MS));
      size += chunk.length;
    }
    expect(size).toBe(2 * half.length);
  });

  test("that cuts a file short has failed", async () => {
    server.answer = (_, response) => {
      response.writeHead(200, { "content-length": 1000, etag: '"1"' });
      response.write("half of", () => response.destroy());
    };
    expect(await outcome(open())).toMatch(/^OriginFailed: HOST can't be read/);
  });

  test("that refuses connections has failed", async () => {
    const client = open();
    await server[Symbol.asyncDispose]();
    expect(await outcome(client)).toBe("OriginFailed: HOST refuses connections.");
    expect(await tested(client)).toBe("false HOST refuses connections.");
    server = await startWeb((_, response) => response.end());
  });

  test("that breaks down or is busy has failed", async () => {
    for (const status of [500, 503, 429]) {
      server.answer = xml(status, "SlowDown");
      expect(await outcome(open())).toMatch(new RegExp(`^OriginFailed: HOST answers ${status}`));
    }
  });

  test("says what it lacks and what is known already, and is asked for the bytes that are wanted", async () => {
    server.answer = xml(404, "NoSuchKey");
    expect(await outcome(open())).toBe("missing");
    server.answer = (_, response) => response.writeHead(304).end();
    expect(await outcome(open(), { known: { etag: "e1", lastModified: undefined } })).toBe("unchanged");
    expect(server.headers.at(-1)).toMatchObject({ "if-none-match": '"e1"' });
    expect(await outcome(open(), { known: { etag: undefined, lastModified: 1e12 } })).toBe("unchanged");
    expect(server.headers.at(-1)).toMatchObject({ "if-modified-since": "Sun, 09 Sep 2001 01:46:40 GMT" });
    server.answer = (_, response) => {
      response.writeHead(206, { "content-range": "bytes 2-4/10", "content-length": 3, etag: '"1"' });
      response.end("cde");
    };
    expect(await outcome(open(), { range: { start: 2, end: 5 } })).toBe("found cde");
    const { range, "x-ms-range": azureRange } = server.headers.at(-1)!;
    expect(range ?? azureRange).toBe("bytes=2-4");
  });

  test("lets go of its socket when nobody reads the file", async () => {
    const closed = new Promise((resolve) => {
      server.answer = (request, response) => {
        request.socket.once("close", resolve);
        response.writeHead(200, { "content-length": 1e9, etag: '"1"' });
        response.write(Buffer.alloc(1e6));
      };
    });
    const fetched = await open().fetch("photo.jpg", {});
    expect(fetched.kind).toBe("found");
    await (fetched as { body: AsyncIterable<Buffer> }).body[Symbol.asyncIterator]().return?.();
    await closed;
  });
});

describe("what S3 says", () => {
  test.each([
    [403, "AccessDenied", "missing"],
    [404, "NoSuchKey", "missing"],
    [404, "NoSuchBucket", "OriginFailed: HOST has no such bucket."],
    [
      403,
      "InvalidAccessKeyId",
      "OriginDenied: HOST refuses its credentials (InvalidAccessKeyId): the access key doesn't exist.",
    ],
    [
      403,
      "SignatureDoesNotMatch",
      "OriginDenied: HOST refuses its credentials (SignatureDoesNotMatch): the secret key is not that of the access key.",
    ],
    [
      400,
      "ExpiredToken",
      "OriginDenied: HOST refuses its credentials (ExpiredToken): the session has expired.",
    ],
    [
      403,
      "RequestTimeTooSkewed",
      "OriginDenied: HOST refuses its credentials (RequestTimeTooSkewed): this server's clock is wrong.",
    ],
    // What has no words of its own may be a proxy's, or a service that says no more.
    [403, "", "missing"],
    // It is there: no other origin is to be asked for it.
    [
      403,
      "InvalidObjectState",
      "OriginFailed: HOST has archived the file (InvalidObjectState): it must be restored first.",
    ],
    [403, "NotSignedUp", "OriginFailed: HOST answers 403 NotSignedUp."],
    // No file has such a name.
    [400, "KeyTooLongError", "missing"],
    [400, "InvalidRequest", "OriginFailed: HOST answers 400 InvalidRequest."],
    // The words of a stranger go into headers and terminals.
    [400, "Bad&#13;&#10;Set-Cookie: a=b&#27;[31m", "OriginFailed: HOST answers 400 BadSet-Cookie: ab31m."],
  ])("%i %s", async (status, code, expected) => {
    server.answer = xml(status, code);
    expect(await outcome(s3())).toBe(expected);
  });

  test.each<[status: number, code: string, headers: Record<string, string>, words: string]>([
    [403, "AccessDenied", {}, "true The credentials are accepted."],
    [403, "NotSignedUp", {}, "false HOST answers 403 NotSignedUp."],
    [404, "NoSuchKey", {}, "true Bucket box can be read and listed."],
    [404, "NoSuchBucket", {}, "false There is no bucket box at HOST."],
    [403, "InvalidAccessKeyId", {}, "false InvalidAccessKeyId: the access key doesn't exist."],
    [
      403,
      "RequestTimeTooSkewed",
      { date: new Date(Date.now() - 3_600_000).toUTCString() },
      "false RequestTimeTooSkewed: this server's clock is 60 minutes ahead of that of HOST.",
    ],
    [
      403,
      "RequestTimeTooSkewed",
      { date: new Date(Date.now() + 90_000 * 60).toUTCString() },
      "false RequestTimeTooSkewed: this server's clock is 90 minutes behind that of HOST.",
    ],
  ])("%i %s, to its test: %o", async (status, code, headers, words) => {
    server.answer = xml(status, code, headers);
    expect(await tested(s3())).toContain(words);
  });
});

/** Where the bucket is, and what is said to those who sign for another region. */
const elsewhere =
  (status: number, code: string, headers: Record<string, string>, more: string): WebServer["answer"] =>
  (request, response) => {
    const signed = /Credential=[^/]+\/\d+\/([^/]+)\//.exec(request.headers.authorization ?? "")?.[1];
    if (signed !== "eu-west-3") xml(status, code, headers, more)(request, response);
    else if (!request.url!.includes("photo.jpg")) xml(404, "NoSuchKey")(request, response);
    else response.writeHead(200, { etag: '"1"', "content-length": 2 }).end("ok");
  };

describe("the region of a bucket", () => {
  test.each<[number, string, Record<string, string>, string]>([
    [301, "PermanentRedirect", { "x-amz-bucket-region": "eu-west-3" }, ""],
    [307, "TemporaryRedirect", { "x-amz-bucket-region": "eu-west-3" }, ""],
    [400, "AuthorizationHeaderMalformed", {}, "<Region>eu-west-3</Region>"],
    [400, "IllegalLocationConstraintException", { "x-amz-bucket-region": "eu-west-3" }, ""],
  ])("is learned from %i %s, by all who ask at the same time, and remembered", async (...said) => {
    server.answer = elsewhere(...said);
    const client = s3();
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => outcome(client)));
    expect(new Set(outcomes)).toEqual(new Set(["found ok"]));
    const before = server.asked.length;
    expect(await outcome(client)).toBe("found ok");
    expect(server.asked.length).toBe(before + 1);
    expect(await tested(s3({ region: "us-west-2" }))).toBe(
      "true The bucket is in the region eu-west-3, not us-west-2. Bucket box can be read and listed.",
    );
  });

  test("that leads in circles is not followed for ever", async () => {
    let turn = 0;
    server.answer = (request, response) =>
      xml(301, "PermanentRedirect", { "x-amz-bucket-region": `eu-west-${++turn}` })(request, response);
    expect(await outcome(s3())).toBe("OriginFailed: HOST answers 301 PermanentRedirect.");
    expect(server.asked).toHaveLength(2);
  });
});

test("without keys S3 is asked anonymously", async () => {
  server.answer = (_, response) => response.writeHead(200, { "content-length": 2 }).end("ok");
  expect(await outcome(s3({ credentials: undefined }))).toBe("found ok");
  expect(server.headers[0]).not.toHaveProperty("authorization");
  server.answer = xml(403, "AccessDenied");
  expect(await tested(s3({ credentials: undefined }))).toMatch(/^false .* wants an access key/);
});

test("addresses that are not allowed are not asked, by no SDK", async () => {
  const none = { allowHosts: [] };
  const clients = [
    s3({ policy: none }),
    keep(
      openAzureOrigin({
        account: "account1",
        container: "box",
        endpoint: server.url,
        sasToken: undefined,
        accountKey: undefined,
        policy: none,
        headMs: HEAD_MS,
      }),
    ),
    keep(
      openGcsOrigin({
        bucket: "box",
        endpointUrl: server.url,
        account: undefined,
        policy: none,
        headMs: HEAD_MS,
      }),
    ),
    keep(
      openWebOrigin({
        baseUrl: `http://localhost:${server.port}/`,
        forwardHost: false,
        policy: none,
        headMs: HEAD_MS,
      }),
    ),
  ];
  for (const client of clients) {
    expect(await outcome(client)).toMatch(/^OriginRefused: \S+ has the address/);
    expect(await tested(client)).toMatch(/^false .*--allow-host (127\.0\.0\.1|localhost)\.$/);
  }
  expect(server.asked).toEqual([]);
});

const denied = (status: number, code: string, why: string): [number, string, string] => [
  status,
  code,
  `OriginDenied: HOST refuses its credentials (${code}): ${why}.`,
];

describe("what Azure says", () => {
  test.each([
    [404, "BlobNotFound", "missing"],
    [404, "ContainerNotFound", "OriginFailed: HOST has no container box."],
    [409, "BlobArchived", "OriginFailed: HOST answers 409 BlobArchived."],
    denied(403, "AuthenticationFailed", "the SAS token or account key is wrong, or the token has ended"),
    denied(403, "AuthorizationPermissionMismatch", "the SAS token doesn't allow reading"),
    denied(
      403,
      "AuthorizationFailure",
      "the SAS token doesn't allow reading, or the network rules of the storage account keep this server out",
    ),
    [400, "InvalidUri", "missing"],
    [400, "InvalidHeaderValue", "OriginFailed: HOST answers 400 InvalidHeaderValue."],
    denied(409, "PublicAccessNotPermitted", "the container wants a SAS token or an account key"),
  ])("%i %s", async (status, code, expected) => {
    server.answer = xml(status, code);
    expect(await outcome(KINDS["azure"]!())).toBe(expected);
  });

  test.each([
    [-1, "false The SAS token ended on "],
    [5, ", which is soon. Container box can be read."],
    [400, ". Container box can be read."],
  ])("a token that ends in %i days", async (days, words) => {
    server.answer = days < 0 ? xml(403, "AuthenticationFailed") : xml(404, "BlobNotFound");
    const end = new Date(Date.now() + days * 86_400_000).toISOString();
    const client = openAzureOrigin({
      account: "account1",
      container: "box",
      endpoint: server.url,
      sasToken: `?sv=1&se=${encodeURIComponent(end)}&sig=topsecret`,
      accountKey: undefined,
      policy,
      headMs: HEAD_MS,
    });
    expect(await tested(keep(client))).toContain(words);
  });
});

test.each([
  [404, "NoSuchKey", "missing", "true Bucket box can be read."],
  [404, "NoSuchBucket", "OriginFailed: HOST has no bucket box.", "false There is no bucket box at HOST."],
  [403, "AccessDenied", "missing", "true Objects that don't exist are answered 403"],
  [403, "", "missing", "true Objects that don't exist are answered 403"],
  [403, "AccountProblem", "OriginFailed: HOST answers 403 AccountProblem.", "false HOST answers 403 Acc"],
  [401, "Authe", "OriginDenied: HOST refuses its credentials (Authe)", "false HOST answers 401 Authe: it do"],
])("what Google says: %i %s", async (status, code, said, words) => {
  server.answer = xml(status, code);
  expect(await outcome(KINDS["gcs"]!())).toContain(said);
  expect(await tested(KINDS["gcs"]!())).toContain(words);
});

const openWebServer = (): OriginClient => KINDS["web"]!();
/** Redirects to where a path leads; "" is the end of the way. */
const to =
  (next: (path: string) => string): WebServer["answer"] =>
  (request, response) => {
    const location = next(request.url!);
    if (location === "") response.end("here");
    else response.writeHead(302, { location }).end();
  };

describe("redirects of web servers", () => {
  test("are followed three times and no more", async () => {
    const hops = (count: number) =>
      to((path) => {
        const at = Number(/^\/hop(\d+)/.exec(path)?.[1] ?? 0);
        return at === count ? "" : `/hop${at + 1}`;
      });
    server.answer = hops(3);
    expect(await outcome(openWebServer())).toBe("found here");
    server.answer = hops(4);
    expect(await outcome(openWebServer())).toBe("OriginFailed: The origin redirects more than 3 times.");
    server.answer = to((path) => path);
    expect(await outcome(openWebServer())).toBe("OriginFailed: The origin redirects more than 3 times.");
  });

  test.each([
    ["by name", "http://localhost:9/"],
    ["by number", "http://2130706434/"],
    ["to the clouds' metadata", "http://169.254.169.254/latest/meta-data/"],
    ["to the same network in IPv6", "http://[::ffff:10.0.0.1]/"],
    ["to a file", "file:///etc/passwd"],
    ["with a password", "http://me:topsecret@127.0.0.1/"],
  ])("lead to no place that the origin may not ask: %s", async (_, location) => {
    server.answer = to(() => location);
    expect(await outcome(openWebServer())).toMatch(/^OriginRefused/);
    expect(server.asked).toHaveLength(1);
  });

  test("take no keys to other servers", async () => {
    await using other = await startWeb((_, response) => response.end("here"));
    server.answer = to((path) => (path.endsWith("photo.jpg") ? "/second" : `${other.url}/third`));
    const client = openWebOrigin({
      baseUrl: `${server.url}/`,
      forwardHost: false,
      policy,
      headMs: HEAD_MS,
      authorize: () => ({ authorization: "Bearer topsecret" }),
    });
    expect(await outcome(keep(client))).toBe("found here");
    expect(server.headers.map(({ authorization }) => authorization)).toEqual([
      "Bearer topsecret",
      "Bearer topsecret",
    ]);
    expect(other.headers.map(({ authorization }) => authorization)).toEqual([undefined]);
  });
});

test("a certificate that nobody vouches for is refused, and the test says so", async () => {
  const folder = await mkdtemp(join(tmpdir(), "windlass-certificate-"));
  const [keyFile, certFile] = [join(folder, "key"), join(folder, "cert")];
  const made = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a.example"];
  const files = ["-keyout", keyFile, "-out", certFile];
  await promisify(execFile)("openssl", ["req", "-x509", "-days", "2", ...made, ...files]);
  const secure = createServer(
    { key: await readFile(keyFile), cert: await readFile(certFile) },
    (_, response) => response.end("secret"),
  );
  secure.listen(0, "127.0.0.1");
  await once(secure, "listening");
  const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`;
  const options = { policy, headMs: HEAD_MS };
  const web = keep(openWebOrigin({ baseUrl: `${url}/`, forwardHost: false, ...options }));
  const azure = { account: "account1", container: "box", sasToken: undefined, accountKey: undefined };
  for (const client of [
    web,
    s3({ endpointUrl: url }),
    keep(openAzureOrigin({ ...azure, endpoint: url, ...options })),
  ]) {
    expect(await outcome(client)).toBe("OriginFailed: TLS with HOST fails: its certificate is self-signed.");
    expect(await tested(client)).toBe("false TLS with HOST fails: its certificate is self-signed.");
  }
  secure.close();
  await rm(folder, { recursive: true });
});

test.each([
  ["//other.example/a", "GET ///other.example/a"],
  ["a?b#c", "GET /a%3Fb%23c"],
  ["a\\..\\b", "GET /a%5C..%5Cb"],
  ["%2e%2e/b", "GET /%252e%252e/b"],
  ["@other.example", "GET /%40other.example"],
])("the path %s stays a path of the web server", async (path, asked) => {
  server.answer = (_, response) => response.end("ok");
  expect((await KINDS["web"]!().fetch(encodedPath(path), {})).kind).toBe("found");
  expect(server.asked).toEqual([asked]);
});
