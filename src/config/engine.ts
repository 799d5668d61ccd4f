// The names of what can speak FastCGI in a worker: this project's own engine, or a package in its place.

export const engineNames = ["tsgi", "node-fastcgi"] as const;
export type EngineName = (typeof engineNames)[number];
