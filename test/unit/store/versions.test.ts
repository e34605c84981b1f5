/** Random histories against a plain model: whatever happens to a key, the store and the model say the same. */
import * as fc from "fast-check";
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import type { Bucket, VersioningStatus } from "../../../src/store/types.ts";
import { inputFor, openFixture, type Fixture } from "./fixture.ts";

interface ModelVersion {
  versionId: string;
  marker: boolean;
  body: string;
}
/** Newest first. */
type Model = Map<string, ModelVersion[]>;

const KEYS = ["a", "a/", "a/b", "a/b/c", "b", "\u{ffff}", "\u{1f600}", "z\u0000", "z"];
const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Mostly the first, so that histories grow long. */
const anyKey = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.nat(KEYS.length - 1) },
);

const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      key: anyKey,
      size: fc.constantFrom(0, 5, 3000),
      long: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), key: anyKey }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("deleteVersion" as const), key: anyKey, which: fc.nat(5) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("copy" as const), key: anyKey, to: anyKey, which: fc.nat(5) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("tag" as const),
      key: anyKey,
      which: fc.nat(5),
      long: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("versioning" as const),
      status: fc.constantFrom<VersioningStatus>("Enabled", "Suspended"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("clock" as const), by: fc.integer({ min: -5, max: 5000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sweep" as const) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

let counter = 0;
function pushTo(
  model: Model,
  bucket: Bucket,
  key: string,
  versionId: string,
  marker: boolean,
  body: string,
): void {
  let versions = model.get(key) ?? [];
  if (bucket.versioning !== "Enabled") versions = versions.filter((version) => version.versionId !== "null");
  model.set(key, [{ versionId, marker, body }, ...versions]);
}

async function apply(
  fixture: Fixture,
  model: Model,
  state: { bucket: Bucket },
  step: Operation,
): Promise<void> {
  const { store, clock } = fixture;
  const { bucket } = state;
  const pick = (key: string, which: number) => {
    const versions = model.get(key) ?? [];
    return versions[which % Math.max(versions.length, 1)];
  };
  switch (step.kind) {
    case "put": {
      const key = KEYS[step.key]!;
      const body = Buffer.alloc(step.size, `${counter++} `);
      const meta = step.long ? { user: { long: "x".repeat(1500) } } : { contentType: "text/plain" };
      const version = await fixture.put(bucket, key, body, { meta });
      expect(version.versionId === "null").toBe(bucket.versioning !== "Enabled");
      pushTo(model, bucket, key, version.versionId, false, body.toString());
      return;
    }
    case "delete": {
      const key = KEYS[step.key]!;
      const result = await store.deleteObject(bucket, key, {});
      if (bucket.versioning === "Off") model.delete(key);
      else pushTo(model, bucket, key, result.versionId!, true, "");
      return;
    }
    case "deleteVersion": {
      const key = KEYS[step.key]!;
      const version = pick(key, step.which);
      if (version === undefined) return;
      const result = await store.deleteObject(bucket, key, { versionId: version.versionId });
      expect(result).toEqual({ versionId: version.versionId, deleteMarker: version.marker });
      const rest = model.get(key)!.filter((other) => other !== version);
      if (rest.length === 0) model.delete(key);
      else model.set(key, rest);
      return;
    }
    case "copy": {
      const [from, to] = [KEYS[step.key]!, KEYS[step.to]!];
      const source = pick(from, step.which);
      if (source === undefined || source.marker) return;
      const found = await store.getObject(bucket, from, { versionId: source.versionId });
      const version = await store.copyObject(found!.version, bucket, inputFor(to));
      pushTo(model, bucket, to, version.versionId, false, source.body);
      return;
    }
    case "tag": {
      const key = KEYS[step.key]!;
      const version = pick(key, step.which);
      if (version === undefined || version.marker) return;
      const tags: [string, string][] = [["t", step.long ? "y".repeat(1200) : "1"]];
      const changed = await store.updateObject(bucket, key, version.versionId, { tags });
      expect(changed.tags).toEqual(tags);
      return;
    }
    case "versioning":
      state.bucket = await store.updateBucket(bucket, { versioning: step.status });
      return;
    case "clock":
      clock.now += step.by;
      return;
    case "sweep":
      await store.sweep();
  }
}

const bytes = (versions: ModelVersion[]) => versions.reduce((sum, { body }) => sum + body.length, 0);

async function compare(fixture: Fixture, model: Model, bucket: Bucket): Promise<void> {
  const { store } = fixture;
  const keys = [...model.keys()].toSorted(byBytes);
  for (const key of KEYS) {
    const versions = model.get(key) ?? [];
    const current = await store.getObject(bucket, key, { withBody: true });
    expect(current?.version.versionId).toBe(versions[0]?.versionId);
    for (const { versionId, marker, body } of versions) {
      const { version } = (await store.getObject(bucket, key, { versionId }))!;
      expect(version.deleteMarker).toBe(marker);
      expect((await collect(store.read(version, 0, version.size))).toString()).toBe(body);
      if (!marker) expect(version.etag).toBe(createHash("md5").update(body).digest("hex"));
    }
  }
  const listed = await store.listObjects(bucket, { prefix: "", delimiter: "", after: "", maxKeys: 1000 });
  expect(listed.objects.map(({ key }) => key)).toEqual(keys.filter((key) => !model.get(key)![0]!.marker));
  for (const pageSize of [1, 2, 1000]) {
    const all: string[] = [];
    let [after, afterVersionId] = ["", ""];
    for (;;) {
      const page = await store.listVersions(bucket, {
        prefix: "",
        delimiter: "",
        after,
        afterVersionId,
        maxKeys: pageSize,
      });
      for (const { key, versionId, isLatest } of page.objects) all.push(`${key} ${versionId} ${isLatest}`);
      if (!page.truncated) break;
      [after, afterVersionId] = [page.next, page.nextVersionId];
    }
    expect(all).toEqual(
      keys.flatMap((key) => model.get(key)!.map(({ versionId }, n) => `${key} ${versionId} ${n === 0}`)),
    );
  }
  const current = [...model.values()].map(([head]) => head!).filter(({ marker }) => !marker);
  const every = [...model.values()].flat().filter(({ marker }) => !marker);
  expect(await store.usage(bucket)).toEqual({
    objects: current.length,
    bytes: bytes(current),
    versions: every.length,
    versionBytes: bytes(every),
  });
  expect((await store.check()).problems).toEqual([]);
}

test("a random history is what a plain list would be", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 80, size: "max" }), async (steps) => {
      await using fixture = await openFixture();
      const state = { bucket: await fixture.bucket("b") };
      const model: Model = new Map();
      for (const step of steps) await apply(fixture, model, state, step);
      await compare(fixture, model, state.bucket);
      fixture.clock.now += 1_000_000;
      await fixture.store.sweep();
      await fixture.store.sweep();
      await compare(fixture, model, state.bucket);
    }),
    { numRuns: 100, interruptAfterTimeLimit: 20_000 },
  );
});
