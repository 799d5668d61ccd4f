// Middleware through the gateway: what it may change, and what it must not lose on the way.
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { changeResponse, compose, headerOf, mapBody, withoutHeader } from "../../../src/gateway/compose.ts";
import type { Middleware } from "../../../src/gateway/compose.ts";
import { lint } from "../../../src/gateway/lint.ts";
import type { Violation } from "../../../src/gateway/lint/rules.ts";
import { runDirect } from "../../../src/server/direct.ts";
import type { DirectReply } from "../../../src/server/direct.ts";
import type { Application, Body, Chunk, HeaderList } from "../../../src/spec.ts";
import { play } from "./play.ts";

const plain: HeaderList = [["Content-Type", "text/plain"]];
const shout = (chunk: Chunk): Chunk =>
  (typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("latin1")).toUpperCase();

/** Adds a header, at the end of what is there. */
const tag = (value: string): Middleware =>
  changeResponse(({ headers }) => ({ headers: [...headers, ["X-Tag", value]] }));

const shouting = changeResponse(({ headers }) => ({ headers: withoutHeader(headers, "content-length"), chunk: shout }));

const answering =
  (body: unknown, headers = plain): Application =>
  (_environ, startResponse) => {
    startResponse("200 OK", headers);
    return body as Body;
  };

const get = (application: Application): Promise<DirectReply> => runDirect(application, { method: "GET", url: "/" });
const tagsOf = ({ headers }: DirectReply): string[] =>
  headers.filter(([name]) => name === "X-Tag").map(([, value]) => value);

describe("compose", () => {
  test("puts the first outermost: it sees the request first and the response last", async () => {
    const order: string[] = [];
    const noting =
      (name: string): Middleware =>
      (inner) =>
      (environ, startResponse) => {
        order.push(`${name} before`);
        const body = inner(environ, (...head) => {
          order.push(`${name} head`);
          return startResponse(...head);
        });
        order.push(`${name} after`);
        return body;
      };
    const application = compose(noting("outer"), noting("inner"))(answering("x"));
    expect((await get(application)).body.toString()).toBe("x");
    expect(order).toEqual(["outer before", "inner before", "inner head", "outer head", "inner after", "outer after"]);
    expect(tagsOf(await get(compose(tag("last"), tag("first"))(answering("x"))))).toEqual(["first", "last"]);
  });

  test("calls each middleware once, when it puts the application together", async () => {
    let count = 0;
    const counting: Middleware = (inner) => {
      count += 1;
      return inner;
    };
    const application = compose(counting, counting)(answering("x"));
    await get(application);
    await get(application);
    expect(count).toBe(2);
  });

  test("of nothing is the application itself, and compositions are middleware again", async () => {
    const application = answering("x");
    expect(compose()(application)).toBe(application);
    const both = compose(tag("a"), compose(tag("b"), tag("c")));
    expect(tagsOf(await get(both(application)))).toEqual(["c", "b", "a"]);
  });
});

describe("changeResponse", () => {
  test("changes status and headers", async () => {
    const teapot = changeResponse(({ status }) => (status === "200 OK" ? { status: "418 Short" } : undefined));
    expect(await get(teapot(answering("x")))).toMatchObject({ status: 418, reason: "Short" });
    const reply = await get(tag("yes")(answering("x")));
    expect(reply).toMatchObject({ status: 200, reason: "OK" });
    expect(reply.headers).toEqual([...plain, ["X-Tag", "yes"], ["Content-Length", "1"]]);
  });

  test("lets a response pass as it is", async () => {
    const nothing = changeResponse(() => undefined);
    expect(await get(nothing(answering("as it is")))).toEqual(await get(answering("as it is")));
  });

  test.each<[string, () => Body | Promise<Body>]>([
    ["a string", () => "some text"],
    ["bytes", () => Buffer.from("some text")],
    ["an array", () => ["some ", Buffer.from("text")]],
    ["a set", () => new Set(["some ", "text"])],
    ["a Node stream", () => Readable.from(["some ", "text"])],
    ["a web stream", () => new Blob(["some text"]).stream()],
    ["a promise", async () => ["some ", "text"]],
    [
      "a generator",
      function* generate() {
        yield "some ";
        yield "text";
      },
    ],
    [
      "an async generator",
      async function* generate() {
        yield "some ";
        yield "text";
      },
    ],
  ])("changes %s", async (_what, make) => {
    const application: Application = (_environ, startResponse) => {
      startResponse("200 OK", [...plain, ["Content-Length", "9"]]);
      return make();
    };
    const violations: Violation[] = [];
    const checked = compose((inner) => lint(inner, { report: (one) => violations.push(one) }), shouting)(application);
    const reply = await get(checked);
    expect([reply.body.toString(), reply.complete]).toEqual(["SOME TEXT", true]);
    expect(violations).toEqual([]);
  });

  test("changes what a generator yields that calls startResponse when it is read", async () => {
    const application: Application = function* generate(_environ, startResponse) {
      yield "";
      startResponse("200 OK", plain);
      yield "late";
    };
    expect((await get(shouting(application))).body.toString()).toBe("LATE");
  });

  test("changes what is written, and passes on what write gives", async () => {
    const settled: string[] = [];
    const application: Application = async (_environ, startResponse) => {
      const write = startResponse("200 OK", plain);
      await write("written ").then(() => settled.push("first"));
      await write(Buffer.from("twice, ")).then(() => settled.push("second"));
      return "and returned";
    };
    expect((await get(shouting(application))).body.toString()).toBe("WRITTEN TWICE, AND RETURNED");
    expect(settled).toEqual(["first", "second"]);
  });

  test("passes on that a write was refused", async () => {
    const refusals: unknown[] = [];
    const application: Application = async (_environ, startResponse) => {
      const write = startResponse("200 OK", plain);
      await write(5 as never).catch((error: unknown) => refusals.push((error as Error).message));
      return "x";
    };
    await get(shouting(application));
    expect(refusals).toEqual([expect.stringMatching(/chunk 0 of the body is a number/u)]);
  });

  test("is asked again when an error replaces the head, and forgets what it wanted before", async () => {
    const onlyOk = changeResponse(({ status }) => (status === "200 OK" ? { chunk: shout } : undefined));
    const application: Application = (_environ, startResponse) => {
      startResponse("200 OK", plain);
      startResponse("500 Sorry", plain, new Error("noticed in time"));
      return "quiet";
    };
    expect(await get(onlyOk(application))).toMatchObject({ status: 500, reason: "Sorry", body: Buffer.from("quiet") });
  });

  test("lets the error through that startResponse throws back", async () => {
    const application: Application = function* generate(_environ, startResponse) {
      startResponse("200 OK", plain);
      yield "first";
      startResponse("500 No", plain, new Error("too late"));
    };
    const played = play(tag("x")(application));
    await played.ended;
    expect(played.sink.state).toBe("broken");
    expect(played.failures).toMatchObject([{ error: { message: "too late" }, wasHeadSent: true }]);
  });

  test("gets the request's environ", async () => {
    const application = changeResponse((_head, environ) => ({ headers: [["X-Path", environ.PATH_INFO]] }));
    expect((await get(application(answering("x")))).headers[0]).toEqual(["X-Path", "/"]);
  });
});

describe("mapBody", () => {
  /** A body that counts how often it was asked, left and closed. */
  function counted(count: { asked: number; left: number; closed: number }): Iterable<string> & { close(): void } {
    return {
      *[Symbol.iterator]() {
        try {
          for (const chunk of ["a", "b", "c"]) {
            count.asked += 1;
            yield chunk;
          }
        } finally {
          count.left += 1;
        }
      },
      close: () => void (count.closed += 1),
    };
  }

  test("reads no sooner than it is asked", () => {
    const count = { asked: 0, left: 0, closed: 0 };
    const body = mapBody(counted(count), shout) as Iterable<Chunk>;
    expect(count.asked).toBe(0);
    const iterator = body[Symbol.iterator]();
    expect(iterator.next()).toEqual({ done: false, value: "A" });
    expect(count.asked).toBe(1);
  });

  test("passes an early end and close() on, once each", async () => {
    const count = { asked: 0, left: 0, closed: 0 };
    const application = shouting(answering(counted(count), [...plain, ["Content-Length", "1"]]));
    expect((await get(application)).body.toString()).toBe("ABC");
    expect(count).toEqual({ asked: 3, left: 1, closed: 1 });
    const cut = changeResponse(() => ({ chunk: shout }))(
      answering(counted(count), [...plain, ["Content-Length", "1"]]),
    );
    await get(cut);
    expect(count).toEqual({ asked: 5, left: 2, closed: 2 });
  });

  test("closes the inner body when a change fails, with the response broken", async () => {
    const count = { asked: 0, left: 0, closed: 0 };
    const failing = changeResponse(() => ({
      chunk: (chunk) => {
        if (chunk === "b") throw new Error("no b");
        return chunk;
      },
    }));
    const array = Object.assign(["a", "b"], { close: () => void (count.closed += 1) });
    for (const body of [counted(count), array]) {
      const reply = await get(failing(answering(body)));
      expect([reply.complete, reply.body.toString()]).toEqual([false, "a"]);
    }
    expect(count).toEqual({ asked: 2, left: 1, closed: 2 });
  });

  test("destroys a Node stream that is not read to its end", async () => {
    const stream = Readable.from(["a", "b", "c"]);
    const application = shouting(answering(stream, plain));
    await runDirect(application, { method: "HEAD", url: "/" });
    expect(stream.destroyed).toBe(true);
  });

  test("leaves what is no body to the gateway", async () => {
    for (const body of [undefined, null, 42, {}]) {
      expect((await get(shouting(answering(body)))).status).toBe(500);
    }
  });
});

test("headerOf and withoutHeader know no case", () => {
  const headers: HeaderList = [
    ["SET-Cookie", "a"],
    ["X", "b"],
    ["set-cookie", "c"],
  ];
  expect(headerOf(headers, "Set-cookie")).toBe("a");
  expect(headerOf(headers, "missing")).toBeUndefined();
  expect(withoutHeader(headers, "set-Cookie")).toEqual([["X", "b"]]);
});
