import { expect, test } from "vitest";
import type { DaemonPlan } from "../../../../src/server/httpd/programs.ts";
import { daemonCommand, frontProgram } from "../../../../src/server/httpd/programs.ts";

const plan: DaemonPlan = {
  site: {
    target: { kind: "application", file: "/srv/app.ts", exportName: undefined },
    mountPoint: "",
    documentRoot: undefined,
  },
  folder: "/srv/root",
  logLevel: "info",
};
const proxies = { trustedProxies: ["10.0.0.0/8", "::1"], trustedProxyHeaders: ["X-Forwarded-For", "Forwarded"] };

test("trusted proxies reach the daemon as flags, and a program of Apache's as variables", () => {
  const words = daemonCommand({ ...plan, proxies }).join(" ");
  expect(words).toContain("--trusted-proxies 10.0.0.0/8,::1 --trusted-proxy-headers X-Forwarded-For,Forwarded");
  for (const mode of ["fcgid", "cgi"] as const) {
    expect(frontProgram({ ...plan, proxies }, mode).text).toMatch(
      /^TSGI_TRUSTED_PROXIES='?10\.0\.0\.0\/8,::1'? TSGI_TRUSTED_PROXY_HEADERS='?X-Forwarded-For,Forwarded'?\nexport TSGI_TRUSTED_PROXIES TSGI_TRUSTED_PROXY_HEADERS$/m,
    );
  }
});

test("nothing is said of proxies where none is trusted", () => {
  const none = { ...plan, proxies: { ...proxies, trustedProxies: [] } };
  expect([daemonCommand(none).join(" "), frontProgram(none, "cgi").text].join("\n")).not.toMatch(/trusted/i);
});
