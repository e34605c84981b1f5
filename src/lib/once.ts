/** Bytes that are there, where a stream is wanted. */
export async function* once(chunk: Buffer): AsyncGenerator<Buffer> {
  yield chunk;
}
