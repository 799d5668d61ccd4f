// The contract between an application and the gateway: PEP 3333 in TypeScript.
// Rules: types only, nothing to run. Names of PEP 3333 and CGI/1.1 stay as they are; our additions are called `tsgi.*`.
// Everything here is public: a change is a change of the major version.

import type { Readable } from "node:stream";

/**
 * A piece of a body. A string leaves as UTF-8. Bytes are not copied: they must not change until the next piece is asked
 * for, or `write` has settled.
 */
export type Chunk = Uint8Array | string;

/**
 * What an application returns. A lone string or byte array is one chunk and is never iterated. A body that has `close()`
 * gets it called exactly once, whatever happens. A Node stream is an AsyncIterable.
 */
export type Body = Chunk | Iterable<Chunk> | AsyncIterable<Chunk>;

/** Header names and values in the order in which they are sent. Values are bytes as latin-1. */
export type HeaderList = ReadonlyArray<readonly [name: string, value: string]>;

/** Sends a chunk at once. Settles when the peer can take more; rejects when the peer has gone. */
export type Write = (chunk: Chunk) => Promise<void>;

/**
 * Takes status ("200 OK" or "200") and headers; the head goes out with the first non-empty chunk or at the end.
 * May be called again only with `excInfo`, and only before the head was sent: after that it throws `excInfo`.
 */
export type StartResponse = (status: string, headers: HeaderList, excInfo?: unknown) => Write;

/** A web application: called once per request. */
export type Application = (environ: Environ, startResponse: StartResponse) => Body | Promise<Body>;

/**
 * What a script exports as `checkPassword`, to answer for Apache whether this is the user's password: undefined is a user that
 * it does not know, and only `true` lets anybody in. `user` and `password` are text, decoded from UTF-8.
 */
export type CheckPassword = (
  environ: Environ,
  user: string,
  password: string,
) => boolean | undefined | Promise<boolean | undefined>;

/** What a script exports as `groupsForUser`: the groups that a user is in, undefined for one that it does not know. */
export type GroupsForUser = (
  environ: Environ,
  user: string,
) => Iterable<string> | undefined | Promise<Iterable<string> | undefined>;

/** What a script exports as `allowAccess`: whether a client may ask at all. `host` is its name where Apache knows it, else its address. */
export type AllowAccess = (environ: Environ, host: string) => boolean | undefined | Promise<boolean | undefined>;

/** How a request came in. */
export type Transport = "fastcgi" | "cgi" | "http";

/**
 * The request: CGI/1.1 variables and `wsgi.*`, `tsgi.*` keys. It has no prototype, since names come from outside.
 * Strings are bytes as latin-1, as PEP 3333 has them; `decodeText` gives UTF-8.
 */
export interface Environ {
  REQUEST_METHOD: string;
  /** Where the application is mounted, decoded, without a trailing slash; "" at the root. */
  SCRIPT_NAME: string;
  /** The rest of the URL's path, decoded. SCRIPT_NAME + PATH_INFO is the decoded path. */
  PATH_INFO: string;
  QUERY_STRING: string;
  SERVER_NAME: string;
  SERVER_PORT: string;
  SERVER_PROTOCOL: string;
  CONTENT_TYPE?: string;
  CONTENT_LENGTH?: string;
  /** The request target as the client sent it, undecoded, with the query. */
  REQUEST_URI?: string;
  REMOTE_ADDR?: string;
  REMOTE_PORT?: string;
  REMOTE_USER?: string;
  AUTH_TYPE?: string;
  HTTPS?: string;
  DOCUMENT_ROOT?: string;
  SCRIPT_FILENAME?: string;
  /** The FastCGI role; absent from other transports. */
  FCGI_ROLE?: "RESPONDER" | "AUTHORIZER";
  [header: `HTTP_${string}`]: string | undefined;

  "wsgi.version": readonly [major: number, minor: number];
  "wsgi.url_scheme": "http" | "https";
  "wsgi.input": InputStream;
  "wsgi.errors": ErrorStream;
  "wsgi.file_wrapper": FileWrapper;
  "wsgi.multithread": boolean;
  "wsgi.multiprocess": boolean;
  /** True when this process serves this one request only, as in CGI. */
  "wsgi.run_once": boolean;

  /** Apache's UNIQUE_ID where mod_unique_id gives one, else an id of ours. */
  "tsgi.request_id": string;
  /** Aborts when the client is gone; `reason` says why. */
  "tsgi.signal": AbortSignal;
  "tsgi.log": Log;
  "tsgi.transport": Transport;
  /** Keeps the process alive for work after the response; a rejection is logged. */
  "tsgi.wait_until": (work: Promise<unknown>) => void;
  /** Absolute name of the script's file; "" when the application was not loaded from one. */
  "tsgi.script": string;
  /** The value that Apache sent, where the gateway mended it. */
  [original: `tsgi.original.${string}`]: string | undefined;

  [extension: string]: unknown;
}

/**
 * The request body, streamed. It ends at CONTENT_LENGTH or with the peer's end of input, never blocks past it, and throws
 * InputTruncatedError when the body is shorter than CONTENT_LENGTH. Calls are answered in their order. At the end `read`
 * gives an empty buffer, as often as asked. After the response, reading throws RequestOverError.
 */
export interface InputStream extends AsyncIterable<Buffer> {
  /** Exactly `size` bytes, fewer only at the end; everything without `size` or with a negative one. */
  read(size?: number): Promise<Buffer>;
  /** Up to and including the next LF, or `size` bytes of it; empty at the end. */
  readline(size?: number): Promise<Buffer>;
  /** All lines; stops after the line that reaches `hint` bytes. */
  readlines(hint?: number): Promise<Buffer[]>;
  /** The lines, one by one, each with its LF. */
  lines(): AsyncIterableIterator<Buffer>;
  /** The body as a Node Readable. Whoever takes it is the only reader from then on. */
  stream(): Readable;
  /** The body as UTF-8. `limit` in bytes, default 1 MiB; throws InputTooLargeError beyond it. */
  text(limit?: number): Promise<string>;
  /** The body as JSON. `limit` in bytes, default 1 MiB. Throws InputFormatError for anything else. */
  json(limit?: number): Promise<unknown>;
  /** The body as bytes. `limit` in bytes, default 1 MiB; throws InputTooLargeError beyond it. */
  bytes(limit?: number): Promise<Buffer>;
}

/** Apache's error log: one entry per line, sent when the line is complete, flushed, or the request ends. */
export interface ErrorStream {
  write(text: string): void;
  writelines(lines: Iterable<string>): void;
  flush(): void;
}

/** What `wsgi.file_wrapper` takes: anything with `read(size)`, a FileHandle of node:fs/promises, or a stream. */
export type FileLike = FileReader | AsyncIterable<Chunk>;

export interface FileReader {
  read(size: number): Chunk | null | Promise<Chunk | null>;
  close?(): unknown;
}

/** The part of a node:fs/promises FileHandle that the wrapper uses. */
export interface FileHandleLike {
  readonly fd: number;
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

/** Turns a file into a body that is read in blocks (bytes, default 64 KiB) and closed at the end. */
export type FileWrapper = (file: FileLike | FileHandleLike, blockSize?: number) => AsyncIterable<Chunk>;

/** The part of a pino logger that the contract promises: an object of fields and a sentence, or a sentence alone. */
export interface Log {
  trace: LogMethod;
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
  fatal: LogMethod;
  child(bindings: Record<string, unknown>): Log;
}

export interface LogMethod {
  (fields: object, message?: string): void;
  (message: string): void;
}
