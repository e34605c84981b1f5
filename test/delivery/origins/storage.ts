/** Other people's storage, as far as it can be had on this machine. */
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { freePort } from "../../process.ts";

/** Azurite's own account, which its manual prints. */
export const AZURE_ACCOUNT = "devstoreaccount1";
export const AZURE_KEY =
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

export interface Azure extends AsyncDisposable {
  readonly endpoint: string;
  readonly service: BlobServiceClient;
}

/** Microsoft's emulator of Azure Blob, in memory. */
export async function startAzurite(): Promise<Azure> {
  const port = await freePort();
  const program = join(
    dirname(createRequire(import.meta.url).resolve("azurite/package.json")),
    "dist/src/blob/main.js",
  );
  const args = [
    "--inMemoryPersistence",
    "--skipApiVersionCheck",
    "--silent",
    "--disableTelemetry",
    "--blobHost",
    "127.0.0.1",
    "--blobPort",
    String(port),
  ];
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (text: Buffer) => {
      if (text.toString().includes("successfully listen")) resolve();
    });
    child.on("exit", (code) => reject(new Error(`azurite ended with ${code}`)));
  });
  const endpoint = `http://127.0.0.1:${port}/${AZURE_ACCOUNT}`;
  const service = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(AZURE_ACCOUNT, AZURE_KEY));
  return {
    endpoint,
    service,
    async [Symbol.asyncDispose]() {
      child.removeAllListeners("exit");
      child.kill("SIGKILL");
      await once(child, "close");
    },
  };
}

export interface WebServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What was asked for, in order: `GET /path`. */
  readonly asked: string[];
  readonly headers: IncomingMessage["headers"][];
  answer: (request: IncomingMessage, response: ServerResponse) => void;
}

/** A web server that does what `answer` says. */
export async function startWeb(answer: WebServer["answer"]): Promise<WebServer> {
  const asked: string[] = [];
  const headers: WebServer["headers"] = [];
  const server: Server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    headers.push(request.headers);
    web.answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const web: WebServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    asked,
    headers,
    answer,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return web;
}

/** Files by path; ETag, Last-Modified, ranges and conditions as any static server has them. */
export const files =
  (content: Readonly<Record<string, Buffer>>, type = "image/jpeg"): WebServer["answer"] =>
  (request, response) => {
    const path = decodeURIComponent(request.url!.slice(1).split("?")[0]!);
    const body = Object.hasOwn(content, path) ? content[path] : undefined;
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    const etag = `"${body.length}-${body[Math.floor(body.length / 2)]}"`;
    const common = { etag, "content-type": type, "accept-ranges": "bytes" };
    if (request.headers["if-none-match"] === etag) {
      response.writeHead(304, common).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (range === null) {
      response.writeHead(200, { ...common, "content-length": body.length });
      response.end(request.method === "HEAD" ? undefined : body);
      return;
    }
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, body.length)];
    response.writeHead(206, {
      ...common,
      "content-length": end - start,
      "content-range": `bytes ${start}-${end - 1}/${body.length}`,
    });
    response.end(body.subarray(start, end));
  };
