import { conform } from "./conform.ts";
import { direct } from "./ways.ts";

conform("direct", async () => direct("/m"));
conform("root", async () => direct(""));
