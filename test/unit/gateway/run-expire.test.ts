// A request that is given up by the server while the application works on it.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ClientGoneError, RequestTimeoutError, StoppingError } from "../../../src/errors.ts";
import type { Application, Body, Chunk, StartResponse, Write } from "../../../src/spec.ts";
import { until, within } from "../../harness/until.ts";
import type { Played } from "./play.ts";
import { play, turn } from "./play.ts";
import { RecordingSink } from "./recording-sink.ts";
import type { Watch } from "./uncaught.ts";
import { watchUncaught } from "./uncaught.ts";

let watch: Watch;

beforeEach(() => {
  watch = watchUncaught();
});

afterEach(() => {
  watch.stop();
  expect(watch.errors).toEqual([]);
});

const late = (): RequestTimeoutError => new RequestTimeoutError(1000, 1234);

/** What the client got, and what was told, of a request that was given up. */
function outcome({ sink, failures, warnings, endCount }: Played): unknown {
  return [sink.statusLine, sink.state, failures.length, warnings, endCount, sink.offences];
}
const answered504 = ["504 Gateway Timeout", "complete", 1, [], 1, []];
const broken = ["200 OK", "broken", 1, [], 1, []];

describe("before the head", () => {
  test("the client gets a 504 page at once, the failure is told once, and the signal has fired before", () => {
    let seen: unknown;
    const played = play((environ) => {
      const signal = environ["tsgi.signal"];
      signal.addEventListener("abort", () => {
        seen = [signal.reason, played.sink.state];
      });
      return new Promise(() => {});
    });
    const reason = late();
    played.exchange.expire(reason);
    expect(outcome(played)).toEqual(answered504);
    expect(seen).toEqual([reason, "open"]);
    expect(played.failures).toEqual([{ error: reason, wasHeadSent: false }]);
    expect(played.sink.body).toContain("request-1");
    expect(played.exchange.statusCode).toBe(504);
  });

  test("also where startResponse was called and nothing was sent yet", () => {
    const played = play((_, startResponse) => {
      startResponse("200 OK", [["X-Secret", "1"]]);
      return new Promise(() => {});
    });
    played.exchange.expire(late());
    expect(outcome(played)).toEqual(answered504);
    expect(played.sink.header("x-secret")).toBeUndefined();
  });

  test("also while the application is being loaded: it is not called any more", async () => {
    const played = play(() => expect.unreachable(), { before: (exchange) => exchange.expire(late()) });
    await turn();
    expect(outcome(played)).toEqual(answered504);
  });

  test("a process that stops answers 503 and when to come again", () => {
    const played = play(() => new Promise(() => {}));
    played.exchange.expire(new StoppingError());
    expect(played.sink.statusLine).toBe("503 Service Unavailable");
    expect(played.sink.header("retry-after")).toMatch(/^\d+$/);
  });

  test("a half line in wsgi.errors still reaches the log", () => {
    const played = play((environ) => {
      environ["wsgi.errors"].write("half a line");
      return new Promise(() => {});
    });
    played.exchange.expire(late());
    expect(played.errorLines).toEqual(["half a line"]);
  });
});

describe("after the head", () => {
  test("the response is broken, and the body closed", async () => {
    let closes = 0;
    const body: AsyncIterable<Chunk> & { close(): void } = {
      async *[Symbol.asyncIterator]() {
        yield "first";
        await new Promise(() => {});
      },
      close() {
        closes += 1;
      },
    };
    const played = play((_, startResponse) => {
      startResponse("200 OK", []);
      return body;
    });
    await until("the first chunk", () => played.sink.body === "first");
    await turn();
    played.exchange.expire(late());
    expect(outcome(played)).toEqual(broken);
    expect(played.failures).toMatchObject([{ wasHeadSent: true }]);
    await until("the body to be closed", () => closes === 1);
  });

  test("a generator that waits with the signal is left at its yield", async () => {
    let isLeft = false;
    const played = play((environ, startResponse) => {
      startResponse("200 OK", []);
      return (async function* (): AsyncGenerator<Chunk> {
        try {
          yield "first";
          await sleep(3_600_000, undefined, { signal: environ["tsgi.signal"] });
          yield "never";
        } finally {
          isLeft = true;
        }
      })();
    });
    await until("the first chunk", () => played.sink.body === "first");
    played.exchange.expire(late());
    await until("the generator to be left", () => isLeft);
    await Promise.all(played.closings);
    await turn();
    expect(outcome(played)).toEqual(broken);
  });
});

describe("whoever waits fails with the reason", () => {
  test("in a read", async () => {
    let failure: unknown;
    const played = play(
      async (environ) => {
        failure = await environ["wsgi.input"].read().catch((error: unknown) => error);
        throw failure;
      },
      { contentLength: 5 },
    );
    played.input.push(Buffer.from("abc"));
    const reason = late();
    played.exchange.expire(reason);
    await until("the read to fail", () => failure);
    await turn();
    expect(failure).toBe(reason);
    expect(outcome(played)).toEqual(answered504);
  });

  test("in a read that comes only after the end", async () => {
    const played = play(() => new Promise(() => {}), { contentLength: 5 });
    const reason = late();
    played.exchange.expire(reason);
    await expect(played.environ["wsgi.input"].read()).rejects.toBe(reason);
    await expect(played.environ["wsgi.input"].json()).rejects.toBe(reason);
  });

  test.each(["the write waits", "the write comes after the end"])("in write(), where %s", async (which) => {
    const sink = new RecordingSink();
    sink.capacity = 1;
    let write: Write = async () => {};
    const played = play(
      (_, startResponse) => {
        write = startResponse("200 OK", []);
        return new Promise(() => {});
      },
      { sink },
    );
    const reason = late();
    const before = write("xx");
    if (which === "the write waits") {
      played.exchange.expire(reason);
      await expect(within("the write", before)).rejects.toBe(reason);
    } else {
      sink.drain();
      await before;
      played.exchange.expire(reason);
    }
    await expect(write("late")).rejects.toBe(reason);
    expect(outcome(played)).toEqual(broken);
    expect(sink.body).toBe("xx");
  });

  test("a body that waits for a stalled peer is left", async () => {
    const sink = new RecordingSink();
    sink.capacity = 1;
    let returns = 0;
    let pulls = 0;
    const played = play(
      (_, startResponse) => {
        startResponse("200 OK", []);
        return {
          [Symbol.asyncIterator]: () => ({
            next: async () => {
              pulls += 1;
              return { done: false, value: "xx" };
            },
            return: async () => {
              returns += 1;
              return { done: true, value: undefined };
            },
          }),
        };
      },
      { sink },
    );
    await until("somebody to wait", () => sink.waiterCount === 1);
    played.exchange.expire(late());
    sink.drain();
    await turn();
    expect(outcome(played)).toEqual(broken);
    expect([returns, pulls]).toEqual([1, 1]);
  });

  test("in startResponse", () => {
    let start: StartResponse | undefined;
    const played = play((_, startResponse) => {
      start = startResponse;
      return new Promise(() => {});
    });
    const reason = late();
    played.exchange.expire(reason);
    expect(() => start?.("200 OK", [])).toThrow(reason);
    expect(outcome(played)).toEqual(answered504);
  });
});

describe("what the application makes of it later", () => {
  /** An application that goes on when the test says so, whatever the signal says. */
  function deaf(then: (start: StartResponse) => Body | Promise<Body>): {
    readonly application: Application;
    readonly goOn: () => void;
  } {
    let goOn: () => void = () => {};
    const application: Application = async (_, startResponse) => {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      return then(startResponse);
    };
    return { application, goOn: () => goOn() };
  }

  test.each<[string, Application]>([
    [
      "the reason",
      async (environ) => {
        await once(environ["tsgi.signal"], "abort");
        throw environ["tsgi.signal"].reason;
      },
    ],
    ["an AbortError with the reason as its cause", (environ) => sleep(1e6, "x", { signal: environ["tsgi.signal"] })],
    [
      "an AbortError without it",
      async (environ) => {
        await once(environ["tsgi.signal"], "abort");
        throw new DOMException("no more", "AbortError");
      },
    ],
    [
      "an error that has the reason as its cause",
      async (environ) => {
        await once(environ["tsgi.signal"], "abort");
        throw new Error("query failed", { cause: environ["tsgi.signal"].reason });
      },
    ],
  ])("is silent when it throws %s", async (_, application) => {
    const played = play(application);
    played.exchange.expire(late());
    await turn();
    await turn();
    expect(outcome(played)).toEqual(answered504);
  });

  test("is silent when it answers after all, and its body is closed unread", async () => {
    let closes = 0;
    let reads = 0;
    const { application, goOn } = deaf(() => ({
      [Symbol.iterator]: () => ({
        next: () => {
          reads += 1;
          return { done: false, value: "x" };
        },
      }),
      close() {
        closes += 1;
      },
    }));
    const played = play(application);
    played.exchange.expire(late());
    goOn();
    await until("the body to be closed", () => closes === 1);
    await turn();
    expect(reads).toBe(0);
    expect(outcome(played)).toEqual(answered504);
  });

  test("is silent when it only now calls startResponse", async () => {
    const { application, goOn } = deaf((startResponse) => {
      startResponse("200 OK", []);
      return "x";
    });
    const played = play(application);
    played.exchange.expire(late());
    goOn();
    await turn();
    expect(outcome(played)).toEqual(answered504);
  });

  test("is told when it fails for a reason of its own", async () => {
    const error = new TypeError("x is not a function");
    const { application, goOn } = deaf(() => {
      throw error;
    });
    const played = play(application);
    played.exchange.expire(late());
    goOn();
    await turn();
    expect(played.failures).toHaveLength(1);
    expect(played.warnings).toMatchObject([{ error }]);
  });
});

test("twice, after the end, and after the client has gone: nothing more happens", async () => {
  const twice = play(() => new Promise(() => {}));
  twice.exchange.expire(late());
  twice.exchange.expire(late());
  twice.exchange.abort(new ClientGoneError());
  expect(outcome(twice)).toEqual(answered504);

  const over = play((_, startResponse) => {
    startResponse("200 OK", []);
    return "x";
  });
  over.exchange.expire(late());
  expect(outcome(over)).toEqual(["200 OK", "complete", 0, [], 1, []]);

  const left = play(async (environ) => {
    await once(environ["tsgi.signal"], "abort");
    throw environ["tsgi.signal"].reason;
  });
  left.exchange.abort(new ClientGoneError());
  left.exchange.expire(late());
  await turn();
  expect([left.failures, left.sink.sends, left.sink.state]).toEqual([[], 0, "broken"]);
});

test("a listener of the signal that throws changes nothing for the client", async () => {
  const played = play((environ) => {
    environ["tsgi.signal"].addEventListener("abort", () => {
      throw new Error("in a listener");
    });
    return new Promise(() => {});
  });
  played.exchange.expire(late());
  expect(outcome(played)).toEqual(answered504);
  await until("Node to tell of the listener", () => watch.errors.length === 1);
  watch.errors.length = 0;
});
