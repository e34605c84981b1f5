/** HTTP services of the operator's own, and calls to them: bounded in time and bytes. */
import { collectAtMost } from "../lib/chunks.ts";
import { DeliveryError } from "./errors.ts";

export interface Service {
  readonly url: string;
  /** Sent as a bearer token. */
  readonly token: string | undefined;
}

export interface Call {
  /** What the message names it. */
  readonly name: string;
  readonly service: Service;
  /** Added to the service's URL. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer> | string;
  readonly type: string;
  readonly timeoutMs: number;
  /** Bytes of the answer. Stops a service that doesn't end. */
  readonly maxBytes: number;
}

/** The body of a 200. @throws DeliveryError OriginFailed, OriginTimeout */
export async function call({
  name,
  service,
  path,
  query = {},
  body,
  type,
  timeoutMs,
  maxBytes,
}: Call): Promise<Buffer> {
  const url = new URL(service.url);
  if (path !== "") url.pathname = url.pathname.replace(/\/$/, "") + path;
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  const headers: Record<string, string> = { "content-type": type };
  if (service.token !== undefined) headers["authorization"] = `Bearer ${service.token}`;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body,
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel();
      throw new DeliveryError("OriginFailed", `The ${name} service answered ${response.status}.`);
    }
    const answer = await collectAtMost(response.body as AsyncIterable<Uint8Array>, maxBytes);
    if (answer !== undefined) return answer;
    throw new DeliveryError("OriginFailed", `The ${name} service sent more than ${maxBytes} bytes.`);
  } catch (error) {
    if (error instanceof DeliveryError) throw error;
    if (error instanceof Error && error.name === "TimeoutError") {
      throw new DeliveryError("OriginTimeout", `The ${name} service took longer than ${timeoutMs} ms.`);
    }
    throw new DeliveryError("OriginFailed", `The ${name} service can't be reached.`);
  }
}
