// The names of variables that came before. A web server sends nearly the same names with every request, in the same order:
// neither they nor the layout of the object that has them need be made anew.
// Rules: names are learned as a tree, in which a node is a name after the names before it. A sequence that comes often gets
// a constructor of its own: V8 keeps what that makes like instances of a class, where an object that gets names from outside
// one by one becomes a hash table. Names come from clients: only plain ones are written into a constructor, and what they
// can make grow is limited.

import type { Params } from "./pairs.ts";

/** So often a sequence has to come before it gets a constructor, which takes as long as some requests. */
const learnedAfter = 4;
/** Nodes of the tree, and names in constructors: some 400 bytes each. A tree that has so many stays as it is. */
const maxNodes = 10_000;
/** After so many sequences that were not learned it is begun anew: seldom, since all have to be learned again then. */
const maxUnlearned = 50_000;
/** Names of one sequence, and the bytes of one name. */
const maxNames = 120;
const maxNameBytes = 64;
/** Names that are known to come after the same ones. */
const maxNext = 16;

type ParamsConstructor = new (values: readonly string[]) => Params;

/** Object.create(null) would be a hash table from the beginning, so the prototype is taken away instead. */
function constructorFor(names: readonly string[]): ParamsConstructor | undefined {
  if (!names.every((name) => /^[\w.-]+$/.test(name))) return undefined;
  const stores = names.map((name, index) => `this[${JSON.stringify(name)}] = values[${index}];`);
  const code = `return function Params(values) { setPrototypeOf(this, null); ${stores.join(" ")} };`;
  try {
    // eslint-disable-next-line no-new-func, typescript/no-implied-eval, typescript/no-unsafe-type-assertion -- see above
    const make = new Function("setPrototypeOf", code) as (set: typeof Object.setPrototypeOf) => ParamsConstructor;
    return make(Object.setPrototypeOf);
  } catch {
    return undefined; // node --disallow-code-generation-from-strings
  }
}

let nodes = 0;
let unlearned = 0;

/** A name after other names. */
export class KnownName {
  readonly #before: KnownName | undefined;
  readonly #name: string;
  readonly #bytes: Buffer;
  /** How many names there are up to this one. */
  readonly #count: number;
  readonly #next: KnownName[] = [];
  #timesLast = 0;
  #Params: ParamsConstructor | undefined;

  constructor(before?: KnownName, name = "") {
    this.#before = before;
    this.#name = name;
    this.#bytes = Buffer.from(name, "latin1");
    this.#count = before === undefined ? 0 : before.#count + 1;
  }

  /** The node of the name that comes next, `bytes` from `start` to `end`; undefined where it is not known and not learned. */
  after(bytes: Buffer, start: number, end: number): KnownName | undefined {
    for (const node of this.#next) if (node.#is(bytes, start, end)) return node;
    const hasRoom = nodes < maxNodes && this.#count < maxNames && this.#next.length < maxNext;
    if (!hasRoom || end - start > maxNameBytes) {
      unlearned += 1;
      return undefined;
    }
    nodes += 1;
    const node = new KnownName(this, bytes.toString("latin1", start, end));
    this.#next.push(node);
    return node;
  }

  #is(bytes: Buffer, start: number, end: number): boolean {
    const own = this.#bytes;
    const { length } = own;
    if (length !== end - start) return false;
    for (let index = 0; index < length; index += 1) if (own[index] !== bytes[start + index]) return false;
    return true;
  }

  /** An object without prototype: the names up to this one, each with its value. Of two of the same name the later counts. */
  object(values: readonly string[]): Params {
    if (this.#Params !== undefined) return new this.#Params(values);
    this.#timesLast += 1;
    if (this.#timesLast === learnedAfter && nodes < maxNodes) {
      this.#Params = constructorFor(this.#names);
      nodes += this.#count;
    }
    return this.hashTable(values);
  }

  /** The same for an object that gets other names after them, which would make a hash table of what a constructor made. */
  hashTable(values: readonly string[]): Params {
    const params = Object.create(null) as Params;
    for (const [index, name] of this.#names.entries()) params[name] = values[index] ?? "";
    return params;
  }

  get #names(): string[] {
    const names = this.#count === 0 ? [] : [this.#name];
    for (let node = this.#before; node !== undefined && node.#count > 0; node = node.#before) names.push(node.#name);
    return names.toReversed();
  }
}

let root = new KnownName();

/** Where every sequence of names begins. */
export function noNames(): KnownName {
  if (unlearned > maxUnlearned) {
    nodes = 0;
    unlearned = 0;
    root = new KnownName();
  }
  return root;
}
