import { expect, test } from "vitest";
import { Findings, type EpochFindings } from "../../../src/delivery/findings.ts";
import { parseImageKit, type Asked } from "../../../src/delivery/plan/url.ts";
import type { Address, Place } from "../../../src/delivery/site.ts";

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

/** As something that is asked for again. */
function keep(findings: EpochFindings, address: Address, asked: Asked): void {
  findings.keep(address, place, asked);
  findings.keep(address, place, asked);
}

/** How many of so many addresses are still known. */
function keptOf(count: number, rawPath: string, chain?: string): number {
  const findings = new Findings().of(1);
  const addresses = Array.from({ length: count }, (_, n) => addressOf(`/root/${n}`));
  for (const address of addresses) keep(findings, address, askedFor(rawPath, chain));
  expect(findings.get(addresses.at(-1)!)).toBeDefined();
  return addresses.filter((address) => findings.get(address) !== undefined).length;
}

test("a walk through all URLs fills no memory, nor do short names of long chains", () => {
  expect(keptOf(3000, "photo.jpg")).toBe(1000);
  const chain = Array.from({ length: 8 }, () => `l-text,i-${"x".repeat(150)},l-end`).join(":");
  expect(keptOf(500, "tr:n-long/photo.jpg", chain)).toBeLessThan(100);
});

test("what is asked for once isn't kept, and pushes nothing out", () => {
  const findings = new Findings().of(1);
  const again = addressOf("/root/again.jpg");
  keep(findings, again, askedFor("again.jpg"));
  const once = Array.from({ length: 3000 }, (_, n) => addressOf(`/root/${n}`));
  for (const address of once) findings.keep(address, place, askedFor("once.jpg"));
  expect(once.filter((address) => findings.get(address) !== undefined)).toEqual([]);
  expect(findings.get(again)).toBeDefined();
});

test("what was found in one epoch is not known in another", () => {
  const findings = new Findings();
  const address = addressOf("/root/tr:w-100/photo.jpg");
  const before = findings.of(1);
  keep(before, address, askedFor("tr:w-100/photo.jpg"));
  expect(findings.of(1).get(address)?.plan).toBeDefined();
  const after = findings.of(2);
  expect(after.get(address)).toBeUndefined();
  // A slow request that began before the change.
  keep(before, address, askedFor("tr:w-100/photo.jpg"));
  expect(findings.of(2)).toBe(after);
  expect(after.get(address)).toBeUndefined();
});
