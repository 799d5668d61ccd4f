// The parts of a request's form in their order, with text in the charset that the form has.
// Rules: what names its charset itself is decoded with that; the rest with the one of `_charset_`, once it has come (RFC
// 7578 section 4.6), of the body's Content-Type, of the application, or UTF-8; an unknown one is an error.

import { ContractError, FormTypeError } from "../errors.ts";
import type { Environ } from "../spec.ts";
import type { Decode } from "./charset.ts";
import { decoderOf, formDecoderOf } from "./charset.ts";
import type { FormType } from "./content-type.ts";
import { formTypeOf } from "./content-type.ts";
import type { FormOptions } from "./limits.ts";
import { limitsOf } from "./limits.ts";
import type { Part } from "./multipart.ts";
import { lastPartOf, unescapeName } from "./part-head.ts";
import type { RequestUploads } from "./request-uploads.ts";
import type { IncomingFile } from "./upload.ts";
import { ReceivedFile } from "./upload.ts";
import type { RawPair } from "./urlencoded.ts";
import { PairReader } from "./urlencoded.ts";

/** A field of a form. */
export interface FormField {
  readonly type: "field";
  readonly name: string;
  readonly value: string;
  /** "text/plain" unless the part says otherwise. */
  readonly mimeType: string;
}

export type FormPart = FormField | IncomingFile;

const utf8 = "utf-8";

/** What a form is read from and with. */
export interface FormSource {
  readonly environ: Environ;
  readonly options: FormOptions;
  readonly uploads: RequestUploads;
}

/** Decodes with the charset of the form as far as it is known. */
class Text {
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

/** The fields of a query or body that is here as a whole. Throws FormLimitError. */
export function fieldsOf(encoded: Buffer, options: FormOptions): FormField[] {
  const fields = new Urlencoded(undefined, options);
  return [...fields.push(encoded), ...fields.end()];
}

class Urlencoded {
  readonly #text: Text;
  readonly #pairs: PairReader;

  constructor(charset: string | undefined, options: FormOptions) {
    this.#text = new Text(charset, options);
    this.#pairs = new PairReader(limitsOf(options));
  }

  *push(chunk: Buffer): Generator<FormField, void, undefined> {
    for (const pair of this.#pairs.push(chunk)) yield this.#field(pair);
  }

  *end(): Generator<FormField, void, undefined> {
    for (const pair of this.#pairs.end()) yield this.#field(pair);
  }

  #field([name, value]: RawPair): FormField {
    return this.#text.field(this.#text.of(name), this.#text.of(value));
  }
}

async function* urlencodedFields(source: FormSource, charset: string | undefined): AsyncGenerator<FormField, void> {
  const fields = new Urlencoded(charset, source.options);
  for await (const chunk of source.environ["wsgi.input"]) yield* fields.push(chunk);
  yield* fields.end();
}

function fileOf({ head, content }: Part, text: Text, uploads: RequestUploads): ReceivedFile {
  const filename = head.filename ?? text.name(head.rawFilename ?? "");
  const info = {
    name: text.name(head.rawName),
    filename: lastPartOf(filename),
    mimeType: head.mimeType ?? "application/octet-stream",
  };
  return new ReceivedFile(info, content, uploads);
}

async function fieldOf({ head, content }: Part, text: Text): Promise<FormField> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk as Buffer);
  const name = text.name(head.rawName);
  return text.field(name, text.value(Buffer.concat(chunks), head.charset), head.mimeType);
}

async function* multipartParts(
  { environ, options, uploads }: FormSource,
  { boundary, charset }: Extract<FormType, { readonly type: "multipart" }>,
): AsyncGenerator<FormField | ReceivedFile, void> {
  const { readParts } = await import("./multipart.ts"); // busboy is loaded for those who get such forms
  const text = new Text(charset, options);
  for await (const part of readParts(environ["wsgi.input"], boundary, limitsOf(options))) {
    if (part.head.isFile) {
      const file = fileOf(part, text, uploads);
      yield file;
      await file.finish();
    } else yield await fieldOf(part, text);
  }
}

/** Reads the form part by part. Nothing is read before the first part is asked for. */
export async function* readFormParts(source: FormSource): AsyncGenerator<FormField | ReceivedFile, void> {
  const form = formTypeOf(source.environ);
  switch (form.type) {
    case "none":
      return;
    case "urlencoded":
      yield* urlencodedFields(source, form.charset);
      return;
    case "multipart":
      yield* multipartParts(source, form);
  }
}
