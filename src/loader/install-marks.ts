// What shows that the packages of an application were installed anew: the node_modules folders that hold its files, and what package
// managers write there when they have changed one.

import { join, sep } from "node:path";

const marks = [".package-lock.json", ".yarn-integrity", ".yarn-state.yml", ".modules.yaml"];

/** The node_modules folders around a file, the outermost first. */
export function installFoldersOf(file: string): string[] {
  const name = `${sep}node_modules${sep}`;
  const folders: string[] = [];
  for (let at = file.indexOf(name); at !== -1; at = file.indexOf(name, at + 1))
    folders.push(file.slice(0, at + name.length - 1));
  return folders;
}

/** What is to be looked at for such a folder, which may not be there: itself, and the files of package managers. */
export function installMarksOf(folder: string): string[] {
  return [folder, ...marks.map((mark) => join(folder, mark))];
}
