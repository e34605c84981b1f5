import { describe, expect, test } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import { authenticate } from "../../../src/s3/auth.ts";
import { credential, deps, outcome, target, v2Signature, withHeader, type Sent } from "./authclient.ts";

/** The key of the guide of 2009; the signatures are those that two tools compute from its examples. */
const KEY = { id: "0PN5J17HBGZHT7JJ3X82", secret: "uV3F3YluFJax1cknvbcGwgjvx4QpvB+leU8dUj2o" };
const known = [credential({ accessKeyId: KEY.id, secretAccessKey: KEY.secret })];

const check = async (sent: Sent, now: number, buckets: string[] = []) =>
  authenticate(await target(sent, {}, buckets), deps({ now }, known));
const refused = async (sent: Sent, now: number, buckets: string[] = []) =>
  outcome(async () => collect((await check(sent, now, buckets)).body));

const auth = (signature: string): [string, string] => ["Authorization", `AWS ${KEY.id}:${signature}`];
const BUCKET: [string, string] = ["Host", "johnsmith.s3.amazonaws.com"];
const SERVICE: [string, string] = ["Host", "s3.amazonaws.com"];

interface Example {
  sent: Sent;
  now: number;
  stringToSign: string;
}
const request = (method: string, path: string, headers: [string, string][]): Sent => ({
  method,
  target: path,
  headers,
  body: [],
});

const EXAMPLES: Record<string, Example> = {
  "object GET": {
    sent: request("GET", "/photos/puppy.jpg", [
      BUCKET,
      ["Date", "Tue, 27 Mar 2007 19:36:42 +0000"],
      auth("xXjDGYUmKxnwqr5KXNPGldn5LbA="),
    ]),
    now: Date.UTC(2007, 2, 27, 19, 36, 42),
    stringToSign: "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/johnsmith/photos/puppy.jpg",
  },
  "object PUT": {
    sent: request("PUT", "/photos/puppy.jpg", [
      ["Content-Type", "image/jpeg"],
      ["Content-Length", "94328"],
      BUCKET,
      ["Date", "Tue, 27 Mar 2007 21:15:45 +0000"],
      auth("hcicpDDvL9SsO6AkvxqmIWkmOuQ="),
    ]),
    now: Date.UTC(2007, 2, 27, 21, 15, 45),
    stringToSign: "PUT\n\nimage/jpeg\nTue, 27 Mar 2007 21:15:45 +0000\n/johnsmith/photos/puppy.jpg",
  },
  list: {
    sent: request("GET", "/?prefix=photos&max-keys=50&marker=puppy", [
      ["User-Agent", "Mozilla/5.0"],
      BUCKET,
      ["Date", "Tue, 27 Mar 2007 19:42:41 +0000"],
      auth("jsRt/rhG+Vtp88HrYL706QhE4w4="),
    ]),
    now: Date.UTC(2007, 2, 27, 19, 42, 41),
    stringToSign: "GET\n\n\nTue, 27 Mar 2007 19:42:41 +0000\n/johnsmith/",
  },
  "fetch ?acl": {
    sent: request("GET", "/?acl", [
      BUCKET,
      ["Date", "Tue, 27 Mar 2007 19:44:46 +0000"],
      auth("thdUi9VAkzhkniLj96JIrOPGi0g="),
    ]),
    now: Date.UTC(2007, 2, 27, 19, 44, 46),
    stringToSign: "GET\n\n\nTue, 27 Mar 2007 19:44:46 +0000\n/johnsmith/?acl",
  },
  "DELETE by path with x-amz-date": {
    sent: request("DELETE", "/johnsmith/photos/puppy.jpg", [
      ["User-Agent", "dotnet"],
      SERVICE,
      ["Date", "Tue, 27 Mar 2007 21:20:27 +0000"],
      ["x-amz-date", "Tue, 27 Mar 2007 21:20:26 +0000"],
      auth("k3nL7gH3+PadhTEVn5Ip83xlYzk="),
    ]),
    now: Date.UTC(2007, 2, 27, 21, 20, 26),
    stringToSign: "DELETE\n\n\n\nx-amz-date:Tue, 27 Mar 2007 21:20:26 +0000\n/johnsmith/photos/puppy.jpg",
  },
  "upload to a CNAME with metadata": {
    sent: request("PUT", "/db-backup.dat.gz", [
      ["User-Agent", "curl/7.15.5"],
      ["Host", "static.johnsmith.net:8080"],
      ["Date", "Tue, 27 Mar 2007 21:06:08 +0000"],
      ["x-amz-acl", "public-read"],
      ["content-type", "application/x-download"],
      ["Content-MD5", "4gJE4saaMU4BqNR0kLY+lw=="],
      ["X-Amz-Meta-ReviewedBy", "joe@johnsmith.net"],
      ["X-Amz-Meta-ReviewedBy", "jane@johnsmith.net"],
      ["X-Amz-Meta-FileChecksum", "0x02661779"],
      ["X-Amz-Meta-ChecksumAlgorithm", "crc32"],
      ["Content-Disposition", "attachment; filename=database.dat"],
      ["Content-Encoding", "gzip"],
      ["Content-Length", "5913339"],
      auth("C0FlOtU8Ylb9KDTpZqYkZPX91iI="),
    ]),
    now: Date.UTC(2007, 2, 27, 21, 6, 8),
    stringToSign:
      "PUT\n4gJE4saaMU4BqNR0kLY+lw==\napplication/x-download\nTue, 27 Mar 2007 21:06:08 +0000\nx-amz-acl:public-read\nx-amz-meta-checksumalgorithm:crc32\nx-amz-meta-filechecksum:0x02661779\nx-amz-meta-reviewedby:joe@johnsmith.net,jane@johnsmith.net\n/static.johnsmith.net/db-backup.dat.gz",
  },
  "list all my buckets": {
    sent: request("GET", "/", [
      SERVICE,
      ["Date", "Wed, 28 Mar 2007 01:29:59 +0000"],
      auth("Db+gepJSUbZKwpx1FR0DLtEYoZA="),
    ]),
    now: Date.UTC(2007, 2, 28, 1, 29, 59),
    stringToSign: "GET\n\n\nWed, 28 Mar 2007 01:29:59 +0000\n/",
  },
  "Unicode keys": {
    sent: request("GET", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", [
      SERVICE,
      ["Date", "Wed, 28 Mar 2007 01:49:49 +0000"],
      auth("dxhSBHoI6eVSPcXJqEghlUzZMnY="),
    ]),
    now: Date.UTC(2007, 2, 28, 1, 49, 49),
    stringToSign: "GET\n\n\nWed, 28 Mar 2007 01:49:49 +0000\n/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
  },
  "query string": {
    sent: request(
      "GET",
      `/photos/puppy.jpg?AWSAccessKeyId=${KEY.id}&Signature=rucSbH0yNEcP9oM2XNlouVI3BH4%3D&Expires=1175139620`,
      [BUCKET],
    ),
    now: 1_175_139_620_000,
    stringToSign: "GET\n\n\n1175139620\n/johnsmith/photos/puppy.jpg",
  },
};

describe("the guide's example", () => {
  test.each(Object.entries(EXAMPLES))("%s", async (name, { sent, now, stringToSign }) => {
    const buckets = ["static.johnsmith.net"];
    const identity = await check(sent, now, buckets);
    expect(identity).toMatchObject({
      version: "v2",
      accessKeyId: KEY.id,
      type: name === "query string" ? "QueryString" : "AuthHeader",
    });
    // With the signature spoilt, the answer shows the guide's own string to sign.
    const spoilt =
      name === "query string"
        ? { ...sent, target: sent.target.replace("rucS", "xxxx") }
        : withHeader(sent, "Authorization", `AWS ${KEY.id}:xxxx`);
    const { code, detail } = await refused(spoilt, now, buckets);
    expect(code).toBe("SignatureDoesNotMatch");
    expect(detail).toEqual({
      AWSAccessKeyId: KEY.id,
      SignatureProvided: name === "query string" ? "xxxxbH0yNEcP9oM2XNlouVI3BH4=" : "xxxx",
      StringToSign: stringToSign,
      StringToSignBytes: Buffer.from(stringToSign).toString("hex").match(/../g)!.join(" "),
    });
  });
});

const NOW = Date.UTC(2026, 0, 31, 12, 0, 0);
const DATE = "Sat, 31 Jan 2026 12:00:00 GMT";
/** Signs a string to sign that the test spells out. */
const headerSigned = (method: string, path: string, text: string, headers: [string, string][] = []): Sent =>
  request(method, path, [SERVICE, ["Date", DATE], ...headers, auth(v2Signature(KEY.secret, text))]);
const urlSigned = (
  path: string,
  text: string,
  headers: [string, string][] = [],
  expires = NOW / 1000 + 60,
): Sent =>
  request(
    "GET",
    `${path}${path.includes("?") ? "&" : "?"}AWSAccessKeyId=${KEY.id}&Expires=${expires}&Signature=${encodeURIComponent(v2Signature(KEY.secret, text))}`,
    [SERVICE, ...headers],
  );

describe("V2 in the header", () => {
  test.each<[path: string, resource: string]>([
    ["/b?uploads", "/b?uploads"],
    ["/b/k?uploadId=u&partNumber=2&x-id=UploadPart", "/b/k?partNumber=2&uploadId=u"],
    ["/b/k?versionId=null&prefix=x", "/b/k?versionId=null"],
    [
      "/b/k?response-content-type=text%2Fplain&response-content-disposition=a%20b",
      "/b/k?response-content-disposition=a b&response-content-type=text/plain",
    ],
    ["/b/k?uploadId=a%2Fb", "/b/k?uploadId=a/b"],
    ["/b/k?uploadId=a%2Fb", "/b/k?uploadId=a%2Fb"],
    ["/b?acl=", "/b?acl"],
    ["/b?acl=", "/b?acl="],
    ["/b?%61cl", "/b?acl"],
    [
      "/b?versions&delete&cors&lifecycle&website&tagging&restore&policy&notification",
      "/b?cors&delete&lifecycle&notification&policy&restore&tagging&versions&website",
    ],
    ["/b?list-type=2&encryption", "/b"],
    ["/b/", "/b/"],
    ["/b//a/../c%2fd", "/b//a/../c%2fd"],
  ])("%s is signed as %s", async (path, resource) => {
    expect((await refused(headerSigned("GET", path, `GET\n\n\n${DATE}\n${resource}`), NOW)).code).toBe(
      "none",
    );
  });

  test("repeated headers are joined, blanks around values do not count", async () => {
    const headers: [string, string][] = [
      ["x-amz-meta-b", " two "],
      ["X-Amz-Meta-A", "one"],
      ["x-amz-meta-a", "three"],
    ];
    const text = `PUT\n\n\n${DATE}\nx-amz-meta-a:one,three\nx-amz-meta-b:two\n/b/k`;
    expect((await refused(headerSigned("PUT", "/b/k", text, headers), NOW)).code).toBe("none");
  });

  test("x-amz-date stands in for a Date that is stale", async () => {
    const sent = request("GET", "/b/k", [
      SERVICE,
      ["Date", "Tue, 27 Mar 2007 19:36:42 +0000"],
      ["x-amz-date", DATE],
      auth(v2Signature(KEY.secret, `GET\n\n\n\nx-amz-date:${DATE}\n/b/k`)),
    ]);
    expect((await refused(sent, NOW)).code).toBe("none");
  });

  test.each([
    "Sat, 31 Jan 2026 12:00:00 GMT",
    "Sat, 31 Jan 2026 12:00:00 +0000",
    "Sat, 31 Jan 2026 14:00:00 +0200",
    "31 Jan 2026 12:00:00 GMT",
    "Saturday, 31-Jan-26 12:00:00 GMT",
    "Sat Jan 31 12:00:00 2026",
    "20260131T120000Z",
    "2026-01-31T12:00:00.000Z",
  ])("the date may be written %s", async (date) => {
    const sent = request("GET", "/b/k", [
      SERVICE,
      ["Date", date],
      auth(v2Signature(KEY.secret, `GET\n\n\n${date}\n/b/k`)),
    ]);
    expect((await refused(sent, NOW)).code).toBe("none");
    expect((await refused(sent, NOW + 16 * 60_000)).code).toBe("RequestTimeTooSkewed");
    expect((await refused(sent, NOW - 16 * 60_000)).code).toBe("RequestTimeTooSkewed");
  });

  test.each([
    undefined,
    "",
    "Bad Date",
    "Sat, 31 Foo 2026 12:00:00 GMT",
    "Tue, 07 Jul 1950 21:53:04 GMT",
    "Sat, 31 Jan 2026 12:00:00 CEST",
    "Sat, 99 Jan 2026 12:00:00 GMT",
  ])("the date cannot be %j", async (date) => {
    const sent = withHeader(headerSigned("GET", "/b/k", `GET\n\n\n${date ?? ""}\n/b/k`), "Date", date);
    expect((await refused(sent, NOW)).code).toBe("AccessDenied");
  });

  const sent = headerSigned(
    "PUT",
    "/b/k?partNumber=1&uploadId=u",
    `PUT\nm\ntext/plain\n${DATE}\nx-amz-acl:private\n/b/k?partNumber=1&uploadId=u`,
    [
      ["Content-MD5", "m"],
      ["Content-Type", "text/plain"],
      ["x-amz-acl", "private"],
    ],
  );
  test.each<[name: string, change: (sent: Sent) => Sent]>([
    ["another method", (all) => ({ ...all, method: "GET" })],
    ["another path", (all) => ({ ...all, target: all.target.replace("/k", "/K") })],
    ["another bucket", (all) => ({ ...all, target: all.target.replace("/b/", "/c/") })],
    ["the path escaped otherwise", (all) => ({ ...all, target: all.target.replace("/k", "/%6b") })],
    [
      "another sub-resource value",
      (all) => ({ ...all, target: all.target.replace("partNumber=1", "partNumber=2") }),
    ],
    ["a sub-resource added", (all) => ({ ...all, target: `${all.target}&acl` })],
    ["a sub-resource added in disguise", (all) => ({ ...all, target: `${all.target}&%61cl` })],
    ["a sub-resource removed", (all) => ({ ...all, target: all.target.replace("partNumber=1&", "") })],
    ["another type", (all) => withHeader(all, "Content-Type", "text/html")],
    ["another MD5", (all) => withHeader(all, "Content-MD5", "n")],
    ["another date", (all) => withHeader(all, "Date", "Sat, 31 Jan 2026 12:00:01 GMT")],
    ["another ACL", (all) => withHeader(all, "x-amz-acl", "public-read")],
    ["an x-amz- header added", (all) => withHeader(all, "x-amz-meta-a", "b")],
    ["an x-amz- header removed", (all) => withHeader(all, "x-amz-acl", undefined)],
    ["the bucket in its Host as well", (all) => withHeader(all, "Host", "b.s3.amazonaws.com")],
    ["a signature cut off", (all) => withHeader(all, "Authorization", all.headers.at(-1)![1].slice(0, -2))],
  ])("is refused with %s", async (_name, change) => {
    expect((await refused(sent, NOW)).code).toBe("none");
    expect((await refused(change(sent), NOW)).code).toBe("SignatureDoesNotMatch");
  });

  test("is refused of an unknown or disabled key, a suspended account, and with a token", async () => {
    const text = `GET\n\n\n${DATE}\n/b/k`;
    const plain = headerSigned("GET", "/b/k", text);
    const unknown = withHeader(plain, "Authorization", `AWS nobody:${v2Signature(KEY.secret, text)}`);
    expect(await refused(unknown, NOW)).toMatchObject({
      code: "InvalidAccessKeyId",
      detail: { AWSAccessKeyId: "nobody" },
    });
    const [first] = known;
    const as = async (each: typeof first) =>
      outcome(async () => authenticate(await target(plain), deps({ now: NOW }, [each!])));
    expect((await as({ ...first!, enabled: false })).code).toBe("InvalidAccessKeyId");
    expect((await as({ ...first!, account: { ...first!.account, status: "suspended" } })).code).toBe(
      "AccountProblem",
    );
    // Two tokens are signed as one list, as for DevPay; none is valid here.
    const tokens: [string, string][] = [
      ["x-amz-security-token", "a"],
      ["x-amz-security-token", "b"],
    ];
    const tokened = headerSigned("GET", "/b/k", `GET\n\n\n${DATE}\nx-amz-security-token:a,b\n/b/k`, tokens);
    expect((await refused(tokened, NOW)).code).toBe("InvalidToken");
  });

  test.each([
    "AWS ",
    "AWS",
    "AWS x",
    "AWS HAHAHA",
    "AWS :",
    "AWS a:",
    "AWS :b",
    "AWS a:b c",
    "AWS  a b:c",
    "aws a:b",
  ])("an Authorization of %j is malformed", async (value) => {
    const plain = withHeader(headerSigned("GET", "/b/k", ""), "Authorization", value);
    expect((await refused(plain, NOW)).code).toBe("InvalidArgument");
  });
});

describe("V2 in the URL", () => {
  const expires = NOW / 1000 + 60;

  test("is good until it expires, however far off that is, and whatever Date says", async () => {
    const sent = urlSigned("/b/k", `GET\n\n\n${expires}\n/b/k`, [
      ["Date", "Tue, 27 Mar 2007 19:36:42 +0000"],
    ]);
    expect((await refused(sent, NOW + 60_000)).code).toBe("none");
    expect(await refused(sent, NOW + 61_000)).toMatchObject({
      code: "AccessDenied",
      message: "Request has expired",
      detail: { Expires: "2026-01-31T12:01:00Z", ServerTime: "2026-01-31T12:01:01Z" },
    });
    const far = 4_000_000_000;
    expect((await refused(urlSigned("/b/k", `GET\n\n\n${far}\n/b/k`, [], far), NOW)).code).toBe("none");
  });

  test("covers sub-resources, response headers and the header fields that are sent", async () => {
    const text = `GET\nm\nt\n${expires}\nx-amz-meta-a:b\n/b/k?response-content-type=a/b&versionId=v`;
    const sent = urlSigned("/b/k?versionId=v&response-content-type=a%2Fb", text, [
      ["Content-MD5", "m"],
      ["Content-Type", "t"],
      ["x-amz-meta-a", "b"],
    ]);
    expect((await refused(sent, NOW)).code).toBe("none");
    for (const name of ["Content-MD5", "Content-Type", "x-amz-meta-a"]) {
      expect((await refused(withHeader(sent, name, "other"), NOW)).code).toBe("SignatureDoesNotMatch");
    }
  });

  test("signs its x-amz-* parameters as headers and has them honoured as such", async () => {
    const sent = urlSigned(
      "/b/k?x-amz-request-payer=requester",
      `GET\n\n\n${expires}\nx-amz-request-payer:requester\n/b/k`,
    );
    expect((await refused(sent, NOW)).code).toBe("none");
    expect((await target(sent)).headers["x-amz-request-payer"]).toBe("requester");
    expect((await refused({ ...sent, target: sent.target.replace("=requester", "=other") }, NOW)).code).toBe(
      "SignatureDoesNotMatch",
    );
    const plain = urlSigned("/b/k", `GET\n\n\n${expires}\n/b/k`);
    expect((await refused({ ...plain, target: `${plain.target}&x-amz-acl=public-read` }, NOW)).code).toBe(
      "SignatureDoesNotMatch",
    );
  });

  test.each(["acl", "%61cl", "attributes", "retention", "versionId=x", "uploads"])(
    "cannot be made to ask for %s",
    async (parameter) => {
      const sent = urlSigned("/b/k", `GET\n\n\n${expires}\n/b/k`);
      expect((await refused({ ...sent, target: `${sent.target}&${parameter}` }, NOW)).code).toBe(
        "SignatureDoesNotMatch",
      );
    },
  );

  test("may carry parameters that mean nothing", async () => {
    const sent = urlSigned("/b/k", `GET\n\n\n${expires}\n/b/k`);
    expect((await refused({ ...sent, target: `${sent.target}&x-foo=bar&utm=1` }, NOW)).code).toBe("none");
  });

  test("is refused when incomplete or no number", async () => {
    const sent = urlSigned("/b/k", `GET\n\n\n${expires}\n/b/k`);
    for (const name of ["AWSAccessKeyId", "Expires", "Signature"]) {
      const without = { ...sent, target: sent.target.replace(new RegExp(`${name}=[^&]*`), "") };
      expect((await refused(without, NOW)).code).toBe("AccessDenied");
    }
    for (const value of ["x", "-1", "1e20", "9".repeat(20), ""]) {
      const bad = { ...sent, target: sent.target.replace(/Expires=\d+/, `Expires=${value}`) };
      expect((await refused(bad, NOW)).code).toBe("AccessDenied");
    }
    expect(
      (await refused({ ...sent, target: sent.target.replace(/Expires=\d+/, `Expires=${expires + 1}`) }, NOW))
        .code,
    ).toBe("SignatureDoesNotMatch");
  });

  test("goes with no Authorization header", async () => {
    const sent = urlSigned("/b/k", `GET\n\n\n${expires}\n/b/k`, [["Date", DATE], auth("x")]);
    expect((await refused(sent, NOW)).code).toBe("InvalidArgument");
  });
});
