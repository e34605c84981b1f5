import { expect, test } from "vitest";
import { Findings } from "../../../src/delivery/findings.ts";
import { parseImageKit } from "../../../src/delivery/plan/url.ts";
import type { Place } from "../../../src/delivery/site.ts";

const place: Place = {
  owner: { id: "a".repeat(64), name: "root", status: "active", createdAt: 0 },
  grammar: "imagekit",
  scope: "endpoint/default",
  rules: {},
  origins: ["photos"],
  rawPath: "",
  rawQuery: "",
  host: "localhost",
  ours: false,
};
const addressOf = (path: string) => ({ host: "localhost", path, rawQuery: "" });
const askedFor = (rawPath: string, chain = "w-1") =>
  parseImageKit({ rawPath, rawQuery: "", named: new Map([["long", chain]]) });

/** How many of so many addresses are still known. */
function keptOf(count: number, rawPath: string, chain?: string): number {
  const findings = new Findings().of(1);
  const addresses = Array.from({ length: count }, (_, n) => addressOf(`/root/${n}`));
  for (const address of addresses) findings.keep(address, place, askedFor(rawPath, chain));
  expect(findings.get(addresses.at(-1)!)).toBeDefined();
  return addresses.filter((address) => findings.get(address) !== undefined).length;
}

test("a walk through all URLs fills no memory, nor do short names of long chains", () => {
  expect(keptOf(3000, "photo.jpg")).toBe(1000);
  const chain = Array.from({ length: 8 }, () => `l-text,i-${"x".repeat(150)},l-end`).join(":");
  expect(keptOf(500, "tr:n-long/photo.jpg", chain)).toBeLessThan(100);
});

test("what was found in one epoch is not known in another", () => {
  const findings = new Findings();
  const address = addressOf("/root/tr:w-100/photo.jpg");
  const before = findings.of(1);
  before.keep(address, place, askedFor("tr:w-100/photo.jpg"));
  expect(findings.of(1).get(address)?.plan).toBeDefined();
  const after = findings.of(2);
  expect(after.get(address)).toBeUndefined();
  // A slow request that began before the change.
  before.keep(address, place, askedFor("tr:w-100/photo.jpg"));
  expect(findings.of(2)).toBe(after);
  expect(after.get(address)).toBeUndefined();
});
