// What `tsgi doctor` finds wrong with Apache's configuration and .htaccess: TSGI353x and TSGI354x.
// Rules: see page.ts; each was produced with a real Apache, or read in the source of the one that says it.

import type { CodePage } from "./page.ts";

export const doctorServerPages: readonly CodePage[] = [
  {
    codes: ["TSGI3530"],
    title: "Apache refuses its own configuration",
    meaning: "It goes on with what it read when it started, and does not start again.",
    causes: ["a change with a mistake in it"],
    remedies: ["apachectl configtest names the line"],
  },
  {
    codes: ["TSGI3531"],
    title: "a directive in .htaccess has a name that Apache does not know",
    meaning: "Apache answers 500 for the whole folder, and logs Invalid command.",
    causes: ["a typing mistake", "a module that is not loaded"],
    remedies: [
      "mend the name, or load the module",
      "put it into <IfModule mod_NAME.c>, unless it is of mod_rewrite: Apache would send the files that its lines hide",
    ],
  },
  {
    codes: ["TSGI3532"],
    title: "a directive in .htaccess is not allowed there",
    meaning: "Apache answers 500 for the whole folder, and logs: not allowed here.",
    causes: ["it belongs into the server's configuration", "AllowOverride of the host does not allow its class"],
    remedies: ["take it out, or ask the host for AllowOverride"],
  },
  {
    codes: ["TSGI3533"],
    title: "Apache does not read .htaccess",
    meaning: "AllowOverride None is Apache's default: the file might as well not be there.",
    causes: ["the <Directory> of the site has no AllowOverride"],
    remedies: ["AllowOverride FileInfo AuthConfig Indexes Options in the server's <Directory> of the site"],
  },
  {
    codes: ["TSGI3534"],
    title: ".htaccess cannot be read as a configuration",
    meaning: "Apache answers 500 for the whole folder.",
    causes: ["a section that is not closed", "Options with and without + in one line", "a byte order mark"],
    remedies: ["mend the line that is named"],
  },
  {
    codes: ["TSGI3535"],
    title: "Options ExecCGI is off",
    meaning: "Apache runs no program in the folder and answers 403.",
    causes: ["Options +ExecCGI is missing, or a later -ExecCGI takes it away"],
    remedies: ["Options +ExecCGI; in .htaccess that needs AllowOverride Options"],
  },
  {
    codes: ["TSGI3536"],
    title: "no handler runs the program",
    meaning: "Apache sends it as a file: visitors read its source.",
    causes: ["AddHandler or SetHandler is missing, or is for another ending"],
    remedies: ["AddHandler cgi-script .cgi, or SetHandler cgi-script in <Files>"],
  },
  {
    codes: ["TSGI3537"],
    title: "the handler is not one that runs programs",
    meaning: "Apache knows no module for it, and sends the file, or answers 500.",
    causes: ["fastcgi-script is of mod_fastcgi; mod_fcgid has fcgid-script", "the name of a handler of another host"],
    remedies: ["cgi-script or fcgid-script"],
  },
  {
    codes: ["TSGI3538"],
    title: "a module of Apache is not loaded",
    meaning: "Its directives and handlers do not exist then.",
    causes: ["the module is installed and not enabled"],
    remedies: ["a2enmod NAME, or LoadModule; on shared hosting ask the host"],
  },
  {
    codes: ["TSGI3539"],
    title: "this Apache runs no programs but PHP's",
    meaning: "None of mod_cgi, mod_cgid, mod_fcgid and mod_proxy_fcgi is loaded.",
    causes: ["a host for PHP only"],
    remedies: ["a2enmod cgid fcgid proxy_fcgi, or another host"],
  },
  {
    codes: ["TSGI3540"],
    title: "a rule of mod_rewrite never comes to an end",
    meaning: "Each rewrite starts the rules of .htaccess anew. After ten times Apache answers 500 (AH00124).",
    causes: ["RewriteRule ^(.*)$ app.cgi/$1 without a condition"],
    remedies: ["RewriteCond %{REQUEST_FILENAME} !-f before it, or the flag END"],
  },
  {
    codes: ["TSGI3541"],
    title: "a rule leads to nothing",
    meaning:
      "The file or URL that a RewriteRule, Action or DirectoryIndex names is not there, or the rule is not switched on.",
    causes: ["a typing mistake", "the program has another name, or was not uploaded"],
    remedies: ["mend the name"],
  },
  {
    codes: ["TSGI3542"],
    title: "rules of mod_rewrite need one of the options for links",
    meaning: "Without FollowSymLinks or SymLinksIfOwnerMatch Apache answers 403 (AH00670).",
    causes: ["Options None, or Options without + in .htaccess, which takes all others away"],
    remedies: ["Options +SymLinksIfOwnerMatch"],
  },
  {
    codes: ["TSGI3543"],
    title: "the Authorization header does not reach the program",
    meaning:
      "Apache keeps it from CGI and FastCGI programs unless it is told to pass it. Logins with Basic or Bearer fail.",
    causes: ["CGIPassAuth is off, its default"],
    remedies: ["CGIPassAuth On", 'SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1 where CGIPassAuth is forbidden'],
  },
  {
    codes: ["TSGI3544"],
    title: "uploads are limited",
    meaning:
      "mod_fcgid answers 500 to a body of more than FcgidMaxRequestLen, 128 KiB unless it is set; the program sees nothing.",
    causes: ["the default of mod_fcgid", "LimitRequestBody"],
    remedies: [
      "FcgidMaxRequestLen 1073741824 in the server's configuration",
      "send large files over CGI or mod_proxy_fcgi",
    ],
  },
  {
    codes: ["TSGI3545"],
    title: "what the program sends is collected before it goes out",
    meaning: "Server-sent events and progress do not arrive as they are sent.",
    causes: ["FcgidOutputBufferSize, 64 KiB unless it is set", "no flushpackets for the daemon"],
    remedies: ["FcgidOutputBufferSize 0", "flushpackets=on in the <Proxy> or ProxyPass"],
  },
  {
    codes: ["TSGI3546"],
    title: "paths with an encoded slash do not reach the program",
    meaning: "Apache answers 404 to %2F unless AllowEncodedSlashes says otherwise.",
    causes: ["its default is Off, and .htaccess cannot change it"],
    remedies: ["AllowEncodedSlashes NoDecode in the server or virtual host", "put such values into the query"],
  },
  {
    codes: ["TSGI3547"],
    title: "visitors are denied",
    meaning: "Require all denied holds for the folder, and Apache answers 403.",
    causes: ["the server's <Directory /> denies all, and nothing grants the site"],
    remedies: ["Require all granted in the <Directory> of the site"],
  },
  {
    codes: ["TSGI3548"],
    title: "no configuration is known that serves the folder",
    meaning: "What depends on the server was not looked at. This is no failure.",
    causes: ["Apache runs on another machine", "its configuration is in an unusual place"],
    remedies: ["name its main file: tsgi doctor DIR --apache-config FILE"],
  },
  {
    codes: ["TSGI3549"],
    title: "something could not be seen",
    meaning: "This user has not the right to look at it, so nothing is said of it.",
    causes: ["a file of another user"],
    remedies: ["run it as root, or as the owner"],
  },
];
