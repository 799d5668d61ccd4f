// Warm daemons of a test file: wrappers that ask for them, and their end. They run in the folder of their wrapper, so that
// what is left of them is found like every other process of the test.
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { isRunning, processesOf, type RunningProcess } from "./leftovers.ts";
import { programPath } from "./machine.ts";
import { until } from "./until.ts";
import type { Workspace } from "./workspace.ts";

/** A PATH on which there is what an entry needs, and no Perl. */
export async function pathWithoutPerl(workspace: Workspace): Promise<string> {
  const folder = workspace.path("no-perl");
  await mkdir(folder, { mode: 0o755 });
  await symlink(process.execPath, join(folder, "node"));
  for (const name of ["sh", "readlink", "sleep"]) await symlink(programPath(name), join(folder, name));
  return folder;
}

/** A wrapper with `--warm`, and with the PATH, if one is given. */
export async function warmWrapper(
  workspace: Workspace,
  program: "tsgi-cgi" | "tsgi-fcgid",
  args: readonly string[],
  { name = "warm/app", path }: { name?: string; path?: string | undefined } = {},
): Promise<string> {
  const words = [workspace.bin(program), "--warm", `--cache-dir=${workspace.product.cacheDir}`, ...args];
  const setPath = path === undefined ? "" : `export PATH='${path}'\n`;
  return await workspace.write(
    name,
    `#!/bin/sh\n${setPath}exec ${words.map((word) => `'${word}'`).join(" ")}\n`,
    0o755,
  );
}

export function warmDaemons(workspace: Workspace): RunningProcess[] {
  return processesOf(workspace.dir).filter(({ command }) =>
    /^\S*node --max-old-space-size=\d+ \S*\/daemon-main\.js /u.test(command),
  );
}

/** Ends them as the system would, and waits for it. */
export async function endWarmDaemons(workspace: Workspace): Promise<void> {
  const daemons = warmDaemons(workspace);
  for (const { pid } of daemons) process.kill(pid, "SIGTERM");
  await until("the warm daemons to end", () => daemons.every(({ pid }) => !isRunning(pid)));
}
