// Opening the socket that Apache connects to.
// Rules: a unix socket is made under a name of its own with mode 0600, gets its owner and mode, and is then renamed into
// place: at its path it is never open to more users than asked for, and the one that it replaces is never missing; a file
// in its place is replaced only when it is a socket of ours that nobody answers on.

import { chmodSync, chownSync, existsSync, lstatSync, renameSync, unlinkSync } from "node:fs";
import type { ListenOptions, Server } from "node:net";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { ListenAddress } from "../config/address.ts";
import { formatListenAddress, maxSocketPathBytes } from "../config/address.ts";
import { BootError, messageOf, systemCodeOf } from "../errors.ts";

export interface SocketAccess {
  /** Permission bits of a unix socket. */
  readonly mode: number;
  /** Owner of a unix socket, and its group; undefined leaves ours. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Whether a socket that is answered may be replaced: by workers, say, whose supervisor is known to be dead. */
  readonly mayReplace: boolean;
}

/** An open socket, and the file that it has when it is a unix socket. */
export interface OpenSocket {
  /** With the port that was really taken. */
  readonly address: ListenAddress;
  /** "absent" and "replaced" when somebody took the file away, or put something else there. */
  fileState(): "in-place" | "absent" | "replaced";
  /** Removes the file if it is still this socket's. */
  removeFile(): void;
}

const backlog = 4096;
const probeMs = 2000;

/** Whether anyone accepts connections on the socket file. */
async function isAnswered(path: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.setTimeout(probeMs, () => {
      socket.destroy();
      resolve(true); // a full backlog: somebody holds it
    });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => {
      if (systemCodeOf(error) === "ECONNREFUSED" || systemCodeOf(error) === "ENOENT") resolve(false);
      else reject(error);
    });
  });
}

/** Throws BootError unless the path is free, or holds a socket that may be replaced. */
async function checkPlace(path: string, mayReplace: boolean): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new BootError(`${path} exists and is not a socket: move it away or choose another path`);
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0 && found.uid !== uid) throw new BootError(`${path} belongs to another user: choose another path`);
  if (mayReplace) return;
  if (await isAnswered(path)) throw new BootError(`${path} is in use: another process answers on it`);
}

/** Why a socket could not be opened, in words; libuv says EACCES for a folder that is not there. */
function reasonOf(error: Error, address: ListenAddress): string {
  if (systemCodeOf(error) === "EADDRINUSE") return "it is in use by another process";
  if (address.kind === "unix" && !existsSync(dirname(address.path)))
    return `there is no folder ${dirname(address.path)}`;
  if (address.kind === "unix" && systemCodeOf(error) === "EACCES") return "permission denied";
  if (address.kind === "fd") return `descriptor ${address.fd} is not a listening socket (${messageOf(error)})`;
  return messageOf(error);
}

function listening(
  server: Server,
  options: ListenOptions | { readonly fd: number },
  address: ListenAddress,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      const why = reasonOf(error, address);
      reject(new BootError(`cannot listen on ${formatListenAddress(address)}: ${why}`, error));
    };
    server.once("error", failed);
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the types leave out { fd }, which Node documents
    server.listen(options as ListenOptions, () => {
      server.removeListener("error", failed);
      resolve();
    });
  });
}

interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

class UnixSocketFile implements OpenSocket {
  readonly address: ListenAddress;
  readonly #path: string;
  readonly #identity: FileIdentity;

  constructor(path: string, identity: FileIdentity) {
    this.address = { kind: "unix", path };
    this.#path = path;
    this.#identity = identity;
  }

  fileState(): "in-place" | "absent" | "replaced" {
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    if (found === undefined) return "absent";
    return found.ino === this.#identity.ino && found.dev === this.#identity.dev ? "in-place" : "replaced";
  }

  removeFile(): void {
    if (this.fileState() === "in-place") unlinkSync(this.#path);
  }
}

function withoutFile(address: ListenAddress): OpenSocket {
  return { address, fileState: () => "in-place", removeFile: () => {} };
}

/** Binds before it returns, so that the umask is ours alone. `finalPath` is told where that fails. */
function bindPrivately(server: Server, path: string, finalPath: string): Promise<void> {
  const umask = process.umask(0o177);
  try {
    return listening(server, { path, backlog }, { kind: "unix", path: finalPath });
  } finally {
    process.umask(umask);
  }
}

let lastTemporary = 0;

async function listenUnix(server: Server, path: string, access: SocketAccess): Promise<OpenSocket> {
  if (Buffer.byteLength(path) > maxSocketPathBytes) {
    throw new BootError(
      `the socket path ${path} is longer than the ${maxSocketPathBytes} bytes that the system allows`,
    );
  }
  await checkPlace(path, access.mayReplace);
  lastTemporary += 1;
  const temporary = temporaryBeside(path, `${process.pid.toString(36)}.${lastTemporary.toString(36)}`);
  await bindPrivately(server, temporary, path);
  try {
    if (access.uid !== undefined || access.gid !== undefined) chownSync(temporary, access.uid ?? -1, access.gid ?? -1);
    chmodSync(temporary, access.mode);
    const identity = lstatSync(temporary);
    renameSync(temporary, path);
    return new UnixSocketFile(path, identity);
  } catch (error) {
    server.close();
    const advice =
      systemCodeOf(error) === "EPERM" && access.gid !== undefined && process.getuid?.() !== 0
        ? "; only a member of a group may give a socket to it (usermod -aG, or SupplementaryGroups= in a unit)"
        : "";
    throw new BootError(`cannot set the place, mode or group of ${path}: ${messageOf(error)}${advice}`, error);
  }
}

/** A name in the same folder that a socket may have: a path that is nearly too long leaves little room. */
function temporaryBeside(path: string, unique: string): string {
  const long = `${path}.${unique}`;
  return Buffer.byteLength(long) <= maxSocketPathBytes ? long : `${dirname(path)}/.${unique}`;
}

/** Opens the socket. Throws BootError. */
export async function listen(server: Server, address: ListenAddress, access: SocketAccess): Promise<OpenSocket> {
  switch (address.kind) {
    case "unix":
      return await listenUnix(server, address.path, access);
    case "fd":
      await listening(server, { fd: address.fd }, address);
      return withoutFile(address);
    case "tcp": {
      await listening(server, { host: address.host, port: address.port, backlog }, address);
      const bound = server.address();
      return withoutFile(typeof bound === "object" && bound !== null ? { ...address, port: bound.port } : address);
    }
  }
}
