import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import type { SocketHandle } from "../../../src/server/socket-handle.ts";
import { adoptHandle, releaseHandle, takeUnread } from "../../../src/server/socket-handle.ts";
import { until, within } from "../../harness/until.ts";

let folder: string;
let server: Server;
const sockets: Socket[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-handle-"));
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await within("the server to close", new Promise((resolve) => server.close(resolve)));
  rmSync(folder, { recursive: true });
});

/** Both ends of a new connection: ours as it was accepted, and the peer's. */
async function pair(kind: "unix" | "tcp"): Promise<{ readonly ours: Socket; readonly peer: Socket }> {
  server = createServer({ allowHalfOpen: true });
  server.listen(kind === "unix" ? join(folder, "socket") : { host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const peer =
    kind === "unix" ? connect(join(folder, "socket")) : connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [ours] = await accepted;
  sockets.push(ours, peer);
  return { ours, peer };
}

function adopt(handle: SocketHandle): Socket {
  const socket = adoptHandle(handle);
  sockets.push(socket);
  return socket;
}

/** All that comes, as text. */
function reader(socket: Socket): () => string {
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  return () => text;
}

describe.each(["unix", "tcp"] as const)("a %s connection", (kind) => {
  test("goes on in both directions under another socket, and the first one ends quietly", async () => {
    const { ours, peer } = await pair(kind);
    const received = reader(peer);
    const before = reader(ours);
    peer.write("one ");
    await until("the first bytes", () => before() === "one ");
    ours.write("eins ");
    const closed = once(ours, "close");
    const handle = releaseHandle(ours);
    expect(ours.destroyed).toBe(true);
    await within("the first socket to close", closed); // an error of it would reject
    const adopted = adopt(handle);
    const after = reader(adopted);
    peer.write("two");
    adopted.write("zwei");
    await until("both sides", () => after() === "two" && received() === "eins zwei");
    expect(before()).toBe("one ");
    expect([peer.destroyed, peer.readableEnded]).toEqual([false, false]);
  });

  test("may go on many times: nothing is lost that the peer sends meanwhile", async () => {
    const { ours, peer } = await pair(kind);
    let sent = "";
    let received = "";
    let current = ours;
    for (let round = 0; round < 200; round += 1) {
      const read = reader(current);
      const word = `${round} `;
      sent += word;
      peer.write(word);
      if (round % 3 === 0) await until("the word", () => read().endsWith(word));
      else if (round % 3 === 1) await new Promise((resolve) => setImmediate(resolve));
      received += read();
      current.removeAllListeners("data");
      const unread = Buffer.concat(takeUnread(current)).toString();
      const handle = releaseHandle(current);
      received += unread;
      if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      current = adopt(handle);
    }
    const read = reader(current);
    await until("everything", () => received.length + read().length === sent.length);
    expect(received + read()).toBe(sent);
  });

  test("what waits in a paused socket goes with it", async () => {
    const { ours, peer } = await pair(kind);
    let seen = "";
    ours.on("data", (bytes: Buffer) => {
      seen += bytes.toString();
      ours.pause();
    });
    peer.write("first");
    await until("the first bytes", () => seen !== "");
    peer.write("second");
    await until("the bytes to wait", () => ours.readableLength === 6);
    const unread = Buffer.concat(takeUnread(ours)).toString();
    const handle = releaseHandle(ours);
    const after = reader(adopt(handle));
    peer.write("third");
    await until("the rest", () => after() !== "");
    expect([seen, unread, after()]).toEqual(["first", "second", "third"]);
  });

  test("that the peer has half-closed tells its new owner so, who may still answer", async () => {
    const { ours, peer } = await pair(kind);
    peer.end("last words");
    const handle = releaseHandle(ours);
    const adopted = adopt(handle);
    const after = reader(adopted);
    const received = reader(peer);
    await within("the end", once(adopted, "end"));
    expect(after()).toBe("last words");
    adopted.end("answer");
    await until("the answer", () => received() === "answer");
  });

  test("closes with its handle", async () => {
    const { ours, peer } = await pair(kind);
    const ended = once(peer, "end");
    peer.resume();
    releaseHandle(ours).close();
    await within("the peer to notice", ended);
  });
});

test("reading stops at once: what comes between two owners is the second one's", async () => {
  const { ours, peer } = await pair("unix");
  const before = reader(ours);
  const handle = releaseHandle(ours);
  peer.write("for the next");
  await until("the bytes to be in the kernel", () => peer.writableLength === 0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(before()).toBe("");
  const after = reader(adopt(handle));
  await until("the bytes", () => after() === "for the next");
});

test("a server no longer counts a connection that was released", async () => {
  const { ours } = await pair("unix");
  const handle = releaseHandle(ours);
  await within("the server to close", new Promise((resolve) => server.close(resolve)));
  adopt(handle);
});

test("a timeout of the first socket is no longer set", async () => {
  const { ours } = await pair("unix");
  ours.setTimeout(60_000);
  adopt(releaseHandle(ours));
  expect(ours.timeout).toBe(0);
});

test("a socket that is closed has nothing to release", async () => {
  const { ours } = await pair("unix");
  ours.destroy();
  expect(() => releaseHandle(ours)).toThrow(UsageError);
});
