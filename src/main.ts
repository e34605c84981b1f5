#!/usr/bin/env node
/** windlass: argv → command. */
import { Command } from "commander";
import { accountCommands } from "./commands/account.ts";
import { bucketCommands } from "./commands/bucket.ts";
import { cacheCommands } from "./commands/cache.ts";
import { endpointCommands } from "./commands/endpoint.ts";
import { keyCommands } from "./commands/key.ts";
import { originCommands } from "./commands/origin.ts";
import { serveCommand } from "./commands/serve.ts";
import { complain } from "./commands/shared.ts";
import { transformationCommands } from "./commands/transformation.ts";
import { urlCommands } from "./commands/url.ts";
import { backupCommand, checkCommand, restoreCommand } from "./commands/upkeep.ts";
import { version } from "./version.ts";

// What is stored is nobody else's business, whatever the shell that started us says.
process.umask(0o077);
// Whoever reads our output may have had enough (`| head -1`): that fails no command and ends no server.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

const program = new Command("windlass")
  .description("A self-hosted object store that speaks Amazon S3 and delivers the images it stores.")
  .version(version())
  .showSuggestionAfterError()
  .addCommand(serveCommand())
  .addCommand(accountCommands())
  .addCommand(keyCommands())
  .addCommand(bucketCommands())
  .addCommand(originCommands())
  .addCommand(endpointCommands())
  .addCommand(transformationCommands())
  .addCommand(urlCommands())
  .addCommand(cacheCommands())
  .addCommand(checkCommand())
  .addCommand(backupCommand())
  .addCommand(restoreCommand());

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = complain(error);
}
