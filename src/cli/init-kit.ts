// `tsgi init --upload-kit`: writes an archive of files to upload, for a host without a shell.

import { resolve } from "node:path";
import { applyChanges } from "../account/change.ts";
import { makeKit } from "../account/kit/kit.ts";
import { layoutOf, readPlaced, servedFolder } from "../account/layout.ts";
import { foreignText, newFileMode } from "../account/plan.ts";
import { fronts } from "../apache/htaccess.ts";
import type { Config } from "../config/settings.ts";
import { BootError, ConfigError } from "../errors.ts";
import type { InitFlags } from "./init-target.ts";
import { print } from "./init-report.ts";
import { nodeOption, readTarget } from "./init-target.ts";

/** Writes the archive, and gives the exit code. With `dir`, its .htaccess file is the one that the host has. */
export async function uploadKit(
  out: string,
  dir: string | undefined,
  flags: InitFlags,
  config: Config,
): Promise<number> {
  if (flags.transport !== "auto" && flags.transport !== "cgi") {
    throw new ConfigError([`--transport ${flags.transport}: an upload kit is for CGI`]);
  }
  const path = resolve(out);
  const placed = readPlaced(path);
  if (placed !== undefined && flags.yes !== true) {
    throw new BootError(`${path} is there already: remove it, or write over it with --yes`);
  }
  const layout = dir === undefined ? undefined : layoutOf(servedFolder(resolve(dir)));
  const { file, exportName } = readTarget(flags.app ?? layout?.block?.facts.app);
  const htaccess = layout === undefined ? undefined : foreignText(layout);
  const { zip, files, warnings, nodeLine } = await makeKit({
    file,
    exportName,
    adapter: config.adapter,
    node: nodeOption(flags),
    htaccess,
  });
  if (flags.dryRun !== true) {
    applyChanges([{ path, before: placed?.bytes, after: Buffer.from(zip), mode: newFileMode, owner: placed }]);
  }
  const list = files.map(
    ({ name, mode, sizeBytes }) => `  0${mode.toString(8)} ${String(sizeBytes).padStart(8)}  ${name}`,
  );
  print(
    `tsgi: ${flags.dryRun === true ? "would write" : "wrote"} ${path}, files to upload into the folder that the host serves`,
    ...list,
    ...warnings.map((warning) => `  note: ${warning}`),
    `  edit: line ${nodeLine} of ${fronts.cgi.file} says where Node.js is on the host; README.html says the rest`,
  );
  return 0;
}
