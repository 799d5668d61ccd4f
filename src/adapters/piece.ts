// A piece of a response's body as node:http writes it to a socket: bytes, or text that has not been encoded yet.

/** A piece of the body as node:http writes it. */
export interface Piece {
  readonly chunk: Uint8Array | string;
  readonly encoding: BufferEncoding;
}

/**
 * What is written counts as taken at once up to these sizes, as with a socket of the kernel's: bytes, which are copied
 * since their owner may use them again, and text.
 */
export const maxEarlyBytes = 16 * 1024;
export const maxEarlyCharacters = 64 * 1024;

export function bytesOf({ chunk, encoding }: Piece): Uint8Array {
  return typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
}

export function isUtf8({ chunk, encoding }: Piece): boolean {
  return typeof chunk === "string" && (encoding === "utf8" || encoding === "utf-8");
}

export function isShort(piece: Piece): boolean {
  return piece.chunk.length <= (isUtf8(piece) ? maxEarlyCharacters : maxEarlyBytes);
}

export function ownCopy(piece: Piece): Piece {
  return typeof piece.chunk === "string" ? piece : { chunk: Buffer.from(piece.chunk), encoding: piece.encoding };
}

/** One chunk of several pieces. Text stays text: the gateway writes it with the head at once. */
export function join(pieces: readonly Piece[]): Uint8Array | string {
  const filled = pieces.filter(({ chunk }) => chunk.length > 0);
  const [first] = filled;
  if (first === undefined) return "";
  if (filled.length === 1) return isUtf8(first) ? first.chunk : bytesOf(first);
  return Buffer.concat(filled.map(bytesOf));
}
