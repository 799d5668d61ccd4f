// Node's own Request, Response and Headers, for those that stand in for them until they are needed (light-*.ts).
// Rules: Node takes some 15 ms to load them, so nothing here does before one of them is used; from then on a stand-in is an
// instance of the class it stands for, and has whatever that has.

export interface FetchClasses {
  readonly Request: typeof Request;
  readonly Response: typeof Response;
  readonly Headers: typeof Headers;
}

/** A class of stand-ins. */
interface StandIns {
  readonly name: keyof FetchClasses;
  readonly prototype: object;
  /** What one of them stands for, made when it is not there yet. */
  readonly realOf: (standIn: object) => object;
}

type Members = Record<PropertyKey, unknown>;

const standIns: StandIns[] = [];
let classes: FetchClasses | undefined;
let find = (): FetchClasses => ({ Request, Response, Headers });

/** Tells where Node's classes are, when its global names do not any more. */
export function findFetchClassesBy(finder: () => FetchClasses): void {
  find = finder;
}

export function fetchClasses(): FetchClasses {
  if (classes === undefined) {
    classes = find();
    for (const kind of standIns) complete(kind, classes[kind.name].prototype);
  }
  return classes;
}

/** Whether Node's classes are there already. */
export function hasFetchClasses(): boolean {
  return classes !== undefined;
}

const inspect = Symbol.for("nodejs.util.inspect.custom");

/** Members that a class of stand-ins leaves to what they stand for. */
interface Others {
  readonly getters: readonly string[];
  readonly methods: readonly string[];
}

/**
 * Makes a class one of stand-ins, before Node's classes are asked for. Its own members serve as they are; the others are those of what a stand-in stands for, and
 * so is, when that class is there, all else that it has.
 */
export function standInFor(kind: StandIns, { getters, methods }: Others): void {
  const { name, prototype, realOf } = kind;
  for (const key of getters) forwardGetter(prototype, key, realOf);
  for (const key of [...methods, inspect]) forwardMethod(prototype, key, realOf);
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
  Object.defineProperty(prototype, "constructor", { get: () => fetchClasses()[name].prototype.constructor });
  for (const key of Object.getOwnPropertyNames(prototype)) {
    // A `for` over an instance shows them (Web IDL, section 3.7).
    if (key !== "constructor") Object.defineProperty(prototype, key, { enumerable: true });
  }
  standIns.push(kind);
}

function forwardGetter(prototype: object, key: PropertyKey, realOf: StandIns["realOf"]): void {
  const get = function (this: object): unknown {
    return (realOf(this) as Members)[key];
  };
  Object.defineProperty(prototype, key, { get, configurable: true });
}

function forwardMethod(prototype: object, key: PropertyKey, realOf: StandIns["realOf"]): void {
  const value = function (this: object, ...parameters: unknown[]): unknown {
    const real = realOf(this);
    const method = (real as Members)[key] as (...parameters: unknown[]) => unknown;
    return Reflect.apply(method, real, parameters);
  };
  Object.defineProperty(prototype, key, { value, configurable: true, writable: true });
}

function complete({ prototype, realOf }: StandIns, real: object): void {
  for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(real))) {
    if (Object.hasOwn(prototype, key)) continue;
    if (property.get === undefined) forwardMethod(prototype, key, realOf);
    else forwardGetter(prototype, key, realOf);
    Object.defineProperty(prototype, key, { enumerable: property.enumerable === true });
  }
  Object.setPrototypeOf(prototype, real);
}
