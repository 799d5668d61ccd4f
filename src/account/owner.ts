// Whose a served folder is, and what of that suEXEC would refuse (support/suexec.c of httpd).

import { readFileSync, statSync } from "node:fs";
import { userInfo } from "node:os";

/** The home folder of a user by number; undefined when it is not to be learned. */
export function homeOf(uid: number): string | undefined {
  try {
    if (uid === process.geteuid?.()) return userInfo().homedir;
    const lines = readFileSync("/etc/passwd", "utf8").split("\n");
    const found = lines.map((line) => line.split(":")).find(([, , id]) => id === String(uid));
    return found?.[5];
  } catch {
    return undefined; // no such file, or a user without an entry
  }
}

/** What suEXEC would say about a folder with programs: a sentence each, with the remedy. */
export function ownershipNotes(folder: string): string[] {
  const { uid, mode } = statSync(folder);
  const notes: string[] = [];
  const own = process.geteuid?.() ?? uid;
  if (own !== 0 && own !== uid) {
    notes.push(`${folder} belongs to user ${uid} and you are user ${own}: suEXEC wants one owner for both`);
  }
  if ((mode & 0o022) !== 0) {
    const bits = (mode & 0o7777).toString(8);
    notes.push(`others may write to ${folder} (mode 0${bits}), and suEXEC runs nothing there: chmod 755 ${folder}`);
  }
  return notes;
}

/** Folders that hosts serve at the root of a site. */
const roots: ReadonlySet<string> = new Set(["public_html", "www", "htdocs", "httpdocs", "html", "web", "webroot"]);

/** The URL path of a folder, as far as its name tells: what follows the folders that hosts serve, "" for the root. */
export function likelyMountPoint(folder: string): string {
  const names = folder.split("/");
  const root = names.findIndex((name) => roots.has(name));
  if (root === -1) return "";
  const below = names.slice(root).findIndex((name) => !roots.has(name));
  return below === -1 ? "" : `/${names.slice(root + below).join("/")}`;
}
