import { describe, expect, test } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import {
  credential,
  deps,
  headerOf,
  HOST,
  KEY,
  login,
  NOW,
  outcome,
  presignV4,
  served,
  sha256,
  signV4,
  target,
  withHeader,
  type Draft,
  type Sent,
  type V4Options,
} from "./authclient.ts";
import { authenticate } from "../../../src/s3/auth.ts";

const EMPTY = sha256("");

const auth = (signedHeaders: string, signature: string): [string, string] => [
  "Authorization",
  `AWS4-HMAC-SHA256 Credential=${KEY.id}/20130524/us-east-1/s3/aws4_request,SignedHeaders=${signedHeaders},Signature=${signature}`,
];

/** The examples that Amazon publishes, with its key, bucket and date. */
describe("Amazon's own examples", () => {
  const host: [string, string] = ["Host", "examplebucket.s3.amazonaws.com"];
  const stamp: [string, string] = ["x-amz-date", "20130524T000000Z"];
  const usual = "host;x-amz-content-sha256;x-amz-date";
  const none: [string, string] = ["x-amz-content-sha256", EMPTY];
  const examples: [name: string, sent: Sent][] = [
    [
      "GET with a range",
      {
        method: "GET",
        target: "/test.txt",
        body: [],
        headers: [
          host,
          stamp,
          ["Range", "bytes=0-9"],
          none,
          auth(
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
          ),
        ],
      },
    ],
    [
      "PUT",
      {
        method: "PUT",
        target: "/test%24file.text",
        body: [Buffer.from("Welcome to Amazon S3.")],
        headers: [
          host,
          stamp,
          ["Date", "Fri, 24 May 2013 00:00:00 GMT"],
          ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
          ["x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"],
          auth(
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
          ),
        ],
      },
    ],
    [
      "GET ?lifecycle",
      {
        method: "GET",
        target: "/?lifecycle",
        body: [],
        headers: [
          host,
          stamp,
          none,
          auth(usual, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ],
      },
    ],
    [
      "a listing",
      {
        method: "GET",
        target: "/?max-keys=2&prefix=J",
        body: [],
        headers: [
          host,
          stamp,
          none,
          auth(usual, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ],
      },
    ],
    [
      "a presigned URL",
      {
        method: "GET",
        body: [],
        headers: [host],
        target:
          "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
      },
    ],
  ];
  test.each(examples)("%s", async (_name, sent) => {
    const identity = await login(sent);
    expect(identity.account?.name).toBe("tester");
    expect(await collect(identity.body)).toEqual(Buffer.concat(sent.body));
  });
});

const DRAFTS: [name: string, draft: Draft][] = [
  ["a plain GET", { target: "/bucket/key" }],
  ["the service", { target: "/" }],
  ["a bucket on its host", { target: "/?list-type=2", host: `bucket.${HOST}` }],
  ["odd keys", { target: "/bucket//a/../%E2%82%AC%20%F0%9F%98%80/%2B/%28x%29%2A%21%27/~-._" }],
  ["an escaped slash", { target: "/bucket/a%2Fb" }],
  [
    "parameters whose order is not that of their text",
    { target: "/bucket?a-b=2&a=1&a.c=3&prefix=%2F&delimiter=&uploads" },
  ],
  ["a repeated parameter", { target: "/bucket?x=b&x=a&y" }],
  [
    "a repeated header and one full of blanks",
    {
      method: "PUT",
      target: "/bucket/key",
      body: "x",
      headers: [
        ["x-amz-meta-a", "one"],
        ["x-amz-meta-b", "  two   three "],
        ["x-amz-meta-a", "four"],
        ["Content-MD5", "nVQgkmkdhtyiQdTW2XJKDA=="],
      ],
    },
  ],
];

describe.each<[name: string, sign: (draft: Draft, options?: V4Options) => Sent, type: string]>([
  ["in the header", signV4, "AuthHeader"],
  ["in the URL", presignV4, "QueryString"],
])("a V4 signature %s", (_name, sign, type) => {
  test.each(DRAFTS)("is accepted of %s", async (_draft, draft) => {
    const identity = await login(sign(draft));
    expect(identity).toMatchObject({ version: "v4", type, accessKeyId: KEY.id, account: { name: "tester" } });
    expect((await collect(identity.body)).toString()).toBe(draft.body ?? "");
  });

  const put: Draft = {
    method: "PUT",
    target: "/bucket/key?partNumber=1&uploadId=u",
    headers: [
      ["x-amz-acl", "private"],
      ["Content-MD5", "nVQgkmkdhtyiQdTW2XJKDA=="],
    ],
    body: "x",
  };
  const altered: [name: string, change: (sent: Sent) => Sent, code: string][] = [
    ["another method", (sent) => ({ ...sent, method: "DELETE" }), "SignatureDoesNotMatch"],
    [
      "another path",
      (sent) => ({ ...sent, target: sent.target.replace("/key", "/kez") }),
      "SignatureDoesNotMatch",
    ],
    [
      "a path in other letters",
      (sent) => ({ ...sent, target: sent.target.replace("/key", "/KEY") }),
      "SignatureDoesNotMatch",
    ],
    [
      "another parameter",
      (sent) => ({ ...sent, target: sent.target.replace("partNumber=1", "partNumber=2") }),
      "SignatureDoesNotMatch",
    ],
    ["one more parameter", (sent) => ({ ...sent, target: `${sent.target}&acl` }), "SignatureDoesNotMatch"],
    [
      "one parameter less",
      (sent) => ({ ...sent, target: sent.target.replace("&uploadId=u", "") }),
      "SignatureDoesNotMatch",
    ],
    ["another header value", (sent) => withHeader(sent, "x-amz-acl", "public-read"), "SignatureDoesNotMatch"],
    [
      "another Content-MD5",
      (sent) => withHeader(sent, "Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
      "SignatureDoesNotMatch",
    ],
    ["another Host", (sent) => withHeader(sent, "Host", "localhost:9000"), "SignatureDoesNotMatch"],
    ["a header removed", (sent) => withHeader(sent, "x-amz-acl", undefined), "SignatureDoesNotMatch"],
    ["a header added", (sent) => withHeader(sent, "x-amz-tagging", "a=b"), "AccessDenied"],
    ["a copy source added", (sent) => withHeader(sent, "x-amz-copy-source", "/secret/key"), "AccessDenied"],
  ];
  test.each(altered)("is refused with %s", async (_what, change, code) => {
    expect((await served(sign(put))).code).toBe("none");
    expect((await served(change(sign(put)))).code).toBe(code);
  });

  test("says which headers were not signed", async () => {
    const sent = withHeader(withHeader(sign(put), "x-amz-tagging", "a=b"), "x-amz-meta-x", "y");
    const { code, message, detail } = await served(sent);
    expect({ code, message, detail }).toEqual({
      code: "AccessDenied",
      message: "There were headers present in the request which were not signed",
      detail: { HeadersNotSigned: "x-amz-tagging, x-amz-meta-x" },
    });
    for (const name of ["host", "content-md5", "x-amz-acl"]) {
      expect((await served(sign(put, { unsigned: [name] }))).detail).toEqual({ HeadersNotSigned: name });
    }
  });

  test("need not cover what proxies and clients add", async () => {
    const sent = withHeader(withHeader(sign(put), "User-Agent", "x"), "Content-Type", "text/plain");
    expect((await served(withHeader(sent, "X-Amzn-Trace-Id", "y"))).code).toBe("none");
  });

  test("is refused with the wrong secret, or of an unknown or disabled key", async () => {
    expect((await served(sign(put, { key: { id: KEY.id, secret: "wrong" } }))).code).toBe(
      "SignatureDoesNotMatch",
    );
    const unknown = await served(sign(put, { key: { id: "AKIANOBODY", secret: KEY.secret } }));
    expect([unknown.code, unknown.detail]).toEqual(["InvalidAccessKeyId", { AWSAccessKeyId: "AKIANOBODY" }]);
    expect((await served(sign(put), {}, [credential({ enabled: false })])).code).toBe("InvalidAccessKeyId");
  });

  test("of a suspended account is told so only when it is right", async () => {
    const suspended = credential({ account: { ...credential().account, status: "suspended" } });
    expect((await served(sign(put), {}, [suspended])).code).toBe("AccountProblem");
    const wrong = sign(put, { key: { id: KEY.id, secret: "wrong" } });
    expect((await served(wrong, {}, [suspended])).code).toBe("SignatureDoesNotMatch");
  });

  test("with a session token is refused: keys here are permanent", async () => {
    const sent = sign({ target: "/bucket/key", headers: [["x-amz-security-token", "t"]] });
    expect((await served(sent)).code).toBe("InvalidToken");
  });

  test("shows what should have been signed", async () => {
    const sent = sign({ target: "/bucket/key" }, { key: { id: KEY.id, secret: "wrong" } });
    const { detail } = await served(sent);
    expect(Object.keys(detail!)).toEqual([
      "AWSAccessKeyId",
      "StringToSign",
      "SignatureProvided",
      "StringToSignBytes",
      "CanonicalRequest",
      "CanonicalRequestBytes",
    ]);
    expect(detail!["CanonicalRequest"]).toMatch(/^GET\n\/bucket\/key\n/);
    expect(detail!["StringToSign"]).toBe(
      `AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n${sha256(detail!["CanonicalRequest"]!)}`,
    );
    expect(Buffer.from(detail!["StringToSignBytes"]!.replaceAll(" ", ""), "hex").toString()).toBe(
      detail!["StringToSign"],
    );
    expect(detail!["CanonicalRequestBytes"]).toMatch(/^47 45 54 0a 2f /);
  });

  test("may name any location of the server, and is told the region otherwise", async () => {
    const elsewhere = sign({ target: "/bucket/key" }, { region: "eu-west-1" });
    const { code, detail, message } = await served(elsewhere);
    expect(code).toBe(
      type === "AuthHeader" ? "AuthorizationHeaderMalformed" : "AuthorizationQueryParametersError",
    );
    expect(detail).toEqual({ Region: "us-east-1" });
    expect(message).toContain("the region 'eu-west-1' is wrong; expecting 'us-east-1'");
    expect((await served(elsewhere, { locations: ["us-east-1", "eu-west-1"] })).code).toBe("none");
  });

  test.each<[V4Options, string]>([
    [{ service: "ec2" }, 'incorrect service "ec2". This endpoint belongs to "s3".'],
    [{ terminal: "aws5_request" }, 'incorrect terminal "aws5_request". This endpoint uses "aws4_request".'],
    [{ day: "20130523" }, 'Invalid credential date "20130523".'],
    [{ day: "2013-5-24" }, 'incorrect date format "2013-5-24".'],
    [{ region: "" }, "the Credential is mal-formed"],
  ])("with scope %j is malformed", async (options, message) => {
    const result = await served(sign({ target: "/bucket/key" }, options));
    expect(result.code).toBe(
      type === "AuthHeader" ? "AuthorizationHeaderMalformed" : "AuthorizationQueryParametersError",
    );
    expect(result.message).toContain(message);
  });
});

const minutesOff = (n: number) => served(signV4({ target: "/bucket/key" }, { at: NOW + n * 60_000 }));

const signedAs = (sentPath: string, path: string) => served(signV4({ target: sentPath }, { path }));

describe("V4 in the header", () => {
  const sent = signV4({ target: "/bucket/key" });
  const authorization = headerOf(sent, "Authorization")!;

  test.each<[name: string, value: string, code: string]>([
    ["empty", "", "AccessDenied"],
    ["one word", "AWS4-HMAC-SHA256", "InvalidArgument"],
    ["another scheme", "Basic dXNlcjpwYXNz", "InvalidArgument"],
    ["a bearer token", "Bearer x", "InvalidArgument"],
    ["elliptic curves", authorization.replace("HMAC-SHA256", "ECDSA-P256-SHA256"), "UnsupportedSignature"],
    ["no components", "AWS4-HMAC-SHA256 ", "AuthorizationHeaderMalformed"],
    ["rubbish", "AWS4-HMAC-SHA256 %$&", "AuthorizationHeaderMalformed"],
    ["commas", "AWS4-HMAC-SHA256 ,,,,,,,,,,,,,,", "AuthorizationHeaderMalformed"],
    ["no credential", authorization.replace("Credential", "Credentials"), "AuthorizationHeaderMalformed"],
    ["no signed headers", authorization.replace(/SignedHeaders=[^,]+, /, ""), "AuthorizationHeaderMalformed"],
    ["no signature", authorization.replace(/, Signature.*/, ""), "AuthorizationHeaderMalformed"],
    [
      "an empty signature",
      authorization.replace(/Signature=.*/, "Signature="),
      "AuthorizationHeaderMalformed",
    ],
    ["a short credential", authorization.replace("/s3/aws4_request", ""), "AuthorizationHeaderMalformed"],
    ["no key id", authorization.replace(KEY.id, ""), "AuthorizationHeaderMalformed"],
    [
      "1000 signed headers",
      authorization.replace("host;", "host;".repeat(1000)),
      "AuthorizationHeaderMalformed",
    ],
    ["a signature cut off", authorization.slice(0, -1), "SignatureDoesNotMatch"],
    [
      "a signature in upper case",
      authorization.replace(/[0-9a-f]{64}$/, (hex) => hex.toUpperCase()),
      "SignatureDoesNotMatch",
    ],
    ["an unknown key", authorization.replace(KEY.id, "__proto__"), "InvalidAccessKeyId"],
  ])("an Authorization of %s is refused", async (_name, value, code) => {
    expect((await served(withHeader(sent, "Authorization", value))).code).toBe(code);
  });

  test("its parts may come in any order and with any blanks", async () => {
    const [credentials, names, signature] = authorization.slice(17).split(", ");
    for (const value of [
      `AWS4-HMAC-SHA256 ${credentials},${names},${signature}`,
      `AWS4-HMAC-SHA256  ${credentials} ,  ${names},${signature}`,
      `AWS4-HMAC-SHA256 ${signature}, ${names}, ${credentials}`,
    ]) {
      expect((await served(withHeader(sent, "Authorization", value))).code).toBe("none");
    }
  });

  test("the date must be there, be one, and be within 15 minutes", async () => {
    for (const good of [-15, 0, 15]) expect((await minutesOff(good)).code).toBe("none");
    for (const bad of [-15.1, 15.1, -60 * 24 * 365, 60 * 24 * 365 * 1000]) {
      const { code, detail } = await minutesOff(bad);
      expect(code).toBe("RequestTimeTooSkewed");
      expect(detail).toMatchObject({
        ServerTime: "2013-05-24T00:00:00Z",
        MaxAllowedSkewMilliseconds: "900000",
      });
    }
    for (const value of [undefined, "", "Bad Date", "20130524", "19500707T215304Z", "20131324T000000Z"]) {
      const { code, message } = await served(withHeader(sent, "x-amz-date", value));
      expect([code, message]).toEqual([
        "AccessDenied",
        "AWS authentication requires a valid Date or x-amz-date header",
      ]);
    }
  });

  test("the Date header serves when there is no x-amz-date, in any format", async () => {
    for (const date of [
      "Fri, 24 May 2013 00:00:00 GMT",
      "Friday, 24-May-13 00:00:00 GMT",
      "20130524T000000Z",
    ]) {
      expect((await served(signV4({ target: "/bucket/key" }, { date }))).code).toBe("none");
    }
    expect((await served(signV4({ target: "/bucket/key" }, { date: "yesterday" }))).code).toBe(
      "AccessDenied",
    );
    expect(
      (await served(signV4({ target: "/bucket/key" }, { date: "Fri, 24 May 2013 01:00:00 GMT" }))).code,
    ).toBe("RequestTimeTooSkewed");
  });

  test("the path counts as S3 escapes it, as it was sent, or with its escaped slashes as slashes", async () => {
    expect((await signedAs("/bucket/a=b(c)", "/bucket/a%3Db%28c%29")).code).toBe("none");
    expect((await signedAs("/bucket/a=b(c)", "/bucket/a=b(c)")).code).toBe("none");
    expect((await signedAs("/bucket/%61%2fb", "/bucket/a%2Fb")).code).toBe("none");
    expect((await signedAs("/bucket/a%2Fb", "/bucket/a/b")).code).toBe("none");
    expect((await signedAs("/bucket/a%2Fb", "/bucket/a%252Fb")).code).toBe("SignatureDoesNotMatch");
    expect((await signedAs("/bucket/a%2Fb", "/bucket/ab")).code).toBe("SignatureDoesNotMatch");
  });

  test("x-amz-content-sha256 must be there with a body, and mean something", async () => {
    const put = signV4({ method: "PUT", target: "/bucket/key", body: "x" });
    const { code, message } = await served(withHeader(put, "x-amz-content-sha256", undefined));
    expect([code, message]).toEqual([
      "InvalidRequest",
      "Missing required header for this request: x-amz-content-sha256",
    ]);
    for (const payload of ["", "x", "UNSIGNED", EMPTY.slice(1), "STREAMING-NONSENSE"]) {
      const result = await served(signV4({ target: "/bucket/key" }, { payload }));
      expect([result.code, result.detail?.["ArgumentName"]]).toEqual([
        "InvalidArgument",
        "x-amz-content-sha256",
      ]);
    }
  });

  test("the body is compared with its hash at its end", async () => {
    const put = signV4({ method: "PUT", target: "/bucket/key", body: "content" });
    for (const body of [
      [Buffer.from("Content")],
      [Buffer.from("con"), Buffer.from("tend")],
      [],
      [Buffer.from("conten")],
    ]) {
      const { code, detail } = await served({ ...put, body });
      expect(code).toBe("XAmzContentSHA256Mismatch");
      expect(detail).toEqual({
        ClientComputedContentSHA256: sha256("content"),
        S3ComputedContentSHA256: sha256(Buffer.concat(body)),
      });
    }
    expect((await served({ ...put, body: [Buffer.from("con"), Buffer.from("tent")] })).code).toBe("none");
    const empty = signV4({ method: "PUT", target: "/bucket/key" });
    for (const [name, value] of [
      ["Content-Length", "1"],
      ["Transfer-Encoding", "chunked"],
    ] as const) {
      const filled = { ...withHeader(empty, name, value), body: [Buffer.from("x")] };
      expect((await served(filled)).code).toBe("XAmzContentSHA256Mismatch");
    }
  });

  test("nothing is compared with UNSIGNED-PAYLOAD, which goes with no aws-chunked", async () => {
    const put = signV4(
      { method: "PUT", target: "/bucket/key", body: "content" },
      { payload: "UNSIGNED-PAYLOAD" },
    );
    expect((await served({ ...put, body: [Buffer.from("other")] })).code).toBe("none");
    expect((await served(withHeader(put, "Content-Encoding", "gzip, aws-chunked"))).code).toBe(
      "InvalidArgument",
    );
  });

  test("a trailer that nobody would read is refused", async () => {
    const put = signV4({
      method: "PUT",
      target: "/bucket/key",
      headers: [["x-amz-trailer", "x-amz-checksum-crc32"]],
    });
    expect((await served(put)).code).toBe("InvalidRequest");
  });

  test("a key that was replaced under the same id is derived anew", async () => {
    const keys = deps();
    const request = await target(sent);
    expect((await authenticate(request, keys)).version).toBe("v4");
    const changed = { ...keys, accounts: deps({}, [credential({ secretAccessKey: "new" })]).accounts };
    expect((await outcome(() => authenticate(request, changed))).code).toBe("SignatureDoesNotMatch");
    const renewed = await target(signV4({ target: "/bucket/key" }, { key: { id: KEY.id, secret: "new" } }));
    expect((await authenticate(renewed, changed)).version).toBe("v4");
  });
});
