// The server as a whole: whether there is one, whether its configuration can be read, and whether Apache itself accepts it.

import { statusOf } from "./access.ts";
import type { Finding } from "./finding.ts";
import { oneLine } from "./finding.ts";
import type { FoundApache } from "./find-apache.ts";
import { run, usualPath } from "./run.ts";
import type { Subject } from "./subject.ts";

function noServer({ apaches, apacheProblem, folder, elsewhere }: Subject): Finding {
  const read = apaches.map(({ configuration }) => configuration.file).join(", ");
  const why =
    apaches.length === 0
      ? `no Apache is known on this machine${apacheProblem === "" ? "" : ` (${apacheProblem})`}`
      : `no configuration that was found serves it (${read})`;
  return {
    code: "TSGI3548",
    severity: "note",
    place: folder,
    message: `${why}: options, modules and limits of the server were not looked at`,
    remedy:
      elsewhere.length > 0
        ? "nothing, where a daemon serves it: ask its address too, --url URL"
        : "name its main file: --apache-config FILE",
  };
}

function unreadFindings({ configuration }: FoundApache): Finding[] {
  return configuration.unread.slice(0, 5).map((file) => ({
    code: "TSGI3549",
    severity: "note",
    place: file,
    message: "this user may not read it, or it is not there: what it says was not looked at",
    remedy: "run this as root",
  }));
}

/** Of another's configuration, keys and logs that only he can open would look like mistakes. */
function isOurs(file: string): boolean {
  const self = process.getuid?.() ?? 0;
  return self === 0 || statusOf(file)?.uid === self;
}

/** `httpd -t`, with the arguments and variables that the server is started with. */
async function syntaxFindings({ program, source, configuration, owner, pid }: FoundApache): Promise<Finding[]> {
  if (program === undefined || configuration.unread.length > 0) return [];
  if (!isOurs(source.file)) return [];
  const defines = source.defines.flatMap((name) => ["-D", name]);
  const env = { PATH: usualPath, LANG: "C", ...source.variables };
  const { stderr, stdout, code } = await run(program, ["-t", "-d", source.root, "-f", source.file, ...defines], {
    env,
    account: owner,
  });
  const [whole, line, file] = /Syntax error on line (\d+) of ([^\s:]+):[^]*/.exec(stderr + stdout) ?? [];
  // What runs at the start makes the folder for the runtime.
  const isUnstarted = pid === undefined && whole?.includes("DefaultRuntimeDir") === true;
  if (code === 0 || whole === undefined || isUnstarted) return [];
  const text = whole
    .split("\n")
    .slice(0, 2)
    .join(" ")
    .replace(/^Syntax error on line \d+ of \S+\s*/, "");
  return [
    {
      code: "TSGI3530",
      severity: "error",
      place: `${file ?? ""}:${line ?? ""}`,
      message: `Apache refuses its configuration, and does not start again: ${oneLine(text)}`,
      remedy: "mend the line; apachectl configtest",
    },
  ];
}

/** Only where this system shows what runs. */
function absentFindings({ pid, configuration }: FoundApache): Finding[] {
  if (pid !== undefined || statusOf("/proc/self") === undefined) return [];
  const message = "no Apache was seen to run with this configuration";
  return [
    { code: "TSGI3579", severity: "note", place: configuration.file, message, remedy: "start it: apachectl start" },
  ];
}

export async function serverFindings(subject: Subject): Promise<Finding[]> {
  const { apache, apaches, elsewhere } = subject;
  if (apache === undefined) {
    // What runs, or was named, may send requests to a daemon of the application's.
    const meant = apaches.filter(({ pid }) => pid !== undefined || elsewhere.length > 0);
    return [noServer(subject), ...(await Promise.all(meant.map(syntaxFindings))).flat()];
  }
  return [...absentFindings(apache), ...unreadFindings(apache), ...(await syntaxFindings(apache))];
}
