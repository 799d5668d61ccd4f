// The global Request, Response, Headers and fetch of a process that runs applications: Node's own, with light ones in their
// place where those do (light-request.ts, light-response.ts), as a text that is answered. Node's take long to load and to make.
// Rules: nothing of Node's is loaded before it is needed; an application sees of a light one what it would see of Node's, and
// what takes one of Node's gets that.

import type { FetchClasses } from "./fetch-classes.ts";
import { fetchClasses, findFetchClassesBy } from "./fetch-classes.ts";
import { standInHeaders } from "./light-headers.ts";
import { orReal, standInRequests } from "./light-request.ts";
import { lightJson, lightResponse, standInResponses } from "./light-response.ts";

type Name = keyof FetchClasses;
type Constructor = (new (...parameters: unknown[]) => object) & { prototype: object };

let isInstalled = false;
/** Makes them, and puts them in the place of Node's, when somebody asks for one of them first. */
let prepare: (() => void) | undefined;
let knownRequest: unknown;

/** Whether the global Request, which an application may have replaced, knows of light ones. They are made if they are not yet. */
export function takesLightRequests(): boolean {
  prepare?.();
  return isInstalled && globalThis.Request === knownRequest;
}

/** Puts them in the place of Node's, once. Most applications ask for none: till then this costs next to nothing. */
export function installLightClasses(): void {
  if (isInstalled) return;
  isInstalled = true;
  const names: readonly Name[] = ["Request", "Response", "Headers"];
  const own = { Request: ownOf("Request"), Response: ownOf("Response"), Headers: ownOf("Headers") };
  const placed = names.map((name) => ({ name, get: place(name) }));
  prepare = () => {
    prepare = undefined;
    const known = makeClasses(own);
    knownRequest = known.Request.value;
    for (const { name, get } of placed) {
      const isOurs = Object.getOwnPropertyDescriptor(globalThis, name)?.get === get;
      if (isOurs) define(name, known[name]);
    }
  };
  const ownFetch = globalThis.fetch;
  globalThis.fetch = function fetch(input: unknown, ...rest: [RequestInit?]): Promise<Response> {
    prepare?.();
    fetchClasses(); // it loads them in any case
    return ownFetch(orReal(input) as Request, ...rest);
  };
}

/** Has a global name make the light classes when it is first asked for; gives its getter. */
function place(name: Name): () => unknown {
  const get = (): unknown => {
    prepare?.();
    return globalThis[name];
  };
  define(name, { get, set: (value: unknown) => define(name, { value, writable: true }) });
  return get;
}

type OwnClasses = Readonly<Record<Name, () => unknown>>;

function makeClasses(own: OwnClasses): Readonly<Record<Name, PropertyDescriptor>> {
  standInHeaders();
  standInRequests();
  standInResponses();
  const request = lateClass("Request", 1, ([input, ...rest], extending) => {
    const { Request } = fetchClasses();
    return Reflect.construct(Request, [orReal(input), ...rest], extending ?? Request) as object;
  });
  const response = lateClass("Response", 0, (parameters, extending) => {
    const [body, init] = parameters;
    const light = extending === undefined ? lightResponse(body, init) : undefined;
    if (light !== undefined) return light;
    const { Response } = fetchClasses();
    return Reflect.construct(Response, parameters, extending ?? Response) as object;
  });
  Object.assign(response.target, { json });
  findFetchClassesBy(() => {
    const classes = { Request: own.Request(), Response: own.Response(), Headers: own.Headers() } as FetchClasses;
    request.becomes(classes.Request);
    response.becomes(classes.Response);
    return classes;
  });
  return {
    Request: { value: request.known, writable: true },
    Response: { value: response.known, writable: true },
    Headers: {
      get: () => fetchClasses().Headers,
      set: (value: unknown) => define("Headers", { value, writable: true }),
    },
  };
}

function define(name: Name, property: PropertyDescriptor): void {
  Object.defineProperty(globalThis, name, { ...property, configurable: true });
}

/** Node's global class of that name; it is loaded when it is asked for. Node 20 makes it the global one again in doing so. */
function ownOf(name: Name): () => unknown {
  const property = Object.getOwnPropertyDescriptor(globalThis, name) ?? {};
  return () => {
    const now = Object.getOwnPropertyDescriptor(globalThis, name) ?? {};
    const own: unknown = property.get?.call(globalThis) ?? property.value;
    Object.defineProperty(globalThis, name, now);
    return own;
  };
}

/** `extending` is the class that is made, where it is one that extends this. */
type Construct = (parameters: unknown[], extending: Constructor | undefined) => object;

interface LateClass {
  /** What applications know as the class. */
  readonly known: object;
  /** Has the static members. */
  readonly target: object;
  /** Node's class is there: the late one is it, in all that can be seen. */
  becomes(real: { readonly prototype: object }): void;
}

/** A class whose instances `construct` makes. A proxy, since Node's class has to be loaded for who asks what it has. */
function lateClass(name: Name, length: number, construct: Construct): LateClass {
  const target = function (): never {
    throw new TypeError(`Class constructor ${name} cannot be invoked without 'new'`);
  };
  Object.defineProperties(target, { name: { value: name }, length: { value: length } });
  /** What `target` is when Node's class is there. */
  const whole = (): object => {
    fetchClasses();
    return target;
  };
  const known: object = new Proxy(target, {
    construct: (_target, parameters: unknown[], newTarget) =>
      construct(parameters, newTarget === known ? undefined : (newTarget as Constructor)),
    get(_target, key, receiver) {
      const isThere = key !== "prototype" && Object.hasOwn(target, key);
      return Reflect.get(isThere ? target : whole(), key, receiver) as unknown;
    },
    has: (_target, key) => Reflect.has(whole(), key),
    ownKeys: () => Reflect.ownKeys(whole()),
    getOwnPropertyDescriptor: (_target, key) => Reflect.getOwnPropertyDescriptor(whole(), key),
    defineProperty: (_target, key, property) => Reflect.defineProperty(whole(), key, property),
    getPrototypeOf: () => Reflect.getPrototypeOf(whole()),
    setPrototypeOf: (_target, prototype) => Reflect.setPrototypeOf(whole(), prototype),
    preventExtensions: () => Reflect.preventExtensions(whole()),
  });
  const becomes = (real: { readonly prototype: object }): void => {
    target.prototype = real.prototype;
    for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(real))) {
      if (!Object.hasOwn(target, key)) Object.defineProperty(target, key, property);
    }
    Object.setPrototypeOf(target, Object.getPrototypeOf(real) as object);
    Object.defineProperty(real.prototype, "constructor", { value: known });
  };
  return { known, target, becomes };
}

/** `Response.json`. */
function json(data: unknown, ...rest: [ResponseInit?]): object {
  return lightJson(data, rest[0]) ?? fetchClasses().Response.json(data, ...rest);
}
