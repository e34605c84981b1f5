/** Streams of bytes, where bytes are there or are wanted. */

export async function* once(chunk: Buffer): AsyncGenerator<Buffer> {
  yield chunk;
}

/** All of a stream, whose source may use a chunk's memory again. */
export const collect = async (stream: AsyncIterable<Uint8Array>): Promise<Buffer> =>
  (await collectAtMost(stream, Infinity))!;

/** As `collect`; undefined: there are more bytes than `max`, and the rest is not read. */
export async function collectAtMost(
  stream: AsyncIterable<Uint8Array>,
  max: number,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > max) return undefined;
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks, size);
}
