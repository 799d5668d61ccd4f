// Opening the socket that Apache connects to.
// Rules: a unix socket is made with mode 0600 and widened last, so it is never open to more users than asked for; a file
// in its place is removed only when it is a socket of ours that nobody answers on; TCP serves loopback unless peers are
// listed.

import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, lstatSync, readFileSync, unlinkSync } from "node:fs";
import type { ListenOptions, Server, Socket } from "node:net";
import { BlockList, connect, isIP } from "node:net";
import { dirname } from "node:path";
import type { ListenAddress } from "../config/address.ts";
import { formatListenAddress, maxSocketPathBytes } from "../config/address.ts";
import { BootError, messageOf, systemCodeOf } from "../errors.ts";

export interface SocketAccess {
  /** Permission bits of a unix socket. */
  readonly mode: number;
  /** Group name or number that owns a unix socket; undefined leaves ours. */
  readonly group: string | undefined;
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

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new BootError(`${path} exists and is not a socket: move it away or choose another path`);
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0 && found.uid !== uid) throw new BootError(`${path} belongs to another user: choose another path`);
  if (await isAnswered(path)) throw new BootError(`${path} is in use: another process answers on it`);
  unlinkSync(path);
}

function groupId(group: string): number {
  if (/^[0-9]+$/.test(group)) return Number(group);
  for (const line of readFileSync("/etc/group", "latin1").split("\n")) {
    const [name, , gid] = line.split(":");
    if (name === group && gid !== undefined) return Number(gid);
  }
  try {
    const entry = execFileSync("getent", ["group", group], { encoding: "latin1", stdio: ["ignore", "pipe", "ignore"] });
    return Number(entry.split(":")[2]);
  } catch (error) {
    throw new BootError(`--socket-group: there is no group ${JSON.stringify(group)}`, error);
  }
}

/** Why a socket could not be opened, in words; libuv says EACCES for a folder that is not there. */
function reasonOf(error: Error, address: ListenAddress): string {
  if (systemCodeOf(error) === "EADDRINUSE") return "it is in use by another process";
  if (address.kind === "unix" && !existsSync(dirname(address.path)))
    return `there is no folder ${dirname(address.path)}`;
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

async function listenUnix(server: Server, path: string, access: SocketAccess): Promise<void> {
  if (Buffer.byteLength(path) > maxSocketPathBytes) {
    throw new BootError(
      `the socket path ${path} is longer than the ${maxSocketPathBytes} bytes that the system allows`,
    );
  }
  const gid = access.group === undefined ? undefined : groupId(access.group);
  await removeStale(path);
  const umask = process.umask(0o177);
  let opened: Promise<void>;
  try {
    opened = listening(server, { path, backlog }, { kind: "unix", path }); // binds before it returns
  } finally {
    process.umask(umask);
  }
  await opened;
  try {
    if (gid !== undefined) chownSync(path, -1, gid);
    chmodSync(path, access.mode);
  } catch (error) {
    server.close();
    throw new BootError(`cannot set the mode or group of ${path}: ${messageOf(error)}`, error);
  }
}

/** Opens the socket. Gives the address with the port that was really taken. Throws BootError. */
export async function listen(server: Server, address: ListenAddress, access: SocketAccess): Promise<ListenAddress> {
  switch (address.kind) {
    case "unix":
      await listenUnix(server, address.path, access);
      return address;
    case "fd":
      await listening(server, { fd: address.fd }, address);
      return address;
    case "tcp": {
      await listening(server, { host: address.host, port: address.port, backlog }, address);
      const bound = server.address();
      return typeof bound === "object" && bound !== null ? { ...address, port: bound.port } : address;
    }
  }
}

/** How many refused addresses are remembered, so that each is logged once. */
const maxLoggedPeers = 1000;

/**
 * Tells which peers may connect over TCP: loopback and the listed addresses ("10.0.0.7", "10.0.0.0/24", "::1"). Unix
 * sockets are guarded by their mode. `onRefused` gets each refused address once.
 */
export function createPeerCheck(
  allow: readonly string[],
  onRefused: (address: string) => void,
): (socket: Socket) => boolean {
  const list = new BlockList();
  list.addSubnet("127.0.0.0", 8, "ipv4");
  list.addAddress("::1", "ipv6");
  for (const entry of allow) addEntry(list, entry);
  const logged = new Set<string>();
  return (socket) => {
    const address = socket.remoteAddress;
    if (address === undefined) return socket.remoteFamily === undefined; // a unix socket has neither
    if (list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")) return true;
    if (!logged.has(address) && logged.size < maxLoggedPeers) {
      logged.add(address);
      onRefused(address);
    }
    return false;
  };
}

function addEntry(list: BlockList, entry: string): void {
  const [, address = "", bits] = /^([^/]*)(?:\/([0-9]{1,3}))?$/.exec(entry) ?? [];
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  const most = family === "ipv6" ? 128 : 32;
  if (isIP(address) === 0 || Number(bits ?? 0) > most) {
    throw new BootError(`--allow: ${JSON.stringify(entry)} is no IP address and no subnet`);
  }
  if (bits === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(bits), family);
}
