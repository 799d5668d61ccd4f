// The kinds of applications, by name: the values of `--adapter`, and what `tsgi check` prints.

export const adapterNames = [
  "wsgi",
  "fetch",
  "node",
  "express",
  "connect",
  "koa",
  "fastify",
  "hono",
  "server",
] as const;

/** A kind of application: the gateway's own, or a foreign one. */
export type AdapterName = (typeof adapterNames)[number];
