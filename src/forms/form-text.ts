// The text of a form, in the charset that it has.
// Rules: what names its charset itself is decoded with that; the rest with the one of `_charset_`, once it has come (RFC
// 7578 section 4.6), of the body's Content-Type, of the application, or UTF-8; an unknown one is an error.

import { ContractError, FormTypeError } from "../errors.ts";
import type { Decode } from "./charset.ts";
import { decoderOf, formDecoderOf } from "./charset.ts";
import type { FormField } from "./fields.ts";
import type { FormOptions } from "./limits.ts";

const utf8 = "utf-8";

/** A name as the page had it: browsers write a quote and line ends as %22, %0D and %0A (HTML "multipart/form-data"). */
function unescapeName(name: string): string {
  return name.replace(/%(?:22|0D|0A)/gi, (escape) => String.fromCharCode(Number.parseInt(escape.slice(1), 16)));
}

/** Decodes with the charset of the form as far as it is known. */
export class FormText {
  #decode: Decode;

  constructor(charset: string | undefined, options: FormOptions) {
    const own = formDecoderOf(options.charset ?? utf8);
    if (own === undefined) throw new ContractError(`the charset ${JSON.stringify(options.charset)} is none for forms`);
    const decode = charset === undefined ? own : formDecoderOf(charset);
    if (decode === undefined) throw new FormTypeError("the form is in a charset that forms cannot have");
    this.#decode = decode;
  }

  of(bytes: Buffer): string {
    return this.#decode(bytes);
  }

  name(raw: string): string {
    return unescapeName(this.#decode(Buffer.from(raw, "latin1")));
  }

  /** A field's value, in its own charset where it names one. */
  value(bytes: Buffer, charset: string | undefined): string {
    if (charset === undefined) return this.#decode(bytes);
    const decode = decoderOf(charset);
    if (decode === undefined) throw new FormTypeError("a field of the form is in an unknown charset");
    return decode(bytes);
  }

  field(name: string, value: string, mimeType = "text/plain"): FormField {
    if (name === "_charset_") this.#decode = formDecoderOf(value) ?? this.#decode;
    return { type: "field", name, value, mimeType };
  }
}
