// Whether a user can get at a file, judged by owner, groups and mode, without becoming that user.
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Account } from "../../../../src/server/httpd/account.ts";
import { lookUp, serverAccount } from "../../../../src/server/httpd/account.ts";
import { requireReach } from "../../../../src/server/httpd/reach.ts";

const stranger: Account = {
  user: "nobody-special",
  group: "g",
  uid: 64_123,
  gid: 64_123,
  groups: [64_123],
  isOther: true,
};

let base = "";
let file = "";

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-reach-")));
  mkdirSync(join(base, "a/b"), { recursive: true });
  file = join(base, "a/b/app.ts");
  writeFileSync(file, "");
  for (const path of [base, join(base, "a"), join(base, "a/b")]) chmodSync(path, 0o755);
  chmodSync(file, 0o644);
});

afterEach(() => rmSync(base, { recursive: true }));

test("a readable file in open folders can be reached", () => {
  expect(() => requireReach([file, join(base, "a")], stranger)).not.toThrow();
});

test("the first folder that he may not enter is named, not the file", () => {
  chmodSync(join(base, "a"), 0o700);
  expect(() => requireReach([file], stranger)).toThrow(`nobody-special, who may not enter the folder ${base}/a:`);
});

test("a folder that he may enter but not list is no obstacle on the way, but is one at the end", () => {
  chmodSync(join(base, "a"), 0o711);
  expect(() => requireReach([file], stranger)).not.toThrow();
  expect(() => requireReach([join(base, "a")], stranger)).toThrow(`may not enter the folder ${base}/a`);
});

test("a file that he may not read is named", () => {
  chmodSync(file, 0o600);
  expect(() => requireReach([file], stranger)).toThrow(`may not read the file ${file}`);
});

test("a link is judged by where it leads", () => {
  symlinkSync(join(base, "a/b"), join(base, "link"));
  chmodSync(join(base, "a/b"), 0o700);
  expect(() => requireReach([join(base, "link/app.ts")], stranger)).toThrow(`may not enter the folder ${base}/a/b`);
});

test("his groups count, and the group's bits go before those of others", () => {
  const gid = process.getgid?.() ?? 0;
  const member = { ...stranger, groups: [64_123, gid] };
  chmodSync(file, 0o640);
  expect(() => requireReach([file], member)).not.toThrow();
  expect(() => requireReach([file], stranger)).toThrow(/may not read/);
  chmodSync(file, 0o604);
  expect(() => requireReach([file], member)).toThrow(/may not read/);
  expect(() => requireReach([file], stranger)).not.toThrow();
});

test("the owner's bits go before everybody else's", () => {
  const owner = { ...stranger, uid: process.getuid?.() ?? 0 };
  chmodSync(file, 0o044);
  if (owner.uid === 0) expect(() => requireReach([file], owner)).not.toThrow();
  else expect(() => requireReach([file], owner)).toThrow(/may not read/);
});

test("users are looked up by name, and a name that is none is not asked for", () => {
  expect(lookUp("root")).toMatchObject({ uid: 0, user: "root" });
  expect(lookUp("no-such-user-here")).toBeUndefined();
  for (const name of ["", "-u", "a b", "root;id", "../x"]) expect(lookUp(name), name).toBeUndefined();
});

test("nothing that serves ever runs as root", () => {
  const account = serverAccount();
  expect(account.uid).not.toBe(0);
  expect(account.isOther).toBe(process.getuid?.() === 0);
});
