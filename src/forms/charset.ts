// From bytes to text, by the labels of the WHATWG encoding standard.
// Rules: bytes that are no text become U+FFFD, as the standard's "decode" has it; a byte order mark stays.

import { TextDecoder } from "node:util";

/** Makes text of bytes. Never fails. */
export type Decode = (bytes: Buffer) => string;

/** What a form may carry: bytes that mean ASCII where a parser looks for ASCII. */
const notForForms = new Set(["utf-16le", "utf-16be"]);

/** The characters of windows-1252 from 0x80 to 0x9F; a "?" stands for a byte that is a control character there too. */
const windows1252 = "€?‚ƒ„…†‡ˆ‰Š‹Œ?Ž??‘’“”•–—˜™š›œ?žŸ";

const decodeUtf8: Decode = (bytes) => bytes.toString("utf8");

/** Several versions of Node take windows-1252 for ISO 8859-1 and give control characters for these. */
const decodeWindows1252: Decode = (bytes) =>
  bytes.toString("latin1").replace(/[\u0080-\u009f]/g, (character) => {
    const found = windows1252.charAt(character.charCodeAt(0) - 0x80);
    return found === "?" ? character : found;
  });

function textDecoderOf(label: string): TextDecoder | undefined {
  try {
    return new TextDecoder(label, { ignoreBOM: true });
  } catch {
    return undefined; // no label of the standard, or one that this Node cannot do
  }
}

/** The decoder for a label, or undefined when there is none. */
export function decoderOf(label: string): Decode | undefined {
  const decoder = textDecoderOf(label.trim());
  if (decoder === undefined) return undefined;
  if (decoder.encoding === "utf-8") return decodeUtf8;
  if (decoder.encoding === "windows-1252") return decodeWindows1252; // ISO 8859-1 and ASCII are other labels of it
  return (bytes) => decoder.decode(bytes);
}

/** The decoder of a whole form; undefined for a charset that no form can have. */
export function formDecoderOf(label: string): Decode | undefined {
  const encoding = textDecoderOf(label.trim())?.encoding;
  return encoding === undefined || notForForms.has(encoding) ? undefined : decoderOf(label);
}
