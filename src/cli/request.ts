// `tsgi request`: one request through an application, without a server, and its reply.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { SettingName } from "../config/settings.ts";
import { BootError, ConfigError, messageOf } from "../errors.ts";
import { loadApplication, parseAppReference } from "../loader/load.ts";
import type { HeaderList, Log } from "../spec.ts";
import { addSettings, readSettings } from "./options.ts";
import { reserveStdout } from "./stdout.ts";

const names = ["configFile", "mountPoint", "cacheDir", "adapter"] as const satisfies readonly SettingName[];

interface RequestOptions {
  readonly header: readonly string[];
  readonly data?: string;
}

function parseHeaders(lines: readonly string[]): HeaderList {
  return lines.map((line) => {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line);
    if (match === null) throw new ConfigError([`-H ${JSON.stringify(line)}: expected "Name: value"`]);
    return [match[1] ?? "", match[2] ?? ""];
  });
}

function readBody(data: string | undefined): Uint8Array | undefined {
  if (data === undefined) return undefined;
  if (data !== "-" && !data.startsWith("@")) return Buffer.from(data);
  try {
    return readFileSync(data === "-" ? 0 : data.slice(1));
  } catch (error) {
    throw new BootError(`--data ${data}: ${messageOf(error)}`, error);
  }
}

function ignore(): void {}

function show(fields: object | string, message?: string): void {
  const error = typeof fields === "object" && "err" in fields ? fields.err : undefined;
  const reason = typeof fields === "object" && "reason" in fields ? `: ${String(fields.reason)}` : "";
  const detail = error instanceof Error ? `: ${error.stack ?? error.message}` : reason;
  process.stderr.write(`tsgi: ${typeof fields === "string" ? fields : (message ?? "")}${detail}\n`);
}

/** Shows warnings and failures on stderr, and remembers whether there was a failure. */
class TerminalLog {
  hasFailed = false;

  readonly log: Log = {
    trace: ignore,
    debug: ignore,
    info: show,
    warn: show,
    error: (fields: object | string, message?: string) => this.#fail(fields, message),
    fatal: (fields: object | string, message?: string) => this.#fail(fields, message),
    child: () => this.log,
  };

  #fail(fields: object | string, message: string | undefined): void {
    this.hasFailed = true;
    show(fields, message);
  }
}

function urlAndMethod(first: string, second: string | undefined, hasBody: boolean): { method: string; url: string } {
  const method = second === undefined ? (hasBody ? "POST" : "GET") : first;
  const url = second ?? first;
  if (!/^[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]*$/.test(method)) {
    throw new ConfigError([`${JSON.stringify(method)} is not a method such as GET`]);
  }
  if (!/^(https?:\/\/[^/]|\/)/i.test(url)) {
    throw new ConfigError([`${JSON.stringify(url)} is not a URL: expected /path or http://host/path`]);
  }
  return { method, url };
}

async function run(
  words: readonly [app: string, first: string, second: string | undefined],
  command: Command,
): Promise<number> {
  const [app, first, second] = words;
  const { mountPoint, cacheDir, adapter } = await readSettings(command, names);
  const { header, data } = command.opts<RequestOptions>();
  const headers = parseHeaders(header);
  const { method, url } = urlAndMethod(first, second, data !== undefined);
  const body = readBody(data);
  const print = reserveStdout();
  const { application, file } = await loadApplication(parseAppReference(app, process.cwd()), { cacheDir, adapter });
  const terminal = new TerminalLog();
  const { runDirect } = await import("../server/direct.ts");
  const request = { method, url, headers, mountPoint, script: file, log: terminal.log };
  const reply = await runDirect(application, body === undefined ? request : { ...request, body });
  const head = [
    `HTTP/1.1 ${reply.status} ${reply.reason}`,
    ...reply.headers.map(([name, value]) => `${name}: ${value}`),
  ];
  await print(Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"));
  await print(reply.body);
  if (reply.errors !== "") process.stderr.write(`${reply.errors}\n`);
  if (!reply.complete) process.stderr.write("tsgi: the response was broken off\n");
  return terminal.hasFailed || !reply.complete ? 1 : 0;
}

export function configure(command: Command): void {
  command
    .argument("<app>", "application: file.ts, or file.ts#export")
    .argument("<method-or-url>", "GET unless a method stands before the URL, or POST with --data")
    .argument("[url]", "/path?query, or http://host/path")
    .option(
      "-H, --header <line>",
      '"Name: value"; may be repeated',
      (line: string, lines: string[]) => [...lines, line],
      [],
    )
    .option("--data <text>", "the body; @file reads it from a file, - from standard input");
  addSettings(command, names)
    .addHelpText(
      "after",
      "\nExample:\n  $ tsgi request app.ts POST '/items?id=1' -H 'Content-Type: text/plain' --data hello",
    )
    .action(async (app: string, first: string, second: string | undefined) => {
      process.exitCode = await run([app, first, second], command);
    });
}
