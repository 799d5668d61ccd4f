import { copyFile, link, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EntryArguments } from "../../../src/server/entry-args.ts";
import { readEntryArguments } from "../../../src/server/entry-args.ts";
import { isSameFile } from "../../../src/server/trusted-words.ts";

const nothing: EntryArguments = {
  app: undefined,
  mountPoint: undefined,
  adapter: undefined,
  cacheDir: undefined,
  scriptRoot: undefined,
  idleTimeoutMs: undefined,
  memoryLimitBytes: undefined,
};
const entry = "/opt/tsgi/bin/tsgi-cgi";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsgi-entry-"));
  await writeFile(join(folder, "tsgi-cgi"), "");
  await symlink(join(folder, "tsgi-cgi"), join(folder, "link"));
  await symlink(folder, join(folder, "again"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

test.each<[readonly string[], Partial<EntryArguments>]>([
  [[], {}],
  [["/srv/app.ts"], { app: "/srv/app.ts" }],
  [["/srv/app.ts#admin"], { app: "/srv/app.ts#admin" }],
  [["--mount-point=/m", "/srv/app.ts"], { mountPoint: "/m", app: "/srv/app.ts" }],
  [["--mount-point=", "--cache-dir=/c=d", "--script-root=/s"], { mountPoint: "", cacheDir: "/c=d", scriptRoot: "/s" }],
  [["--mount-point=/a", "--mount-point=/b"], { mountPoint: "/b" }],
  [["/srv/app.ts", "--mount-point=/m", "more"], { app: "/srv/app.ts" }],
])("reads %j", (argv, expected) => {
  expect(readEntryArguments(argv, { entry })).toEqual({ ...nothing, ...expected });
});

test("refuses an option that it does not know, and names those that it does", () => {
  expect(() => readEntryArguments(["--prefix=/m"], { entry })).toThrow(/--prefix.*--mount-point=.*--cache-dir=/);
});

describe("the words of a query are never read", () => {
  /** What Apache's mod_cgi makes of a query: words, decoded once, a backslash before what a shell would read. */
  function wordsOf(query: string): string[] {
    if (query === "" || query.includes("=")) return [];
    return query.split("+").map((word) => {
      const bytes = word.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
      const [text = ""] = bytes.split("\0");
      const escaped = text.replace(/[&;`'"|*?~<>^()[\]{}$\\\n]/g, "\\$&");
      return Buffer.from(escaped, "latin1").toString("utf8"); // as process.argv has it
    });
  }

  test.each([
    "--script-root%3D/etc",
    "--script-root%3D/etc+x",
    "x+--script-root%3D/etc",
    "--script-root%3D/etc+a%22b",
    "--script-root%3D/etc+%5C%5C",
    "--script-root%3D/etc+%C3%A9",
    "--script-root%3D/etc+\xc3\xa9",
    "--script-root%3D/etc+%2541",
    "--script-root%3D/etc+a%00b",
    "--script-root%3D/etc+100%",
    "--script-root%3D/etc+%zz",
    "--script-root%3D/etc+",
    "+",
    "/srv/evil.ts",
    "..%2Fevil.ts",
    "caf%C3%A9.ts",
  ])("by a wrapper that passes them on: %s", (query) => {
    expect(readEntryArguments(wordsOf(query), { entry, query })).toEqual(nothing);
    expect(readEntryArguments(["--mount-point=/m", ...wordsOf(query)], { entry, query })).toEqual({
      ...nothing,
      mountPoint: "/m",
    });
  });

  test("when there are more of them than Apache passes", () => {
    const query = `--script-root%3D/etc${"+".repeat(6000)}`;
    const words = wordsOf(query).slice(0, 4095);
    expect(readEntryArguments(words, { entry, query })).toEqual(nothing);
  });

  test("behind the application of an interpreter line, nor do they take it away", () => {
    for (const query of ["--mount-point%3D/evil", "/srv/app.ts", "a+b", "%C3%A9"]) {
      const argv = ["/srv/app.ts", ...wordsOf(query)];
      expect(readEntryArguments(argv, { entry, query })).toEqual({ ...nothing, app: "/srv/app.ts" });
    }
  });

  test("nor does a query take arguments away from a wrapper that passes nothing on", () => {
    for (const query of ["x", "a+b", "app.ts", "a+b+c+d+e", "x=/srv/app.ts", undefined]) {
      const argv = ["--mount-point=/m", "/srv/app.ts"];
      expect(readEntryArguments(argv, { entry, query })).toEqual({ ...nothing, mountPoint: "/m", app: "/srv/app.ts" });
    }
  });

  test("a query with = makes no words, so the arguments are the administrator's", () => {
    const argv = ["--mount-point=/m", "/srv/app.ts"];
    const expected = { ...nothing, mountPoint: "/m", app: "/srv/app.ts" };
    expect(readEntryArguments(argv, { entry, query: "a=1+/srv/app.ts" })).toEqual(expected);
  });
});

describe("an entry that is the script itself reads no arguments", () => {
  const argv = ["--script-root=/etc", "/srv/evil.ts"];

  test.each(["tsgi-cgi", "link", "again/tsgi-cgi", "./tsgi-cgi", "again/link"])("by its name %s", (name) => {
    const request = { entry: join(folder, "tsgi-cgi"), scriptFilename: `${folder}/${name}` };
    expect(readEntryArguments(argv, request)).toEqual(nothing);
    expect(readEntryArguments(argv, { entry: request.scriptFilename, scriptFilename: request.entry })).toEqual(nothing);
  });

  test("but for another script it does", () => {
    for (const scriptFilename of ["/srv/app.ts", `${folder}/absent`, "", undefined]) {
      const read = readEntryArguments(argv, { entry: join(folder, "tsgi-cgi"), scriptFilename });
      expect(read.app).toBe("/srv/evil.ts");
    }
  });
});

test("the same file is one file under any name, another file is not, nor is one that is not there", async () => {
  await copyFile(join(folder, "tsgi-cgi"), join(folder, "copy"));
  await link(join(folder, "tsgi-cgi"), join(folder, "hard"));
  expect(isSameFile(join(folder, "tsgi-cgi"), join(folder, "link"))).toBe(true);
  expect(isSameFile(join(folder, "tsgi-cgi"), join(folder, "copy"))).toBe(false);
  expect(isSameFile(join(folder, "absent"), join(folder, "absent"))).toBe(false);
  expect(isSameFile(undefined, undefined)).toBe(false);
});
