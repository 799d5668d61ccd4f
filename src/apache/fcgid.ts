// A site on mod_fcgid: Apache starts and stops the processes itself, and each serves one request at a time.
// Rules: the program is named with its arguments in one FcgidWrapper; mod_fcgid keeps at most 255 bytes of its path and
// 511 of the whole command.

import { ConfigError } from "../errors.ts";
import type { Directive } from "./directives.ts";
import { blank, block, commandLine, line } from "./directives.ts";
import { scriptPattern } from "./published.ts";
import type { Site } from "./site.ts";
import {
  documentRoot,
  forFile,
  mountedAt,
  noTypeOf,
  noTypeOfScripts,
  passAuthorization,
  rawUrl,
  scriptFolder,
  silenceSeconds,
} from "./site.ts";

const maxProgramBytes = 255;
const maxCommandBytes = 511;

/** A command for mod_fcgid; its first word is a program with its absolute path. Throws ConfigError if it is too long. */
export function fcgidCommand(command: readonly string[]): string {
  const text = commandLine(command);
  if (Buffer.byteLength(command[0] ?? "") > maxProgramBytes || Buffer.byteLength(text) > maxCommandBytes) {
    throw new ConfigError([`mod_fcgid takes no command as long as this: ${text}`]);
  }
  return text;
}

function fcgidWrapper(command: readonly string[]): Directive {
  return line("FcgidWrapper", [fcgidCommand(command)], "The program that runs the application.");
}

/** How many processes mod_fcgid keeps, and how long it waits; for a server or a virtual host. */
function fcgidLimits(): Directive[] {
  return [
    line(
      "FcgidMaxRequestLen",
      [2 ** 30],
      "Uploads of up to 1 GiB; the default of 128 KiB answers 500 to a longer one.",
    ),
    line("FcgidOutputBufferSize", [0], "What the application writes is sent at once, not when 64 KiB have come."),
    line("FcgidIOTimeout", [silenceSeconds], "Seconds without a byte from the application before Apache gives up."),
    line("FcgidBusyTimeout", [3600], "Seconds for one request, long downloads and event streams included."),
    line("FcgidMaxProcessesPerClass", [10], "A process serves one request at a time: so many can be served at once,"),
    line("FcgidMinProcessesPerClass", [1], "and when there is little to do one is kept."),
    line("FcgidIdleTimeout", [300]),
    line("FcgidProcessLifeTime", [0], "A process that works is not replaced because of its age."),
  ];
}

const run = [
  line("Options", ["+ExecCGI"], "mod_fcgid asks for it."),
  passAuthorization,
  line("SetHandler", ["fcgid-script"]),
];

function extensionOf(file: string): string {
  return /\.[^./]+$/.exec(file)?.[0] ?? ".ts";
}

/** A site whose requests mod_fcgid hands to processes that `command` starts, for a server or a virtual host. */
export function fcgidSite(site: Site, command: readonly string[]): Directive[] {
  const { target } = site;
  const wrapper = fcgidWrapper(command);
  const head = [...rawUrl(), blank, ...fcgidLimits(), blank, ...documentRoot(site)];
  if (target.kind === "application") {
    return [
      ...head,
      mountedAt(site, "Alias", target.file, "The rest of the URL's path after the mount point is PATH_INFO."),
      forFile(target.file, [
        line("Require", ["all", "granted"]),
        noTypeOf([extensionOf(target.file)]),
        ...run,
        wrapper,
      ]),
    ];
  }
  const why = "TypeScript files are applications: run, never sent.";
  const scripts = block("FilesMatch", [scriptPattern], [noTypeOfScripts, ...run, wrapper], why);
  return [...head, ...scriptFolder(site, target.root, [scripts])];
}
