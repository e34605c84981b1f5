import { spawn } from "node:child_process";
import { run, type Ran } from "../clients/tools.ts";

/** Runs `windlass` from dist/ on a data directory, as an operator would. */
export function windlass(data: string, ...args: string[]): Promise<Ran> {
  return run(process.execPath, ["dist/main.js", ...args], { env: { WINDLASS_DATA: data } });
}

/** As `windlass`; a failure is an error that shows what was printed. Gives standard output. */
export async function windlassOk(data: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await windlass(data, ...args);
  if (code !== 0) throw new Error(`windlass ${args.join(" ")} ended with ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

/** What a command prints with --json. */
export async function windlassJson<T>(data: string, ...args: string[]): Promise<T> {
  return JSON.parse(await windlassOk(data, ...args, "--json")) as T;
}

/** As `windlassOk`, with text on standard input and variables of its own. */
export async function windlassWith(
  data: string,
  given: { input?: string; env?: Record<string, string> },
  ...args: string[]
): Promise<string> {
  const child = spawn(process.execPath, ["dist/main.js", ...args], {
    env: { ...process.env, ...given.env, WINDLASS_DATA: data },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => (output += text));
  }
  child.stdin.end(given.input ?? "");
  const code = await new Promise((resolve) => void child.on("close", resolve));
  if (code !== 0) throw new Error(`windlass ${args.join(" ")} ended with ${String(code)}\n${output}`);
  return output;
}
