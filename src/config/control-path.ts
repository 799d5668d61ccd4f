// Where a daemon's control socket is when nobody says it: beside its unix socket, or in the folder for this user's sockets.
// Rules: the daemon and the commands that look for it go by the same address; the path is never longer than a socket's may be;
// a folder below a public one is used only when nobody else can write to it.

import { createHash } from "node:crypto";
import { lstatSync, mkdirSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { BootError, messageOf, systemCodeOf } from "../errors.ts";
import type { ListenAddress } from "./address.ts";
import { maxSocketPathBytes } from "./address.ts";

type Environment = Readonly<Record<string, string | undefined>>;

function ownUid(): number {
  return process.getuid?.() ?? 0;
}

/** The folder that is made when the system gives this user none. */
function fallbackFolder(env: Environment): string {
  const temporary = env["TMPDIR"];
  return join(temporary === undefined || !isAbsolute(temporary) ? "/tmp" : resolve(temporary), `tsgi-${ownUid()}`);
}

function systemFolder(env: Environment): string | undefined {
  const folder = env["XDG_RUNTIME_DIR"];
  return folder !== undefined && isAbsolute(folder) ? folder : undefined;
}

/** The name in a folder that daemons share; undefined when the address says nothing that would tell them apart. */
function sharedName(listen: ListenAddress): string | undefined {
  switch (listen.kind) {
    case "unix":
      return `tsgi-${createHash("sha256").update(resolve(listen.path)).digest("hex").slice(0, 16)}.control`;
    case "tcp":
      return `tsgi-${listen.host}-${listen.port}.control`;
    case "fd":
      return undefined;
  }
}

/**
 * The places where the control socket of a daemon may be, the one it takes first. The second is for a command in a login
 * session, which has a folder for sockets that a service of the same user does not have. None for a descriptor: it has no
 * name. A TCP port must be the one that was really taken.
 */
export function controlPaths(listen: ListenAddress, env: Environment): readonly string[] {
  if (listen.kind === "unix") {
    const beside = `${resolve(listen.path)}.control`;
    if (Buffer.byteLength(beside) <= maxSocketPathBytes) return [beside];
  }
  const name = sharedName(listen);
  if (name === undefined) return [];
  return [systemFolder(env) ?? [], fallbackFolder(env)].flat().map((folder) => join(folder, name));
}

/** Where a daemon that listens there has its control socket, or undefined when `--control` must say it. */
export function defaultControlPath(listen: ListenAddress, env: Environment): string | undefined {
  return controlPaths(listen, env)[0];
}

/** Throws BootError when the folder of a default path could be somebody else's. A folder that is not there is fine. */
export function checkControlFolder(controlPath: string, env: Environment): void {
  const folder = dirname(controlPath);
  if (folder !== fallbackFolder(env)) return;
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory() || found.uid !== ownUid() || (found.mode & 0o077) !== 0) {
    throw new BootError(`${folder} is not a folder for this user alone (mode 0700): remove it, or use --control`);
  }
}

/** Makes the folder of a default path where there is none, and checks it. Throws BootError. */
export function makeControlFolder(controlPath: string, env: Environment): void {
  const folder = dirname(controlPath);
  if (folder !== fallbackFolder(env)) return;
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw new BootError(`cannot make ${folder}: ${messageOf(error)}`, error);
  }
  checkControlFolder(controlPath, env);
}
