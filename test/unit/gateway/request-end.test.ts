// Work at the end of a request: done once, on every path, after the body was closed, from a copy of the environ too.
import { expect, test } from "vitest";
import { ClientGoneError, RequestTimeoutError } from "../../../src/errors.ts";
import { atRequestEnd } from "../../../src/gateway/environ.ts";
import type { Application, Environ } from "../../../src/spec.ts";
import { play, turn } from "./play.ts";

function watched(events: string[], then: Application): Application {
  return (environ, startResponse) => {
    const wasTaken = atRequestEnd(environ, async () => {
      events.push("work");
    });
    expect(wasTaken).toBe(true);
    return then(environ, startResponse);
  };
}

const answers: Array<[what: string, application: Application]> = [
  [
    "an answer at once",
    (_, start) => {
      start("200 OK", []);
      return "done";
    },
  ],
  [
    "an answer later",
    async (_, start) => {
      await turn();
      start("200 OK", []);
      return "done";
    },
  ],
  [
    "an error at once",
    () => {
      throw new Error("on purpose");
    },
  ],
  ["an error later", () => Promise.reject(new Error("on purpose"))],
];

test.each(answers)("%s: the work is done once", async (_, application) => {
  const events: string[] = [];
  const played = play(watched(events, application));
  await played.ended;
  await Promise.all(played.closings);
  await turn();
  expect(events).toEqual(["work"]);
});

test("the work waits until the body is closed", async () => {
  const events: string[] = [];
  const application: Application = async function* (environ, start) {
    atRequestEnd(environ, async () => void events.push("work"));
    start("200 OK", []);
    try {
      yield "one";
      await turn();
      yield "two";
    } finally {
      await turn();
      events.push("closed");
    }
  } as Application;
  const played = play(application);
  await played.ended;
  await Promise.all(played.closings);
  expect(events).toEqual(["closed", "work"]);
});

test("a client that goes, and a request that takes too long: the work is done", async () => {
  for (const end of ["abort", "expire"] as const) {
    const events: string[] = [];
    const played = play(
      watched(events, async (environ) => {
        await environ["wsgi.input"].read();
        return "";
      }),
      { contentLength: 10 },
    );
    if (end === "abort") played.exchange.abort(new ClientGoneError());
    else played.exchange.expire(new RequestTimeoutError(10, 20));
    await played.ended;
    await Promise.all(played.closings);
    await turn();
    expect(events).toEqual(["work"]);
  }
});

test("work that fails is a warning and keeps no other from being done", async () => {
  const events: string[] = [];
  const played = play((environ, start) => {
    atRequestEnd(environ, () => Promise.reject(new Error("on purpose")));
    atRequestEnd({ ...environ }, async () => void events.push("from a copy"));
    start("200 OK", []);
    return "done";
  });
  await played.ended;
  await Promise.all(played.closings);
  expect(events).toEqual(["from a copy"]);
  expect(played.warnings.map(({ message }) => message)).toEqual(["work at the end of the request failed"]);
});

test("work that comes after the end is done at once", async () => {
  const events: string[] = [];
  const played = play((_, start) => {
    start("200 OK", []);
    return "done";
  });
  await played.ended;
  atRequestEnd(played.environ, async () => void events.push("late"));
  await Promise.all(played.closings);
  expect(events).toEqual(["late"]);
});

test("an environ that is none of ours says so", () => {
  expect(atRequestEnd({} as Environ, () => Promise.resolve())).toBe(false);
});
