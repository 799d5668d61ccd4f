// The page that a developer sees of a failed request (`tsgi dev`, `--debug`): the source around each call, what caused the
// error, and what came in. For a client that takes no HTML it is text.
// Rules: as error-pages.ts has them; the browser runs nothing and loads nothing for it.

import type { ErrorPage } from "../../gateway/error-page.ts";
import { pageOf, statusOf } from "../../gateway/error-page.ts";
import { OverloadedError, StoppingError } from "../../errors.ts";
import type { HeaderList } from "../../spec.ts";
import type { ErrorPages, Failure } from "../error-pages.ts";
import { whyNotShown } from "./audience.ts";
import type { ShownError, ShownFrame } from "./failure.ts";
import { showErrors } from "./failure.ts";
import type { Markup } from "./markup.ts";
import { markup } from "./markup.ts";
import { styles } from "./styles.ts";
import { showVariables } from "./variables.ts";

interface Shown {
  readonly title: string;
  /** Facts about the request. */
  readonly facts: ReadonlyArray<readonly [name: string, value: string]>;
  readonly errors: readonly ShownError[];
  readonly variables: ReadonlyArray<readonly [name: string, value: string]>;
}

const protection: HeaderList = [
  ["Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"],
  ["X-Content-Type-Options", "nosniff"],
  ["Referrer-Policy", "no-referrer"],
];

const nothing = markup``;

function headingOf({ name, message }: ShownError): string {
  return name === "" ? `thrown: ${message}` : `${name}: ${message}`;
}

function placeOf({ file, line, column }: ShownFrame): string {
  return line === 0 ? file : `${file}:${line}:${column}`;
}

function describe({ error, requestId, script, variables }: Failure, title: string): Shown {
  const shown = showVariables(variables);
  const target = shown.find(([name]) => name === "REQUEST_URI")?.[1] ?? "";
  const facts: Array<readonly [string, string]> = [
    ["Request", `${variables["REQUEST_METHOD"] ?? "GET"} ${target}`],
    ["Request ID", requestId],
    ["Script", script],
    ["Worker", String(process.pid)],
    ["Node.js", process.version],
  ];
  return { title, facts: facts.filter(([, value]) => value !== ""), errors: showErrors(error), variables: shown };
}

function sourceMarkup({ source }: ShownFrame): Markup {
  const rows = source.map(({ number, text, caret }) =>
    caret === undefined
      ? markup`<span><i>${number}</i>${text}\n</span>`
      : markup`<span class="here"><i>${number}</i>${text}\n</span><span class="caret"><i></i>${caret}\n</span>`,
  );
  return rows.length === 0 ? nothing : markup`<pre class="source">${rows}</pre>`;
}

function frameMarkup(frame: ShownFrame): Markup {
  const name = frame.name === "" ? "(top level)" : frame.name;
  return markup`<li><p><b>${name}</b> <code>${placeOf(frame)}</code></p>${sourceMarkup(frame)}</li>\n`;
}

function callMarkup(frame: ShownFrame): Markup {
  return markup`<li><code>${frame.name} ${placeOf(frame)}</code></li>\n`;
}

function errorMarkup(error: ShownError): Markup {
  const { frames, relation, code } = error;
  const own = frames.filter(({ isApplications }) => isApplications);
  const all = markup`<details><summary>All ${frames.length} calls</summary><ol>${frames.map(callMarkup)}</ol></details>`;
  return markup`<section>
${relation === "" ? nothing : markup`<p class="relation">${relation}</p>`}
<h2>${headingOf(error)}</h2>
${code === undefined ? nothing : markup`<p>See <code>tsgi explain ${code}</code></p>`}
<ol>${own.map(frameMarkup)}</ol>
${frames.length > own.length ? all : nothing}
</section>
`;
}

function rowsMarkup(rows: Shown["facts"]): Markup {
  return markup`<table>${rows.map(([name, value]) => markup`<tr><th>${name}</th><td>${value}</td></tr>\n`)}</table>`;
}

function toHtml(shown: Shown): string {
  const page = markup`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${shown.title}</title>
<style>${styles}</style></head><body><h1>${shown.title}</h1>
${rowsMarkup(shown.facts)}
${shown.errors.map(errorMarkup)}<h2>Environ</h2>
${rowsMarkup(shown.variables)}
<p>Shown because of <code>tsgi dev</code> or <code>--debug</code>, to requests from this machine only.</p></body></html>
`;
  return page.text;
}

function frameText(frame: ShownFrame): string {
  const lines = frame.source.flatMap(({ number, text, caret }) => {
    const margin = `${caret === undefined ? " " : ">"}${String(number).padStart(6)} | `;
    return [margin + text, ...(caret === undefined ? [] : [`${" ".repeat(7)} | ${caret}`])];
  });
  return [`  at ${frame.name === "" ? "(top level)" : frame.name} (${placeOf(frame)})`, ...lines].join("\n");
}

function toText(shown: Shown): string {
  const errors = shown.errors.map((error) =>
    [
      error.relation === "" ? headingOf(error) : `${error.relation}: ${headingOf(error)}`,
      ...(error.code === undefined ? [] : [`  (tsgi explain ${error.code})`]),
      ...error.frames.map(frameText),
    ].join("\n"),
  );
  const rows = (pairs: Shown["facts"]): string => pairs.map(([name, value]) => `${name}: ${value}`).join("\n");
  return `${[shown.title, rows(shown.facts), ...errors, rows(shown.variables)].join("\n\n")}\n`;
}

function pageFor(failure: Failure): ErrorPage {
  const code = statusOf(failure.error);
  const plain = pageOf(code, "", protection);
  const accept = failure.variables["HTTP_ACCEPT"] ?? "";
  const shown = describe(failure, plain.status);
  if (/text\/html|application\/xhtml/i.test(accept)) return { ...plain, body: toHtml(shown) };
  const headers = plain.headers.map(([name, value]): readonly [string, string] =>
    name === "Content-Type" ? [name, "text/plain; charset=utf-8"] : [name, value],
  );
  return { ...plain, headers, body: toText(shown) };
}

/** Pages for a developer; `plain` makes those for everybody else. */
export function debugPages(plain: ErrorPages | undefined): ErrorPages {
  return (failure, log) => {
    const { error } = failure;
    if (error instanceof OverloadedError || error instanceof StoppingError) return plain?.(failure, log);
    const reason = whyNotShown(failure.variables);
    if (reason !== undefined) {
      log.info({ reason }, "the page for developers was not shown");
      return plain?.(failure, log);
    }
    try {
      return pageFor(failure);
    } catch (pageError) {
      log.warn({ code: "TSGI4103", err: pageError }, "the page for developers could not be made");
      return plain?.(failure, log);
    }
  };
}
