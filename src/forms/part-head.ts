// The headers of one part of a multipart form (RFC 7578 sections 4.2 to 4.8, RFC 5987 for filename*).
// Rules: a part without exactly one Content-Disposition of type form-data with a name is an error, so is every header
// that does not match the grammar; a content type that is none says nothing and is left out.

import { FormLimitError, FormSyntaxError, FormTypeError } from "../errors.ts";
import { headerNamePattern } from "../gateway/headers.ts";
import { decoderOf } from "./charset.ts";
import type { FormLimits } from "./limits.ts";
import { parseContentType, parseDisposition } from "./parameters.ts";
import type { ParameterizedValue } from "./parameters.ts";

/** What a part says of itself. Raw names are bytes as latin-1, to be decoded with the charset of the form. */
export interface PartHead {
  readonly rawName: string;
  /** Undefined for a field. */
  readonly rawFilename: string | undefined;
  /** From filename*, which says its charset itself and counts before the other. */
  readonly filename: string | undefined;
  readonly isFile: boolean;
  readonly mimeType: string | undefined;
  readonly charset: string | undefined;
}

const known = ["content-disposition", "content-type", "content-transfer-encoding"] as const;
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const controlPattern = /[\u0000-\u0008\u000a-\u001f\u007f]/;
/** Encodings that change nothing; any other would have to be undone, and no browser uses one. */
const plainEncodings = new Set(["7bit", "8bit", "binary"]);
const extendedPattern = /^([!#$%&+^_`{}~0-9A-Za-z-]+)'[0-9A-Za-z-]*'((?:%[0-9A-Fa-f]{2}|[!#$&+.^_`|~0-9A-Za-z-])*)$/;

function withoutOuterBlanks(text: string): string {
  const isBlank = (index: number): boolean => text[index] === " " || text[index] === "\t";
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(start)) start += 1;
  while (end > start && isBlank(end - 1)) end -= 1;
  return text.slice(start, end);
}

/** The headers that matter, each at most once; the others only have to be well-formed. */
function readHeaders(block: string): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of block.replace(/\r\n(?=[ \t])/g, "").split("\r\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    if (!headerNamePattern.test(name) || controlPattern.test(line)) {
      throw new FormSyntaxError("a part of the form has a malformed header");
    }
    if (!known.some((one) => one === name)) continue;
    if (headers.has(name)) throw new FormSyntaxError(`a part of the form has the header ${name} twice`);
    headers.set(name, withoutOuterBlanks(line.slice(colon + 1)));
  }
  return headers;
}

function dispositionOf(headers: ReadonlyMap<string, string>): ParameterizedValue["parameters"] {
  const text = headers.get("content-disposition");
  if (text === undefined) throw new FormSyntaxError("a part of the form has no Content-Disposition");
  const { value, parameters } = parseDisposition(text);
  if (value !== "form-data") throw new FormSyntaxError("a part of the form has another disposition than form-data");
  if (parameters.has("name*")) throw new FormSyntaxError("a part of the form has name*, which forms do not have");
  return parameters;
}

/** The text of an extended value, `charset'language'percent-encoded`. */
function decodeExtended(text: string): string {
  const [, charset = "", encoded] = extendedPattern.exec(text) ?? [];
  if (encoded === undefined) throw new FormSyntaxError("a part of the form has a malformed filename*");
  const decode = decoderOf(charset);
  if (decode === undefined) throw new FormTypeError("a part of the form has a filename* in an unknown charset");
  const bytes = encoded.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const decoded = decode(Buffer.from(bytes, "latin1"));
  if (decoded.includes("\0")) throw new FormSyntaxError("a part of the form has a NUL in filename*");
  return decoded;
}

function contentTypeOf(headers: ReadonlyMap<string, string>): ParameterizedValue | undefined {
  const text = headers.get("content-type");
  if (text === undefined) return undefined;
  try {
    const type = parseContentType(text);
    return type.value.includes("/") ? type : undefined;
  } catch {
    return undefined; // a page may give a file any text as its type
  }
}

function checkEncoding(headers: ReadonlyMap<string, string>): void {
  const encoding = headers.get("content-transfer-encoding");
  if (encoding === undefined || plainEncodings.has(encoding.toLowerCase())) return;
  throw new FormTypeError("a part of the form has a Content-Transfer-Encoding that forms do not have");
}

function checkName(name: string, { nameBytes }: FormLimits): string {
  if (name.length > nameBytes) throw new FormLimitError("nameBytes", nameBytes);
  return name;
}

/** Reads the headers of a part, without the empty line, as bytes in latin-1. Throws typed errors (400, 415). */
export function parsePartHead(block: string, limits: FormLimits): PartHead {
  const headers = readHeaders(block);
  const parameters = dispositionOf(headers);
  const rawName = parameters.get("name");
  if (rawName === undefined) throw new FormSyntaxError("a part of the form has no name");
  const rawFilename = parameters.get("filename");
  const extended = parameters.get("filename*");
  const isFile = rawFilename !== undefined || extended !== undefined;
  const type = contentTypeOf(headers);
  checkEncoding(headers);
  if (!isFile && type?.value.startsWith("multipart/") === true) {
    throw new FormTypeError("a part of the form is a multipart itself, which forms no longer have");
  }
  return {
    rawName: checkName(rawName, limits),
    rawFilename: rawFilename === undefined ? undefined : checkName(rawFilename, limits),
    filename: extended === undefined ? undefined : decodeExtended(checkName(extended, limits)),
    isFile,
    mimeType: type?.value,
    charset: type?.parameters.get("charset"),
  };
}

/** The last part of whatever path a client sends; "" for one that names no file. Never a path, not even a relative one. */
export function lastPartOf(filename: string): string {
  const last = filename.slice(Math.max(filename.lastIndexOf("/"), filename.lastIndexOf("\\")) + 1);
  return last === "." || last === ".." ? "" : last;
}
