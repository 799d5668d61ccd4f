// An IP address or a subnet, as settings name them: "10.0.0.7", "10.0.0.0/24", "::1".

import { isIP } from "node:net";

export interface Subnet {
  readonly address: string;
  readonly family: "ipv4" | "ipv6";
  /** How many bits of the address count; all of them where none are said. */
  readonly bits: number;
}

/** Undefined for a text that is none. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, address = "", said] = /^([^/]*)(?:\/([0-9]{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const most = version === 6 ? 128 : 32;
  const bits = said === undefined ? most : Number(said);
  return version === 0 || bits > most ? undefined : { address, family: version === 6 ? "ipv6" : "ipv4", bits };
}
