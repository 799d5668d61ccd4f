// What a program is run by: the interpreter of its first line, and the node that it finds.

import { shellWord } from "../apache/htaccess.ts";
import { basename, join } from "node:path";
import { bits, canSee, obstacleTo, realPathOf, statusOf } from "./access.ts";
import type { Finding } from "./finding.ts";
import { noexecMountOf } from "./mounts.ts";
import { mayRun, run } from "./run.ts";
import type { FirstLine } from "./shebang.ts";
import type { Subject } from "./subject.ts";
import { severityOf, versionOf } from "./subject.ts";

/** What newer kernels read of a first line, and what older ones did. */
const maxLine = 255;
const oldMaxLine = 127;

const leastNode = [20, 19] as const;

type Context = Pick<Subject, "apache" | "runner" | "path" | "account">;

export function lineFindings(file: string, first: FirstLine): Finding[] {
  const place = `${file}:1`;
  const finding = (code: string, message: string, remedy: string): Finding[] => [
    { code, severity: "error", place, message, remedy },
  ];
  switch (first.problem) {
    case "none":
      break;
    case "byte-order-mark":
      return finding(
        "TSGI3505",
        "a byte order mark stands before #!, so that the system cannot run it (Exec format error)",
        `sed -i '1s/^\\xEF\\xBB\\xBF//' ${shellWord(file)}`,
      );
    case "utf-16":
      return finding(
        "TSGI3505",
        "the file is UTF-16, which the system cannot run",
        `iconv -f UTF-16 -t UTF-8 ${shellWord(file)} > ${shellWord(file)}.new, then replace it`,
      );
    case "no-line":
      return finding(
        "TSGI3504",
        "there is no #! line, so that the system cannot run it (Exec format error)",
        "begin the file with #! and the absolute path of its interpreter",
      );
    case "crlf":
      return finding(
        "TSGI3506",
        `the #! line ends in CR LF: the system looks for ${JSON.stringify(`${first.interpreter}\r`)}`,
        `sed -i 's/\\r$//' ${shellWord(file)}`,
      );
    case "quoted":
      return finding(
        "TSGI3510",
        `the path in the #! line is in quotes: ${first.interpreter}`,
        "write the path without quotes",
      );
    case "relative":
      return finding(
        "TSGI3510",
        `the #! line names no absolute path: ${JSON.stringify(first.interpreter)}`,
        "write the absolute path of the interpreter",
      );
  }
  if (first.length <= oldMaxLine) return [];
  const severity = first.length > maxLine ? "error" : "warning";
  const message = `the #! line has ${first.length} bytes; the system reads ${maxLine} of them, an old one ${oldMaxLine}`;
  return [
    { code: "TSGI3509", severity, place, message, remedy: "use a wrapper: #!/bin/sh and a line exec INTERPRETER FILE" },
  ];
}

/** Whether a user can run a program, which is there. `closedCode`: where its own mode is in the way. */
export function runnableFindings(
  program: string,
  place: string,
  { apache, runner }: Context,
  closedCode = "TSGI3508",
): Finding[] {
  const finding = (code: string, message: string, remedy: string): Finding => ({
    code,
    severity: severityOf({ apache }),
    place,
    message,
    remedy,
  });
  const mount = noexecMountOf(program);
  if (mount !== undefined) {
    const message = `${program} lies on ${mount}, which is mounted noexec: no program can be run there`;
    return [finding("TSGI3512", message, `use a program on another file system (or mount -o remount,exec ${mount})`)];
  }
  if (runner === undefined) return [];
  const obstacle = obstacleTo(program, runner, bits.run);
  if (obstacle === undefined || obstacle.kind === "unseen") return [];
  const message =
    obstacle.kind === "folder"
      ? `${runner.user}, whom it runs as, may not enter ${obstacle.path}, where ${program} lies`
      : `${runner.user}, whom it runs as, may not run ${obstacle.path}`;
  const remedy =
    obstacle.kind === "folder"
      ? `chmod o+x ${shellWord(obstacle.path)}, or use a program elsewhere`
      : `chmod 755 ${shellWord(obstacle.path)}`;
  return [finding(obstacle.kind === "folder" ? "TSGI3508" : closedCode, message, remedy)];
}

/** A program that is not there, or that we may not see. */
export function missingFinding(place: string, program: string): Finding {
  const isSeen = canSee(program);
  return {
    code: isSeen ? "TSGI3507" : "TSGI3549",
    severity: isSeen ? "error" : "note",
    place,
    message: isSeen ? `${program} is not there` : `whether ${program} is there cannot be seen by this user`,
    remedy: isSeen ? `put the path of a program that is there (command -v ${basename(program)})` : "",
  };
}

function isOldNode(version: string): boolean {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return major < leastNode[0] || (major === leastNode[0] && minor < leastNode[1]);
}

/** The version of a node that a program is run by. */
export async function nodeFindings(node: string, place: string, { runner }: Context): Promise<Finding[]> {
  if (!mayRun(runner)) return [];
  const version = await versionOf(node, runner);
  if (version === undefined) {
    const message = `${node} --version failed: it does not run on this system`;
    return [
      { code: "TSGI3503", severity: "error", place, message, remedy: "install Node.js 20.19 or newer for this system" },
    ];
  }
  if (!/^v\d+\.\d+/.test(version) || !isOldNode(version)) return [];
  const message = `${node} is ${version}; tsgi needs Node.js ${leastNode.join(".")} or newer`;
  return [
    {
      code: "TSGI3502",
      severity: "error",
      place,
      message,
      remedy: "install a newer Node.js, and name it first on the PATH",
    },
  ];
}

/** The first program of a name on a PATH. */
function onPath(name: string, path: string): string | undefined {
  const folders = path.split(":").filter((folder) => folder.startsWith("/"));
  return folders.map((folder) => join(folder, name)).find((file) => ((statusOf(file)?.mode ?? 0) & 0o111) !== 0);
}

/** Node as a program finds it on `path`. */
export async function nodeOnPath(path: string, place: string, context: Context): Promise<Finding[]> {
  const node = onPath("node", path);
  if (node === undefined) {
    const message = `node is not on the PATH that it gets (${path})`;
    const remedy = `set it in a wrapper: PATH=${realPathOf(process.execPath).replace(/\/[^/]*$/, "")}:$PATH; export PATH`;
    return [{ code: "TSGI3501", severity: severityOf(context), place, message, remedy }];
  }
  const closed = runnableFindings(node, place, context);
  return closed.length > 0 ? closed : await nodeFindings(node, place, context);
}

async function envFindings(first: FirstLine, place: string, context: Context): Promise<Finding[]> {
  const words = first.argument.split(/\s+/).filter(Boolean);
  const isSplit = words[0] === "-S" || words[0]?.startsWith("-S") === true;
  const [name = ""] = isSplit ? [words.find((word) => !/^-|=/.test(word)) ?? ""] : words;
  if (!isSplit && words.length > 1) {
    const message = `env gets ${JSON.stringify(first.argument)} as one word and looks for a program of that name`;
    const remedy = `#!/usr/bin/env -S ${first.argument}, or a wrapper`;
    return [{ code: "TSGI3510", severity: "error", place, message, remedy }];
  }
  const account = context.runner;
  if (isSplit && mayRun(account) && (await run(first.interpreter, ["-S", "true"], { account })).code !== 0) {
    const message = `${first.interpreter} has no option -S on this system`;
    return [
      {
        code: "TSGI3510",
        severity: "error",
        place,
        message,
        remedy: "use a wrapper: #!/bin/sh and a line exec node ...",
      },
    ];
  }
  if (name === "node") return await nodeOnPath(context.path, place, context);
  if (name !== "" && !name.startsWith("/") && onPath(name, context.path) === undefined)
    return [missingFinding(place, name)];
  return [];
}

/** The interpreter of a first line that is in order. */
export async function interpreterFindings(file: string, first: FirstLine, context: Context): Promise<Finding[]> {
  const place = `${file}:1`;
  const { interpreter } = first;
  const status = statusOf(interpreter);
  if (status === undefined) {
    // A folder that is closed to us may be so to the program's user.
    const closed = canSee(interpreter) ? [] : runnableFindings(interpreter, place, context);
    return closed.length > 0 ? closed : [missingFinding(place, interpreter)];
  }
  if (!status.isFile()) {
    const message = `${interpreter} is a folder`;
    return [{ code: "TSGI3507", severity: "error", place, message, remedy: "name a program in it" }];
  }
  const closed = runnableFindings(interpreter, place, context);
  if (closed.length > 0) return closed;
  if (basename(interpreter) === "env") return await envFindings(first, place, context);
  return /^node(?:js)?(?:-?\d+)?$/.test(basename(interpreter)) ? await nodeFindings(interpreter, place, context) : [];
}
