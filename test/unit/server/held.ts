// An application that answers when the test says so.
import type { Application, Body } from "../../../src/spec.ts";

export class Held {
  readonly #waiting: Array<{ readonly path: string; readonly resolve: (body: Body) => void }> = [];
  /** The paths that were asked for, in order. */
  readonly paths: string[] = [];
  signal: AbortSignal | undefined;

  /** How many requests wait for their answer. */
  get count(): number {
    return this.#waiting.length;
  }

  readonly application: Application = (environ, startResponse) => {
    this.paths.push(environ.PATH_INFO);
    this.signal = environ["tsgi.signal"];
    startResponse("200 OK", []);
    return new Promise<Body>((resolve) => {
      this.#waiting.push({ path: environ.PATH_INFO, resolve });
    });
  };

  /** Answers all that wait. */
  answer(body: Body): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(body);
  }

  /** Answers the one that has waited longest. */
  answerFirst(body: Body): void {
    this.#waiting.shift()?.resolve(body);
  }
}
