import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LoadError } from "../../../src/errors.ts";
import { findScript } from "../../../src/loader/script.ts";

let base = "";
let root = "";

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-script-")));
  root = join(base, ".hidden", "site");
  mkdirSync(root, { recursive: true });
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

function write(path: string, mode = 0o644): string {
  const file = path.startsWith("/") ? path : join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "");
  chmodSync(file, mode);
  return file;
}

const bytes = (text: string): string => Buffer.from(text).toString("latin1");

/** "not-found" or "refused: reason", or the match. */
function find(path: string, from = root): unknown {
  try {
    return findScript(from, path);
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    return error.kind === "refused" ? `refused: ${error.message.replace(/^.* is not served: /s, "")}` : error.kind;
  }
}

describe("findScript", () => {
  it("takes every allowed extension, in exactly this spelling", () => {
    for (const extension of ["ts", "mts", "cts", "js", "mjs", "cjs", "tsx", "jsx"]) {
      const file = write(`a.${extension}`);
      expect(find(file)).toEqual({ file, rest: "" });
    }
    for (const name of ["a.TS", "a.Ts", "a.ts2", "a.html", "a", "a.ts.txt", "a.ts~", "a.json", "ts"]) {
      expect(find(write(name)), name).toMatch(/^refused: its name does not end in \.ts, /);
    }
    for (const name of ["a.d.ts", "a.d.mts", "a.d.cts"])
      expect(find(write(name)), name).toBe("refused: it is a declaration file");
  });

  it("takes the first name that is no folder, and gives what follows as it is spelled", () => {
    const file = write("sub/folder.ts/app.ts");
    for (const rest of ["", "/", "/a", "/a/b.ts", "//", "//a//b", "/.x", "/ä%2F?&", "/.../a", "/.", "/a/./b"]) {
      expect(find(file + rest), rest).toEqual({ file, rest });
    }
  });

  it("does not find what is not there, however close something else is", () => {
    write("app.ts");
    for (const name of [
      "none.ts",
      "app",
      "APP.ts",
      "app.ts ",
      " app.ts",
      "app.ts.",
      "app.ts%3Fx",
      "app.ts%00",
      "app%2Ets",
      "app.ts?x=1",
      "app.ts\\x",
      "%2e%2e/site/app.ts",
      "none/app.ts",
      `${"x".repeat(300)}.ts`,
    ]) {
      expect(find(`${root}/${name}`), name).toBe("not-found");
    }
  });

  it("does not find a folder, nor the root itself", () => {
    mkdirSync(join(root, "folder.ts"));
    write("folder.ts/index.ts");
    for (const path of [root, `${root}/`, join(root, "folder.ts"), `${root}/folder.ts/`])
      expect(find(path), path).toBe("not-found");
  });

  it("does not find paths with NUL, .., . or an empty name before the script, or that are not absolute", () => {
    const file = write("sub/app.ts");
    write("app.ts");
    for (const path of [
      `${root}/sub/app.ts\0`,
      `${root}/sub\0/app.ts`,
      `${root}/sub/../app.ts`,
      `${root}/sub/app.ts/../../x`,
      `${root}/sub/app.ts/..`,
      `${root}/./app.ts`,
      `${root}/sub//app.ts`,
      `/${root}/sub/app.ts`,
      file.slice(1),
      "",
      "app.ts",
    ]) {
      expect(find(path), path).toBe("not-found");
    }
  });

  it("finds names that only look like tricks when a file has them", () => {
    for (const name of ["a%3Fb.ts", "a b.ts", "a#b.ts", "a..ts", "日本/é.ts"]) {
      const file = write(name);
      expect(find(`${file}/rest`), name).toEqual({ file, rest: "/rest" });
    }
  });

  it("reads bytes as latin-1, as an environ has them, and gives the rest back in the same spelling", () => {
    const file = write("日本/é.ts");
    expect(find(bytes(`${file}/日`))).toEqual({ file, rest: bytes("/日") });
    expect(find(`${bytes(file)}/\xE9\xFF`)).toEqual({ file, rest: "/\xE9\xFF" });
  });

  it("refuses what lies outside the root, by name or by link", () => {
    const outside = write(join(base, "outside.ts"));
    const sibling = write(`${root}-other/app.ts`);
    symlinkSync(outside, join(root, "link.ts"));
    symlinkSync(base, join(root, "folder"));
    for (const path of [outside, sibling, join(root, "link.ts"), join(root, "folder/outside.ts"), "/etc/passwd"]) {
      expect(find(path), path).toBe(`refused: it lies outside the script root ${root}/`);
    }
  });

  it("gives the real path of a link that stays inside, and reads its rules from both names", () => {
    const file = write("real/app.ts");
    write("real/text.txt");
    write("real/.env.ts");
    symlinkSync(file, join(root, "link.ts"));
    symlinkSync(file, join(root, "link.txt"));
    symlinkSync(join(root, "real/text.txt"), join(root, "text.ts"));
    symlinkSync(join(root, "real/.env.ts"), join(root, "env.ts"));
    symlinkSync(join(root, "nowhere.ts"), join(root, "dangling.ts"));
    symlinkSync("loop.ts", join(root, "loop.ts"));
    expect(find(join(root, "link.ts"))).toEqual({ file, rest: "" });
    expect(find(join(root, "link.txt"))).toMatch(/^refused: its name does not end in/);
    expect(find(join(root, "text.ts"))).toMatch(/^refused: its name does not end in/);
    expect(find(join(root, "env.ts"))).toBe("refused: a name in its path starts with a dot");
    expect(find(join(root, "dangling.ts"))).toBe("not-found");
    expect(find(join(root, "loop.ts"))).toMatch(/^refused: .* cannot be looked at/);
  });

  it("knows the root by its real path as well as by a link", () => {
    const file = write("app.ts");
    const hidden = write(".git/app.ts");
    const link = join(base, "www");
    symlinkSync(root, link);
    for (const from of [root, link, `${root}/`, `${link}/`]) {
      expect(find(file, from), from).toEqual({ file, rest: "" });
      expect(find(join(link, "app.ts"), from), from).toEqual({ file, rest: "" });
      expect(find(hidden, from), from).toBe("refused: a name in its path starts with a dot");
      expect(find(join(link, ".git/app.ts"), from), from).toBe("refused: a name in its path starts with a dot");
    }
  });

  it("refuses names with a dot in front and installed packages, inside the root only", () => {
    for (const name of [".app.ts", ".git/hooks/app.ts", "a/.b/c.ts", "..a/b.ts"]) {
      expect(find(write(name)), name).toBe("refused: a name in its path starts with a dot");
    }
    expect(find(write("node_modules/p/index.js"))).toBe("refused: it lies in node_modules");
    expect(find(write("a/node_modules/p/index.js"))).toBe("refused: it lies in node_modules");
    const file = write("my_node_modules/app.ts");
    expect(find(file)).toEqual({ file, rest: "" });
    const inside = join(root, "node_modules/p");
    expect(find(join(inside, "index.js"), inside)).toEqual({ file: join(inside, "index.js"), rest: "" });
  });

  it("refuses a script that everybody may write", () => {
    expect(find(write("open.ts", 0o666))).toBe("refused: it is writable for everybody");
    expect(find(write("group.ts", 0o664))).toEqual({ file: join(root, "group.ts"), rest: "" });
  });

  it("refuses what is no regular file", () => {
    execFileSync("mkfifo", [join(root, "pipe.ts")]);
    expect(find(join(root, "pipe.ts"))).toBe("refused: it is not a regular file");
  });

  it("says so when the root is not there", () => {
    const gone = join(base, "gone");
    expect(() => findScript(gone, join(gone, "app.ts"))).toThrow(`the script root ${gone} cannot be used`);
  });

  it("finds a script again, with another rest or from another root, after it was found once", () => {
    const file = write("a/app.ts");
    expect(find(`${file}/one`)).toEqual({ file, rest: "/one" });
    expect(find(`${file}/two/`)).toEqual({ file, rest: "/two/" });
    expect(find(file)).toEqual({ file, rest: "" });
    expect(find(`${file}x`)).toBe("not-found");
    mkdirSync(join(root, "b"));
    expect(find(file, join(root, "b"))).toBe(`refused: it lies outside the script root ${join(root, "b")}/`);
  });
});
