/** windlass serve: starts the server, says how to use it, and stops it when it is told to. */
import { Command } from "commander";
import { optionDocs, regionOf, readConfig, workersMax, type Config, type OptionName } from "../config.ts";
import { version } from "../version.ts";
import type { RootKey } from "../root.ts";
import type { Urls } from "../serving.ts";
import { collect, print, warn } from "./shared.ts";

/** What a running server can be told, in one process or in many. */
interface Running {
  readonly urls: Urls;
  readonly rootKey: RootKey | undefined;
  reload(): void;
  stop(): Promise<void>;
  kill(): void;
}

async function run(config: Config): Promise<Running> {
  // Only one of the two is loaded: the primary of many processes needs little of what a worker needs.
  if (workersMax(config) === 1) {
    const { openSystem } = await import("../system.ts");
    return openSystem(config);
  }
  const { openProcesses } = await import("../processes/processes.ts");
  return openProcesses(config);
}

const shell = (value: string): string =>
  /^[\w./:@=-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;

/** What is printed once everything listens. */
function banner(config: Config, urls: Urls, rootKey: RootKey | undefined): string {
  const lines = [`Windlass ${version()}`, ""];
  const listeners = { S3: urls.s3, console: urls.console, delivery: urls.delivery };
  for (const [name, values] of Object.entries(listeners))
    lines.push(`  ${name.padEnd(8)}  ${values.join("  ") || "off"}`);
  lines.push("");
  if (rootKey !== undefined) {
    lines.push(`  access key  ${rootKey.accessKeyId}`, `  secret key  ${rootKey.secretAccessKey}`);
    lines.push(
      "  The root account's key, made just now. It is shown this once and kept in the data directory.",
      "",
    );
    lines.push(
      `  export AWS_ACCESS_KEY_ID=${rootKey.accessKeyId} AWS_SECRET_ACCESS_KEY=${rootKey.secretAccessKey} ` +
        `AWS_DEFAULT_REGION=${regionOf(config)}`,
      "",
    );
  }
  const [s3] = urls.s3;
  if (s3 !== undefined) {
    const data = config.data === "./data" ? "" : ` --data ${shell(config.data)}`;
    lines.push("To try:");
    lines.push(`  aws --endpoint-url ${s3} s3 mb s3://photos`);
    lines.push(`  aws --endpoint-url ${s3} s3 cp photo.jpg s3://photos/`);
    lines.push(`  node dist/main.js origin create photos --type bucket --bucket photos${data}`);
    const [delivery] = urls.delivery;
    if (delivery !== undefined) lines.push(`and open ${delivery}/root/tr:w-300,h-300/photo.jpg`);
  }
  return lines.join("\n");
}

/** SIGTERM and SIGINT drain; a second one ends at once. SIGHUP reads the certificates again. */
function obeySignals(running: Running): void {
  let stopping = false;
  const stop = () => {
    if (stopping) {
      running.kill();
      process.exit(1);
    }
    stopping = true;
    running.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        warn(error instanceof Error ? error.message : String(error));
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", () => running.reload());
}

async function serve(flags: Record<string, string | string[]>): Promise<void> {
  const given: Partial<Record<OptionName, readonly string[]>> & { config?: string } = {};
  for (const { name } of optionDocs()) {
    const value = flags[name];
    if (value !== undefined) given[name] = Array.isArray(value) ? value : [value];
  }
  if (typeof flags["config"] === "string") given.config = flags["config"];
  const config = await readConfig({ flags: given, environment: process.env, warn });
  const running = await run(config);
  obeySignals(running);
  print(banner(config, running.urls, running.rootKey));
}

export function serveCommand(): Command {
  const command = new Command("serve").description("start the server");
  for (const { flag, environment, many, fallback, doc } of optionDocs()) {
    if (flag === undefined) continue;
    const text = `${doc.replaceAll("`", "")} (${fallback === "" ? "" : `default: ${fallback}; `}${environment})`;
    if (many) command.option(flag, text, collect);
    else command.option(flag, text);
  }
  command.option("--config <FILE>", "YAML file with the same options (WINDLASS_CONFIG)");
  return command.action(serve);
}
