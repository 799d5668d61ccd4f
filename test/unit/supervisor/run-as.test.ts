// Becoming another user for good: in a process of its own, since there is no way back.
import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { describe, expect, test } from "vitest";
import { BootError } from "../../../src/errors.ts";
import type { RunAs } from "../../../src/supervisor/run-as.ts";
import { become } from "../../../src/supervisor/run-as.ts";

const isRoot = process.getuid?.() === 0;
const user: RunAs = { uid: 12_345, gid: 12_346, groups: [12_346, 12_347] };

/** Tries it, and says who it is then. */
const { outputFiles } = buildSync({
  stdin: {
    contents: `
      import { readFileSync } from "node:fs";
      import { become } from "./run-as.ts";
      const [text] = process.argv.slice(1);
      let error;
      try { become(JSON.parse(text)); } catch (thrown) { error = thrown.message; }
      const can = (act) => { try { act(); return true; } catch { return false; } };
      console.log(JSON.stringify({
        error,
        uid: process.getuid(),
        gid: process.getgid(),
        groups: process.getgroups().sort(),
        canReadSecrets: can(() => readFileSync("/proc/1/environ")),
        canReturn: can(() => process.setuid(0)) || can(() => process.setgid(0)) || can(() => process.setgroups([0])),
      }));`,
    resolveDir: fileURLToPath(new URL("../../../src/supervisor", import.meta.url)),
  },
  bundle: true,
  write: false,
  platform: "node",
  format: "cjs",
});
const program = outputFiles[0]?.text ?? "";

interface Outcome {
  readonly error?: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly canReadSecrets: boolean;
  readonly canReturn: boolean;
}

/** `as` is who the process is at first; `through` a program that starts it. */
function outcomeOf(target: RunAs, as: { uid?: number; gid?: number } = {}, through: readonly string[] = []): Outcome {
  const [command, ...args] = [...through, process.execPath, "-e", program, JSON.stringify(target)];
  return JSON.parse(execFileSync(command, args, { ...as, cwd: "/", encoding: "utf8", timeout: 15_000 })) as Outcome;
}

const complete = { uid: 12_345, gid: 12_346, canReadSecrets: false, canReturn: false };

test.each<[string, RunAs]>([
  ["root", { uid: 0, gid: 12_346, groups: [12_346] }],
  ["root in its own group", { uid: 0, gid: 0, groups: [0] }],
])("nobody becomes %s", (_, target) => {
  expect(() => become(target)).toThrow(BootError);
  expect(() => become(target)).toThrow(/--user/);
});

describe.runIf(isRoot)("root", () => {
  test("becomes the user, with exactly its groups and no way back", () => {
    expect(outcomeOf(user)).toEqual({ ...complete, groups: [12_346, 12_347] });
  });

  test.each<[string, readonly number[]]>([
    ["no list of groups", []],
    ["its own group twice", [12_346, 12_346]],
  ])("becomes a user with %s", (_, groups) => {
    expect(outcomeOf({ ...user, groups })).toMatchObject(complete);
  });

  const keepsPowers = ["setpriv", "--securebits", "+no_setuid_fixup"];
  const canKeep = spawnSync("setpriv", [...keepsPowers.slice(1), "true"]).status === 0;
  test.runIf(canKeep)("runs nothing when root's powers outlive the change", () => {
    const { error } = outcomeOf(user, {}, keepsPowers);
    expect(error).toBe("the change to user 12345, group 12346 was not complete: nothing is run");
  });

  test("a user who is not root any more becomes nobody else", () => {
    const { error, ...rest } = outcomeOf(user, { uid: 54_321, gid: 54_321 });
    expect(error).toBe("cannot become user 12345, group 12346: only root can");
    expect(rest).toMatchObject({ uid: 54_321, gid: 54_321, canReturn: false });
  });
});

test.runIf(!isRoot)("only root becomes another", () => {
  expect(outcomeOf(user)).toMatchObject({
    error: "cannot become user 12345, group 12346: only root can",
    uid: process.getuid?.(),
  });
});
