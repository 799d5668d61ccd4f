// HTML in which nothing that is put in can become markup.
// The tag is not called `html`: formatters would lay out what is in it, and change what a <pre> shows.

import { escapeHtml } from "../../gateway/error-page.ts";

/** Made by `markup` alone. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Insertion = string | number | Markup | readonly Markup[];

function shown(value: Insertion): string {
  if (value instanceof Markup) return value.text;
  return typeof value === "object" ? value.map(({ text }) => text).join("") : escapeHtml(String(value));
}

/** A template whose insertions are escaped, but for markup that was made the same way. */
export function markup(parts: TemplateStringsArray, ...values: readonly Insertion[]): Markup {
  const last = parts.length - 1;
  return new Markup(parts.map((part, index) => (index === last ? part : part + shown(values[index] ?? ""))).join(""));
}
