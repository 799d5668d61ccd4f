// The memory of bodies that applications have read: garbage outside of V8's heap, at the speed at which a body comes.
// Rules: V8 is asked for a young collection for every few MiB of it, which takes a fraction of a millisecond. By itself V8
// collects young objects when many were made, and a body makes few; by then so much garbage hangs on them that V8 marks the
// whole heap, every 20 MB of a body once the process has been under load. The C library keeps what is freed, instead of
// giving it to the system after each collection and taking it back page by page. Where applications keep their bodies there
// is nothing to collect: then it is left to V8.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { memoryUsage } from "../metrics/memory.ts";

/** Less than V8 lets come before it marks, which is 8 MiB where the heap is small. */
const stepBytes = 6 * 1024 * 1024;

/** glibc keeps twice as much as the largest block that was freed: mallopt(3), M_MMAP_THRESHOLD. Nothing is written to it. */
const largestFreedBytes = 12 * 1024 * 1024;

type Collect = (options: { readonly type: "minor" }) => unknown;

let collect: Collect | undefined;
let uncollectedBytes = 0;
/** In buffers, when it was last looked; and how often in a row there was more of it by then, as where bodies are kept. */
let heldBytes = Infinity;
let timesMore = 0;

/** V8's `gc`, as `--expose-gc` gives it, in a context that nobody else sees. The flag is as before when this returns. */
function findCollect(): Collect {
  const isExposed = typeof globalThis.gc === "function";
  setFlagsFromString("--expose-gc");
  try {
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- what V8 puts there, or ours
    return runInNewContext("typeof gc === 'function' ? gc : () => {}") as Collect;
  } finally {
    if (!isExposed) setFlagsFromString("--no-expose-gc");
  }
}

/** Counts bytes of a body that the application is given. May collect young objects. */
export function countBody(bytes: number): void {
  uncollectedBytes += bytes;
  if (uncollectedBytes < stepBytes) return;
  const { arrayBuffers } = memoryUsage();
  timesMore = arrayBuffers - heldBytes > uncollectedBytes / 2 ? timesMore + 1 : 0;
  heldBytes = arrayBuffers;
  uncollectedBytes = 0;
  if (timesMore > 1) return; // once: V8 may not have freed yet what it collected last
  if (collect === undefined) {
    collect = findCollect();
    Buffer.allocUnsafeSlow(largestFreedBytes); // freed by the collection that comes now
  }
  collect({ type: "minor" });
}
