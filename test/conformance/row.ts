// The shape of a conformance row: a request, the application that answers, the reply that every transport must give, and,
// stated with its reason, where one of them cannot.
import type { HeaderLines, HttpReply } from "../harness/http.ts";

/** Ways in. `direct` is this process without a server; `root` is the same, mounted at the root. */
export type TransportName = "direct" | "root" | "dev" | "proxy_fcgi" | "fcgid" | "cgi" | "fcgid_warm" | "cgi_warm";

export interface RowRequest {
  readonly method?: string;
  /** What follows the mount, written as it is; default "/". */
  readonly target?: string;
  readonly version?: "1.0" | "1.1";
  readonly headers?: HeaderLines;
  readonly body?: Buffer | string;
  /** Sent with Transfer-Encoding: chunked and so without a length. */
  readonly chunks?: readonly string[];
}

/** What a row may need to know of the transport that it runs on. */
export interface RowContext {
  readonly transport: TransportName;
  /** "/m", or "" at the root. */
  readonly mount: string;
  readonly port: number;
  /** Whether a failed request is shown to the client as to a developer. */
  readonly showsFailures: boolean;
}

type Reply = Pick<HttpReply, "status" | "reason" | "headers" | "body" | "complete">;

export interface Expectation {
  /** Default 200; a list where either is right. */
  readonly status?: number | readonly number[];
  readonly reason?: string;
  /**
   * By name without case: one value, all values in their order, a pattern for the values joined with ", ", or null for a
   * header that must be absent. Headers that are not named are free.
   */
  readonly headers?: Readonly<Record<string, string | readonly string[] | RegExp | null>>;
  /** Latin-1 text, bytes or a pattern. */
  readonly body?: string | Buffer | RegExp | ((context: RowContext) => string);
  /** Whether the message must have come to its proper end; default true. */
  readonly complete?: boolean | "either";
  /** Lines that the error log must have, and text that must not be in it. */
  readonly log?: readonly (string | RegExp)[];
  readonly notLogged?: readonly string[];
  /** A further condition, with the promise that it checks. */
  readonly check?: { readonly promise: string; readonly holds: (reply: Reply, context: RowContext) => boolean };
}

/** How one transport differs, and why it must: `expect` replaces the fields it has. */
export interface Deviation {
  readonly because: string;
  readonly expect?: Expectation;
  /** The row cannot be run there at all. */
  readonly skip?: boolean;
}

export interface Row {
  readonly name: string;
  /** A name in test/fixtures/apps/rows.ts. */
  readonly app: string;
  readonly request?: RowRequest;
  readonly expect: Expectation;
  readonly deviations?: Deviations;
}

export type Deviations = Partial<Readonly<Record<TransportName, Deviation>>>;

export type { Reply };

/** What a way in deviates in: a relay to a warm daemon as the module that it stands behind, unless the row says more. */
export function deviationOf(row: Row, name: TransportName): Deviation | undefined {
  const own = row.deviations?.[name];
  if (own !== undefined || !name.endsWith("_warm")) return own;
  return row.deviations?.[name === "cgi_warm" ? "cgi" : "fcgid"];
}

/** The same deviation for several transports. */
export function on(names: readonly TransportName[], deviation: Deviation): Deviations {
  return Object.fromEntries(names.map((name) => [name, deviation]));
}

/**
 * Failures after the head where Apache starts the program: mod_cgi(d) takes the end of the output for the end of the
 * message, and mod_fcgid, when a program closes instead of ending its request, adds a page of its own to what was sent,
 * ends that properly and kills the program. So the request is ended, and only the log knows.
 */
export const noFailureMark: Deviations = on(["cgi", "fcgid"], {
  because: "neither module has a way to be told that the program failed after the head",
  expect: { complete: true },
});
