// The parts of a request's form in their order, whichever way it is encoded.

import type { Environ } from "../spec.ts";
import type { FormType } from "./content-type.ts";
import { formTypeOf } from "./content-type.ts";
import type { FormField } from "./fields.ts";
import type { FormOptions } from "./limits.ts";
import type { ReceivedFile } from "./upload.ts";
import { UrlencodedFields } from "./urlencoded.ts";

/** What a form is read from and with. */
export interface FormSource {
  readonly environ: Environ;
  readonly options: FormOptions;
}

/** Reads a urlencoded form; gives the fields that came together together. */
export async function* readFields(
  { environ, options }: FormSource,
  charset: string | undefined,
): AsyncGenerator<Iterable<FormField>, void> {
  const fields = new UrlencodedFields(charset, options);
  for await (const chunk of environ["wsgi.input"]) yield fields.push(chunk);
  yield fields.end();
}

/** Reads the form part by part. Nothing is read before the first part is asked for. */
export async function* readFormParts(
  source: FormSource,
  form: FormType = formTypeOf(source.environ),
): AsyncGenerator<FormField | ReceivedFile, void> {
  switch (form.type) {
    case "none":
      return;
    case "urlencoded":
      for await (const fields of readFields(source, form.charset)) yield* fields;
      return;
    case "multipart": {
      const { readMultipartForm } = await import("./multipart-form.ts"); // busboy is for those who get such forms
      yield* readMultipartForm(source, form);
    }
  }
}
