import { afterEach, describe, expect, test } from "vitest";
import { encodeStream } from "../../../src/fastcgi/client.ts";
import { encodePairs } from "../../../src/fastcgi/pairs.ts";
import { RecordType, Role } from "../../../src/fastcgi/record.ts";
import type { Application, Body, Environ, ErrorStream, Write } from "../../../src/spec.ts";
import { until } from "../../harness/until.ts";
import { begin } from "../fastcgi/wire.ts";
import { turn } from "../gateway/play.ts";
import type { Peer, Reply } from "./served.ts";
import { paramsOf, Served } from "./served.ts";

let served: Served | undefined;

afterEach(async () => {
  await served?.stop();
  served = undefined;
});

async function open(application: Application): Promise<Peer> {
  served ??= await Served.start(application);
  return served.open();
}

async function replyTo(application: Application, more: Readonly<Record<string, string>> = {}): Promise<Reply> {
  const peer = await open(application);
  peer.request({ params: paramsOf("/a", more) });
  return peer.reply();
}

const answer =
  (body: () => Body): Application =>
  (_, startResponse) => {
    startResponse("200 OK", []);
    return body();
  };

test("a response is a CGI header block and its body, then END_REQUEST", async () => {
  const reply = await replyTo((_, startResponse) => {
    startResponse("418 Teapot \xe9", [
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=\xff"],
    ]);
    return "日";
  });
  expect(reply).toMatchObject({ errors: [], protocolStatus: 0 });
  expect(reply.head.split("\r\n")).toEqual([
    "Status: 418 Teapot \xe9",
    "Set-Cookie: a=1",
    "Set-Cookie: b=\xff",
    "Content-Length: 3",
  ]);
  expect(reply.body.toString()).toBe("日");
});

test("the parameters arrive byte for byte, the role among them", async () => {
  let environ: Environ | undefined;
  await replyTo(
    (given, startResponse) => {
      environ = given;
      return answer(() => "x")(given, startResponse);
    },
    { "odd name x": "y", BYTES: "\x80\xff\n", EMPTY: "", FCGI_ROLE: "forged" },
  );
  expect(environ).toMatchObject({ "odd name x": "y", BYTES: "\x80\xff\n", EMPTY: "", FCGI_ROLE: "RESPONDER" });
  expect(environ?.["tsgi.transport"]).toBe("fastcgi");
  expect(environ?.["wsgi.run_once"]).toBe(false);
});

test("an authorizer is asked without input, and its answer has no Content-Length", async () => {
  let read = -1;
  const peer = await open(async (environ, startResponse) => {
    read = (await environ["wsgi.input"].read()).length;
    startResponse("200 OK", [["Variable-Tenant", environ.FCGI_ROLE ?? ""]]);
    return "";
  });
  peer.request({ params: paramsOf("/a", { CONTENT_LENGTH: "10" }), role: Role.AUTHORIZER });
  expect((await peer.reply()).head.split("\r\n")).toEqual(["Status: 200 OK", "Variable-Tenant: AUTHORIZER"]);
  expect(read).toBe(0);
});

describe("wsgi.errors", () => {
  test("is one STDERR record for each line, before the end", async () => {
    const { errors } = await replyTo((environ, startResponse) => {
      environ["wsgi.errors"].write("one\ntw");
      environ["wsgi.errors"].write("o\nthree");
      return answer(() => "x")(environ, startResponse);
    });
    expect(errors).toEqual(["one", "two", "three"]);
  });

  test("after the response goes to the process log, never to the peer", async () => {
    let errors: ErrorStream | undefined;
    let write: Write = async () => {};
    const peer = await open((environ, startResponse) => {
      errors = environ["wsgi.errors"];
      write = startResponse("200 OK", []);
      return "x";
    });
    for (const keepConn of [true, true, false]) {
      peer.request({ params: paramsOf("/a"), keepConn });
      await peer.reply();
      errors?.write("too late\n");
      await expect(write("too late")).rejects.toThrow(/after the request had ended/);
      await turn();
    }
    await peer.ended(); // throws for any record after END_REQUEST
    const late = served?.log.lines.filter(({ message }) => message === "too late");
    expect(late).toHaveLength(3);
    expect(late?.[0]?.fields).toMatchObject({ source: "wsgi.errors", code: "TSGI2103" });
  });
});

describe("a request that fails", () => {
  test("before the head: an error page, a line in Apache's log, the rest in ours, under one id", async () => {
    const reply = await replyTo(() => {
      throw new Error("secret cause");
    });
    expect(reply.head).toMatch(/^Status: 500 Internal Server Error\r\n/);
    expect(reply.body.toString()).not.toContain("secret");
    const [, id = ""] = /<code>(.*)<\/code>/.exec(reply.body.toString()) ?? [];
    expect(id).not.toBe("");
    expect(reply.errors).toEqual([expect.stringContaining("secret cause")]);
    expect(reply.errors[0]).toContain(id);
    expect(served?.log.lines).toMatchObject([
      { level: "error", fields: { request_id: id, method: "GET", path: "/a" } },
    ]);
  });

  test("after the head: what was written arrives, and no END_REQUEST", async () => {
    const peer = await open(
      answer(function* () {
        yield "x".repeat(200_000);
        throw new Error("broken");
      } as () => Body),
    );
    for (const keepConn of [true, false]) {
      const one = served?.open() ?? peer;
      one.request({ params: paramsOf("/a"), keepConn });
      await one.ended();
      expect(one.partial).toHaveLength(one.partial.indexOf("\r\n\r\n") + 4 + 200_000);
      await expect(one.reply()).rejects.toThrow(/the connection ended/);
    }
    await until("the failures to be logged", () => served?.complaints.length === 2);
  });

  test("by a body shorter than its Content-Length is never complete, whether it comes whole or in pieces", async () => {
    const bodies: Array<() => Body> = [() => "short", () => new Set(["sh", "ort"])];
    const peer = await open((environ, startResponse) => {
      startResponse("200 OK", [["Content-Length", "10"]]);
      return bodies[Number(environ.PATH_INFO.slice(1))]?.() ?? "";
    });
    peer.destroy();
    for (const index of bodies.keys()) {
      const one = served!.open();
      one.request({ params: paramsOf(`/${index}`), keepConn: true });
      const reply = await one.reply().catch(() => undefined);
      expect(reply === undefined || reply.head.startsWith("Status: 500")).toBe(true);
    }
  });

  test("behind mod_fcgid ends properly: a broken connection would cost the process, and the client would see no more", async () => {
    served = await Served.start(
      (environ, startResponse) => {
        startResponse("200 OK", environ.PATH_INFO === "/counted" ? [["Content-Length", "10"]] : []);
        return (function* () {
          yield "some";
          throw new Error("broken");
        })();
      },
      { isBehindFcgid: true },
    );
    const counted = served.open();
    counted.request({ params: paramsOf("/counted") });
    const reply = await counted.reply();
    expect(reply.head).toContain("Content-Length: 10");
    expect(reply.body.toString()).toBe("some");
    const uncounted = served.open();
    uncounted.request({ params: paramsOf("/uncounted") });
    expect((await uncounted.reply()).body.toString()).toBe("some");
  });

  test("by a CONTENT_LENGTH that is no number: 400", async () => {
    const reply = await replyTo(
      answer(() => "x"),
      { CONTENT_LENGTH: "ten" },
    );
    expect(reply.head).toMatch(/^Status: 400 /);
  });

  test("by STDIN that ends before CONTENT_LENGTH: 400, where the application lets it pass", async () => {
    const peer = await open(async (environ, startResponse) => {
      const body = await environ["wsgi.input"].read();
      startResponse("200 OK", []);
      return body;
    });
    peer.request({ params: paramsOf("/a", { CONTENT_LENGTH: "10" }), stdin: Buffer.from("four") });
    const reply = await peer.reply();
    expect(reply.head).toMatch(/^Status: 400 /);
    expect(served?.complaints).toEqual([]);
  });
});

describe("behind a balancer, which sends a request again when a member died with it", () => {
  const balanced = { BALANCER_NAME: "balancer://b" };
  const calls: string[] = [];
  const application: Application = (environ, startResponse) => {
    calls.push(environ.REQUEST_METHOD);
    startResponse("200 OK", []);
    return "x";
  };

  test.each<[Record<string, string>, string, string]>([
    [{ ...balanced, CONTENT_LENGTH: "4" }, "", "503"],
    [{ ...balanced, HTTP_TRANSFER_ENCODING: "chunked" }, "", "503"],
    [{ ...balanced, CONTENT_LENGTH: "4" }, "four", "200"],
    [{ ...balanced, HTTP_TRANSFER_ENCODING: "chunked" }, "four", "200"],
    [{ ...balanced, CONTENT_LENGTH: "0" }, "", "200"],
    [balanced, "", "200"],
    [{ CONTENT_LENGTH: "4" }, "", "200"],
  ])("%j with the body %j: %s", async (variables, body, status) => {
    calls.length = 0;
    const peer = await open(application);
    peer.request({ params: paramsOf("/a", variables), stdin: Buffer.from(body) });
    expect((await peer.reply()).head).toMatch(new RegExp(`^Status: ${status} `));
    expect(calls).toEqual(status === "200" ? ["GET"] : []);
  });

  test("a body that is late is waited for, and a peer that goes meanwhile leaves nothing behind", async () => {
    calls.length = 0;
    const params = encodeStream(
      RecordType.PARAMS,
      1,
      encodePairs(paramsOf("/a", { ...balanced, CONTENT_LENGTH: "4" })),
    );
    const [late, gone] = [await open(application), await open(application)];
    for (const peer of [late, gone]) {
      peer.client.request({ params: {} });
      peer.socket.write(Buffer.concat([begin(1, 1, 0), params]));
    }
    await until("both to be there", () => served?.server.stats.busy === 2);
    expect(calls).toEqual([]);
    gone.destroy();
    await until("one to be gone", () => served?.server.stats.busy === 1);
    late.socket.write(encodeStream(RecordType.STDIN, 1, Buffer.from("four")));
    expect((await late.reply()).body.toString()).toBe("x");
    expect(calls).toEqual(["GET"]);
  });
});

test("STDIN beyond CONTENT_LENGTH is dropped", async () => {
  const peer = await open(async (environ, startResponse) => {
    const body = await environ["wsgi.input"].read();
    startResponse("200 OK", []);
    return body;
  });
  peer.request({ params: paramsOf("/a", { CONTENT_LENGTH: "4" }), stdin: Buffer.from("four and more") });
  expect((await peer.reply()).body.toString()).toBe("four");
});

test("a request cut anywhere, or fed byte by byte, is served or dropped, and the next peer is served", async () => {
  const application: Application = async (environ, startResponse) => {
    const body = await environ["wsgi.input"].read();
    startResponse("200 OK", []);
    return body;
  };
  const whole = Buffer.concat([
    begin(1, 1, 0),
    encodeStream(RecordType.PARAMS, 1, encodePairs(paramsOf("/a", { CONTENT_LENGTH: "4" }))),
    encodeStream(RecordType.STDIN, 1, Buffer.from("four")),
  ]);
  await open(application);
  const cuts = Array.from({ length: whole.length }, (_, index) => index);
  await Promise.all(
    cuts.map(async (at) => {
      const peer = served!.open();
      peer.client.request({ params: {} });
      peer.socket.end(whole.subarray(0, at));
      // Without its last record, the empty STDIN, the request is whole: CONTENT_LENGTH says so.
      if (at < whole.length - 8) await peer.ended();
      else expect((await peer.reply()).body.toString()).toBe("four");
    }),
  );
  const peer = served!.open();
  peer.client.request({ params: {} });
  for (const byte of whole) {
    peer.socket.write(Buffer.of(byte));
    await turn();
  }
  expect((await peer.reply()).body.toString()).toBe("four");
  expect(served!.complaints).toEqual([]);
});
