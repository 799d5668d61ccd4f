// How the page for developers looks. A constant of ours: nothing of a request gets into it.

import { markup } from "./markup.ts";

export const styles = markup`
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; color: #b3261e; }
h2 { font: 1.05rem ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
section { border: 1px solid #8886; border-radius: 6px; padding: 0 1rem; margin: 1rem 0; }
code, pre, td { font-family: ui-monospace, monospace; font-size: 0.85rem; }
td, code { overflow-wrap: anywhere; }
th { text-align: left; vertical-align: top; padding-right: 1rem; font-weight: normal; opacity: 0.75; }
ol { list-style: none; padding: 0; }
li p { margin: 0.3rem 0; }
.relation { opacity: 0.75; margin-bottom: 0; }
.source { background: #8881; padding: 0.5rem; overflow-x: auto; margin: 0.3rem 0 1rem; }
.source span { display: block; white-space: pre; }
.source i { display: inline-block; width: 4em; opacity: 0.5; font-style: normal; }
.here { background: #b3261e33; }
.caret { color: #b3261e; }
`;
