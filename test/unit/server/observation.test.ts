// What is measured and told of a request, through dispatch.
import { afterAll, expect, onTestFinished, test } from "vitest";
import {
  ClientGoneError,
  InputTruncatedError,
  LoadError,
  OverloadedError,
  RequestTimeoutError,
} from "../../../src/errors.ts";
import type { EventListener, EventName, ProcessEvents } from "../../../src/events.ts";
import { listeners, on } from "../../../src/events.ts";
import { RequestMeter } from "../../../src/metrics/meter.ts";
import type { Dispatched } from "../../../src/server/dispatch.ts";
import { dispatch } from "../../../src/server/dispatch.ts";
import type { Route } from "../../../src/server/route.ts";
import type { Application } from "../../../src/spec.ts";
import { turn, variablesOf } from "../gateway/play.ts";
import { RecordingSink } from "../gateway/recording-sink.ts";
import type { CollectedLog } from "./collected-log.ts";
import { collectLog } from "./collected-log.ts";
import { plainOptions } from "./served.ts";

afterAll(() => {
  expect(Object.values(listeners).filter((list) => list !== undefined)).toEqual([]);
});

function listen<Name extends EventName>(name: Name, listener: EventListener<Name>): void {
  onTestFinished(on(name, listener));
}

/** What is told from now on, by name. */
function hear(...names: readonly EventName[]): [EventName, Partial<ProcessEvents["requestFinished"]>][] {
  const heard: [EventName, Partial<ProcessEvents["requestFinished"]>][] = [];
  for (const name of names) listen(name, (event: object) => void heard.push([name, event]));
  return heard;
}

interface Started extends Dispatched {
  readonly sink: RecordingSink;
  readonly log: CollectedLog;
}

function start(
  application: Application | Promise<Application> | Error,
  meter?: RequestMeter,
  isAuthorizer = false,
): Started {
  const log = collectLog();
  const sink = new RecordingSink();
  const route = (): Route => {
    if (application instanceof Error) throw application;
    return { application, script: "/srv/app.ts", name: "/srv/app.ts#shop", mount: { mountPoint: "" } };
  };
  const dispatched = dispatch(
    { ...plainOptions(hello, log).service, router: { route }, meter },
    {
      variables: variablesOf({ REQUEST_METHOD: "GET", REQUEST_URI: "/a?b", UNIQUE_ID: "id-7" }),
      sink,
      flow: { pause() {}, resume() {} },
      emitError: () => true,
      isAuthorizer,
      queuedMs: 12,
      onEnd: () => {},
    },
  );
  return { ...dispatched, sink, log };
}

const hello: Application = (_, startResponse) => {
  startResponse("200 OK", []);
  return "hello";
};
const never: Application = () => new Promise<string>(() => {});

test("a request is counted once, under its application, with what it waited", () => {
  const meter = new RequestMeter();
  start(hello, meter);
  const { responses, applications, bytesOut, queueMs, applicationMs } = meter.figures();
  expect([responses["2xx"], bytesOut, meter.running]).toEqual([1, 5, 0]);
  expect(queueMs).toMatchObject({ count: 1, max: 12 });
  expect(applicationMs.count).toBe(1);
  expect(applications).toMatchObject([{ script: "/srv/app.ts#shop", requests: 1, errors: 0 }]);
});

test("an application that cannot be loaded has the error, and the request that waits for it its name", async () => {
  const meter = new RequestMeter();
  const { sink } = start(Promise.reject(new LoadError("failed-inside", "x")), meter);
  expect(meter.longestRunning()).toMatchObject([{ script: "/srv/app.ts#shop" }]);
  await turn();
  expect(sink.head?.status.code).toBe(500);
  expect(meter.figures().applications).toMatchObject([{ script: "/srv/app.ts#shop", requests: 1, errors: 1 }]);
});

test.each<[string, Application | Error, object]>([
  ["the application's failure", new LoadError("failed-inside", "x"), { application: 1 }],
  ["a script that is not there", new LoadError("not-found", "x"), {}],
  ["a server without room", new OverloadedError("x"), {}],
  [
    "what the application throws",
    () => {
      throw new Error("boom");
    },
    { application: 1 },
  ],
  [
    "a body that was too short",
    () => {
      throw new InputTruncatedError(2, 1);
    },
    { protocol: 1 },
  ],
  [
    "a client that the application found gone",
    () => {
      throw new ClientGoneError();
    },
    { aborted: 1 },
  ],
])("%s has a kind of its own", (_, application, failed) => {
  const meter = new RequestMeter();
  start(application, meter);
  expect(meter.figures().failed).toEqual({ application: 0, aborted: 0, timedOut: 0, protocol: 0, ...failed });
  expect(meter.running).toBe(0);
});

test("a client that goes away ends the request for whoever counts, though the application goes on for ever", () => {
  const heard = hear("requestFinished");
  const meter = new RequestMeter();
  const { exchange } = start(never, meter);
  expect([meter.running, meter.longestRunning()[0]?.script]).toEqual([1, "/srv/app.ts#shop"]);
  exchange.abort(new ClientGoneError());
  exchange.abort(new ClientGoneError());
  expect([meter.running, meter.longestRunning(), meter.figures().failed.aborted]).toEqual([0, [], 1]);
  expect(heard).toMatchObject([["requestFinished", { failure: "aborted", status: 0 }]]);
});

test("a request that ran out of time is counted and told once, when it is given up", async () => {
  const heard = hear("requestException", "requestFinished");
  const meter = new RequestMeter();
  let fail: (error: Error) => void = () => {};
  const { exchange } = start(() => new Promise<string>((_, reject) => (fail = reject)), meter);
  exchange.expire(new RequestTimeoutError(10, 11));
  fail(new Error("late"));
  await turn();
  expect(meter.figures()).toMatchObject({ failed: { timedOut: 1, application: 0 }, responses: { "5xx": 1 } });
  expect(heard.map(([name]) => name)).toEqual(["requestException", "requestFinished"]);
});

test("listeners are told in the order of what happens, with the application still to be chosen", async () => {
  const heard = hear("requestStarted", "responseStarted", "requestException", "requestFinished");
  const other: Application = (_, startResponse) => {
    startResponse("201 Created", [["X-Other", "yes"]]);
    return "other";
  };
  listen("requestStarted", ({ application }) => (application === hello ? other : undefined));
  const { sink } = start(Promise.resolve(hello));
  await turn();
  expect(sink.body).toBe("other");
  expect(heard.map(([name]) => name)).toEqual(["requestStarted", "responseStarted", "requestFinished"]);
  const facts = { requestId: "id-7", method: "GET", path: "/a?b", script: "/srv/app.ts" };
  expect(heard[0]?.[1]).toMatchObject({ ...facts, queuedMs: 12 });
  expect(heard[1]?.[1]).toMatchObject({ ...facts, status: 201 });
  expect(heard[2]?.[1]).toMatchObject({ ...facts, status: 201, failure: undefined, bytesOut: 5, queuedMs: 12 });
});

test("a listener gets the application that the one before it has chosen", () => {
  const chosen: Application[] = [];
  for (let count = 0; count < 3; count += 1) {
    listen("requestStarted", ({ application }) => {
      chosen.push(application);
      return (environ, startResponse) => application(environ, startResponse);
    });
  }
  expect(start(hello).sink.body).toBe("hello");
  expect([new Set(chosen).size, chosen[0]]).toEqual([3, hello]);
});

test("an authorizer is nobody's to see or to replace: it has the password, and its answer lets people in", () => {
  const heard = hear("requestStarted", "requestFinished");
  listen("requestStarted", () => hello);
  const refusing: Application = (_, startResponse) => {
    startResponse("401 Unauthorized", []);
    return "";
  };
  const { exchange } = start(refusing, undefined, true);
  expect(exchange.statusCode).toBe(401);
  expect(heard.map(([name]) => name)).toEqual(["requestFinished"]);
});

test("a listener that fails is logged once, and the others are told", async () => {
  listen("requestFinished", () => {
    throw new Error("a listener");
  });
  listen("requestStarted", () => Promise.reject(new Error("a slow listener")));
  const heard = hear("requestFinished");
  const logs = [start(hello), start(hello)].map(({ log, sink }) => {
    expect(sink.body).toBe("hello");
    return log;
  });
  await turn();
  const codes = logs.map(({ lines }) => lines.filter((line) => JSON.stringify(line).includes("TSGI2121")).length);
  expect(codes).toEqual([2, 0]);
  expect(heard.length).toBe(2);
});

test("who stops listening hears no more, and is not taken off twice", () => {
  let count = 0;
  const listener = (): void => {
    count += 1;
  };
  const stops = [on("requestFinished", listener), on("requestFinished", listener)];
  start(hello);
  stops[0]?.();
  stops[0]?.();
  start(hello);
  stops[1]?.();
  start(hello);
  expect(count).toBe(3);
});
