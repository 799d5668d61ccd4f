// Writes two lines to the debug log and tells which of them were kept. The log itself is not for browsers: the id finds them.
import type { Application } from "tsgi";
import { createDebugLog, isDevelopMode } from "./lib/debug-log.ts";
import { escapeHtml, page } from "./lib/html.ts";

export const application: Application = (environ, startResponse) => {
  const debugLog = createDebugLog(environ);
  const always = debugLog("this line is always kept", true);
  const develop = debugLog("this line is kept in develop mode");
  startResponse("200 OK", [["Content-Type", "text/html; charset=utf-8"]]);
  return page(
    "Debug log",
    `<h1>Debug log</h1>
<p>Develop mode is <strong>${isDevelopMode(environ) ? "on" : "off"}</strong>.</p>
<ul>
<li><code>debugLog(message, true)</code>: ${always ? "kept" : "not kept"}</li>
<li><code>debugLog(message)</code>: ${develop ? "kept" : "not kept"}</li>
</ul>
<p>Kept lines are in the log of this server, under the request id <code>${escapeHtml(environ["tsgi.request_id"])}</code>.
<code>SetEnv DEVELOP_MODE on</code> keeps them all.</p>`,
  );
};
