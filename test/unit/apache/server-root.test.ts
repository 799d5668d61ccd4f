// The whole configuration of a private Apache: which modules each mode needs, and what must and must not be in it. That
// Apache accepts it is tested where the server root is written.
import { expect, test } from "vitest";
import { render } from "../../../src/apache/directives.ts";
import type { ServerRootOptions } from "../../../src/apache/server-root.ts";
import { requiredModules, serverRoot } from "../../../src/apache/server-root.ts";

const options: ServerRootOptions = {
  site: {
    target: { kind: "application", file: "/srv/app/app.ts", exportName: undefined },
    mountPoint: "",
    documentRoot: undefined,
  },
  mode: "proxy_fcgi",
  folder: "/srv/root",
  modules: [{ name: "dir", file: "/usr/lib/mod_dir.so" }],
  mpm: "event",
  account: undefined,
  host: "127.0.0.1",
  port: 8000,
  mediaTypes: "/etc/mime.types",
  logLevel: "warn",
  errorLog: "/srv/root/logs/error_log",
  accessLog: undefined,
  daemonAddress: { kind: "unix", path: "/srv/root/sockets/tsgi.sock" },
  program: "/srv/root/bin/app.cgi",
};

const scripts = { ...options.site, target: { kind: "scripts", root: "/srv/site" } } as const;

test("a mode loads what it needs and nothing of the others", () => {
  const proxy = requiredModules(options);
  expect(proxy).toContain("proxy_fcgi");
  expect(proxy).not.toContain("fcgid");
  expect(proxy).not.toContain("rewrite");
  expect(requiredModules({ ...options, mode: "fcgid" })).toContain("fcgid");
  expect(requiredModules({ ...options, mode: "fcgid" })).not.toContain("proxy");
});

test("CGI uses the module that fits the MPM, and mod_actions only for a folder", () => {
  expect(requiredModules({ ...options, mode: "cgi" })).toContain("cgid");
  expect(requiredModules({ ...options, mode: "cgi" })).not.toContain("actions");
  const prefork = requiredModules({ ...options, mode: "cgi", mpm: "prefork", site: scripts });
  expect(prefork).toEqual(expect.arrayContaining(["mpm_prefork", "cgi", "actions"]));
  expect(prefork).not.toContain("cgid");
});

test("an access log and a document root bring their modules", () => {
  expect(requiredModules({ ...options, accessLog: "/x" })).toContain("log_config");
  const site = { ...options.site, documentRoot: "/srv/public" };
  expect(requiredModules({ ...options, site })).toContain("rewrite");
});

test("nothing is served but what is granted, and nothing of the system's configuration is read", () => {
  const text = render(serverRoot(options));
  expect(text).toMatch(/<Directory \/>\n\s+Options None\n\s+AllowOverride None\n\s+Require all denied/);
  expect(text).not.toMatch(/^\s*Include/m);
});

test("workers get a user only when root starts them", () => {
  expect(render(serverRoot(options))).not.toMatch(/^User /m);
  const text = render(serverRoot({ ...options, account: { user: "www-data", group: "www-data" } }));
  expect(text).toMatch(/^User www-data$/m);
  expect(text).toMatch(/^Group www-data$/m);
});

test("the raw URL reaches the application in every mode", () => {
  for (const mode of ["proxy_fcgi", "fcgid", "cgi"] as const) {
    const text = render(serverRoot({ ...options, mode }));
    expect(text, mode).toMatch(/^AllowEncodedSlashes NoDecode$/m);
    expect(text, mode).toMatch(/^MergeSlashes Off$/m);
    expect(text, mode).toMatch(/^\s*CGIPassAuth On$/m);
  }
  expect(render(serverRoot(options))).toMatch(
    /^ProxyPass \/ .* nocanon enablereuse=on flushpackets=on iobuffersize=32768 timeout=300 ttl=60$/m,
  );
});

test("the type a browser needs for modules is there with and without a table of types", () => {
  const without = render(serverRoot({ ...options, mediaTypes: undefined }));
  for (const text of [render(serverRoot(options)), without])
    expect(text).toMatch(/^AddType text\/javascript \.js \.mjs$/m);
  expect(without).toMatch(/^AddType text\/css \.css$/m);
  expect(without).toMatch(/^TypesConfig \/dev\/null$/m);
});

test("an IPv6 host stands in brackets, and a server for every address names itself localhost", () => {
  expect(render(serverRoot({ ...options, host: "::1" }))).toMatch(/^Listen \[::1\]:8000$/m);
  expect(render(serverRoot({ ...options, host: "0.0.0.0" }))).toMatch(/^ServerName localhost:8000$/m);
});

test("a folder of scripts has its sources run, never sent, in every mode", () => {
  for (const mode of ["proxy_fcgi", "fcgid", "cgi"] as const) {
    const text = render(serverRoot({ ...options, mode, site: scripts }));
    const handlers = /<FilesMatch "\(\?i\)\\\.\[cm\]\?tsx\?\$">([^<]*)<\/FilesMatch>/.exec(text)?.[1] ?? "";
    expect(handlers, mode).toMatch(/SetHandler ("proxy:unix:|fcgid-script|tsgi-script)/);
  }
});

test("the status page is for requests from this machine, where it was asked for", () => {
  const address = { kind: "unix", path: "/srv/root/sockets/status.sock" } as const;
  const statusMount = { mountPoint: "/tsgi-status", address };
  expect(render(serverRoot(options))).not.toContain("http://");
  expect(requiredModules(options)).not.toContain("proxy_http");
  expect(requiredModules({ ...options, statusMount })).toEqual(expect.arrayContaining(["proxy_http", "authz_host"]));
  const text = render(serverRoot({ ...options, statusMount }));
  const [, section = ""] = /<Location \/tsgi-status>\n([^<]*)<\/Location>\n$/.exec(text) ?? [];
  expect(section).toMatch(/^ {2}Require local$/m);
  expect(section).toMatch(/^ {2}ProxyPass "unix:\/srv\/root\/sockets\/status.sock\|http:\/\/[a-z.]+" retry=0 /m);
});
