/** Which addresses are asked, whatever a host is called and however often its name server changes its mind. */
import type { LookupAddress } from "node:dns";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import {
  guardedLookup,
  isPublic,
  judge,
  type AddressPolicy,
  type Resolve,
} from "../../../src/delivery/origins/address.ts";
import { guardedAgents, openWeb } from "../../../src/delivery/origins/http.ts";

const resolvesTo =
  (...addresses: string[]): Resolve =>
  () =>
    Promise.resolve(addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })));

const unknownName: Resolve = () => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }));

const verdict = async (url: string, policy: Partial<AddressPolicy> = {}): Promise<string> => {
  try {
    const addresses = await judge(new URL(url), {
      allowHosts: [],
      resolve: resolvesTo("8.8.8.8"),
      ...policy,
    });
    return addresses.map(({ address }) => address).join();
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    return `${error.code}: ${error.detail ?? error.message}`;
  }
};

describe("no address of the open internet is", () => {
  test.each([
    ["this network", "0.0.0.0"],
    ["this network", "0.1.2.3"],
    ["private", "10.0.0.1"],
    ["private", "172.16.0.1"],
    ["private", "172.31.255.255"],
    ["private", "192.168.1.1"],
    ["carrier-grade NAT", "100.64.0.1"],
    ["carrier-grade NAT", "100.127.255.255"],
    ["loopback", "127.0.0.1"],
    ["loopback", "127.255.255.254"],
    ["link-local, with the clouds' metadata", "169.254.169.254"],
    ["protocol assignments", "192.0.0.170"],
    ["documentation", "192.0.2.1"],
    ["documentation", "198.51.100.1"],
    ["documentation", "203.0.113.1"],
    ["6to4 relays", "192.88.99.1"],
    ["AS112", "192.31.196.1"],
    ["AS112", "192.175.48.1"],
    ["AMT", "192.52.193.1"],
    ["benchmarks", "198.18.0.1"],
    ["benchmarks", "198.19.255.255"],
    ["multicast", "224.0.0.1"],
    ["reserved", "240.0.0.1"],
    ["broadcast", "255.255.255.255"],
    ["unspecified", "::"],
    ["loopback", "::1"],
    ["mapped", "::ffff:127.0.0.1"],
    ["mapped, though public", "::ffff:8.8.8.8"],
    ["translated", "::ffff:0:127.0.0.1"],
    ["compatible", "::127.0.0.1"],
    ["NAT64", "64:ff9b::10.0.0.1"],
    ["local NAT64", "64:ff9b:1::10.0.0.1"],
    ["discard", "100::1"],
    ["Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    ["benchmarks", "2001:2::1"],
    ["ORCHID", "2001:10::1"],
    ["ORCHIDv2", "2001:20::1"],
    ["documentation", "2001:db8::1"],
    ["documentation", "3fff::1"],
    ["6to4", "2002:7f00:1::1"],
    ["segment routing", "5f00::1"],
    ["unique local", "fc00::1"],
    ["unique local", "fd12:3456:789a::1"],
    ["link-local", "fe80::1"],
    ["link-local with a zone", "fe80::1%eth0"],
    ["site-local", "fec0::1"],
    ["multicast", "ff02::1"],
    ["no address", "localhost"],
    ["no address", ""],
    ["no address", "0x7f.1"],
  ])("%s: %s", (_, address) => expect(isPublic(address)).toBe(false));

  test("anything under which a private IPv4 address can hide in IPv6", () => {
    const part = fc.integer({ min: 0, max: 255 });
    const inner = fc.oneof(
      fc.tuple(fc.constant(10), part, part, part),
      fc.tuple(fc.constant(127), part, part, part),
      fc.tuple(fc.constant(192), fc.constant(168), part, part),
      fc.tuple(fc.constant(169), fc.constant(254), part, part),
    );
    fc.assert(
      fc.property(inner, ([a, b, c, d]) => {
        const dotted = `${a}.${b}.${c}.${d}`;
        const [high, low] = [((a << 8) | b).toString(16), ((c << 8) | d).toString(16)];
        const inside = [
          dotted,
          `::${dotted}`,
          `::ffff:${dotted}`,
          `::ffff:0:${dotted}`,
          `64:ff9b::${dotted}`,
          `64:ff9b:1::${dotted}`,
          `2002:${high}:${low}::1`,
          `2001:0:${high}:${low}::1`,
          `2001:0:1:2:3:4:${(0xffff ^ Number.parseInt(high, 16)).toString(16)}:${(0xffff ^ Number.parseInt(low, 16)).toString(16)}`,
        ];
        expect(inside.filter(isPublic)).toEqual([]);
      }),
    );
  });
});

test.each([
  "8.8.8.8",
  "1.1.1.1",
  "100.63.255.255",
  "100.128.0.1",
  "172.32.0.1",
  "192.0.1.1",
  "2606:4700::1111",
])("%s is one", (address) => expect(isPublic(address)).toBe(true));

describe("a URL is refused", () => {
  test.each([
    ["http://127.0.0.1/"],
    ["http://127.1/"],
    ["http://0x7f.1/"],
    ["http://0177.0.0.1/"],
    ["http://2130706433/"],
    ["http://0/"],
    ["http://127.0.0.1./"],
    ["http://①②⑦.0.0.1/"],
    ["http://[::1]/"],
    ["http://[::ffff:127.0.0.1]/"],
    ["http://[::ffff:7f00:1]/"],
    ["http://[64:ff9b::7f00:1]/"],
    ["http://169.254.169.254/latest/meta-data/"],
    ["https://[fd00::1]:8443/"],
  ])("as a number, however it is written: %s", async (url) =>
    expect(await verdict(url)).toMatch(/^OriginRefused: \S+ has the address .*--allow-host/),
  );

  test("whose name has one private address among public ones", async () => {
    expect(await verdict("http://a.example/", { resolve: resolvesTo("8.8.8.8", "10.0.0.1") })).toBe(
      "OriginRefused: a.example has the address 10.0.0.1, which is not on the open internet: allow it with --allow-host a.example.",
    );
  });

  test.each([
    ["file:///etc/passwd", "OriginRefused: Origins are asked over http and https, not file:"],
    ["ftp://a.example/", "OriginRefused: Origins are asked over http and https, not ftp:"],
    ["http://me:secret@a.example/", "OriginRefused: URLs of origins hold no user names and passwords."],
  ])("for its kind: %s", async (url, message) => expect(await verdict(url)).toBe(message));

  test("whose name has no address, or can't be looked up", async () => {
    expect(await verdict("http://a.example/", { resolve: resolvesTo() })).toBe(
      "OriginFailed: The name a.example can't be looked up (no address).",
    );
    expect(await verdict("http://a.example/", { resolve: unknownName })).toBe(
      "OriginFailed: The name a.example can't be looked up (ENOTFOUND).",
    );
  });
});

describe("--allow-host", () => {
  const resolve = resolvesTo("10.0.0.1");
  test.each<[allowed: string, url: string, asked: boolean]>([
    ["a.example", "http://a.example/", true],
    ["a.example", "http://A.EXAMPLE./", true],
    ["A.example", "http://a.example:9000/", true],
    ["a.example", "http://b.a.example/", false],
    ["a.example", "http://nota.example/", false],
    ["a.example:9000", "http://a.example:9000/", true],
    ["a.example:9000", "http://a.example/", false],
    ["a.example:443", "https://a.example/", true],
    ["a.example:443", "http://a.example/", false],
    ["*.example", "http://a.example/", true],
    ["*.example", "http://b.a.example/", true],
    ["*.a.example", "http://a.example/", false],
    ["*.a.example", "http://nota.example/", false],
    ["10.0.0.1", "http://10.0.0.1/", true],
    ["10.0.0.1", "http://10.0.0.2/", false],
    ["[::1]:80", "http://[::1]/", true],
    ["[::1]", "http://[::2]/", false],
  ])("%s and %s: %s", async (allowed, url, asked) =>
    expect(await verdict(url, { allowHosts: [allowed], resolve })).toMatch(
      asked ? /^(10\.0\.0\.1|::1)$/ : /^OriginRefused/,
    ),
  );

  test("of a proxy says which hosts are asked at all, and a star opens no private network", async () => {
    const proxy = { allowHosts: ["*.example", "inner.example"], onlyAllowed: true };
    expect(await verdict("http://a.example/", proxy)).toBe("8.8.8.8");
    expect(await verdict("http://other.test/", proxy)).toBe(
      "OriginRefused: other.test is not among the hosts that may be asked (--allow-host).",
    );
    expect(await verdict("http://a.example/", { ...proxy, resolve })).toMatch(/^OriginRefused/);
    expect(await verdict("http://inner.example/", { ...proxy, resolve })).toBe("10.0.0.1");
  });

  test("of who may allow no private address says only which hosts are asked", async () => {
    const proxy = { allowHosts: ["*.example", "inner.example"], onlyAllowed: true, publicOnly: true };
    for (const host of ["a.example", "inner.example"]) {
      expect(await verdict(`http://${host}/`, proxy)).toBe("8.8.8.8");
      expect(await verdict(`http://${host}/`, { ...proxy, resolve })).toMatch(/^OriginRefused/);
    }
  });
});

/** Answers one way, and then another. */
function changing(...answers: string[]): { resolve: Resolve; asked: () => number } {
  let count = 0;
  return {
    resolve: (host) => resolvesTo(answers[Math.min(count++, answers.length - 1)]!)(host),
    asked: () => count,
  };
}

describe("DNS rebinding", () => {
  test("reaches nothing: what is public when it is judged must be public when it is connected to", async () => {
    let requests = 0;
    const server = createServer((_, response) => {
      requests++;
      response.end("secret");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const { resolve, asked } = changing("8.8.8.8", "127.0.0.1");
    const web = openWeb({ policy: { allowHosts: [], resolve }, headMs: 2000 });
    try {
      await expect(
        web.ask(new URL(`http://rebind.example:${port}/`), { method: "GET", headers: {} }),
      ).rejects.toMatchObject({ code: "OriginRefused" });
      expect([asked(), requests]).toEqual([2, 0]);
    } finally {
      web.close();
      server.close();
    }
  });

  test("reaches nothing through the sockets that SDKs open", async () => {
    const { resolve } = changing("127.0.0.1");
    const policy = { allowHosts: [], resolve };
    const agents = guardedAgents(policy);
    const { request } = await import("node:http");
    const failure = await new Promise((settle) => {
      request({ host: "rebind.example", port: 9, agent: agents.http }).on("error", settle).end();
    });
    expect(failure).toMatchObject({ code: "OriginRefused" });
    agents.http.destroy();
    agents.https.destroy();
  });

  test.each([true, false])("is looked for in every answer to a socket (all: %s)", async (all) => {
    const { resolve } = changing("8.8.8.8", "10.0.0.1");
    const look = guardedLookup({ allowHosts: [], resolve });
    const once = () =>
      new Promise<[Error | null, string | LookupAddress[]]>((settle) => {
        look("a.example", { all }, (error, address) => settle([error, address]));
      });
    expect(await once()).toEqual([null, all ? [{ address: "8.8.8.8", family: 4 }] : "8.8.8.8"]);
    const [error, address] = await once();
    expect([error, address]).toEqual([
      expect.objectContaining({ detail: expect.stringContaining("has the address 10.0.0.1") }),
      [],
    ]);
  });
});
