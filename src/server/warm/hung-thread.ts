// A thread of a warm daemon that ends the process when its event loop has been blocked for too long: nobody else knows of it.
// Rules: it counts its own looks, so that a process that was stopped for a while is not taken for one that hangs.

import { workerData } from "node:worker_threads";

/** So many looks without a beat end the process. */
const mostLooks = 300;
const lookMs = 1000;

const beats = workerData as Int32Array;
let last = -1;
let looks = 0;
setInterval(() => {
  const now = Atomics.load(beats, 0);
  looks = now === last ? looks + 1 : 0;
  last = now;
  if (looks >= mostLooks) process.kill(process.pid, "SIGKILL");
}, lookMs);
