// The global Request, Response, Headers and fetch of a process that runs applications: Node's own, with light ones in their
// place where those do (light-classes.ts), as a text that is answered. Node's take long to load and to make.
// Rules: most applications ask for none of them; till one does, nothing is loaded and next to nothing made.

import type { FetchClassName, LightClasses } from "./light-classes.ts";
import { makeLightClasses } from "./light-classes.ts";

/** Makes them, and puts them in the place of Node's, when somebody asks for one of them first. Undefined until they are installed. */
let prepare: (() => LightClasses) | undefined;

/** Whether the global Request, which an application may have replaced, knows of light ones. They are made if they are not yet. */
export function takesLightRequests(): boolean {
  return prepare !== undefined && prepare().properties.Request.value === globalThis.Request;
}

/** Puts them in the place of Node's, once. */
export function installLightClasses(): void {
  if (prepare !== undefined) return;
  const names: readonly FetchClassName[] = ["Request", "Response", "Headers"];
  const own = { Request: ownOf("Request"), Response: ownOf("Response"), Headers: ownOf("Headers") };
  const placed = names.map((name) => ({ name, get: place(name) }));
  let made: LightClasses | undefined;
  const all = (): LightClasses => {
    if (made !== undefined) return made;
    made = makeLightClasses(own);
    for (const { name, get } of placed) {
      const isOurs = Object.getOwnPropertyDescriptor(globalThis, name)?.get === get;
      if (isOurs) define(name, made.properties[name]);
    }
    return made;
  };
  prepare = all;
  const ownFetch = globalThis.fetch;
  const fetch = (input: unknown, ...rest: [RequestInit?]): Promise<Response> =>
    ownFetch(all().forNode(input) as Request, ...rest);
  globalThis.fetch = Object.defineProperty(fetch, "name", { value: "fetch" }); // which a bundler changes
}

/** Has a global name make the light classes when it is first asked for; gives its getter. */
function place(name: FetchClassName): () => unknown {
  const get = (): unknown => {
    prepare?.();
    return globalThis[name];
  };
  define(name, { get, set: (value: unknown) => define(name, { value, writable: true }) });
  return get;
}

function define(name: FetchClassName, property: PropertyDescriptor): void {
  Object.defineProperty(globalThis, name, { ...property, configurable: true });
}

/** Node's global class of that name; it is loaded when it is asked for. Node 20 makes it the global one again in doing so. */
function ownOf(name: FetchClassName): () => unknown {
  const property = Object.getOwnPropertyDescriptor(globalThis, name) ?? {};
  return () => {
    const now = Object.getOwnPropertyDescriptor(globalThis, name) ?? {};
    const own: unknown = property.get?.call(globalThis) ?? property.value;
    Object.defineProperty(globalThis, name, now);
    return own;
  };
}
