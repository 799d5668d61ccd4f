// The codes of what a client, or Apache for it, did: TSGI1xxx.

import type { CodePage } from "./page.ts";

export const peerPages: readonly CodePage[] = [
  {
    codes: ["TSGI1001"],
    title: "the FastCGI peer broke the protocol, and was dropped",
    meaning:
      "Whoever connected sent bytes that are no FastCGI, or more than a limit allows. The connection was closed.",
    causes: [
      "something that is not a web server connects: a browser, a health check that speaks HTTP, a port scanner",
      "variables of more bytes than --max-params allows, for example huge cookies",
    ],
    remedies: [
      "point the peer at Apache, not at the daemon's address; a health check may connect and close without a byte",
      "listen on a unix socket, which nobody else can reach",
      "raise --max-params when the reason in the line speaks of the size of the variables",
    ],
  },
  {
    codes: ["TSGI1002"],
    title: "the client went away",
    meaning: "The client closed its connection before the response was complete. This is ordinary and no failure.",
    causes: ["a reader pressed stop or left the page", "a proxy in front of Apache has a shorter timeout"],
    remedies: ["nothing; let long work look at tsgi.signal so that it ends early"],
  },
  {
    codes: ["TSGI1003"],
    title: "the request body ended too early",
    meaning:
      "Fewer bytes came than CONTENT_LENGTH says. What came is not taken for the whole body; the client gets a 400.",
    causes: ["an upload was broken off", "a balancer of Apache's sent a request again without its whole body"],
    remedies: ["nothing when it is rare; otherwise look at timeouts between the client and Apache"],
  },
  {
    codes: ["TSGI1004"],
    title: "the request body is longer than the application allows",
    meaning:
      "`text`, `json` or `bytes` of wsgi.input were called with a limit that the body exceeds. The client gets a 413.",
    causes: ["an upload that is too large", "a limit that is too small: the default is 1 MiB"],
    remedies: ["give the limit that fits: `await input.json(8 * 1024 * 1024)`", "read large bodies as a stream"],
  },
  {
    codes: ["TSGI1005"],
    title: "the request body is not what was to be parsed",
    meaning: "The body is, for example, no JSON although the application read it as such. The client gets a 400.",
    causes: ["a client that sends something else", "the wrong Content-Type or charset"],
    remedies: ["look at CONTENT_TYPE before parsing, and answer 415 to anything that is not supported"],
  },
  {
    codes: ["TSGI1021"],
    title: "the form is malformed",
    meaning: "The body breaks the rules of its media type, RFC 7578 or the URL standard. The client gets a 400.",
    causes: [
      "an upload that was cut off: its final boundary is missing",
      "a client that writes multipart bodies by hand",
    ],
    remedies: ["the message names the rule and the part", "send the same form with `curl -F` and compare"],
  },
  {
    codes: ["TSGI1022"],
    title: "the form goes beyond a limit",
    meaning:
      "A limit of parseForm was reached; the message names it. The client gets a 413, or a 400 for headers and names.",
    causes: ["an upload that is too large", "a limit that is too small for this form"],
    remedies: ["give the limit that fits: `parseForm(environ, { fileBytes: 1024 ** 3 })`"],
  },
  {
    codes: ["TSGI1023"],
    title: "the body is no form, or of a kind that is not read",
    meaning:
      "Forms are urlencoded or multipart/form-data, in a known charset and without transfer encodings. The client gets a 415.",
    causes: ["a JSON body for a page that expects a form", "a charset that nobody uses any more"],
    remedies: ["look at CONTENT_TYPE before parsing", "read other bodies with `wsgi.input`"],
  },
  {
    codes: ["TSGI1121"],
    title: "a reload over the status page was refused",
    meaning: "Whoever asked had not the control token. After five wrong ones there is one more try every ten seconds.",
    causes: ["a token of before the last restart", "somebody who may see the page and may not reload"],
    remedies: [
      "take the token from its file again: the page and the line at the start of the daemon name it",
      "keep the page for fewer: see the Require line in Apache",
    ],
  },
  {
    codes: ["TSGI1101"],
    title: "a FastCGI peer was refused: --allow does not list it",
    meaning: "Over TCP only this machine and the addresses of --allow may connect. The connection was closed unheard.",
    causes: ["Apache runs on another machine that is not listed", "somebody else found the port"],
    remedies: ["add Apache's address to --allow", "close the port in the firewall, or listen on a unix socket"],
  },
  {
    codes: ["TSGI1102"],
    title: "a FastCGI peer stalled, and was dropped",
    meaning: "For --idle-timeout no byte moved although the response was not read, or the body not sent.",
    causes: ["a client that reads or sends very slowly", "Apache was stopped or is overloaded"],
    remedies: [
      "raise --idle-timeout for very slow clients",
      "set RequestReadTimeout of mod_reqtimeout against bad ones",
    ],
  },
  {
    codes: ["TSGI1103"],
    title: "the variables of a request did not arrive in time",
    meaning: "A request began, and --params-timeout later its variables were not complete. The connection was closed.",
    causes: ["the peer is no web server", "Apache's machine is overloaded or unreachable"],
    remedies: ["see TSGI1001", "raise --params-timeout when Apache is far away"],
  },
  {
    codes: ["TSGI1031"],
    title: "a request was sent again without its body",
    meaning:
      "A member of a balancer died with the request, and Apache gave it to another one. The body was gone, so it was not run as one with an empty body: the client got a 503.",
    causes: ["a worker or a machine that died in the middle of a request"],
    remedies: ["the client may send it again", "look for why the other one died: `tsgi status` and its log"],
  },
  {
    codes: ["TSGI1032"],
    title: "a request came without the right secret",
    meaning:
      "The daemon has --secret-file, and what Apache sent as TSGI_SECRET is something else. The client got a 403.",
    causes: ["a peer that is not your Apache", "an Apache that was not restarted after the file was changed"],
    remedies: [
      "compare the two files",
      "include the file where Apache passes requests on: `tsgi config balancer --help`",
    ],
  },
];
