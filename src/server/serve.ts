// `serveFastCGI`: a FastCGI server in the calling process, for tests and for those who have their own process manager.
// Rules: the same engine and limits as a worker of the daemon, without supervisor, loader and signals; whoever serves
// closes; a unix socket's file goes with it.

import type { AdapterName } from "../adapters/names.ts";
import type { ListenAddress } from "../config/address.ts";
import { ContractError } from "../errors.ts";
import type { Application, Log } from "../spec.ts";

/** Limits are those of the daemon's settings of the same name, and have the same defaults. Times are in ms. */
export interface ServeOptions {
  /** "unix:/path", "tcp:host:port", "fd:0", or a port of 127.0.0.1; port 0 takes a free one. */
  readonly listen: string | number | ListenAddress;
  /** What kind of application it is, where its shape does not tell: a function of `(a, b)` counts as a Node handler. */
  readonly adapter?: AdapterName;
  /** URL path of the application, where Apache does not say it. */
  readonly mountPoint?: string;
  /** Permissions of a unix socket; default 0o660. */
  readonly socketMode?: number;
  /** IP addresses and subnets that may connect over TCP beside loopback. */
  readonly allow?: readonly string[];
  /** Proxies in front of the web server whose word on the client counts, and the headers that they set on every request. */
  readonly trustedProxies?: readonly string[];
  readonly trustedProxyHeaders?: readonly string[];
  /** Requests at once; the others wait. 0, the default, is no limit. */
  readonly maxConcurrency?: number;
  readonly queueLimit?: number;
  readonly queueTimeoutMs?: number;
  /** From the variables to the end of the response; 0, the default, is no limit. */
  readonly requestTimeoutMs?: number;
  readonly maxConnections?: number;
  readonly maxParamsBytes?: number;
  readonly paramsTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  /** The default writes to stderr, from level "info". */
  readonly log?: Log;
}

export interface FastCgiService {
  /** Where it listens, with the port that was really taken. */
  readonly address: ListenAddress;
  /**
   * Accepts no more, closes idle connections, lets running requests and `tsgi.wait_until` work end, and removes the
   * socket's file. True when all ended well within `deadlineMs` (default 10 s); false when the rest was cut off.
   * A later call waits for the same end.
   */
  close(deadlineMs?: number): Promise<boolean>;
}

/**
 * Serves on FastCGI until `close`: an application of this package's own kind, or anything that `recognize` knows, such as
 * an Express, Koa, Fastify or Hono application, an http.Server or a function `(req, res)`. Throws ConfigError for a malformed
 * address, ContractError for what is no application, and BootError when the address cannot be listened on.
 */
export async function serveFastCGI(application: Application, options: ServeOptions): Promise<FastCgiService>;
export async function serveFastCGI(handler: unknown, options: ServeOptions): Promise<FastCgiService>;
export async function serveFastCGI(given: unknown, options: ServeOptions): Promise<FastCgiService> {
  const [{ recognize }, { startService }] = await Promise.all([
    import("../adapters/recognize.ts"),
    import("./fastcgi-service.ts"),
  ]);
  const recognized = recognize(given, options.adapter);
  if (recognized === undefined) {
    throw new ContractError(`serveFastCGI needs an application, and got ${given === null ? "null" : typeof given}`);
  }
  return await startService(await recognized.application, options);
}
