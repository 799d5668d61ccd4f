// Addresses as text and as data.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { ListenAddress } from "../../../src/config/address.ts";
import { formatListenAddress, parseListenAddress } from "../../../src/config/address.ts";
import { ConfigError } from "../../../src/errors.ts";

test.each<[string, ListenAddress]>([
  ["unix:/run/app.sock", { kind: "unix", path: "/run/app.sock" }],
  ["unix:run/a:b.sock", { kind: "unix", path: "run/a:b.sock" }],
  ["tcp:127.0.0.1:9000", { kind: "tcp", host: "127.0.0.1", port: 9000 }],
  ["tcp:localhost:0", { kind: "tcp", host: "localhost", port: 0 }],
  ["tcp:[::1]:9000", { kind: "tcp", host: "::1", port: 9000 }],
  ["fd:0", { kind: "fd", fd: 0 }],
])("reads %s, and writes it the same way", (text, address) => {
  expect(parseListenAddress(text)).toEqual(address);
  expect(formatListenAddress(address)).toBe(text);
});

test.each([
  "",
  "unix:",
  "/run/app.sock",
  "9000",
  "tcp:9000",
  "tcp::9000",
  "tcp:host:",
  "tcp:host:99999",
  "tcp:::1:9000",
  "tcp:a b:1",
  "fd:",
  "fd:-1",
  "fd:x",
  "http:localhost:80",
  `unix:/${"x".repeat(107)}`,
  "unix:/a\0b",
])("refuses %j with a sentence that says what is expected", (text) => {
  expect(() => parseListenAddress(text)).toThrow(ConfigError);
  expect(() => parseListenAddress(text)).toThrow(/is not an address: \S+ .*/);
});

test("what one writes the other reads", () => {
  const hosts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  const addresses = fc.oneof(
    fc.record({ kind: fc.constant("unix" as const), path: fc.stringMatching(/^[ -~]{1,107}$/) }),
    fc.record({ kind: fc.constant("tcp" as const), host: hosts, port: fc.nat(65_535) }),
    fc.record({ kind: fc.constant("fd" as const), fd: fc.nat(9999) }),
  );
  fc.assert(
    fc.property(addresses, (address) => {
      expect(parseListenAddress(formatListenAddress(address))).toEqual(address);
    }),
  );
});
