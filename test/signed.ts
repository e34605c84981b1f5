import { sign, type RawRequest, type TestKey } from "./signer.ts";

/** Sends one signed request with `fetch`; the answer's body is read to its end by the caller. */
export function signedFetch(
  server: { url: string; rootKey: TestKey },
  request: RawRequest,
  key = server.rootKey,
): Promise<Response> {
  const { host: _, ...headers } = sign(request, key, new URL(server.url).host);
  const { method, target, body } = request;
  return fetch(`${server.url}${target}`, { method, headers, ...(body === undefined ? {} : { body }) });
}

/** Status and body of one signed request. */
export async function signedText(
  ...parameters: Parameters<typeof signedFetch>
): Promise<{ status: number; text: string }> {
  const answer = await signedFetch(...parameters);
  return { status: answer.status, text: await answer.text() };
}
