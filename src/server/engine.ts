// What speaks FastCGI in a worker: this project's engine, or the package node-fastcgi in its place (`--engine`).

import { createRequire } from "node:module";
import type { Server } from "node:net";
import type { EngineName } from "../config/engine.ts";
import { BootError } from "../errors.ts";
import type { DrainOptions, FastCgiOptions, FastCgiStats } from "./fastcgi-server.ts";
import { FastCgiServer } from "./fastcgi-server.ts";
import type { NodeFastCgiPackage } from "./node-fastcgi-engine.ts";
import { NodeFastCgiEngine } from "./node-fastcgi-engine.ts";
import type { SocketHandle } from "./socket-handle.ts";

/** The part of FastCgiServer that a worker uses. */
export interface Engine {
  readonly netServer: Server;
  readonly stats: FastCgiStats;
  adopt(handle: SocketHandle, bytes: Buffer | undefined, waitedMs?: number): void;
  drain(options: DrainOptions): Promise<boolean>;
}

/** Throws BootError unless what the engine needs is installed. Loads nothing. */
export function checkEngine(name: EngineName): void {
  if (name === "tsgi") return;
  try {
    createRequire(import.meta.url).resolve(name);
  } catch (error) {
    throw new BootError(`--engine ${name}: the package ${name} is not installed; run npm install ${name}`, error);
  }
}

/** Makes the engine; node-fastcgi is loaded only when it is asked for. Throws BootError when it is not installed. */
export function createEngine(name: EngineName, options: FastCgiOptions): Engine {
  if (name === "tsgi") return new FastCgiServer(options);
  checkEngine(name);
  return new NodeFastCgiEngine(createRequire(import.meta.url)(name) as NodeFastCgiPackage, options);
}
