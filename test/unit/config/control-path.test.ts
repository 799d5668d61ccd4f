import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { maxSocketPathBytes } from "../../../src/config/address.ts";
import {
  checkControlFolder,
  controlPaths,
  defaultControlPath,
  makeControlFolder,
} from "../../../src/config/control-path.ts";
import { BootError } from "../../../src/errors.ts";

const uid = process.getuid?.() ?? 0;
const tcp = { kind: "tcp", host: "127.0.0.1", port: 9000 } as const;

describe("the default place", () => {
  test("is beside a unix socket", () => {
    expect(defaultControlPath({ kind: "unix", path: "/run/tsgi/app.sock" }, {})).toBe("/run/tsgi/app.sock.control");
    expect(defaultControlPath({ kind: "unix", path: "app.sock" }, {})).toBe(resolve("app.sock.control"));
  });

  test("is never longer than a socket's path may be", () => {
    for (const length of [98, 99, 100, 107]) {
      const path = `/${"p".repeat(length - 1)}`;
      const place = defaultControlPath({ kind: "unix", path }, {}) ?? "";
      expect(Buffer.byteLength(place)).toBeLessThanOrEqual(maxSocketPathBytes);
      const hash = createHash("sha256").update(path).digest("hex").slice(0, 16);
      expect(place).toBe(length < 100 ? `${path}.control` : `/tmp/tsgi-${uid}/tsgi-${hash}.control`);
    }
  });

  test("is in the folder for the user's sockets with TCP, where a session's own folder goes first", () => {
    expect(defaultControlPath(tcp, {})).toBe(`/tmp/tsgi-${uid}/tsgi-127.0.0.1-9000.control`);
    expect(defaultControlPath(tcp, { TMPDIR: "/var/tmp/" })).toBe(`/var/tmp/tsgi-${uid}/tsgi-127.0.0.1-9000.control`);
    expect(defaultControlPath({ ...tcp, host: "::1" }, { XDG_RUNTIME_DIR: "/run/user/7" })).toBe(
      "/run/user/7/tsgi-::1-9000.control",
    );
    expect(controlPaths(tcp, { XDG_RUNTIME_DIR: "/run/user/7" })).toEqual([
      "/run/user/7/tsgi-127.0.0.1-9000.control",
      `/tmp/tsgi-${uid}/tsgi-127.0.0.1-9000.control`,
    ]);
  });

  test("goes by no relative folder", () => {
    expect(defaultControlPath(tcp, { XDG_RUNTIME_DIR: "run", TMPDIR: "tmp" })).toBe(
      `/tmp/tsgi-${uid}/tsgi-127.0.0.1-9000.control`,
    );
  });

  test("is none for a descriptor", () => {
    expect(defaultControlPath({ kind: "fd", fd: 3 }, {})).toBeUndefined();
  });
});

describe("the folder for sockets", () => {
  let base: string;
  let folder: string;
  let path: string;
  let env: Record<string, string>;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "tsgi-control-"));
    env = { TMPDIR: base };
    folder = join(base, `tsgi-${uid}`);
    path = join(folder, "x.control");
  });

  afterEach(() => rmSync(base, { recursive: true }));

  test("is made for this user alone, whatever the umask, and taken as it is the next time", () => {
    const umask = process.umask(0);
    try {
      makeControlFolder(path, env);
      makeControlFolder(path, env);
    } finally {
      process.umask(umask);
    }
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    checkControlFolder(path, env);
  });

  test.each([0o755, 0o770, 0o707, 0o701])("is refused with mode %o", (mode) => {
    mkdirSync(folder);
    chmodSync(folder, mode);
    expect(() => makeControlFolder(path, env)).toThrow(BootError);
    expect(() => checkControlFolder(path, env)).toThrow(`${folder} is not a folder for this user alone (mode 0700)`);
    expect(statSync(folder).mode & 0o777).toBe(mode);
  });

  test("is refused when it is a symbolic link or a file", () => {
    const real = join(base, "real");
    mkdirSync(real, { mode: 0o700 });
    symlinkSync(real, folder);
    expect(() => makeControlFolder(path, env)).toThrow(BootError);
    rmSync(folder);
    writeFileSync(folder, "", { mode: 0o600 });
    expect(() => makeControlFolder(path, env)).toThrow(BootError);
  });

  test("is not asked for when nothing was made yet", () => {
    expect(() => checkControlFolder(path, env)).not.toThrow();
  });

  test("other folders are the operator's affair", () => {
    const chosen = join(base, "elsewhere", "x.control");
    makeControlFolder(chosen, env);
    expect(lstatSync(join(base, "elsewhere"), { throwIfNoEntry: false })).toBeUndefined();
  });

  test("is not made where that is impossible, which is said", () => {
    env = { TMPDIR: join(base, "none") };
    path = join(base, "none", `tsgi-${uid}`, "x.control");
    expect(() => makeControlFolder(path, env)).toThrow(/^cannot make .*ENOENT/);
  });
});
