// `toNodeHandler`: an application as a request listener of node:http, and as middleware of Express and Connect.
// Rules: the mount point is what the framework has cut off the URL; with `next`, a failure before the head goes there, as
// Express wants it, and is not answered or logged here; after the head the response is broken off.

import type { IncomingMessage, ServerResponse } from "node:http";
import { ClientGoneError, ContractError, messageOf } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import type { RequestInput } from "../gateway/input.ts";
import { normalMountPoint } from "../gateway/mount.ts";
import type { ResponseSink } from "../gateway/response.ts";
import { fold, percentDecode } from "../gateway/url-path.ts";
import type { Application, Log } from "../spec.ts";
import { addVariables, bridgedVariables, createBridgeService, routed } from "./bridge.ts";
import { dispatch } from "./dispatch.ts";
import { HttpSink } from "./http-sink.ts";
import { headerPairs } from "./http-variables.ts";

export interface NodeHandlerOptions {
  /** URL path of the application; the default is what Express or Connect has cut off, or "". */
  readonly mountPoint?: string;
  /** More variables for a request, such as REMOTE_USER; undefined takes one away. */
  readonly variables?: (request: IncomingMessage) => Readonly<Record<string, string | undefined>>;
  /** For failures without `next`, and lines written to `wsgi.errors`. The default writes to stderr. */
  readonly log?: Log;
}

/** What node:http, Express and Connect call. */
export type NodeListener = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => void;

/** What frameworks add to a request. */
interface FrameworkRequest extends IncomingMessage {
  readonly originalUrl?: unknown;
  readonly baseUrl?: unknown;
  /** Express: whether the client used HTTPS, proxies that are trusted included. */
  readonly secure?: unknown;
  /** This gateway's own, when it runs the framework. */
  readonly environ?: unknown;
}

interface Place {
  /** The request target, with the mount point. */
  readonly target: string;
  /** Still encoded. */
  readonly mountPoint: string;
}

/** Without the scheme and host of an absolute target. */
function localTarget(target: string): string {
  return target.startsWith("/") ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "");
}

/** What was cut off the original target: a lone slash is what is left of nothing. */
function cutOff(original: string, url: string): string | undefined {
  const rests = url === "/" || url.startsWith("/?") ? [url, url.slice(1)] : [url];
  const rest = rests.find((text) => original.endsWith(text));
  return rest === undefined ? undefined : original.slice(0, original.length - rest.length);
}

/** Where the framework has mounted us. A URL that was rewritten on the way counts as it is now. */
function placeOf(request: FrameworkRequest): Place {
  const url = localTarget(request.url ?? "/");
  const original = typeof request.originalUrl === "string" ? localTarget(request.originalUrl) : url;
  const cut = cutOff(original, url);
  const base = typeof request.baseUrl === "string" ? request.baseUrl : cut;
  return { target: cut !== undefined && cut === base ? original : (base ?? "") + url, mountPoint: base ?? "" };
}

function isEncrypted(request: FrameworkRequest): boolean {
  return request.secure === true || ("encrypted" in request.socket && request.socket.encrypted === true);
}

/** The host without its port: "[::1]:80" gives "[::1]". */
function hostOf(request: IncomingMessage): string {
  return /^(?:\[[^\]]*\]|[^:]+)/.exec(request.headers.host ?? "")?.[0] ?? request.socket.localAddress ?? "localhost";
}

function variablesOf(request: FrameworkRequest, target: string): Variables {
  const { socket } = request;
  const scheme = isEncrypted(request) ? "https" : "http";
  const http = {
    method: request.method ?? "GET",
    target,
    protocol: `HTTP/${request.httpVersion}`,
    scheme,
    serverName: hostOf(request),
    serverPort: socket.localPort ?? (scheme === "https" ? 443 : 80),
    remoteAddress: socket.remoteAddress ?? "",
    headers: headerPairs(request.rawHeaders),
  } as const;
  const variables = bridgedVariables(http, request.environ);
  variables["REMOTE_PORT"] ??= String(socket.remotePort ?? "");
  return variables;
}

/** Gives the body to the application as fast as it reads. */
function feedInput(request: IncomingMessage, input: RequestInput): void {
  if (request.readableEnded) {
    // Nothing will come any more: a body parser has had it.
    if (request.readableDidRead && !input.isComplete) {
      input.fail(new ContractError("the request body was read before this handler: mount it before the body parser"));
    } else input.end();
    return;
  }
  request.on("data", (bytes: Buffer) => input.push(bytes));
  request.on("end", () => input.end());
  request.resume();
}

/** A sink that leaves the page of a failure to `next`. */
function yieldingSink(sink: ResponseSink, hasYielded: () => boolean): ResponseSink {
  return {
    send: (head, data, isLast) => hasYielded() || sink.send(head, data, isLast),
    drained: () => sink.drained(),
    break: () => sink.break(),
  };
}

/** For frameworks no error means that nobody has answered yet, and some words mean what comes next. */
function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}

/**
 * Makes a request listener. Use it as `http.createServer(toNodeHandler(application))`, as `app.use("/path", ...)` in
 * Express and Connect, or call it with the `req` and `res` of another framework.
 */
export function toNodeHandler(application: Application, options: NodeHandlerOptions = {}): NodeListener {
  const shared = createBridgeService(options.log);
  const fixedMount = normalMountPoint(options.mountPoint);
  return (request, response, next) => {
    const place = placeOf(request);
    const mountPoint = fixedMount ?? normalMountPoint(fold(percentDecode(place.mountPoint)));
    const variables = variablesOf(request, place.target);
    if (options.variables !== undefined) addVariables(variables, options.variables(request));
    let failure: { readonly error: unknown } | undefined;
    const sink = new HttpSink(response);
    const { exchange, input } = dispatch(routed(shared, application, { mountPoint }), {
      variables,
      sink: next === undefined ? sink : yieldingSink(sink, () => failure !== undefined),
      flow: { pause: () => request.pause(), resume: () => request.resume() },
      emitError: () => false,
      isAuthorizer: false,
      takesFailure: (error, wasHeadSent) => {
        if (next === undefined || wasHeadSent) return false;
        failure = { error };
        return true;
      },
      onEnd: () => {
        if (failure !== undefined) next?.(asError(failure.error));
      },
    });
    feedInput(request, input);
    const gone = (): void => exchange.abort(new ClientGoneError());
    request.on("error", gone);
    response.on("close", gone);
    if (response.destroyed) gone(); // while the middleware before this handler ran
  };
}
