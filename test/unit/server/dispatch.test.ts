import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ClientGoneError,
  LoadError,
  OverloadedError,
  RequestTimeoutError,
  StoppingError,
} from "../../../src/errors.ts";
import { errorPage, pageFromTemplate } from "../../../src/gateway/error-page.ts";
import { RequestScope } from "../../../src/log/scope.ts";
import type { EndedRequest } from "../../../src/server/access-log.ts";
import { Background } from "../../../src/server/background.ts";
import type { Dispatched, Incoming, Service } from "../../../src/server/dispatch.ts";
import { dispatch } from "../../../src/server/dispatch.ts";
import type { ErrorPages } from "../../../src/server/error-pages.ts";
import type { Route } from "../../../src/server/route.ts";
import type { Application, Environ } from "../../../src/spec.ts";
import { until } from "../../harness/until.ts";
import { turn, variablesOf } from "../gateway/play.ts";
import { RecordingSink } from "../gateway/recording-sink.ts";
import type { Watch } from "../gateway/uncaught.ts";
import { watchUncaught } from "../gateway/uncaught.ts";
import type { CollectedLog } from "./collected-log.ts";
import { collectLog } from "./collected-log.ts";

let watch: Watch;

beforeEach(() => {
  watch = watchUncaught();
});

afterEach(() => {
  watch.stop();
  expect(watch.errors).toEqual([]);
});

interface Started extends Dispatched {
  readonly sink: RecordingSink;
  readonly log: CollectedLog;
  readonly errorLines: string[];
  ends: number;
}

interface Options {
  readonly variables?: Readonly<Record<string, string>>;
  readonly service?: Partial<Service>;
  readonly incoming?: Partial<Incoming>;
}

const mount = { mountPoint: "" };

function start(route: Application | (() => Route), options: Options & { readonly isRoute?: true } = {}): Started {
  const log = collectLog();
  const sink = new RecordingSink();
  const errorLines: string[] = [];
  const find =
    options.isRoute === true
      ? (route as () => Route)
      : (): Route => ({ application: route as Application, script: "/srv/app.ts", mount });
  const state = { ends: 0 };
  const dispatched = dispatch(
    {
      router: { route: find },
      log,
      background: new Background(log),
      transport: "fastcgi",
      isMultiprocess: false,
      isRunOnce: false,
      isLogApaches: false,
      ...options.service,
    },
    {
      variables: variablesOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/a", ...options.variables }),
      sink,
      flow: { pause() {}, resume() {} },
      emitError: (line) => errorLines.push(line) > 0,
      isAuthorizer: false,
      onEnd: () => {
        state.ends += 1;
      },
      ...options.incoming,
    },
  );
  return Object.assign(state, { ...dispatched, sink, log, errorLines });
}

const hello: Application = (_, startResponse) => {
  startResponse("200 OK", []);
  return "hello";
};

test("a loaded application is called at once, and its answer is there", () => {
  const { sink, log, errorLines, ends } = start(hello);
  expect([sink.body, sink.state, ends]).toEqual(["hello", "complete", 1]);
  expect([log.lines, errorLines]).toEqual([[], []]);
});

test("one that is still being loaded is called when it is there", async () => {
  let load: (application: Application) => void = () => {};
  const application = new Promise<Application>((resolve) => {
    load = resolve;
  });
  const { sink } = start(() => ({ application, script: "", mount }), { isRoute: true });
  expect(sink.sends).toBe(0);
  load(hello);
  await until("the answer", () => sink.state === "complete");
  expect(sink.body).toBe("hello");
});

test("a client that leaves while it is being loaded gets no call", async () => {
  let load: (application: Application) => void = () => {};
  const application = new Promise<Application>((resolve) => {
    load = resolve;
  });
  const started = start(() => ({ application, script: "", mount }), { isRoute: true });
  started.exchange.abort(new ClientGoneError());
  load(() => expect.unreachable());
  await until("the end", () => started.ends === 1);
  expect([started.sink.sends, started.log.lines, started.errorLines]).toEqual([0, [], []]);
});

describe("an application that cannot be found or loaded", () => {
  test.each([
    [new LoadError("not-found", "no such file /srv/secret.ts"), "404 Not Found"],
    [new LoadError("refused", "/srv/secret.ts is writable for everybody"), "403 Forbidden"],
    [new LoadError("compile", "/srv/secret.ts:1:2: oops"), "500 Internal Server Error"],
    [new Error("what is this"), "500 Internal Server Error"],
  ])("%o answers its status without the reason, which is logged", async (error, status) => {
    const routes: Array<() => Route> = [
      () => {
        throw error;
      },
      () => ({ application: Promise.reject(error), script: "/srv/secret.ts", mount }),
    ];
    for (const route of routes) {
      const started = start(route, { isRoute: true });
      await until("the end", () => started.ends === 1);
      expect([started.sink.statusLine, started.sink.state]).toEqual([status, "complete"]);
      expect(started.sink.body).not.toContain("secret");
      // What is the client's or the operator's doing needs no stack of ours.
      const isRefusal = error instanceof LoadError && error.status < 500;
      expect(started.log.lines).toMatchObject([
        isRefusal
          ? { level: "warn", fields: { code: error.code, reason: error.message, path: "/a" } }
          : { level: "error", fields: { err: error, path: "/a" } },
      ]);
      expect(started.errorLines).toEqual([expect.stringContaining(error.message)]);
    }
  });
});

describe("a failure", () => {
  const fail: Application = () => {
    throw new TypeError("oops");
  };

  test("is told to both logs under the request's id, which the client sees too", () => {
    const { sink, log, errorLines } = start(fail, { variables: { UNIQUE_ID: "id-7" } });
    expect(sink.body).toContain("id-7");
    expect(errorLines).toEqual(["tsgi: TypeError: oops [TSGI2107] [request id-7]"]);
    expect(log.lines).toMatchObject([
      { level: "error", fields: { request_id: "id-7", method: "GET", path: "/a", script: "/srv/app.ts" } },
    ]);
  });

  test("is told once where the process log is Apache's already", () => {
    const { log, errorLines } = start(fail, { service: { isLogApaches: true } });
    expect([log.lines.length, errorLines]).toEqual([1, []]);
  });

  test("is a line of its own behind an unfinished one of the application", () => {
    const { errorLines } = start((environ) => {
      environ["wsgi.errors"].write("half a line");
      throw new Error("oops");
    });
    expect(errorLines).toEqual(["half a line", expect.stringMatching(/^tsgi: Error: oops/)]);
  });

  test("with a message of many lines stays whole", () => {
    const { errorLines } = start(() => {
      throw new Error("one\ntwo");
    });
    expect(errorLines.join("\n")).toMatch(/one\ntwo \[TSGI2107\] \[request /);
  });

  test.each([undefined, null, Symbol("x"), Object.create(null), { toString: () => expect.unreachable() }])(
    "that is no Error, %o, is told like another",
    (thrown) => {
      const { sink, log, ends } = start(() => {
        throw thrown;
      });
      expect([sink.statusLine, log.lines.length, ends]).toEqual(["500 Internal Server Error", 1, 1]);
    },
  );

  test("of the client is no error in the log", async () => {
    const started = start(
      async (environ, startResponse) => {
        await environ["wsgi.input"].read();
        return hello(environ, startResponse);
      },
      { variables: { CONTENT_LENGTH: "10" } },
    );
    started.input.end();
    await until("the end", () => started.ends === 1);
    expect(started.sink.statusLine).toBe("400 Bad Request");
    expect(started.log.lines.map(({ level }) => level)).toEqual(["info"]);
  });
});

describe("a request that is given up", () => {
  const stuck: Application = () => new Promise(() => {});

  test("for its time is one warning that tells which request it was and how long it took", () => {
    const started = start(stuck, { variables: { UNIQUE_ID: "id-7" } });
    started.exchange.expire(new RequestTimeoutError(1000, 1000.4));
    expect(started.sink.statusLine).toBe("504 Gateway Timeout");
    expect(started.log.lines).toEqual([
      {
        level: "warn",
        message: expect.stringContaining("given up"),
        fields: {
          request_id: "id-7",
          method: "GET",
          path: "/a",
          script: "/srv/app.ts",
          code: "TSGI2003",
          reason: expect.stringContaining("1000 ms"),
          elapsedMs: 1000,
        },
      },
    ]);
    expect(started.errorLines).toEqual([expect.stringMatching(/^tsgi: RequestTimeoutError: .* \[request id-7\]$/)]);
  });

  test("because the process stops is one warning too", () => {
    const started = start(stuck);
    started.exchange.expire(new StoppingError());
    expect(started.sink.statusLine).toBe("503 Service Unavailable");
    expect(started.log.lines).toMatchObject([{ level: "warn", fields: { code: "TSGI3104", path: "/a" } }]);
  });
});

test("a request that found no room is answered without a line for each", () => {
  const route = (): Route => {
    throw new OverloadedError("no room");
  };
  const { sink, log, errorLines } = start(route, { isRoute: true });
  expect([sink.statusLine, log.lines, errorLines]).toEqual(["503 Service Unavailable", [], []]);
  expect(sink.header("retry-after")).toMatch(/^\d+$/);
});

test("a malformed CONTENT_LENGTH is answered 400 before any application is looked for", () => {
  const route = (): Route => expect.unreachable();
  const { sink } = start(route, { isRoute: true, variables: { CONTENT_LENGTH: "-1" } });
  expect(sink.statusLine).toBe("400 Bad Request");
});

test("HEAD, also of an error page, has no body", () => {
  const { sink } = start(hello, { variables: { REQUEST_METHOD: "HEAD" } });
  expect([sink.body, sink.header("content-length")]).toEqual(["", "5"]);
});

test("each request has an id of its own, and a log that says it", () => {
  const environs: Environ[] = [];
  const remember: Application = (environ, startResponse) => {
    environs.push(environ);
    environ["tsgi.log"].info({ n: 1 }, "from the application");
    return hello(environ, startResponse);
  };
  const started = [start(remember), start(remember), start(remember)];
  const ids = environs.map((environ) => environ["tsgi.request_id"]);
  expect(new Set(ids).size).toBe(3);
  expect(started.map(({ log }) => log.lines[0]?.fields["request_id"])).toEqual(ids);
});

test("tsgi.wait_until work is waited for by whoever ends the process", async () => {
  const log = collectLog();
  const background = new Background(log);
  let finish: () => void = () => {};
  start(
    (environ, startResponse) => {
      environ["tsgi.wait_until"](
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
      );
      return hello(environ, startResponse);
    },
    { service: { background } },
  );
  let isIdle = false;
  const idle = background.idle(10_000).then((value) => {
    isIdle = value;
  });
  await turn();
  expect(isIdle).toBe(false);
  finish();
  await idle;
  expect(isIdle).toBe(true);
});

describe("wsgi.errors", () => {
  const writing: Application = (environ, startResponse) => {
    environ["wsgi.errors"].write("one\ntwo: Cookie: s3cr3t\n");
    startResponse("200 OK", []);
    return "x";
  };

  test("goes line by line to Apache's error log and to ours, where it has the request's id and script", () => {
    const { log, errorLines } = start(writing, { variables: { UNIQUE_ID: "id-7" } });
    expect(errorLines).toEqual(["one", "two: Cookie: s3cr3t"]);
    const fields = { request_id: "id-7", script: "/srv/app.ts", source: "wsgi.errors" };
    expect(log.lines).toEqual([
      { level: "warn", message: "one", fields },
      { level: "warn", message: "two: Cookie: [redacted]", fields },
    ]);
  });

  test("goes once where our log is Apache's", () => {
    const { log, errorLines } = start(writing, { service: { isLogApaches: true } });
    expect([log.lines.length, errorLines.length]).toEqual([0, 2]);
  });

  test("goes to ours where there is no Apache", () => {
    const { log } = start(writing, { service: { isLogApaches: true }, incoming: { emitError: () => false } });
    expect(log.lines.map(({ message }) => message)).toEqual(["one", "two: Cookie: [redacted]"]);
  });
});

describe("the access log", () => {
  const entriesOf = (application: Application, more: Options = {}) => {
    const entries: EndedRequest[] = [];
    const service = { ...more.service, accessLog: (request: EndedRequest) => void entries.push(request) };
    return { entries, ...start(application, { ...more, service }) };
  };

  test("has one line for a request: what was asked, and what became of it", () => {
    const { entries } = entriesOf(hello, { variables: { UNIQUE_ID: "id-7", REMOTE_ADDR: "192.0.2.1" } });
    expect(entries).toEqual([
      {
        request_id: "id-7",
        method: "GET",
        path: "/a",
        script: "/srv/app.ts",
        remote: "192.0.2.1",
        status: 200,
        bytes: 5,
        applicationMs: expect.any(Number) as number,
        outcome: "complete",
      },
    ]);
  });

  test("counts the application's time until its last byte", async () => {
    const { entries } = entriesOf(async (_, startResponse) => {
      startResponse("200 OK", []);
      await new Promise((resolve) => {
        setTimeout(resolve, 30);
      });
      return "x";
    });
    await until("the line", () => entries.length === 1);
    expect(entries[0]?.applicationMs).toBeGreaterThan(20);
  });

  test("tells a response that broke off from one that nobody waited for", async () => {
    const broken = entriesOf(function* (_, startResponse) {
      startResponse("200 OK", []);
      yield "half";
      throw new Error("oops");
    });
    await until("the line", () => broken.entries.length === 1);
    expect(broken.entries).toMatchObject([{ status: 200, bytes: 4, outcome: "broken" }]);
    const aborted = entriesOf(async (environ) => {
      await new Promise((_, reject) => {
        environ["tsgi.signal"].addEventListener("abort", () => reject(new Error("gone")));
      });
      return "";
    });
    aborted.exchange.abort(new ClientGoneError());
    await until("the line", () => aborted.entries.length === 1);
    expect(aborted.entries).toMatchObject([{ status: 0, bytes: 0, outcome: "aborted" }]);
  });

  test("has requests that never reached an application, and failures with their status", () => {
    const missing = entriesOf(hello, {
      service: {
        router: {
          route: () => {
            throw new LoadError("not-found", "x");
          },
        },
      },
    });
    expect(missing.entries).toMatchObject([{ status: 404, applicationMs: 0, outcome: "complete", script: "" }]);
  });
});

test("a console in a request is its request's, until the end of it", () => {
  const scope = new RequestScope({ isExclusive: true });
  const found: unknown[] = [];
  const { log, ends } = start(
    (environ, startResponse) => {
      found.push(scope.find()?.log === environ["tsgi.log"]);
      return hello(environ, startResponse);
    },
    { service: { scope } },
  );
  expect([found, ends, scope.find(), log.lines]).toEqual([[true], 1, undefined, []]);
});

test("work that goes on after the response is logged under its request when it fails", async () => {
  const { log } = start(
    (environ, startResponse) => {
      environ["tsgi.wait_until"](Promise.reject(new Error("late")));
      return hello(environ, startResponse);
    },
    { variables: { UNIQUE_ID: "id-7" } },
  );
  await until("the line", () => log.lines.length === 1);
  expect(log.lines).toMatchObject([{ fields: { request_id: "id-7", script: "/srv/app.ts", code: "TSGI2108" } }]);
});

test("a page of another kind is sent in the place of ours, and not for what it has none", () => {
  const errorPages: ErrorPages = ({ error, requestId, script }) =>
    error instanceof TypeError ? pageFromTemplate(`${script} {{request_id}}`, 500, requestId) : undefined;
  const variables = { UNIQUE_ID: "id-7" };
  const own = start(
    () => {
      throw new TypeError("x");
    },
    { variables, service: { errorPages } },
  );
  const plain = start(
    () => {
      throw new Error("x");
    },
    { variables, service: { errorPages } },
  );
  expect([own.sink.body, plain.sink.body]).toEqual(["/srv/app.ts id-7", errorPage(500, "id-7").body]);
});
