/** The guide of 2009, sections 6 to 9: common elements, signature version 2 and virtual hosting, over the wire. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import { exchange, presignV2, signV2, type WireAnswer, type WireRequest } from "./wire.ts";

const BASE = "s3.example.test";
let server: TestServer;
const key = () => server.rootKey;
const send = (request: WireRequest) => exchange(server.port, request);
const signed = (request: WireRequest, options?: Parameters<typeof signV2>[2]) =>
  send(signV2(request, key(), options));
const presigned = (request: WireRequest, options?: Parameters<typeof presignV2>[2]) =>
  send(presignV2(request, key(), options));
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);

beforeAll(async () => {
  server = await startServer({ domain: [BASE] });
  for (const name of ["guide", "cname.example.org"]) {
    await signed({ method: "PUT", target: `/${name}`, body: "" });
  }
  await signed({ method: "PUT", target: "/guide/k", body: "body" });
  await signed({ method: "PUT", target: "/cname.example.org/k", body: "by name" });
});
afterAll(() => server.close());

const OK = { status: 200, code: undefined };
const refused = (status: number, code: string) => ({ status, code });

describe("common elements", () => {
  test.each<[string, () => WireRequest, object]>([
    [
      "R89 a PUT without a length is 411",
      () => ({ method: "PUT", target: "/guide/n" }),
      refused(411, "MissingContentLength"),
    ],
    [
      "R89 a copy needs neither length nor body, and may expect 100",
      () => ({
        method: "PUT",
        target: "/guide/copied",
        headers: [
          ["x-amz-copy-source", "/guide/k"],
          ["Expect", "100-continue"],
        ],
      }),
      OK,
    ],
    [
      "R98 Expect: Continue, as the guide prints it",
      () => ({ method: "PUT", target: "/guide/expected", headers: [["Expect", "Continue"]], body: "x" }),
      OK,
    ],
    ["R99 parameters that begin with x- are ignored", () => ({ target: "/guide/k?x-foo=bar&x-acl" }), OK],
    [
      "R37 a bucket made with an empty chunked body",
      () => ({
        method: "PUT",
        target: "/guide",
        headers: [["Transfer-Encoding", "chunked"]],
        body: "0\r\n\r\n",
      }),
      OK,
    ],
  ])("%s", async (_name, request, expected) => {
    expect(await signed(request())).toMatchObject(expected);
  });

  test("R90 an object sent in chunks of no known length is refused", async () => {
    const headers = [["Transfer-Encoding", "chunked"]] as const;
    const answer = await signed({ method: "PUT", target: "/guide/n", headers, body: "1\r\nx\r\n0\r\n\r\n" });
    expect([411, 501]).toContain(answer.status);
    expect((await signed({ target: "/guide/n" })).status).toBe(404);
  });

  test("R92 HTTP/1.1 needs a Host, HTTP/1.0 does not", async () => {
    const one = await exchange(server.port, {
      target: "/guide/k",
      headers: [
        ["host", "a"],
        ["host", "b"],
      ],
    });
    expect(one).toMatchObject(refused(400, "BadRequest"));
    expect(await signed({ target: "/guide/k", version: "1.0" })).toMatchObject({ status: 200, text: "body" });
  });

  test.each<[string, string]>([
    ["R213 of an object", "/guide/k"],
    ["R213 of a list", "/guide"],
    ["R213 of an error", "/guide/none"],
  ])("%s is not chunked in HTTP/1.0, and ends with the connection", async (_name, target) => {
    const answer = await signed({ target, version: "1.0" });
    expect(answer.headers["transfer-encoding"]).toBeUndefined();
    expect(answer.text).toHaveLength(Number(answer.headers["content-length"] ?? answer.text.length));
  });
});

const rfc850 = (date: Date) => {
  const day = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"][
    date.getUTCDay()
  ];
  return date.toUTCString().replace(/^\w+, (\d+) (\w+) \d\d(\d\d)/, `${day}, $1-$2-$3`);
};
const asctime = (date: Date) => {
  const [, weekday, day, month, year, time] = /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/.exec(date.toUTCString())!;
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`;
};

describe("a V2 signature in headers", () => {
  test.each<[string, () => string]>([
    ["RFC 1123", () => minutesAgo(1).toUTCString()],
    ["RFC 1123 with +0000", () => minutesAgo(1).toUTCString().replace("GMT", "+0000")],
    ["RFC 850", () => rfc850(minutesAgo(1))],
    ["asctime", () => asctime(minutesAgo(1))],
  ])("R115 takes a Date in %s", async (_name, date) => {
    expect(await signed({ target: "/guide/k" }, { date: date() })).toMatchObject({
      status: 200,
      text: "body",
    });
  });

  test.each<[string, string | null, object]>([
    ["R91 none", null, refused(403, "AccessDenied")],
    ["R91 one that is none", "yesterday", refused(403, "AccessDenied")],
    ["R114 one 16 minutes old", minutesAgo(16).toUTCString(), refused(403, "RequestTimeTooSkewed")],
    ["R114 one 16 minutes ahead", minutesAgo(-16).toUTCString(), refused(403, "RequestTimeTooSkewed")],
    ["R114 one 14 minutes old", minutesAgo(14).toUTCString(), OK],
  ])("the Date: %s", async (_name, date, expected) => {
    expect(await signed({ target: "/guide/k" }, { date })).toMatchObject(expected);
  });

  test.each<[string, string]>([
    ["stale", minutesAgo(60).toUTCString()],
    ["nonsense", "never"],
  ])("R113 x-amz-date stands for a Date that is %s", async (_name, date) => {
    const headers = [["x-amz-date", new Date().toUTCString()]] as const;
    expect(await signed({ target: "/guide/k", headers }, { date })).toMatchObject(OK);
    const stale = [["x-amz-date", minutesAgo(60).toUTCString()]] as const;
    expect(await signed({ target: "/guide/k", headers: stale })).toMatchObject(
      refused(403, "RequestTimeTooSkewed"),
    );
  });

  test("R104 R111 R81 signs the type as sent and joins headers of one name", async () => {
    const headers = [
      ["Content-Type", "text/plain; charset=UTF-8"],
      ["X-Amz-Meta-ReviewedBy", "joe@johnsmith.net"],
      ["x-amz-acl", "private"],
      ["x-amz-meta-reviewedby", "  jane@johnsmith.net "],
    ] as const;
    expect(await signed({ method: "PUT", target: "/guide/joined", headers, body: "x" })).toMatchObject(OK);
    const { headers: read } = await signed({ method: "HEAD", target: "/guide/joined" });
    expect(read["content-type"]).toBe("text/plain; charset=UTF-8");
    expect(read["x-amz-meta-reviewedby"]).toBe("joe@johnsmith.net,jane@johnsmith.net");
  });

  test.each<[string, WireRequest, string]>([
    ["R108 ?acl", { target: "/guide/k?acl" }, "/guide/k?acl"],
    ["R108 ?acl= with an empty value", { target: "/guide/k?acl=" }, "/guide/k?acl"],
    ["R108 ?location", { target: "/guide?location" }, "/guide?location"],
    ["R108 ?versioning", { target: "/guide?versioning" }, "/guide?versioning"],
    ["R108 ?uploads beside a prefix", { target: "/guide?uploads&prefix=a" }, "/guide?uploads"],
    [
      "R108 response-* decoded and in order",
      { target: "/guide/k?response-expires=a%20b&response-content-type=text%2Fplain" },
      "/guide/k?response-content-type=text/plain&response-expires=a b",
    ],
    ["R109 other parameters", { target: "/guide?prefix=k&max-keys=1&delimiter=%2F" }, "/guide"],
    ["R45 a bucket with a slash", { target: "/guide/" }, "/guide/"],
    ["R107 the path un-decoded", { target: "/guide/%6b" }, "/guide/%6b"],
    ["R106 the bucket of the Host", { target: "/k", headers: [["Host", `guide.${BASE}`]] }, "/guide/k"],
    ["R110 the root of a host", { target: "/?prefix=k", headers: [["Host", `guide.${BASE}`]] }, "/guide/"],
    [
      "R106 a Host in capitals, with a port",
      { target: "/k", headers: [["Host", `GUIDE.${BASE.toUpperCase()}:8080`]] },
      "/guide/k",
    ],
    ["R135 a CNAME", { target: "/k", headers: [["Host", "CNAME.Example.org:80"]] }, "/cname.example.org/k"],
  ])("%s are signed as described", async (_name, request, resource) => {
    expect(await signed(request, { resource })).toMatchObject(OK);
    expect(await signed(request, { resource: `${resource}x` })).toMatchObject(
      refused(403, "SignatureDoesNotMatch"),
    );
  });

  test("R116 a wrong signature is shown what would have been signed", async () => {
    const date = new Date().toUTCString();
    const { text } = await signed({ target: "/guide/k?acl" }, { resource: "/guide/k", date });
    expect(text).toContain(`<StringToSign>GET\n\n\n${date}\n/guide/k?acl</StringToSign>`);
    expect(text).toContain(`<AWSAccessKeyId>${key().accessKeyId}</AWSAccessKeyId>`);
    expect(text).toMatch(/<SignatureProvided>[^<]+<\/SignatureProvided>/);
    expect(text).toContain("<StringToSignBytes>47 45 54 0a");
  });

  test.each<[string, (request: WireRequest) => WireRequest, number, RegExp]>([
    [
      "R120 an x-amz- header more",
      (request) => ({ ...request, headers: [...request.headers!, ["x-amz-meta-late", "1"]] }),
      403,
      /SignatureDoesNotMatch/,
    ],
    [
      "R105 another header more",
      (request) => ({ ...request, headers: [...request.headers!, ["Cache-Control", "no-cache"]] }),
      200,
      /^body$/,
    ],
    [
      "R117 an unknown key",
      (request) => ({
        ...request,
        headers: [
          ["Date", new Date().toUTCString()],
          ["Authorization", "AWS NOBODY:x="],
        ],
      }),
      403,
      /InvalidAccessKeyId/,
    ],
    [
      "R118 half an Authorization",
      (request) => ({ ...request, headers: [["Authorization", "AWS a"]] }),
      400,
      /InvalidArgument/,
    ],
    ["R131 two signatures", (request) => ({ ...presignV2(request, key()) }), 400, /InvalidArgument/],
  ])("%s", async (_name, change, status, text) => {
    const answer = await send(change(signV2({ target: "/guide/k" }, key())));
    expect(answer.status).toBe(status);
    expect(answer.text).toMatch(text);
  });
});

describe("a V2 signature in the query", () => {
  const md5 = createHash("md5").update("x").digest("base64");
  test.each<[string, WireRequest, Parameters<typeof presignV2>[2], object]>([
    ["R126 GET", { target: "/guide/k" }, {}, { status: 200, text: "body" }],
    ["R126 HEAD", { method: "HEAD", target: "/guide/k" }, {}, { status: 200, text: "" }],
    ["R126 PUT", { method: "PUT", target: "/guide/q", body: "x" }, {}, OK],
    ["R126 DELETE", { method: "DELETE", target: "/guide/q" }, {}, { status: 204 }],
    ["R126 a list", { target: "/guide?prefix=k" }, {}, OK],
    ["R126 a sub-resource", { target: "/guide/k?acl" }, { resource: "/guide/k?acl" }, OK],
    ["R124 expired", { target: "/guide/k" }, { seconds: -2 }, refused(403, "AccessDenied")],
    ["R125 in a hundred years", { target: "/guide/k" }, { seconds: 3_155_760_000 }, OK],
    ["R127 a stale Date", { target: "/guide/k", headers: [["Date", minutesAgo(99).toUTCString()]] }, {}, OK],
    [
      "R128 the type and MD5 that are sent",
      {
        method: "PUT",
        target: "/guide/q",
        body: "x",
        headers: [
          ["Content-Type", "a/b"],
          ["Content-MD5", md5],
        ],
      },
      {},
      OK,
    ],
    [
      "R130 a header in the URL",
      { method: "PUT", target: "/guide/q2", body: "x" },
      { hoisted: [["x-amz-acl", "public-read"]] },
      OK,
    ],
  ])("%s", async (_name, request, options, expected) => {
    expect(await presigned(request, options)).toMatchObject(expected);
  });

  test("R130 is honoured as the header", async () => {
    await presigned(
      { method: "PUT", target: "/guide/open", body: "x" },
      { hoisted: [["x-amz-acl", "public-read"]] },
    );
    expect(await send({ target: "/guide/open" })).toMatchObject({ status: 200, text: "x" });
  });

  test("R124 says that it has expired", async () => {
    const { text } = await presigned({ target: "/guide/k" }, { seconds: -2 });
    expect(text).toContain("<Message>Request has expired</Message>");
  });
});

const at = (host: string, target: string): Promise<WireAnswer> => send({ target, headers: [["Host", host]] });

describe("virtual hosting", () => {
  beforeAll(async () => {
    const headers = [["x-amz-acl", "public-read"]] as const;
    for (const target of ["/guide", "/guide/%2Fx", "/guide/robots.txt", "/guide/favicon.ico"]) {
      await signed({ method: "PUT", target, headers, body: target === "/guide" ? "" : target });
    }
  });

  test.each<[string, string, string, object]>([
    ["R133 the base is path style", BASE, "/guide/robots.txt", { status: 200, text: "/guide/robots.txt" }],
    ["R134 the whole path is the key", `guide.${BASE}`, "//x", { status: 200, text: "/guide/%2Fx" }],
    ["R137 whatever the case", `Guide.${BASE.toUpperCase()}`, "/robots.txt", { status: 200 }],
    ["R140 favicon.ico is the bucket's", `guide.${BASE}`, "/favicon.ico", { status: 200 }],
    ["R140 robots.txt is the bucket's", `guide.${BASE}:8080`, "/robots.txt", { status: 200 }],
    ["R136 a bucket that there is not", `nothing-here.${BASE}`, "/k", refused(404, "NoSuchBucket")],
    [
      "R140 crossdomain.xml is the bucket's too",
      `guide.${BASE}`,
      "/crossdomain.xml",
      refused(404, "NoSuchKey"),
    ],
    ["R133 an address is path style", "192.0.2.7:9000", "/guide/robots.txt", { status: 200 }],
  ])("%s", async (_name, host, target, expected) => {
    expect(await at(host, target)).toMatchObject(expected);
  });
});
