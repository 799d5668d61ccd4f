// Finds the warm daemon of an application, or starts it. The current folder is that of the sockets.
// Rules: as in bin/tsgi-relay.pl: sockets are called KEY.NUMBER, the highest counts, and a dead one is followed by the next,
// which one process makes by link(2); nothing is sent before the daemon has greeted; after deaths in a row there is none for
// a while. What is not possible is no error: the request is served here then.

import { spawn } from "node:child_process";
import {
  existsSync,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { systemCodeOf } from "../../errors.ts";

export interface DaemonCommand {
  readonly key: string;
  /** The folder of sockets, for the daemon, which runs in another one. */
  readonly folder: string;
  /** Where the daemon runs. */
  readonly cwd: string;
  readonly main: string;
  /** What follows the socket and the log on its command line. */
  readonly args: readonly string[];
  readonly heapMegabytes: number;
  readonly environment: Record<string, string>;
}

const bootMs = 20_000;
const greetingMs = 5000;
const quarantineMs = 60_000;
const youngMs = 10_000;
const youngDeaths = 3;
const maxDaemons = 32;
const maxLogBytes = 2 ** 20;

/** A connection to a daemon that has said it takes a request; undefined when there is none. Never rejects. */
export async function connectDaemon(command: DaemonCommand): Promise<Socket | undefined> {
  try {
    return isQuarantined(command) ? undefined : await search(command);
  } catch {
    return undefined;
  }
}

/** What came of one number: a connection, nothing for now, another look, a next number, or a daemon that did not greet. */
type Attempt = Socket | "none" | "again" | "next" | "unheard";

async function search(command: DaemonCommand): Promise<Socket | undefined> {
  let unheard = 0;
  for (let attempt = 0; attempt < 6; attempt += 1) {
    const { number, daemons } = findNumber(command.key);
    if (number === 0 && daemons >= maxDaemons && !(await sweep())) return undefined;
    const outcome = number === 0 ? "next" : await tryDaemon(command.key, number);
    if (typeof outcome === "object") return outcome;
    if (outcome === "none") return undefined;
    if (outcome === "unheard") unheard += 1;
    if (unheard === 3) return quarantine(command.key, "the daemon ended before it took a request");
    if (outcome !== "next" || startDaemon(command, number + 1)) continue;
    return quarantine(command.key, "the daemon cannot be started");
  }
  return undefined;
}

async function tryDaemon(key: string, number: number): Promise<Attempt> {
  const name = `${key}.${number}`;
  const status = lstatSync(name, { throwIfNoEntry: false });
  if (status === undefined) return "again";
  if (status.uid !== process.geteuid?.() || !status.isSocket()) return "none";
  const ageMs = Date.now() - status.mtimeMs;
  const greeted = await greet(name, ageMs < bootMs ? bootMs : greetingMs);
  if (typeof greeted === "object") return greeted;
  if (greeted === "late") {
    if (ageMs < 0 || ageMs >= bootMs) {
      rmSync(name, { force: true }); // it hangs, or is busy: without its name it ends as soon as it can
      quarantine(key, `the daemon did not answer for ${greetingMs / 1000} s`);
    }
    return "none";
  }
  if (greeted === "ended") return "unheard";
  if (!existsSync(name)) return "again";
  if (ageMs >= youngMs || number < youngDeaths) return "next";
  quarantine(key, `the daemon was killed ${number} times`);
  return "none";
}

function isQuarantined({ key }: DaemonCommand): boolean {
  const status = statSync(`${key}.failed`, { throwIfNoEntry: false });
  if (status === undefined) return false;
  const ageMs = Date.now() - status.mtimeMs;
  if (ageMs >= 0 && ageMs < quarantineMs) return true;
  unlinkSync(`${key}.failed`);
  return false;
}

function quarantine(key: string, why: string): undefined {
  writeFileSync(`${key}.failed`, `${why}\n`, { mode: 0o600 });
  process.stderr.write(`tsgi: no warm daemon for ${quarantineMs / 1000} s: ${why}\n`);
}

function findNumber(key: string): { readonly number: number; readonly daemons: number } {
  const found = readdirSync(".").map((name) => /^([0-9a-f]{16})\.([0-9]+)$/.exec(name));
  const numbers = found.filter((match) => match?.[1] === key).map((match) => Number(match?.[2]));
  const keys = new Set(found.map((match) => match?.[1]).filter((one) => one !== undefined));
  return { number: Math.max(0, ...numbers), daemons: keys.size };
}

/** Takes away the sockets of daemons that were killed and that nobody asks for any more; true when there was one. */
async function sweep(): Promise<boolean> {
  const names = readdirSync(".").filter((name) => /^[0-9a-f]{16}\.[0-9]+$/.test(name));
  const areDead = await Promise.all(names.map((name) => isDead(name)));
  const dead = names.filter((_, index) => areDead[index]);
  for (const name of dead) rmSync(name, { force: true });
  return dead.length > 0;
}

async function isDead(name: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ path: name });
    const done = (outcome: boolean): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.on("connect", () => done(false)).on("error", (error) => done(systemCodeOf(error) === "ECONNREFUSED"));
  });
}

/** The connection when the daemon takes it; why not otherwise. */
async function greet(name: string, deadlineMs: number): Promise<Socket | "late" | "ended" | "dead"> {
  return await new Promise((resolve) => {
    const socket = connect({ path: name, allowHalfOpen: true });
    const done = (outcome: Socket | "late" | "ended" | "dead"): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      if (typeof outcome === "string") socket.on("error", () => {}).destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => done("late"), deadlineMs);
    socket.on("error", (error) => {
      const code = systemCodeOf(error);
      done(code === "ECONNREFUSED" ? "dead" : code === "EAGAIN" ? "late" : "ended"); // EAGAIN: its backlog is full
    });
    socket.on("end", () => done("ended"));
    socket.on("readable", () => {
      const byte = socket.read(1) as Buffer | null;
      if (byte !== null) done(byte.toString() === "R" ? socket : "ended");
    });
  });
}

/** Opens the socket for a daemon and starts it, unless somebody else does. All in one turn: nothing is accepted here. */
function startDaemon(command: DaemonCommand, number: number): boolean {
  const temporary = `new.${process.pid}`;
  const name = `${command.key}.${number}`;
  const server = createServer();
  server.on("error", () => {});
  rmSync(temporary, { force: true }); // of a process that had our number before
  const umask = process.umask(0o177);
  try {
    server.listen({ path: temporary, backlog: 4096 });
  } finally {
    process.umask(umask);
  }
  try {
    // The types leave the handle out, which is there as soon as a path was bound.
    const { _handle: handle } = server as unknown as { readonly _handle: { readonly fd: number } | null };
    if (handle === null || handle.fd < 0) return false;
    linkSync(temporary, name);
    if (number > 1 && existsSync(`${command.key}.${number - 1}`)) unlinkSync(`${command.key}.${number - 1}`);
    return spawnDaemon(command, name, handle.fd);
  } catch (error) {
    return systemCodeOf(error) === "EEXIST";
  } finally {
    server.close();
    if (existsSync(temporary)) unlinkSync(temporary);
  }
}

function spawnDaemon(command: DaemonCommand, name: string, fd: number): boolean {
  const isLogApaches = fstatSync(2).isFile(); // a pipe is read by somebody who waits for its end
  const logName = `${command.key}.log`;
  const isLarge = (statSync(logName, { throwIfNoEntry: false })?.size ?? 0) > maxLogBytes;
  const logFd = isLogApaches ? 2 : openSync(logName, isLarge ? "w" : "a", 0o600);
  const args = [
    `--max-old-space-size=${command.heapMegabytes}`,
    command.main,
    `${command.folder}/${name}`,
    isLogApaches ? "apache" : "own",
    ...command.args,
  ];
  const child = spawn(process.execPath, args, {
    cwd: command.cwd,
    detached: true,
    env: command.environment,
    stdio: ["ignore", logFd, logFd, fd],
  });
  child.on("error", () => {});
  child.unref();
  return child.pid !== undefined;
}
