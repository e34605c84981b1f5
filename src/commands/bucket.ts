/** windlass bucket …: settings of a bucket that the S3 API has no call for. */
import type { Command } from "commander";
import { ConfigError } from "../config.ts";
import { dataCommand, group, print, withStore, type DataFlags } from "./shared.ts";

async function update(name: string, flags: DataFlags & { compatibility?: string }): Promise<void> {
  const { compatibility } = flags;
  if (compatibility === undefined) throw new ConfigError("Nothing to change: give --compatibility.");
  if (compatibility !== "modern" && compatibility !== "2006-03-01") {
    throw new ConfigError(`--compatibility must be one of modern, 2006-03-01, not "${compatibility}"`);
  }
  await withStore(flags, async (store) => {
    const bucket = await store.bucket(name);
    if (bucket === undefined) throw new ConfigError(`There is no bucket "${name}".`);
    await store.updateBucket(bucket, { compatibility });
    print(`Bucket ${name} follows ${compatibility === "modern" ? "today's S3" : "the 2006-03-01 guide"}.`);
  });
}

export function bucketCommands(): Command {
  return group("bucket", "buckets: update", [
    dataCommand("update", "change a bucket's settings")
      .argument("<NAME>")
      .option("--compatibility <WHICH>", "modern or 2006-03-01, where the two differ")
      .action(update),
  ]);
}
