import { chmodSync } from "node:fs";
import app from "./express-app.ts";

const path = process.argv[2] ?? "";
app.listen(path, () => chmodSync(path, 0o666));
