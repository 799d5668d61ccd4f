// Who may connect over TCP.
import { execFileSync } from "node:child_process";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { BootError } from "../../../src/errors.ts";
import type { Peer } from "../../../src/server/peers.ts";
import { createPeerCheck } from "../../../src/server/peers.ts";
import { until } from "../../harness/until.ts";

describe("who may connect over TCP", () => {
  const from = (remoteAddress: string | undefined): Peer => ({
    remoteAddress,
    localFamily: remoteAddress === undefined ? undefined : "IPv4",
  });
  const allows = (allow: readonly string[], address: string | undefined): boolean =>
    createPeerCheck(allow, () => {})(from(address));

  test.each(["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])("loopback always: %s", (address) => {
    expect(allows([], address)).toBe(true);
  });

  test.each(["10.0.0.1", "192.168.1.1", "::2", "::ffff:10.0.0.1", "fe80::1", "128.0.0.1"])(
    "nobody else unless listed: %s",
    (address) => {
      expect(allows([], address)).toBe(false);
      expect(allows(["10.9.9.9", "2001:db8::/32"], address)).toBe(false);
      expect(allows([address], address)).toBe(true);
    },
  );

  test("a subnet is exactly its addresses", () => {
    const inside = ["10.1.0.0", "10.1.255.255", "2001:db8::5", "::ffff:10.1.0.1"];
    const outside = ["10.2.0.0", "10.0.255.255", "2001:db9::"];
    expect(inside.filter((address) => allows(["10.1.0.0/16", "2001:db8::/32"], address))).toEqual(inside);
    expect(outside.filter((address) => allows(["10.1.0.0/16", "2001:db8::/32"], address))).toEqual([]);
  });

  test("a unix socket, which has no address, is guarded by its mode", () => {
    expect(allows([], undefined)).toBe(true);
  });

  test.each([
    "",
    "localhost",
    "10.0.0",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/x",
    "10.0.0.0/-1",
    "::/129",
    "10.0.0.0/8/9",
  ])("refuses the entry %j, which would allow something else", (entry) => {
    expect(() => createPeerCheck([entry], () => {})).toThrow(BootError);
  });

  test("a refused address is told once", () => {
    const told: string[] = [];
    const check = createPeerCheck([], (address) => told.push(address));
    for (const address of ["10.0.0.1", "10.0.0.1", "10.0.0.2"]) check(from(address));
    expect(told).toEqual(["10.0.0.1", "10.0.0.2"]);
  });

  /** What the check says of a client, which runs in a process of its own while nobody accepts here. */
  async function checked(client: string, check: (peer: Peer) => boolean): Promise<boolean[]> {
    const seen: boolean[] = [];
    const server = createServer((socket) => {
      socket.on("error", () => {});
      seen.push(check(socket));
      socket.destroy();
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    execFileSync(process.execPath, ["-e", client, String(port)], { timeout: 20_000 });
    await until("the connection to be accepted", () => seen.length === 1);
    return seen;
  }

  test("a real connection from loopback is one of those that may", async () => {
    const client = `require("net").connect(process.argv[1], "127.0.0.1", function () { this.unref(); });`;
    expect(
      await checked(
        client,
        createPeerCheck([], () => {}),
      ),
    ).toEqual([true]);
  });

  test("a peer that has reset its connection, and has no address any more, may not", async () => {
    const client = `require("net").connect(process.argv[1], "127.0.0.1", function () {
      this.write("a whole request", () => this.resetAndDestroy());
    });`;
    expect(
      await checked(
        client,
        createPeerCheck([], () => {}),
      ),
    ).toEqual([false]);
  });
});
