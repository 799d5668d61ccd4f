// The Request that a fetch handler gets, made of an environ (Fetch standard, section 5.3).
// Rules: the URL is the one that the client sees, whole, mount point included; the body streams from `wsgi.input` as it is
// read; a request that cannot be written as a URL is the client's fault.

import { InputFormatError } from "../errors.ts";
import { hasBody } from "../gateway/input.ts";
import type { Environ } from "../spec.ts";
import { rawHeadersOf } from "./node-headers.ts";
import { escapeBytes, requestTargetOf } from "./request-target.ts";

/** The URL as the client sees it. Throws InputFormatError (400) for a Host header that is no host. */
function urlOf(environ: Environ): URL {
  const originalUrl = escapeBytes(requestTargetOf(environ).originalUrl);
  if (/^https?:\/\//i.test(originalUrl)) return parse(originalUrl);
  const scheme = environ["wsgi.url_scheme"];
  const usualPort = scheme === "https" ? "443" : "80";
  const { SERVER_NAME: name, SERVER_PORT: port } = environ;
  const host = environ["HTTP_HOST"] ?? (port === usualPort ? name : `${name}:${port}`);
  return parse(`${scheme}://${host}${originalUrl.startsWith("/") ? originalUrl : "/"}`);
}

function parse(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "") {
    throw new InputFormatError("the Host header and the request target do not make a URL");
  }
  return url;
}

/** The body as a stream that reads the input no faster than it is read itself. */
function streamOf(environ: Environ): ReadableStream<Uint8Array> {
  const chunks = environ["wsgi.input"][Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await chunks.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

export function createFetchRequest(environ: Environ): Request {
  const headers = new Headers();
  const lines = rawHeadersOf(environ);
  for (let index = 0; index < lines.length; index += 2) headers.append(lines[index] ?? "", lines[index + 1] ?? "");
  const method = environ.REQUEST_METHOD;
  const signal = environ["tsgi.signal"];
  const url = urlOf(environ);
  if (method === "GET" || method === "HEAD" || !hasBody(environ)) return new Request(url, { method, headers, signal });
  const body = streamOf(environ);
  return new Request(url, { method, headers, signal, body, duplex: "half" });
}
