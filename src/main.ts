#!/usr/bin/env node
/** windlass: argv → command. */
import { createProgram } from "./commands/program.ts";
import { complain } from "./commands/shared.ts";

// What is stored is nobody else's business, whatever the shell that started us says.
process.umask(0o077);
// Whoever reads our output may have had enough (`| head -1`): that fails no command and ends no server.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = complain(error);
}
