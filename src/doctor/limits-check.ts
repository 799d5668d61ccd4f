// What the machine gives a program: memory, processes, room on the disk, a folder for compiled scripts.

import { shellWord } from "../apache/htaccess.ts";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Account } from "../server/httpd/account.ts";
import { bits, linkStatusOf, modeText, nameOfUser, obstacleTo, statusOf, textOf } from "./access.ts";
import type { ReadDirective } from "./directive-text.ts";
import type { Finding } from "./finding.ts";
import { roomAt } from "./mounts.ts";
import type { Subject } from "./subject.ts";

const mebibyte = 1024 * 1024;

/** Node reserves much more address space than it uses: WebAssembly, which `fetch` needs, fails below some 10 GiB. */
const leastAddressSpace = 10 * 1024 * mebibyte;
/** A process of Node is some ten threads, and each counts. */
const leastProcesses = 50;
const leastRoom = 10 * mebibyte;
const leastFiles = 100;

function memoryFinding(bytes: number, place: string, what: string): Finding[] {
  if (!Number.isFinite(bytes) || bytes <= 0 || bytes >= leastAddressSpace) return [];
  const message = `${what} leaves a program ${Math.floor(bytes / mebibyte)} MiB of address space: Node fails at its start, or in fetch and WebAssembly`;
  return [
    {
      code: "TSGI3552",
      severity: "warning",
      place,
      message,
      remedy: "raise it to 10 GiB or take it away, or run node with --disable-wasm-trap-handler",
    },
  ];
}

function processFinding(count: number, place: string, what: string): Finding[] {
  if (!Number.isFinite(count) || count <= 0 || count >= leastProcesses) return [];
  const message = `${what} leaves the account ${count} processes and threads: one Node needs about ten`;
  return [
    {
      code: "TSGI3553",
      severity: "warning",
      place,
      message,
      remedy: "raise it, or run one daemon in place of CGI or mod_fcgid",
    },
  ];
}

function number(text: string | undefined): number {
  return text === undefined || /^(?:max|unlimited)$/i.test(text) ? Number.POSITIVE_INFINITY : Number(text);
}

function directiveFindings(subject: Subject): Finding[] {
  const all: readonly ReadDirective[] = subject.setup.layers.flatMap(({ directives }) => directives);
  const last = (name: string): ReadDirective | undefined => all.findLast((one) => one.name.toLowerCase() === name);
  const memory = last("rlimitmem");
  const processes = last("rlimitnproc");
  return [
    ...(memory === undefined
      ? []
      : memoryFinding(number(memory.args[0]), `${memory.file}:${memory.line}`, "RLimitMEM")),
    ...(processes === undefined
      ? []
      : processFinding(number(processes.args[0]), `${processes.file}:${processes.line}`, "RLimitNPROC")),
  ];
}

/** The soft limits in a table as /proc has them. */
export function limitFindings(table: string, place: string): Finding[] {
  const valueOf = (name: string): number => number(new RegExp(`^${name}\\s+(\\S+)`, "m").exec(table)?.[1]);
  return [
    ...memoryFinding(valueOf("Max address space"), place, "ulimit -v"),
    ...processFinding(valueOf("Max processes"), place, "ulimit -u"),
  ];
}

/** The limits of the running server, which its programs have too, and our own. */
function processFindings({ apache }: Subject): Finding[] {
  const pid = apache?.pid;
  const server = pid === undefined ? "" : (textOf(`/proc/${pid}/limits`) ?? "");
  const own = textOf("/proc/self/limits") ?? "";
  return [...limitFindings(server, `process ${pid ?? ""} of Apache`), ...limitFindings(own, "this shell")];
}

function roomFindings(folder: string): Finding[] {
  const room = roomAt(folder);
  if (room === undefined || (room.bytes >= leastRoom && room.files >= leastFiles)) return [];
  const what = room.bytes < leastRoom ? `${Math.floor(room.bytes / 1024)} KiB` : `${room.files} files`;
  return [
    {
      code: "TSGI3554",
      severity: "error",
      place: folder,
      message: `the disk is full: there is room for ${what}`,
      remedy: `free some: df -h ${shellWord(folder)}; df -i ${shellWord(folder)}`,
    },
  ];
}

/** The nearest folder of a path that is there. */
function nearest(path: string): string {
  return statusOf(path) !== undefined || dirname(path) === path ? path : nearest(dirname(path));
}

/** The folder for compiled scripts that a wrapper or a directive names. */
function cacheFindings(folder: string, { runner }: Subject): Finding[] {
  const status = linkStatusOf(folder);
  const rooms = roomFindings(nearest(folder));
  if (runner === undefined || rooms.length > 0) return rooms;
  const finding = (message: string, remedy: string): Finding[] => [
    {
      code: "TSGI3555",
      severity: "error",
      place: folder,
      message: `compiled scripts cannot be kept there: ${message}`,
      remedy,
    },
  ];
  if (status === undefined) {
    const parent = nearest(dirname(folder));
    const obstacle = obstacleTo(parent, runner, bits.write | bits.run);
    if (obstacle === undefined || obstacle.kind === "unseen") return [];
    return finding(
      `it is not there, and ${runner.user} may not write to ${obstacle.path}`,
      `mkdir -p ${shellWord(folder)} && chown ${runner.uid}:${runner.gid} ${shellWord(folder)} && chmod 700 ${shellWord(folder)}`,
    );
  }
  if (!status.isDirectory()) return finding("it is no folder", `name a folder with --cache-dir`);
  if (status.uid !== runner.uid)
    return finding(
      `it belongs to ${nameOfUser(status.uid)}, and programs run as ${runner.user}`,
      `chown -R ${runner.uid}:${runner.gid} ${shellWord(folder)}`,
    );
  if ((status.mode & 0o077) !== 0)
    return finding(`its mode is ${modeText(status)}, and others may use it`, `chmod 700 ${shellWord(folder)}`);
  if ((status.mode & 0o700) !== 0o700)
    return finding(
      `its mode is ${modeText(status)}, and ${runner.user} may not write`,
      `chmod 700 ${shellWord(folder)}`,
    );
  return [];
}

/** Whether a user has, or can make, a folder for compiled scripts below his home. */
function hasHomeCache({ uid, user }: Account): boolean {
  const line = (textOf("/etc/passwd") ?? "").split("\n").find((entry) => entry.startsWith(`${user}:`));
  const home = line?.split(":")[5];
  return home !== undefined && statusOf(nearest(join(home, ".cache/tsgi")))?.uid === uid;
}

/** Where nothing names a folder: below the home, else one of the user's own in the temporary folder. */
function usualCacheFindings(subject: Subject): Finding[] {
  const { runner, programs } = subject;
  if (runner === undefined || programs.length === 0 || hasHomeCache(runner)) return [];
  return cacheFindings(join(tmpdir(), `tsgi-${runner.uid}`), subject);
}

export function machineFindings(subject: Subject, cacheDirs: readonly string[]): Finding[] {
  const places = new Set([tmpdir(), subject.folder]);
  const said = subject.setup.layers
    .flatMap(({ directives }) => directives)
    .filter(({ name, args }) => /^setenv$/i.test(name) && args[0] === "TSGI_CACHE_DIR")
    .map(({ args }) => args[1] ?? "");
  return [
    ...directiveFindings(subject),
    ...processFindings(subject),
    ...[...places].flatMap(roomFindings),
    ...(cacheDirs.length + said.length === 0 ? usualCacheFindings(subject) : []),
    ...[...cacheDirs, ...said]
      .filter((folder) => folder.startsWith("/"))
      .flatMap((folder) => cacheFindings(join(folder), subject)),
  ];
}
