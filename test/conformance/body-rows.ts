// Rows about bodies: PEP 3333 "Handling of Non-String..." and "Buffering and Streaming", every shape of a body, close(),
// write(), and the cases of Plack::Test::Suite that look at the response body (named "Plack: ...").
import { noFailureMark, type Row } from "./row.ts";

const text = { "content-type": "text/plain" };

/** An application whose whole promise is its body. */
function gives(app: string, body: string | Buffer, name = `a body: ${app}`): Row {
  return { name, app, expect: { reason: "OK", headers: text, body } };
}

/** Refused before the head: 500 with nothing of the application's. */
function refuses(app: string, name: string, log: string | RegExp): Row {
  return { name, app, expect: { status: 500, reason: "Internal Server Error", log: [log] } };
}

export const bodyRows: readonly Row[] = [
  {
    name: "Plack: GET",
    app: "hello",
    request: { target: "/?name=miyagawa" },
    expect: { reason: "OK", headers: text, body: "Hello, name=miyagawa" },
  },
  gives("string body", Buffer.from("one string, é as UTF-8")),
  gives("byte array body", Buffer.from([0, 104, 105, 255])),
  gives("buffer body", "a Buffer"),
  gives("array body", "an array of chunks"),
  gives("empty array body", ""),
  gives("empty string body", ""),
  gives("array of empty chunks", "after the empty ones"),
  gives("set body", "a set"),
  gives("generator body", "a generator"),
  gives("async generator body", "an async generator"),
  gives("generator application", "the application is a generator", "the application may be a generator"),
  gives(
    "async generator application",
    "method GET, made by an async generator",
    "the application may be an async generator",
  ),
  gives("node stream body", "a Node stream"),
  gives("web stream body", "a web stream"),
  gives("async application", "an async application", "the application may be async"),
  gives("promise of a generator", "a promise of a generator"),
  gives("own iterator", "1234", "Plack: a body with an iterator of its own"),
  gives("many chunks", "0123456789".repeat(1000), "10,000 chunks keep their order"),
  gives("one MiB chunk", Buffer.alloc(1_048_576, "m"), "one chunk of 1 MiB"),
  gives(
    "all bytes",
    Buffer.from(Array.from({ length: 256 }, (_, index) => index)),
    "all 256 byte values arrive unchanged",
  ),
  gives("text that looks like a head", "Foo: Bar\r\n\r\nHello World", "Plack: CRLF output and FCGI parse bug"),
  gives("text that starts with a newline", "\r\n\r\nStatus: 500 No\r\n\r\n", "a body that starts with blank lines"),
  gives("newlines", "Bar\nBaz", "Plack: newlines"),
  {
    name: "32 chunks of 64 KiB from a generator",
    app: "many large chunks",
    expect: {
      check: {
        promise: "2 MiB in the right order",
        holds: ({ body }) => body.length === 2_097_152 && body[0] === 97 && body[2_097_151] === 97 + (31 % 26),
      },
    },
  },
  {
    name: "startResponse may be called in the first step of a generator",
    app: "start in the first step",
    expect: { status: 201, reason: "Created", body: "started in the first step" },
  },

  gives("write then body", "written, then returned", "Plack: write() goes before the body"),
  gives("awaited writes", "one two three", "Plack: write() alone, awaited"),
  gives("write without await", "in their order", "write() alone, not awaited"),
  {
    name: "an empty write sends no head",
    app: "empty write",
    expect: { status: 203, reason: "Changed", body: "the empty write sent no head" },
  },

  {
    name: "Plack: close() is called once after the body was read",
    app: "close is called",
    expect: {
      body: "a body with close",
      log: ["closed 1 times: read to the end"],
      notLogged: ["closed 2 times: read to the end"],
    },
  },
  {
    name: "close() is called once for HEAD",
    app: "close is called for HEAD",
    request: { method: "HEAD" },
    expect: { body: "", log: ["closed 1 times: answer to HEAD"], notLogged: ["closed 2 times: answer to HEAD"] },
  },
  {
    name: "close() is called once when the body fails",
    app: "close is called after a failure",
    expect: {
      complete: false,
      log: ["closed 1 times: failed body", "the closing body failed on purpose"],
      notLogged: ["closed 2 times: failed body"],
    },
    deviations: noFailureMark,
  },
  {
    name: "close() is called once when startResponse was not",
    app: "close is called when startResponse was not",
    expect: { status: 500, log: ["closed 1 times: no startResponse"], notLogged: ["closed 2 times: no startResponse"] },
  },
  {
    name: "close() is called for a body without chunks",
    app: "close without items",
    expect: { body: "", log: ["closed 1 times: no items"] },
  },
  {
    name: "close() may be async and is waited for",
    app: "async close",
    expect: { body: "closed later", log: ["the async close has ended"] },
  },
  {
    name: "a failing close() does not harm the body",
    app: "failing close",
    expect: { body: "a body whose close fails", log: ["close failed on purpose"] },
  },
  {
    name: "a generator's finally runs",
    app: "finally of a generator",
    expect: { body: "ten bytes.more than declaredand more", log: ["finally of the generator ran"] },
  },
  {
    name: "HEAD has the head of GET and no body",
    app: "hello",
    request: { method: "HEAD", target: "/?x" },
    expect: { reason: "OK", headers: text, body: "" },
  },
  {
    name: "HEAD with an async generator",
    app: "async generator application",
    request: { method: "HEAD" },
    expect: { headers: text, body: "" },
  },
  {
    name: "HEAD keeps the Content-Length of GET",
    app: "length exact",
    request: { method: "HEAD" },
    expect: { body: "", headers: { "content-length": "5" } },
  },

  refuses("undefined body", "a body of undefined is refused", /body.*undefined|undefined.*body/iu),
  refuses("null body", "a body of null is refused", /body.*null|null.*body/iu),
  refuses("number body", "a body that is a number is refused", /body.*number|number.*body/iu),
  refuses("array with a number", "a chunk that is a number is refused", /chunk.*number|number.*chunk/iu),
  {
    name: "a chunk that is a number after text breaks the message",
    app: "number after text",
    expect: { complete: false, log: [/chunk.*number|number.*chunk/iu] },
    deviations: noFailureMark,
  },
  {
    name: "a HTTP/1.0 client gets the whole body",
    app: "many chunks",
    request: { version: "1.0" },
    expect: { body: "0123456789".repeat(1000) },
  },
];
