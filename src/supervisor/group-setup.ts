// What follows from a group's settings: whom its workers become, what they are told, and whose its socket is.

import type { GroupConfig } from "../config/groups.ts";
import { BootError } from "../errors.ts";
import { parseAppReference } from "../loader/load.ts";
import { prepareLogFile } from "../log/file.ts";
import { groupIdOf, lookUp } from "../server/httpd/account.ts";
import type { SocketAccess } from "../server/listen.ts";
import { readSecret } from "../server/peer-secret.ts";
import type { Log } from "../spec.ts";
import type { Target } from "../server/route.ts";
import type { WorkerConfig } from "./messages.ts";
import type { Policy } from "./plan.ts";
import type { RunAs } from "./run-as.ts";
import { plainEnvironment, plainFlags } from "./worker-process.ts";

export interface GroupOptions {
  readonly config: GroupConfig;
  readonly log: Log;
  /** Whether a changed file of an application makes a new generation. */
  readonly followsFiles: boolean;
  /** Whether sockets that are answered belong to workers whose supervisor is dead. */
  readonly mayReplaceSocket: boolean;
  readonly reportDir: string;
}

function requireGroupId(group: string, flag: string): number {
  const gid = groupIdOf(group);
  if (gid === undefined) throw new BootError(`${flag}: there is no group ${JSON.stringify(group)}`);
  return gid;
}

/** Whom the workers become; undefined when they stay who we are. Throws BootError. */
export function runAsOf({ user, group }: GroupConfig): RunAs | undefined {
  const uid = process.getuid?.() ?? 0;
  if (user === undefined) {
    if (group !== undefined) throw new BootError("--group needs --user");
    return undefined;
  }
  const account = lookUp(user);
  if (account === undefined) throw new BootError(`--user: there is no user ${JSON.stringify(user)}`);
  const gid = group === undefined ? account.gid : requireGroupId(group, "--group");
  const isNothingToDo = uid === account.uid && (group === undefined || gid === process.getgid?.());
  if (uid !== 0) {
    if (isNothingToDo) return undefined;
    throw new BootError("--user: only root can become another user");
  }
  return { uid: account.uid, gid, groups: [...new Set([gid, ...account.groups])] };
}

/** Owner and mode of the group's socket. Throws BootError. */
export function socketAccessOf(config: GroupConfig, runAs: RunAs | undefined, mayReplace: boolean): SocketAccess {
  const gid = config.socketGroup === undefined ? runAs?.gid : requireGroupId(config.socketGroup, "--socket-group");
  return { mode: config.socketMode, uid: runAs?.uid, gid, mayReplace };
}

function targetOf({ applications, scriptRoot }: GroupConfig): Target {
  if (scriptRoot !== undefined) return { kind: "scripts", root: scriptRoot };
  const named = applications.map(({ mountPoint, app }) => ({ mountPoint, reference: parseAppReference(app, "/") }));
  const [only] = named;
  if (named.length === 1 && only !== undefined && only.mountPoint === undefined) {
    return { kind: "application", reference: only.reference };
  }
  return {
    kind: "mounts",
    applications: named.map(({ mountPoint, reference }) => ({ mountPoint: mountPoint ?? "", reference })),
  };
}

/** What every worker of the group is told. Throws BootError. */
export function workerConfigOf(config: GroupConfig, runAs: RunAs | undefined, followsFiles: boolean): WorkerConfig {
  return {
    group: config.name,
    target: targetOf(config),
    mountPoint: config.mountPoint,
    cacheDir: config.cacheDir,
    adapter: config.adapter,
    authScript: config.authScript,
    logLevel: config.logLevel,
    logFile: config.logFile,
    hasAccessLog: config.hasAccessLog,
    errorPage: config.errorPage,
    isDebug: config.isDebug,
    hasTracing: config.hasTracing,
    isMultiprocess: config.processes > 1,
    isFollowing: false,
    followsFiles,
    allow: config.allow,
    secret: config.secretFile === undefined ? undefined : readSecret(config.secretFile),
    trustedProxies: config.trustedProxies,
    trustedProxyHeaders: config.trustedProxyHeaders,
    xSendfile: config.xSendfile,
    xSendfileHeader: config.xSendfileHeader,
    engine: config.engine,
    admission: {
      maxConcurrency: config.maxConcurrency,
      queueLimit: config.queueLimit,
      queueTimeoutMs: config.queueTimeoutMs,
    },
    maxParamsBytes: config.maxParamsBytes,
    maxConnections: config.maxConnections,
    paramsTimeoutMs: config.paramsTimeoutMs,
    idleTimeoutMs: config.idleTimeoutMs,
    requestTimeoutMs: config.requestTimeoutMs,
    shutdownTimeoutMs: config.shutdownTimeoutMs,
    deadlockTimeoutMs: config.deadlockTimeoutMs,
    slowRequestMs: config.slowRequestMs,
    ignoredActivity: config.ignoreActivity,
    runAs,
    umask: config.umask,
    home: config.home,
    title: config.processTitle ?? `tsgi: worker ${config.name}`,
  };
}

/** The workers' environment, with the group's own variables. */
export function environmentOf(config: GroupConfig, runAs: RunAs | undefined): NodeJS.ProcessEnv {
  const environment = plainEnvironment();
  if (runAs !== undefined) delete environment["HOME"]; // root's
  return { ...environment, ...config.env };
}

/** Flags for the workers' node. */
export function nodeFlagsOf({ nodeOptions, maxOldSpaceSize }: GroupConfig): readonly string[] {
  const heap = maxOldSpaceSize === 0 ? [] : [`--max-old-space-size=${maxOldSpaceSize}`];
  return [...heap, ...nodeOptions, ...plainFlags];
}

export function policyOf(config: GroupConfig): Policy {
  const { processes, startupTimeoutMs, deadlockTimeoutMs, gracefulTimeoutMs, shutdownTimeoutMs } = config;
  const { queueTimeoutMs, memoryLimitBytes, inactivityTimeoutMs } = config;
  return {
    processes,
    startupTimeoutMs,
    deadlockTimeoutMs,
    queueTimeoutMs,
    gracefulTimeoutMs,
    shutdownTimeoutMs,
    memoryLimitBytes,
    inactivityTimeoutMs,
  };
}

/** How much later than its limit a worker may be replaced, so that not all are at once. */
const jitter = 0.1;

export function jittered(limit: number): number {
  return limit === 0 ? 0 : Math.round(limit * (1 + jitter * Math.random()));
}

/** Makes the log file: the workers may not be allowed to. Throws BootError. */
export function prepareLogFileOf({ logFile }: GroupConfig, runAs: RunAs | undefined): void {
  if (logFile !== undefined) prepareLogFile(logFile, runAs);
}

/** Makes another one in the place of one that was moved away. */
export function reopenLogFile(config: GroupConfig, runAs: RunAs | undefined, log: Log): void {
  try {
    prepareLogFileOf(config, runAs);
  } catch (error) {
    const fields = { code: "TSGI3218", group: config.name, err: error };
    log.error(fields, "the log file could not be opened again: the open one goes on");
  }
}
