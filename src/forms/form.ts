// The form of a request: part by part, or collected.
// Rules: the body is read once, and only when somebody asks; a collected form that fails leaves no file behind.

import { rm } from "node:fs/promises";
import { ContractError } from "../errors.ts";
import type { Environ } from "../spec.ts";
import type { Fields } from "./fields.ts";
import { FieldList } from "./fields.ts";
import type { FormOptions } from "./limits.ts";
import { limitsOf } from "./limits.ts";
import type { FormPart } from "./parts.ts";
import { readFormParts } from "./parts.ts";
import { RequestUploads } from "./request-uploads.ts";
import type { ReceivedFile } from "./upload.ts";
import type { UploadedFile } from "./uploaded-file.ts";

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

class CollectedForm implements Form {
  readonly files: readonly UploadedFile[];
  readonly #fields: Fields;
  readonly #uploads: RequestUploads;

  constructor(fields: Fields, files: readonly UploadedFile[], uploads: RequestUploads) {
    this.files = files;
    this.#fields = fields;
    this.#uploads = uploads;
  }

  get(name: string): string | undefined {
    return this.#fields.get(name);
  }

  getAll(name: string): readonly string[] {
    return this.#fields.getAll(name);
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  get size(): number {
    return this.#fields.size;
  }

  [Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    return this.#fields[Symbol.iterator]();
  }

  file(name: string): UploadedFile | undefined {
    return this.files.find((file) => file.name === name);
  }

  close(): Promise<void> {
    return this.#uploads.removeAll();
  }
}

export class RequestForm implements FormReader {
  readonly #environ: Environ;
  readonly #options: FormOptions;
  readonly #uploads: RequestUploads;
  #form: Promise<Form> | undefined;
  #isIterated = false;

  constructor(environ: Environ, options: FormOptions) {
    limitsOf(options); // a wrong limit is told to whoever wrote it, at once
    this.#environ = environ;
    this.#options = options;
    this.#uploads = new RequestUploads(environ, options.directory);
  }

  [Symbol.asyncIterator](): AsyncIterator<FormPart> {
    if (this.#form !== undefined) throw new ContractError("the form has been read as a whole: iterate over the result");
    return this.#parts();
  }

  collect(): Promise<Form> {
    this.#form ??= this.#collect();
    return this.#form;
  }

  // eslint-disable-next-line unicorn/no-thenable -- awaiting it is what it is for
  then<Result = Form, Failure = never>(
    onForm?: ((form: Form) => Result | PromiseLike<Result>) | null,
    onError?: ((error: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    return this.collect().then(onForm, onError);
  }

  #parts(): AsyncGenerator<ReceivedFile | Exclude<FormPart, { readonly type: "file" }>, void> {
    if (this.#isIterated) throw new ContractError("the form is read part by part already: a body comes only once");
    this.#isIterated = true;
    return readFormParts({ environ: this.#environ, options: this.#options, uploads: this.#uploads });
  }

  async #collect(): Promise<Form> {
    const fields = new FieldList();
    const files: UploadedFile[] = [];
    try {
      for await (const part of this.#parts()) {
        if (part.type === "field") fields.add(part.name, part.value);
        else if (part.filename !== "" || !(await part.isEmpty())) files.push(await this.#store(part));
      }
    } catch (error) {
      await Promise.allSettled([this.#uploads.removeAll(), ...files.map((file) => removeFile(file))]);
      throw error;
    }
    return new CollectedForm(fields, files, this.#uploads);
  }

  #store(file: ReceivedFile): Promise<UploadedFile> {
    const target = this.#options.storeFile?.(file);
    return target === undefined ? file.save() : file.saveTo(target);
  }
}

async function removeFile({ path }: UploadedFile): Promise<void> {
  if (path !== undefined) await rm(path, { force: true });
}
