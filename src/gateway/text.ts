// Strings of the environ are bytes as latin-1 (PEP 3333, "Unicode Issues"); these two functions translate.
// `TextDecoder("latin1")` is windows-1252 by its standard and must not be used for it.

/** The UTF-8 text whose bytes an environ string carries. Bytes that are not UTF-8 become U+FFFD. */
export function decodeText(latin1: string): string {
  return Buffer.from(latin1, "latin1").toString("utf8");
}

/** The environ form of a text: its UTF-8 bytes as latin-1, for example for a header value. */
export function encodeText(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
