// Rows about status and headers: PEP 3333 "The start_response() Callable", RFC 9110, wsgiref.validate's check_status and
// check_headers, Content-Length, and the cases of Plack::Test::Suite that look at the head (named "Plack: ...").
import { refused } from "../fixtures/apps/heads.ts";
import { on, type Deviations, type Expectation, type Row } from "./row.ts";

const text = { "content-type": "text/plain" };

function head(name: string, app: string, expect: Expectation, deviations?: Deviations): Row {
  return { name, app, expect, ...(deviations === undefined ? {} : { deviations }) };
}

/** Everything that must be refused: 500, nothing of the application's head, an error that names the fault. */
const refusedRows: readonly Row[] = Object.keys(refused).map((app) => ({
  name: app,
  app,
  expect: {
    status: 500,
    reason: "Internal Server Error",
    headers: { "x-evil": null, "x-a": null, upgrade: null, "x-long": null },
    log: [/TSGI2001|malformed|response header|a header|headers must/u],
    check: { promise: "the body of the application is not sent", holds: ({ body }) => body.toString() !== "body" },
  },
}));

export const headRows: readonly Row[] = [
  ...refusedRows,
  head("Plack: status line", "status with reason", { status: 200, reason: "OK", headers: text }),
  head("a status may be a code alone", "status without reason", { status: 200, reason: "OK" }),
  head("Plack: test 404", "status 404", { status: 404, reason: "Not Found", body: "Not Found" }),
  head("404 without a reason gets the usual one", "status 404 without reason", { status: 404, reason: "Not Found" }),
  head("201 with Location", "status 201", { status: 201, reason: "Created", headers: { location: /\/new$/u } }),
  head("301 with an absolute Location", "status 301", {
    status: 301,
    reason: "Moved Permanently",
    headers: { location: "http://example.com/there" },
    body: "moved",
  }),
  head("302 with a local Location is the client's redirect", "status 302", {
    status: 302,
    headers: { location: /\/m\/elsewhere\?x=1$/u },
    body: "found",
  }),
  head(
    "Location with 200 stays 200",
    "Location with 200",
    { status: 200, headers: { location: /\/m\/elsewhere$/u }, body: "still 200" },
    on(["fcgid", "cgi"], { because: "Apache takes it for a redirect of its own (RFC 3875 section 6.2.2)", skip: true }),
  ),
  head("a custom reason phrase", "custom reason", { status: 299, reason: "My Own Reason" }),
  head("a custom reason phrase of a usual status", "custom reason of 404", {
    status: 404,
    reason: "Nothing Like That Here",
  }),
  head("a reason phrase in latin-1", "reason in latin-1", { status: 400, reason: "Ung\u00fcltig" }),
  head("503 with Retry-After", "status 503", {
    status: 503,
    reason: "Service Unavailable",
    headers: { "retry-after": "7" },
    body: "busy",
  }),
  head("599", "status 599", { status: 599, reason: "Odd" }),
  head("two WWW-Authenticate headers", "status 401", {
    status: 401,
    headers: { "www-authenticate": /^Basic realm="a", Digest x=y$/u },
  }),
  head("204 has no body", "status 204", {
    status: 204,
    reason: "No Content",
    body: "",
    headers: { "content-type": null, "transfer-encoding": null },
  }),
  head("a body given to 204 is not sent", "status 204 with a body", { status: 204, body: "" }),
  head("Plack: no entity headers on 304", "status 304", {
    status: 304,
    reason: "Not Modified",
    body: "",
    headers: { "content-type": null, "content-length": null, "transfer-encoding": null },
  }),
  head("a body given to 304 is not sent", "status 304 with a body", {
    status: 304,
    body: "",
    headers: { etag: '"v1"' },
  }),
  head("205", "status 205", { status: 205, body: "" }),
  head("an empty header list", "no headers", { body: "no headers at all", headers: { "content-type": null } }),
  head("Set-Cookie twice stays twice", "Set-Cookie twice", {
    headers: { "set-cookie": ["a=1; Path=/", "b=2; Path=/, x"] },
  }),
  head("Plack: multi headers (response)", "header twice", { headers: { "x-foo": /^foo, bar, baz$/u } }),
  head("Vary and Link twice", "Link and Vary twice", {
    headers: { vary: /^Accept, ?Cookie$/u, link: /^<\/a>, <\/b>$/u },
  }),
  head("latin-1 bytes in a header value", "latin-1 value", { headers: { "x-latin": "caf\u00e9 \u00a0\u00ff" } }),
  head("an empty header value", "empty value", { headers: { "x-empty": "" } }),
  head("a tab in a header value", "tab in a value", { headers: { "x-tab": "a\tb" } }),
  head("every character that a header name may have", "odd names", {
    headers: { "x-lower_Case.1!#$%&'*+^`|~": "yes" },
  }),
  head("200 headers", "many headers", { headers: { "x-h0": "v0", "x-h199": "v199" } }),
  head("a header value of 8,000 bytes", "long value", { headers: { "x-long": "x".repeat(8000) } }),
  head("Content-Type passes unchanged", "content type with charset", {
    headers: { "content-type": "text/html; charset=utf-8" },
    body: Buffer.from("<p>é"),
  }),
  head("cache headers pass unchanged", "cache headers", {
    headers: {
      etag: '"abc"',
      "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT",
      "cache-control": "no-store",
      expires: "0",
    },
  }),
  head("the header list may be any iterable of pairs", "headers as a Map", { headers: { "x-map": "yes" } }),
  head("the header list is copied", "header list changed afterwards", {
    headers: { "x-kept": "as it was", "x-late": null, "x-evil": null },
    body: "copied",
  }),

  head("an exact Content-Length reaches the client", "length exact", {
    body: "exact",
    headers: { "content-length": "5" },
  }),
  head("an exact Content-Length over several chunks", "length exact in chunks", {
    body: "in three ",
    headers: { "content-length": "9" },
  }),
  head("Content-Length 0", "length zero", { body: "", headers: { "content-length": "0" } }),
  head("Content-Length twice with one value is sent once", "length given twice", {
    body: "same",
    headers: { "content-length": "4" },
  }),
  head("a body longer than Content-Length is cut and logged", "length too short", {
    body: "four",
    headers: { "content-length": "4" },
    log: [/Content-Length/u],
  }),
  head("chunks beyond Content-Length are dropped and logged", "length too short in chunks", {
    body: "four a",
    log: [/Content-Length/u],
  }),
  head("a generator beyond its Content-Length is closed", "generator beyond its length", {
    body: "ten bytes.",
    log: ["the generator beyond its length was closed"],
  }),
  head("a body shorter than Content-Length is never complete", "length too long", {
    complete: false,
    log: [/Content-Length|declared/iu],
  }),
  head("write() of less than Content-Length is never complete", "length too long by write", { complete: false }),
  head("no body at all with a Content-Length is never a complete 200", "length without a body", {
    status: [200, 500, 503],
    complete: "either",
    check: { promise: "not a complete 200", holds: ({ complete, status }) => !complete || status >= 500 },
  }),
  head("no Content-Length is invented wrongly", "no length", { body: "no length, two chunks" }),
];
