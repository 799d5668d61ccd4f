// Who takes part: how each is started and what Apache is told of it.
// Rules: one worker process each, the transport that suits it best (a unix socket wherever there is one), connections kept
// where the peer can keep them. A peer that is not installed says so, and everything else goes on without it.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { findHttpd } from "../harness/machine.ts";
import { childrenOf } from "../harness/process-facts.ts";
import type { Program } from "../harness/program.ts";
import { until } from "../harness/until.ts";
import { cgiPeers } from "./cgi-peers.ts";
import { nodeFile, type Ground } from "./ground.ts";

export interface Peer {
  readonly name: string;
  /** For a reader. */
  readonly label: string;
  /** What to install, when it is not there. */
  readonly missing?: string | undefined;
  /** Apache modules without "mod_". */
  readonly modules: readonly string[];
  /** Starts what runs beside Apache; gives Apache's configuration, in which the peer is mounted at /NAME. */
  readonly start: (ground: Ground) => Promise<Started>;
}

export interface Started {
  readonly config: string;
  /** The processes that answer, for their processor time and memory. */
  readonly pids?: (apachePid: number) => readonly number[];
  /** What comes between the mount point and the path. */
  readonly path?: string;
}

/**
 * Threads of Apache. More than twice the clients: where all are busy with connections that a client has just left, Apache
 * closes kept ones of the next client.
 */
export const apacheThreads = 640;
const fcgiWorker = "enablereuse=on flushpackets=on iobuffersize=32768 timeout=60";

function isOnPath(...names: readonly string[]): string | undefined {
  const folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => existsSync(file));
}

function php(): string | undefined {
  const names = existsSync("/usr/sbin") ? readdirSync("/usr/sbin").filter((name) => /^php-fpm[\d.]*$/u.test(name)) : [];
  return isOnPath(...names.toSorted().toReversed(), "php-fpm");
}

const passengerRoot = "/usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini";

function missingUnless(found: string | boolean | undefined, what: string): string | undefined {
  return found === undefined || found === false ? what : undefined;
}

const hasModule = (name: string): boolean => existsSync(join(findHttpd().modulesDir, `mod_${name}.so`));
const compiler = missingUnless(isOnPath("cc", "gcc"), "gcc");
const libfcgi = compiler ?? missingUnless(existsSync("/usr/include/fcgiapp.h"), "libfcgi-dev");

/** The children of the supervisor: its workers. */
const workersOf = (program: Program) => (): number[] => childrenOf(program.pid).map(({ pid }) => pid);

/** The command of a daemon of ours. */
export function daemonCommand(ground: Ground, app: string, socket: string, processes: number): string[] {
  const options = [`--listen=unix:${socket}`, `--processes=${processes}`, `--cache-dir=${ground.product.cacheDir}`];
  const tail = ["--log-level=warn", "--with-parent", `--control=unix:${socket}.control`];
  return [nodeFile, join(ground.product.dir, "bin", "tsgi"), "daemon", app, ...options, ...tail];
}

function tsgi(name: string, label: string, app: string, processes = 1): Peer {
  return {
    name,
    label,
    modules: ["proxy", "proxy_fcgi", "rewrite"],
    start: async (ground) => {
      const socket = ground.socket(name);
      const file = ground.path(app);
      const args = ["proxy_fcgi", file, "--mount-point", `/${name}`, "--listen", `unix:${socket}`];
      const [config, program] = await Promise.all([
        ground.tsgi("config", ...args),
        ground.serve(name, daemonCommand(ground, file, socket, processes), socket),
      ]);
      await until(`${processes} workers`, () => childrenOf(program.pid).length === processes);
      return { config, pids: workersOf(program) };
    },
  };
}

/** With `isWhole` the server's packages are in its file, as those are that the product's folder does not have. */
function httpServer(name: string, label: string, isWhole = false): Peer {
  return {
    name,
    label,
    modules: ["proxy", "proxy_http"],
    start: async (ground) => {
      const socket = ground.socket(name);
      const program = await ground.serve(
        name,
        [nodeFile, await ground.bundle(`${name}.ts`, "esm", isWhole), socket],
        socket,
      );
      return { config: `ProxyPass /${name} unix:${socket}|http://${name}`, pids: () => [program.pid] };
    },
  };
}

function fcgiProgram(name: string, label: string, missing: string | undefined, more: FcgiProgram): Peer {
  return {
    name,
    label,
    missing,
    modules: ["proxy", "proxy_fcgi"],
    start: async (ground) => {
      const socket = ground.socket(name);
      const program = await ground.serve(name, [...(await more.command(ground, socket))], socket);
      const config = `ProxyPass /${name} unix:${socket}|fcgi://${name} ${more.worker ?? fcgiWorker}`;
      return { config: `${config}\n${more.config ?? ""}`, pids: () => [program.pid] };
    },
  };
}

interface FcgiProgram {
  readonly command: (ground: Ground, socket: string) => Promise<readonly string[]>;
  readonly worker?: string;
  readonly config?: string;
}

const staticFiles: Peer = {
  name: "static",
  label: "Apache, static file",
  modules: [],
  start: async (ground) => {
    await mkdir(ground.path("static", "bytes"), { recursive: true });
    await ground.write("static/hello", "Hello World!");
    await ground.write("static/bytes/64k", "x".repeat(65_536));
    await ground.write("static/bytes/1m", "x".repeat(1_048_576));
    const granted = `<Directory "${ground.path("static")}">\n  Require all granted\n</Directory>`;
    return { config: `Alias /static "${ground.path("static")}"\n${granted}` };
  },
};

const wsgiGranted = (ground: Ground): string => `<Directory "${ground.dir}">
  <Files wsgi.py>
    Require all granted
  </Files>
</Directory>`;

const wsgiEmbedded: Peer = {
  name: "wsgi-embedded",
  label: "mod_wsgi, embedded",
  missing: missingUnless(hasModule("wsgi"), "libapache2-mod-wsgi-py3"),
  modules: ["wsgi"],
  start: async (ground) => ({
    config: `WSGIScriptAlias /wsgi-embedded "${ground.path("wsgi.py")}"\n${wsgiGranted(ground)}`,
  }),
};

const wsgiDaemon: Peer = {
  name: "wsgi-daemon",
  label: "mod_wsgi, daemon",
  missing: wsgiEmbedded.missing,
  modules: ["wsgi"],
  start: async (ground) => ({
    config: `WSGISocketPrefix "${ground.path("run", "wsgi")}"
WSGIDaemonProcess bench processes=1 threads=15 display-name=%{GROUP}
WSGIScriptAlias /wsgi-daemon "${ground.path("wsgi.py")}" process-group=bench application-group=%{GLOBAL}
${wsgiGranted(ground)}`,
    pids: (apachePid) =>
      childrenOf(apachePid)
        .map(({ pid }) => pid)
        .filter(isWsgiDaemon),
  }),
};

function isWsgiDaemon(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith("(wsgi:bench)");
}

const phpFpm: Peer = {
  name: "php-fpm",
  label: "PHP-FPM",
  missing: missingUnless(php(), "php-fpm"),
  modules: ["proxy", "proxy_fcgi"],
  start: async (ground) => {
    const socket = ground.socket("php-fpm");
    const settings = await ground.write(
      "php-fpm.conf",
      `[global]
error_log = ${ground.path("tmp", "php-fpm.log")}
[bench]
listen = ${socket}
listen.mode = 0666
listen.backlog = 511
pm = static
pm.max_children = 1
`,
    );
    // An upload is read from php://input alone, so that PHP does not store it first.
    const options = ["-d", "opcache.enable=1", "-d", "post_max_size=1G", "-d", "memory_limit=256M"];
    const program = await ground.serve("php-fpm", [php() ?? "", "-F", "-y", settings, ...options], socket);
    return {
      path: "/app.php",
      // A process of PHP-FPM serves one connection as long as it is kept, so it is not kept.
      config: `Alias /php-fpm "${ground.dir}"
<Directory "${ground.dir}">
  <Files app.php>
    Require all granted
    SetHandler "proxy:unix:${socket}|fcgi://php-fpm"
  </Files>
</Directory>
<Proxy fcgi://php-fpm>
  ProxySet disablereuse=on timeout=60
</Proxy>`,
      pids: workersOf(program),
    };
  },
};

const passenger: Peer = {
  name: "passenger",
  label: "Phusion Passenger (Node)",
  missing: missingUnless(hasModule("passenger") && existsSync(passengerRoot), "libapache2-mod-passenger, passenger"),
  modules: ["passenger"],
  start: async (ground) => {
    const file = await ground.bundle("passenger.ts", "cjs");
    await mkdir(ground.path("passenger-root", "public"), { recursive: true });
    await ground.write("tmp/passenger.log", ""); // Passenger opens it as root, and again as the account
    await ground.give("tmp/passenger.log");
    return {
      config: `PassengerRoot ${passengerRoot}
PassengerEnabled off
PassengerUserSwitching off
PassengerDefaultUser ${ground.account?.name ?? process.env["USER"] ?? "nobody"}
PassengerInstanceRegistryDir "${ground.path("tmp")}"
PassengerLogFile "${ground.path("tmp", "passenger.log")}"
PassengerMaxPoolSize 1
PassengerMaxRequestQueueSize 0
PassengerDisableAnonymousTelemetry on
PassengerDisableSecurityUpdateCheck on
PassengerNodejs ${nodeFile}
Alias /passenger "${ground.path("passenger-root", "public")}"
<Location /passenger>
  PassengerEnabled on
  PassengerBaseURI /passenger
  PassengerAppRoot "${ground.path("passenger-root")}"
  PassengerAppType node
  PassengerStartupFile "${file}"
  PassengerMinInstances 1
</Location>
<Directory "${ground.path("passenger-root")}">
  Require all granted
</Directory>`,
    };
  },
};

const nodeFastCgi = {
  command: async (ground: Ground, socket: string): Promise<string[]> => {
    const name = socket.replace(/^.*\/(.*)\.sock$/u, "$1");
    return [nodeFile, await ground.bundle("node-fastcgi.ts"), socket, `/${name}`];
  },
};

/** Everybody, in the order of the tables. */
export const peers: readonly Peer[] = [
  tsgi("tsgi", "tsgi", "app.ts"),
  tsgi("tsgi-2", "tsgi, 2 workers", "app.ts", 2),
  tsgi("tsgi-express", "tsgi, Express", "express-app.ts"),
  tsgi("tsgi-fastify", "tsgi, Fastify", "fastify-app.ts"),
  tsgi("tsgi-hono", "tsgi, Hono", "hono-app.ts"),
  staticFiles,
  fcgiProgram("floor", "C, constant answer (the floor)", compiler, {
    command: async (ground, socket) => [await ground.compile("floor.c"), socket],
  }),
  fcgiProgram("libfcgi", "C, libfcgi", libfcgi, {
    command: async (ground, socket) => [await ground.compile("libfcgi.c", ["-lfcgi", "-lpthread"]), socket, "64"],
    worker: `${fcgiWorker} max=64`,
  }),
  wsgiEmbedded,
  wsgiDaemon,
  phpFpm,
  passenger,
  httpServer("http-node", "mod_proxy_http, node:http"),
  httpServer("http-express", "mod_proxy_http, Express"),
  httpServer("http-fastify", "mod_proxy_http, Fastify"),
  httpServer("http-hono", "mod_proxy_http, Hono", true),
  fcgiProgram("node-fastcgi", "node-fastcgi", undefined, { ...nodeFastCgi, worker: "disablereuse=on timeout=60" }),
  fcgiProgram("node-fastcgi-reuse", "node-fastcgi, reuse on", undefined, nodeFastCgi),
  ...cgiPeers(compiler, libfcgi),
];
