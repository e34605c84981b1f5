/** The console listener over a store in memory, and a client that speaks its API. */
import { pino } from "pino";
import { createAdmin, type AdminDeps } from "../../src/admin/admin.ts";
import { startListener } from "../../src/lib/http.ts";
import type { ObjectStore } from "../../src/store/store.ts";
import { openFixture } from "../unit/store/fixture.ts";

interface Key {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed; undefined without a body. */
  readonly body: unknown;
}
export interface Console extends AsyncDisposable {
  readonly url: string;
  readonly store: ObjectStore;
  readonly rootKey: Key;
  /** Names of operations, as logs and metrics have them. */
  readonly operations: string[];
  /** With root's key when none is given. */
  readonly call: (method: string, path: string, body?: unknown, key?: Key | "none") => Promise<Answer>;
}

export const basic = (id: string, secret: string): string =>
  `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;

export async function openConsole(more: Partial<AdminDeps> = {}): Promise<Console> {
  const fixture = await openFixture();
  const { store } = fixture;
  const root = await store.accounts.byName("root");
  const rootKey = await store.accounts.createKey(root!.id);
  const log = pino({ level: "silent" });
  const operations: string[] = [];
  const admin = createAdmin({
    version: "0.0.0",
    store,
    log,
    workers: 1,
    urls: () => ({ s3: [], delivery: [] }),
    ready: () => Promise.resolve(undefined),
    families: () => Promise.resolve([]),
    ...more,
  });
  const listener = await startListener({
    ...admin,
    host: "127.0.0.1",
    port: 0,
    log,
    onFinish: ({ log: fields }) => operations.push(String(fields?.["operation"])),
  });
  return {
    url: listener.url,
    store,
    rootKey,
    operations,
    async call(method, path, body, key = rootKey) {
      const answer = await fetch(`${listener.url}${path}`, {
        method,
        headers: {
          ...(key === "none" ? {} : { authorization: basic(key.accessKeyId, key.secretAccessKey) }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return {
        status: answer.status,
        headers: answer.headers,
        body: text === "" ? undefined : (JSON.parse(text) as unknown),
      };
    },
    async [Symbol.asyncDispose]() {
      await listener.close(0);
      await fixture[Symbol.asyncDispose]();
    },
  };
}
