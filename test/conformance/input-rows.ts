// Rows about wsgi.input: PEP 3333 "Input and Error Streams", wsgiref.validate's InputWrapper, and the cases of
// Plack::Test::Suite that send a body (named "Plack: ...").
import { createHash } from "node:crypto";
import { on, type Row } from "./row.ts";

const big = Buffer.from(Array.from({ length: 1_048_576 }, (_, index) => (index * 7 + (index >> 8)) & 255));
const allBytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

function digest(data: Buffer): string {
  return `${data.length} ${createHash("sha256").update(data).digest("hex")}`;
}

/** A POST and the body of its answer. */
function post(name: string, app: string, body: Buffer | string, answer: string | Buffer): Row {
  return {
    name,
    app,
    request: { method: "POST", headers: [["Content-Type", "application/octet-stream"]], body },
    expect: { body: answer },
  };
}

const threeLines = "one\ntwo\n\nlast without an end";
const plackChunk = "abcdefgh".repeat(12_000);

export const inputRows: readonly Row[] = [
  {
    name: "Plack: POST",
    app: "echo with length",
    request: {
      method: "POST",
      headers: [["Content-Type", "application/x-www-form-urlencoded"]],
      body: "name=tatsuhiko",
    },
    expect: {
      reason: "OK",
      headers: {
        "client-content-length": "14",
        "client-content-type": "application/x-www-form-urlencoded",
        "content-type": "text/plain",
      },
      body: "Hello, name=tatsuhiko",
    },
  },
  post("Plack: big POST", "read CONTENT_LENGTH bytes", plackChunk, plackChunk),
  post("Plack: the body can be read as text", "text", "body", "body"),
  { name: "Plack: reading the body of a GET gives nothing", app: "echo", expect: { body: "" } },
  post("a body of 1 MiB comes back whole", "echo", big, big),
  post("all 256 byte values come back", "echo", allBytes, allBytes),
  post("an empty POST body", "echo", "", ""),
  post(
    "read(size) gives exactly size bytes, fewer only at the end",
    "read in sizes",
    "abcdefghij",
    '["abc","","defg","hij"]',
  ),
  post("a negative size reads everything", "read with a negative size", "everything", "everything"),
  post("reading beyond the end gives nothing, and does not block", "read beyond the end", "short", '["short",""]'),
  post("reading twice gives the rest once", "read twice", "once", '["once","",""]'),
  post(
    "readline gives lines with their ends",
    "readline",
    threeLines,
    '["one\\n","two\\n","\\n","last without an end"]',
  ),
  post("readline(size) cuts a line", "readline with a size", "longer\nnext line", '["lo","nger\\n","nex","t line"]'),
  post("readlines gives all lines", "readlines", threeLines, '["one\\n","two\\n","\\n","last without an end"]'),
  post(
    "readlines(hint) stops after the line that reaches it",
    "readlines with a hint",
    "ab\ncd\nef\n",
    '["ab\\n","cd\\n"] ["ef\\n"]',
  ),
  post("lines() iterates over lines", "lines", threeLines, '["one\\n","two\\n","\\n","last without an end"]'),
  post("for await gives the body in pieces", "for await", big, digest(big)),
  post("stream() is a Node stream of the body", "stream", big, digest(big)),
  post("stream() may be the response body", "stream as body", "there and back", "there and back"),
  post("wsgi.input itself may be the response body", "input as body", "there and back again", "there and back again"),
  post("json() parses", "json", '{"a":[1,2]}', '{"a":[1,2]} parsed'),
  post("text() is UTF-8", "text", Buffer.from("日本"), Buffer.from("日本")),
  post("bytes() gives bytes", "bytes", allBytes, digest(allBytes)),
  post("readline, read and iteration follow each other", "mixed reading", "line\nabcdef", '["line\\n","ab","cdef"]'),
  post(
    "calls made at the same time are answered in their order",
    "reading at the same time",
    "abcd\nefghij",
    '["ab","cd\\n","ef","ghij"]',
  ),
  post("a body within its limit passes", "text with a limit", "ten bytes.", "ten bytes."),
  {
    name: "a body beyond its limit is 413",
    app: "text with a limit",
    request: { method: "POST", body: "eleven byte" },
    expect: { status: 413 },
  },
  post("the limit's error can be caught", "bytes with a caught limit", "x".repeat(11), "TSGI1004"),
  {
    name: "what is not JSON is 400",
    app: "json",
    request: { method: "POST", body: "{not json" },
    expect: { status: 400, reason: "Bad Request" },
  },
  post("the error about JSON can be caught", "json caught", "{", "TSGI1005"),
  post("an empty body is not JSON", "json caught", "", "TSGI1005"),
  {
    name: "a chunked body without a length is read to its end",
    app: "echo with length",
    request: { method: "POST", chunks: ["first chunk, ", "second chunk, ", "third"] },
    expect: {
      body: "Hello, first chunk, second chunk, third",
      headers: { "client-content-length": /^(?:absent|32)$/u },
    },
  },
  {
    name: "lines of a chunked body cross its chunks",
    app: "lines",
    request: { method: "POST", chunks: ["on", "e\ntw", "o\n"] },
    expect: { body: '["one\\n","two\\n"]' },
  },
  {
    name: "a chunked body of 200 KB",
    app: "digest",
    request: { method: "POST", chunks: Array.from({ length: 50 }, () => "z".repeat(4096)) },
    expect: { body: digest(Buffer.alloc(204_800, "z")) },
  },
  post("a body of 10 bytes that is not read", "not read", "0123456789", "answered without reading"),
  post("a body of 1 MiB that is not read", "not read", big, "answered without reading"),
  post(
    "a body of 1 MiB of which four bytes are read",
    "read a little",
    Buffer.from(`head${"x".repeat(1_048_572)}`),
    "the first four: head",
  ),
  post("the body may be read while the answer is written", "read while answering", big, big),
  post("the stream may be destroyed unread", "destroy the stream", big, "the stream was destroyed"),
  {
    name: "reading after the response is refused",
    app: "read after the response",
    request: { method: "POST", body: "late" },
    expect: { body: "answered", log: ["reading after the response: TSGI2002"] },
  },
  {
    name: "PUT and PATCH have bodies too",
    app: "echo",
    request: { method: "PUT", body: "put body" },
    expect: { body: "put body" },
  },
  {
    name: "DELETE may have a body",
    app: "echo",
    request: { method: "DELETE", body: "delete body" },
    expect: { body: "delete body" },
  },
  {
    name: "GET may have a body",
    app: "echo",
    request: { method: "GET", body: "get body" },
    expect: { body: "get body" },
  },
  {
    name: "HEAD of an application that reads",
    app: "echo",
    request: { method: "HEAD" },
    expect: { body: "" },
  },
  {
    name: "Expect: 100-continue is answered before the body",
    app: "echo",
    request: { method: "POST", headers: [["Expect", "100-continue"]], body: "after 100" },
    expect: { body: "after 100" },
    deviations: on(["direct", "root"], { because: "no server, nobody to say 100", skip: true }),
  },
];
