// The Request that a fetch handler gets, made of an environ.
// Rules: the URL is the one that the client sees, whole, mount point included, as the URL standard writes it; a request that
// cannot be written as a URL is the client's fault.

import { InputFormatError } from "../errors.ts";
import type { Environ } from "../spec.ts";
import { takesLightRequests } from "./fetch-globals.ts";
import { pairsOf } from "./light-headers.ts";
import { lightRequest } from "./light-request.ts";
import { rawHeadersOf } from "./node-headers.ts";
import { realRequest } from "./real-request.ts";
import { escapeBytes, requestTargetOf } from "./request-target.ts";

/** A target that stands in a URL as it came: nothing to escape, no dots to resolve. */
const plainTarget = /^(?!.*\/\.)\/[\w!$&()*+,\-./:;=@~]*(?:\?[\w!$&()*+,\-./:;=@~?%]*)?$/;

/** The origin that was asked for last: a site has few names, and it takes long to read one. */
let lastName = "";
let lastOrigin: string | undefined;

/** The URL as the client sees it. Throws InputFormatError (400) for a Host header that is no host. */
function urlOf(environ: Environ): string {
  const originalUrl = escapeBytes(requestTargetOf(environ).originalUrl);
  if (/^https?:\/\//i.test(originalUrl)) return parse(originalUrl).href;
  const scheme = environ["wsgi.url_scheme"];
  const usualPort = scheme === "https" ? "443" : "80";
  const { SERVER_NAME: name, SERVER_PORT: port } = environ;
  const host = environ["HTTP_HOST"] ?? (port === usualPort ? name : `${name}:${port}`);
  const site = `${scheme}://${host}`;
  if (plainTarget.test(originalUrl)) {
    if (site !== lastName) {
      lastOrigin = originOf(site);
      lastName = site;
    }
    if (lastOrigin !== undefined) return lastOrigin + originalUrl;
  }
  return parse(site + (originalUrl.startsWith("/") ? originalUrl : "/")).href;
}

/** A site as the URL standard writes it; undefined where that changes more than large letters, and where there is more in it. */
function originOf(site: string): string | undefined {
  const url = URL.canParse(site) ? new URL(site) : undefined;
  const origin = site.toLowerCase();
  return url?.origin === origin && url.href === `${origin}/` ? origin : undefined;
}

function parse(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "") {
    throw new InputFormatError("the Host header and the request target do not make a URL");
  }
  return url;
}

/** An application that has a class of its own in the place of the global Request gets one of those. */
export function createFetchRequest(environ: Environ): Request {
  const url = urlOf(environ);
  const light = takesLightRequests() ? lightRequest(environ, url) : undefined;
  if (light !== undefined) return light as unknown as Request;
  const headers = new Headers();
  for (const [name, value] of pairsOf(rawHeadersOf(environ))) headers.append(name, value);
  return realRequest(environ, { method: environ.REQUEST_METHOD, url, headers }, Request);
}
