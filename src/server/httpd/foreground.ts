// A private Apache in the foreground, with the daemon beside it: starting, watching, and stopping both.
// Rules: whatever happens, nothing stays: no process, socket, pipe or folder; the first of the two that ends by itself
// ends the other; when we are killed outright, the daemon notices its closed stdin and a small shell ends Apache.

import { serverRootNames as names } from "../../apache/server-root.ts";
import { BootError } from "../../errors.ts";
import { probePort, untilAnswered } from "./answer.ts";
import { Child } from "./child.ts";
import { LogPipe } from "./log-pipe.ts";
import { checkCommand, daemonCommand, workingFolder } from "./programs.ts";
import type { ServerRoot } from "./root.ts";

/** How long the daemon may take to load the application, ms. It ends by itself after its --startup-timeout, which may be long. */
const loadMs = 600_000;
/** How long the site may take to answer then, ms: under mod_fcgid and CGI its first request loads the application. */
const answerMs = 70_000;
/** How long running requests may take when everything stops. */
const gracefulMs = 5000;
/** How long Apache may take to stop without regard for them: mod_fcgid gives its processes 8 s. */
const httpdStopMs = 12_000;
const daemonStopMs = 12_000;
/** How often another port is tried when one that was free is taken meanwhile. */
const portAttempts = 3;

const httpdName = "Apache";
const daemonName = "the daemon";

/** Lets running requests end for a while (SIGWINCH is Apache's graceful stop), then stops. */
async function stopHttpd(httpd: Child): Promise<void> {
  httpd.signal("SIGWINCH");
  const timer = setTimeout(() => httpd.signal("SIGTERM"), gracefulMs);
  await httpd.stop(undefined, gracefulMs + httpdStopMs);
  clearTimeout(timer);
}

/** Ends Apache, and its folder if nobody else will use it, when the pipe on its stdin closes. */
const watcherScript = `
read -r _
kill -TERM "$1" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" 2>/dev/null || break; sleep 1; done
kill -KILL -- "-$1" 2>/dev/null
[ -z "$2" ] || { sleep 1; rm -rf -- "$2"; }
`;

export class Foreground {
  readonly #root: ServerRoot;
  readonly #children: Child[] = [];
  #watcher: Child | undefined;
  #pipe: LogPipe | undefined;
  #stopping: Promise<void> | undefined;
  #port = 0;

  constructor(root: ServerRoot) {
    this.#root = root;
  }

  get port(): number {
    return this.#port;
  }

  /**
   * Starts everything and settles when the site answers; false when the application is broken, which has then been said
   * on stderr. Throws BootError. Call `stop` afterwards in any case.
   */
  async start(port: number): Promise<boolean> {
    const log = this.#root.path(names.logPipe);
    this.#pipe = new LogPipe(log, process.stderr);
    for (let attempt = 1; ; attempt += 1) {
      this.#port = await probePort(this.#root.server.host, port);
      await this.#root.configure(this.#port, { error: log, access: log });
      if (attempt === 1 && !(await this.#startApplication())) return false;
      const httpd = await this.#startHttpd(this.#pipe);
      if (httpd.ending === undefined) return true;
      if (port !== 0 || attempt === portAttempts) throw new BootError(`Apache ended at its start: ${httpd.ending}`);
      this.#children.pop();
    }
  }

  /** Settles with a sentence when Apache or the daemon ends by itself. */
  async failed(): Promise<string> {
    const endings = this.#children.map(async (child) => `${child.name} ended by itself: ${await child.ended}`);
    return await Promise.race(endings);
  }

  /**
   * Stops everything and removes what is left; settles when all is done, however often it is called. "graceful" gives
   * running requests 5 s.
   */
  async stop(manner: "graceful" | "at-once"): Promise<void> {
    this.#stopping ??= this.#stop(manner);
    await this.#stopping;
  }

  /** Ends everything at once; `stop` then has nothing to wait for. */
  kill(): void {
    for (const child of this.#children) child.kill();
  }

  async #stop(manner: "graceful" | "at-once"): Promise<void> {
    for (const child of this.#children.filter(({ name }) => name === httpdName)) {
      if (manner === "graceful") await stopHttpd(child);
      else await child.stop("SIGTERM", httpdStopMs);
    }
    for (const child of this.#children.filter(({ name }) => name === daemonName))
      await child.stop("SIGTERM", daemonStopMs);
    this.#watcher?.kill();
    await this.#watcher?.ended;
    await this.#pipe?.close();
    this.#root.remove();
  }

  /** Starts the daemon, or where Apache starts the processes loads the application once. False when it is broken. */
  async #startApplication(): Promise<boolean> {
    const { server, folder } = this.#root;
    const plan = { ...server, folder };
    if (server.mode === "proxy_fcgi") {
      const daemon = this.#startOurs(daemonName, [...daemonCommand(plan), "--with-parent"]);
      this.#children.push(daemon);
      const isReady = await Promise.race([this.#said(daemon, "listening on"), daemon.ended.then(() => false)]);
      if (!isReady && daemon.ending === undefined)
        throw new BootError(`the daemon did not start within ${loadMs / 1000} s`);
      return isReady;
    }
    if (server.site.target.kind === "scripts") return true;
    const check = this.#startOurs("the check", checkCommand(plan));
    const timer = setTimeout(() => check.kill(), loadMs);
    const ending = await check.ended;
    clearTimeout(timer);
    return ending === "exit code 0";
  }

  /** For a start that goes on while it is called off: nothing more may be started. */
  #requireWanted(): void {
    if (this.#stopping !== undefined) throw new BootError("the start was called off");
  }

  /** Starts one of our own programs as the user that serves requests. */
  #startOurs(name: string, command: readonly string[]): Child {
    this.#requireWanted();
    const { account, server } = this.#root;
    const identity = { HOME: this.#root.path(names.cache), USER: account.user, LOGNAME: account.user };
    const child = new Child(name, command, {
      cwd: workingFolder(server.site),
      env: account.isOther ? { ...process.env, ...identity } : process.env,
      stdio: ["pipe", "pipe", "inherit"],
      ...(account.isOther ? { uid: account.uid, gid: account.gid } : {}),
    });
    child.process.stdin?.on("error", () => {}); // EPIPE: the program has ended, which `ended` tells
    child.process.stdout?.resume();
    return child;
  }

  /** True when the child prints the text; false after the deadline. What it prints later is for our stderr. */
  async #said(child: Child, text: string): Promise<boolean> {
    return await new Promise((resolve) => {
      let seen = "";
      const timer = setTimeout(() => resolve(false), loadMs);
      child.process.once("exit", () => clearTimeout(timer));
      child.process.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
        if (seen.includes(text)) {
          process.stderr.write(chunk);
          return;
        }
        seen += chunk;
        if (!seen.includes(text)) return;
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  async #startHttpd(pipe: LogPipe): Promise<Child> {
    this.#requireWanted();
    const { folder, server, httpdCommand } = this.#root;
    const httpd = new Child(httpdName, [...httpdCommand, "-DFOREGROUND"], {
      cwd: "/",
      stdio: ["ignore", pipe.writeFd, pipe.writeFd],
    });
    this.#children.push(httpd);
    this.#watcher?.kill();
    const doomed = server.folder === undefined ? folder : "";
    this.#watcher = new Child("watcher", ["/bin/sh", "-c", watcherScript, "sh", String(httpd.process.pid), doomed], {
      cwd: "/",
      stdio: ["pipe", "ignore", "ignore"],
    });
    const path = `${server.site.mountPoint}/`;
    const isOver = (): boolean =>
      this.#stopping !== undefined || this.#children.some(({ ending }) => ending !== undefined);
    const hasAnswered = await untilAnswered({ host: server.host, port: this.#port, path }, answerMs, isOver);
    if (!hasAnswered && !isOver()) throw new BootError(`the site did not answer within ${answerMs / 1000} s`);
    return httpd;
  }
}
