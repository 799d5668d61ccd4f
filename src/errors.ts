// Every error class of the project, in one place.
// Rules: each error has a stable `code` (TSGI + four digits) and says in `fault` whose it is. The first digit of the code
// is the family: 1 peer, 2 application, 3 operator, 4 ourselves. `status` is what the client gets when the error reaches
// the gateway before the head was sent. Messages name the value and what to do, never a secret.

/** Whose fault a failure is. The log level and what the client is told follow from it. */
export type Fault = "peer" | "application" | "operator" | "us";

interface ErrorDetails {
  readonly code: string;
  readonly fault: Fault;
  readonly status?: number;
  readonly cause?: unknown;
}

/** The base of every error that this package throws on purpose. */
export class TsgiError extends Error {
  readonly code: string;
  readonly fault: Fault;
  /** HTTP status for the client while the head has not been sent; 500 unless the error says otherwise. */
  readonly status: number;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code;
    this.fault = details.fault;
    this.status = details.status ?? 500;
  }
}

/** The peer broke the FastCGI protocol or one of its limits: the connection cannot be used any more. */
export class FcgiPeerError extends TsgiError {
  constructor(message: string) {
    super(message, { code: "TSGI1001", fault: "peer" });
  }
}

/** The client, or Apache for it, went away before the response was complete. An expected event, not a failure. */
export class ClientGoneError extends TsgiError {
  constructor(message = "the client closed the connection before the response was complete") {
    super(message, { code: "TSGI1002", fault: "peer" });
  }
}

/** The request body ended before CONTENT_LENGTH bytes had come. Answers 400 when the application lets it pass. */
export class InputTruncatedError extends TsgiError {
  constructor(expected: number, received: number) {
    super(`the request body ended after ${received} of ${expected} bytes`, {
      code: "TSGI1003",
      fault: "peer",
      status: 400,
    });
  }
}

/** The request body is longer than the caller of `text`, `json` or `bytes` allowed. Answers 413. */
export class InputTooLargeError extends TsgiError {
  constructor(limit: number) {
    super(`the request body is longer than the limit of ${limit} bytes`, {
      code: "TSGI1004",
      fault: "peer",
      status: 413,
    });
  }
}

/** The request body is not what the caller asked to parse, for example not JSON. Answers 400. */
export class InputFormatError extends TsgiError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: "TSGI1005", fault: "peer", status: 400, cause });
  }
}

/** The request body, or the type it is said to have, is no well-formed form. Answers 400. */
export class FormSyntaxError extends TsgiError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: "TSGI1021", fault: "peer", status: 400, cause });
  }
}

/** A form goes beyond a limit of `parseForm`. Answers 413; 400 for a limit on names or headers. */
export class FormLimitError extends TsgiError {
  /** The limit's name, for example "fileBytes". */
  readonly limit: string;
  /** Its value. */
  readonly most: number;

  constructor(limit: string, most: number) {
    const status = limit === "headerBytes" || limit === "nameBytes" ? 400 : 413;
    super(`the form goes beyond the limit ${limit} of ${most}`, { code: "TSGI1022", fault: "peer", status });
    this.limit = limit;
    this.most = most;
  }
}

/** The request body has a type, charset or encoding that forms do not have. Answers 415. */
export class FormTypeError extends TsgiError {
  constructor(message: string) {
    super(message, { code: "TSGI1023", fault: "peer", status: 415 });
  }
}

/** The web server sent a request a second time, after the first that had it died, and its body is gone. Answers 503. */
export class ReplayedRequestError extends TsgiError {
  constructor() {
    super("the web server sent the request again without its body, which the one before had taken", {
      code: "TSGI1031",
      fault: "peer",
      status: 503,
    });
  }
}

/** A peer has not sent the secret of `--secret-file`. Answers 403. */
export class PeerSecretError extends TsgiError {
  constructor(isGiven: boolean) {
    super(`the request came ${isGiven ? "with a wrong secret" : "without the secret"} of --secret-file`, {
      code: "TSGI1032",
      fault: "peer",
      status: 403,
    });
  }
}

/** The application broke the contract: a malformed status or header, startResponse called twice, a body that is none. */
export class ContractError extends TsgiError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: "TSGI2001", fault: "application", cause });
  }
}

/** The application used `wsgi.input` or `write` after its request had ended. */
export class RequestOverError extends TsgiError {
  constructor(what: string) {
    super(`${what} was used after the request had ended`, { code: "TSGI2002", fault: "application" });
  }
}

/** The request took longer than `--request-timeout` allows. Answers 504 while the head has not been sent. */
export class RequestTimeoutError extends TsgiError {
  /** How long it had been running, ms. */
  readonly elapsedMs: number;

  constructor(timeoutMs: number, elapsedMs: number) {
    super(`the request was not answered within ${timeoutMs} ms`, {
      code: "TSGI2003",
      fault: "application",
      status: 504,
    });
    this.elapsedMs = elapsedMs;
  }
}

export type LoadFailure = "not-found" | "no-export" | "no-hooks" | "failed-inside" | "compile" | "refused" | "no-cache";

const noExport = { code: "TSGI3002", fault: "application", status: 500 } as const;

const loadFailures: Readonly<Record<LoadFailure, { code: string; fault: Fault; status: number }>> = {
  "not-found": { code: "TSGI3001", fault: "operator", status: 404 },
  "no-export": noExport,
  /** It does not say who may come in, where that is asked. */
  "no-hooks": noExport,
  "failed-inside": { code: "TSGI3003", fault: "application", status: 500 },
  compile: { code: "TSGI3004", fault: "application", status: 500 },
  refused: { code: "TSGI3005", fault: "operator", status: 403 },
  /** No safe folder for compiled scripts, or none that can be written: nothing that a visitor is forbidden. */
  "no-cache": { code: "TSGI3006", fault: "operator", status: 500 },
};

/** A script could not be made into an application; `kind` tells the causes apart. */
export class LoadError extends TsgiError {
  readonly kind: LoadFailure;

  constructor(kind: LoadFailure, message: string, cause?: unknown) {
    super(message, { ...loadFailures[kind], cause });
    this.kind = kind;
  }
}

/** One or more settings are wrong. `issues` has a sentence for each and names where the value came from. */
export class ConfigError extends TsgiError {
  readonly issues: readonly string[];

  constructor(issues: readonly string[]) {
    super(issues.join("\n"), { code: "TSGI3101", fault: "operator" });
    this.issues = issues;
  }
}

/** The machine does not let us start: a port in use, a missing module, a folder that may not be entered. */
export class BootError extends TsgiError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: "TSGI3102", fault: "operator", cause });
  }
}

/** A limit of this server is reached; the client may come again. Answers 503 with Retry-After. */
export class OverloadedError extends TsgiError {
  constructor(message: string) {
    super(message, { code: "TSGI3103", fault: "operator", status: 503 });
  }
}

/** The process stops, and the request has not ended in the time that was left. Answers 503 with Retry-After. */
export class StoppingError extends TsgiError {
  constructor(message = "the server stops, and the request had not ended in time") {
    super(message, { code: "TSGI3104", fault: "operator", status: 503 });
  }
}

/** The request stood still after an error that nobody caught, which may have been its own. Answers 500. */
export class StrandedError extends TsgiError {
  constructor(error: unknown) {
    super(`the request stands still since an error that nobody caught: ${messageOf(error)}`, {
      code: "TSGI2111",
      fault: "application",
    });
  }
}

/** An uploaded file could not be stored: no space, or a folder that may not be used. Answers 507 or 500. */
export class UploadStorageError extends TsgiError {
  constructor(message: string, cause?: unknown) {
    const systemCode = systemCodeOf(cause);
    const status = systemCode === "ENOSPC" || systemCode === "EDQUOT" ? 507 : 500;
    super(message, { code: "TSGI3121", fault: "operator", status, cause });
  }
}

/** One of our own modules was used against its rules: a bug in this package. */
export class UsageError extends TsgiError {
  constructor(message: string) {
    super(message, { code: "TSGI4001", fault: "us" });
  }
}

/** The one-line text of anything thrown, for a log line or a terminal. Runs no code of the thrown value. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (typeof error === "object" || typeof error === "function") return `a thrown ${typeof error}`;
  // eslint-disable-next-line typescript/no-base-to-string -- only primitives are left
  return String(error);
}

/** The message with its code, unless it has one: behind the first line, since a caret may point into what follows. */
export function messageWithCode(error: unknown): string {
  const [first = "", ...rest] = messageOf(error).split("\n");
  const isMissing = error instanceof TsgiError && !/\[TSGI\d{4}\]$/.test(first);
  return [isMissing ? `${first} [${error.code}]` : first, ...rest].join("\n");
}

/** The `code` of a system error such as ENOENT, or undefined. */
export function systemCodeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
