// The command line: which command, how errors look, and the only place that ends the process.
// Rules: a command's module is loaded when it is the one asked for; an error is one line on stderr, or one for each
// problem of the settings; exit codes are 0 for fine, 1 for failed, 2 for wrong usage.

import { Command, CommanderError } from "commander";
import { BootError, ConfigError, messageWithCode, systemCodeOf, TsgiError } from "../errors.ts";
import { packageVersion } from "./version.ts";

interface CommandModule {
  configure(command: Command): void;
}

interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  "start-server": {
    summary: "run a private Apache with an application, or a folder of them, in the foreground",
    load: () => import("./start-server.ts"),
  },
  "setup-server": {
    summary: "write the same server with an apachectl, without starting it",
    load: () => import("./setup-server.ts"),
  },
  daemon: { summary: "run the FastCGI daemon for an Apache of yours", load: () => import("./daemon.ts") },
  reload: {
    summary: "have a running daemon start its application anew, without a lost request",
    load: () => import("./reload.ts"),
  },
  stop: { summary: "end a running daemon when its last request ended", load: () => import("./stop.ts") },
  status: { summary: "show how a running daemon is", load: () => import("./status.ts") },
  dev: { summary: "serve HTTP without Apache, for development", load: () => import("./dev.ts") },
  config: { summary: "print Apache configuration", load: () => import("./config.ts") },
  init: {
    summary: "set up a folder of an account at a host, or files to upload to one",
    load: () => import("./init.ts"),
  },
  check: { summary: "load an application and say what was found", load: () => import("./check.ts") },
  request: {
    summary: "run one request through an application and print the reply",
    load: () => import("./request.ts"),
  },
  doctor: {
    summary: "find out why an application does not work behind Apache, and what to do",
    load: () => import("./doctor.ts"),
  },
  explain: { summary: "say what a code or a line of a log means, and what to do", load: () => import("./explain.ts") },
};

const exitFailed = 1;
const exitUsage = 2;

async function createProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command("tsgi")
    .description("Runs TypeScript web applications behind Apache httpd.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", "\nExample:\n  $ tsgi start-server app.ts --port 8000")
    .configureOutput({ outputError: (text, write) => write(`tsgi: ${oneLine(text)}\n`) })
    .exitOverride();
  const wanted = argv[0] === "help" ? argv[1] : argv[0];
  for (const [name, { summary, load }] of Object.entries(commands)) {
    const command = program.command(name).description(summary);
    if (name === wanted) (await load()).configure(command);
  }
  return program;
}

function oneLine(text: string): string {
  return text
    .replace(/^error: /, "")
    .trim()
    .replace(/\s*\n\s*/g, " ");
}

/** Prints what a person should know, and gives the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Help that was asked for is fine; help because nothing was asked for is not.
    return error.exitCode === 0 ? 0 : exitUsage;
  }
  const told = isOfPath(error) ? new BootError(error.message, error) : error;
  const lines = told instanceof ConfigError ? told.issues : [messageWithCode(told)];
  for (const line of lines) process.stderr.write(`tsgi: ${line.trimEnd()}\n`);
  if (!(told instanceof TsgiError) && told instanceof Error) process.stderr.write(`${told.stack ?? ""}\n`);
  return told instanceof ConfigError ? exitUsage : exitFailed;
}

/** Whether the system refused a file or folder: which one and why is all that there is to say. */
function isOfPath(error: unknown): error is Error {
  return systemCodeOf(error) !== undefined && error instanceof Error && "path" in error && "syscall" in error;
}

/** Waits until everything that was printed has left the process, or nobody reads it. */
async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.once("error", () => resolve());
    stream.write("", () => resolve());
  });
}

/** Runs the command line without the program's name, and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<never> {
  // A reader that went away (`tsgi config | head`, a closed terminal) is not an error of ours.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  let isDone = false;
  process.on("exit", (status) => {
    if (isDone) return;
    process.stderr.write(
      `tsgi: the application ended this process: process.exit(${status}), or nothing left to wait for\n`,
    );
    process.exitCode = exitFailed;
  });
  let code: number;
  try {
    const program = await createProgram(argv);
    await program.parseAsync(argv, { from: "user" });
    code = Number(process.exitCode ?? 0);
  } catch (error) {
    code = report(error);
  }
  await flushed(process.stdout);
  await flushed(process.stderr);
  isDone = true;
  // oxlint-disable-next-line unicorn/no-process-exit -- timers and pools of an application must not keep a command
  process.exit(code);
}
