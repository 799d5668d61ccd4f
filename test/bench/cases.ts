// What is measured, with whom, and what a right answer is.
// Rules: a case names its reference, to which the others are compared. `quick` names those who matter most, none where
// the case can wait: `--quick` measures only them.

import { chunks } from "./peers/content.ts";
import type { LoadRequest } from "./wrk.ts";

interface Common {
  readonly name: string;
  readonly title: string;
  /** The peer that is 1.00. */
  readonly reference: string;
  readonly peers: readonly string[];
  readonly quick: readonly string[];
}

/** Requests per second of some clients at once. */
export interface RateCase extends Common {
  readonly kind: "rate";
  readonly route: string;
  readonly request: LoadRequest;
  readonly expected: Buffer;
  readonly clients: number;
  /** Answers that are compared whole before each measurement. */
  readonly checks: number;
  /** Whether every right answer has the same size. */
  readonly hasFixedSize: boolean;
}

/** Milliseconds for a request of one client, the median of some. */
export interface TimeCase extends Common {
  readonly kind: "time";
  readonly route: string;
  readonly expected: Buffer;
}

/** Seconds for one upload, and how much memory the process that reads it takes more. */
export interface UploadCase extends Common {
  readonly kind: "upload";
  readonly bytes: number;
}

/** What one process by itself takes: time to its first answer, memory, memory for each kept connection. */
export interface ProcessCase extends Common {
  readonly kind: "start" | "memory" | "connection";
}

export type Case = RateCase | TimeCase | UploadCase | ProcessCase;

const everybody = [
  "tsgi",
  "static",
  "floor",
  "libfcgi",
  "wsgi-embedded",
  "wsgi-daemon",
  "php-fpm",
  "passenger",
  "http-node",
  "node-fastcgi",
  "node-fastcgi-reuse",
];
const applications = everybody.filter((name) => !["static", "floor", "libfcgi"].includes(name));
const hello = Buffer.from("Hello World!");

function rate(name: string, title: string, more: Partial<RateCase>): RateCase {
  const base = { kind: "rate", reference: "tsgi", peers: applications, quick: ["tsgi", "http-node"] } as const;
  const plain = {
    route: "/hello",
    request: {},
    expected: hello,
    clients: 16,
    checks: 200,
    hasFixedSize: true,
  } as const;
  return { name, title, ...base, ...plain, ...more };
}

/** One application of a framework: with us, and as a server of its own. */
function framework(name: string, title: string, app: string, more: Partial<RateCase> = {}): RateCase {
  const peers = [`tsgi-${app}`, `http-${app}`];
  return rate(name, title, { reference: `tsgi-${app}`, peers, quick: peers, ...more });
}

const json = {
  route: "/json?name=Ada%20Lovelace&n=21",
  expected: Buffer.from('{"name":"Ada Lovelace","n":21,"doubled":42}'),
} as const;

const form = new URLSearchParams({ name: "Ada Lovelace", text: "words and more words, ".repeat(85), sent: "yes" });
const manyHeaders: Record<string, string> = {
  Cookie: ["session=0123456789abcdef0123456789abcdef", "theme=dark", "language=en", "seen=17", "cart=42"].join("; "),
};
for (let index = 0; index < 20; index += 1) manyHeaders[`X-Bench-${index}`] = `value number ${index}`;

export const cases: readonly Case[] = [
  rate("hello-16", "hello, 16 clients", {
    peers: everybody,
    quick: everybody.filter((name) => name !== "node-fastcgi" && name !== "wsgi-embedded"),
  }),
  rate("hello-1", "hello, 1 client", { clients: 1, peers: everybody }),
  rate("hello-64", "hello, 64 clients", { clients: 64, peers: everybody, quick: [] }),
  rate("hello-256", "hello, 256 clients", { clients: 256, peers: everybody }),
  rate("json", "JSON, GET with a query", json),
  rate("form", "form of 2 KB, POST", {
    route: "/form",
    request: {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    },
    expected: Buffer.from(`3 ${form.get("text")?.length}`),
  }),
  rate("headers", "20 headers and 5 cookies", {
    route: "/headers",
    request: { headers: manyHeaders },
    expected: Buffer.from("20 5"),
    quick: [],
  }),
  rate("64k", "response of 64 KB", {
    route: "/bytes/64k",
    expected: Buffer.alloc(65_536, "x"),
    peers: [...applications, "static"],
    checks: 50,
  }),
  rate("1m", "response of 1 MiB", {
    route: "/bytes/1m",
    expected: Buffer.alloc(1_048_576, "x"),
    peers: [...applications, "static"],
    quick: ["tsgi", "http-node", "wsgi-daemon"],
    checks: 10,
  }),
  rate("stream", "response of 1,000 chunks", {
    route: "/stream",
    expected: Buffer.from(chunks.join("")),
    checks: 20,
    hasFixedSize: false, // how chunks are framed is a matter of time
  }),
  framework("express", "Express, hello", "express"),
  framework("express-json", "Express, JSON", "express", json),
  framework("fastify", "Fastify, hello", "fastify"),
  framework("hono", "Hono, hello", "hono"),
  framework("hono-json", "Hono, JSON", "hono", { ...json, quick: [] }),
  rate("scaling", "1 ms of work, workers", {
    route: "/work",
    expected: Buffer.from("done"),
    peers: ["tsgi", "tsgi-2"],
    quick: ["tsgi", "tsgi-2"],
    checks: 50,
  }),
  rate("fcgid", "mod_fcgid, hello, 1 client", {
    reference: "fcgid-tsgi",
    clients: 1,
    peers: ["fcgid-tsgi", "fcgid-c"],
    quick: ["fcgid-tsgi", "fcgid-c"],
  }),
  {
    kind: "time",
    name: "cgi",
    title: "CGI, hello, 1 client",
    reference: "cgi-tsgi",
    route: "/hello",
    expected: hello,
    peers: ["cgi-tsgi", "cgi-c", "cgi-sh", "cgi-perl", "cgi-python", "cgi-node"],
    quick: ["cgi-tsgi", "cgi-c", "cgi-sh", "cgi-perl", "cgi-python", "cgi-node"],
  },
  {
    kind: "time",
    name: "cgi-express",
    title: "CGI, Express, 1 client",
    reference: "cgi-tsgi-express",
    route: "/hello",
    expected: hello,
    peers: ["cgi-tsgi-express", "cgi-express-cached", "cgi-express"],
    quick: ["cgi-tsgi-express", "cgi-express-cached", "cgi-express"],
  },
  {
    kind: "time",
    name: "warm",
    title: "warm CGI, 1 client",
    reference: "cgi-tsgi-warm",
    route: "/hello",
    expected: hello,
    peers: ["cgi-tsgi-warm", "cgi-tsgi-express-warm", "cgi-c", "cgi-tsgi", "cgi-tsgi-express"],
    quick: ["cgi-tsgi-warm", "cgi-tsgi-express-warm", "cgi-c"],
  },
  {
    kind: "upload",
    name: "upload",
    title: "upload of 400 MB",
    reference: "tsgi",
    bytes: 400_000_000,
    peers: ["tsgi", "http-node", "wsgi-daemon", "php-fpm", "node-fastcgi"],
    quick: ["tsgi", "http-node", "wsgi-daemon"],
  },
  ...(["start", "memory", "connection"] as const).map((kind): ProcessCase => {
    const title = {
      start: "start of the daemon to its first answer",
      memory: "resident memory of an idle worker",
      connection: "resident memory of an idle kept connection",
    };
    const peers = ["tsgi", "http-node", "node-fastcgi"];
    const quick = ["tsgi", "http-node"];
    return { kind, name: kind, title: title[kind], reference: "tsgi", peers, quick };
  }),
];

/** The unit of a case's figures, and whether more of it is better. */
export function unitOf(one: Case): { readonly unit: string; readonly isMoreBetter: boolean } {
  switch (one.kind) {
    case "rate":
      return { unit: "requests/s", isMoreBetter: true };
    case "time":
    case "start":
      return { unit: "ms", isMoreBetter: false };
    case "upload":
      return { unit: "s", isMoreBetter: false };
    case "memory":
      return { unit: "MiB", isMoreBetter: false };
    case "connection":
      return { unit: "KiB", isMoreBetter: false };
  }
}
