// The relay for a machine without Perl: `relay-main.js OUTPUT-FD ENTRY DAEMON [--name=value ...] [APP]`.
// Rules: as in bin/tsgi-relay.pl; descriptor 1 is stderr already. Where no daemon takes the request, this process serves it.

import { fstatSync } from "node:fs";
import { parseSize } from "../../config/units.ts";
import { hasBody } from "../../gateway/input.ts";
import { cgiVariables } from "../cgi.ts";
import { trustedWords } from "../trusted-words.ts";
import { daemonEnvironment, daemonKey, enterFolder } from "./place.ts";
import { relayRequest } from "./relay.ts";
import type { DaemonCommand } from "./start.ts";
import { connectDaemon } from "./start.ts";

const defaultMemoryLimitBytes = 256 * 1024 * 1024;
const [, , outputFd = "1", entry = "", main = "", ...argv] = process.argv;
const variables = cgiVariables();
const home = process.cwd();

async function serveHere(): Promise<void> {
  process.chdir(home);
  process.argv.splice(2, 3, outputFd, entry);
  await import("../cgi-main.ts");
}

function findCommand(): DaemonCommand | undefined {
  const request = { entry, scriptFilename: variables["SCRIPT_FILENAME"], query: variables["QUERY_STRING"] };
  const words = trustedWords(argv, request);
  const isAsked = words.includes("--warm") || /^(?:1|on|true|yes)$/i.test(process.env["TSGI_WARM"] ?? "");
  if (!isAsked) return undefined;
  const start = words.findIndex((word) => !word.startsWith("--"));
  const end = start === -1 ? words.length : start + 1;
  const kept = words.slice(0, end).filter((word) => word !== "--warm");
  const optionOf = (name: string): string | undefined =>
    kept.findLast((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
  const environment = daemonEnvironment(process.env);
  const log = fstatSync(2);
  const logParts = log.isFile() ? [`${log.dev}:${log.ino}`] : []; // after a rotation, another daemon writes to the new file
  const key = daemonKey(main, ["cgi", process.execPath, home, ...kept, ...logParts], environment);
  const folder = enterFolder(optionOf("cache-dir"), process.env);
  if (folder === undefined) return undefined;
  const limit = optionOf("memory-limit");
  const limitBytes = limit === undefined ? defaultMemoryLimitBytes : parseSize(limit);
  const heapMegabytes = Math.max(64, Math.floor((2 * limitBytes) / 2 ** 20));
  return { key, folder, cwd: home, main, args: ["cgi", entry, ...kept], heapMegabytes, environment };
}

async function relay(): Promise<number | undefined> {
  let command: DaemonCommand | undefined;
  try {
    command = findCommand();
  } catch {
    return undefined; // whoever serves it says what is wrong
  }
  const socket = command === undefined ? undefined : await connectDaemon(command);
  if (socket === undefined) return undefined;
  const { status, hasAnswered } = await relayRequest({ socket, variables, outputFd: Number(outputFd) });
  if (status !== undefined) return status === 0 ? 0 : 1;
  process.stderr.write("tsgi: the warm daemon ended before the request\n");
  if (hasAnswered) return 1;
  if (!hasBody(variables) && ["GET", "HEAD", "OPTIONS"].includes(variables["REQUEST_METHOD"] ?? "")) return undefined;
  const { writeSync } = await import("node:fs");
  writeSync(
    Number(outputFd),
    "Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\n\r\nInternal Server Error\n",
  );
  return 1;
}

const status = await relay();
if (status === undefined) await serveHere();
// eslint-disable-next-line unicorn/no-process-exit -- an entry file
else process.exit(status);
