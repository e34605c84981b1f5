/** What delivery knows of an account goes with the account. */
import { expect, test } from "vitest";
import { requestPurge } from "../../../src/delivery/cache/purge.ts";
import { createEndpoint, listEndpoints } from "../../../src/delivery/origins/endpoints.ts";
import { createOrigin, listOrigins } from "../../../src/delivery/origins/origins.ts";
import { createTransformation } from "../../../src/delivery/origins/transformations.ts";
import { resolvePrompt } from "../../../src/delivery/plan/prompt.ts";
import { Prompts } from "../../../src/delivery/plan/promptstore.ts";
import { createUrlKey, listUrlKeys } from "../../../src/delivery/signature.ts";
import type { ObjectStore } from "../../../src/store/store.ts";
import { openFixture } from "../store/fixture.ts";

const KINDS = [
  "origin",
  "alias",
  "endpoint",
  "prefix",
  "domain",
  "transformation",
  "urlkey",
  "purge",
  "prompt",
];
const PROMPT = "make it square";

/** One document of each kind at least. */
async function furnish(store: ObjectStore, owner: string, tag: string): Promise<string> {
  const { account } = await store.accounts.create({ name: owner });
  const keys = { accessKey: `AK${tag}`, secretKey: `secret-${tag}` };
  await createOrigin(store, { owner, name: "far", alias: tag, type: "s3", bucket: "box", ...keys });
  const domain = `${tag}.example.com`;
  await createEndpoint(store, { owner, name: "shop", prefix: "shop", origins: ["far"], domain });
  await createTransformation(store, { owner, name: "small", chain: "w-100" });
  await createUrlKey(store, { owner, id: "one" });
  await requestPurge(store, { ownerId: account.id });
  await new Prompts(store, undefined).steps({ ownerId: account.id, prompt: PROMPT, model: "never" });
  return account.id;
}

const documents = async (store: ObjectStore): Promise<Record<string, { name: string; value: unknown }[]>> =>
  Object.fromEntries(
    await Promise.all(KINDS.map(async (kind) => [kind, await store.settings.list(kind)] as const)),
  );

test("all of it, and nothing of another's", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  expect(resolvePrompt(PROMPT)).toHaveProperty("steps");
  await furnish(store, "alice", "wonder");
  const before = await documents(store);
  for (const kind of KINDS) expect([kind, before[kind]!.length > 0]).toEqual([kind, true]);
  const bob = await furnish(store, "bob", "builder");
  await store.accounts.delete(bob);
  expect(await documents(store)).toEqual(before);
  expect([await listOrigins(store), await listEndpoints(store), await listUrlKeys(store)]).toMatchObject([
    [{ owner: "alice" }],
    [{ owner: "alice" }, { owner: "alice" }],
    [{ owner: "alice" }],
  ]);
  // Alias and domain are free again.
  await furnish(store, "carol", "builder");
});

test("nothing of it where the account stays, since it owns buckets", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  const ownerId = await furnish(store, "alice", "wonder");
  const acl = { grants: [] };
  await store.createBucket({ name: "hers", ownerId, location: "", acl, maxBuckets: 100 });
  const before = await documents(store);
  await expect(store.accounts.delete(ownerId)).rejects.toThrow("owns buckets");
  expect(await documents(store)).toEqual(before);
});

test("nothing is kept for one that is gone, whoever began to write it before", async () => {
  await using fixture = await openFixture();
  const { store } = fixture;
  const ownerId = await furnish(store, "alice", "wonder");
  await store.accounts.delete(ownerId);
  await requestPurge(store, { ownerId });
  const prompts = new Prompts(store, undefined);
  expect(await prompts.steps({ ownerId, prompt: PROMPT, model: "never" })).toHaveLength(1);
  expect(Object.values(await documents(store)).flat()).toEqual([]);
});
