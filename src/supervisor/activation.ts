// Sockets that a service manager opened for us: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES (sd_listen_fds(3)). Pure.
// Rules: variables that are for another process are not for us; none of them may reach a worker, nor may the variables of the
// service manager's other messages; a descriptor that no group takes is an error, since Apache would wait on it.

import { BootError } from "../errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface ActivatedSocket {
  readonly fd: number;
  /** FileDescriptorName= of the socket unit; by default the unit's own name, with ".socket". */
  readonly name: string;
}

const firstFd = 3;
const maxSockets = 1000;

/** What the service manager tells its main process, and no other. */
const serviceVariables: ReadonlySet<string> = new Set([
  "LISTEN_PID",
  "LISTEN_PIDFDID",
  "LISTEN_FDS",
  "LISTEN_FDNAMES",
  "NOTIFY_SOCKET",
  "WATCHDOG_PID",
  "WATCHDOG_USEC",
  "MAINPID",
]);

/** The listening sockets that were passed to the process `pid`. Throws BootError when their number makes no sense. */
export function activatedSockets(env: Environment, pid: number): readonly ActivatedSocket[] {
  if (env["LISTEN_PID"] !== String(pid)) return [];
  const text = env["LISTEN_FDS"] ?? "";
  const count = Number(text);
  if (!/^\d{1,4}$/.test(text) || count > maxSockets)
    throw new BootError(`LISTEN_FDS ${JSON.stringify(text)} is no count`);
  const names = env["LISTEN_FDNAMES"]?.split(":") ?? [];
  return Array.from({ length: count }, (_, index) => ({ fd: firstFd + index, name: names[index] ?? "unknown" }));
}

/**
 * The descriptor of each group that got one. The only socket is for the only group, whatever its name. Throws BootError for a
 * socket that no group takes, and for a second one of the same group.
 */
export function socketsOfGroups(
  groups: readonly string[],
  sockets: readonly ActivatedSocket[],
): ReadonlyMap<string, number> {
  const [first] = sockets;
  const [group] = groups;
  if (first !== undefined && group !== undefined && sockets.length === 1 && groups.length === 1) {
    return new Map([[group, first.fd]]);
  }
  const found = new Map<string, number>();
  for (const { fd, name } of sockets) {
    const given = `the socket ${JSON.stringify(name)} that was passed as descriptor ${fd}`;
    if (!groups.includes(name)) {
      throw new BootError(`${given} has no group's name: FileDescriptorName= must be one of ${groups.join(", ")}`);
    }
    if (found.has(name)) throw new BootError(`${given} is the second one of that name: a group has one socket`);
    found.set(name, fd);
  }
  return found;
}

/** The environment without what only the main process of a service is told. */
export function withoutServiceVariables(env: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !serviceVariables.has(name)));
}
