import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LiveApplication } from "../../../src/loader/live.ts";
import type { Log } from "../../../src/spec.ts";
import { Installed } from "./installed.ts";

interface Line {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

let installed: Installed;
let lines: Line[] = [];
let folder = "";
let turn = 0;

beforeAll(async () => {
  installed = await Installed.open();
});

beforeEach(() => {
  lines = [];
  turn += 1;
  folder = `home/live${turn}`;
});

afterAll(() => installed.close());

const record =
  (level: string) =>
  (fields: object | string, message?: string): void =>
    void lines.push({ level, fields: fields as Record<string, unknown>, message: message ?? "" });

function createTestLog(): Log {
  const levels = ["trace", "debug", "info", "warn", "error", "fatal"];
  const log = { ...Object.fromEntries(levels.map((level) => [level, record(level)])), child: () => log };
  return log as unknown as Log;
}

function follow(file: string, checkIntervalMs = 0): LiveApplication {
  const options = { cacheDir: installed.cacheDir, checkIntervalMs, log: createTestLog() };
  return new installed.live.LiveApplication({ file, exportName: undefined }, options);
}

const text = (word: string): string => `export const application = () => ${JSON.stringify(word)};`;
const write = (name: string, content: string): string => installed.write(`${folder}/${name}`, content);
const answer = async (live: LiveApplication): Promise<unknown> =>
  ((await live.current()) as unknown as () => unknown)();
const kindOf = (live: LiveApplication): Promise<string> =>
  answer(live).then(String, (error: unknown) => (error as { kind: string }).kind);

describe("an application that follows its files", () => {
  it("is there at once when it is loaded and nothing changed", async () => {
    const file = write("app.ts", text("one"));
    const live = follow(file);
    const application = await live.current();
    expect(live.current()).toBe(application);
    expect(lines).toEqual([]);
  });

  it("gives the new code to the very request that notices the change, in the script or in a module", async () => {
    const file = write("app.ts", `import { part } from "./part.ts"; export const application = () => "one " + part;`);
    write("part.ts", `export const part = 1;`);
    const live = follow(file);
    expect(await answer(live)).toBe("one 1");
    write("part.ts", `export const part = 2;`);
    expect(await answer(live)).toBe("one 2");
    write("app.ts", text("two"));
    expect(await answer(live)).toBe("two");
    write("app.ts", text("six"));
    expect(await answer(live)).toBe("six");
    expect(lines.map(({ level, fields }) => [level, fields["file"]])).toEqual(
      Array.from({ length: 3 }, () => ["info", file]),
    );
  });

  it("serves the old code to others while the new one is being loaded", async () => {
    const file = write("app.ts", text("old"));
    const live = follow(file);
    const old = await live.current();
    write("app.ts", text("new"));
    const noticed = live.current();
    expect(noticed).toBeInstanceOf(Promise);
    expect(live.current()).toBe(old);
    expect(((await noticed) as unknown as () => string)()).toBe("new");
    expect(live.current()).toBe(await noticed);
  });

  it("is loaded once for all requests that come before it is there", async () => {
    const file = write(
      "app.ts",
      `const state = globalThis as { live?: number }; state.live = (state.live ?? 0) + 1; export const application = () => state.live;`,
    );
    const live = follow(file);
    expect(await Promise.all([answer(live), answer(live), answer(live)])).toEqual([1, 1, 1]);
  });

  it("does not look at the files again before the interval is over", async () => {
    const file = write("app.ts", text("one"));
    const live = follow(file, 3_600_000);
    expect(await answer(live)).toBe("one");
    write("app.ts", text("two"));
    rmSync(file);
    expect(await answer(live)).toBe("one");
  });

  it("looks again when the interval is over", async () => {
    const file = write("app.ts", text("one"));
    const live = follow(file, 40);
    expect(await answer(live)).toBe("one");
    write("app.ts", text("two"));
    expect(await answer(live)).toBe("one");
    await expect.poll(() => answer(live), { timeout: 10_000, interval: 5 }).toBe("two");
  });

  it("is not run again when its files were only touched", async () => {
    const file = write("app.ts", text("one"));
    const live = follow(file);
    const application = await live.current();
    writeFileSync(file, text("one"));
    expect(await live.current()).toBe(application);
    expect(lines).toEqual([]);
  });

  it("follows a link that is set to another release", async () => {
    write("release1/app.ts", text("first"));
    write("release2/app.ts", text("second"));
    const link = join(installed.root, folder, "current");
    symlinkSync("release1", link);
    const live = follow(join(link, "app.ts"));
    expect(await answer(live)).toBe("first");
    symlinkSync("release2", `${link}.new`);
    renameSync(`${link}.new`, link);
    expect(await answer(live)).toBe("second");
  });
});

describe("a change for the worse", () => {
  it("leaves the old code serving and is told once, with file, line and message", async () => {
    const file = write("app.ts", text("good"));
    const live = follow(file);
    await answer(live);
    write("app.ts", "export const a = 1;\nexport const application = () => {\n");
    for (const _ of [1, 2, 3]) expect(await answer(live)).toBe("good");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: "error", fields: { file, kind: "compile" } });
    expect(lines[0]!.fields["problem"]).toContain(`${file}:3:1: Unexpected end of file`);
    write("app.ts", "export const application = () => {\n");
    expect(await answer(live)).toBe("good");
    expect(lines).toHaveLength(2);
    write("app.ts", text("better"));
    expect(await answer(live)).toBe("better");
    expect(lines.map(({ level }) => level)).toEqual(["error", "error", "info"]);
  });

  it("may be in a module, in code that throws, or in the exports", async () => {
    const file = write("app.ts", `import { part } from "./part.ts"; export const application = () => part;`);
    write("part.ts", "export const part = 1;");
    const live = follow(file);
    const changes: [string, string, string, unknown][] = [
      ["part.ts", "export const part = ;", "compile", 1],
      ["part.ts", "export const part = ;\n// again", "compile", 1],
      ["part.ts", "export const other = 1;", "compile", 1],
      ["part.ts", `export const part = 2; throw new Error("at start");`, "failed-inside", 1],
      ["part.ts", "export const part = 3;", "", 3],
      ["app.ts", "export const other = 1;", "no-export", 3],
      ["app.ts", `import "./gone.ts"; ${text("x")}`, "failed-inside", 3],
      ["gone.ts", "export {};", "", "x"],
    ];
    await answer(live);
    for (const [name, content, kind, expected] of changes) {
      lines = [];
      write(name, content);
      expect(await answer(live), content).toBe(expected);
      expect(await answer(live), content).toBe(expected);
      expect(
        lines.flatMap(({ fields }) => (fields["kind"] === undefined ? [] : [fields["kind"]])),
        content,
      ).toEqual(kind === "" ? [] : [kind]);
    }
  });

  it("that is taken back gives the old text a fresh start", async () => {
    const counting = `let calls = 0; export const application = () => ++calls;`;
    const file = write("app.ts", counting);
    const live = follow(file);
    expect([await answer(live), await answer(live)]).toEqual([1, 2]);
    write("app.ts", "half a fi");
    expect(await answer(live)).toBe(3);
    write("app.ts", counting);
    expect(await answer(live)).toBe(4);
    write("app.ts", text("other"));
    expect(await answer(live)).toBe("other");
    write("app.ts", counting);
    expect(await answer(live)).toBe(1);
  });
});

describe("a script that is not there", () => {
  it("is not-found for every request until it appears", async () => {
    const file = join(installed.root, folder, "app.ts");
    const live = follow(file);
    expect([await kindOf(live), await kindOf(live)]).toEqual(["not-found", "not-found"]);
    write("app.ts", text("here"));
    expect(await answer(live)).toBe("here");
  });

  it("is not-found as soon as it is deleted, and back when it is back", async () => {
    const file = write("app.ts", text("one"));
    const live = follow(file);
    expect(await answer(live)).toBe("one");
    rmSync(file);
    expect([await kindOf(live), await kindOf(live)]).toEqual(["not-found", "not-found"]);
    write("app.ts", text("one"));
    expect(await answer(live)).toBe("one");
  });
});

describe("a script that never worked", () => {
  it("fails for every request, without being compiled again, until a file changes", async () => {
    const file = write("app.ts", "export const = 1;");
    const live = follow(file);
    const failure = (): Promise<unknown> => Promise.resolve(live.current()).catch((error: unknown) => error);
    const first = await failure();
    const second = await failure();
    expect(second).toBe(first);
    expect(second).toMatchObject({ kind: "compile" });
    expect(lines).toEqual([]);
    write("app.ts", text("mended"));
    expect(await answer(live)).toBe("mended");
  });

  it("is tried again when a file or package that it missed appears", async () => {
    const file = write("app.ts", `import a from "./a"; import b from "b"; export const application = () => a + b;`);
    const live = follow(file);
    expect(await kindOf(live)).toBe("failed-inside");
    write("a.ts", "export default 1;");
    expect(await kindOf(live)).toBe("failed-inside");
    installed.addPackage(folder, "b", { "package.json": `{ "main": "b.js" }`, "b.js": "module.exports = 2;" });
    expect(await answer(live)).toBe(3);
  });

  it("is tried again after a while when no file explains the failure, such as a database that was down", async () => {
    const file = write(
      "app.ts",
      `const state = globalThis as { tries?: number }; state.tries = (state.tries ?? 0) + 1;
if (state.tries === 1) throw new Error("the database is down");
export const application = () => "up";`,
    );
    const live = follow(file);
    expect(await kindOf(live)).toBe("failed-inside");
    expect(await kindOf(live)).toBe("failed-inside");
    await expect.poll(() => kindOf(live), { timeout: 10_000, interval: 20 }).toBe("up");
  });
});
