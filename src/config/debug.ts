// Where `--debug` may be used at all: its pages show source code, so nobody but this machine may reach the daemon.

import { BlockList, isIP } from "node:net";
import type { ListenAddress } from "./address.ts";
import { formatListenAddress } from "./address.ts";

let loopback: BlockList | undefined;

function loopbackList(): BlockList {
  const list = new BlockList();
  list.addSubnet("127.0.0.0", 8, "ipv4");
  list.addAddress("::1", "ipv6");
  return list;
}

/** Whether an IP address is one of this machine's own loopback interface. */
export function isLoopback(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  loopback ??= loopbackList();
  return loopback.check(address, family === 6 ? "ipv6" : "ipv4");
}

function isLocal(host: string): boolean {
  return host === "localhost" || isLoopback(host);
}

/** What keeps `--debug` from being used with an address; undefined when nothing does. */
export function debugProblem(listen: ListenAddress): string | undefined {
  if (listen.kind === "unix" || (listen.kind === "tcp" && isLocal(listen.host))) return undefined;
  return `--debug does not go with ${formatListenAddress(listen)}: it needs a unix socket or a loopback address`;
}
