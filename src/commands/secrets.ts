/** Secrets of other services, which need not stand in the list of processes or the shell's history. */
import { readFile } from "node:fs/promises";
import { ConfigError } from "../config.ts";

/** Bytes. Stops an endless standard input, or the wrong file. */
const SECRET_BYTES_MAX = 64 * 1024;

/** Said in the help of every option that takes a secret. */
export const SECRET_HELP = "- reads standard input, env:NAME a variable, file:PATH a file";

/**
 * What an option's value stands for: itself, standard input (`-`), a variable (`env:NAME`) or a file (`file:PATH`).
 * @throws ConfigError that names the option and not the secret
 */
export async function secretOf(option: string, value: string): Promise<string> {
  if (value === "-") return tidy(option, await fromInput(option));
  if (value.startsWith("env:")) {
    const name = value.slice("env:".length);
    const secret = process.env[name];
    if (secret === undefined) throw new ConfigError(`${option}: there is no variable ${name}.`);
    return tidy(option, secret);
  }
  return value.startsWith("file:") ? secretFile(option, value.slice("file:".length)) : value;
}

/** The text of a file, or of standard input for `-`. @throws ConfigError */
export async function secretFile(option: string, path: string): Promise<string> {
  if (path === "-") return tidy(option, await fromInput(option));
  try {
    return tidy(option, await readFile(path, "utf8"));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`${option}: ${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
}

async function fromInput(option: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > SECRET_BYTES_MAX) throw tooLong(option);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const tooLong = (option: string): ConfigError =>
  new ConfigError(`${option}: that has more than ${SECRET_BYTES_MAX} bytes and is no secret.`);

/** Editors and `echo` end files with a line break. */
function tidy(option: string, text: string): string {
  if (Buffer.byteLength(text) > SECRET_BYTES_MAX) throw tooLong(option);
  const secret = text.replace(/[\r\n]+$/, "");
  if (secret === "") throw new ConfigError(`${option}: that is empty.`);
  return secret;
}
