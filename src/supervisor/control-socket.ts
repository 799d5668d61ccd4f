// The file of the control socket: whose it is, taking its place, and whether a supervisor answers there.
// Rules: the socket is made under another name and renamed into place, so that it is there only when it answers; the file of
// a dead daemon is taken over, a living one is left alone.

import { lstatSync, renameSync } from "node:fs";
import type { Server } from "node:net";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { maxSocketPathBytes } from "../config/address.ts";
import { BootError, messageOf, systemCodeOf } from "../errors.ts";
import { askControl, fieldOf } from "./control-request.ts";

const probeMs = 2000;
const attempts = 5;

/** Which file it is, whatever its name. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

export function isSame(a: FileIdentity | undefined, b: FileIdentity | undefined): boolean {
  return a?.dev === b?.dev && a?.ino === b?.ino;
}

/**
 * Whether a supervisor has this control socket: "dead" when one had it and nobody accepts on it any more. Throws BootError
 * when that cannot be told, for instance because the socket is another user's.
 */
export async function isSupervisorAlive(controlPath: string): Promise<"alive" | "dead" | "absent"> {
  if (lstatSync(controlPath, { throwIfNoEntry: false })?.isSocket() !== true) return "absent";
  return await new Promise((resolve, reject) => {
    const socket = connect(controlPath);
    const finish = (answer: "alive" | "dead" | "absent"): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(probeMs, () => finish("alive")); // somebody holds it
    socket.once("connect", () => finish("alive"));
    socket.once("error", (error) => {
      const code = systemCodeOf(error);
      if (code === "ECONNREFUSED") finish("dead");
      else if (code === "ENOENT") finish("absent");
      else if (code === "EAGAIN") finish("alive"); // as many wait to be accepted as the system allows
      else reject(new BootError(`cannot tell whether a daemon answers on ${controlPath}: ${messageOf(error)}`, error));
    });
  });
}

/** The file at the place, which may be replaced. Throws BootError when it may not. */
async function staleFile(path: string): Promise<FileIdentity | undefined> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isSocket()) throw new BootError(`${path} exists and is not a socket: move it away or choose another path`);
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0 && found.uid !== uid) throw new BootError(`${path} belongs to another user: choose another path`);
  const outcome = await askControl({ path, method: "GET", target: "/status", timeoutMs: probeMs });
  if (outcome.kind === "absent") return undefined;
  if (outcome.kind === "dead") return found;
  const pid = outcome.kind === "answer" ? fieldOf(outcome.body, "pid") : undefined;
  if (typeof pid === "number") throw new BootError(`another tsgi daemon runs: pid ${pid} answers on ${path}`);
  throw new BootError(`${path} is in use: another process answers on it`);
}

/** Listens on a path with mode 0600 from the first moment. */
async function bind(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void =>
      reject(new BootError(`cannot open the control socket in ${dirname(path)}: ${messageOf(error)}`, error));
    server.once("error", failed);
    const umask = process.umask(0o177);
    try {
      // Binds before it returns.
      server.listen({ path }, () => {
        server.removeListener("error", failed);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** Puts a listening socket at the path. Throws BootError when somebody is there, or it cannot be done. */
export async function takePlace(server: Server, path: string): Promise<FileIdentity> {
  const made = join(dirname(path), `.${Math.random().toString(16).slice(2, 14)}`); // node:crypto takes longer than all else
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(made)) > maxSocketPathBytes) {
    throw new BootError(
      `the control socket's path ${path} is longer than the system allows (${maxSocketPathBytes} bytes): give a shorter one with --control`,
    );
  }
  let stale = await staleFile(path);
  await bind(server, made);
  try {
    for (let attempt = 1; ; attempt += 1) {
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (isSame(found, stale)) break;
      if (attempt === attempts) throw new BootError(`${path} is in use: other processes make it again and again`);
      stale = await staleFile(path);
    }
    renameSync(made, path);
    return lstatSync(path);
  } catch (error) {
    server.close();
    if (error instanceof BootError) throw error;
    throw new BootError(`cannot make the control socket ${path}: ${messageOf(error)}`, error);
  }
}
