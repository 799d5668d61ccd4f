// Finds out what kind of application a value is, by its shape, and makes it an application of the gateway.
// Rules, in this order: an http.Server; a Fastify instance; an object or function with `fetch` (Hono's has `routes` and
// `request` too); Koa (`callback`, `middleware`); Express (a function with `handle` and `set`); Connect (`handle` and
// `stack`); a plain function, which function-kind.ts looks at. No property is read but these, since some routers are
// proxies that answer to every name, `then` among them: a value is never awaited or returned from an async function.

import { Server } from "node:http";
import { Server as SecureServer } from "node:https";
import { Server as NetServer } from "node:net";
import { ContractError } from "../errors.ts";
import type { Application } from "../spec.ts";
import type { FetchHandler } from "./fetch-handler.ts";
import { fromFetchHandler } from "./fetch-handler.ts";
import type { FunctionKind } from "./function-kind.ts";
import { kindOfFunction } from "./function-kind.ts";
import { messageClassesFor, plainClasses } from "./message-classes.ts";
import type { AdapterName } from "./names.ts";
import type { NodeHandler } from "./node-handler.ts";
import { fromNodeHandler, fromServer, withMessages } from "./node-handler.ts";

export interface Recognized {
  readonly adapter: AdapterName;
  /** A promise where the application has to become ready first, as Fastify's have. */
  readonly application: Application | Promise<Application>;
}

type Holder = Readonly<Record<string, unknown>>;

function isHolder(value: unknown): value is Holder {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function hasFunction(value: Holder, name: string): boolean {
  return typeof value[name] === "function";
}

function hasOwnFunctions(value: Holder, names: readonly string[]): boolean {
  return names.every((name) => Object.hasOwn(value, name) && typeof value[name] === "function");
}

/** `request` is each Hono instance's own; itty-router is a proxy that answers to every name. */
function isHono(value: Holder): boolean {
  return Array.isArray(value["routes"]) && hasOwnFunctions(value, ["request"]);
}

/** A look at node:https loads all of TLS where nobody has: only what is a server at all is compared with it. */
function isServer(value: unknown): boolean {
  return value instanceof NetServer && (value instanceof Server || value instanceof SecureServer);
}

/** The kind of application that a value is by its shape; undefined when it is none. */
export function adapterOf(value: unknown, otherwise?: FunctionKind): AdapterName | undefined {
  if (isServer(value)) return "server";
  if (!isHolder(value)) return undefined;
  if (hasOwnFunctions(value, ["ready", "inject", "routing"])) return "fastify";
  if (hasFunction(value, "fetch")) return isHono(value) ? "hono" : "fetch";
  if (hasFunction(value, "callback") && Array.isArray(value["middleware"])) return "koa";
  if (typeof value !== "function") return undefined;
  if (hasFunction(value, "handle")) {
    if (hasFunction(value, "set")) return "express";
    if (Array.isArray(value["stack"])) return hasFunction(value, "listen") ? "connect" : "node"; // a router alone
  }
  return kindOfFunction(value, otherwise);
}

function checkFunction(value: unknown, adapter: AdapterName): (...parameters: never[]) => unknown {
  if (typeof value === "function") return value as (...parameters: never[]) => unknown;
  throw new ContractError(`the adapter ${adapter} takes a function, not ${value === null ? "null" : typeof value}`);
}

function fetchOf(value: unknown, adapter: AdapterName): FetchHandler {
  if (isHolder(value) && hasFunction(value, "fetch")) {
    const object = value as unknown as { fetch: FetchHandler };
    return (request, env, context) => object.fetch(request, env, context);
  }
  return checkFunction(value, adapter) as FetchHandler;
}

function fromHandler(value: unknown, adapter: AdapterName): Application {
  const handler = checkFunction(value, adapter) as NodeHandler;
  if (adapter === "node" && handler.length >= 3) return fromNodeHandler(handler);
  // Express and Connect answer 404 and errors themselves when they get no third argument, as on node:http.
  const plain = handler as (req: unknown, res: unknown) => unknown;
  return withMessages((req, res) => plain(req, res), messageClassesFor(value, plainClasses));
}

function fromKoa(value: unknown): Application {
  if (!isHolder(value) || !hasFunction(value, "callback")) {
    throw new ContractError("the adapter koa takes a Koa application, which has callback()");
  }
  return fromNodeHandler((value as unknown as { callback(): NodeHandler }).callback());
}

interface FastifyLike {
  ready(): PromiseLike<unknown>;
  readonly server: unknown;
  routing: NodeHandler;
}

async function fromFastify(value: unknown): Promise<Application> {
  if (!isHolder(value) || !hasFunction(value, "ready") || !hasFunction(value, "routing")) {
    throw new ContractError("the adapter fastify takes a Fastify instance, which has ready() and routing()");
  }
  const instance = value as unknown as FastifyLike;
  await instance.ready();
  if (instance.server instanceof Server) return fromServer(instance.server);
  return fromNodeHandler((req, res, next) => instance.routing(req, res, next));
}

function serverOf(value: unknown): Server {
  if (isHolder(value) && hasFunction(value, "emit")) return value as unknown as Server;
  throw new ContractError("the adapter server takes an http.Server");
}

function adapt(adapter: AdapterName, value: unknown): Application | Promise<Application> {
  switch (adapter) {
    case "wsgi":
      return checkFunction(value, adapter) as Application;
    case "fetch":
    case "hono":
      return fromFetchHandler(fetchOf(value, adapter));
    case "node":
    case "express":
    case "connect":
      return fromHandler(value, adapter);
    case "koa":
      return fromKoa(value);
    case "fastify":
      return fromFastify(value);
    case "server":
      return fromServer(serverOf(value));
  }
}

/**
 * Makes an application of any value that is one; undefined when it is none. `given` names the kind where its shape shall not
 * decide: then it throws, or rejects with, ContractError for a value that cannot be of that kind.
 */
export function recognize(value: unknown, given?: AdapterName): Recognized | undefined {
  const adapter = given ?? adapterOf(value);
  return adapter === undefined ? undefined : { adapter, application: adapt(adapter, value) };
}
