// `tsgi dev`: an HTTP server without Apache in front of the same gateway, as wsgiref.simple_server is for Python.
// Rules: for one developer on his own machine; the variables are those that Apache would pass (RFC 3875 section 4.1);
// every request looks whether the application's files changed; the contract is checked around every application.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { join } from "node:path";
import type { AdapterName } from "../adapters/names.ts";
import { exemptFromCapture } from "../adapters/listen-capture.ts";
import { BootError, ClientGoneError, messageOf, systemCodeOf } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import { isUnder, percentDecode, rawPathOf } from "../gateway/url-path.ts";
import type { RequestScope } from "../log/scope.ts";
import type { Log } from "../spec.ts";
import { terminalAccessLog } from "./access-log.ts";
import { Background } from "./background.ts";
import { checkedRoutes } from "./checked-routes.ts";
import type { Service } from "./dispatch.ts";
import { dispatch } from "./dispatch.ts";
import { errorPagesOf } from "./error-pages.ts";
import { HttpSink } from "./http-sink.ts";
import { headerPairs, httpVariables } from "./http-variables.ts";
import type { Target } from "./route.ts";
import { createRouter } from "./route.ts";

export interface DevServerOptions {
  readonly target: Target;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly mountPoint: string | undefined;
  readonly cacheDir: string | undefined;
  readonly adapter?: AdapterName | undefined;
  readonly log: Log;
  /** Knows whose code runs, for a console that was captured. */
  readonly scope?: RequestScope | undefined;
  /** For clients on other machines; here everybody sees what went wrong. */
  readonly errorPage?: string | undefined;
}

export interface DevServer {
  readonly url: string;
  close(): Promise<void>;
}

function variablesOf(request: IncomingMessage, options: DevServerOptions): Variables {
  const variables = httpVariables({
    method: request.method ?? "GET",
    target: request.url ?? "/",
    protocol: `HTTP/${request.httpVersion}`,
    scheme: "http",
    serverName: /^(?:\[[^\]]*\]|[^:]+)/.exec(request.headers.host ?? "")?.[0] ?? options.host,
    serverPort: request.socket.localPort ?? options.port,
    remoteAddress: request.socket.remoteAddress ?? "",
    headers: headerPairs(request.rawHeaders),
  });
  variables["REMOTE_PORT"] = String(request.socket.remotePort ?? "");
  return variables;
}

/** Apache's part for a folder of scripts: `path`, below the root or below the mount point, names the file. */
function mapScript(variables: Variables, path: string, root: string, mountPoint: string): void {
  const inside = path.startsWith(`${mountPoint}/`) ? path.slice(mountPoint.length) : path;
  const file = Buffer.from(inside, "latin1").toString("utf8");
  variables["SCRIPT_FILENAME"] = join(root, "/") + file.replace(/^\/+/, "");
  // SCRIPT_NAME is the whole path here, as with ProxyPass; the file's own length cuts it.
  variables["SCRIPT_NAME"] = variables["PATH_INFO"] ?? "";
  variables["PATH_INFO"] = "";
}

function listening(server: Server, options: DevServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const why =
        systemCodeOf(error) === "EADDRINUSE" ? "the port is in use; choose another with --port" : messageOf(error);
      reject(new BootError(`cannot listen on ${options.host}:${options.port}: ${why}`, error));
    });
    exemptFromCapture(server);
    server.listen(options.port, options.host, resolve);
  });
}

class DevHandler {
  readonly #options: DevServerOptions;
  readonly #service: Service;

  constructor(options: DevServerOptions, service: Service) {
    this.#options = options;
    this.#service = service;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const { target, mountPoint } = this.#options;
    const path = percentDecode(rawPathOf(request.url ?? "/") ?? "/");
    if (mountPoint !== undefined && !isUnder(path, mountPoint)) {
      response.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" });
      response.end(`Nothing is served outside of ${mountPoint}/\n`);
      return;
    }
    const variables = variablesOf(request, this.#options);
    if (target.kind === "scripts") mapScript(variables, path, target.root ?? "", mountPoint ?? "");
    const { exchange, input } = dispatch(this.#service, {
      variables,
      sink: new HttpSink(response),
      flow: { pause: () => request.pause(), resume: () => request.resume() },
      emitError: () => false, // there is no Apache
      isAuthorizer: false,
      onEnd: () => {},
    });
    request.on("data", (bytes: Buffer) => input.push(bytes));
    request.on("end", () => input.end());
    request.on("error", () => exchange.abort(new ClientGoneError()));
    response.on("close", () => exchange.abort(new ClientGoneError()));
  }
}

/** Serves until `close`. Throws LoadError for a broken application, BootError when the port cannot be taken. */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const { log } = options;
  const router = createRouter({ ...options, checkIntervalMs: 0, mayBeProxied: true });
  const background = new Background(log);
  const service: Service = {
    router: checkedRoutes(router, log),
    log,
    background,
    transport: "http",
    isMultiprocess: false,
    isRunOnce: false,
    isLogApaches: true,
    accessLog: terminalAccessLog(log),
    scope: options.scope,
    errorPages: await errorPagesOf({ errorPage: options.errorPage, isDebug: true }),
  };
  await router.preload();
  const handler = new DevHandler(options, service);
  const server = createServer((request, response) => handler.handle(request, response));
  await listening(server, options);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}${options.mountPoint ?? ""}/`,
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), 5000);
      await closed;
      clearTimeout(timer);
      await background.idle(5000);
    },
  };
}
