// The requests that every application of test/fixtures/frameworks gets. Those that it has no route for count as well: a
// framework's 404 must be its own.
import type { HttpRequest } from "./http.ts";

const form = { "Content-Type": "application/x-www-form-urlencoded" };
const jsonType = { "Content-Type": "application/json" };
const bytesType = { "Content-Type": "application/octet-stream" };

function request(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>> = {},
  body?: Buffer | string,
): HttpRequest {
  return { method, target, headers: Object.entries(headers), ...(body === undefined ? {} : { body }) };
}

const boundary = "----a-boundary";

function multipart(...parts: ReadonlyArray<readonly [disposition: string, body: string, type?: string]>): string {
  const text = parts.map(([disposition, body, type]) => {
    const typeLine = type === undefined ? "" : `Content-Type: ${type}\r\n`;
    return `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n${typeLine}\r\n${body}\r\n`;
  });
  return `${text.join("")}--${boundary}--\r\n`;
}

const multipartType = { "Content-Type": `multipart/form-data; boundary=${boundary}` };
const upload = multipart(
  [`name="title"`, "a title"],
  [`name="title"`, "another"],
  [`name="one"; filename="one.txt"`, "text of one", "text/plain"],
  [`name="two"; filename="two.bin"`, "\u0000\u00ff".repeat(20_000), "application/octet-stream"],
);
const large = Buffer.alloc(180_000, "0123456789");

export const requests: ReadonlyArray<readonly [name: string, request: HttpRequest]> = [
  ["a text", request("GET", "/hello")],
  ["HEAD", request("HEAD", "/hello")],
  ["OPTIONS", request("OPTIONS", "/hello")],
  ["another method", request("DELETE", "/hello")],
  ["PUT", request("PUT", "/json", jsonType, "{}")],
  ["HTTP/1.0", { ...request("GET", "/hello"), version: "1.0" }],
  ["nothing there", request("GET", "/nothing/here?a=b")],
  ["a query", request("GET", "/json?b=2&a=1%20x&a=%C3%A9&c[d]=e&f")],
  ["parameters of the path", request("GET", "/params/a%2Fb/%E6%97%A5?x=%20")],
  ["the URL", request("GET", "/url?a=%7e&b=%7E&=&c=/../d")],
  ["the URL of another method", request("PATCH", "/url?x")],
  ["a router below", request("GET", "/below/url?x=1")],
  ["JSON", request("POST", "/json", jsonType, `{"a":[1,2,"\u00c3\u00a9"],"b":null}`)],
  ["broken JSON", request("POST", "/json", jsonType, `{"a":`)],
  ["empty JSON", request("POST", "/json", jsonType, "")],
  ["JSON that fits no schema", request("POST", "/json", jsonType, `{"b":1}`)],
  ["JSON in chunks", { ...request("POST", "/json", jsonType), chunks: [`{"a"`, `:"chun`, `ked"}`] }],
  ["too much JSON", request("POST", "/json", jsonType, `{"a":"${"x".repeat(210_000)}"}`)],
  ["JSON of another charset", request("POST", "/json", { "Content-Type": "application/json; charset=x-no" }, "{}")],
  ["a form", request("POST", "/form", form, "a=1&b=2+3&a=4&c%5Bd%5D=%C3%A9")],
  ["a raw body", request("POST", "/raw", bytesType, large)],
  ["an upload", request("POST", "/upload", multipartType, upload)],
  ["an upload without an end", request("POST", "/upload", multipartType, upload.slice(0, 300))],
  [
    "an upload that is too large",
    request("POST", "/upload", multipartType, multipart([`name="f"; filename="f"`, "x".repeat(150_000), "text/plain"])),
  ],
  ["an upload without a boundary", request("POST", "/upload", { "Content-Type": "multipart/form-data" }, upload)],
  ["cookies", request("GET", "/cookies", { Cookie: "a=1; b=%20x; signed=s%3Ax.wrong" })],
  [
    "two Cookie headers",
    {
      method: "GET",
      target: "/cookies",
      headers: [
        ["Cookie", "a=1"],
        ["Cookie", "b=2; c=3"],
      ],
    },
  ],
  [
    "headers",
    request("GET", "/headers", {
      "X-A": "1",
      Accept: "text/html;q=0.5, application/json",
      Authorization: "Basic YTpi",
    }),
  ],
  [
    "a header twice",
    {
      method: "GET",
      target: "/headers",
      headers: [
        ["X-A", "1"],
        ["x-a", "2"],
      ],
    },
  ],
  ["where from", request("GET", "/connection")],
  ["a file", request("GET", "/static/page.txt")],
  ["a file's head", request("HEAD", "/static/page.txt")],
  ["a part of a file", request("GET", "/static/page.txt", { Range: "bytes=10-29" })],
  ["no such part of a file", request("GET", "/static/page.txt", { Range: "bytes=999999-" })],
  ["a file that is gone", request("GET", "/static/gone.txt")],
  ["a folder", request("GET", "/static/")],
  ["a folder without its slash", request("GET", "/static")],
  ["a way out", request("GET", "/static/..%2f..%2fpackage.json")],
  ["a download", request("GET", "/download")],
  ["a stream", request("GET", "/stream")],
  ["a stream of the web's kind", request("GET", "/web-stream")],
  ["a stream over HTTP/1.0", { ...request("GET", "/stream"), version: "1.0" }],
  ["pieces with time between them", request("GET", "/later")],
  ["pieces with backpressure", request("GET", "/pieces")],
  ["a large body", request("GET", "/big")],
  ["an echo", request("POST", "/echo", bytesType, large)],
  ["an echo in chunks", { ...request("POST", "/echo", bytesType), chunks: ["a", "bb", "c".repeat(9_000)] }],
  ["a body that nobody reads", request("POST", "/unread", bytesType, large)],
  ["an answer before the body was read", request("POST", "/early", bytesType, large)],
  ["204", request("GET", "/status/204")],
  ["304", request("GET", "/status/304")],
  ["418", request("GET", "/status/418")],
  ["a redirect", request("GET", "/redirect")],
  ["informational responses", request("GET", "/hints")],
  ["trailers", request("GET", "/trailers")],
  ["latin-1", request("GET", "/latin1")],
  ["an error", request("GET", "/error")],
  ["an error with a status", request("GET", "/next-error")],
  ["an error later", request("GET", "/later-error")],
  ["an error of a promise", request("GET", "/async-error")],
  ["a response by hand", request("GET", "/own")],
  ["a response that is broken off", request("GET", "/broken")],
  ["a response that is too short", request("GET", "/short")],
];
