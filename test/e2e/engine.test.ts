// The FastCGI engine over a real socket: a daemon, and a peer that does what web servers, probes and attackers do.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FcgiPeer, begin, pairs, params, record, request, stdin, type, variables } from "../harness/fcgi.ts";
import { residentBytes } from "../harness/leftovers.ts";
import { until } from "../harness/until.ts";
import { Workspace, type Daemon } from "../harness/workspace.ts";

let workspace: Workspace;
let daemon: Daemon;

beforeAll(async () => {
  workspace = await Workspace.open();
  daemon = await workspace.daemon([workspace.app("engine.ts")]);
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const open = (): Promise<FcgiPeer> => FcgiPeer.open({ path: daemon.socket });

/** One request on a connection of its own; the body of the answer. */
async function ask(path: string, options: { body?: string | Buffer; method?: string } = {}): Promise<string> {
  const peer = await open();
  const body = options.body ?? "";
  peer.send(
    request(1, variables(path, { REQUEST_METHOD: options.method ?? "POST", CONTENT_LENGTH: String(body.length) }), {
      body,
    }),
  );
  const reply = await peer.reply(1);
  await peer.closed();
  peer.destroy();
  return bodyOf(reply.stdout);
}

function bodyOf(stdout: Buffer): string {
  const text = stdout.toString("latin1");
  return text.slice(text.indexOf("\r\n\r\n") + 4);
}

/** The daemon still serves. */
async function serves(): Promise<void> {
  expect(await ask("/hello")).toBe("hello");
}

describe("a well-behaved peer", () => {
  test("gets Status, headers, body, END_REQUEST and the end of the connection", async () => {
    const peer = await open();
    peer.send(request(1, variables("/hello")));
    const reply = await peer.reply(1);
    expect(reply.stdout.toString()).toMatch(/^Status: 200 OK\r\n(?:[A-Za-z-]+: [^\r\n]*\r\n)+\r\nhello$/u);
    expect(reply).toMatchObject({ stderr: "", appStatus: 0, protocolStatus: 0 });
    await peer.closed();
    peer.destroy();
  });

  test("may send its request byte by byte", async () => {
    const peer = await open();
    for (const byte of request(1, variables("/echo", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "5" }), {
      body: "bytes",
    })) {
      await peer.sent(Buffer.from([byte]));
    }
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("bytes");
    peer.destroy();
  });

  test("may keep the connection for many requests, with other ids", async () => {
    const peer = await open();
    for (const id of [1, 1, 7, 65_535, 1]) {
      peer.send(request(id, variables(`/nonce?${id}`), { keep: true, body: `b${id}` }));
      expect(bodyOf((await peer.reply(id)).stdout)).toBe(`${id} b${id}`);
    }
    expect(peer.pending).toBe(0);
    peer.destroy();
  });

  test("may split PARAMS anywhere and pad every record", async () => {
    const block = pairs(variables("/nonce?split", { HTTP_X_LONG: "v".repeat(300) }));
    const peer = await open();
    const pieces = [begin(1)];
    for (let start = 0; start < block.length; start += 3)
      pieces.push(record(type.params, 1, block.subarray(start, start + 3), start % 9));
    peer.send(...pieces, record(type.params, 1, "", 255), stdin(1, "x"));
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("split x");
    peer.destroy();
  });

  test("that half-closes after a whole request gets its answer", async () => {
    const peer = await open();
    peer.send(request(1, variables("/nonce?half"), { body: "closed" }));
    peer.end();
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("half closed");
    await peer.closed();
  });

  test("that half-closes gets a long answer to its end", async () => {
    const peer = await open();
    peer.send(request(1, variables("/download?3000000"), { keep: true }));
    peer.end();
    expect(bodyOf((await peer.reply(1)).stdout)).toHaveLength(3_000_000);
    await peer.closed();
  });

  test("asks for values: only ours are answered, with multiplexing off", async () => {
    const peer = await open();
    peer.send(
      record(
        type.getValues,
        0,
        pairs({ FCGI_MPXS_CONNS: "", FCGI_MAX_CONNS: "", FCGI_MAX_REQS: "", FCGI_NOT_OURS: "" }),
      ),
    );
    const answer = await peer.next();
    expect(answer).toMatchObject({ type: type.getValuesResult, id: 0 });
    expect(answer?.content.includes(pairs({ FCGI_MPXS_CONNS: "0" }))).toBe(true);
    expect(answer?.content.includes("NOT_OURS")).toBe(false);
    peer.send(request(1, variables("/hello")));
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("hello");
    peer.destroy();
  });

  test("sends an unknown management record and is told so, with the type and id 0", async () => {
    const peer = await open();
    peer.send(record(77, 0, "what is this"));
    const answer = await peer.next();
    expect(answer).toMatchObject({ type: type.unknown, id: 0 });
    expect(answer?.content[0]).toBe(77);
    peer.destroy();
  });

  test("sends an unknown application record, which is ignored", async () => {
    const peer = await open();
    peer.send(begin(1), record(77, 1, "ignore me"), params(1, variables("/hello")), record(99, 1), stdin(1));
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("hello");
    peer.destroy();
  });

  test("asks for a role that is not there and gets UNKNOWN_ROLE", async () => {
    for (const role of [3, 9]) {
      const peer = await open();
      peer.send(request(1, variables("/hello"), { role, keep: true }));
      expect(await peer.reply(1)).toMatchObject({ protocolStatus: 3, stdout: Buffer.alloc(0) });
      peer.send(request(1, variables("/hello"), { keep: true }));
      expect(bodyOf((await peer.reply(1)).stdout)).toBe("hello");
      peer.destroy();
    }
  });

  test("asks as an authorizer, without STDIN, and gets Status and Variable headers alone", async () => {
    const peer = await open();
    peer.send(begin(1, false, 2), params(1, variables("/role")));
    const reply = await peer.reply(1);
    expect(reply.stdout.toString()).toBe("Status: 200 OK\r\nVariable-Tenant: seven\r\n\r\n");
    await until("the role in the log", () => daemon.program.stderr.includes("app: role AUTHORIZER"));
    peer.destroy();
  });
});

describe("late and early", () => {
  test("late STDIN of an answered request is dropped and the next request gets its own", async () => {
    const peer = await open();
    peer.send(begin(1, true), params(1, variables("/ignore?one", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "9" })));
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("ignored one");
    peer.send(stdin(1, "late late"));
    peer.send(
      request(1, variables("/nonce?two", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "3" }), { keep: true, body: "two" }),
    );
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("two two");
    peer.destroy();
  });

  test("a new BEGIN may come though the old STDIN never ended", async () => {
    const peer = await open();
    for (const turn of ["a", "b", "c"]) {
      peer.send(begin(1, true), params(1, variables(`/ignore?${turn}`)), record(type.stdin, 1, "part of a body"));
      expect(bodyOf((await peer.reply(1)).stdout)).toBe(`ignored ${turn}`);
    }
    peer.send(request(1, variables("/nonce?last"), { keep: true, body: "body" }));
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("last body");
    expect(peer.pending).toBe(0);
    peer.destroy();
  });

  test("nothing follows END_REQUEST, not even from an application that goes on", async () => {
    const peer = await open();
    peer.send(request(1, variables("/hello"), { keep: true }));
    await peer.reply(1);
    await serves();
    expect(peer.pending).toBe(0);
    peer.send(request(2, variables("/hello")));
    await peer.reply(2);
    await peer.closed();
    peer.destroy();
  });

  test("a body shorter than CONTENT_LENGTH is an error to the application and 400 to the client", async () => {
    const peer = await open();
    peer.send(
      begin(1),
      params(1, variables("/truncated", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "100" })),
      stdin(1, "only this"),
    );
    expect((await peer.reply(1)).stdout.toString()).toMatch(/^Status: 400 /u);
    await until("the error in the application", () => daemon.program.stderr.includes("app: truncated: TSGI1003"));
    peer.destroy();
  });

  test("a peer that goes away in its body: the application sees an error, never a short body", async () => {
    const before = daemon.program.stderr.length;
    const peer = await open();
    peer.send(
      begin(1),
      params(1, variables("/truncated", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "100" })),
      record(type.stdin, 1, "some"),
    );
    peer.destroy();
    await until("the error in the application", () =>
      daemon.program.stderr.slice(before).includes("app: truncated: TSGI"),
    );
    expect(daemon.program.stderr.slice(before)).not.toContain("got a body");
  });

  test("bytes beyond CONTENT_LENGTH are not part of the body", async () => {
    const peer = await open();
    peer.send(
      begin(1),
      params(1, variables("/echo", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "4" })),
      stdin(1, "four and more"),
    );
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("four");
    peer.destroy();
  });

  test("a second BEGIN for another id gets CANT_MPX_CONN and the first goes on", async () => {
    const peer = await open();
    peer.send(begin(1, true), params(1, variables("/echo")));
    peer.send(begin(2, true), params(2, variables("/hello")), stdin(2));
    expect(await peer.reply(2)).toMatchObject({ protocolStatus: 1 });
    peer.send(stdin(1, "still mine"));
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("still mine");
    peer.destroy();
  });

  test("a second BEGIN for the live id never mixes the two requests up", async () => {
    const peer = await open();
    peer.send(begin(1, true), params(1, variables("/echo")), record(type.stdin, 1, "of the first"));
    peer.send(begin(1, true), params(1, variables("/echo")), stdin(1, "of the second"));
    const records: string[] = [];
    for (let next = await peer.next(); next !== undefined; next = await peer.next()) {
      records.push(next.content.toString("latin1"));
      if (next.type === type.end) break;
    }
    expect(records.join("")).not.toContain("of the firstof the second");
    peer.destroy();
    await serves();
  });

  test("ABORT_REQUEST aborts the signal, is answered with END_REQUEST, and the connection goes on", async () => {
    const peer = await open();
    peer.send(begin(1, true), params(1, variables("/until-abort?abort")), stdin(1));
    await until("the request to run", () => daemon.program.stderr.includes("until-abort abort began"));
    peer.send(record(type.abort, 1));
    await peer.reply(1);
    await until("the signal", () => daemon.program.stderr.includes("until-abort abort aborted"));
    peer.send(request(1, variables("/hello"), { keep: true }));
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("hello");
    peer.destroy();
  });

  test("the end of the connection aborts the signal", async () => {
    const peer = await open();
    peer.send(
      begin(1),
      params(1, variables("/until-abort?gone", { CONTENT_LENGTH: "5" })),
      record(type.stdin, 1, "12"),
    );
    await until("the request to run", () => daemon.program.stderr.includes("until-abort gone began"));
    peer.destroy();
    await until("the signal", () => daemon.program.stderr.includes("until-abort gone aborted"));
  });

  test("a peer that closes after its whole request aborts the signal of a silent application", async () => {
    const peer = await open();
    peer.send(request(1, variables("/until-abort?closed")));
    await until("the request to run", () => daemon.program.stderr.includes("until-abort closed began"));
    peer.destroy();
    await until("the signal", () => daemon.program.stderr.includes("until-abort closed aborted"));
  });

  test("a peer that half-closes does not abort an application that is still silent", async () => {
    const peer = await open();
    peer.send(request(1, variables("/gate?half-closed")));
    peer.end();
    await until("the gate", async () => (await ask("/open?half-closed")) === "opened");
    expect(bodyOf((await peer.reply(1)).stdout)).toBe("the gate was opened");
    await peer.closed();
  });

  test("a failure after the head ends the connection without END_REQUEST", async () => {
    const peer = await open();
    peer.send(request(1, variables("/fail-late"), { keep: true }));
    await expect(peer.reply(1)).rejects.toThrow("ended before END_REQUEST");
    peer.destroy();
  });
});

describe("peers that do not speak FastCGI", () => {
  /** Log lines of the daemon that appear while `action` runs, up to the answer of a probe after it. */
  async function linesDuring(action: () => Promise<void>): Promise<string[]> {
    await serves();
    const before = daemon.program.stderr.length;
    await action();
    await serves();
    return daemon.program.stderr
      .slice(before)
      .split("\n")
      .filter((line) => line !== "");
  }

  const strangers: ReadonlyArray<readonly [string, Buffer]> = [
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["a TLS hello", Buffer.from("16030100c8010000c40303", "hex")],
    ["zero bytes", Buffer.alloc(64)],
    ["version 2", Buffer.from([2, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])],
    ["a BEGIN with a body that is too short", record(type.begin, 1, Buffer.from([0, 1]))],
    [
      "PARAMS whose lengths run past their end",
      Buffer.concat([begin(1), record(type.params, 1, Buffer.from([200, 200, 65])), record(type.params, 1)]),
    ],
    [
      "PARAMS with a length of 4 GiB",
      Buffer.concat([begin(1), record(type.params, 1, Buffer.from("ffffffffffffffff", "hex")), record(type.params, 1)]),
    ],
  ];

  for (const [name, bytes] of strangers) {
    test(`${name}: dropped, logged once at most, without harm`, async () => {
      const lines = await linesDuring(async () => {
        const peer = await open();
        peer.send(bytes);
        await peer.closed();
        peer.destroy();
      });
      expect(lines.length, lines.join("\n")).toBeLessThanOrEqual(1);
    });
  }

  test("a bare connect and close is silent", async () => {
    const lines = await linesDuring(async () => {
      for (let count = 0; count < 20; count += 1) (await open()).destroy();
      for (let count = 0; count < 20; count += 1) {
        const peer = await open();
        peer.end();
        await peer.closed();
      }
    });
    expect(lines).toEqual([]);
  });

  test("PARAMS beyond 1 MiB are refused", async () => {
    const peer = await open();
    const block = Buffer.concat([pairs({ HTTP_X: "x".repeat(60_000) })]);
    peer.send(begin(1));
    for (let count = 0; count < 20; count += 1) peer.send(record(type.params, 1, block));
    peer.send(record(type.params, 1));
    await peer.closed();
    peer.destroy();
    await serves();
  });

  test("every truncated prefix of a valid request: no answer as if it were whole, no harm", async () => {
    const whole = request(1, variables("/echo", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "4" }), { body: "body" });
    const cut = async (size: number): Promise<void> => {
      const peer = await open();
      peer.send(whole.subarray(0, size));
      if (size % 2 === 0) peer.end();
      else {
        peer.destroy();
        return;
      }
      for (let next = await peer.next(); next !== undefined; next = await peer.next()) {
        if (next.type === type.stdout) expect(next.content.toString("latin1")).not.toMatch(/^Status: 200/u);
      }
    };
    for (let start = 0; start < whole.length - 8; start += 24) {
      await Promise.all(
        Array.from({ length: Math.min(24, whole.length - 8 - start) }, (_, index) => cut(start + index)),
      );
    }
    await serves();
  }, 60_000);
});

describe("backpressure", () => {
  test("a client that does not read stops the application", async () => {
    const peer = await open();
    peer.pause();
    const before = Number(await ask("/produced"));
    peer.send(request(1, variables("/forever?paused")));
    let last = -1;
    await until("the stream to stand still", async () => {
      const now = Number(await ask("/produced")) - before;
      const stands = now > 0 && now === last;
      last = now;
      return stands;
    });
    expect(last).toBeLessThan(4 * 1_048_576);
    peer.destroy();
    await until("the generator's finally", () => daemon.program.stderr.includes("app: stream paused was closed"));
  });

  test("an application that does not read stops the client", async () => {
    const total = 16 * 1_048_576;
    const peer = await open();
    peer.send(
      begin(1),
      params(1, variables("/upload-behind-gate?upload", { REQUEST_METHOD: "POST", CONTENT_LENGTH: String(total) })),
    );
    const before = residentBytes(daemon.program.pid);
    let sent = 0;
    const block = record(type.stdin, 1, Buffer.alloc(32_768, "u"));
    const sending = (async () => {
      for (; sent < total; sent += 32_768) await peer.sent(block);
      peer.send(record(type.stdin, 1));
    })();
    let last = -1;
    await until("the upload to stand still", async () => {
      await serves();
      const stands = sent > 0 && sent === last;
      last = sent;
      return stands;
    });
    expect(sent).toBeLessThan(8 * 1_048_576);
    expect(residentBytes(daemon.program.pid) - before).toBeLessThan(32 * 1_048_576);
    expect(await ask("/open?upload")).toBe("opened");
    await sending;
    expect(bodyOf((await peer.reply(1)).stdout)).toBe(String(total));
    peer.destroy();
  }, 60_000);
});
