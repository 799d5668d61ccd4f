// Which bundles are known to load: the last process that ran one served afterwards.
// Rules: the proof is a file beside the bundle, whose name stands for its content. Whoever runs the bundle takes it away first,
// so that a load which never ends leaves none; the next process knows of that. Without a folder that can be written there is none.
import { closeSync, openSync, unlinkSync } from "node:fs";
import { systemCodeOf } from "../errors.ts";

function proofOf(bundle: string): string {
  return `${bundle}.proof`;
}

/** Whether the bundle is known to load. From now on it is not. */
export function takeProof(bundle: string): boolean {
  try {
    unlinkSync(proofOf(bundle));
    return true;
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return false;
  }
}

/** The bundle has been loaded and serves. */
export function giveProof(bundle: string): void {
  try {
    closeSync(openSync(proofOf(bundle), "w", 0o600));
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error; // a full or read-only disk
  }
}
