// The headers of a light Request or Response: lines, of which one is found by its name. Whatever else is asked for, a Headers
// of Node's is made of them, and serves from then on (Fetch standard, section 5.1).

import { fetchClasses, standInFor } from "./fetch-classes.ts";

const plainName = /^[\w-]+$/;
/** No blank at an end, which would be cut off, and nothing that may not stand in a value. */
export const plainValue = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;

/** Not a private name: it has to be found through a proxy and by what inherits, as with Node's own on Node 20 and 22. */
const state = Symbol("headers");

interface State {
  /** Name, value, name, value; of no use once there is a real one. */
  readonly lines: readonly string[];
  real: Headers | undefined;
}

export class LightHeaders {
  readonly [state]: State;

  constructor(lines: readonly string[]) {
    this[state] = { lines, real: undefined };
  }

  get(name: string): string | null {
    const value = find(this[state], name);
    return value === undefined ? realHeaders(this).get(name) : value;
  }

  has(name: string): boolean {
    const value = find(this[state], name);
    return value === undefined ? realHeaders(this).has(name) : value !== null;
  }

  forEach(callback: (value: string, name: string, headers: LightHeaders) => void, thisArg?: unknown): void {
    // eslint-disable-next-line unicorn/no-array-for-each -- it is not one of arrays
    realHeaders(this).forEach((value, name) => callback.call(thisArg, value, name, this));
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return realHeaders(this)[Symbol.iterator]();
  }
}

/** The value of the one line of that name, null where there is none; undefined where it takes the real ones to tell. */
function find({ lines, real }: State, name: unknown): string | null | undefined {
  if (real !== undefined || typeof name !== "string" || !plainName.test(name)) return undefined;
  const wanted = name.toLowerCase();
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

function realHeaders(headers: LightHeaders): Headers {
  const own = headers[state];
  if (own.real === undefined) {
    own.real = new (fetchClasses().Headers)();
    for (const [name, value] of pairsOf(own.lines)) own.real.append(name, value);
  }
  return own.real;
}

/** From now on they are those of a real Request or Response, which was made of them. */
export function followHeaders(headers: LightHeaders, real: Headers): void {
  headers[state].real = real;
}

/** Names and values, as they are now. */
export function pairsNow(headers: LightHeaders): Array<[string, string]> {
  const { lines, real } = headers[state];
  return real === undefined ? pairsOf(lines) : [...real];
}

export function pairsOf(lines: readonly string[]): Array<[string, string]> {
  const pairs: Array<[string, string]> = [];
  for (let index = 0; index < lines.length; index += 2) pairs.push([lines[index] ?? "", lines[index + 1] ?? ""]);
  return pairs;
}

/** To be called once, before one of them is made. */
export function standInHeaders(): void {
  standInFor(
    { name: "Headers", prototype: LightHeaders.prototype, realOf: (headers) => realHeaders(headers as LightHeaders) },
    { getters: [], methods: ["append", "delete", "entries", "getSetCookie", "keys", "set", "values"] },
  );
}
