import { readFileSync } from "node:fs";

/** The package's version, from its package.json beside src/ or dist/. */
export function version(): string {
  const parsed = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return parsed.version;
}
