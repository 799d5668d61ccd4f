// The fields and files of a multipart form, in their order.
// Rules: names are text in the form's charset by the time they come out, since `_charset_` may change it on the way; of a
// client's path only the last part is left.

import { FormText } from "./form-text.ts";
import type { FormType } from "./content-type.ts";
import type { FormField } from "./fields.ts";
import { limitsOf } from "./limits.ts";
import type { FieldPart, FilePart } from "./multipart.ts";
import { readParts } from "./multipart.ts";
import { lastPartOf } from "./part-head.ts";
import type { FormSource } from "./parts.ts";
import { RequestUploads } from "./request-uploads.ts";
import { ReceivedFile } from "./upload.ts";

function fileOf({ head, content }: FilePart, text: FormText, uploads: RequestUploads): ReceivedFile {
  const filename = head.filename ?? text.name(head.rawFilename ?? "");
  const info = {
    name: text.name(head.rawName),
    filename: lastPartOf(filename),
    mimeType: head.mimeType ?? "application/octet-stream",
  };
  return new ReceivedFile(info, content, uploads);
}

function fieldOf({ head, value }: FieldPart, text: FormText): FormField {
  return text.field(text.name(head.rawName), text.value(value, head.charset), head.mimeType);
}

/** Reads a form part by part. A file that was not read when the next part is asked for is dropped. */
export async function* readMultipartForm(
  { environ, options }: FormSource,
  { boundary, charset }: Extract<FormType, { readonly type: "multipart" }>,
): AsyncGenerator<FormField | ReceivedFile, void> {
  const text = new FormText(charset, options);
  const uploads = new RequestUploads(environ, options.directory);
  for await (const part of readParts(environ["wsgi.input"], boundary, limitsOf(options))) {
    if (part.type === "field") yield fieldOf(part, text);
    else {
      const file = fileOf(part, text, uploads);
      yield file;
      await file.finish();
    }
  }
}
