import { request as httpRequest } from "node:http";
import { S3Client } from "@aws-sdk/client-s3";
import { sign, type RawRequest, type TestKey } from "../signer.ts";

interface Server {
  readonly url: string;
  readonly port: number;
  readonly rootKey: TestKey;
}

export interface RawAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly text: string;
  /** Of an error document. */
  readonly code: string | undefined;
}

/** The AWS SDK, against a server under test. */
export function sdk(server: Pick<Server, "url" | "rootKey">, key: TestKey = server.rootKey): S3Client {
  return new S3Client({
    endpoint: server.url,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: key,
    maxAttempts: 1,
  });
}

/** Sends one request whose path and headers go out exactly as given; signed, unless `key` is null. */
export function send(
  server: Server,
  request: RawRequest,
  key: TestKey | null = server.rootKey,
): Promise<RawAnswer> {
  const host = `127.0.0.1:${server.port}`;
  const signed = key === null ? { host, ...request.headers } : sign(request, key, host);
  // Headers are bytes on the wire, and text in UTF-8 for those who sign.
  const headers = Object.fromEntries(
    Object.entries(signed).map(([name, value]) => [name, Buffer.from(value).toString("latin1")]),
  );
  const body = Buffer.from(request.body ?? "");
  const hasBody = request.method === "PUT" || request.method === "POST";
  if (hasBody && headers["transfer-encoding"] === undefined)
    headers["content-length"] ??= String(body.length);
  return new Promise((resolve, reject) => {
    const options = {
      port: server.port,
      host: "127.0.0.1",
      method: request.method,
      path: request.target,
      headers,
    };
    const outgoing = httpRequest({ ...options, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString();
        resolve({
          status: incoming.statusCode ?? 0,
          headers: Object.fromEntries(
            Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
          ),
          body: bytes,
          text,
          code: /<Code>([^<]*)<\/Code>/.exec(text)?.[1],
        });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** The text of the first element of that name. */
export function element(answer: RawAnswer, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(answer.text)?.[1];
}

/** What an SDK call failed with. */
export async function failure(call: Promise<unknown>): Promise<{ name: string; status: number | undefined }> {
  try {
    await call;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return { name, status: $metadata?.httpStatusCode };
  }
  throw new Error("The call succeeded");
}
