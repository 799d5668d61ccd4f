import { chmodSync } from "node:fs";
import app from "./fastify-app.ts";

const path = process.argv[2] ?? "";
await app.listen({ path });
chmodSync(path, 0o666);
