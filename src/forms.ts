// Queries and forms of a request, for an application that has its environ.
// Rules: fields, file names and files come from strangers: everything is bounded, nothing of them is a path, and files
// are gone with their request unless the application keeps them.

import { types } from "node:util";
import type { Environ, InputStream } from "./spec.ts";
import type { Fields } from "./forms/fields.ts";
import { FieldList } from "./forms/fields.ts";
import type { FormReader } from "./forms/form.ts";
import { RequestForm } from "./forms/form.ts";
import type { FormOptions } from "./forms/limits.ts";
import { fieldsOf } from "./forms/urlencoded.ts";

/** Where a body has its form: middleware and the application may both ask for it. */
const formOf = Symbol("form");

/** The forms of bodies that cannot have a property of their own. A WeakMap for all would be a third of a small form's time. */
const others = new WeakMap<object, RequestForm>();

type Body = InputStream & { [formOf]?: RequestForm };

/**
 * The parameters of the URL, percent-decoded as the URL standard says. Nothing in a query is malformed; more than
 * `parts` parameters (default 1,000), or one beyond `nameBytes` or `fieldBytes`, throw FormLimitError.
 */
export function parseQuery(environ: Environ, options: FormOptions = {}): Fields {
  const fields = new FieldList();
  for (const { name, value } of fieldsOf(Buffer.from(environ.QUERY_STRING, "latin1"), options)) fields.add(name, value);
  return fields;
}

/**
 * The form in the request's body, urlencoded or multipart. Iterate it to get parts as they come in:
 * `for await (const part of parseForm(environ))`; or await it to get all fields, and files in temporary files that are
 * removed when the request ends: `const form = await parseForm(environ)`. Nothing is read before that. A request without
 * a body is an empty form. A second call for the same request gives the same form; its options do not count.
 *
 * Reading throws FormSyntaxError (400), FormLimitError (413 or 400), FormTypeError (415), InputTruncatedError (400),
 * UploadStorageError (507 or 500), ClientGoneError. Those that an application lets pass answer with that status.
 */
export function parseForm(environ: Environ, limits: FormOptions = {}): FormReader {
  const input: Body = environ["wsgi.input"];
  const hasRoom = Object.isExtensible(input) && !types.isProxy(input);
  const known = hasRoom ? Object.hasOwn(input, formOf) && input[formOf] : others.get(input);
  if (known) return known;
  const form = new RequestForm(environ, limits);
  if (hasRoom) input[formOf] = form;
  else others.set(input, form);
  return form;
}
