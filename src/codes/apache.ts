// Codes and lines of Apache's own error log that a gateway's users meet, and what is behind them.
// Rules: causes were produced on Apache 2.4.71 with mod_fcgid 2.3.9, or read in their sources.

import type { CodePage } from "./page.ts";

const startPages: readonly CodePage[] = [
  {
    codes: ["AH01241"],
    pattern: /exec of '.*' failed/,
    title: "Apache could not start the program",
    meaning: "The system refused to run the CGI script or wrapper. The text in brackets before the code says why.",
    causes: [
      "(2) No such file or directory: the interpreter in its first line is missing, or the file has CRLF line ends",
      "(8) Exec format error: there is no #! line, or a byte order mark stands before it",
      "(13) Permission denied: the file is not executable",
    ],
    remedies: [
      "check the first line: #! and the absolute path of tsgi-cgi, without quotes",
      "save the file with LF line ends and without a byte order mark",
      "chmod 755 the file",
    ],
  },
  {
    codes: ["TSGI3593"],
    pattern: /\/usr\/bin\/env: .?node|node is not on the PATH/,
    title: "node is not on Apache's PATH",
    meaning: "The program was started and did not find node.",
    causes: ["node was installed for one user, for example with nvm: Apache's PATH does not hold it"],
    remedies: ["use a two-line wrapper that sets PATH, as `tsgi config htaccess-cgi` prints it"],
  },
  {
    codes: ["TSGI3594"],
    pattern: /End of script output before headers|Premature end of script headers/,
    title: "the program ended without a response",
    meaning: "The visitor sees a 500. What the program said is in the lines just above.",
    causes: ["it could not be started: see AH01241", "it crashed, was killed for its memory, or printed nothing"],
    remedies: [
      "read the lines before it",
      "run the script by hand as the user that Apache is",
      "on a host with suEXEC look into its log: owner, group and permissions (0755, never 0777) must be right",
    ],
  },
  {
    codes: ["AH01262", "AH02809"],
    pattern: /does not have ExecCGI enabled/,
    title: "Options ExecCGI is off in this directory",
    meaning: "CGI is not switched on for the folder. The visitor sees a 403.",
    causes: ["Options +ExecCGI is missing, or .htaccess may not set it"],
    remedies: ["add `Options +ExecCGI`; in .htaccess that needs AllowOverride Options"],
  },
  {
    codes: ["AH01264", "AH02811"],
    title: "script not found or unable to stat",
    meaning: "The URL leads to a file that is not there. The visitor sees a 404.",
    causes: ["a wrong path in ScriptAlias or Action", "a folder that Apache's user may not enter"],
    remedies: ["compare the path in the line with the disk", "allow Apache's user to enter every folder above it"],
  },
  {
    codes: ["AH01220"],
    pattern: /Timeout waiting for output from CGI script/,
    title: "the CGI program was silent for too long",
    meaning: "Nothing came for Timeout, CGIDScriptTimeout or CGIScriptTimeout.",
    causes: ["a request that computes or waits for minutes", "an application that neither answers nor reads its input"],
    remedies: ["raise CGIDScriptTimeout", "send something early, or use the daemon"],
  },
  {
    codes: ["AH01215"],
    title: "text that the program wrote to stderr",
    meaning: "No failure by itself: mod_cgi puts every line of stderr into its log with this code.",
    causes: ["wsgi.errors, console.* or the log of a CGI application"],
    remedies: ["nothing; set TSGI_LOG_FILE to have a log of your own"],
  },
];

const headerPages: readonly CodePage[] = [
  {
    codes: ["TSGI3595"],
    pattern: /malformed header from script/,
    title: "the program printed something before its headers",
    meaning: "The text after `Bad header:` is what came where a header was expected. The visitor sees a 500.",
    causes: ["console.log in a program that speaks CGI by itself", "a shell wrapper that prints"],
    remedies: [
      "let tsgi-cgi run the application: whatever prints goes to stderr there",
      "print nothing in the wrapper",
    ],
  },
  {
    codes: ["AH02429", "AH02430"],
    title: "a response header has characters that it may not have",
    meaning: "Apache threw the response away. tsgi refuses such headers before, so another program sent it.",
    causes: ["a line of output with a colon in it, before the headers", "a header name with a space"],
    remedies: ["see `malformed header from script`"],
  },
  {
    codes: ["AH01070"],
    title: "Error parsing script headers",
    meaning: "What came from the FastCGI backend was no header block.",
    causes: ["a backend that is not tsgi", "a header line of 8 KB or more"],
    remedies: ["shorten the header: a cookie or Location may have at most 8 KB"],
  },
];

const fastcgiPages: readonly CodePage[] = [
  {
    codes: ["AH02454", "AH01079", "AH00957", "AH01114"],
    title: "Apache cannot connect to the daemon",
    meaning: "The visitor sees a 503.",
    causes: [
      "the daemon does not run",
      "the path of the socket in Apache's configuration is another one",
      "Apache's user may not open the socket, or not enter a folder above it",
    ],
    remedies: [
      "`tsgi status --listen unix:/path` tells whether it runs",
      "--socket-group with the group of Apache's user, or run the daemon as that user",
    ],
  },
  {
    codes: ["AH00959"],
    title: "Apache leaves the backend alone for a while",
    meaning: "After a failed connection Apache answers 503 for `retry` seconds (60 unless set) without trying.",
    causes: ["see AH01079"],
    remedies: ["start the daemon; `retry=0` in the ProxyPass or Proxy of Apache tries each time"],
  },
  {
    codes: ["AH01067", "AH01075"],
    title: "the FastCGI connection ended before its response",
    meaning: "The daemon closed it, or Apache gave up waiting. The visitor sees a 503, a 504 or half a response.",
    causes: [
      "a response that broke off: tsgi closes the connection so that nobody takes half of it for all",
      "a worker that was killed or crashed",
      "nothing came for the worker's timeout= or ProxyTimeout",
    ],
    remedies: ["look for the request id in the daemon's log", "raise timeout= in the ProxyPass or Proxy of Apache"],
  },
  {
    codes: ["AH01068", "AH01069", "AH01072"],
    title: "what came from the backend is no FastCGI",
    meaning: "Apache expected a FastCGI record and read something else.",
    causes: ["the address belongs to another program, for example an HTTP server"],
    remedies: ["use fcgi:// for tsgi, and http:// for HTTP servers; compare the address with --listen"],
  },
  {
    codes: ["AH01071"],
    title: "text that the application wrote to wsgi.errors",
    meaning: "No failure of Apache's: mod_proxy_fcgi logs every line of FastCGI's error stream as an error.",
    causes: ["a line of wsgi.errors", "`tsgi: ... [TSGI....] [request ...]`: a request failed; explain that code"],
    remedies: ["find the request id in the daemon's log, which has the stack"],
  },
  {
    codes: ["AH10414"],
    title: "the path to be forwarded has control characters or a question mark",
    meaning: "Apache refuses such URLs with a 403 unless the backend is declared as a generic one.",
    causes: ["ProxyFCGIBackendType GENERIC is missing"],
    remedies: ["use the configuration of `tsgi config`, which sets it"],
  },
  {
    codes: ["AH02536"],
    title: "a variable was too large for mod_proxy_fcgi",
    meaning: "It is left out of the request: name and value must fit into 16 KB.",
    causes: ["a huge header or SetEnv"],
    remedies: ["make it smaller"],
  },
];

const fcgidPages: readonly CodePage[] = [
  {
    codes: ["TSGI3596"],
    pattern: /exceeds MaxRequestLen/,
    title: "mod_fcgid: the upload is larger than FcgidMaxRequestLen",
    meaning: "The visitor sees a 500, and the application nothing. The limit is 128 KiB unless it is set.",
    causes: ["an upload"],
    remedies: [
      "raise FcgidMaxRequestLen in the server's configuration: .htaccess cannot",
      "send such URLs over CGI or mod_proxy_fcgi",
    ],
  },
  {
    codes: ["TSGI3597"],
    pattern: /mod_fcgid: error reading data from FastCGI server/,
    title: "mod_fcgid: the process ended at its start or within a request",
    meaning: "The visitor sees a 500.",
    causes: ["the application cannot be loaded", "a wrapper with a wrong first line", "a crash"],
    remedies: ["run the wrapper's command by hand as Apache's user", "`tsgi check FILE` as that user"],
  },
  {
    codes: ["TSGI3598"],
    pattern: /mod_fcgid: read data timeout/,
    title: "mod_fcgid: nothing came for FcgidIOTimeout",
    meaning: "The visitor sees a 500, and the process is ended. The time is 40 s unless it is set.",
    causes: ["a slow request, or a slow start of the application"],
    remedies: ["raise FcgidIOTimeout in the server's configuration", "send something early"],
  },
  {
    codes: ["TSGI3599"],
    pattern: /mod_fcgid: can't apply process slot|spawn score|mod_fcgid: .*(?:too many|limit)/,
    title: "mod_fcgid: no further process may be started",
    meaning: "The visitor sees a 503 after a while.",
    causes: [
      "as many requests at once as there may be processes: each serves one request",
      "a process that crashes at its start again and again",
    ],
    remedies: ["raise FcgidMaxProcessesPerClass", "run the wrapper's command by hand as Apache's user"],
  },
];

export const apachePages: readonly CodePage[] = [...startPages, ...headerPages, ...fastcgiPages, ...fcgidPages];
