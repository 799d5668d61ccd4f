// A form that is read as a whole.
// Rules: files are stored as they come; a form that fails leaves no file behind, neither a temporary one nor one that went
// where the application said.

import { formTypeOf } from "./content-type.ts";
import type { Fields } from "./fields.ts";
import { FieldList } from "./fields.ts";
import type { Form } from "./form.ts";
import type { FormSource } from "./parts.ts";
import { readFields, readFormParts } from "./parts.ts";
import type { UploadedFile } from "./uploaded-file.ts";
import type { StoredFile } from "./uploaded-file.ts";

class CollectedForm implements Form {
  readonly files: readonly StoredFile[];
  readonly #fields: Fields;

  constructor(fields: Fields, files: readonly StoredFile[]) {
    this.files = files;
    this.#fields = fields;
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

  async close(): Promise<void> {
    await Promise.all(this.files.filter((file) => file.isTemporary).map((file) => file.remove()));
  }
}

/** Reads the form. A file input that was left empty is no file. */
export async function collectForm(source: FormSource): Promise<Form> {
  const fields = new FieldList();
  const form = formTypeOf(source.environ);
  if (form.type === "urlencoded") {
    for await (const some of readFields(source, form.charset))
      for (const { name, value } of some) fields.add(name, value);
    return new CollectedForm(fields, []);
  }
  const files: StoredFile[] = [];
  try {
    for await (const part of readFormParts(source, form)) {
      if (part.type === "field") fields.add(part.name, part.value);
      else if (part.filename !== "" || !(await part.isEmpty())) {
        const target = source.options.storeFile?.(part);
        files.push(await (target === undefined ? part.save() : part.saveTo(target)));
      }
    }
  } catch (error) {
    await Promise.allSettled(files.map((file) => file.remove()));
    throw error;
  }
  return new CollectedForm(fields, files);
}
