import { describe, expect, test } from "vitest";
import { BootError } from "../../../src/errors.ts";
import { activatedSockets, socketsOfGroups, withoutServiceVariables } from "../../../src/supervisor/activation.ts";

describe("sockets from the service manager", () => {
  test("are the descriptors from 3 on, with their names", () => {
    const env = { LISTEN_PID: "42", LISTEN_FDS: "2", LISTEN_FDNAMES: "site:shop" };
    expect(activatedSockets(env, 42)).toEqual([
      { fd: 3, name: "site" },
      { fd: 4, name: "shop" },
    ]);
  });

  test("are none when the variables are for another process, or missing", () => {
    expect(activatedSockets({ LISTEN_PID: "41", LISTEN_FDS: "1" }, 42)).toEqual([]);
    expect(activatedSockets({ LISTEN_FDS: "1" }, 42)).toEqual([]);
    expect(activatedSockets({}, 42)).toEqual([]);
    expect(activatedSockets({ LISTEN_PID: "42", LISTEN_FDS: "0" }, 42)).toEqual([]);
  });

  test("have the name that sd_listen_fds gives them when there is none", () => {
    expect(activatedSockets({ LISTEN_PID: "7", LISTEN_FDS: "1" }, 7)).toEqual([{ fd: 3, name: "unknown" }]);
    expect(activatedSockets({ LISTEN_PID: "7", LISTEN_FDS: "2", LISTEN_FDNAMES: "a" }, 7)[1]?.name).toBe("unknown");
  });

  test.each(["", "-1", "x", "1.5", "99999", " 1"])("LISTEN_FDS %j is refused", (count) => {
    expect(() => activatedSockets({ LISTEN_PID: "7", LISTEN_FDS: count }, 7)).toThrow(BootError);
  });
});

describe("a group's socket", () => {
  test("is the one with its name", () => {
    const sockets = [
      { fd: 3, name: "shop" },
      { fd: 4, name: "site" },
    ];
    expect(socketsOfGroups(["site", "shop", "admin"], sockets)).toEqual(
      new Map([
        ["shop", 3],
        ["site", 4],
      ]),
    );
  });

  test("is the only one for the only group, whatever its name", () => {
    expect(socketsOfGroups(["default"], [{ fd: 3, name: "app.socket" }])).toEqual(new Map([["default", 3]]));
  });

  test("is nobody's when there is none", () => {
    expect(socketsOfGroups(["default"], [])).toEqual(new Map());
  });

  test("must belong to a group, and to one alone", () => {
    expect(() => socketsOfGroups(["a", "b"], [{ fd: 3, name: "c" }])).toThrow(
      'the socket "c" that was passed as descriptor 3 has no group\'s name: FileDescriptorName= must be one of a, b',
    );
    const twice = [3, 4].map((fd) => ({ fd, name: "a" }));
    expect(() => socketsOfGroups(["a", "b"], twice)).toThrow("is the second one of that name");
    expect(() => socketsOfGroups(["a"], twice)).toThrow("is the second one of that name");
  });
});

test("a worker's environment has nothing of what the service manager told the main process", () => {
  const env = {
    PATH: "/bin",
    LISTEN_PID: "1",
    LISTEN_FDS: "1",
    LISTEN_FDNAMES: "x",
    NOTIFY_SOCKET: "/x",
    WATCHDOG_USEC: "1",
  };
  expect(withoutServiceVariables({ ...env, WATCHDOG_PID: "1", EMPTY: "" })).toEqual({ PATH: "/bin", EMPTY: "" });
});
