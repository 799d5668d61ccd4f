// The folder itself: whether Apache's user gets to it, may see what is in it, and follows the links on the way.

import { shellWord } from "../apache/htaccess.ts";
import { basename, dirname, join } from "node:path";
import { bits, linkStatusOf, modeText, nameOfUser, obstacleTo, realPathOf, statusOf } from "./access.ts";
import type { Finding } from "./finding.ts";
import type { Subject } from "./subject.ts";
import { severityOf } from "./subject.ts";

function foldersAbove(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...foldersAbove(parent)];
}

function reachFindings(subject: Subject): Finding[] {
  const { account, folder } = subject;
  const obstacle = account === undefined ? undefined : obstacleTo(folder, account, bits.run);
  if (account === undefined || obstacle === undefined || obstacle.kind === "unseen") return [];
  const status = statusOf(obstacle.path);
  const mode = status === undefined ? "" : ` (mode ${modeText(status)}, owner ${nameOfUser(status.uid)})`;
  const message = `${account.user}, whom Apache runs as, may not enter it${mode}: every request is answered with 403`;
  return [
    {
      code: "TSGI3520",
      severity: severityOf(subject),
      place: obstacle.path,
      message,
      remedy: `chmod o+x ${shellWord(obstacle.path)}`,
    },
  ];
}

/** Folders that everybody may change: the programs in them too. suEXEC's own rules are stricter and said by themselves. */
function writableFindings({ folder, programs, suexec }: Subject): Finding[] {
  const paths = [...foldersAbove(folder), ...(suexec === undefined ? programs.map(({ file }) => file) : [])];
  return paths.flatMap((path): Finding[] => {
    const status = linkStatusOf(path);
    if (status === undefined || status.isSymbolicLink() || (status.mode & 0o002) === 0) return [];
    // The sticky bit keeps strangers from replacing what others have made there.
    if (status.isDirectory() && path !== folder && (status.mode & 0o1000) !== 0) return [];
    if (path === folder && suexec !== undefined && programs.length > 0) return [];
    const what = status.isDirectory() ? "programs in it" : "it";
    const message = `its mode ${modeText(status)} lets everybody on this machine change ${what}; suEXEC refuses such programs with 500`;
    return [
      { code: "TSGI3522", severity: "warning", place: path, message, remedy: `chmod o-w,g-w ${shellWord(path)}` },
    ];
  });
}

/** A program that is not the account's own, as after an upload as root. */
function ownerFindings({ folder, programs, suexec }: Subject): Finding[] {
  const home = linkStatusOf(folder);
  if (home === undefined || suexec !== undefined) return [];
  const above = linkStatusOf(dirname(folder));
  if (home.uid === 0 && above !== undefined && above.uid !== 0 && programs.length > 0) {
    const message = `it belongs to root, and the folder above it to ${nameOfUser(above.uid)}: suEXEC refuses that with 500`;
    return [
      {
        code: "TSGI3523",
        severity: "warning",
        place: folder,
        message,
        remedy: `chown -R ${above.uid}:${above.gid} ${shellWord(folder)}`,
      },
    ];
  }
  return programs.flatMap(({ file }): Finding[] => {
    const status = linkStatusOf(file);
    if (status === undefined || status.uid === home.uid) return [];
    const message = `it belongs to ${nameOfUser(status.uid)}, and its folder to ${nameOfUser(home.uid)}: suEXEC refuses that with 500`;
    return [
      {
        code: "TSGI3523",
        severity: "warning",
        place: file,
        message,
        remedy: `chown ${home.uid}:${home.gid} ${shellWord(file)}`,
      },
    ];
  });
}

interface Link {
  readonly path: string;
  readonly isOwners: boolean;
}

/** The links that Apache meets below the folder that the URL leads to. */
function linksOnTheWay({ setup, programs }: Subject): Link[] {
  const { place } = setup;
  if (place === undefined) return [];
  const names = programs.length === 0 ? ["x"] : programs.map(({ file }) => basename(file));
  const wanted = names.map((name) => join(place.path, name));
  return wanted.flatMap((file) => {
    const links: Link[] = [];
    for (let path = file; path.length > place.base.length && path !== dirname(path); path = dirname(path)) {
      const status = linkStatusOf(path);
      if (status?.isSymbolicLink() !== true) continue;
      links.push({ path, isOwners: statusOf(path)?.uid === status.uid });
    }
    return links;
  });
}

function linkFindings(subject: Subject): Finding[] {
  const { value: options, by } = subject.own.options;
  if (options.has("followsymlinks")) return [];
  const isOwnerMatch = options.has("symlinksifownermatch");
  return linksOnTheWay(subject).flatMap(({ path, isOwners }): Finding[] => {
    if (isOwnerMatch && isOwners) return [];
    const where = by === undefined ? "" : ` (Options in ${by.file}:${by.line})`;
    const why = isOwnerMatch
      ? "it and its target have different owners, and only SymLinksIfOwnerMatch is on"
      : "neither FollowSymLinks nor SymLinksIfOwnerMatch is on";
    const message = `it is a symbolic link (to ${realPathOf(path)}), and ${why}${where}: Apache answers 403`;
    return [
      {
        code: "TSGI3528",
        severity: "error",
        place: path,
        message,
        remedy: "Options +SymLinksIfOwnerMatch with the same owner, or a real file in its place",
      },
    ];
  });
}

export function placeFindings(subject: Subject): Finding[] {
  return [...reachFindings(subject), ...writableFindings(subject), ...ownerFindings(subject), ...linkFindings(subject)];
}
