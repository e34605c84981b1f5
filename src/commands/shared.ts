/** What the commands that work on a data directory share: their options, opening the store, printing. */
import { Command } from "commander";
import { ConfigError, readConfig, type Config } from "../config.ts";
import { dataPaths, requireStore } from "../datadir.ts";
import { DeliveryError } from "../delivery/errors.ts";
import { StoreError } from "../store/errors.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Account } from "../store/types.ts";

export const warn = (message: string): void => void process.stderr.write(`windlass: ${message}\n`);
export const print = (line: string): void => void process.stdout.write(`${line}\n`);
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

/** The options of every command that opens a data directory. */
export interface DataFlags {
  data?: string;
  keyFile?: string;
  config?: string;
}

export function dataCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option("--data <DIR>", "data directory (WINDLASS_DATA)")
    .option("--key-file <FILE>", "key file (WINDLASS_KEY_FILE)")
    .option("--config <FILE>", "configuration file (WINDLASS_CONFIG)");
}

/** For options that may be given several times. */
export const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export function group(name: string, description: string, commands: readonly Command[]): Command {
  const parent = new Command(name).description(description);
  for (const command of commands) parent.addCommand(command);
  return parent;
}

/** @throws ConfigError */
export function dataConfig(flags: DataFlags): Promise<Config> {
  return readConfig({
    flags: {
      ...(flags.data === undefined ? {} : { data: [flags.data] }),
      ...(flags.keyFile === undefined ? {} : { keyFile: [flags.keyFile] }),
      ...(flags.config === undefined ? {} : { config: flags.config }),
    },
    environment: process.env,
    warn,
  });
}

/**
 * Opens the store, server running or not, and closes it when `body` is done.
 * @throws ConfigError when there is no store
 */
export async function withStore<T>(
  flags: DataFlags,
  body: (store: ObjectStore, config: Config) => Promise<T>,
): Promise<T> {
  const config = await dataConfig(flags);
  requireStore(dataPaths(config));
  // Loaded here, so that help and mistakes are answered at once.
  const { openStorage } = await import("../storage.ts");
  const storage = await openStorage(config);
  try {
    return await body(storage.store, config);
  } finally {
    await storage.close();
  }
}

/** @throws ConfigError when no account has that name (or canonical id) */
export async function findAccount(store: ObjectStore, nameOrId: string): Promise<Account> {
  const byId = /^[0-9a-f]{64}$/.test(nameOrId) ? await store.accounts.byId(nameOrId) : undefined;
  const account = byId ?? (await store.accounts.byName(nameOrId));
  if (account === undefined)
    throw new ConfigError(`There is no account "${nameOrId}". See: windlass account list`);
  return account;
}

/** Lines of cells, each column as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [n, cell] of row.entries()) widths[n] = Math.max(widths[n] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, n) => cell.padEnd(widths[n]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export const when = (ms: number): string => new Date(ms).toISOString();

/**
 * Tells the user what went wrong and gives the exit code. What the user did is said in a sentence; a stack is only for
 * defects, where whoever repairs them needs it.
 */
export function complain(error: unknown): number {
  if (error instanceof ConfigError || error instanceof DeliveryError) warn(error.message);
  else if (error instanceof StoreError) {
    const details = Object.entries(error.detail).map(([name, value]) => `${name}: ${value}`);
    warn([error.message, ...details].join("; "));
  } else warn(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}
