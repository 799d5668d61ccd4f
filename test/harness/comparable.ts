// Replies through Apache and from node:http, made comparable: what belongs to a connection or a server is left out.
import type { HttpReply, HttpRequest } from "./http.ts";
import { httpRequest } from "./http.ts";

const ofServer = new Set(["date", "server", "connection", "keep-alive", "transfer-encoding", "trailer"]);

/** What Apache may add or join: the length of a body that it has whole, and equal names, but for Set-Cookie. */
function headersOf({ headers, body }: HttpReply): string[] {
  const joined = new Map<string, string>();
  const lines: string[] = [];
  for (const [given, value] of headers) {
    const name = given.toLowerCase();
    if (ofServer.has(name) || (name === "content-length" && Number(value) === body.length)) continue;
    if (name === "set-cookie") lines.push(`${name}: ${value}`);
    else joined.set(name, joined.has(name) ? `${joined.get(name)}, ${value}` : value);
  }
  return [...lines, ...[...joined].map(([name, value]) => `${name}: ${value}`)].toSorted();
}

export interface Comparable {
  readonly status: number;
  readonly reason: string;
  readonly complete: boolean;
  readonly headers: readonly string[];
  readonly body: string;
}

/** What came back, or why nothing did. */
export type Outcome = Comparable | string;

function comparable(reply: HttpReply): Comparable {
  const { status, reason, complete } = reply;
  return { status, reason, complete, headers: headersOf(reply), body: reply.body.toString("latin1") };
}

/** Sends a request and gives its reply, made comparable. Never rejects. */
export async function ask(port: number | undefined, request: HttpRequest): Promise<Outcome> {
  return await httpRequest(port ?? 0, request, { deadlineMs: 15_000 }).then(comparable, String);
}

/** @hono/node-server, which is what a fetch handler is compared with, gives a type to a Response that has none. */
export function withoutGuessedType(wanted: Outcome, got: Outcome): Outcome {
  if (typeof wanted === "string" || typeof got === "string") return wanted;
  const guessed = "content-type: text/plain; charset=UTF-8";
  const type = got.headers.find((line) => line.startsWith("content-type:"));
  const headers = wanted.headers.flatMap((line) => (line === guessed ? (type ?? []) : line));
  return { ...wanted, headers };
}

export const isFetch = (file: string): boolean => /hono|itty/u.test(file);
