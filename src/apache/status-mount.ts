// The daemon's status page in Apache: at a path of its own, for requests from this machine.
// Rules: ProxyPass stands inside the section, since there it goes before every other one of the server; who may ask is
// decided by the address of the connection, which no header of a request changes.

import type { ListenAddress } from "../config/address.ts";
import type { Directive } from "./directives.ts";
import { blank, block, line } from "./directives.ts";
import { backendOf } from "./proxy-fcgi.ts";

export interface StatusMount {
  /** "/x" without a slash at the end. */
  readonly mountPoint: string;
  /** Where the daemon serves the page (`--status`). */
  readonly address: ListenAddress;
}

/** The modules that it needs beside `proxy`. */
export const statusModules: readonly string[] = ["proxy_http", "authz_host"];

/** A reload answers when the new workers serve: the longest `--startup-timeout` that is usual. */
const reloadSeconds = 120;

/** The section; empty without a mount. Throws ConfigError for an address that Apache cannot reach. */
export function statusSection(mount: StatusMount | undefined): Directive[] {
  if (mount === undefined) return [];
  const { url } = backendOf(mount.address, "http");
  const pass = line(
    "ProxyPass",
    [url, "retry=0", "disablereuse=on", `timeout=${reloadSeconds}`],
    "The supervisor answers, also when every worker is stuck. retry: a daemon that was restarted is asked at once.",
  );
  const who = line(
    "Require",
    ["local"],
    "Requests from this machine only; paths and scripts can be read there. A later section that fits, such as one for /, would have the last word: this one comes last.",
  );
  return [blank, block("Location", [mount.mountPoint], [who, pass], "The status page of the daemon.")];
}
