// One HTTP request of the doctor: a deadline, a limit for the body, no redirect followed.

import type { IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { messageOf } from "../errors.ts";

export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** The beginning of the body, as latin-1. */
  readonly body: string;
  /** When each piece of the body came, ms since the request. */
  readonly arrivals: readonly number[];
}

export interface Question {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Default 10 s. */
  readonly deadlineMs?: number;
}

const maxBody = 256 * 1024;

/** The reply, or why there is none; never rejects. `path` replaces that of the URL, as it is. */
export async function askUrl(
  url: URL,
  path: string,
  question: Question = {},
): Promise<Reply | { readonly problem: string }> {
  const { method = "GET", headers = {}, body, deadlineMs = 10_000 } = question;
  const start = performance.now();
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  return await new Promise((resolve) => {
    const length = body === undefined ? {} : { "Content-Length": String(body.length) };
    const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
    const sent = send({
      hostname,
      port: url.port,
      method,
      path,
      agent: false,
      headers: { Host: url.host, "User-Agent": "tsgi-doctor", ...length, ...headers },
    });
    const end = (outcome: Reply | { readonly problem: string }): void => {
      clearTimeout(timer);
      sent.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => end({ problem: `no answer after ${deadlineMs / 1000} s` }), deadlineMs);
    sent.once("error", (error) => end({ problem: messageOf(error) }));
    sent.once("response", (response) => {
      const arrivals: number[] = [];
      let text = "";
      const whole = (): void =>
        end({ status: response.statusCode ?? 0, headers: response.headers, body: text, arrivals });
      response.on("data", (chunk: Buffer) => {
        arrivals.push(performance.now() - start);
        text += chunk.toString("latin1");
        if (text.length > maxBody) whole();
      });
      response.once("end", whole);
      response.once("error", whole);
    });
    sent.end(body);
  });
}

/** The path of a URL with more behind it; the URL's own last name counts as a folder. */
export function pathUnder(url: URL, rest: string): string {
  return `${url.pathname.replace(/\/+$/, "")}/${rest}`;
}
