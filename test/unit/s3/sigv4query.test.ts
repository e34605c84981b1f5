import { describe, expect, test } from "vitest";
import {
  deps,
  headerOf,
  NOW,
  outcome,
  presignV4,
  served,
  sha256,
  signV4,
  target,
  toHttp,
  withHeader,
  type Draft,
  type Sent,
} from "./authclient.ts";
import { authenticate } from "../../../src/s3/auth.ts";
import { parseTarget, prepareTarget } from "../../../src/s3/request.ts";

const draft: Draft = { target: "/bucket/key" };

const after = (seconds: number, expires: number | string) =>
  served(presignV4(draft, { expires }), { now: NOW + seconds * 1000 });

const early = (minutes: number) => served(presignV4(draft), { now: NOW - minutes * 60_000 });

describe("V4 in the URL", () => {
  test("lives as long as it says, from one second to seven days", async () => {
    for (const [seconds, expires] of [
      [0, 1],
      [1, 1],
      [604_800, 604_800],
    ] as const) {
      expect((await after(seconds, expires)).code).toBe("none");
    }
    const { code, message, detail } = await after(61, 60);
    expect([code, message, detail]).toEqual([
      "AccessDenied",
      "Request has expired",
      { "X-Amz-Expires": "60", Expires: "2013-05-24T00:01:00Z", ServerTime: "2013-05-24T00:01:01Z" },
    ]);
    for (const expires of [0, -1, 604_801, "", "x", "1.5", "1e3", "9".repeat(30)]) {
      expect((await after(0, expires)).code).toBe("AuthorizationQueryParametersError");
    }
  });

  test("is not valid long before its date", async () => {
    expect((await early(15)).code).toBe("none");
    expect(await early(16)).toMatchObject({ code: "AccessDenied", message: "Request is not valid yet" });
  });

  test("has all its parameters, and none of them changed", async () => {
    const sent = presignV4(draft);
    const names = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"];
    for (const name of names) {
      const without = {
        ...sent,
        target: sent.target.replace(new RegExp(`[?&]X-Amz-${name}=[^&]*`), (all) =>
          all[0] === "?" ? "?" : "",
        ),
      };
      expect((await served(without)).code).toBe("AuthorizationQueryParametersError");
    }
    expect((await served({ ...sent, target: sent.target.replace("3600", "36000") })).code).toBe(
      "SignatureDoesNotMatch",
    );
    expect((await served({ ...sent, target: sent.target.replace("HMAC-SHA256", "HMAC-MD5") })).code).toBe(
      "AuthorizationQueryParametersError",
    );
    expect(
      (await served({ ...sent, target: sent.target.replace("HMAC-SHA256", "ECDSA-P256-SHA256") })).code,
    ).toBe("UnsupportedSignature");
    expect(
      (await served({ ...sent, target: sent.target.replace("20130524T000000Z", "2013-05-24") })).code,
    ).toBe("AuthorizationQueryParametersError");
  });

  test("has its x-amz-* parameters honoured as headers", async () => {
    const request = await target(presignV4({ target: "/bucket/key?x-amz-acl=public-read&X-Amz-Meta-A=b" }));
    expect(request.headers).toMatchObject({ "x-amz-acl": "public-read", "x-amz-meta-a": "b" });
    expect(request.headers["x-amz-signature"]).toBeUndefined();
    expect((await authenticate(request, deps())).version).toBe("v4");
  });

  test("with a hash of the body has the body compared", async () => {
    const hashed = presignV4(
      { method: "PUT", target: `/bucket/key?X-Amz-Content-Sha256=${sha256("a")}`, body: "a" },
      { payload: sha256("a") },
    );
    expect((await served(hashed)).code).toBe("none");
    expect((await served({ ...hashed, body: [Buffer.from("b")] })).code).toBe("XAmzContentSHA256Mismatch");
  });

  test("goes with no other signature", async () => {
    const sent = presignV4(draft);
    const both = withHeader(sent, "Authorization", headerOf(signV4(draft), "Authorization"));
    expect((await served(both)).code).toBe("InvalidArgument");
    expect(
      (await served({ ...sent, target: `${sent.target}&AWSAccessKeyId=a&Signature=b&Expires=1` })).code,
    ).toBe("InvalidArgument");
  });
});

const proxied = (sent: Sent, headers: [string, string][], remoteAddress = "10.0.0.1"): Sent => ({
  ...sent,
  remoteAddress,
  headers: [...withHeader(sent, "Host", "127.0.0.1:9000").headers, ...headers],
});

const accepts = async (sent: Sent, externalUrl?: string) =>
  (
    await outcome(async () => {
      const options = prepareTarget(
        { domains: ["s3.example.com"], trustedProxies: ["10.0.0.0/8", "::1"], externalUrl },
        () => Promise.resolve(false),
      );
      await authenticate(await parseTarget(toHttp(sent), options), deps());
    })
  ).code;

describe("behind a proxy", () => {
  test("a signature over the external URL's host verifies", async () => {
    const sent = signV4({ target: "/bucket/key", host: "s3.example.com:8443" });
    expect(await accepts(proxied(sent, []), "https://s3.example.com:8443")).toBe("none");
    expect(await accepts(proxied(sent, []))).toBe("SignatureDoesNotMatch");
  });

  test("a signature over the forwarded host verifies, if the proxy is trusted", async () => {
    const sent = signV4({ target: "/key", host: "bucket.s3.example.com" });
    const forwarded: [string, string][] = [["X-Forwarded-Host", "bucket.s3.example.com"]];
    expect(await accepts(proxied(sent, forwarded))).toBe("none");
    expect(await accepts(proxied(sent, forwarded, "192.0.2.9"))).toBe("SignatureDoesNotMatch");
  });

  test("a port that the proxy dropped is put back", async () => {
    const sent = signV4({ target: "/key", host: "bucket.s3.example.com:8443" });
    const dropped = withHeader({ ...sent, remoteAddress: "10.0.0.1" }, "Host", "bucket.s3.example.com");
    expect(await accepts(dropped, "https://s3.example.com:8443")).toBe("none");
  });

  test("a URL signed for one bucket opens no other", async () => {
    const sent = { ...presignV4({ target: "/key", host: "mine.s3.example.com" }), remoteAddress: "10.0.0.1" };
    expect(await accepts(sent)).toBe("none");
    const stolen = withHeader(sent, "X-Forwarded-Host", "yours.s3.example.com");
    expect(await accepts(stolen, "https://s3.example.com")).toBe("SignatureDoesNotMatch");
  });
});
