// The form of a request before it is read, and what comes of it.
// Rules: the body is read once, and only when somebody asks; what reading takes is loaded then, so that an application
// which only imports this starts as fast as one that does not.

import { ContractError } from "../errors.ts";
import type { Environ } from "../spec.ts";
import type { Fields, FormField } from "./fields.ts";
import type { FormOptions } from "./limits.ts";
import { limitsOf } from "./limits.ts";
import type { IncomingFile } from "./upload.ts";
import type { UploadedFile } from "./uploaded-file.ts";

export type FormPart = FormField | IncomingFile;

/** A form that has been read as a whole: fields as values by name, files as they were stored. */
export interface Form extends Fields {
  /** In their order. A file input that the visitor left empty is not among them. */
  readonly files: readonly UploadedFile[];
  /** The first file of a name, undefined when there is none. */
  file(name: string): UploadedFile | undefined;
  /** Removes the temporary files now, and not when the request ends. */
  close(): Promise<void>;
}

/** A form that is not read yet: iterate it, or await it. */
export interface FormReader extends AsyncIterable<FormPart>, PromiseLike<Form> {
  /** The whole form; what `await` gives. */
  collect(): Promise<Form>;
}

export class RequestForm implements FormReader {
  readonly #environ: Environ;
  readonly #options: FormOptions;
  #form: Promise<Form> | undefined;
  #isIterated = false;

  constructor(environ: Environ, options: FormOptions) {
    limitsOf(options); // a wrong limit is told to whoever wrote it, at once
    this.#environ = environ;
    this.#options = options;
  }

  [Symbol.asyncIterator](): AsyncIterator<FormPart> {
    if (this.#form !== undefined) throw new ContractError("the form has been read as a whole: iterate over the result");
    if (this.#isIterated) throw alreadyRead();
    this.#isIterated = true;
    return this.#parts();
  }

  collect(): Promise<Form> {
    this.#form ??= this.#isIterated ? Promise.reject(alreadyRead()) : this.#collect();
    return this.#form;
  }

  // eslint-disable-next-line unicorn/no-thenable -- awaiting it is what it is for
  then<Result = Form, Failure = never>(
    onForm?: ((form: Form) => Result | PromiseLike<Result>) | null,
    onError?: ((error: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    return this.collect().then(onForm, onError);
  }

  async *#parts(): AsyncGenerator<FormPart, void, undefined> {
    const { readFormParts } = await import("./parts.ts");
    yield* readFormParts({ environ: this.#environ, options: this.#options });
  }

  async #collect(): Promise<Form> {
    const { collectForm } = await import("./collect.ts");
    return await collectForm({ environ: this.#environ, options: this.#options });
  }
}

function alreadyRead(): ContractError {
  return new ContractError("the form is read part by part already: a body comes only once");
}
