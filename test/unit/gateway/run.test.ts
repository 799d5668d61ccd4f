import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import {
  ClientGoneError,
  ContractError,
  InputTooLargeError,
  OverloadedError,
  RequestOverError,
} from "../../../src/errors.ts";
import type { Application, Body, Chunk, StartResponse, Write } from "../../../src/spec.ts";
import { until, within } from "../../harness/until.ts";
import type { Played, PlayOptions } from "./play.ts";
import { play, turn } from "./play.ts";
import { RecordingSink } from "./recording-sink.ts";
import type { Watch } from "./uncaught.ts";
import { watchUncaught } from "./uncaught.ts";

const gone = (): ClientGoneError => new ClientGoneError();

/** An application that answers 200 with this body. */
function answering(
  body: () => Body | Promise<Body>,
  start: readonly [string, Array<[string, string]>] = ["200 OK", []],
): Application {
  return (_, startResponse) => {
    startResponse(...start);
    return body();
  };
}

async function finished(application: Application, options?: PlayOptions): Promise<Played> {
  const played = play(application, options);
  await within("the exchange to end", played.ended);
  await turn();
  expect(played.endCount).toBe(1);
  expect(played.sink.offences).toEqual([]);
  return played;
}

function* generated(...chunks: Chunk[]): Generator<Chunk> {
  yield* chunks;
}

async function* generatedLater(...chunks: Chunk[]): AsyncGenerator<Chunk> {
  for (const chunk of chunks) {
    await turn();
    yield chunk;
  }
}

/** A body that counts how often it is closed and asked for more. */
class Watched implements AsyncIterable<Chunk> {
  closes = 0;
  nexts = 0;
  returns = 0;
  readonly #next: (count: number) => Chunk | undefined | Promise<Chunk | undefined>;

  constructor(next: (count: number) => Chunk | undefined | Promise<Chunk | undefined>) {
    this.#next = next;
  }

  [Symbol.asyncIterator](): AsyncIterator<Chunk> {
    return {
      next: async () => {
        this.nexts += 1;
        const value = await this.#next(this.nexts);
        return value === undefined ? { done: true, value } : { done: false, value };
      },
      return: async () => {
        this.returns += 1;
        return { done: true, value: undefined };
      },
    };
  }

  close(): void {
    this.closes += 1;
  }
}

/** A promise of another make. */
function thenable(then: (resolve: (body: Body) => void) => void): Promise<Body> {
  const object = {};
  // eslint-disable-next-line unicorn/no-thenable -- what the tests are about
  Object.defineProperty(object, "then", { value: then });
  return object as Promise<Body>;
}

describe("a body of every shape", () => {
  const rows: ReadonlyArray<readonly [string, () => Body | Promise<Body>, string, string | undefined]> = [
    ["a string", () => "日x", "日x", "4"],
    ["bytes", () => new Uint8Array([0x61, 0x62]), "ab", "2"],
    ["a Buffer", () => Buffer.from("ab"), "ab", "2"],
    ["an empty string", () => "", "", "0"],
    ["an empty array", () => [], "", "0"],
    ["an array", () => ["a", Buffer.from("b"), "", "c"], "abc", "3"],
    ["a large array", () => Array.from({ length: 200 }, () => "x".repeat(1000)), "x".repeat(200_000), "200000"],
    ["a Set", () => new Set(["a", "b"]), "ab", undefined],
    ["a generator", () => generated("a", "", "b"), "ab", undefined],
    ["an empty generator", () => generated(), "", undefined],
    ["an async generator", () => generatedLater("a", "", "b"), "ab", undefined],
    ["a Node stream", () => Readable.from([Buffer.from("a"), Buffer.from("b")]), "ab", undefined],
    ["a promise of a string", async () => "a", "a", "1"],
    ["a promise of an async generator", async () => generatedLater("a", "b"), "ab", undefined],
    ["a foreign thenable", () => thenable((resolve) => resolve("a")), "a", "1"],
    ["an array with close()", () => Object.assign(["a", "b"], { close() {} }), "ab", "2"],
    ["an object with close()", () => new Watched((count) => (count > 2 ? undefined : "x")), "xx", undefined],
  ];

  test.each(rows)("%s", async (_, body, sent, length) => {
    const { sink, failures } = await finished(answering(body));
    expect(failures).toEqual([]);
    expect(Buffer.concat(sink.chunks).toString()).toBe(sent);
    expect(sink.header("content-length")).toBe(length);
    expect([sink.state, sink.statusLine]).toEqual(["complete", "200 OK"]);
  });

  test.each([
    ["a string", () => "hello"],
    ["bytes", () => Buffer.from("hello")],
    ["an array", () => ["he", "llo"]],
  ])("%s leaves with head and end in one piece, before the application's caller goes on", (_, body) => {
    const { sink, endCount } = play(answering(body));
    expect([sink.sends, sink.state, endCount]).toEqual([1, "complete", 1]);
  });

  test("a chunk leaves as soon as it is there", async () => {
    const source = new PassThrough();
    const { sink, ended } = play(answering(() => source));
    for (const chunk of ["one", "two"]) {
      source.write(chunk);
      await until(`the chunk ${chunk}`, () => sink.body.endsWith(chunk));
    }
    source.end();
    await within("the end", ended);
    expect(sink.body).toBe("onetwo");
  });

  test("an application may be an async generator that starts its response inside", async () => {
    const application = async function* (_: unknown, startResponse: StartResponse): AsyncGenerator<Chunk> {
      await turn();
      startResponse("201 Created", [["X-A", "1"]]);
      yield "a";
      yield "b";
    } as unknown as Application;
    const { sink } = await finished(application);
    expect([sink.statusLine, sink.header("x-a"), sink.body, sink.state]).toEqual([
      "201 Created",
      "1",
      "ab",
      "complete",
    ]);
  });

  test("a sync generator may start its response inside, also for HEAD", async () => {
    const application = function* (_: unknown, startResponse: StartResponse): Generator<Chunk> {
      startResponse("200 OK", []);
      yield "a";
    } as unknown as Application;
    expect((await finished(application)).sink.body).toBe("a");
    const head = await finished(application, { method: "HEAD" });
    expect([head.sink.body, head.sink.statusLine, head.sink.state]).toEqual(["", "200 OK", "complete"]);
  });

  test("the halves of a surrogate pair in two chunks do not break the response", async () => {
    const { sink, failures } = await finished(answering(() => ["\ud83d", "\ude00"]));
    expect([failures, sink.state]).toEqual([[], "complete"]);
    expect(sink.header("content-length")).toBe(String(Buffer.concat(sink.chunks).length));
  });
});

describe("a body is closed exactly once", () => {
  const start: readonly [string, Array<[string, string]>] = ["200 OK", []];
  const long: readonly [string, Array<[string, string]>] = ["200 OK", [["Content-Length", "2"]]];
  const rows: ReadonlyArray<
    readonly [string, (count: number) => Chunk | undefined, readonly [string, Array<[string, string]>], PlayOptions]
  > = [
    ["after success", (count) => (count > 2 ? undefined : "x"), start, {}],
    ["when it was empty", () => undefined, start, {}],
    ["when it throws before its first chunk", () => expect.unreachable("thrown on purpose"), start, {}],
    ["when it throws later", (count) => (count > 2 ? expect.unreachable("thrown on purpose") : "x"), start, {}],
    ["when it gives something that is no chunk", () => 7 as unknown as Chunk, start, {}],
    ["for HEAD", () => "x", start, { method: "HEAD" }],
    ["for 204", () => "x", ["204 No Content", []], {}],
    ["for 304", () => "x", ["304 Not Modified", []], {}],
    ["when it exceeds its Content-Length", () => "x", long, {}],
    ["when it is shorter than its Content-Length", (count) => (count > 1 ? undefined : "x"), long, {}],
  ];

  test.each(rows)("%s", async (_, next, head, options) => {
    const body = new Watched(next);
    await finished(
      answering(() => body, head),
      options,
    );
    expect(body.closes).toBe(1);
    expect(body.returns).toBeLessThan(2);
  });

  test("when startResponse was never called", async () => {
    for (const chunk of ["x", undefined]) {
      const body = new Watched(() => chunk);
      const { sink } = await finished(() => body);
      expect([sink.statusLine, body.closes]).toEqual(["500 Internal Server Error", 1]);
    }
  });

  test("and is not read at all for HEAD", async () => {
    const body = new Watched(() => "x");
    await finished(
      answering(() => body),
      { method: "HEAD" },
    );
    expect(body.nexts).toBe(0);
  });

  test.each([
    ["completely read", "GET", 1],
    ["never read", "HEAD", 0],
  ])("a generator that is %s runs its finally no more than once", async (_, method, count) => {
    let ends = 0;
    await finished(
      answering(function* () {
        try {
          yield "a";
        } finally {
          ends += 1;
        }
      }),
      { method },
    );
    expect(ends).toBe(count);
  });

  test("a generator that exceeds its length is left at its yield", async () => {
    let ends = 0;
    const { warnings } = await finished(
      answering(
        function* () {
          try {
            for (;;) yield "abc";
          } finally {
            ends += 1;
          }
        },
        ["200 OK", [["Content-Length", "4"]]],
      ),
    );
    expect([ends, warnings.length]).toEqual([1, 1]);
  });

  test("a stream that is not read is destroyed", async () => {
    const stream = Readable.from(["a"]);
    await finished(
      answering(() => stream),
      { method: "HEAD" },
    );
    expect(stream.destroyed).toBe(true);
  });

  test("a failure of its own is a warning and changes nothing for the client", async () => {
    const close = (): never => {
      throw new Error("cannot close");
    };
    const { sink, failures, warnings } = await finished(answering(() => Object.assign(["a"], { close })));
    expect([sink.body, sink.state, failures]).toEqual(["a", "complete", []]);
    expect(warnings).toMatchObject([{ error: { message: "cannot close" } }]);
  });
});

describe("a client that goes away", () => {
  test("while the application is pending: the signal fires with the reason, the body that comes is closed, no failure", async () => {
    let deliver: (body: Body) => void = () => {};
    let signal: AbortSignal | undefined;
    const played = play((environ, startResponse) => {
      signal = environ["tsgi.signal"];
      startResponse("200 OK", []);
      return new Promise<Body>((resolve) => {
        deliver = resolve;
      });
    });
    const reason = gone();
    played.exchange.abort(reason);
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBe(reason);
    const body = new Watched(() => "x");
    deliver(body);
    await within("the end", played.ended);
    await turn();
    expect([body.closes, body.nexts, played.failures, played.endCount]).toEqual([1, 0, [], 1]);
    expect(played.sink.state).toBe("broken");
  });

  test("while a chunk is awaited", async () => {
    let deliver: (chunk: Chunk) => void = () => {};
    const body = new Watched((count) =>
      count === 1
        ? "first"
        : new Promise<Chunk>((resolve) => {
            deliver = resolve;
          }),
    );
    const played = play(answering(() => body));
    await until("the second chunk to be asked for", () => body.nexts === 2);
    played.exchange.abort(gone());
    expect(body.closes).toBe(1);
    deliver("late");
    await within("the end", played.ended);
    await turn();
    expect([body.closes, body.returns, body.nexts, played.failures]).toEqual([1, 1, 2, []]);
    expect([played.sink.body, played.sink.state, played.sink.offences]).toEqual(["first", "broken", []]);
  });

  test("while the body waits for room", async () => {
    const sink = new RecordingSink();
    sink.capacity = 1;
    const body = new Watched(() => "xx");
    const played = play(
      answering(() => body),
      { sink },
    );
    await until("somebody to wait", () => sink.waiterCount === 1);
    played.exchange.abort(gone());
    sink.leave();
    await within("the end", played.ended);
    expect([body.closes, body.nexts, played.failures, sink.state]).toEqual([1, 1, [], "broken"]);
  });

  test("is noticed by the sink alone: no failure either", async () => {
    const sink = new RecordingSink();
    sink.capacity = 1;
    const body = new Watched(() => "xx");
    const played = play(
      answering(() => body),
      { sink },
    );
    await until("somebody to wait", () => sink.waiterCount === 1);
    sink.leave();
    await within("the end", played.ended);
    expect([body.closes, played.failures, sink.state]).toEqual([1, [], "broken"]);
  });

  test("while the application reads its input: the read ends, what it throws is no failure", async () => {
    const played = play(
      async (environ) => {
        await environ["wsgi.input"].read();
        return expect.unreachable("the read must not succeed");
      },
      { contentLength: 5 },
    );
    played.exchange.abort(gone());
    await within("the end", played.ended);
    expect(played.failures).toEqual([]);
  });

  test("while the application waits: its rejection is no failure", async () => {
    const played = play(async (environ) => {
      await once(environ["tsgi.signal"], "abort");
      throw environ["tsgi.signal"].reason;
    });
    played.exchange.abort(gone());
    await within("the end", played.ended);
    expect([played.failures, played.warnings, played.sink.state]).toEqual([[], [], "broken"]);
  });

  test("before the application was loaded: it is not called", async () => {
    let calls = 0;
    const played = play(
      () => {
        calls += 1;
        return "x";
      },
      { before: (exchange) => exchange.abort(gone()) },
    );
    await within("the end", played.ended);
    expect([calls, played.failures, played.sink.sends, played.endCount]).toEqual([0, [], 0, 1]);
  });

  test("before anybody asked for the signal: it has fired", async () => {
    const played = play(() => new Promise(() => {}));
    const reason = gone();
    played.exchange.abort(reason);
    expect(played.environ["tsgi.signal"].aborted).toBe(true);
    expect(played.environ["tsgi.signal"].reason).toBe(reason);
  });

  test("twice, or after the end: nothing more happens", async () => {
    let events = 0;
    const played = play((environ, startResponse) => {
      environ["tsgi.signal"].addEventListener("abort", () => {
        events += 1;
      });
      startResponse("200 OK", []);
      return "x";
    });
    played.exchange.abort(gone());
    played.exchange.abort(gone());
    expect([events, played.sink.state, played.endCount]).toEqual([0, "complete", 1]);
    const pending = play((environ) => {
      environ["tsgi.signal"].addEventListener("abort", () => {
        events += 1;
      });
      return new Promise(() => {});
    });
    pending.exchange.abort(gone());
    pending.exchange.abort(gone());
    expect(events).toBe(1);
  });

  test("a half line in wsgi.errors still reaches the log", async () => {
    const played = play(async (environ) => {
      environ["wsgi.errors"].write("half a line");
      await once(environ["tsgi.signal"], "abort");
      return "x";
    });
    played.exchange.abort(gone());
    await within("the end", played.ended);
    expect(played.errorLines).toEqual(["half a line"]);
  });
});

describe("backpressure", () => {
  test("a body is not pulled while the peer takes nothing", async () => {
    const sink = new RecordingSink();
    sink.capacity = 3;
    const body = new Watched((count) => (count > 5 ? undefined : "xx"));
    const { ended } = play(
      answering(() => body),
      { sink },
    );
    await until("somebody to wait", () => sink.waiterCount === 1);
    await turn();
    expect(body.nexts).toBe(2);
    sink.drain();
    await until("somebody to wait again", () => sink.waiterCount === 1);
    expect(body.nexts).toBe(4);
    sink.drain();
    await within("the end", ended);
    expect(sink.body).toBe("xx".repeat(5));
  });

  test("nor is an endless sync generator", async () => {
    const sink = new RecordingSink();
    sink.capacity = 1000;
    let pulls = 0;
    const played = play(
      answering(function* () {
        for (;;) {
          pulls += 1;
          yield "x".repeat(100);
        }
      }),
      { sink },
    );
    await until("somebody to wait", () => sink.waiterCount === 1);
    expect(pulls).toBe(10);
    played.exchange.abort(gone());
    sink.leave();
    await within("the end", played.ended);
  });
});

describe("write", () => {
  let watch: Watch | undefined;

  afterEach(() => {
    watch?.stop();
    watch = undefined;
  });

  test("sends at once, before the body, with the head", async () => {
    const { sink } = await finished(async (_, startResponse) => {
      const write = startResponse("200 OK", [["X-A", "1"]]);
      await write("a");
      await write(Buffer.from("b"));
      return ["c"];
    });
    expect([sink.sends, sink.body, sink.header("x-a"), sink.state]).toEqual([3, "abc", "1", "complete"]);
    expect(sink.header("content-length")).toBeUndefined();
  });

  test("an empty chunk sends nothing, not even the head", async () => {
    const { sink } = await finished(async (_, startResponse) => {
      await startResponse("200 OK", [])("");
      return ["c"];
    });
    expect([sink.sends, sink.header("content-length")]).toEqual([1, "1"]);
  });

  test("settles when the peer can take more", async () => {
    const sink = new RecordingSink();
    sink.capacity = 3;
    let written = 0;
    const { ended } = play(
      async (_, startResponse) => {
        const write = startResponse("200 OK", []);
        for (let count = 0; count < 4; count += 1) {
          await write("xx");
          written += 1;
        }
        return [];
      },
      { sink },
    );
    await until("somebody to wait", () => sink.waiterCount === 1);
    await turn();
    expect(written).toBe(1);
    sink.drain();
    await until("somebody to wait again", () => sink.waiterCount === 1);
    expect(written).toBe(3);
    sink.drain();
    await within("the end", ended);
    expect(sink.body).toBe("xx".repeat(4));
  });

  test("counts against Content-Length", async () => {
    const head: readonly [string, Array<[string, string]>] = ["200 OK", [["Content-Length", "3"]]];
    const exact = await finished(async (_, startResponse) => {
      await startResponse(...head)("ab");
      return "c";
    });
    expect([exact.sink.body, exact.sink.state, exact.warnings]).toEqual(["abc", "complete", []]);
    const short = await finished(async (_, startResponse) => {
      await startResponse(...head)("ab");
      return [];
    });
    expect([short.sink.state, short.failures.length]).toEqual(["broken", 1]);
    const excess = await finished(async (_, startResponse) => {
      await startResponse(...head)("abcd");
      return "e";
    });
    expect([excess.sink.body, excess.sink.state, excess.warnings.length]).toEqual(["abc", "complete", 1]);
  });

  test("sends nothing for HEAD", async () => {
    const { sink } = await finished(
      async (_, startResponse) => {
        await startResponse("200 OK", [])("a");
        return "b";
      },
      { method: "HEAD" },
    );
    expect([sink.body, sink.state]).toEqual(["", "complete"]);
  });

  test.each<unknown>([7, null, undefined, ["a"], {}])("refuses %j", async (chunk) => {
    const { failures, sink } = await finished(async (_, startResponse) => {
      await startResponse("200 OK", [])(chunk as Chunk);
      return "x";
    });
    expect(failures).toMatchObject([{ error: { code: "TSGI2001" }, wasHeadSent: false }]);
    expect(sink.statusLine).toBe("500 Internal Server Error");
  });

  test("rejects after the end and after the client has gone, and sends nothing", async () => {
    let write: Write = async () => {};
    const over = await finished((_, startResponse) => {
      write = startResponse("200 OK", []);
      return "x";
    });
    await expect(write("late")).rejects.toThrow(RequestOverError);
    expect([over.sink.sends, over.sink.offences]).toEqual([1, []]);
    const left = play((_, startResponse) => {
      write = startResponse("200 OK", []);
      return new Promise(() => {});
    });
    const reason = gone();
    left.exchange.abort(reason);
    await expect(write("late")).rejects.toBe(reason);
    expect(left.sink.sends).toBe(0);
  });

  test("that nobody waits for does not bring the process down", async () => {
    watch = watchUncaught();
    const sink = new RecordingSink();
    sink.capacity = 1;
    let write: Write = async () => {};
    const played = play(
      (_, startResponse) => {
        write = startResponse("200 OK", []);
        void write("xx");
        void write(7 as unknown as Chunk);
        return new Promise(() => {});
      },
      { sink },
    );
    expect(sink.waiterCount).toBe(1);
    sink.leave();
    played.exchange.abort(gone());
    void write("late");
    await turn();
    await turn();
    expect(watch.errors).toEqual([]);
  });
});

describe("an application that fails", () => {
  const thrown: ReadonlyArray<readonly [string, unknown]> = [
    ["an Error", new Error("secret detail")],
    ["a string", "secret detail"],
    ["undefined", undefined],
    ["null", null],
    ["0", 0],
    ["an object without a prototype", Object.create(null)],
  ];

  test.each(thrown)(
    "by throwing %s before the head answers 500 without details, and reports it once",
    async (_, error) => {
      const applications: Application[] = [
        () => {
          throw error;
        },
        () => Promise.reject(error),
        (__, startResponse) => {
          startResponse("200 OK", [["X-Half", "1"]]);
          throw error;
        },
        answering(function* () {
          yield "";
          throw error;
        }),
        answering(async function* () {
          await turn();
          yield "";
          throw error;
        }),
      ];
      for (const application of applications) {
        const { sink, failures, environ } = await finished(application);
        expect(failures).toEqual([{ error, wasHeadSent: false }]);
        expect([sink.statusLine, sink.state]).toEqual(["500 Internal Server Error", "complete"]);
        expect(sink.header("content-length")).toBe(String(sink.body.length));
        expect(sink.header("x-half")).toBeUndefined();
        expect(sink.body).toContain(environ["tsgi.request_id"]);
        expect(sink.body).not.toContain("secret");
      }
    },
  );

  test.each(thrown)("by throwing %s after the head breaks the response", async (_, error) => {
    const applications: Application[] = [
      answering(function* () {
        yield "a";
        throw error;
      }),
      answering(async function* () {
        yield "a";
        throw error;
      }),
      async (__, startResponse) => {
        await startResponse("200 OK", [])("a");
        throw error;
      },
    ];
    for (const application of applications) {
      const { sink, failures } = await finished(application);
      expect(failures).toEqual([{ error, wasHeadSent: true }]);
      expect([sink.statusLine, sink.body, sink.state]).toEqual(["200 OK", "a", "broken"]);
    }
  });

  test.each([
    [new InputTooLargeError(1), "413 Content Too Large"],
    [new OverloadedError("x"), "503 Service Unavailable"],
  ])("with %o gets that error's status", async (error, status) => {
    const { sink } = await finished(() => Promise.reject(error));
    expect(sink.statusLine).toBe(status);
  });

  test.each([undefined, null, 42, true, {}, Symbol("x"), () => "x"])("by returning %o is told so", async (value) => {
    for (const body of [value, Promise.resolve(value)]) {
      const { sink, failures } = await finished(answering(() => body as Body));
      expect(failures[0]?.error).toBeInstanceOf(ContractError);
      expect([sink.statusLine, sink.state]).toEqual(["500 Internal Server Error", "complete"]);
    }
  });

  test.each<[string, () => Body]>([
    ["a string", () => "x"],
    ["an empty string", () => ""],
    ["an array", () => ["x"]],
    ["a generator", () => generated("x")],
    ["an empty generator", () => generated()],
    ["an async generator", () => generatedLater("x")],
  ])("by never calling startResponse and returning %s is told so", async (_, body) => {
    const { sink, failures } = await finished(body);
    expect(String(failures[0]?.error)).toMatch(/startResponse/);
    expect([failures.length, sink.statusLine]).toEqual([1, "500 Internal Server Error"]);
  });

  test("by a chunk that is none says which", async () => {
    const { failures, sink } = await finished(answering(() => generated("a", 7 as unknown as Chunk)));
    expect(String(failures[0]?.error)).toMatch(/chunk 1/);
    expect([sink.body, sink.state]).toEqual(["a", "broken"]);
    const mixed: unknown[] = ["a", 7];
    const array = await finished(answering(() => mixed as Chunk[]));
    expect(array.sink.statusLine).toBe("500 Internal Server Error");
  });

  test("by a thenable that throws is a failure like another", async () => {
    const bad = thenable(() => {
      throw new Error("bad then");
    });
    const { failures, sink } = await finished(answering(() => bad));
    expect([failures.length, sink.statusLine]).toEqual([1, "500 Internal Server Error"]);
  });

  test("by an iterator that cannot be made, or gives no result objects, is a failure like another", async () => {
    for (const iterator of [
      () => {
        throw new Error("no iterator");
      },
      () => undefined,
      () => ({ next: () => undefined }),
      () => ({}),
    ]) {
      const { failures, sink } = await finished(answering(() => ({ [Symbol.iterator]: iterator }) as unknown as Body));
      expect([failures.length, sink.statusLine]).toEqual([1, "500 Internal Server Error"]);
    }
  });

  test("for HEAD answers the head of its page", async () => {
    const { sink } = await finished(
      () => {
        throw new Error("x");
      },
      { method: "HEAD" },
    );
    expect([sink.statusLine, sink.body, sink.state]).toEqual(["500 Internal Server Error", "", "complete"]);
    expect(Number(sink.header("content-length"))).toBeGreaterThan(0);
  });

  test("as an authorizer answers without a Content-Length, which would leak", async () => {
    for (const application of [
      () => {
        throw new Error("x");
      },
      answering(() => "x"),
    ] as Application[]) {
      const { sink } = await finished(application, { isAuthorizer: true });
      expect([sink.state, sink.header("content-length")]).toEqual(["complete", undefined]);
    }
  });

  test("with its own page for the error, by excInfo, is no failure", async () => {
    const { sink, failures } = await finished((_, startResponse) => {
      startResponse("200 OK", [["X-Old", "1"]]);
      try {
        throw new Error("x");
      } catch (error) {
        startResponse("500 Mine", [["X-New", "1"]], error);
        return "my page";
      }
    });
    expect([sink.statusLine, sink.body, sink.header("x-old"), failures]).toEqual([
      "500 Mine",
      "my page",
      undefined,
      [],
    ]);
  });

  test("with excInfo after the head gets its error back, and the response is broken", async () => {
    const error = new Error("x");
    const { sink, failures } = await finished(async (_, startResponse) => {
      await startResponse("200 OK", [])("a");
      startResponse("500 Mine", [], error);
      return "my page";
    });
    expect(failures).toEqual([{ error, wasHeadSent: true }]);
    expect([sink.body, sink.state]).toEqual(["a", "broken"]);
  });

  test("after its response had ended is a warning", async () => {
    const { warnings, failures, exchange } = await finished(answering(() => "x"));
    exchange.failUncaught(new Error("late"));
    expect([failures.length, warnings.length]).toEqual([0, 1]);
  });

  test("outside of its call, in a process of its own, fails its request", async () => {
    const played = play(() => new Promise(() => {}));
    played.exchange.failUncaught(new Error("from a timer"));
    await within("the end", played.ended);
    expect([played.sink.statusLine, played.failures.length]).toEqual(["500 Internal Server Error", 1]);
    played.exchange.failUncaught(new Error("again"));
    expect([played.failures.length, played.endCount]).toEqual([1, 1]);
  });
});

describe("an error that nobody caught, in a process that goes on", () => {
  test("answers a request that has no answer yet: its signal fires, its input fails, the client gets a 500", async () => {
    let signal: AbortSignal | undefined;
    const played = play((environ) => {
      signal = environ["tsgi.signal"];
      return new Promise(() => {});
    });
    const error = new Error("from a timer");
    expect(played.exchange.progress).toBe(0);
    played.exchange.expire(error);
    await within("the end", played.ended);
    expect([played.sink.statusLine, played.failures, signal?.reason]).toEqual([
      "500 Internal Server Error",
      [{ error, wasHeadSent: false }],
      error,
    ]);
    expect(played.exchange.progress).toBeUndefined();
  });

  test("is told how far a response is that has begun", async () => {
    let finish: ((body: string) => void) | undefined;
    const played = play(async (_, startResponse) => {
      await startResponse("200 OK", [])("a");
      return await new Promise<string>((resolve) => (finish = resolve));
    });
    await turn();
    expect(played.exchange.progress).toBe(2);
    finish?.("b");
    await within("the end", played.ended);
    expect([played.sink.body, played.failures, played.exchange.progress]).toEqual(["ab", [], undefined]);
  });
});

describe("a body shorter than its Content-Length", () => {
  test.each<[string, () => Body]>([
    ["a string", () => "ab"],
    ["an empty string", () => ""],
    ["an array", () => ["a", "b"]],
    ["a generator", () => generated("a", "b")],
    ["an async generator", () => generatedLater("a", "b")],
  ])("%s: the client never gets a complete 200, and the failure is reported", async (_, body) => {
    const { sink, failures } = await finished(answering(body, ["200 OK", [["Content-Length", "3"]]]));
    expect(failures).toHaveLength(1);
    expect([sink.statusLine, sink.state]).not.toEqual(["200 OK", "complete"]);
  });
});

test("an application without a body answers 204 and HEAD completely", async () => {
  const { sink } = await finished(answering(() => [], ["204 No Content", []]));
  expect([sink.statusLine, sink.body, sink.state, sink.header("content-length")]).toEqual([
    "204 No Content",
    "",
    "complete",
    undefined,
  ]);
});

describe("what was written to wsgi.errors", () => {
  test.each<[string, Application]>([
    ["a body at once", answering(() => "x")],
    ["a generator", answering(() => generatedLater("x"))],
    [
      "a failure",
      () => {
        throw new Error("x");
      },
    ],
    [
      "a failure after the head",
      answering(function* () {
        yield "a";
        throw new Error("x");
      }),
    ],
    ["a shortfall", answering(() => "x", ["200 OK", [["Content-Length", "9"]]])],
  ])("is complete when the request ends with %s", async (_, application) => {
    const { errorLines } = await finished((environ, startResponse) => {
      environ["wsgi.errors"].write("no line end");
      return application(environ, startResponse);
    });
    expect(errorLines).toEqual(["no line end"]);
  });
});

test("input and write are over with the response", async () => {
  const { environ } = await finished(
    answering(() => "x"),
    { contentLength: 5 },
  );
  await expect(environ["wsgi.input"].read()).rejects.toThrow(RequestOverError);
});

test("a request that is refused gets its page without the application", async () => {
  const { exchange, sink, ended } = play(() => new Promise(() => {}));
  exchange.refuse(new OverloadedError("too many"), "request-7");
  await within("the end", ended);
  expect([sink.statusLine, sink.header("retry-after") !== undefined]).toEqual(["503 Service Unavailable", true]);
  expect(sink.body).toContain("request-7");
});

test("tells status and bytes of what was sent", async () => {
  const { exchange } = await finished(answering(() => "日", ["201", []]));
  expect([exchange.statusCode, exchange.sentBytes]).toEqual([201, 3]);
});
