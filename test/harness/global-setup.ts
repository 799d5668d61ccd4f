// Vitest's global set-up of the conformance and e2e projects: one readable copy of the product for all test files.
import type { TestProject } from "vitest/node";
import { copyProduct } from "./product.ts";

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { product, remove } = await copyProduct();
  project.provide("product", product);
  return remove;
}
