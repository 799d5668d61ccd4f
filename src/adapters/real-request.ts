// Node's own Request of a request (Fetch standard, section 5.4). Its body streams from `wsgi.input` as it is read.

import { hasBody } from "../gateway/input.ts";
import type { Environ } from "../spec.ts";
import { fetchClasses } from "./fetch-classes.ts";

/** Whether the Request has a body: the Fetch standard knows none for these methods. */
export function hasRequestBody(environ: Environ, method: string): boolean {
  return method !== "GET" && method !== "HEAD" && hasBody(environ);
}

export interface RequestParts {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers | Array<[string, string]>;
}

/** Throws TypeError for a method that the Fetch standard forbids. */
export function realRequest(
  environ: Environ,
  { method, url, headers }: RequestParts,
  Class: typeof Request = fetchClasses().Request,
): Request {
  const init = { method, headers, signal: environ["tsgi.signal"] };
  if (!hasRequestBody(environ, method)) return new Class(url, init);
  return new Class(url, { ...init, body: streamOf(environ), duplex: "half" });
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
