/** TLS on all three listeners: the certificate by name, and new ones without a restart. */
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runOk } from "../clients/tools.ts";
import { eventually, startProcess, type ServerProcess } from "../process.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-tls-"));
  for (const [file, name] of [
    ["first", "first.example"],
    ["second", "second.example"],
    ["renewed", "first.example"],
  ]) {
    const alternative = `subjectAltName=DNS:${name},DNS:*.${name}`;
    const args = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
    ];
    const made = [
      "-keyout",
      `${folder}/${file}.key`,
      "-out",
      `${folder}/${file}.pem`,
      "-subj",
      `/CN=${name}`,
      "-addext",
      alternative,
    ];
    await runOk("openssl", [...args, ...made]);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Shaken {
  names: string;
  fingerprint: string;
  answer: string;
}

/** Shakes hands asking for a name, sends one request, gives the certificate and what came back. */
function shake(url: string, servername: string, path: string): Promise<Shaken> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: hostname, port: Number(port), servername, rejectUnauthorized: false },
      () => {
        socket.write(`GET ${path} HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`);
      },
    );
    let answer = "";
    socket.setEncoding("utf8");
    let certificate = { names: "", fingerprint: "" };
    socket.on("secureConnect", () => {
      const peer = socket.getPeerCertificate();
      certificate = { names: peer.subjectaltname ?? "", fingerprint: peer.fingerprint256 };
    });
    socket.on("data", (text: string) => (answer += text));
    socket.on("error", reject);
    socket.on("close", () => resolve({ ...certificate, answer }));
  });
}

describe.each([1, 2])("with --workers %i", (workers) => {
  let server: ServerProcess;
  let urls: { s3: string; console: string; delivery: string };

  beforeAll(async () => {
    const files = (name: string) => [
      "--tls-cert",
      join(folder, `${name}.pem`),
      "--tls-key",
      join(folder, `${name}.key`),
    ];
    for (const end of ["pem", "key"])
      await copyFile(join(folder, `first.${end}`), join(folder, `used.${end}`));
    const listeners = [
      "--s3-tls",
      "127.0.0.1:0",
      "--console-tls",
      "127.0.0.1:0",
      "--delivery-tls",
      "127.0.0.1:0",
    ];
    const args = [...listeners, ...files("used"), ...files("second")];
    server = await startProcess({ data: join(folder, `data-${workers}`), workers, args });
    const secure = (name: string) =>
      new RegExp(`^ *${name} .*(https://\\S+)`, "m").exec(server.output())![1]!;
    urls = { s3: secure("S3"), console: secure("console"), delivery: secure("delivery") };
  });
  afterAll(() => server.stop());

  test("every listener answers over TLS", async () => {
    expect((await shake(urls.s3, "first.example", "/")).answer).toMatch(
      /^HTTP\/1\.1 403 [^]*<Code>AccessDenied/,
    );
    expect((await shake(urls.console, "first.example", "/health/live")).answer).toMatch(
      /^HTTP\/1\.1 200 [^]*"live"/,
    );
    expect((await shake(urls.delivery, "first.example", "/root/nothing.jpg")).answer).toMatch(
      /^HTTP\/1\.1 404 /,
    );
  });

  test("the name that the client asks for chooses the certificate; the first is for all others", async () => {
    expect((await shake(urls.s3, "second.example", "/")).names).toContain("second.example");
    expect((await shake(urls.s3, "a.second.example", "/")).names).toContain("second.example");
    expect((await shake(urls.s3, "first.example", "/")).names).toContain("first.example");
    expect((await shake(urls.s3, "other.example", "/")).names).toContain("first.example");
  });

  test("SIGHUP takes the new certificate into use, in every worker; a broken one changes nothing", async () => {
    const before = (await shake(urls.s3, "first.example", "/")).fingerprint;
    // The renewed certificate with the old key: they do not belong together.
    await copyFile(join(folder, "renewed.pem"), join(folder, "used.pem"));
    server.signal("SIGHUP");
    await eventually(
      "the log says so",
      () => server.output().split("could not be read again").length > workers,
    );
    expect((await shake(urls.s3, "first.example", "/")).fingerprint).toBe(before);
    await copyFile(join(folder, "renewed.key"), join(folder, "used.key"));
    server.signal("SIGHUP");
    await eventually(
      "the log says so",
      () => server.output().split("certificates were read again").length > workers,
    );
    const after = new Set<string>();
    for (let n = 0; n < 2 * workers; n++) after.add((await shake(urls.s3, "first.example", "/")).fingerprint);
    expect(after.size).toBe(1);
    expect([...after]).not.toContain(before);
  });
});
