/** A server of several processes over one data directory. */
import type { Config } from "../config.ts";
import { takeDataDirectory } from "../datadir.ts";
import { createLogger } from "../lib/log.ts";
import { startPrimary, type Primary } from "./primary.ts";

/**
 * Takes the data directory, starts the writer and the workers, and resolves when all of them serve.
 * @throws ConfigError
 */
export async function openProcesses(config: Config): Promise<Primary> {
  process.title = "windlass";
  const log = createLogger({ level: config.logLevel, fd: 2, name: "primary" });
  const directory = takeDataDirectory(config, (message) => log.warn(message));
  try {
    const primary = await startPrimary(config, directory.socket, log);
    return {
      ...primary,
      async stop() {
        await primary.stop();
        directory.release();
      },
    };
  } catch (error) {
    directory.release();
    throw error;
  }
}
