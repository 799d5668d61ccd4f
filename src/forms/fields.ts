// Names with values, in the order in which they came: a query, or the fields of a form.
// Rules: names are keys of a Map, never of an object: "__proto__" is a name like any other.

/** Values by name. A name may come more than once. */
export interface Fields extends Iterable<readonly [name: string, value: string]> {
  /** The first value of a name, undefined when there is none. */
  get(name: string): string | undefined;
  /** All values of a name, in their order. */
  getAll(name: string): readonly string[];
  has(name: string): boolean;
  /** Number of values. */
  readonly size: number;
}

const none: readonly string[] = Object.freeze([]);

export class FieldList implements Fields {
  readonly #entries: Array<readonly [name: string, value: string]> = [];
  readonly #values = new Map<string, string[]>();

  add(name: string, value: string): void {
    this.#entries.push([name, value]);
    const values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, [value]);
    else values.push(value);
  }

  get(name: string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  getAll(name: string): readonly string[] {
    return this.#values.get(name) ?? none;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  get size(): number {
    return this.#entries.length;
  }

  [Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    return this.#entries[Symbol.iterator]();
  }
}
