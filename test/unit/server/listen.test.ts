import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BootError } from "../../../src/errors.ts";
import type { SocketAccess } from "../../../src/server/listen.ts";
import { listen } from "../../../src/server/listen.ts";
import { until } from "../../harness/until.ts";

let folder: string;
let path: string;
let servers: Server[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-listen-"));
  path = join(folder, "app.sock");
  servers = [];
});

afterEach(async () => {
  await Promise.all(
    servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
        }),
    ),
  );
  rmSync(folder, { recursive: true });
});

function server(onConnection: (socket: Socket) => void = (socket) => socket.destroy()): Server {
  const made = createServer(onConnection);
  servers.push(made);
  return made;
}

const access: SocketAccess = { mode: 0o660, uid: undefined, gid: undefined, mayReplace: false };
const modeOf = (name: string): number => statSync(name).mode & 0o777;

async function close(one: Server): Promise<void> {
  await new Promise((resolve) => {
    one.close(resolve);
  });
}

async function isAnswered(target: { path: string } | { host: string; port: number }): Promise<boolean> {
  const socket = connect(target);
  return (await new Promise((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  }).finally(() => socket.destroy())) as boolean;
}

describe("a unix socket", () => {
  test.each([0o660, 0o600, 0o666, 0o777, 0o700])("has exactly the mode %o, whatever the umask", async (mode) => {
    for (const umask of [0o000, 0o022, 0o077, 0o777]) {
      const given = process.umask(umask);
      try {
        const one = server();
        const opened = await listen(one, { kind: "unix", path }, { ...access, mode });
        expect(opened.address).toEqual({ kind: "unix", path });
        expect(process.umask()).toBe(umask);
        expect(modeOf(path)).toBe(mode);
        await close(one);
        opened.removeFile();
      } finally {
        process.umask(given);
      }
    }
  });

  test("is never wider than that, under whatever name, not even for a moment", async () => {
    const given = process.umask(0);
    try {
      const one = server();
      const modes: number[] = [];
      const look = (): void => {
        for (const name of readdirSync(folder)) modes.push(modeOf(join(folder, name)));
      };
      one.once("listening", look); // before anything else can run
      const opened = listen(one, { kind: "unix", path }, access);
      for (let count = 0; count < 3; count += 1) {
        look();
        await Promise.resolve();
      }
      await opened;
      look();
      expect(modes.length).toBeGreaterThan(1);
      for (const mode of modes) expect(mode & ~0o660).toBe(0);
    } finally {
      process.umask(given);
    }
  });

  test("is at its path only when it is complete, and nothing else is left in the folder", async () => {
    const one = server();
    let early: string[] = [];
    one.once("listening", () => (early = readdirSync(folder)));
    await listen(one, { kind: "unix", path }, access);
    expect(early).toHaveLength(1);
    expect(early).not.toContain("app.sock");
    expect(readdirSync(folder)).toEqual(["app.sock"]);
  });

  test("may belong to a user and a group", async () => {
    const isRoot = process.getuid?.() === 0;
    const uid = isRoot ? 12_345 : (process.getuid?.() ?? 0);
    const gid = isRoot ? 12_346 : (process.getgid?.() ?? 0);
    await listen(server(), { kind: "unix", path }, { ...access, uid, gid });
    expect(statSync(path)).toMatchObject({ uid, gid });
    expect(modeOf(path)).toBe(0o660);
  });

  test("stays ours where no owner is asked for", async () => {
    await listen(server(), { kind: "unix", path }, access);
    expect(statSync(path)).toMatchObject({ uid: process.geteuid?.(), gid: process.getegid?.() });
  });

  test("that cannot get its place is one clear error, and is open no more", async () => {
    const one = server();
    one.once("listening", () => mkdirSync(path)); // between the look at the place and the renaming
    const failure = listen(one, { kind: "unix", path }, access);
    await expect(failure).rejects.toThrow(BootError);
    await expect(failure).rejects.toThrow(path);
    expect(one.listening).toBe(false);
    await until("the temporary name to go", () => readdirSync(folder).length === 1, 5000);
    expect(readdirSync(folder)).toEqual(["app.sock"]);
  });

  test("takes the place of a stale one", async () => {
    const old = server();
    await listen(old, { kind: "unix", path }, access);
    await close(old);
    expect(lstatSync(path).isSocket()).toBe(true);
    expect(await isAnswered({ path })).toBe(false);
    await listen(server(), { kind: "unix", path }, access);
    expect(await isAnswered({ path })).toBe(true);
  });

  test("leaves a live one alone, and says that it is in use", async () => {
    const bytes: Buffer[] = [];
    await listen(
      server((socket) => socket.on("data", (data) => bytes.push(data))),
      { kind: "unix", path },
      access,
    );
    const { ino } = statSync(path);
    await expect(listen(server(), { kind: "unix", path }, access)).rejects.toThrow(/in use/);
    expect(statSync(path).ino).toBe(ino);
    expect(await isAnswered({ path })).toBe(true);
    expect(bytes).toEqual([]);
  });

  test("takes the place of a live one that may be replaced, which is missing at no time", async () => {
    const answered: string[] = [];
    const greet =
      (name: string) =>
      (socket: Socket): void => {
        answered.push(name);
        socket.destroy();
      };
    const old = await listen(server(greet("old")), { kind: "unix", path }, access);
    const one = server(greet("new"));
    one.once("listening", () => expect(old.fileState()).toBe("in-place"));
    await listen(one, { kind: "unix", path }, { ...access, mayReplace: true });
    expect(old.fileState()).toBe("replaced");
    const socket = connect(path).resume();
    await once(socket, "close");
    expect(answered).toEqual(["new"]);
  });

  test.each<[string, () => void]>([
    ["a file", () => writeFileSync(path, "precious")],
    ["a folder", () => mkdirSync(path)],
    ["a link to nowhere", () => symlinkSync(join(folder, "nowhere"), path)],
    [
      "a link to a file",
      () => {
        writeFileSync(join(folder, "file"), "precious");
        symlinkSync(join(folder, "file"), path);
      },
    ],
  ])("does not replace %s", async (_, make) => {
    make();
    const before = lstatSync(path);
    for (const mayReplace of [false, true]) {
      await expect(listen(server(), { kind: "unix", path }, { ...access, mayReplace })).rejects.toThrow(BootError);
    }
    expect([lstatSync(path).ino, lstatSync(path).size]).toEqual([before.ino, before.size]);
  });

  test("with a path that is too long, in bytes, is refused before anything is made", async () => {
    const room = 107 - Buffer.byteLength(folder) - 1;
    const longest = join(folder, "x".repeat(room));
    await listen(server(), { kind: "unix", path: longest }, access);
    expect(await isAnswered({ path: longest })).toBe(true);
    for (const name of [`${"x".repeat(room)}x`, "é".repeat(Math.ceil(room / 2) + 1)]) {
      await expect(listen(server(), { kind: "unix", path: join(folder, name) }, access)).rejects.toThrow(/107 bytes/);
    }
  });

  test("in a folder that is not there is one clear error", async () => {
    const failure = listen(server(), { kind: "unix", path: join(folder, "absent", "app.sock") }, access);
    await expect(failure).rejects.toThrow(BootError);
    await expect(failure).rejects.toThrow(/absent/);
  });
});

describe("the file of a unix socket", () => {
  test("is in place, absent once it is taken away, and replaced once something else is there", async () => {
    const opened = await listen(server(), { kind: "unix", path }, access);
    expect(opened.fileState()).toBe("in-place");
    renameSync(path, join(folder, "away"));
    expect(opened.fileState()).toBe("absent");
    writeFileSync(path, "precious");
    expect(opened.fileState()).toBe("replaced");
    unlinkSync(path);
    symlinkSync(join(folder, "away"), path);
    expect(opened.fileState()).toBe("replaced");
    unlinkSync(path);
    renameSync(join(folder, "away"), path);
    expect(opened.fileState()).toBe("in-place");
  });

  test("outlives the server, until it is removed", async () => {
    const one = server();
    const opened = await listen(one, { kind: "unix", path }, access);
    await close(one);
    expect(opened.fileState()).toBe("in-place");
    opened.removeFile();
    expect(existsSync(path)).toBe(false);
    expect(opened.fileState()).toBe("absent");
  });

  test("is removed without harm when it has gone already", async () => {
    const opened = await listen(server(), { kind: "unix", path }, access);
    opened.removeFile();
    opened.removeFile();
    expect(existsSync(path)).toBe(false);
  });

  test("is left alone when it is another's by now", async () => {
    const opened = await listen(server(), { kind: "unix", path }, access);
    await listen(server(), { kind: "unix", path }, { ...access, mayReplace: true });
    opened.removeFile();
    expect(await isAnswered({ path })).toBe(true);
  });
});

describe("TCP", () => {
  test("tells the port that was taken", async () => {
    const { address: bound } = await listen(server(), { kind: "tcp", host: "127.0.0.1", port: 0 }, access);
    expect(bound).toMatchObject({ kind: "tcp", host: "127.0.0.1" });
    const { port } = bound as { port: number };
    expect(port).toBeGreaterThan(0);
    expect(await isAnswered({ host: "127.0.0.1", port })).toBe(true);
  });

  test("a port that is in use is one clear error", async () => {
    const { address } = await listen(server(), { kind: "tcp", host: "127.0.0.1", port: 0 }, access);
    const { port } = address as { port: number };
    const failure = listen(server(), { kind: "tcp", host: "127.0.0.1", port }, access);
    await expect(failure).rejects.toThrow(BootError);
    await expect(failure).rejects.toThrow(/in use/);
  });

  test("has no file that could be missing or removed", async () => {
    const opened = await listen(server(), { kind: "tcp", host: "127.0.0.1", port: 0 }, access);
    opened.removeFile();
    expect(opened.fileState()).toBe("in-place");
    const { port } = opened.address as { port: number };
    expect(await isAnswered({ host: "127.0.0.1", port })).toBe(true);
  });

  test("an address of another machine is one clear error", async () => {
    await expect(listen(server(), { kind: "tcp", host: "192.0.2.1", port: 0 }, access)).rejects.toThrow(BootError);
  });
});

test("a descriptor that is no socket is one clear error", async () => {
  await expect(listen(server(), { kind: "fd", fd: 9999 }, access)).rejects.toThrow(BootError);
});
