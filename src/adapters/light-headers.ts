// The headers of a light Request or Response: lines, of which one is found by its name. Whatever else is asked for, a Headers
// of Node's is made of them, and serves from then on (Fetch standard, section 5.1).

import { fetchClasses, standInFor } from "./fetch-classes.ts";

const plainName = /^[\w-]+$/;
/** No blank at an end, which would be cut off, and nothing that may not stand in a value. */
export const plainValue = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;

export class LightHeaders {
  /** Name, value, name, value. */
  #lines: () => readonly string[];
  #real: Headers | undefined;

  constructor(lines: () => readonly string[]) {
    this.#lines = lines;
  }

  get(name: string): string | null {
    const value = this.#real === undefined ? this.#find(name) : undefined;
    return value === undefined ? LightHeaders.realOf(this).get(name) : value;
  }

  has(name: string): boolean {
    const value = this.#real === undefined ? this.#find(name) : undefined;
    return value === undefined ? LightHeaders.realOf(this).has(name) : value !== null;
  }

  /** The value of the one line of that name, null where there is none; undefined where it takes more to tell. */
  #find(name: unknown): string | null | undefined {
    if (typeof name !== "string" || !plainName.test(name)) return undefined;
    const wanted = name.toLowerCase();
    const lines = this.#lines();
    let found: string | null = null;
    for (let index = 0; index < lines.length; index += 2) {
      const line = lines[index] ?? "";
      if (line.length !== wanted.length || line.toLowerCase() !== wanted) continue;
      const value = lines[index + 1] ?? "";
      if (found !== null || !plainValue.test(value)) return undefined;
      found = value;
    }
    return found;
  }

  forEach(callback: (value: string, name: string, headers: LightHeaders) => void, thisArg?: unknown): void {
    // eslint-disable-next-line unicorn/no-array-for-each -- it is not one of arrays
    LightHeaders.realOf(this).forEach((value, name) => callback.call(thisArg, value, name, this));
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return LightHeaders.realOf(this)[Symbol.iterator]();
  }

  static realOf(headers: LightHeaders): Headers {
    if (headers.#real === undefined) {
      const real = new (fetchClasses().Headers)();
      const lines = headers.#lines();
      for (let index = 0; index < lines.length; index += 2) real.append(lines[index] ?? "", lines[index + 1] ?? "");
      LightHeaders.follow(headers, real);
    }
    return headers.#real as Headers;
  }

  /** From now on they are those of a real Request or Response, which was made of them. */
  static follow(headers: LightHeaders, real: Headers): void {
    headers.#real = real;
    headers.#lines = () => [];
  }

  /** Name, value, name, value, as long as nobody can have changed any. */
  static linesOf(headers: LightHeaders): readonly string[] | undefined {
    return headers.#real === undefined ? headers.#lines() : undefined;
  }
}

standInFor(
  { name: "Headers", prototype: LightHeaders.prototype, realOf: (given) => LightHeaders.realOf(given as LightHeaders) },
  { getters: [], methods: ["append", "delete", "entries", "getSetCookie", "keys", "set", "values"] },
);
