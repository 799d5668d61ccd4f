// The page a client gets when a request failed before its head was sent.
// Rules: status, reason and request id, nothing of the failure itself; the log has the rest under the same id.

import { TsgiError } from "../errors.ts";
import type { HeaderList } from "../spec.ts";
import { reasonOf } from "./status.ts";

const retryAfterSeconds = 1;

export interface ErrorPage {
  readonly status: string;
  readonly headers: HeaderList;
  readonly body: string;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The status code that an error asks for; 500 for anything that is not one of ours. */
export function statusOf(error: unknown): number {
  return error instanceof TsgiError ? error.status : 500;
}

export function errorPage(code: number, requestId: string): ErrorPage {
  const title = `${code} ${reasonOf(code)}`;
  const body = [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>`,
    `<body><h1>${title}</h1><p>Request ID: <code>${escapeHtml(requestId)}</code></p></body></html>\n`,
  ].join("\n");
  const headers: Array<readonly [string, string]> = [
    ["Content-Type", "text/html; charset=utf-8"],
    ["Cache-Control", "no-store"],
  ];
  if (code === 503) headers.push(["Retry-After", String(retryAfterSeconds)]);
  return { status: title, headers, body };
}
