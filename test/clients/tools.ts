import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { describe } from "vitest";

/** Where a client's program is: the checkout's Python environment first, then PATH. */
export function findTool(name: string): string | undefined {
  const places = [join(process.cwd(), ".venv/bin"), ...(process.env["PATH"] ?? "").split(delimiter)];
  for (const place of places) {
    try {
      accessSync(join(place, name), constants.X_OK);
      return join(place, name);
    } catch {
      // Not there; look in the next place.
    }
  }
  return undefined;
}

/**
 * A suite that needs a program which is no npm package. Where it is missing the suite is skipped, but fails
 * where WINDLASS_REQUIRE_CLIENTS is set (as .ci/run does), so that a gap can't hide.
 */
export function describeWithTool(name: string, probe: readonly string[], body: (path: string) => void): void {
  const found = findTool(name);
  // Found is not enough: a launcher may have nothing to launch, a Python no library, an old curl no signatures.
  const isUsable =
    found !== undefined && spawnSync(found, probe, { env: cleanEnvironment(), stdio: "ignore" }).status === 0;
  if (!isUsable && process.env["WINDLASS_REQUIRE_CLIENTS"]) {
    throw new Error(`${name} is not installed: run .ci/run, which installs it`);
  }
  describe.skipIf(!isUsable)(`${name} as a client`, () => {
    body(found ?? name);
  });
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** The tests' environment without what would send a client elsewhere, or make it refuse to start. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(AWS_|RCLONE_|[a-z]+_proxy$)/i.test(name),
  );
  return Object.fromEntries(entries);
}

/** Runs a program to its end; output beyond 16 MiB is an error, and so is running longer than `timeoutMs`. */
export function run(
  command: string,
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; timeoutMs?: number } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...cleanEnvironment(), ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: ["ignore", "pipe", "pipe"],
      timeout: options.timeoutMs ?? 240_000,
      killSignal: "SIGKILL",
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8");
      child[name].on("data", (text: string) => {
        output[name] += text;
        if (output[name].length > 16 << 20) child.kill("SIGKILL");
      });
    }
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code: code ?? (signal === null ? -1 : 128), ...output }));
  });
}

/** As `run`, but a failure of the program is an error that shows what it printed. */
export async function runOk(...parameters: Parameters<typeof run>): Promise<string> {
  const ran = await run(...parameters);
  if (ran.code !== 0) {
    throw new Error(
      `${parameters[0]} ${parameters[1].join(" ")} ended with ${ran.code}\n${ran.stdout}\n${ran.stderr}`,
    );
  }
  return ran.stdout;
}

/** Writes `size` bytes that no two calls share, and gives their MD5 in hex. */
export async function writeRandomFile(path: string, size: number): Promise<string> {
  const hash = createHash("md5");
  const file = await open(path, "w");
  const block = Buffer.alloc(1 << 20);
  crypto.getRandomValues(block.subarray(0, 65_536));
  for (let at = 0; at < size; at += block.length) {
    block.writeUInt32LE(at / block.length, 0);
    const chunk = block.subarray(0, Math.min(block.length, size - at));
    hash.update(chunk);
    await file.write(chunk);
  }
  await file.close();
  return hash.digest("hex");
}

export async function md5OfFile(path: string): Promise<string> {
  const hash = createHash("md5");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** What every AWS-like client reads from its environment; nothing from the home directory of who runs the test. */
export function awsEnvironment(key: {
  accessKeyId: string;
  secretAccessKey: string;
}): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: key.accessKeyId,
    AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_MAX_ATTEMPTS: "1",
  };
}
