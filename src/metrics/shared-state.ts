// What belongs to the process and not to one copy of this package: an application may have installed another one.
// Rule: the first copy that asks makes it.

const key = Symbol.for("tsgi.process");

/** The value of that name, made by `create` where there is none. */
export function sharedState<Value>(name: string, create: () => Value): Value {
  const states: Map<string, unknown> = Reflect.get(globalThis, key) ?? new Map<string, unknown>();
  Reflect.set(globalThis, key, states);
  if (!states.has(name)) states.set(name, create());
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- made under this name
  return states.get(name) as Value;
}
