// Query strings and forms, just enough for the sample site.
// Rules: a form is read up to a limit; only application/x-www-form-urlencoded is understood, so a form in a page must not
// ask for enctype="multipart/form-data". Environ strings are bytes as latin-1: `decodeText` makes text of them.
import { decodeText } from "tsgi";
import type { Environ } from "tsgi";

const maxFormBytes = 64 * 1024;

/** The parameters of the URL: `parse_qs(environ["QUERY_STRING"])` of the Python examples. */
export function query(environ: Environ): URLSearchParams {
  return new URLSearchParams(decodeText(environ.QUERY_STRING));
}

/**
 * The fields of a posted form, or undefined when the body is no urlencoded form. A longer body than 64 KiB makes
 * `wsgi.input` throw, and the client gets 413.
 */
export async function readForm(environ: Environ): Promise<URLSearchParams | undefined> {
  const [mediaType = ""] = (environ.CONTENT_TYPE ?? "").split(";");
  if (mediaType.trim().toLowerCase() !== "application/x-www-form-urlencoded") return undefined;
  return new URLSearchParams(await environ["wsgi.input"].text(maxFormBytes));
}
