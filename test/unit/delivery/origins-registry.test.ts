/** Which addresses are public, by a table of its own: IANA's registries of special-purpose addresses, taken bit by bit. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isPublic } from "../../../src/delivery/origins/address.ts";

/** https://www.iana.org/assignments/iana-ipv4-special-registry, with multicast, AS112 and AMT. */
const SPECIAL_V4: readonly [first: string, bits: number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.31.196.0", 24],
  ["192.52.193.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["192.175.48.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
/** https://www.iana.org/assignments/iana-ipv6-special-registry, the part within 2000::/3. */
const SPECIAL_V6: readonly [first: string, bits: number][] = [
  ["2001:0:0:0:0:0:0:0", 23],
  ["2001:db8:0:0:0:0:0:0", 32],
  ["2002:0:0:0:0:0:0:0", 16],
  ["2620:4f:8000:0:0:0:0:0", 48],
  ["3fff:0:0:0:0:0:0:0", 20],
];

const v4 = (text: string): bigint => text.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);
const v6 = (text: string): bigint =>
  text.split(":").reduce((sum, part) => sum * 65_536n + BigInt(`0x${part}`), 0n);
const within = (address: bigint, first: bigint, bits: number, width: number): boolean =>
  address >> BigInt(width - bits) === first >> BigInt(width - bits);

const publicV4 = (text: string): boolean =>
  !SPECIAL_V4.some(([first, bits]) => within(v4(text), v4(first), bits, 32));
const publicV6 = (text: string): boolean =>
  within(v6(text), v6("2000:0:0:0:0:0:0:0"), 3, 128) &&
  !SPECIAL_V6.some(([first, bits]) => within(v6(text), v6(first), bits, 128));

const dotted = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
const colons = (groups: readonly number[]): string => groups.map((group) => group.toString(16)).join(":");

test("IPv4 at random, and on both sides of every border", () => {
  const anywhere = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const border = fc
    .tuple(fc.constantFrom(...SPECIAL_V4), fc.boolean(), fc.integer({ min: -2, max: 2 }))
    .map(([[first, bits], end, by]) => {
      const at = Number(v4(first)) + (end ? 2 ** (32 - bits) : 0) + by;
      return ((at % 2 ** 32) + 2 ** 32) % 2 ** 32;
    });
  fc.assert(
    fc.property(fc.oneof(anywhere, border), (address) => {
      expect([dotted(address), isPublic(dotted(address))]).toEqual([
        dotted(address),
        publicV4(dotted(address)),
      ]);
    }),
    { numRuns: 5000 },
  );
});

test("IPv6 at random, and near every special network", () => {
  const group = fc.integer({ min: 0, max: 0xffff });
  const anywhere = fc.array(group, { minLength: 8, maxLength: 8 });
  const global = anywhere.map(([first = 0, ...rest]) => [0x2000 | (first & 0x1fff), ...rest]);
  const near = fc
    .tuple(fc.constantFrom(...SPECIAL_V6), anywhere, fc.integer({ min: 1, max: 3 }))
    .map(([[first], rest, kept]) => {
      const groups = first.split(":").map((one) => Number.parseInt(one, 16));
      return [...groups.slice(0, kept), ...rest.slice(kept)];
    });
  fc.assert(
    fc.property(fc.oneof(anywhere, global, near), (groups) => {
      const text = colons(groups);
      expect([text, isPublic(text)]).toEqual([text, publicV6(text)]);
    }),
    { numRuns: 5000 },
  );
});
