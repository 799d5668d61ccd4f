// Who may connect: over TCP the loopback interface, and others only when they are listed.
// Rules: a peer whose address cannot be told is refused, unless its socket is a unix socket, which its mode guards.

import { BlockList, isIP } from "node:net";
import { parseSubnet } from "../config/subnet.ts";
import { BootError } from "../errors.ts";

/** How many refused addresses are remembered, so that each is logged once. */
const maxLoggedPeers = 1000;

/** Who has connected, as a Socket says it: a unix socket has neither. */
export interface Peer {
  /** A TCP peer that has reset its connection has none any more, though what it sent can be read. */
  readonly remoteAddress?: string | undefined;
  readonly localFamily?: string | undefined;
}

/**
 * Tells which peers may connect over TCP: loopback and the listed addresses ("10.0.0.7", "10.0.0.0/24", "::1"). Unix
 * sockets are guarded by their mode. `onRefused` gets each refused address once.
 */
export function createPeerCheck(
  allow: readonly string[],
  onRefused: (address: string) => void,
): (peer: Peer) => boolean {
  let list = allow.length === 0 ? undefined : allowedList(allow);
  const logged = new Set<string>();
  return (peer) => {
    const address = peer.remoteAddress;
    if (address === undefined) return peer.localFamily === undefined;
    list ??= allowedList(allow);
    if (list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")) return true;
    if (!logged.has(address) && logged.size < maxLoggedPeers) {
      logged.add(address);
      onRefused(address);
    }
    return false;
  };
}

function allowedList(allow: readonly string[]): BlockList {
  const list = addressList(allow, "--allow");
  list.addSubnet("127.0.0.0", 8, "ipv4");
  list.addAddress("::1", "ipv6");
  return list;
}

/** Addresses and subnets, as `flag` names them. Throws BootError. */
export function addressList(entries: readonly string[], flag: string): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const subnet = parseSubnet(entry);
    if (subnet === undefined) throw new BootError(`${flag}: ${JSON.stringify(entry)} is no IP address and no subnet`);
    list.addSubnet(subnet.address, subnet.bits, subnet.family);
  }
  return list;
}
