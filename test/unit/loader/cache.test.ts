import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findCacheFolder } from "../../../src/loader/cache.ts";

const uid = process.geteuid?.();
const isRoot = uid === 0;

describe("the folder of compiled scripts", () => {
  let folder = "";
  const owner = { env: {}, uid };
  const choose = (place: string): string => findCacheFolder(place, owner);

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-cache-")));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is made for its owner alone, whatever the umask, with all that is above it", () => {
    const place = join(folder, "a/b/cache");
    const umask = process.umask(0);
    try {
      expect(choose(place)).toBe(place);
    } finally {
      process.umask(umask);
    }
    expect(statSync(place).mode & 0o777).toBe(0o700);
    expect(statSync(dirname(place)).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(place, ".htaccess"), "utf8")).toBe("Require all denied\n");
  });

  it("is refused, named and left as it is when others may look into it or write", () => {
    const place = join(folder, "open");
    for (const mode of [0o777, 0o755, 0o770, 0o701]) {
      mkdirSync(place);
      chmodSync(place, mode);
      expect(() => choose(place)).toThrow(`${place} has mode 0${mode.toString(8)} instead of 0700`);
      expect(statSync(place).mode & 0o777).toBe(mode);
      rmSync(place, { recursive: true });
    }
  });

  it("is refused when it is a link, a file or a link to nowhere", () => {
    const real = join(folder, "real");
    mkdirSync(real, { mode: 0o700 });
    symlinkSync(real, join(folder, "link"));
    symlinkSync(join(folder, "nowhere"), join(folder, "dangling"));
    writeFileSync(join(folder, "file"), "");
    expect(() => choose(join(folder, "link"))).toThrow("is a symbolic link");
    expect(() => choose(join(folder, "dangling"))).toThrow("is a symbolic link");
    expect(() => choose(join(folder, "file"))).toThrow("is not a folder");
    expect(existsSync(join(folder, "nowhere"))).toBe(false);
  });

  it("is refused when somebody else owns it", () => {
    const place = join(folder, "foreign");
    mkdirSync(place, { mode: 0o700 });
    const stranger = { env: {}, uid: (uid ?? 0) + 1 };
    expect(() => findCacheFolder(place, stranger)).toThrow(
      `${place} belongs to user ${uid}, not to user ${stranger.uid}`,
    );
  });

  it("is refused below a folder in which a stranger could replace it, unless that one is sticky as /tmp is", () => {
    const open = join(folder, "open");
    mkdirSync(join(open, "x"), { recursive: true });
    chmodSync(open, 0o777);
    expect(() => choose(join(open, "x/cache"))).toThrow("is writable for everybody");
    chmodSync(open, 0o1777);
    expect(choose(join(open, "x/cache"))).toBe(join(open, "x/cache"));
  });

  it("fails as a LoadError that says what to do", () => {
    chmodSync(folder, 0o755);
    expect(() => choose(folder)).toThrow(
      expect.objectContaining({
        kind: "no-cache",
        message: `no safe folder for compiled scripts: ${folder} has mode 0755 instead of 0700. Name a folder of your own with --cache-dir.`,
      }),
    );
  });

  it("is by default tsgi in the user's cache folder", () => {
    const env = { XDG_CACHE_HOME: join(folder, "xdg") };
    expect(findCacheFolder(undefined, { env, uid })).toBe(join(folder, "xdg/tsgi"));
  });

  describe("when the default place is no good", () => {
    const temporary = process.env["TMPDIR"];

    beforeEach(() => {
      mkdirSync(join(folder, "tmp"));
      process.env["TMPDIR"] = join(folder, "tmp");
    });

    afterEach(() => {
      if (temporary === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = temporary;
    });

    it("is one in the temporary folder", () => {
      const unsafe = join(folder, "xdg/tsgi");
      mkdirSync(unsafe, { recursive: true });
      chmodSync(unsafe, 0o777);
      const env = { XDG_CACHE_HOME: join(folder, "xdg") };
      expect(findCacheFolder(undefined, { env, uid })).toBe(join(folder, `tmp/tsgi-${uid}`));
    });

    it("is one in the temporary folder too when the first turned out to be full", () => {
      const env = { XDG_CACHE_HOME: join(folder, "xdg") };
      const first = findCacheFolder(undefined, { env, uid });
      const full = new Map([[first, "it is full"]]);
      expect(findCacheFolder(undefined, { env, uid }, full)).toBe(join(folder, `tmp/tsgi-${uid}`));
    });

    it("names every place and its fault when none is left", () => {
      const squatted = join(folder, `tmp/tsgi-${uid}`);
      symlinkSync("/", squatted);
      writeFileSync(join(folder, "xdg"), "");
      const env = { XDG_CACHE_HOME: join(folder, "xdg") };
      const message = new RegExp(`${join(folder, "xdg/tsgi")} .*; ${squatted} is a symbolic link\\.`);
      expect(() => findCacheFolder(undefined, { env, uid })).toThrow(message);
    });

    it.runIf(isRoot)("is not made in the home of another user, as under sudo", () => {
      const home = join(folder, "home");
      mkdirSync(home);
      chownSync(home, 12_345, 12_345);
      const env = { XDG_CACHE_HOME: join(home, ".cache") };
      expect(findCacheFolder(undefined, { env, uid })).toBe(join(folder, `tmp/tsgi-${uid}`));
      expect(readdirSync(home)).toEqual([]);
    });
  });
});
