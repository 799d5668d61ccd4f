// Classes that are Node's Request and Response in all that can be seen of them, but make light ones where those do
// (light-request.ts, light-response.ts).
// Rules: nothing of Node's is loaded before it is needed; an application sees of a light one what it would see of Node's, and
// what takes one of Node's gets that.

import type { FetchClasses } from "./fetch-classes.ts";
import { fetchClasses, findFetchClassesBy } from "./fetch-classes.ts";
import { standInHeaders } from "./light-headers.ts";
import { orReal, standInRequests } from "./light-request.ts";
import { lightResponse, standInResponses } from "./light-response.ts";

const typeOfJson = "application/json";

export type FetchClassName = keyof FetchClasses;
type Constructor = (new (...parameters: unknown[]) => object) & { prototype: object };

/** Node's own classes; each is loaded when it is asked for. */
type OwnClasses = Readonly<Record<FetchClassName, () => unknown>>;

export interface LightClasses {
  /** What the global names shall be. */
  readonly properties: Readonly<Record<FetchClassName, PropertyDescriptor>>;
  /** A value to give to Node's `fetch`, whose classes are loaded with it. */
  readonly forNode: (value: unknown) => unknown;
}

/** To be called once. */
export function makeLightClasses(own: OwnClasses): LightClasses {
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
  const headers = {
    get: () => fetchClasses().Headers,
    set: (value: unknown) => {
      Object.defineProperty(globalThis, "Headers", { value, writable: true, configurable: true });
    },
  };
  return {
    properties: {
      Request: { value: request.known, writable: true },
      Response: { value: response.known, writable: true },
      Headers: headers,
    },
    forNode(value) {
      fetchClasses();
      return orReal(value);
    },
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
function lateClass(name: FetchClassName, length: number, construct: Construct): LateClass {
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

/** `Response.json`. The data is made a text once, whatever becomes of it. */
function json(data: unknown, ...rest: [ResponseInit?]): object {
  const text: string | undefined = JSON.stringify(data);
  const [init] = rest;
  if (text === undefined || init === null) return fetchClasses().Response.json(data, ...rest); // which refuses it
  return lightResponse(text, init, typeOfJson) ?? realJson(text, init);
}

function realJson(text: string, init: ResponseInit | undefined): Response {
  const response = new (fetchClasses().Response)(Buffer.from(text), init);
  if (!response.headers.has("content-type")) response.headers.set("content-type", typeOfJson);
  return response;
}
