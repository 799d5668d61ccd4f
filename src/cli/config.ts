// `tsgi config`: prints Apache configuration.

import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { render } from "../apache/directives.ts";
import { isPresetName, preset, presetNames } from "../apache/presets.ts";
import type { SiteTarget } from "../apache/site.ts";
import type { SettingName } from "../config/settings.ts";
import { ConfigError } from "../errors.ts";
import { parseAppReference } from "../loader/load.ts";
import { programsDir } from "../server/httpd/programs.ts";
import { addSettings, readConfig } from "./options.ts";
import { isFolder } from "./target.ts";

const names = ["listen", "mountPoint", "documentRoot", "cacheDir"] as const satisfies readonly SettingName[];

/** The configuration may be for another machine, so nothing needs to be there; a slash at the end makes a folder. */
function targetOf(app: string): SiteTarget {
  const path = resolve(app);
  if (app.endsWith("/") || isFolder(path)) return { kind: "scripts", root: path };
  return { kind: "application", ...parseAppReference(app, process.cwd()) };
}

function run(mode: string, app: string, command: Command): number {
  if (!isPresetName(mode))
    throw new ConfigError([`${JSON.stringify(mode)}: expected one of ${presetNames.join(", ")}`]);
  const config = readConfig(command, names);
  const tree = preset(mode, {
    site: {
      target: targetOf(app),
      mountPoint: config.mountPoint ?? "",
      documentRoot: config.documentRoot === undefined ? undefined : resolve(config.documentRoot),
    },
    listen: config.listen ?? { kind: "unix", path: "/run/tsgi/app.sock" },
    programs: programsDir,
    nodeFolder: dirname(process.execPath),
    cacheDir: config.cacheDir,
  });
  process.stdout.write(render(tree));
  return 0;
}

export function configure(command: Command): void {
  command
    .argument("<mode>", presetNames.join(", "))
    .argument("[app]", "application (file.ts or file.ts#export), or a folder of scripts", "/srv/app/app.ts");
  addSettings(command, names)
    .addHelpText(
      "after",
      "\nExamples:\n  $ tsgi config proxy_fcgi app.ts --mount-point /app\n  $ tsgi config htaccess-cgi app.ts > public_html/.htaccess",
    )
    .action((mode: string, app: string) => {
      process.exitCode = run(mode, app, command);
    });
}
