// `tsgi init --probe`: puts the doctor's probe into the folder for somebody who asks it from elsewhere, and takes it out again.

import { likelyMountPoint } from "../account/owner.ts";
import { shellWord } from "../apache/htaccess.ts";
import { probeLifeMs } from "../doctor/probe-files.ts";
import { installProbe, removeProbe } from "../doctor/probe.ts";
import { BootError, messageOf } from "../errors.ts";
import type { InitFlags } from "./init-target.ts";
import { print } from "./init-report.ts";

/** Installs a probe and says how to ask it. Throws BootError where the folder cannot be written to. */
export function putProbe(folder: string, { dryRun }: InitFlags): void {
  if (dryRun === true) {
    print(`tsgi: would put a probe into ${folder}`);
    return;
  }
  const { name, token } = installProbe(folder);
  takeProbes(folder, probeLifeMs);
  const path = encodeURI(`${likelyMountPoint(folder)}/${name}/`);
  print(
    `tsgi: ${folder} has a probe, which answers to nobody without its token, and to nobody after ${probeLifeMs / 60_000} minutes`,
    "  ask it:     (with the address of your site)",
    `    tsgi doctor https://your.site${path} --probe-token ${token}`,
    "  remove it:",
    `    tsgi init ${shellWord(folder)} --remove --probe`,
  );
}

/** Removes the probes that are older than `ageMs`; gives the lines that say so. Throws BootError where one cannot be removed. */
export function takeProbes(folder: string, ageMs = 0): string[] {
  try {
    return removeProbe(folder, ageMs).map((name) => `  removed:    ${folder}/${name}`);
  } catch (error) {
    throw new BootError(`a probe in ${folder} cannot be removed: ${messageOf(error)}`, error);
  }
}
