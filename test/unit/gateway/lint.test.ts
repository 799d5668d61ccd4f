// A breaking application, or server, for every rule: exactly that rule is reported, with its reason.
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { ContractError } from "../../../src/errors.ts";
import { lint } from "../../../src/gateway/lint.ts";
import { describeViolation, rules } from "../../../src/gateway/lint/rules.ts";
import type { RuleName, Violation } from "../../../src/gateway/lint/rules.ts";
import { runDirect } from "../../../src/server/direct.ts";
import type { DirectReply } from "../../../src/server/direct.ts";
import type { Application, Chunk, Environ, StartResponse } from "../../../src/spec.ts";
import { until } from "../../harness/until.ts";
import { environOf } from "./play.ts";

const text: [string, string] = ["Content-Type", "text/plain"];
const bytes = (value: string): Buffer => Buffer.from(value);

/** What the types forbid and JavaScript does not. */
const any = (value: unknown): never => value as never;

/** Answers with these arguments of startResponse. */
function head(status: unknown, headers: unknown, body: unknown = "body"): Application {
  return (_environ, startResponse) => {
    startResponse(any(status), any(headers));
    return any(body);
  };
}

const broken = (headers: readonly unknown[], status = "200 OK"): Application => head(status, [text, ...headers]);

/** Runs `act` after the response, and waits for it. */
function afterwards(act: (environ: Environ, startResponse: StartResponse) => unknown): Application {
  return (environ, startResponse) => {
    startResponse("200 OK", [text]);
    environ["tsgi.wait_until"](
      turn()
        .then(() => act(environ, startResponse))
        .then(undefined, () => {}),
    );
    return "answered";
  };
}

/** Calls startResponse with these arguments, however many. */
function calling(...args: readonly unknown[]): Application {
  return (_environ, startResponse) => {
    Reflect.apply(startResponse, undefined, args);
    return "x";
  };
}

/** A body that is read piece by piece. */
function* pieces(...chunks: unknown[]): Generator<Chunk> {
  for (const chunk of chunks) yield chunk as Chunk;
}

const applications: ReadonlyArray<readonly [rule: RuleName, what: string, application: Application]> = [
  ["start-arguments", "one argument", calling("200 OK")],
  ["start-arguments", "four arguments", calling("200 OK", [text], undefined, "more")],
  ["start-status", "no code", head("OK", [text])],
  ["start-status", "a number", head(200, [text])],
  ["start-status", "1xx", head("100 Continue", [text])],
  ["start-status", "a line break in the reason", head("200 OK\r\nX: y", [text])],
  ["start-headers", "an object", head("200 OK", { "X-A": "b" })],
  ["start-headers", "nothing", head("200 OK", null)],
  ["start-headers", "a string", head("200 OK", "X-A: b")],
  ["header-pair", "a string for a pair", broken(["X-A: b"])],
  ["header-pair", "a triple", broken([["X-A", "b", "c"]])],
  ["header-pair", "a name that is a number", broken([[5, "b"]])],
  ["header-name", "a space", broken([["X A", "b"]])],
  ["header-name", "nothing", broken([["", "b"]])],
  ["header-name", "beyond ASCII", broken([["X-\u00c4", "b"]])],
  ["header-value", "a line break", broken([["X-A", "b\r\nX-Evil: yes"]])],
  ["header-value", "beyond latin-1", broken([["X-A", "\u20ac"]])],
  ["header-value", "a number", broken([["X-A", 5]])],
  ["header-long", "9,000 bytes", broken([["X-Long", "x".repeat(9000)]])],
  ["header-hop-by-hop", "Connection", broken([["Connection", "close"]])],
  ["header-hop-by-hop", "Transfer-Encoding", broken([["transfer-encoding", "chunked"]])],
  ["header-status", "Status", broken([["Status", "500 No"]])],
  ["header-repeated", "two types", broken([["content-type", "text/html"]])],
  [
    "header-repeated",
    "two lengths",
    broken([
      ["Content-Length", "4"],
      ["content-length", "4"],
    ]),
  ],
  ["content-length", "a word", broken([["Content-Length", "four"]])],
  ["content-type", "none", head("200 OK", [])],
  ["bodyless-header", "a type with 204", head("204 No Content", [text], [])],
  ["bodyless-header", "a length with 204", head("204 No Content", [["Content-Length", "0"]], [])],
  ["bodyless-header", "a type with 304", head("304 Not Modified", [text], [])],
  ["bodyless-body", "204", head("204 No Content", [])],
  ["bodyless-body", "304, in an array", head("304 Not Modified", [], ["", "body"])],
  ["location-status", "200", broken([["Location", "/there"]])],
  [
    "start-once",
    "twice",
    (_environ, start) => {
      start("200 OK", [text]);
      start("200 OK", [text]);
      return "x";
    },
  ],
  ["start-missing", "before a body", () => "x"],
  ["start-missing", "before nothing", () => []],
  ["start-missing", "before the first piece", () => pieces("x")],
  ["start-missing", "of a generator that ends", () => pieces("")],
  ["start-late", "after the end", afterwards((_environ, start) => start("200 OK", [text], new Error("late")))],
  [
    "exc-info-trapped",
    "by a generator",
    function* generate(_environ, start) {
      start("200 OK", [text]);
      yield "first, ";
      try {
        start("500 No", [text], new Error("too late"));
      } catch {
        yield "and on";
      }
    },
  ],
  [
    "write-chunk",
    "a number",
    async (_environ, start) => {
      await start("200 OK", [text])(any(5)).catch(() => {});
      return "x";
    },
  ],
  [
    "write-late",
    "after the end",
    (environ, start) => {
      const write = start("200 OK", [text]);
      environ["tsgi.wait_until"](
        turn()
          .then(() => write("late"))
          .catch(() => {}),
      );
      return "answered";
    },
  ],
  [
    "write-in-body",
    "by a generator",
    function* generate(_environ, start) {
      const write = start("200 OK", [text]);
      yield "yielded ";
      void write("written");
    },
  ],
  [
    "write-unawaited",
    "2 MiB",
    (_environ, start) => {
      const write = start("200 OK", [text]);
      for (let index = 0; index < 32; index += 1) void write("x".repeat(65_536));
      return [];
    },
  ],
  [
    "chunk-changed",
    "written and used again",
    (_environ, start) => {
      const write = start("200 OK", [text]);
      const chunk = bytes("first");
      void write(chunk);
      chunk.fill("x");
      return [];
    },
  ],
  ["body-kind", "undefined", head("200 OK", [text], null)],
  ["body-kind", "a number", head("200 OK", [text], 42)],
  ["body-kind", "a promise of an object", async (_environ, start) => (start("200 OK", [text]), any({}))],
  ["body-chunk", "a number in an array", head("200 OK", [text], [42])],
  ["body-chunk", "null from a generator", (_environ, start) => (start("200 OK", [text]), pieces("x", null))],
  ["length-excess", "of a string", broken([["Content-Length", "2"]])],
  ["length-excess", "over several pieces", head("200 OK", [text, ["Content-Length", "2"]], ["a", "b", "c"])],
  ["length-short", "of a string", broken([["Content-Length", "20"]])],
  ["length-short", "of nothing", head("200 OK", [text, ["Content-Length", "20"]], [])],
  [
    "length-short",
    "of a generator",
    (_environ, start) => (start("200 OK", [text, ["Content-Length", "9"]]), pieces("x")),
  ],
  ["input-late", "after the end", afterwards((environ) => environ["wsgi.input"].read())],
  ["input-late", "as a stream", afterwards((environ) => environ["wsgi.input"].stream())],
  [
    "input-size",
    "half a byte",
    async (environ, start) => {
      await environ["wsgi.input"].read(0.5).catch(() => {});
      start("200 OK", [text]);
      return "x";
    },
  ],
  [
    "input-size",
    "a text",
    async (environ, start) => {
      await environ["wsgi.input"].text(any("1k")).catch(() => {});
      start("200 OK", [text]);
      return "x";
    },
  ],
  [
    "input-shared",
    "read beside a stream",
    async (environ, start) => {
      environ["wsgi.input"].stream();
      await environ["wsgi.input"].read();
      start("200 OK", [text]);
      return "x";
    },
  ],
  ["errors-text", "a number", (environ, start) => (start("200 OK", [text]), environ["wsgi.errors"].write(any(5)), "x")],
  [
    "errors-text",
    "numbers",
    (environ, start) => (start("200 OK", [text]), environ["wsgi.errors"].writelines([any(5)]), "x"),
  ],
  [
    "wait-until",
    "a function",
    (environ, start) => (start("200 OK", [text]), environ["tsgi.wait_until"](any(() => {})), "x"),
  ],
];

interface Checked {
  readonly reply: DirectReply;
  readonly violations: Violation[];
}

async function check(application: Application, method = "POST"): Promise<Checked> {
  const violations: Violation[] = [];
  const linted = lint(application, { report: (violation) => violations.push(violation) });
  const reply = await runDirect(linted, { method, url: "/here?q=1", body: bytes("abc"), mountPoint: "" });
  return { reply, violations };
}

describe("an application that breaks a rule", () => {
  test.each(applications)("%s: %s", async (rule, _what, application) => {
    const { violations } = await check(application);
    expect(violations.map((violation) => violation.rule)).toEqual([rule]);
    const [violation] = violations as [Violation];
    expect(violation).toMatchObject({ side: "application", request: "POST /here?q=1", reason: rules[rule].reason });
    expect(violation.problem).toMatch(/\w+ \w+/u);
  });

  test.each(applications)("gets the reply that it gets without lint: %s: %s", async (_rule, _what, application) => {
    const { reply } = await check(application);
    const plain = await runDirect(application, {
      method: "POST",
      url: "/here?q=1",
      body: bytes("abc"),
      mountPoint: "",
    });
    const shape = ({ body, ...rest }: DirectReply) => [rest, body.toString().replace(/<code>.*<\/code>/u, "")];
    expect(shape(reply)).toEqual(shape(plain));
  });

  test("chunk-changed: a piece that was yielded is used again", async () => {
    const chunk = bytes("first");
    const application: Application = (_environ, start) => (start("200 OK", [text]), pieces(chunk, "second"));
    const violations: Violation[] = [];
    const linted = lint(application, { report: (violation) => violations.push(violation) });
    const body = linted(
      environOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/" }),
      () => async () => {},
    ) as Iterable<Chunk>;
    const iterator = body[Symbol.iterator]();
    iterator.next();
    chunk.fill("x");
    iterator.next();
    expect(violations.map(({ rule, problem }) => [rule, problem])).toEqual([
      ["chunk-changed", "chunk 0 changed before the next was asked for"],
    ]);
  });

  test("is told of each fault, not only of the first", async () => {
    const { violations } = await check(
      head("20 OK", [
        ["X A", "b"],
        ["Connection", "close"],
        ["X-B", "\n"],
      ]),
    );
    expect(violations.map(({ rule }) => rule)).toEqual([
      "start-status",
      "header-name",
      "header-hop-by-hop",
      "header-value",
    ]);
  });

  test("is told the same thing once for a request", async () => {
    const { violations } = await check(
      head(
        "200 OK",
        [
          ["Content-Type", "text/plain"],
          ["Content-Length", "1"],
        ],
        ["a", "b", "c"],
      ),
    );
    expect(violations).toHaveLength(1);
  });
});

type Serve = (application: Application) => unknown;

/** A server that calls an application with this environ, and this startResponse. */
function serving(change: (environ: Environ) => void, start: unknown = () => async () => {}): Serve {
  return (application) => {
    const environ = environOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/" });
    change(environ);
    return application(environ, any(start));
  };
}

/** A server that reads the body in its own way. */
function reading(read: (body: AsyncIterable<Chunk> & { close(): unknown }) => unknown): Serve {
  return async (application) => {
    const environ = environOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/" });
    await read(any(application(environ, () => async () => {})));
  };
}

const iterate = (body: AsyncIterable<Chunk>): AsyncIterator<Chunk> => body[Symbol.asyncIterator]();

const servers: ReadonlyArray<readonly [rule: RuleName, what: string, serve: Serve]> = [
  [
    "environ-prototype",
    "an ordinary object",
    (application) => serving(() => {})(((environ, start) => application({ ...environ }, start)) as Application),
  ],
  ["environ-missing", "no SERVER_NAME", serving((environ) => Reflect.deleteProperty(environ, "SERVER_NAME"))],
  ["environ-missing", "no environ", (application) => application(any(null), () => async () => {})],
  ["environ-string", "a number", serving((environ) => void (environ["PORT"] = 5))],
  ["environ-string", "a character beyond latin-1", serving((environ) => void (environ["HTTP_X"] = "\u20ac"))],
  ["environ-path", "SCRIPT_NAME /", serving((environ) => void (environ.SCRIPT_NAME = "/"))],
  ["environ-path", "PATH_INFO without a slash", serving((environ) => void (environ.PATH_INFO = "x"))],
  ["environ-length", "not a number", serving((environ) => void (environ.CONTENT_LENGTH = "many"))],
  ["environ-header", "HTTP_CONTENT_TYPE", serving((environ) => void (environ["HTTP_CONTENT_TYPE"] = "text/plain"))],
  ["environ-header", "HTTP_PROXY", serving((environ) => void (environ["HTTP_PROXY"] = "evil"))],
  ["environ-wsgi", "another version", serving((environ) => void (environ["wsgi.version"] = [2, 0]))],
  ["environ-wsgi", "no input", serving((environ) => void (environ["wsgi.input"] = any({ read: () => "" })))],
  ["environ-tsgi", "no signal", serving((environ) => void (environ["tsgi.signal"] = any(undefined)))],
  ["environ-tsgi", "no log", serving((environ) => void (environ["tsgi.log"] = any(console.log)))],
  ["start-callable", "no function", serving(() => {}, "startResponse")],
  [
    "start-callable",
    "returns nothing",
    serving(
      () => {},
      () => undefined,
    ),
  ],
  [
    "body-reread",
    "a second time",
    reading(async (body) => {
      for await (const chunk of body) void chunk;
      iterate(body);
      await body.close();
    }),
  ],
  [
    "body-reread",
    "beyond the end",
    reading(async (body) => {
      const iterator = iterate(body);
      while ((await iterator.next()).done !== true);
      await iterator.next();
      await body.close();
    }),
  ],
  [
    "body-overlap",
    "two at once",
    reading(async (body) => {
      const iterator = iterate(body);
      await Promise.all([iterator.next(), iterator.next()]);
      await body.close();
    }),
  ],
  [
    "close-once",
    "twice",
    reading(async (body) => {
      for await (const chunk of body) void chunk;
      await body.close();
      await body.close();
    }),
  ],
];

/** A good application, whose body is asynchronous and has a close(). */
const good: Application = (_environ, startResponse) => {
  startResponse?.("200 OK", [text]);
  async function* generate(): AsyncGenerator<Chunk> {
    yield "one ";
    yield "two";
  }
  return Object.assign(generate(), { close() {} });
};

const sync: Application = (_environ, startResponse) => {
  if (typeof startResponse === "function") startResponse("200 OK", [text]);
  return "x";
};

describe("a server that breaks a rule", () => {
  test.each(servers)("%s: %s", async (rule, _what, serve) => {
    const violations: Violation[] = [];
    const isBody = rule.startsWith("body") || rule.startsWith("close");
    await serve(lint(isBody ? good : sync, { report: (violation) => violations.push(violation) }));
    expect(violations.map((violation) => violation.rule)).toEqual([rule]);
    expect(violations[0]).toMatchObject({ side: "server", reason: rules[rule].reason });
  });

  test("close-missing: a body that is forgotten", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const violations: Violation[] = [];
    const linted = lint(good, { report: (violation) => violations.push(violation) });
    const environ = environOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/" });
    await (async () => {
      for await (const chunk of linted(environ, () => async () => {}) as AsyncIterable<Chunk>) void chunk;
    })();
    await until("the body to be collected", async () => {
      await turn();
      collect();
      return violations.length > 0;
    });
    expect(violations).toMatchObject([{ rule: "close-missing", side: "server" }]);
  });
});

test("every rule has a case here, and a reason of its own", () => {
  const covered = [...applications.map(([rule]) => rule), ...servers.map(([rule]) => rule), "close-missing"];
  expect(Object.keys(rules).sort()).toEqual([...new Set(covered)].sort());
  for (const { reason } of Object.values(rules)) expect(reason).toMatch(/^\S+(?: \S+){5}/u);
});

test("advice is what HTTP allows or the gateway mends, and nothing else", () => {
  const advice = Object.entries(rules).filter(([, { isAdvice }]) => isAdvice);
  expect(advice.map(([rule]) => rule)).toEqual(["content-type", "bodyless-header", "location-status"]);
});

describe("an application that keeps the rules", () => {
  const kept: ReadonlyArray<readonly [what: string, application: Application]> = [
    ["a string", sync],
    ["bytes", head("200 OK", [text], bytes("x"))],
    ["a code alone", head("404", [text])],
    ["an array with empty pieces", head("200 OK", [text], ["", bytes("x"), ""])],
    ["an async body with close()", good],
    ["a promise of a generator", async (_environ, start) => (start("200 OK", [text]), pieces("a", "b"))],
    ["204", head("204 No Content", [], [])],
    [
      "304 with the length of the 200",
      head(
        "304 Not Modified",
        [
          ["Content-Length", "10"],
          ["ETag", '"1"'],
        ],
        [],
      ),
    ],
    ["an exact length", broken([["Content-Length", "4"]])],
    [
      "repeated headers that may repeat",
      broken([
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
        ["Vary", "a"],
        ["Vary", "b"],
      ]),
    ],
    ["a redirect", head("303 See Other", [["Location", "/there"]], [])],
    [
      "a head replaced by an error in time",
      (_environ, start) => {
        start("200 OK", [text]);
        start("500 No", [text], new Error("in time"));
        return "sorry";
      },
    ],
    [
      "writes that are waited for, one buffer for all",
      async (_environ, start) => {
        const write = start("200 OK", [text]);
        const chunk = Buffer.alloc(65_536);
        for (let index = 0; index < 40; index += 1) await write(chunk.fill(index));
        return [];
      },
    ],
    [
      "an input that is read in every way",
      async (environ, start) => {
        const input = environ["wsgi.input"];
        await input.read(1);
        await input.readline(-1);
        for await (const chunk of input) void chunk;
        await input.bytes(Infinity);
        start("200 OK", [text]);
        return "x";
      },
    ],
    [
      "an input that is the body",
      (environ, start) => {
        start("200 OK", [text]);
        return environ["wsgi.input"];
      },
    ],
    ["a failure", () => Promise.reject(new Error("a failure is no violation"))],
    ["work after the response", afterwards((environ) => environ["wsgi.errors"].write("done\n"))],
  ];

  test.each(kept)("%s: nothing is reported", async (_what, application) => {
    expect((await check(application)).violations).toEqual([]);
  });

  test("an answer to HEAD may have a body, a type and a length", async () => {
    expect((await check(broken([["Content-Length", "9000"]]), "HEAD")).violations).toEqual([]);
  });
});

describe("what lint leaves as it is", () => {
  const through = (body: unknown): unknown => {
    const environ = environOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/" });
    return lint(head("200 OK", [text], body))(environ, () => async () => {});
  };

  test("a body that is there at once is there at once", () => {
    const array = ["a", "b"];
    expect(through("text")).toBe("text");
    expect(through(array)).toBe(array);
  });

  test("a synchronous body stays synchronous, and an array with close() an array", () => {
    expect([...(through(new Set(["a", "b"])) as Iterable<string>)]).toEqual(["a", "b"]);
    expect(Array.isArray(through(Object.assign(["a"], { close() {} })))).toBe(true);
  });

  test("close() reaches the application once, also when the body is left early", async () => {
    let closed = 0;
    let left = 0;
    const body = {
      *[Symbol.iterator]() {
        try {
          yield "a";
          yield "b";
        } finally {
          left += 1;
        }
      },
      close: () => (closed += 1),
    };
    const outer = through(body) as Iterable<string> & { close(): unknown };
    for (const chunk of outer) {
      expect(chunk).toBe("a");
      break;
    }
    outer.close();
    expect([left, closed]).toEqual([1, 1]);
  });

  test("what startResponse throws, and how the application takes it", () => {
    const environ = environOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/" });
    const refusal = new Error("refused by the server");
    const start: StartResponse = () => {
      throw refusal;
    };
    expect(() => lint(sync)(environ, start)).toThrow(refusal);
  });

  test("a list of headers that can be read only once", async () => {
    const once = (function* generate(): Generator<readonly [string, string]> {
      yield text;
      yield ["X-A", "b"];
    })();
    const { reply } = await check(head("200 OK", once));
    expect(reply.headers).toContainEqual(["X-A", "b"]);
  });
});

describe("where violations go", () => {
  const wrong = head("200 OK", []);

  test("to the request's log, unless they are asked for", async () => {
    const lines: unknown[] = [];
    const environ = environOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/x" });
    environ["tsgi.log"] = { ...environ["tsgi.log"], warn: (...line: unknown[]) => lines.push(line) };
    void lint(wrong)(environ, () => async () => {});
    expect(lines).toEqual([
      [{ code: "TSGI2110", rule: "content-type" }, expect.stringMatching(/no Content-Type: .*\[rule content-type/u)],
    ]);
  });

  test("to wsgi.errors where there is no log", () => {
    const lines: string[] = [];
    const errors = { write: (line: string) => lines.push(line), writelines() {}, flush() {} };
    const environ = { REQUEST_METHOD: "GET", PATH_INFO: "/x", "wsgi.errors": errors };
    void lint(wrong)(any(environ), () => async () => {});
    expect(lines.length).toBeGreaterThan(5);
    expect(lines[0]).toMatch(/^lint: environ has a prototype: .*\n$/u);
  });

  test("with strict, into whoever broke the rule as well", async () => {
    const environ = environOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/" });
    expect(() => lint(wrong, { strict: true, report() {} })(environ, () => async () => {})).toThrow(ContractError);
    const reply = await runDirect(lint(wrong, { strict: true, report() {} }), { method: "GET", url: "/" });
    expect(reply.status).toBe(500);
    expect((await runDirect(lint(good, { strict: true }), { method: "GET", url: "/" })).body.toString()).toBe(
      "one two",
    );
  });

  test("as a sentence that names problem, reason, rule and who is to keep it", () => {
    const violation: Violation = {
      rule: "wait-until",
      ...rules["wait-until"],
      problem: "it was a number",
      request: "GET /",
    };
    expect(describeViolation(violation)).toBe(
      `it was a number: ${rules["wait-until"].reason} [rule wait-until, for the application to keep]`,
    );
  });

  test("what is no application is refused at once", () => {
    expect(() => lint(any({ fetch() {} }))).toThrow(/an object \(Object\)/u);
  });
});
