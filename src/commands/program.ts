/** All commands of the command line. */
import { Command } from "commander";
import { version } from "../version.ts";
import { accountCommands } from "./account.ts";
import { bucketCommands } from "./bucket.ts";
import { cacheCommands } from "./cache.ts";
import { endpointCommands } from "./endpoint.ts";
import { keyCommands } from "./key.ts";
import { originCommands } from "./origin.ts";
import { serveCommand } from "./serve.ts";
import { transformationCommands } from "./transformation.ts";
import { backupCommand, checkCommand, restoreCommand } from "./upkeep.ts";
import { urlCommands } from "./url.ts";

export const createProgram = (): Command =>
  new Command("windlass")
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
