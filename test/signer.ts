import { createHash, createHmac } from "node:crypto";

export interface TestKey {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface RawRequest {
  method: string;
  /** As it goes over the wire, percent-encoded, with its query. */
  target: string;
  headers?: Record<string, string>;
  body?: Buffer | string;
}

/**
 * Signs with SigV4 (header form, hashed payload), written from AWS's description and apart from the server's own
 * code, so that both can't share a mistake. Gives the headers to send, Host included.
 */
export function sign(
  request: RawRequest,
  key: TestKey,
  host: string,
  at = new Date(),
): Record<string, string> {
  const stamp = at.toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${stamp.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const hash = createHash("sha256")
    .update(request.body ?? "")
    .digest("hex");
  const headers: Record<string, string> = { host, "x-amz-date": stamp, "x-amz-content-sha256": hash };
  for (const [name, value] of Object.entries(request.headers ?? {})) headers[name.toLowerCase()] = value;
  const names = Object.keys(headers).toSorted();
  const [path = "", query = ""] = splitOnce(request.target, "?");
  const canonicalQuery = query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => (pair.includes("=") ? pair : `${pair}=`))
    .toSorted()
    .join("&");
  const canonical = [
    request.method,
    path,
    canonicalQuery,
    ...names.map((name) => `${name}:${headers[name]!.trim().replaceAll(/ +/g, " ")}`),
    "",
    names.join(";"),
    headers["x-amz-content-sha256"],
  ].join("\n");
  const text = ["AWS4-HMAC-SHA256", stamp, scope, createHash("sha256").update(canonical).digest("hex")].join(
    "\n",
  );
  let signingKey: Buffer = Buffer.from(`AWS4${key.secretAccessKey}`);
  for (const part of scope.split("/")) signingKey = createHmac("sha256", signingKey).update(part).digest();
  const signature = createHmac("sha256", signingKey).update(text).digest("hex");
  headers["authorization"] =
    `AWS4-HMAC-SHA256 Credential=${key.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return headers;
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** The request as bytes for a raw socket, with Content-Length. */
export function toBytes(request: RawRequest, headers: Record<string, string>): Buffer {
  const body = Buffer.from(request.body ?? "");
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  if (
    !("content-length" in headers) &&
    (body.length > 0 || request.method === "PUT" || request.method === "POST")
  ) {
    lines.push(`content-length: ${body.length}\r\n`);
  }
  return Buffer.concat([
    Buffer.from(`${request.method} ${request.target} HTTP/1.1\r\n${lines.join("")}\r\n`, "latin1"),
    body,
  ]);
}
