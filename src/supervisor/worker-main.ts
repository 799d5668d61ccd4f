// A worker's program as an ES module: where nothing is bundled.

import { runWorker } from "./worker-program.ts";

runWorker();
