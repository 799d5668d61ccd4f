// The systemd units of a daemon, as text. Pure.
// Rules: every word of a command is quoted as systemd reads it; each line that is not obvious says why it is there; the socket
// units are comments of the service unit, which works without them; nothing is switched on that Node cannot live with.

import { ConfigError } from "../errors.ts";
import type { ListenAddress } from "./address.ts";
import { maxSocketPathBytes } from "./address.ts";

export interface UnitSocket {
  /** The group of processes that serves it. */
  readonly group: string;
  readonly listen: ListenAddress;
  /** Permission bits and group of a unix socket. */
  readonly socketMode: number;
  readonly socketGroup: string | undefined;
}

export interface SystemdOptions {
  /** Of the unit, without ".service". */
  readonly name: string;
  /** What it serves, for a person. */
  readonly description: string;
  /** Absolute paths: what systemd looks a program up by has no nvm and the like. */
  readonly node: string;
  readonly tsgi: string;
  /** The arguments of `tsgi daemon`, `--control` left out; paths are absolute. */
  readonly daemonArguments: readonly string[];
  /** Absolute path of the control socket; undefined for the default. */
  readonly control: string | undefined;
  /** Undefined when the daemon starts as root, and its groups become other users by themselves. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** Absolute paths that the service reads, by which it is found out whether it may be kept out of the home folders. */
  readonly reads: readonly string[];
  readonly startupTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  /** At least one. */
  readonly sockets: readonly UnitSocket[];
}

/** How much longer than the daemon's own limits systemd waits, s. */
const startSlack = 30;
const stopSlack = 15;
const watchdogSeconds = 60;
const socketMark = "#| ";

/** Text in a unit: a line is a line, and % is no specifier. */
function value(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what cannot be written
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    throw new ConfigError([`${JSON.stringify(text)} cannot be in a systemd unit: it has a control character`]);
  }
  return text.replaceAll("%", "%%");
}

/** One word of a command line. */
function word(text: string): string {
  const escaped = value(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("$", "$$$$");
  return /^[\w@%+=:,./$#~-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}

function command(words: readonly string[]): string {
  return words.map(word).join(" ");
}

function seconds(ms: number, slack: number): string {
  return `${Math.ceil(ms / 1000) + slack}s`;
}

/** The folder below /run that a file is in, or undefined. */
function runtimeFolder(path: string): string | undefined {
  return /^(?:\/var)?\/run\/(.+)\/[^/]+$/.exec(path)?.[1];
}

function controlPath({ control, sockets, name }: SystemdOptions): string {
  if (control !== undefined) return control;
  const [first] = sockets;
  const beside = first?.listen.kind === "unix" ? `${first.listen.path}.control` : "";
  // Where there is no place beside it, the default depends on the session, and a service has none.
  return beside === "" || Buffer.byteLength(beside) > maxSocketPathBytes ? `/run/${name}/control` : beside;
}

/** Of a service user's alone: several users cannot share one. */
function cacheLines({ name, user }: SystemdOptions): string[] {
  if (user === undefined) return [];
  return [
    "# Compiled scripts.",
    `CacheDirectory=${word(name)}`,
    "CacheDirectoryMode=0700",
    `Environment=${word(`XDG_CACHE_HOME=/var/cache/${name}`)}`,
  ];
}

function isInHome(path: string): boolean {
  return /^\/(?:home|root|run\/user)(?:\/|$)/.test(path);
}

function userLines({ user, group, sockets }: SystemdOptions): string[] {
  if (user === undefined)
    return ["# It starts as root: its groups of processes become their own users before they read anything."];
  const extra = new Set(sockets.flatMap(({ socketGroup }) => socketGroup ?? []));
  if (group !== undefined) extra.delete(group);
  return [
    `User=${value(user)}`,
    group === undefined ? [] : `Group=${value(group)}`,
    extra.size === 0
      ? []
      : ["# To give the socket to Apache's group.", `SupplementaryGroups=${[...extra].map(value).join(" ")}`],
  ].flat();
}

function folderLines(options: SystemdOptions): string[] {
  const paths = options.sockets.flatMap(({ listen }) => (listen.kind === "unix" ? listen.path : []));
  const folders = new Set([...paths, controlPath(options)].flatMap((path) => runtimeFolder(path) ?? []));
  if (folders.size === 0) return [];
  return [
    "# The folders of the sockets below /run. They stay, since Apache and a socket unit may use them meanwhile.",
    `RuntimeDirectory=${[...folders].map(word).join(" ")}`,
    "RuntimeDirectoryMode=0755",
    "RuntimeDirectoryPreserve=yes",
  ];
}

function hardeningLines({ user, node, tsgi, reads, sockets }: SystemdOptions): string[] {
  const isInTmp = sockets.some(({ listen }) => listen.kind === "unix" && /^\/(?:var\/)?tmp\//.test(listen.path));
  const usesHome = [node, tsgi, ...reads].some(isInHome);
  return [
    "# What it never needs. MemoryDenyWriteExecute= must stay off: Node compiles while it runs.",
    "NoNewPrivileges=yes",
    user === undefined ? [] : "CapabilityBoundingSet=",
    "ProtectSystem=full",
    usesHome ? "ProtectHome=read-only" : "ProtectHome=yes",
    isInTmp
      ? "# PrivateTmp=yes would hide the socket in /tmp from Apache: /run is the place for it."
      : "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
  ].flat();
}

function serviceLines(options: SystemdOptions): string[] {
  const { node, tsgi, startupTimeoutMs, shutdownTimeoutMs } = options;
  const control = `unix:${controlPath(options)}`;
  return [
    "[Service]",
    "# The daemon says when it serves. A helper, systemd-notify, says it for it, so messages of all its processes count.",
    "Type=notify",
    "NotifyAccess=all",
    `ExecStart=${command([node, tsgi, "daemon", ...options.daemonArguments, "--control", control])}`,
    "# Waits until the new processes serve, and fails with their error when they cannot: the old ones stay then.",
    `ExecReload=${command([node, tsgi, "reload", "--control", control])}`,
    "# SIGTERM goes to the supervisor alone, which lets the last requests end.",
    "KillMode=mixed",
    `TimeoutStartSec=${seconds(startupTimeoutMs, startSlack)}`,
    `TimeoutStopSec=${seconds(shutdownTimeoutMs, stopSlack)}`,
    "Restart=on-failure",
    "RestartSec=2s",
    "# A supervisor that hangs is replaced; it replaces its workers itself, also those that run out of memory.",
    `WatchdogSec=${watchdogSeconds}s`,
    "OOMPolicy=continue",
    ...userLines(options),
    ...folderLines(options),
    ...cacheLines(options),
    "# Frameworks show visitors less then, and some are faster.",
    "Environment=NODE_ENV=production",
    "",
    ...hardeningLines(options),
  ];
}

function listenStream(listen: ListenAddress): string | undefined {
  switch (listen.kind) {
    case "unix":
      return value(listen.path);
    case "tcp":
      return `${listen.host.includes(":") ? `[${listen.host}]` : value(listen.host)}:${listen.port}`;
    case "fd":
      return undefined;
  }
}

interface SocketUnit {
  readonly name: string;
  readonly lines: readonly string[];
}

function socketUnits({ name, user, group, sockets }: SystemdOptions): SocketUnit[] {
  return sockets.flatMap((socket) => {
    const stream = listenStream(socket.listen);
    if (stream === undefined) return [];
    const owner = socket.socketGroup ?? group;
    const access = [
      `SocketMode=0${socket.socketMode.toString(8)}`,
      user === undefined ? [] : `SocketUser=${value(user)}`,
      owner === undefined ? [] : `SocketGroup=${value(owner)}`,
    ].flat();
    return {
      name: sockets.length === 1 ? `${name}.socket` : `${name}-${socket.group}.socket`,
      lines: [
        "[Unit]",
        `Description=Socket of ${value(name)}`,
        "",
        "[Socket]",
        `ListenStream=${stream}`,
        ...(socket.listen.kind === "unix" ? access : []),
        "Backlog=4096",
        `FileDescriptorName=${value(socket.group)}`,
        `Service=${value(name)}.service`,
        "",
        "[Install]",
        "WantedBy=sockets.target",
      ],
    };
  });
}

function commentedUnit(unit: SocketUnit, service: string): string[] {
  return [
    "",
    `# ---- ${unit.name} ----`,
    `# Optional: systemd makes the socket, and keeps it while the service restarts. To get the file:`,
    `#   sed -n '/^# ---- ${unit.name} /,/^# ---- end/ s/^#| \\{0,1\\}//p' ${service} > ${unit.name}`,
    ...unit.lines.map((line) => `${socketMark}${line}`.trimEnd()),
    "# ---- end ----",
  ];
}

/** The service unit, with a socket unit for each address as comments at its end. Throws ConfigError. */
export function systemdUnit(options: SystemdOptions): string {
  const { name } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) {
    throw new ConfigError([`${JSON.stringify(name)} is no name for a unit: use letters, digits, "-", "_" and "."`]);
  }
  const units = socketUnits(options);
  const sockets = units.map((unit) => unit.name).join(" ");
  const lines = [
    `# ---- ${name}.service ----`,
    `# Put it into /etc/systemd/system/${name}.service, then: systemctl daemon-reload && systemctl enable --now ${name}`,
    "[Unit]",
    `Description=${value(options.description)}`,
    "After=network.target",
    "# However often it failed: it is tried again.",
    "StartLimitIntervalSec=0",
    "",
    ...serviceLines(options),
    ...(units.length > 1 ? ["# With the socket units below:", `# Sockets=${sockets}`] : []),
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    ...units.flatMap((unit) => commentedUnit(unit, `${name}.service`)),
  ];
  return `${lines.join("\n")}\n`;
}
