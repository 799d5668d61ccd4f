// What an application needs to run inside somebody else's server: the service, and the variables of an outer gateway.
// Rules: where this gateway serves the outer application too, its variables go on (REMOTE_USER, SSL_*, HTTPS); what says
// where the application is mounted does not, since that is another place here.

import type { Variables } from "../gateway/environ.ts";
import type { MountHints } from "../gateway/mount.ts";
import { createLog } from "../log.ts";
import type { Application, Environ, Log } from "../spec.ts";
import { Background } from "./background.ts";
import type { Service } from "./dispatch.ts";
import type { HttpRequest } from "./http-variables.ts";
import { httpVariables } from "./http-variables.ts";

/** A service for requests that another server has received; `routed` gives it the application of each. */
export function createBridgeService(log: Log = createLog({ level: "info" })): Omit<Service, "router"> {
  return {
    log,
    background: new Background(log),
    transport: "http",
    isMultiprocess: false,
    isRunOnce: false,
    isLogApaches: true,
  };
}

/** The service for one request to one application. */
export function routed(service: Omit<Service, "router">, application: Application, mount: MountHints): Service {
  const route = { application, script: "", mount };
  return { ...service, router: { route: () => route } };
}

/** Whether a value is the environ that this gateway made for the server that we run in. */
function isEnviron(value: unknown): value is Environ {
  return typeof value === "object" && value !== null && "wsgi.version" in value && "tsgi.request_id" in value;
}

/** Names of an outer environ that say where its own application is, or how it came to be. */
const outerNames: ReadonlySet<string> = new Set([
  "SCRIPT_NAME",
  "PATH_INFO",
  "PATH_TRANSLATED",
  "SCRIPT_FILENAME",
  "FCGI_ROLE",
  "TSGI_MOUNT_POINT",
  "TSGI_SCRIPT_ROOT",
]);

/** The variables of a request, over those of the gateway that runs the outer application. */
export function bridgedVariables(request: HttpRequest, outer: unknown): Variables {
  const variables = httpVariables(request);
  if (!isEnviron(outer)) return variables;
  const inherited: Variables = Object.create(null) as Variables;
  for (const [name, value] of Object.entries(Object.getOwnPropertyDescriptors(outer))) {
    const isOurs = name.startsWith("wsgi.") || name.startsWith("tsgi.") || outerNames.has(name);
    if (!isOurs && typeof value.value === "string") inherited[name] = value.value;
  }
  const { REQUEST_METHOD, REQUEST_URI, QUERY_STRING, SCRIPT_NAME, PATH_INFO } = variables;
  return Object.assign(inherited, { REQUEST_METHOD, REQUEST_URI, QUERY_STRING, SCRIPT_NAME, PATH_INFO });
}

/** Adds what the caller knows of a request; undefined takes a variable away. */
export function addVariables(variables: Variables, more: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(more)) {
    if (value === undefined) delete variables[name];
    else variables[name] = value;
  }
}
