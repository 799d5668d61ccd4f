// The FastCGI server behind `serveFastCGI`, in a file of its own: whoever imports the package for something else should not
// pay for it.

import type { ListenAddress } from "../config/address.ts";
import { parseListenAddress } from "../config/address.ts";
import { settings } from "../config/settings.ts";
import type { Variables } from "../gateway/environ.ts";
import { normalMountPoint } from "../gateway/mount.ts";
import { createLog } from "../log.ts";
import type { Application } from "../spec.ts";
import { Background } from "./background.ts";
import type { FastCgiOptions } from "./fastcgi-server.ts";
import { FastCgiServer } from "./fastcgi-server.ts";
import type { OpenSocket } from "./listen.ts";
import { listen } from "./listen.ts";
import { createPeerCheck } from "./peers.ts";
import type { Route } from "./route.ts";
import { proxyTrust } from "./trusted-proxies.ts";
import type { FastCgiService, ServeOptions } from "./serve.ts";

function addressOf(given: ServeOptions["listen"]): ListenAddress {
  if (typeof given === "number") return { kind: "tcp", host: "127.0.0.1", port: given };
  return typeof given === "string" ? parseListenAddress(given) : given;
}

function limitsOf(options: ServeOptions): Omit<FastCgiOptions, "service" | "isAllowed"> {
  return {
    maxParamsBytes: options.maxParamsBytes ?? settings.maxParamsBytes.default,
    maxConnections: options.maxConnections ?? settings.maxConnections.default,
    paramsTimeoutMs: options.paramsTimeoutMs ?? settings.paramsTimeoutMs.default,
    idleTimeoutMs: options.idleTimeoutMs ?? settings.idleTimeoutMs.default,
    admission: {
      maxConcurrency: options.maxConcurrency ?? settings.maxConcurrency.default,
      queueLimit: options.queueLimit ?? settings.queueLimit.default,
      queueTimeoutMs: options.queueTimeoutMs ?? settings.queueTimeoutMs.default,
    },
    requestTimeoutMs: options.requestTimeoutMs ?? settings.requestTimeoutMs.default,
    ignoredActivity: [],
    isBehindFcgid: false,
  };
}

/** What is served, and how it ends. */
class RunningService implements FastCgiService {
  readonly #server: FastCgiServer;
  readonly #background: Background;
  readonly #open: OpenSocket;
  #closed: Promise<boolean> | undefined;

  constructor(server: FastCgiServer, background: Background, open: OpenSocket) {
    this.#server = server;
    this.#background = background;
    this.#open = open;
  }

  get address(): ListenAddress {
    return this.#open.address;
  }

  close(deadlineMs: number = settings.shutdownTimeoutMs.default): Promise<boolean> {
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<boolean> {
    const startMs = performance.now();
    this.#open.removeFile(); // nobody connects to a socket that will not accept
    const wereRequestsWhole = await this.#server.close(deadlineMs);
    const restMs = Math.max(0, deadlineMs - (performance.now() - startMs));
    return (await this.#background.idle(restMs)) && wereRequestsWhole;
  }
}

/** As `serveFastCGI`, for an application. */
export async function startService(application: Application, options: ServeOptions): Promise<FastCgiService> {
  const log = options.log ?? createLog({ level: settings.logLevel.default });
  const background = new Background(log);
  const route = (variables: Variables): Route => {
    const mountPoint = normalMountPoint(options.mountPoint ?? variables["TSGI_MOUNT_POINT"]);
    return { application, script: "", mount: { mountPoint, mayBeProxied: true } };
  };
  const server = new FastCgiServer({
    ...limitsOf(options),
    service: {
      router: { route },
      log,
      background,
      transport: "fastcgi",
      isMultiprocess: false,
      isRunOnce: false,
      isLogApaches: false,
      mendEnviron: proxyTrust({
        trustedProxies: options.trustedProxies ?? settings.trustedProxies.default,
        trustedProxyHeaders: options.trustedProxyHeaders ?? settings.trustedProxyHeaders.default,
      }),
    },
    isAllowed: createPeerCheck(options.allow ?? [], (address) =>
      log.warn({ code: "TSGI1101", address }, "FastCGI peer refused: not allowed"),
    ),
  });
  const access = {
    mode: options.socketMode ?? settings.socketMode.default,
    uid: undefined,
    gid: undefined,
    mayReplace: false,
  };
  const open = await listen(server.netServer, addressOf(options.listen), access);
  server.netServer.on("error", (error) => log.error({ code: "TSGI3215", err: error }, "accepting connections failed"));
  return new RunningService(server, background, open);
}
