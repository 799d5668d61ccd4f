// The classes of a request and a response, with the prototypes that Express is going to give them.
// Rules: Express sets the prototype of each message to the application's own (`app.request`, `app.response`). V8 keeps no
// layout for what is added to an object after that: each property makes a new one, in every request, and nothing is found
// where it was in the request before. A message that was made with that prototype stays as it is. Who is not known to do
// this, or has classes of its own, gets those of node:http.

import type { IncomingMessage } from "node:http";
import { IncomingMessage as PlainRequest, ServerResponse } from "node:http";
import type { IncomingMessageClass } from "./node-request.ts";

/** The classes of a server's messages. */
export interface MessageClasses {
  readonly IncomingMessage: IncomingMessageClass;
  readonly ServerResponse: new (request: IncomingMessage) => ServerResponse;
}

export const plainClasses: MessageClasses = { IncomingMessage: PlainRequest, ServerResponse };

type Constructor = new (...parameters: never[]) => object;
type Derive = <Class extends Constructor>(Class: Class, prototype: object) => Class;

/**
 * V8 makes as much room in an object as the text of its constructor has assignments, and takes back what the first objects
 * leave empty. Properties that find no room are kept outside, which costs Express a third of its time.
 */
const room = "this.x = 0;".repeat(64);

/** Makes a constructor of what `Class` constructs, with another prototype that has the prototype of `Class` behind it. */
function derivation(): Derive | undefined {
  const code = `
    function Message(first, second) {
      if (false) { ${room} }
      Class.call(this, first, second);
    }
    Message.prototype = prototype;
    return Message;`;
  try {
    // eslint-disable-next-line no-new-func, typescript/no-implied-eval, typescript/no-unsafe-type-assertion -- see above
    return new Function("Class", "prototype", code) as Derive;
  } catch {
    return undefined; // node --disallow-code-generation-from-strings
  }
}

/** What a message is given as its own, by its constructor and by us. */
function ownNames(): ReadonlySet<string> {
  const request = new PlainRequest(undefined as never);
  const response = new ServerResponse(request);
  return new Set([...Object.keys(request), ...Object.keys(response), "environ", "originalUrl", "baseUrl"]);
}

/** Whether a prototype, up to that of the class, leaves all these names to the message: an accessor would not. */
function leaves(names: ReadonlySet<string>, prototype: object, last: object): boolean {
  for (let holder: object | null = prototype; holder !== null && holder !== last;) {
    for (const [name, { writable }] of Object.entries(Object.getOwnPropertyDescriptors(holder))) {
      if (writable !== true && names.has(name)) return false;
    }
    holder = Reflect.getPrototypeOf(holder);
  }
  return true;
}

interface PrototypeGiver {
  readonly request?: unknown;
  readonly response?: unknown;
}

/** The classes for the messages that `application` gets, which `classes` would make otherwise. */
export function messageClassesFor(application: unknown, classes: MessageClasses): MessageClasses {
  const isPlain = classes.IncomingMessage === PlainRequest && classes.ServerResponse === ServerResponse;
  if (typeof application !== "function" || !isPlain) return classes;
  const { request, response } = application as PrototypeGiver;
  if (!(request instanceof PlainRequest) || !(response instanceof ServerResponse)) return classes;
  const names = ownNames();
  const isUsual = leaves(names, request, PlainRequest.prototype) && leaves(names, response, ServerResponse.prototype);
  const derive = isUsual ? derivation() : undefined;
  if (derive === undefined) return classes;
  return { IncomingMessage: derive(PlainRequest, request), ServerResponse: derive(ServerResponse, response) };
}
