// Rows about wsgi.errors, wsgi.file_wrapper, tsgi.wait_until and programs that print to standard output.
import type { Row } from "./row.ts";

const file = Buffer.from("0123456789".repeat(20_000));

export const extraRows: readonly Row[] = [
  {
    name: "Plack: wsgi.errors lines reach the error log, each as one",
    app: "errors: lines",
    expect: {
      body: "logged",
      log: ["row: first line", "row: second line", "row: third line", "row: fourth line", "row: without a newline"],
      notLogged: ["first line\\nrow"],
    },
  },
  {
    name: "wsgi.errors.flush sends a line that has no end yet",
    app: "errors: flush",
    expect: { body: "logged", log: ["row: flushed part"] },
  },
  {
    name: "odd characters in wsgi.errors do no harm",
    app: "errors: odd characters",
    expect: { body: "logged", log: [/row: caf.* end/u] },
  },
  {
    name: "a line of 20,000 characters reaches the log to its end",
    app: "errors: long line",
    expect: { body: "logged", log: ["end of the long line"] },
  },
  {
    name: "wsgi.errors between chunks does not get into the body",
    app: "errors: while streaming",
    expect: { body: "a b", log: ["row: between two chunks"] },
  },
  {
    name: "Plack: wsgi.file_wrapper sends a file handle",
    app: "file wrapper: handle",
    expect: { body: file, headers: { "content-length": "200000" } },
  },
  { name: "Plack: wsgi.file_wrapper sends a stream", app: "file wrapper: stream", expect: { body: file } },
  {
    name: "wsgi.file_wrapper reads blocks and closes its reader",
    app: "file wrapper: reader",
    expect: { body: "from a reader", log: ["reader closed after sizes 5"] },
  },
  {
    name: "wsgi.file_wrapper of an empty file",
    app: "file wrapper: empty",
    expect: { body: "", log: ["reader closed after sizes 7"] },
  },
  {
    name: "wsgi.file_wrapper is closed when the answer has no body",
    app: "file wrapper: closed without iteration",
    expect: { status: 304, body: "", log: [/reader closed after sizes/u] },
  },
  {
    name: "tsgi.wait_until: work goes on after the response",
    app: "wait until",
    expect: { body: "answered before the work", log: ["row: work after the response"] },
  },
  {
    name: "tsgi.wait_until: a rejection is logged",
    app: "wait until rejects",
    expect: { body: "answered", log: ["row: the work after the response failed"] },
  },
  {
    name: "what the application prints does not get into the response",
    app: "prints to stdout",
    expect: { status: 200, reason: "OK", body: "untouched by what was printed" },
  },
  {
    name: "a pending timer does not hold up the response",
    app: "pending timer",
    expect: { body: "answered with a timer pending" },
  },
];
