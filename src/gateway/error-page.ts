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

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The status code that an error asks for; 500 for anything that is not one of ours. */
export function statusOf(error: unknown): number {
  return error instanceof TsgiError ? error.status : 500;
}

/** A page of any kind for a status code. */
export function pageOf(code: number, body: string, more: HeaderList = []): ErrorPage {
  const headers: Array<readonly [string, string]> = [
    ["Content-Type", "text/html; charset=utf-8"],
    ["Cache-Control", "no-store"],
    ...more,
  ];
  if (code === 503) headers.push(["Retry-After", String(retryAfterSeconds)]);
  return { status: `${code} ${reasonOf(code)}`, headers, body };
}

export function errorPage(code: number, requestId: string): ErrorPage {
  return pageFromTemplate(standardTemplate, code, requestId);
}

/** The page of this package for an error. */
export function errorPageFor(error: unknown, requestId: string): ErrorPage {
  return errorPage(statusOf(error), requestId);
}

/** A page of the operator's: HTML in which `{{status}}`, `{{reason}}` and `{{request_id}}` stand for these. */
export function pageFromTemplate(template: string, code: number, requestId: string): ErrorPage {
  const values: Readonly<Record<string, string>> = {
    status: String(code),
    reason: reasonOf(code),
    request_id: requestId,
  };
  const body = template.replace(/\{\{\s*(status|reason|request_id)\s*\}\}/g, (_, name: string) =>
    escapeHtml(values[name] ?? ""),
  );
  return pageOf(code, body);
}

const standardTemplate = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{status}} {{reason}}</title></head>
<body><h1>{{status}} {{reason}}</h1><p>Request ID: <code>{{request_id}}</code></p></body></html>
`;
