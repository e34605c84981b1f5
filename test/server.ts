import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../src/config.ts";
import type { ObjectStore } from "../src/store/store.ts";
import { open } from "../src/system.ts";

export interface TestServer {
  /** Of the S3 listener. */
  readonly url: string;
  readonly port: number;
  readonly deliveryUrl: string;
  readonly consoleUrl: string;
  readonly rootKey: { accessKeyId: string; secretAccessKey: string };
  readonly store: ObjectStore;
  readonly data: string;
  close(): Promise<void>;
}

/** A whole server in this process, with SQLite and files in a directory of its own that goes when it closes. */
export async function startServer(options: Partial<Config> = {}): Promise<TestServer> {
  const data = options.data ?? (await mkdtemp(join(tmpdir(), "windlass-test-")));
  const rootKey = {
    accessKeyId: "WLTESTROOTACCESSKEY0",
    secretAccessKey: "test/root+secret/0123456789abcdefghijklm",
  };
  const system = await open({
    s3: ["127.0.0.1:0"],
    console: ["127.0.0.1:0"],
    delivery: ["127.0.0.1:0"],
    logLevel: "error",
    rootAccessKeyId: rootKey.accessKeyId,
    rootSecretAccessKey: rootKey.secretAccessKey,
    ...options,
    data,
  });
  const url = system.s3Urls[0]!;
  return {
    url,
    port: Number(new URL(url).port),
    deliveryUrl: system.deliveryUrl ?? "",
    consoleUrl: system.consoleUrl ?? "",
    rootKey,
    store: system.store,
    data,
    async close() {
      await system.close();
      if (options.data === undefined) await rm(data, { recursive: true, force: true });
    },
  };
}
