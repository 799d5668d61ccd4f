// The status page: one document without anything to load. Its script fetches what it shows.
// Rules: nothing of the daemon's or of a request is in the document itself, so there is nothing to escape; addresses are
// relative to where the page is mounted; only what has the nonce of this answer is run or styled.

import { markup, Markup } from "../../server/debug-page/markup.ts";
import { chartScript } from "./chart-script.ts";
import { domScript } from "./dom-script.ts";
import { pageScript } from "./page-script.ts";
import { styles } from "./styles.ts";

function tile(id: string, name: string): Markup {
  return markup`<div><dt>${name}</dt><dd id="${id}">-</dd></div>\n`;
}

function figure(id: string, name: string): Markup {
  return markup`<figure class="card" id="${id}"><figcaption><h2>${name}</h2></figcaption></figure>\n`;
}

interface Column {
  readonly name: string;
  readonly isNumber?: boolean;
}

function words(names: string): readonly Column[] {
  return names.split(" ").map((name) => ({ name }));
}

function numbers(names: string): readonly Column[] {
  return names.split(",").map((name) => ({ name: name.trim(), isNumber: true }));
}

function section(id: string, name: string, columns: readonly Column[]): Markup {
  const heads = columns.map(({ name, isNumber }) =>
    isNumber === true ? markup`<th scope="col" class="number">${name}</th>` : markup`<th scope="col">${name}</th>`,
  );
  return markup`<section class="card" aria-labelledby="${id}-name"><h2 id="${id}-name">${name}</h2>
<div class="scroll" role="region" aria-labelledby="${id}-name" tabindex="0"><table><thead><tr>${heads}</tr></thead><tbody id="${id}"></tbody></table></div></section>
`;
}

const sections = [
  section("running", "Longest running requests", [
    ...numbers("Running for"),
    ...words("Request Where Script"),
    ...numbers("Worker"),
  ]),
  section("workers", "Workers", [
    ...numbers("Process"),
    ...words("Group State"),
    ...numbers("Generation, Busy, Waiting, Connections, Served, p50, p95, Memory, Heap, Loop lag, Age"),
  ]),
  section("groups", "Groups", [
    ...words("Group State"),
    ...numbers("Workers, Generation, Served, Queue, Shed, Timed out, Reloads"),
    ...words("Restarts Address"),
  ]),
  section("applications", "Applications", [
    ...words("Script Group"),
    ...numbers("Requests, Errors, p50, p95, p99, Longest"),
  ]),
  section("slowest", "Slowest requests of the last 15 minutes", [
    ...numbers("Took"),
    ...words("Request Status Began Script"),
  ]),
];

/** The document; `nonce` is of this answer alone. */
export function statusPage(nonce: string): string {
  const style = new Markup(styles);
  const script = new Markup(`"use strict";\n${domScript}${chartScript}${pageScript}`);
  return markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>tsgi status</title><style nonce="${nonce}">${style}</style></head>
<body>
<header><h1>tsgi</h1><span class="pill" id="state">loading</span><p id="about"></p><button id="reload" type="button" disabled>Reload...</button></header>
<main>
<div class="notice bad" id="lost" role="alert"></div>
<div class="notice" id="told" role="status"></div>
<div class="notice bad" id="boot-error" role="status"></div>
<noscript><p class="notice warn">This page needs its script. The same is in status.json, history.json and metrics.</p></noscript>
<dl class="tiles">
${tile("rate", "Requests per second")}${tile("errors", "Errors per second")}${tile("p95", "Latency, p95")}${tile("busy", "Busy / waiting")}${tile("memory", "Memory")}${tile("lag", "Event loop lag")}</dl>
<div class="charts">
${figure("rate-chart", "Requests per second")}${figure("latency-chart", "Latency")}${figure("error-chart", "Errors per second")}${figure("memory-chart", "Memory")}</div>
${sections}</main>
<footer><p>Charts show the last 15 minutes; with one in focus, the arrow keys move through it. Numbers are as of <span id="now">-</span>.</p></footer>
<dialog id="dialog" aria-labelledby="dialog-name"><form id="form"><h2 id="dialog-name">Reload all workers</h2>
<p>New workers are started, and take over when all of them serve. No request is lost.</p>
<label>Control token<input id="token" type="password" autocomplete="off" spellcheck="false" required></label>
<p>It is in the file <code id="token-file"></code> on the server.</p>
<div class="actions"><button type="button" class="plain" id="cancel">Cancel</button><button>Reload</button></div></form></dialog>
<script nonce="${nonce}">${script}</script>
</body></html>
`.text;
}
