import { conform } from "./conform.ts";
import { dev } from "./ways.ts";

conform("dev", dev);
