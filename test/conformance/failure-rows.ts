// Rows about failures: PEP 3333 "Error Handling", excInfo, and what the client and the log are told.
import { noFailureMark, on, type Row } from "./row.ts";

/** Before the head: a 500 page with the request's id, no details, and the details in the log. */
function failsBefore(name: string, app: string, log: string | RegExp): Row {
  return {
    name,
    app,
    expect: {
      status: 500,
      reason: "Internal Server Error",
      headers: { "x-mine": null, "set-cookie": null },
      log: [log],
      check: {
        promise: "the page has an id and no details, but for a developer",
        holds: ({ body }, { showsFailures }) => {
          const page = body.toString();
          if (showsFailures) return /^Request ID: [0-9A-Za-z@_-]{8,}$/mu.test(page);
          return /[0-9A-Za-z@_-]{8,}/u.test(page) && !/secret-detail|\.ts|at |Error:/u.test(page);
        },
      },
    },
  };
}

/** After the head: what was sent stays, and the message never looks complete. */
function failsAfter(name: string, app: string, body: RegExp, log: string): Row {
  return {
    name,
    app,
    expect: {
      complete: false,
      log: [log],
      check: {
        promise: "nothing but the application's own bytes came",
        holds: (reply) => body.test(reply.body.toString()),
      },
    },
    deviations: noFailureMark,
  };
}

export const failureRows: readonly Row[] = [
  failsBefore("Plack: do not crash when the app dies", "throws at once", "thrown at once: secret-detail-7"),
  failsBefore("a rejected promise is a 500", "rejects", "rejected: secret-detail-7"),
  failsBefore("a thrown string is a 500", "throws a string", "only a string: secret-detail-7"),
  failsBefore("a thrown undefined is a 500", "throws undefined", "undefined"),
  failsBefore(
    "a failure after startResponse, before a chunk, replaces the head",
    "throws after startResponse",
    "after startResponse: secret-detail-7",
  ),
  failsBefore(
    "a generator that fails before its first chunk is a 500",
    "generator fails before its first chunk",
    "before the first chunk: secret-detail-7",
  ),
  failsBefore("a body without startResponse is a 500", "no startResponse", /startResponse/u),
  failsBefore("no body and no startResponse is a 500", "no startResponse, empty", /startResponse/u),
  failsBefore("a chunk before startResponse is a 500", "chunk before startResponse", /startResponse/u),
  failsBefore("startResponse twice without excInfo is a 500", "startResponse twice", /startResponse/u),
  failsBefore("a bad header given with excInfo is a 500", "bad header after a good start", /X-A/u),
  failsAfter(
    "a generator that fails after a chunk breaks the message",
    "generator fails after its first chunk",
    /^(?:the first chunk, )?$/u,
    "after the first chunk: secret-detail-7",
  ),
  failsAfter(
    "an async generator that fails after a chunk breaks the message",
    "async generator fails after its first chunk",
    /^(?:the first chunk, )?$/u,
    "after the first async chunk: secret-detail-7",
  ),
  failsAfter(
    "a failure after write() breaks the message",
    "fails after write",
    /^(?:written before the failure)?$/u,
    "after write: secret-detail-7",
  ),
  {
    ...failsAfter(
      "a failure inside a declared length breaks the message",
      "fails inside its declared length",
      /^(?:not complete)?$/u,
      "inside the declared length: secret-detail-7",
    ),
    deviations: {},
  },
  {
    name: "a failure after the last declared byte is logged; the message was complete",
    app: "fails after its declared length",
    expect: { headers: { "content-length": "8" }, body: "complete", log: ["after the last byte: secret-detail-7"] },
    deviations: on(["direct", "root"], {
      because: "no wire: the reply tells a broken end from a proper one",
      expect: { complete: false },
    }),
  },
  {
    name: "startResponse may come in a later step, before the first chunk",
    app: "startResponse in the second step",
    expect: { body: "late" },
  },
  {
    name: "excInfo before the head replaces status and headers",
    app: "excInfo before the head",
    expect: { status: 503, reason: "Sorry", headers: { "x-first": null, "x-second": "yes" }, body: "replaced" },
  },
  {
    name: "excInfo may come with the first call",
    app: "excInfo at the first call",
    expect: { status: 500, reason: "Mine", body: "my own error page" },
  },
  {
    name: "excInfo after empty chunks replaces the head, for none was sent",
    app: "excInfo after empty chunks",
    expect: { status: 404, reason: "Replaced", body: "replaced after an empty chunk" },
  },
  {
    name: "excInfo after the head is thrown back and breaks the message",
    app: "excInfo after the head",
    expect: { status: 200, complete: false, log: ["startResponse threw excInfo: true"] },
    deviations: noFailureMark,
  },
  {
    name: "excInfo after the head may be swallowed by the application",
    app: "excInfo after the head, swallowed",
    expect: { body: "first, and the rest" },
  },
  {
    name: "write() after the response is refused",
    app: "writes after the response",
    expect: { body: "complete", log: ["late write refused: TSGI2002"], notLogged: ["late write went through"] },
  },
  {
    name: "a rejection that nobody handles does not end the server",
    app: "a rejection nobody handles",
    expect: { body: "answered all the same" },
    deviations: on(["direct", "root"], {
      because: "this process is the test's, which has its own handler",
      skip: true,
    }),
  },
  {
    name: "the next request is served after all failures",
    app: "hello",
    request: { target: "/?still=here" },
    expect: { body: "Hello, still=here" },
  },
];
