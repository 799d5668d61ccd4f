// A site on plain CGI: a process for each request. Slow, but everything a host without daemons has.
// Rules: an application is reached through a small executable of its own; a folder's scripts go through mod_actions to one
// program, which nobody can ask for directly.

import type { Directive } from "./directives.ts";
import { blank, block, line } from "./directives.ts";
import { scriptPattern } from "./published.ts";
import type { Site } from "./site.ts";
import {
  documentRoot,
  forFile,
  mountedAt,
  noTypeOfScripts,
  passAuthorization,
  rawUrl,
  scriptFolder,
  trustContentLength,
} from "./site.ts";

/** Where mod_actions finds the program: a path that visitors cannot open. */
const actionPath = "/.tsgi-cgi";
const handler = "tsgi-script";

function applicationSite(site: Site, program: string): Directive[] {
  return [
    mountedAt(site, "ScriptAlias", program, "The rest of the URL's path after the mount point is PATH_INFO."),
    forFile(program, [line("Require", ["all", "granted"]), passAuthorization]),
  ];
}

function scriptsSite(site: Site, root: string, program: string): Directive[] {
  const scripts = block(
    "FilesMatch",
    [scriptPattern],
    [noTypeOfScripts, line("SetHandler", [handler])],
    "TypeScript files are applications: run, never sent.",
  );
  return [
    line("Action", [handler, actionPath], "The program that runs the scripts."),
    line("ScriptAlias", [actionPath, program]),
    forFile(program, [
      line("Require", ["env", "REDIRECT_HANDLER"], "Only mod_actions may call it, no visitor."),
      passAuthorization,
      line("SetEnv", ["TSGI_SCRIPT_ROOT", root], "Only scripts in this folder are run."),
    ]),
    ...scriptFolder(site, root, [scripts]),
  ];
}

/**
 * A site whose requests start `program`, for a server or a virtual host: for an application an executable that names it,
 * for a folder `tsgi-cgi` or an executable that calls it.
 */
export function cgiSite(site: Site, program: string): Directive[] {
  const { target } = site;
  return [
    ...rawUrl(),
    trustContentLength(),
    blank,
    ...documentRoot(site),
    ...(target.kind === "application" ? applicationSite(site, program) : scriptsSite(site, target.root, program)),
  ];
}
