// A private server root on disk: its folders with the right owners, `httpd.conf`, and what is left of it at the end.
// Rules: root's own files and what Apache's user may write are in different folders, so that a broken-in worker cannot
// make root write anywhere; nobody else can enter; a folder that is not ours is never written to.

import { execFile } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { render } from "../../apache/directives.ts";
import type { ServerMode } from "../../apache/server-root.ts";
import { requiredModules, serverRoot, serverRootNames as names } from "../../apache/server-root.ts";
import type { Site } from "../../apache/site.ts";
import { parseListenAddress } from "../../config/address.ts";
import { BootError, messageOf, systemCodeOf } from "../../errors.ts";
import type { LogLevel } from "../../log.ts";
import type { Account } from "./account.ts";
import { serverAccount } from "./account.ts";
import type { FindHttpdOptions, Httpd } from "./find.ts";
import { findHttpd, findMediaTypes } from "./find.ts";
import { chooseMpm, findLoadable } from "./modules.ts";
import { frontProgram } from "./programs.ts";
import type { ProxyTrust } from "../trusted-proxies.ts";
import { requireReach } from "./reach.ts";

export interface PrivateServer {
  /** Every path is absolute and real. */
  readonly site: Site;
  readonly mode: ServerMode;
  readonly host: string;
  readonly logLevel: LogLevel;
  readonly hasAccessLog: boolean;
  /** An absolute path. */
  readonly errorPage?: string | undefined;
  readonly isDebug?: boolean;
  readonly proxies?: ProxyTrust | undefined;
  /** URL path of the status page; undefined: there is none. */
  readonly statusMount?: string | undefined;
  /** Our own programs: Apache's user must be able to read them. */
  readonly programFiles: readonly string[];
  /** The folder to use and keep; undefined makes one in the system's folder for temporary files. */
  readonly folder: string | undefined;
  readonly httpd: FindHttpdOptions;
}

/** Apache's own names for our log levels. Its notices and warnings are few, so "info" is "warn" there. */
const apacheLogLevels: Readonly<Record<LogLevel, string>> = {
  trace: "trace2",
  debug: "debug",
  info: "warn",
  warn: "warn",
  error: "error",
  fatal: "crit",
  silent: "emerg",
};

/** Where Apache writes: a file or pipe inside the server root, or elsewhere. */
export interface LogFiles {
  readonly error: string;
  /** Used when the access log is on. */
  readonly access: string;
}

/** What is left of a unix socket's 107 bytes when the longest name of ours is taken off. */
const maxFolderBytes = 80;

const firstLine = "# A private Apache, written by tsgi.";
const run = promisify(execFile);
const checkMs = 30_000;

/** The process that a pid file names; undefined when it does not run. */
export function runningPid(pidFile: string): number | undefined {
  if (!existsSync(pidFile)) return undefined;
  const pid = Number(readFileSync(pidFile, "latin1").trim());
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return systemCodeOf(error) === "EPERM" ? pid : undefined;
  }
}

/** The given folder, made if need be. Throws BootError when it holds anything that is not a server root of ours. */
function useFolder(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const entries = readdirSync(folder);
    const configuration = join(folder, names.configuration);
    const isOurs = existsSync(configuration) && readFileSync(configuration, "utf8").startsWith(firstLine);
    if (entries.length > 0 && !isOurs) {
      throw new BootError(`--server-root: ${folder} is not empty and was not made by tsgi: choose a new folder`);
    }
  } catch (error) {
    if (error instanceof BootError) throw error;
    throw new BootError(`--server-root: ${messageOf(error)}`, error);
  }
  const pid = runningPid(join(folder, names.pidFile));
  if (pid !== undefined) throw new BootError(`--server-root: a server runs in ${folder} already, process ${pid}`);
  return realpathSync(folder);
}

export class ServerRoot {
  readonly folder: string;
  readonly httpd: Httpd;
  readonly account: Account;
  readonly server: PrivateServer;

  private constructor(server: PrivateServer, httpd: Httpd, account: Account, folder: string) {
    this.server = server;
    this.httpd = httpd;
    this.account = account;
    this.folder = folder;
  }

  /** Checks that everything is there and can be reached, and makes the folders. Throws BootError. */
  static async create(server: PrivateServer): Promise<ServerRoot> {
    const account = serverAccount();
    const httpd = await findHttpd(server.httpd);
    const root = (folder: string): ServerRoot => new ServerRoot(server, httpd, account, folder);
    root("/").#modules(); // before anything is written: a missing module is found here
    const { target, documentRoot } = server.site;
    const script = target.kind === "application" ? target.file : target.root;
    const served = [script, documentRoot ?? [], server.errorPage ?? []].flat();
    requireReach([...served, ...server.programFiles], account);
    const folder =
      server.folder === undefined ? realpathSync(mkdtempSync(join(tmpdir(), "tsgi-"))) : useFolder(server.folder);
    const made = root(folder);
    try {
      made.#makeFolders();
      requireReach([made.path(names.sockets)], account);
    } catch (error) {
      made.remove();
      throw error;
    }
    return made;
  }

  path(name: string): string {
    return `${this.folder}/${name}`;
  }

  /** The command that Apache is started and asked with. */
  get httpdCommand(): string[] {
    return [this.httpd.program, "-d", this.folder, "-f", this.path(names.configuration)];
  }

  /** Writes `httpd.conf` and lets Apache check it. Throws BootError with Apache's own words. */
  async configure(port: number, logFiles: LogFiles): Promise<void> {
    const { server } = this;
    const { mpm, loadable } = this.#modules();
    const program = this.#writeProgram();
    const { statusMount: mountPoint } = server;
    const status = parseListenAddress(`unix:${this.path(names.statusSocket)}`);
    const tree = serverRoot({
      ...server,
      folder: this.folder,
      modules: loadable,
      mpm,
      account: this.account.isOther ? this.account : undefined,
      port,
      mediaTypes: findMediaTypes(this.httpd),
      logLevel: apacheLogLevels[server.logLevel],
      errorLog: logFiles.error,
      accessLog: server.hasAccessLog ? logFiles.access : undefined,
      statusMount: mountPoint === undefined ? undefined : { mountPoint, address: status },
      daemonAddress: parseListenAddress(`unix:${this.path(names.daemonSocket)}`),
      program,
    });
    writeFileSync(this.path(names.configuration), render(tree), { mode: 0o640 });
    await this.#check();
  }

  /** Removes a folder that we made up; of a given one, what only a running server needs. */
  remove(): void {
    if (this.server.folder === undefined) rmSync(this.folder, { recursive: true, force: true });
    else this.#removeRunning();
  }

  #removeRunning(): void {
    for (const name of [names.run, names.sockets]) rmSync(this.path(name), { recursive: true, force: true });
  }

  #modules(): { mpm: ReturnType<typeof chooseMpm>; loadable: ReturnType<typeof findLoadable> } {
    const mpm = chooseMpm(this.httpd);
    const accessLog = this.server.hasAccessLog ? names.accessLog : undefined;
    const required = requiredModules({ ...this.server, mpm, accessLog });
    return { mpm, loadable: findLoadable(this.httpd, required) };
  }

  #makeFolders(): void {
    const { account } = this;
    if (Buffer.byteLength(this.folder) > maxFolderBytes) {
      throw new BootError(
        `${this.folder} is too long for the sockets in it: choose a --server-root of ${maxFolderBytes} bytes`,
      );
    }
    this.#removeRunning();
    this.#open(this.folder);
    for (const name of [names.run, names.programs, names.documents]) {
      mkdirSync(this.path(name), { recursive: true });
      this.#open(this.path(name));
    }
    mkdirSync(this.path(names.logs), { recursive: true, mode: 0o700 });
    for (const name of [names.sockets, names.cache]) {
      mkdirSync(this.path(name), { recursive: true, mode: 0o700 });
      if (account.isOther) chownSync(this.path(name), account.uid, account.gid);
    }
  }

  /** Lets Apache's user enter a folder of ours, and nobody else. */
  #open(folder: string): void {
    if (this.account.isOther) chownSync(folder, -1, this.account.gid);
    chmodSync(folder, this.account.isOther ? 0o750 : 0o700);
  }

  /** The executable for mod_fcgid or CGI; "" in the mode with a daemon. */
  #writeProgram(): string {
    const { mode } = this.server;
    if (mode === "proxy_fcgi") return "";
    const { name, text } = frontProgram({ ...this.server, folder: this.folder }, mode);
    const file = this.path(name);
    writeFileSync(file, text);
    chmodSync(file, 0o755);
    return file;
  }

  async #check(): Promise<void> {
    const [program = "", ...args] = this.httpdCommand;
    try {
      await run(program, [...args, "-t"], { timeout: checkMs });
    } catch (error) {
      const said = typeof error === "object" && error !== null && "stderr" in error ? String(error.stderr) : "";
      const why = said.trim().split("\n").join(" ") || messageOf(error);
      throw new BootError(`Apache refuses its configuration: ${why}`, error);
    }
  }
}
