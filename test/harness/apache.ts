// A real Apache for tests: a configuration in the test's own folder, a free loopback port, the installed program in the
// foreground with the event MPM. What it writes to its error log is part of every test.
import { chown, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:net";
import { apacheAccount, findHttpd, freePort, loadModules } from "./machine.ts";
import { Program } from "./program.ts";
import { httpRequest, type HttpReply, type HttpRequest } from "./http.ts";
import { until } from "./until.ts";

export interface ApacheOptions {
  /** A folder that Apache's user may read; everything of this Apache lies in `name` below it. */
  readonly dir: string;
  readonly name?: string;
  /** Module names without "mod_", beyond the ones that every test needs. */
  readonly modules?: readonly string[];
  /** The rest of the configuration. */
  readonly config: string | ((apache: { readonly port: number; readonly root: string }) => string);
  /** Default an empty folder. Requests below it are granted. */
  readonly documentRoot?: string;
  readonly threadsPerChild?: number;
  readonly env?: Readonly<Record<string, string>>;
}

const baseModules = ["authz_core", "dir", "alias", "env", "setenvif", "mime"];

/** Log lines of any Apache that starts and stops. */
const ordinary = [
  /AH00(489|163): Apache\/.* configured -- resuming normal operations/u,
  /AH00094: Command line/u,
  /AH00(49[0-9]|169): caught SIG(TERM|WINCH), shutting down/u,
  /mod_fcgid: process .* exit\(/u,
  /mod_fcgid: server .* started/u,
  /^\s*$/u,
];

/** Threads of an Apache that ends may still run where their memory is gone already: seen with its own modules alone. */
const ofTheEnd = /AH00052: child pid \d+ exit signal Segmentation fault/u;

export class Apache {
  readonly port: number;
  readonly root: string;
  readonly program: Program;
  /** How long the error log was when it was told to stop. */
  #stoppedAt = Infinity;

  private constructor(port: number, root: string, program: Program) {
    this.port = port;
    this.root = root;
    this.program = program;
  }

  /** Starts Apache and waits until it accepts; a port that somebody took meanwhile is tried again with another. */
  static async start(options: ApacheOptions): Promise<Apache> {
    const root = join(options.dir, options.name ?? "apache");
    await mkdir(root, { recursive: true, mode: 0o755 });
    const account = apacheAccount();
    const fcgid = join(root, "fcgid");
    await mkdir(fcgid, { recursive: true, mode: 0o755 });
    await mkdir(join(root, "htdocs"), { recursive: true, mode: 0o755 });
    await mkdir(join(root, "tmp"), { recursive: true, mode: 0o755 });
    if (account !== undefined) {
      for (const folder of [fcgid, join(root, "tmp")]) await chown(folder, account.uid, account.gid);
    }
    for (let attempt = 1; ; attempt += 1) {
      const port = await freePort();
      await writeFile(join(root, "httpd.conf"), configuration(options, root, port));
      await writeFile(join(root, "error.log"), "");
      const program = new Program(
        "apache",
        [findHttpd().file, "-d", root, "-f", join(root, "httpd.conf"), "-DFOREGROUND"],
        { cwd: root, env: { PATH: process.env["PATH"] ?? "", LANG: "C", ...options.env } },
      );
      const apache = new Apache(port, root, program);
      await until("Apache to accept or to end", async () => program.end !== undefined || (await accepts(port)));
      // mod_cgid's own process makes its socket a moment later, and until then a request is a 503.
      if (options.modules?.includes("cgid") === true) {
        const isMade = async (): Promise<boolean> => (await readdir(root)).some((name) => name.startsWith("cgid.sock"));
        await until("mod_cgid to listen or Apache to end", async () => program.end !== undefined || (await isMade()));
      }
      if (program.end === undefined) return apache;
      const log = `${program.stderr}\n${await apache.errorLog()}`;
      if (attempt === 3 || !log.includes("Address already in use")) throw new Error(`Apache did not start:\n${log}`);
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  errorLog(): Promise<string> {
    return readFile(join(this.root, "error.log"), "latin1");
  }

  /** The lines of the error log that neither every Apache writes nor one of `expected` matches. */
  async unexpectedLog(expected: readonly RegExp[] = []): Promise<string[]> {
    const patterns = [...ordinary, ...expected];
    const log = await this.errorLog();
    const isExpected = (line: string): boolean => patterns.some((pattern) => pattern.test(line));
    const before = log.slice(0, this.#stoppedAt).split("\n");
    const after = log.slice(this.#stoppedAt).split("\n");
    return [...before, ...after.filter((line) => !ofTheEnd.test(line))].filter((line) => !isExpected(line));
  }

  /** Waits until the error log has a text. */
  async logged(text: string | RegExp): Promise<void> {
    await until(`${String(text)} in Apache's error log`, async () => {
      const log = await this.errorLog();
      return typeof text === "string" ? log.includes(text) : text.test(log);
    });
  }

  request(request: HttpRequest | string): Promise<HttpReply> {
    return httpRequest(this.port, request);
  }

  /** SIGTERM and the end of the parent process, which waits for its children. */
  async stop(): Promise<void> {
    if (this.#stoppedAt === Infinity) this.#stoppedAt = (await this.errorLog()).length;
    await this.program.stop();
  }
}

/** True when somebody accepts on a port of the loopback interface. */
async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function configuration(options: ApacheOptions, root: string, port: number): string {
  const account = apacheAccount();
  const threads = options.threadsPerChild ?? 64;
  // mod_cgi forks: it belongs to prefork, and its children can crash as they stop under a threaded MPM.
  const isForking = options.modules?.includes("cgi") === true;
  const modules = [isForking ? "mpm_prefork" : "mpm_event", ...baseModules, ...(options.modules ?? [])];
  // One process serves; the other places are for those that end their last requests after a graceful restart.
  const processes = isForking
    ? `StartServers 4\nServerLimit 64\nMaxRequestWorkers 64`
    : `StartServers 1
ServerLimit 4
ThreadLimit ${threads}
ThreadsPerChild ${threads}
MaxRequestWorkers ${threads}
MinSpareThreads 1
MaxSpareThreads ${threads}`;
  const documentRoot = options.documentRoot ?? join(root, "htdocs");
  const own = typeof options.config === "string" ? options.config : options.config({ port, root });
  return `ServerRoot "${root}"
ServerName 127.0.0.1
Listen 127.0.0.1:${port}
PidFile "${root}/httpd.pid"
DefaultRuntimeDir "${root}"
ErrorLog "${root}/error.log"
LogLevel warn
Timeout 30
KeepAliveTimeout 1
${loadModules(modules)}
${account === undefined ? "Suexec Off" : `User ${account.name}\nGroup ${account.group}`}
${processes}
TypesConfig /dev/null
DocumentRoot "${documentRoot}"
<Directory />
  AllowOverride None
  Require all denied
</Directory>
<Directory "${documentRoot}">
  Require all granted
</Directory>
${modules.includes("cgid") ? `ScriptSock "${root}/cgid.sock"` : ""}
${modules.includes("fcgid") ? `FcgidIPCDir "${root}/fcgid"\nFcgidProcessTableFile "${root}/fcgid/shm"\nFcgidInitialEnv TMPDIR "${root}/tmp"` : ""}
SetEnv TMPDIR "${root}/tmp"
${own}
`;
}
