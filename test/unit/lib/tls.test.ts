import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import { loadCertificates } from "../../../src/lib/tls.ts";
import { startTrial, type Trial } from "./wire.ts";

const fixture = (name: string) => fileURLToPath(new URL(`./certificates/${name}`, import.meta.url));
const pair = (name: string) => ({ cert: fixture(`${name}.pem`), key: fixture(`${name}.key`) });

let folder: string;
let trial: Trial | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-tls-"));
});
afterEach(async () => {
  await trial?.close();
  trial = undefined;
  await rm(folder, { recursive: true });
});

/** The name of the certificate shown, and the answer's body. */
function ask(port: number, servername?: string): Promise<{ subject: string; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      // An empty server name sends none.
      { host: "127.0.0.1", port, servername: servername ?? "", rejectUnauthorized: false, agent: false },
      (response) => {
        const subject = (response.socket as TLSSocket).getPeerCertificate().subject.CN;
        collect(response).then(
          (body) => resolve({ subject: String(subject), body: body.toString() }),
          reject,
        );
      },
    );
    asked.on("error", reject).end();
  });
}

test("certificates are chosen by the name asked for, exact before wildcard, the first by default", async () => {
  const tls = await loadCertificates([pair("one"), pair("two")]);
  trial = await startTrial({
    tls,
    handle: (http) => Promise.resolve({ status: 200, headers: [], body: String(http.secure) }),
  });
  const { port } = trial;
  const shown = async (name?: string) => (await ask(port, name)).subject;
  expect(await shown("one.example")).toBe("one");
  expect(await shown("two.example")).toBe("two");
  expect(await shown("TWO.example")).toBe("two");
  expect(await shown("any.shared.example")).toBe("one");
  expect(await shown("exact.shared.example")).toBe("two");
  expect(await shown("deep.any.shared.example")).toBe("one");
  expect(await shown("unknown.example")).toBe("one");
  expect(await shown()).toBe("one");
  expect((await ask(port)).body).toBe("true");
});

test("reloading swaps the certificates of a running listener, with and without a name", async () => {
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const install = async (name: string) => {
    await copyFile(pair(name).cert, files.cert);
    await copyFile(pair(name).key, files.key);
  };
  await install("one");
  const tls = await loadCertificates([files]);
  trial = await startTrial({ tls });
  const { port } = trial;
  expect((await ask(port)).subject).toBe("one");
  await install("two");
  await tls.reload();
  expect((await ask(port)).subject).toBe("two");
  expect((await ask(port, "two.example")).subject).toBe("two");

  // What can't be used changes nothing.
  await copyFile(pair("one").key, files.key);
  await expect(tls.reload()).rejects.toThrow(files.cert);
  expect((await ask(port)).subject).toBe("two");
});

test("unusable files are named", async () => {
  const missing = join(folder, "missing.pem");
  await expect(loadCertificates([{ ...pair("one"), cert: missing }])).rejects.toThrow(missing);
  const nonsense = join(folder, "nonsense.pem");
  await writeFile(nonsense, "nonsense");
  await expect(loadCertificates([{ ...pair("one"), key: nonsense }])).rejects.toThrow(nonsense);
  await expect(loadCertificates([])).rejects.toThrow("no certificate");
});

test("plain HTTP on a TLS listener is closed, and the listener lives on", async () => {
  trial = await startTrial({ tls: await loadCertificates([pair("one")]) });
  const { port } = trial;
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow("fetch failed");
  expect((await ask(port)).body).toBe("ok");
});
