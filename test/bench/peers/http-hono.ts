// The same application on Hono's own server for Node.
import { chmodSync } from "node:fs";
import { createAdaptorServer } from "@hono/node-server";
import app from "./hono-app.ts";

const path = process.argv[2] ?? "";
createAdaptorServer(app).listen(path, () => chmodSync(path, 0o666));
