// The FastCGI daemon: one process that serves any number of connections.
// Rules: the one application is loaded before the socket opens, so that a broken one is seen at once; closing stops
// accepting first and lets running requests and `tsgi.wait_until` work end, within a deadline.

import type { ListenAddress } from "../config/address.ts";
import type { Log } from "../spec.ts";
import { Background } from "./background.ts";
import type { Service } from "./dispatch.ts";
import { FastCgiServer } from "./fastcgi-server.ts";
import { createPeerCheck, listen } from "./listen.ts";
import type { Target } from "./route.ts";
import { createRouter } from "./route.ts";

export interface DaemonOptions {
  readonly target: Target;
  readonly listen: ListenAddress;
  /** Permission bits and group of a unix socket. */
  readonly socketMode: number;
  readonly socketGroup: string | undefined;
  /** Addresses and subnets that may connect over TCP, beside loopback. */
  readonly allow: readonly string[];
  readonly mountPoint: string | undefined;
  readonly cacheDir: string | undefined;
  readonly log: Log;
  readonly maxParamsBytes: number;
  readonly maxConnections: number;
  readonly paramsTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

export interface Daemon {
  /** Where it listens, with the port that was really taken. */
  readonly address: ListenAddress;
  /** Ends what is running within `deadlineMs` (default 30 s), then closes. False when something was cut off. */
  close(deadlineMs?: number): Promise<boolean>;
}

/** How old a look at an application's files may be, ms. */
export const checkIntervalMs = 1000;
const closeDeadlineMs = 30_000;

/** Opens the socket and serves. Throws LoadError for a broken application, BootError when it cannot listen. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { log } = options;
  const router = createRouter({ ...options, checkIntervalMs, mayBeProxied: true });
  const background = new Background(log);
  const service: Service = {
    router,
    log,
    background,
    transport: "fastcgi",
    isMultiprocess: false,
    isRunOnce: false,
    isLogApaches: false,
  };
  const onRefused = (address: string): void => log.warn({ address }, "FastCGI peer refused: not listed by --allow");
  const isAllowed = createPeerCheck(options.allow, onRefused);
  await router.preload();
  const server = new FastCgiServer({ ...options, service, isBehindFcgid: false, isAllowed });
  const address = await listen(server.netServer, options.listen, {
    mode: options.socketMode,
    group: options.socketGroup,
  });
  server.netServer.on("error", (error) => log.error({ err: error }, "accepting connections failed"));
  return {
    address,
    close: async (deadlineMs = closeDeadlineMs) => {
      const wereRequestsWhole = await server.close(deadlineMs);
      return (await background.idle(deadlineMs)) && wereRequestsWhole;
    },
  };
}
