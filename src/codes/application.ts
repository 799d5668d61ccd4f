// The codes of what an application did: TSGI2xxx.

import type { CodePage } from "./page.ts";

export const applicationPages: readonly CodePage[] = [
  {
    codes: ["TSGI2001"],
    title: "the application broke the contract",
    meaning: "A status, header or body was returned that may not be sent; the message says which and why.",
    causes: [
      "startResponse was called twice, or not before the body",
      "a header value with a line break, or a header such as Connection that only a server may send",
      "a body that is shorter than its Content-Length",
    ],
    remedies: ["mend the application as the message says", "run `tsgi dev`, which shows the place in the source"],
  },
  {
    codes: ["TSGI2002"],
    title: "the request was used after its end",
    meaning: "The application read wsgi.input or called write when the response had ended already.",
    causes: ["a promise that nobody waits for", "a timer or event handler that outlives its request"],
    remedies: ["await what the response needs", "give work that may go on to `tsgi.wait_until`"],
  },
  {
    codes: ["TSGI2003"],
    title: "the request took longer than --request-timeout",
    meaning:
      "The client got a 504, or a broken response when its head had been sent. tsgi.signal told the application.",
    causes: ["a slow database or service", "a promise that never settles"],
    remedies: ["pass tsgi.signal to fetch and the like, so that they end", "raise --request-timeout"],
  },
  {
    codes: ["TSGI2101"],
    title: "an uncaught error",
    meaning:
      "Its request got a 500, where it is known. The worker, whose state is in doubt, is replaced when its other requests have ended; those that stand still for 10 seconds are given up (TSGI2111).",
    causes: ["an error thrown in a timer or event handler", "a rejected promise that nobody handles"],
    remedies: ["handle the error where the stack points", "add an 'error' handler to the emitter that it names"],
  },
  {
    codes: ["TSGI2111"],
    title: "the request stands still since an uncaught error",
    meaning:
      "Whose the error was could not be told, and this request had not gone on 10 seconds later. It got a 500, or a broken response; from the first such error on, the workers know whose the next one is.",
    causes: [
      "a rejected promise of an asynchronous handler that nobody handles, as with Express 4",
      "an error of a connection or pool that the request waits for",
    ],
    remedies: [
      "handle the error that the line names as its cause",
      "call next(error) in asynchronous handlers of Express 4",
    ],
  },
  {
    codes: ["TSGI2102"],
    title: "the event loop is blocked",
    meaning:
      "The worker computes without a pause and answers nothing else. The line says where; after --deadlock-timeout the worker is killed.",
    causes: ["an endless loop", "a regular expression that backtracks", "a synchronous call to something slow"],
    remedies: ["mend the place that the stack names", "move long computations to a worker thread"],
  },
  {
    codes: ["TSGI2131"],
    title: "a request takes longer than --slow-request",
    meaning:
      "The line says whether it waits for something, blocks the event loop (then with its stack), or has ended. `leftOut` counts lines before it that were one too many.",
    causes: [
      "a slow database or service",
      "a long computation in the place that the stack names",
      "a response that is streamed for long",
    ],
    remedies: [
      "look at the place in the stack, or at what the application awaits",
      "raise --slow-request for responses that last",
    ],
  },
  {
    codes: ["TSGI2103"],
    title: "wsgi.errors was written after the request had ended",
    meaning: "The line could not go to Apache's error log any more; it is in this log only.",
    causes: ["work that goes on after the response"],
    remedies: ["nothing, or log such work with tsgi.log"],
  },
  {
    codes: ["TSGI2104"],
    title: "the body is longer than its Content-Length",
    meaning: "What was too much has been cut: otherwise it would be read as the beginning of the next response.",
    causes: ["Content-Length counted in characters, not bytes", "the length of another version of the body"],
    remedies: ["use Buffer.byteLength, or leave Content-Length out: a body that is there at once gets one"],
  },
  {
    codes: ["TSGI2105"],
    title: "the application failed after its response had ended",
    meaning: "The client noticed nothing: its response was complete or had been given up.",
    causes: ["work after the response that throws", "a request that timed out, and its late consequences"],
    remedies: ["handle the error where the stack points"],
  },
  {
    codes: ["TSGI2106"],
    title: "closing the body failed",
    meaning: "The body's close(), or its iterator's return(), threw. The response was not changed by it.",
    causes: ["a finally block of a generator that throws", "a resource that was closed twice"],
    remedies: ["mend the place that the stack names"],
  },
  {
    codes: ["TSGI2107"],
    title: "the application threw an error",
    meaning: "Before the head that was a 500 page with the request id; after it the response was broken off.",
    causes: ["a mistake in the application, or something that it depends on is down"],
    remedies: [
      "the line has the stack, with the places in the TypeScript source",
      "find it by the request id that the client saw",
      "`tsgi dev`, or --debug on a unix socket, shows it in the browser",
    ],
  },
  {
    codes: ["TSGI2108"],
    title: "work given to tsgi.wait_until failed",
    meaning: "The promise was rejected. The response was not changed by it.",
    causes: ["an error in work after the response"],
    remedies: ["handle the error where the stack points"],
  },
  {
    codes: ["TSGI2109"],
    title: "work at the end of a request failed",
    meaning:
      "Something that cleans up after a request failed, such as the removal of uploaded files. The response was not changed.",
    causes: ["temporary files that somebody else removed or changed", "a disk that fails"],
    remedies: ["look at the error in the line, and at the folder that it names"],
  },
  {
    codes: ["TSGI2110"],
    title: "the application breaks the contract",
    meaning:
      "`lint` watches application and server in `tsgi dev` and `tsgi check`; `rule` in the line is the rule's name.",
    causes: ["a status, header, body or call that PEP 3333 does not allow", "middleware that changes one of them"],
    remedies: ["the line says what was expected, and why", "`tsgi check app.ts --url /path` tries one address"],
  },
  {
    codes: ["TSGI2121"],
    title: "a listener of an event failed",
    meaning:
      "A function that was given to `on` threw, or its promise was rejected. The request went on; it is told once for each.",
    causes: ["a mistake in the listener"],
    remedies: ["look at the stack in the line; `event` is the event's name"],
  },
  {
    codes: ["TSGI2122"],
    title: "tracing failed",
    meaning:
      "The OpenTelemetry of the application threw while a request was traced. The request went on; it is told once.",
    causes: ["a span processor, sampler or propagator that throws", "versions of its packages that do not fit"],
    remedies: ["look at the stack in the line", "`--otel off` serves without spans"],
  },
];
