// What every page of the sample site shares: escaping, and a small document around a page's own markup.
// Rule: whatever came from a request goes through `escapeHtml` on its way out.

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Makes text safe between tags and inside quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** The beginning of a document; `title` is text, not markup. */
export function pageHead(title: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 18px/1.6 system-ui, sans-serif; }
body { max-width: 36rem; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 2rem; line-height: 1.2; overflow-wrap: anywhere; }
code { font-family: ui-monospace, monospace; font-size: 0.9em; }
@media (max-width: 30rem) {
  :root { font-size: 15px; }
  body { margin: 1rem auto; padding: 0 1rem; }
  h1 { font-size: 1.5rem; margin: 0.5rem 0; }
}
</style>
</head>
<body>
`;
}

export const pageFoot = "\n</body>\n</html>\n";

/** A whole document around `markup`. */
export function page(title: string, markup: string): string {
  return pageHead(title) + markup + pageFoot;
}
