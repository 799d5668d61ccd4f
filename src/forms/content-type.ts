// What the request says its body is (RFC 7578 section 4.1, HTML "application/x-www-form-urlencoded").

import { FormSyntaxError, FormTypeError } from "../errors.ts";
import { hasBody } from "../gateway/input.ts";
import type { Environ } from "../spec.ts";
import { parseContentType } from "./parameters.ts";

export type FormType =
  | { readonly type: "none" }
  | { readonly type: "urlencoded"; readonly charset: string | undefined }
  | { readonly type: "multipart"; readonly charset: string | undefined; readonly boundary: string };

/** The characters of a boundary, which does not end with a space (RFC 2046 section 5.1.1). */
const boundaryPattern = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/;

/**
 * The kind of form in the body; "none" for a request without a body. Throws FormTypeError (415) for anything else than a
 * form, FormSyntaxError (400) for a boundary that is missing or none.
 */
export function formTypeOf(environ: Environ): FormType {
  const text = environ.CONTENT_TYPE;
  if (text === undefined) {
    if (hasBody(environ)) throw new FormTypeError("the request has a body without Content-Type, which is no form");
    return { type: "none" };
  }
  const { value, parameters } = parseContentType(text);
  const charset = parameters.get("charset");
  if (value === "application/x-www-form-urlencoded") return { type: "urlencoded", charset };
  if (value !== "multipart/form-data") throw new FormTypeError(`a body of type ${value} is no form`);
  const boundary = parameters.get("boundary");
  if (boundary === undefined) throw new FormSyntaxError("the header Content-Type has no boundary");
  if (!boundaryPattern.test(boundary)) throw new FormSyntaxError("the boundary in Content-Type is none");
  return { type: "multipart", charset, boundary };
}
