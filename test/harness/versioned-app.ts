// An application in a folder of its own that a test edits: it answers /version with its version and everything else as
// test/fixtures/apps/supervised.ts does.
import { writeFile } from "node:fs/promises";
import type { Workspace } from "./workspace.ts";

export interface VersionedApp {
  readonly file: string;
  /** A whole application again, with another version. */
  write(version: string): Promise<void>;
  /** Code that runs when the file is imported, before its exports are there. */
  writeBroken(code: string): Promise<void>;
}

export async function versionedApp(workspace: Workspace, folder: string, version = "1"): Promise<VersionedApp> {
  const text = (current: string, atImport = ""): string => `
import { application as inner } from ${JSON.stringify(workspace.app("supervised.ts"))};
import { existsSync } from "node:fs";
${atImport}
export const application = (environ: any, startResponse: any): any => {
  if (environ.PATH_INFO !== "/version") return inner(environ, startResponse);
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return ${JSON.stringify(current)};
};
export const isThere: typeof existsSync = existsSync;
`;
  const file = await workspace.write(`${folder}/app.ts`, text(version));
  return {
    file,
    write: (next) => writeFile(file, text(next)),
    writeBroken: (code) => writeFile(file, text("broken", code)),
  };
}
