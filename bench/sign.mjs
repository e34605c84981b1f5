/** Signature version 4 in the header, made before the run so that the load generator only writes bytes. */
import { createHash, createHmac } from "node:crypto";

const EMPTY = createHash("sha256").update("").digest("hex");
const encode = (text) =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/**
 * @typedef {{ accessKeyId: string, secretAccessKey: string, region: string }} Key
 * @param {{ host: string, key?: Key }} target without a key requests go unsigned, as to nginx
 * @returns {(method: string, path: string, query?: Record<string, string>, length?: number) => Buffer} a whole head; bodies
 * are sent as UNSIGNED-PAYLOAD
 */
export function signer({ host, key }) {
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const day = stamp.slice(0, 8);
  const scope = key && `${day}/${key.region}/s3/aws4_request`;
  const signingKey =
    key &&
    [day, key.region, "s3", "aws4_request"].reduce(
      (secret, part) => createHmac("sha256", secret).update(part).digest(),
      `AWS4${key.secretAccessKey}`,
    );
  return (method, path, query = {}, length = 0) => {
    const text = Object.keys(query)
      .toSorted()
      .map((name) => `${encode(name)}=${encode(query[name])}`)
      .join("&");
    const target = text === "" ? path : `${path}?${text}`;
    const body = method === "PUT" || method === "POST" ? `Content-Length: ${length}\r\n` : "";
    const head = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${body}`;
    if (!key) return Buffer.from(`${head}\r\n`);
    const payload = method === "PUT" || method === "POST" ? "UNSIGNED-PAYLOAD" : EMPTY;
    const names = "host;x-amz-content-sha256;x-amz-date";
    const canonical = `${method}\n${path}\n${text}\nhost:${host}\nx-amz-content-sha256:${payload}\nx-amz-date:${stamp}\n\n${names}\n${payload}`;
    const digest = createHash("sha256").update(canonical).digest("hex");
    const signature = createHmac("sha256", signingKey)
      .update(`AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${digest}`)
      .digest("hex");
    return Buffer.from(
      `${head}x-amz-date: ${stamp}\r\nx-amz-content-sha256: ${payload}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=${key.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}\r\n\r\n`,
    );
  };
}
