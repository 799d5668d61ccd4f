// Finds out what kind of application a value is, by its shape, and makes it an application of the gateway.
// Rules, in this order: an http.Server; a Fastify instance; an object or function with `fetch` (Hono has `routes` and
// `request` too); Koa (`callback`, `middleware`); Express (a function with `handle` and `set`); Connect (`handle` and
// `stack`); a plain function. Of a plain function the parameters' names decide, then how many there are: two or three are
// (req, res, next), none or one is (request). No property of the value is read but these, since routers that are proxies
// answer to every name.

import { Server } from "node:http";
import { Server as SecureServer } from "node:https";
import { ContractError } from "../errors.ts";
import type { Application } from "../spec.ts";
import type { FetchHandler } from "./fetch-handler.ts";
import { fromFetchHandler } from "./fetch-handler.ts";
import type { NodeHandler } from "./node-handler.ts";
import { fromNodeHandler, fromServer } from "./node-handler.ts";

export const adapterNames = [
  "wsgi",
  "fetch",
  "node",
  "express",
  "connect",
  "koa",
  "fastify",
  "hono",
  "server",
] as const;

/** The kinds of applications. */
export type AdapterName = (typeof adapterNames)[number];

export interface Recognized {
  readonly adapter: AdapterName;
  /** A promise where the application has to become ready first, as Fastify's do. */
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

/** The names of a function's parameters, as far as its text shows them. */
export function parameterNames(value: (...parameters: never[]) => unknown): readonly string[] {
  const text = Function.prototype.toString.call(value);
  const match =
    /^(?:async\s+)?(?:function\b[^(]*)?\(([^)]*)\)|^(?:async\s+)?([\w$]+)\s*=>|^(?:async\s+|\*\s*)*[\w$]+\s*\(([^)]*)\)/.exec(
      text,
    );
  const list = match?.[1] ?? match?.[2] ?? match?.[3] ?? "";
  return list
    .split(",")
    .map((part) => /^\s*([\w$]*)/.exec(part)?.[1] ?? "")
    .filter((name) => name !== "");
}

const generator = /^\[object (?:Async)?GeneratorFunction\]$/;

/** What a plain function is; undefined for a class. */
function kindOfFunction(value: (...parameters: never[]) => unknown): AdapterName | undefined {
  if (generator.test(Object.prototype.toString.call(value))) return "wsgi"; // it yields its body
  if (/^class\b/.test(Function.prototype.toString.call(value))) return undefined;
  const [first = "", second = ""] = parameterNames(value);
  if (/^_?environ$/i.test(first) || /^_?start_?response$/i.test(second) || value.name === "application") return "wsgi";
  return value.length === 2 || value.length === 3 ? "node" : value.length < 2 ? "fetch" : undefined;
}

/** The kind of application that a value is by its shape; undefined when it is none. */
export function adapterOf(value: unknown): AdapterName | undefined {
  if (value instanceof Server || value instanceof SecureServer) return "server";
  if (!isHolder(value)) return undefined;
  if (hasOwnFunctions(value, ["ready", "inject", "routing"])) return "fastify";
  if (hasFunction(value, "fetch")) return isHono(value) ? "hono" : "fetch";
  if (hasFunction(value, "callback") && Array.isArray(value["middleware"])) return "koa";
  if (typeof value !== "function") return undefined;
  if (hasFunction(value, "handle")) {
    if (hasFunction(value, "set")) return "express";
    if (Array.isArray(value["stack"])) return "connect";
  }
  return kindOfFunction(value);
}

/* eslint-disable typescript/no-unsafe-type-assertion -- each value has been looked at by adapterOf, or a person said so */

function fetchOf(value: unknown): FetchHandler {
  if (isHolder(value) && hasFunction(value, "fetch")) {
    const object = value as unknown as { fetch: FetchHandler };
    return (request, env, context) => object.fetch(request, env, context);
  }
  return checkFunction(value, "fetch") as FetchHandler;
}

function checkFunction(value: unknown, adapter: AdapterName): (...parameters: never[]) => unknown {
  if (typeof value === "function") return value as (...parameters: never[]) => unknown;
  throw new ContractError(
    `the adapter ${adapter} takes a function, and this is ${value === null ? "null" : `a ${typeof value}`}`,
  );
}

interface FastifyLike {
  ready(): PromiseLike<unknown>;
  readonly server: unknown;
  routing: NodeHandler;
}

async function fromFastify(value: unknown): Promise<Application> {
  const instance = value as FastifyLike;
  await instance.ready();
  if (instance.server instanceof Server) return fromServer(instance.server);
  return fromNodeHandler((req, res, next) => instance.routing(req, res, next));
}

function fromKoa(value: unknown): Application {
  return fromNodeHandler((value as { callback(): NodeHandler }).callback());
}

function adapt(adapter: AdapterName, value: unknown): Application | Promise<Application> {
  switch (adapter) {
    case "wsgi":
      return checkFunction(value, adapter) as unknown as Application;
    case "fetch":
    case "hono":
      return fromFetchHandler(fetchOf(value));
    case "node":
    case "express":
    case "connect": {
      const handler = checkFunction(value, adapter) as unknown as NodeHandler;
      if (adapter === "node" && handler.length >= 3) return fromNodeHandler(handler);
      // Express and Connect answer 404 and errors themselves when they get no third argument, as on node:http.
      const plain = handler as (req: unknown, res: unknown) => unknown;
      return fromNodeHandler((req, res) => plain(req, res));
    }
    case "koa":
      return fromKoa(value);
    case "fastify":
      return fromFastify(value);
    case "server":
      return fromServer(value as Server);
  }
}

/** Makes an application of any value that is one; undefined when it is none. `given` names the kind instead of its shape. */
export function recognize(value: unknown, given?: AdapterName): Recognized | undefined {
  const adapter = given ?? adapterOf(value);
  return adapter === undefined ? undefined : { adapter, application: adapt(adapter, value) };
}
