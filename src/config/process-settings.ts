// The part of the table of settings that is about processes: how many, as whom, their limits, and who controls them.
// Rules: as in settings.ts, of whose one table these are a part. What mod_wsgi has too has its name.

import { availableParallelism } from "node:os";
import type { ListenAddress } from "./address.ts";
import { parseNodeOptions, parseNodeOptionsText } from "./node-options.ts";
import {
  checkUrlPaths,
  commaList,
  countFrom,
  parseAccount,
  parseMebibytes,
  parseOptionalDuration,
  parsePositiveDuration,
  parseSwitch,
  parseText,
  parseMountPath,
  parseStatusAddress,
  parseUmask,
  parseUnixAddress,
  zeroOr,
} from "./parsers.ts";
import { define, definePerGroup } from "./setting.ts";
import { parseDuration, parseSize } from "./units.ts";

const autoProcesses = Math.max(2, availableParallelism());
const maxProcesses = 1000;

function parseProcesses(text: string): number {
  if (text === "auto") return autoProcesses;
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > maxProcesses) throw new Error(`expected auto, or a number from 1 to ${maxProcesses}`);
  return count;
}

const noText: string | undefined = undefined;
const noNumber: number | undefined = undefined;
const noTexts: readonly string[] = [];
const noAddress: ListenAddress | undefined = undefined;

const limitSettings = {
  processes: definePerGroup({
    flag: "processes",
    placeholder: "count",
    default: autoProcesses,
    defaultText: "auto",
    help: "worker processes; auto: one for each core, at least 2",
    parse: parseProcesses,
  }),
  requestTimeoutMs: definePerGroup({
    flag: "request-timeout",
    placeholder: "time",
    default: 0,
    defaultText: "0",
    help: "longest time for a request: 504, or a broken connection once its head is sent; 0: no limit",
    parse: parseOptionalDuration,
  }),
  slowRequestMs: definePerGroup({
    flag: "slow-request",
    placeholder: "time",
    default: 0,
    defaultText: "0",
    help: "log a request that takes longer, and where it hangs when the event loop is blocked; 0: none",
    parse: zeroOr(100, "100ms", parseDuration),
  }),
  deadlockTimeoutMs: definePerGroup({
    flag: "deadlock-timeout",
    placeholder: "time",
    default: 30_000,
    defaultText: "30s",
    help: "a worker whose event loop is blocked for so long is killed and replaced; 0: never",
    parse: zeroOr(100, "100ms", parseDuration),
  }),
  startupTimeoutMs: definePerGroup({
    flag: "startup-timeout",
    placeholder: "time",
    default: 60_000,
    defaultText: "60s",
    help: "longest time for a worker to load the application",
    parse: parsePositiveDuration,
  }),
  gracefulTimeoutMs: definePerGroup({
    flag: "graceful-timeout",
    placeholder: "time",
    default: 300_000,
    defaultText: "5m",
    help: "how long a worker that is being replaced may take for its running requests",
    parse: parsePositiveDuration,
  }),
  shutdownTimeoutMs: definePerGroup({
    flag: "shutdown-timeout",
    placeholder: "time",
    default: 10_000,
    defaultText: "10s",
    help: "how long running requests may take when the daemon stops",
    parse: parsePositiveDuration,
  }),
  maximumRequests: definePerGroup({
    flag: "maximum-requests",
    placeholder: "count",
    default: 0,
    defaultText: "0",
    help: "a worker is replaced after about so many requests; 0: never",
    parse: countFrom(0),
  }),
  restartIntervalMs: definePerGroup({
    flag: "restart-interval",
    placeholder: "time",
    default: 0,
    defaultText: "0",
    help: "a worker is replaced after about so long; 0: never",
    parse: parseOptionalDuration,
  }),
  inactivityTimeoutMs: definePerGroup({
    flag: "inactivity-timeout",
    placeholder: "time",
    default: 0,
    defaultText: "0",
    help: "a worker that had no request for so long is replaced; 0: never",
    parse: parseOptionalDuration,
  }),
  ignoreActivity: definePerGroup({
    flag: "ignore-activity",
    placeholder: "url",
    default: noTexts,
    defaultText: undefined,
    help: "a URL path whose requests are no activity, such as /health or /status/*; may be repeated",
    ...commaList(checkUrlPaths),
  }),
  memoryLimitBytes: definePerGroup({
    flag: "memory-limit",
    placeholder: "size",
    default: 0,
    defaultText: "0",
    help: "a worker whose resident memory grows beyond this is replaced; 0: no limit",
    parse: zeroOr(32 * 2 ** 20, "32m", parseSize),
  }),
  maxOldSpaceSize: definePerGroup({
    flag: "max-old-space-size",
    placeholder: "MiB",
    default: 0,
    defaultText: "0",
    help: "the heap of a worker, as Node's option of that name; 0: what Node chooses",
    parse: zeroOr(16, "16", parseMebibytes),
  }),
  nodeOptions: definePerGroup({
    flag: "node-option",
    placeholder: "option",
    default: noTexts,
    defaultText: undefined,
    help: "an option of Node for the workers, such as --import=./file.mjs; may be repeated",
    parse: parseNodeOptionsText,
    parseItems: parseNodeOptions,
  }),
  maxConcurrency: definePerGroup({
    flag: "max-concurrency",
    placeholder: "count",
    default: 0,
    defaultText: "0",
    help: "most requests at once in one worker; others wait; 0: no limit",
    parse: countFrom(0),
  }),
  queueLimit: definePerGroup({
    flag: "queue-limit",
    placeholder: "count",
    default: 100,
    defaultText: "100",
    help: "most requests that wait for one worker; the next ones are answered 503",
    parse: countFrom(0),
  }),
  queueTimeoutMs: definePerGroup({
    flag: "queue-timeout",
    placeholder: "time",
    default: 10_000,
    defaultText: "10s",
    help: "how long a request may wait for a worker before it is answered 503",
    parse: parsePositiveDuration,
  }),
};

const identitySettings = {
  user: definePerGroup({
    flag: "user",
    placeholder: "name",
    default: noText,
    defaultText: undefined,
    help: "whom the workers become before they load the application; only root can",
    parse: parseAccount,
  }),
  group: definePerGroup({
    flag: "group",
    placeholder: "name",
    default: noText,
    defaultText: undefined,
    help: "the group of the workers; the user's own unless given",
    parse: parseAccount,
  }),
  umask: definePerGroup({
    flag: "umask",
    placeholder: "mask",
    default: noNumber,
    defaultText: undefined,
    help: "permissions that files made by the application never get, octal",
    parse: parseUmask,
    isOctal: true,
  }),
  home: definePerGroup({
    flag: "home",
    placeholder: "dir",
    default: noText,
    defaultText: undefined,
    help: "the workers' working folder",
    parse: parseText,
    place: "path",
  }),
  processTitle: definePerGroup({
    flag: "process-title",
    placeholder: "text",
    default: noText,
    defaultText: undefined,
    help: "the workers' name in lists of processes",
    parse: parseText,
  }),
};

const controlSettings = {
  reload: define({
    flag: "reload",
    placeholder: undefined,
    default: false,
    defaultText: undefined,
    help: "replace the workers when a file of the application changes",
    parse: parseSwitch,
  }),
  touchFile: define({
    flag: "touch-file",
    placeholder: "file",
    default: noText,
    defaultText: undefined,
    help: "replace the workers when this file is touched, such as tmp/restart.txt",
    parse: parseText,
    place: "path",
  }),
  control: define({
    flag: "control",
    placeholder: "address",
    default: noText,
    defaultText: undefined,
    help: "where status, reload and stop are asked for: unix:/path; beside the socket unless given",
    parse: parseUnixAddress,
    place: "address",
  }),
  status: define({
    flag: "status",
    placeholder: "address",
    default: noAddress,
    defaultText: undefined,
    help: "where the status page is served, over HTTP: unix:/path for Apache, or tcp:127.0.0.1:port",
    parse: parseStatusAddress,
    place: "address",
  }),
  statusMount: define({
    flag: "status-mount",
    placeholder: "path",
    default: noText,
    defaultText: undefined,
    help: "URL path of the status page in Apache, for requests from this machine, such as /tsgi-status",
    parse: parseMountPath,
  }),
  controlToken: define({
    flag: "control-token",
    placeholder: "file",
    default: noText,
    defaultText: undefined,
    help: "file with the token that the status page's reload needs; beside the control socket unless given",
    parse: parseText,
    place: "path",
  }),
  pidFile: define({
    flag: "pid-file",
    placeholder: "file",
    default: noText,
    defaultText: undefined,
    help: "file for the daemon's process number while it runs",
    parse: parseText,
    place: "path",
  }),
};

/** A part of the table in settings.ts. */
export const processSettings = { ...limitSettings, ...identitySettings, ...controlSettings };
