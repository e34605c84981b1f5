/** Clients of origins as they are opened, kept and closed. */
import { pino } from "pino";
import { expect, test } from "vitest";
import type { OriginDocument } from "../../../src/delivery/origins/documents.ts";
import { OriginHealth } from "../../../src/delivery/origins/health.ts";
import { OriginClients } from "../../../src/delivery/origins/open.ts";
import type { ObjectStore } from "../../../src/store/store.ts";
import { startWeb } from "../../delivery/origins/storage.ts";

test("one that can't be opened has nothing to close, and is opened when it can be", async () => {
  await using web = await startWeb((_, response) => response.writeHead(404).end());
  let sealed = true;
  const settings = {
    derive: () => "0".repeat(64),
    unseal() {
      if (sealed) throw new Error("another key");
      return "{}";
    },
  };
  const document = {
    type: "web" as const,
    baseUrl: `${web.url}/`,
    allowHosts: ["127.0.0.1"],
    folder: "",
    sealed: "x",
    createdAt: 0,
  } satisfies OriginDocument;
  const clients = new OriginClients(new OriginHealth(pino({ level: "silent" })));
  const named = { ownerId: "1", name: "web", value: document };
  const client = clients.get({ settings } as unknown as ObjectStore, named, "root/web");
  await expect(client.fetch("a", {})).rejects.toThrow("another key");
  clients.close();
  // What nobody handles fails the run.
  await new Promise((done) => setImmediate(done));
  sealed = false;
  expect(await client.fetch("a", {})).toEqual({ kind: "missing" });
  clients.close();
});
