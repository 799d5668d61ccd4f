// Rows about environ: PEP 3333 "environ Variables", RFC 3875 section 4.1, wsgiref.validate's check_environ, and the cases
// of Plack::Test::Suite that look at the request (named "Plack: ...").
import { on, type Row } from "./row.ts";

/** Shows variables: "NAME:value" or "NAME absent", one a line. */
function shows(name: string, names: string, request: NonNullable<Row["request"]>, body: string): Row {
  return {
    name,
    app: "show",
    request: { ...request, headers: [["X-Show", names], ...(request.headers ?? [])] },
    expect: { body },
  };
}

const path = (name: string, target: string, pathInfo: string): Row =>
  shows(name, "PATH_INFO", { target }, `PATH_INFO:${pathInfo}\n`);

const method = (name: string): Row =>
  shows(`the method ${name} reaches the application`, "REQUEST_METHOD", { method: name }, `REQUEST_METHOD:${name}\n`);

export const environRows: readonly Row[] = [
  { name: "all rules for environ hold for GET", app: "validate environ", expect: { body: "all rules hold" } },
  {
    name: "all rules for environ hold for POST",
    app: "validate environ",
    request: { method: "POST", headers: [["Content-Type", "text/plain"]], body: "x" },
    expect: { body: "all rules hold" },
  },
  {
    name: "no name of Object.prototype is in environ",
    app: "keys about redirects and prototypes",
    expect: { body: "none" },
  },
  {
    name: "Plack: SCRIPT_NAME is the mount",
    app: "show",
    request: { headers: [["X-Show", "SCRIPT_NAME"]] },
    expect: { body: ({ mount }) => `SCRIPT_NAME:${mount}\n` },
  },
  {
    name: "Plack: validate env",
    app: "show",
    request: {
      target: "/foo/?dankogai=kogaidan",
      headers: [["X-Show", "REQUEST_METHOD,SCRIPT_NAME,PATH_INFO,QUERY_STRING,SERVER_NAME,SERVER_PORT"]],
    },
    expect: {
      body: ({ mount, port }) =>
        `REQUEST_METHOD:GET\nSCRIPT_NAME:${mount}\nPATH_INFO:/foo/\nQUERY_STRING:dankogai=kogaidan\nSERVER_NAME:127.0.0.1\nSERVER_PORT:${port}\n`,
    },
  },
  path("the path of the mount with its slash is PATH_INFO /", "/", "/"),
  {
    ...path("the mount without a slash leaves PATH_INFO empty", "", ""),
    deviations: { root: { because: "mounted at the root, a URL has no empty path", skip: true } },
  },
  path("Plack: % encoding in PATH_INFO is decoded", "/foo/bar%2cbaz", "/foo/bar,baz"),
  path("Plack: % double encoding in PATH_INFO is decoded once", "/foo/bar%252cbaz", "/foo/bar%2cbaz"),
  path("Plack: % encoding of UTF-8 gives the bytes as latin-1", "/foo%E3%81%82", "/foo\u00e3\u0081\u0082"),
  path("a path that is no UTF-8 gives its byte", "/caf%E9", "/caf\u00e9"),
  path("Plack: repeated slashes stay", "//foo///bar/baz", "//foo///bar/baz"),
  path("an encoded slash is decoded", "/a%2Fb/c", "/a/b/c"),
  path("an encoded question mark stays in the path", "/a%3Fb", "/a?b"),
  path("an encoded space and a plus are told apart", "/a%20b+c", "/a b+c"),
  path("an encoded newline is part of the path", "/a%0Ab", "/a\nb"),
  path("dot segments are resolved", "/a/./b/../c", "/a/c"),
  path("a semicolon, a colon and an at stay", "/a;b=1:c@d", "/a;b=1:c@d"),
  {
    name: "UTF-8 in the path is decoded by whoever asks",
    app: "path as text",
    request: { target: "/%E6%97%A5%E6%9C%AC" },
    expect: { body: Buffer.from("/日本") },
  },
  {
    name: "Plack: REQUEST_URI is the raw target",
    app: "show",
    request: { target: "/foo/bar%20baz%73?x=a", headers: [["X-Show", "REQUEST_URI"]] },
    expect: { body: ({ mount }) => `REQUEST_URI:${mount}/foo/bar%20baz%73?x=a\n` },
  },
  {
    name: "REQUEST_URI keeps slashes and %2F as they were sent",
    app: "show",
    request: { target: "//a%2Fb//c", headers: [["X-Show", "REQUEST_URI"]] },
    expect: { body: ({ mount }) => `REQUEST_URI:${mount}//a%2Fb//c\n` },
  },
  shows("QUERY_STRING is empty without a question mark", "QUERY_STRING", { target: "/a" }, "QUERY_STRING:\n"),
  shows("QUERY_STRING is empty with a bare question mark", "QUERY_STRING", { target: "/a?" }, "QUERY_STRING:\n"),
  shows(
    "QUERY_STRING is not decoded",
    "QUERY_STRING",
    { target: "/?a=%20+b&c=%zz?d" },
    "QUERY_STRING:a=%20+b&c=%zz?d\n",
  ),
  shows(
    "QUERY_STRING without an equals sign is not lost",
    "QUERY_STRING",
    { target: "/?one+two" },
    "QUERY_STRING:one+two\n",
  ),
  shows("SERVER_PROTOCOL of HTTP/1.1", "SERVER_PROTOCOL", {}, "SERVER_PROTOCOL:HTTP/1.1\n"),
  shows("SERVER_PROTOCOL of HTTP/1.0", "SERVER_PROTOCOL", { version: "1.0" }, "SERVER_PROTOCOL:HTTP/1.0\n"),
  shows("REMOTE_ADDR is the client", "REMOTE_ADDR", {}, "REMOTE_ADDR:127.0.0.1\n"),
  method("GET"),
  method("POST"),
  method("PUT"),
  method("DELETE"),
  method("PATCH"),
  method("OPTIONS"),
  method("PROPFIND"),
  {
    ...method("FOO"),
    deviations: {
      dev: { because: "the parser of node:http refuses methods it does not know", expect: { status: 400, body: "" } },
    },
  },
  shows("Plack: handle HTTP-Header", "HTTP_FOO", { headers: [["Foo", "Bar"]] }, "HTTP_FOO:Bar\n"),
  shows("Plack: handle HTTP-Cookie", "HTTP_COOKIE", { headers: [["Cookie", "foo"]] }, "HTTP_COOKIE:foo\n"),
  shows(
    "Plack: no COOKIE beside HTTP_COOKIE",
    "HTTP_COOKIE,COOKIE",
    { headers: [["Cookie", "foo=bar"]] },
    "HTTP_COOKIE:foo=bar\nCOOKIE absent\n",
  ),
  {
    name: "Plack: multi headers (request) are joined with commas",
    app: "show",
    request: {
      headers: [
        ["X-Show", "HTTP_FOO"],
        ["Foo", "bar"],
        ["Foo", "baz"],
      ],
    },
    expect: { body: /^HTTP_FOO:bar, ?baz\n$/u },
  },
  {
    name: "two Cookie lines become one",
    app: "show",
    request: {
      headers: [
        ["X-Show", "HTTP_COOKIE"],
        ["Cookie", "a=1"],
        ["Cookie", "b=2"],
      ],
    },
    expect: { body: /^HTTP_COOKIE:a=1[;,] b=2\n$/u },
  },
  shows(
    "a header name becomes upper case with underscores",
    "HTTP_X_MIXED_CASE",
    { headers: [["x-MiXed-case", "1"]] },
    "HTTP_X_MIXED_CASE:1\n",
  ),
  shows(
    "a header with an underscore in its name cannot pose as another",
    "HTTP_X_REAL_IP",
    { headers: [["X_Real_IP", "6.6.6.6"]] },
    "HTTP_X_REAL_IP absent\n",
  ),
  shows("an empty header is there and empty", "HTTP_X_NOTHING", { headers: [["X-Nothing", ""]] }, "HTTP_X_NOTHING:\n"),
  shows(
    "latin-1 bytes in a header arrive unchanged",
    "HTTP_X_LATIN",
    { headers: [["X-Latin", "caf\u00e9\u00ff"]] },
    "HTTP_X_LATIN:caf\u00e9\u00ff\n",
  ),
  shows(
    "Plack: a big header value > 128 bytes",
    "HTTP_X_FOO",
    { headers: [["X-Foo", "abcdefgh".repeat(16)]] },
    `HTTP_X_FOO:${"abcdefgh".repeat(16)}\n`,
  ),
  shows(
    "a header value of 7,000 bytes",
    "HTTP_X_FOO",
    { headers: [["X-Foo", "y".repeat(7000)]] },
    `HTTP_X_FOO:${"y".repeat(7000)}\n`,
  ),
  shows(
    "a Proxy header gives no HTTP_PROXY",
    "HTTP_PROXY",
    { headers: [["Proxy", "http://evil/"]] },
    "HTTP_PROXY absent\n",
  ),
  {
    name: "a Proxy header does not reach the process environment",
    app: "process environment",
    request: { headers: [["Proxy", "http://evil/"]] },
    expect: { body: "none" },
  },
  shows(
    "a header called __proto__ does no harm",
    "HTTP_X_AFTER",
    {
      headers: [
        ["__proto__", "x"],
        ["Constructor", "y"],
        ["X-After", "1"],
      ],
    },
    "HTTP_X_AFTER:1\n",
  ),
  shows(
    "Plack: handle Authorization header",
    "HTTP_AUTHORIZATION",
    { headers: [["Authorization", "Basic XXXX"]] },
    "HTTP_AUTHORIZATION:Basic XXXX\n",
  ),
  shows("Plack: no Authorization header, no variable", "HTTP_AUTHORIZATION", {}, "HTTP_AUTHORIZATION absent\n"),
  shows(
    "CONTENT_TYPE comes without a body too",
    "CONTENT_TYPE,HTTP_CONTENT_TYPE",
    { headers: [["Content-Type", "text/x-y"]] },
    "CONTENT_TYPE:text/x-y\nHTTP_CONTENT_TYPE absent\n",
  ),
  {
    name: "CONTENT_TYPE and CONTENT_LENGTH of a body",
    app: "content type and length",
    request: { method: "PUT", headers: [["Content-Type", "text/plain; charset=x"]], body: "12345" },
    expect: { headers: { "client-content-length": "5", "client-content-type": "text/plain; charset=x" } },
  },
  {
    name: "no CONTENT_TYPE when none was sent",
    app: "content type and length",
    request: { method: "POST", body: "x" },
    expect: { headers: { "client-content-type": "absent" } },
  },
  { name: "environ is fresh for the first request", app: "fresh environ", expect: { body: "a fresh environ" } },
  {
    name: "environ is fresh for the next request",
    app: "fresh environ",
    request: { target: "/again" },
    expect: { body: "a fresh environ" },
  },
  {
    name: "the transport is named, and run_once is true in CGI alone",
    app: "run once",
    expect: { body: "fastcgi false" },
    deviations: {
      ...on(["direct", "root"], { because: "no server at all", expect: { body: /^(?:http|cgi) (?:true|false)$/u } }),
      dev: { because: "an HTTP server", expect: { body: "http false" } },
      cgi: { because: "CGI", expect: { body: "cgi true" } },
      cgi_warm: { because: "one process runs many requests", expect: { body: "cgi false" } },
    },
  },
  {
    name: "tsgi.script is the application's file",
    app: "script file",
    expect: { body: "rows.ts" },
    deviations: on(["direct", "root"], { because: "the application was not loaded from a file", expect: { body: "" } }),
  },
  { name: "tsgi.request_id is there", app: "request id", expect: { headers: { "x-request-id": /^\S{8,}$/u } } },
  {
    name: "tsgi.log does not disturb the answer",
    app: "log line",
    expect: { body: "logged", log: ["written through tsgi.log"] },
  },
  {
    name: "Host gives SERVER_NAME and HTTP_HOST",
    app: "show",
    request: {
      headers: [
        ["X-Show", "SERVER_NAME,SERVER_PORT,HTTP_HOST"],
        ["Host", "shop.example:8123"],
      ],
    },
    expect: { body: "SERVER_NAME:shop.example\nSERVER_PORT:8123\nHTTP_HOST:shop.example:8123\n" },
    deviations: {
      ...on(["direct", "root"], { because: "the URL's authority names the server", skip: true }),
      dev: {
        because: "tsgi dev tells the port that it listens on",
        expect: { body: /^SERVER_NAME:shop\.example\nSERVER_PORT:\d+\nHTTP_HOST:shop\.example:8123\n$/u },
      },
    },
  },
  {
    ...shows("a target in absolute form", "PATH_INFO,QUERY_STRING", {}, "PATH_INFO:/a b\nQUERY_STRING:q=1\n"),
    request: { target: "ABSOLUTE/a%20b?q=1", headers: [["X-Show", "PATH_INFO,QUERY_STRING"]] },
  },
];
