// What `tsgi doctor` finds wrong with a program, its interpreter, and who may run it: TSGI350x to TSGI352x.
// Rules: see page.ts; each was produced with a real Apache, or read in the source of the one that says it.

import type { CodePage } from "./page.ts";

export const doctorProgramPages: readonly CodePage[] = [
  {
    codes: ["TSGI3500"],
    title: "a part was looked at, and nothing is wrong with it",
    meaning: "`tsgi doctor --verbose` says so of each part.",
    causes: ["all is well there"],
    remedies: ["nothing"],
  },
  {
    codes: ["TSGI3501"],
    title: "node is not on the PATH of the program",
    meaning: "The program is started with the PATH of Apache, or with suEXEC's safe one, not with that of your shell.",
    causes: ["node was installed for one user, for example with nvm"],
    remedies: [
      "set PATH in a wrapper: PATH=/folder/of/node:$PATH; export PATH",
      "put the absolute path of node into the wrapper",
    ],
  },
  {
    codes: ["TSGI3502"],
    title: "node is too old",
    meaning: "tsgi needs Node.js 20.19 or newer. A program may find another node than your shell does.",
    causes: ["an old node of the system stands before yours on the PATH"],
    remedies: ["name the folder of the newer node first on the PATH of the wrapper"],
  },
  {
    codes: ["TSGI3503"],
    title: "a program that is named is not there, or does not run",
    meaning: "The visitor sees a 404 or a 500.",
    causes: ["a link that leads nowhere", "a node for another system: its libraries are missing"],
    remedies: ["mend the path", "install Node.js for this system"],
  },
  {
    codes: ["TSGI3504"],
    title: "the program has no #! line",
    meaning: "The system does not know what to run it with: (8)Exec format error. The visitor sees a 500.",
    causes: ["the line was forgotten, or something stands before it"],
    remedies: ["begin the file with #! and the absolute path of tsgi-cgi, or #!/bin/sh in a wrapper"],
  },
  {
    codes: ["TSGI3505"],
    title: "a byte order mark stands before #!",
    meaning: "Editors on Windows write it. The system sees no #! line then. The visitor sees a 500.",
    causes: ["the file was saved as UTF-8 with BOM, or as UTF-16"],
    remedies: ["save it as UTF-8 without a byte order mark"],
  },
  {
    codes: ["TSGI3506"],
    title: "the program has Windows line ends",
    meaning:
      "The system takes the CR for a part of the name before it and finds no such program. The visitor sees a 500.",
    causes: ["an editor on Windows, or git with core.autocrlf"],
    remedies: ["sed -i 's/\\r$//' FILE", "upload it in text mode"],
  },
  {
    codes: ["TSGI3507"],
    title: "the interpreter of the #! line is not there",
    meaning:
      "(2)No such file or directory in Apache's log is about the interpreter, not about the program. The visitor sees a 500.",
    causes: ["a path of another machine", "node was updated, and the old version's folder is gone"],
    remedies: ["put the path that `command -v node` prints, or that of tsgi-cgi, behind #!"],
  },
  {
    codes: ["TSGI3508"],
    title: "the program's user may not run its interpreter",
    meaning: "Every folder above it must let that user in, and the file must be executable for him.",
    causes: ["node lies in a home folder of mode 0700, as nvm puts it", "a program without x for others"],
    remedies: ["install node where everybody may enter, such as /usr/local", "chmod o+x the folders on the way"],
  },
  {
    codes: ["TSGI3509"],
    title: "the #! line is too long",
    meaning: "The system reads 255 bytes of it, older ones 127, and cuts the rest off.",
    causes: ["a deep path and many arguments"],
    remedies: ["use a wrapper: #!/bin/sh and a line exec INTERPRETER FILE"],
  },
  {
    codes: ["TSGI3510"],
    title: "the #! line has words that the system does not take apart",
    meaning:
      "All that follows the interpreter is one word. Quotes are part of a name, and a relative path counts from nowhere.",
    causes: ["#!/usr/bin/env node --flag without -S", "quotes around the path"],
    remedies: ["#!/usr/bin/env -S node --flag, or a wrapper"],
  },
  {
    codes: ["TSGI3511"],
    title: "the program is not executable",
    meaning: "(13)Permission denied in Apache's log. The visitor sees a 500.",
    causes: ["an upload drops the execute bit"],
    remedies: ["chmod 755 FILE"],
  },
  {
    codes: ["TSGI3512"],
    title: "the file system runs no programs",
    meaning: "It is mounted with the option noexec.",
    causes: ["/tmp or /home is mounted noexec on this host"],
    remedies: ["move the program to another file system"],
  },
  {
    codes: ["TSGI3513"],
    title: "a part of the tsgi package is missing",
    meaning: "tsgi-cgi and tsgi-fcgid need the folder dist beside bin.",
    causes: ["only bin was uploaded", "the package was not built"],
    remedies: ["npm install tsgi, or upload the whole package"],
  },
  {
    codes: ["TSGI3514"],
    title: "the wrapper prints before the program starts",
    meaning: "Apache takes the text for the first header: malformed header from script. The visitor sees a 500.",
    causes: ["echo or printf in the wrapper"],
    remedies: ["print to stderr: echo ... >&2"],
  },
  {
    codes: ["TSGI3515"],
    title: "the wrapper changes to a folder that is not there",
    meaning: "The shell goes on in the wrong folder, or ends. The visitor sees a 500.",
    causes: ["a path of another machine", "the application was moved"],
    remedies: ["put the application's folder behind cd"],
  },
  {
    codes: ["TSGI3516"],
    title: "node runs an application by itself",
    meaning:
      "A CGI program prints headers and a body and ends. An application waits for somebody to call it, an HTTP server for connections. The visitor sees a 500.",
    causes: ["#!/usr/bin/node where #!/.../tsgi-cgi is wanted"],
    remedies: ["begin the file with #! and the absolute path of tsgi-cgi"],
  },
  {
    codes: ["TSGI3520"],
    title: "a folder does not let a user in",
    meaning: "Whoever opens a file needs x on every folder above it. Apache answers 403, or 500 for a program.",
    causes: ["a home folder of mode 0700", "a folder that root made"],
    remedies: ["chmod o+x the folder that is named"],
  },
  {
    codes: ["TSGI3521"],
    title: "a file cannot be read by the user who needs it",
    meaning: "An .htaccess that Apache cannot read closes its whole folder with 403.",
    causes: ["mode 0600, and another owner"],
    remedies: ["chmod 644 FILE for .htaccess; chmod 755 for a program"],
  },
  {
    codes: ["TSGI3522"],
    title: "others may write to a program or its folder",
    meaning: "Whoever can write there runs code as you. suEXEC refuses such programs with 500.",
    causes: ["chmod 777, which many pages recommend"],
    remedies: ["chmod 755 folders and programs, 644 all else"],
  },
  {
    codes: ["TSGI3523"],
    title: "a program or its folder belongs to another user",
    meaning: "suEXEC wants both to belong to the account, user and group alike. Others get a 500.",
    causes: ["an upload or unpacking as root", "a copy with cp -a from another account"],
    remedies: ["chown -R USER:GROUP the site"],
  },
  {
    codes: ["TSGI3524"],
    title: "the program lies outside of suEXEC's document root",
    meaning: "suEXEC was built, or is configured, for one folder. The visitor sees a 500.",
    causes: ["a site in /srv, and suEXEC for /var/www"],
    remedies: ["move the site", "on Debian install apache2-suexec-custom and edit /etc/apache2/suexec/www-data"],
  },
  {
    codes: ["TSGI3525"],
    title: "suEXEC does not run programs for this user",
    meaning: "It refuses root, and users and groups with low numbers, which belong to the system.",
    causes: ["SuexecUserGroup with www-data or root"],
    remedies: ["SuexecUserGroup with an account of a person"],
  },
  {
    codes: ["TSGI3526"],
    title: "the program has the setuid or setgid bit",
    meaning: "suEXEC refuses it. The visitor sees a 500.",
    causes: ["chmod with four digits"],
    remedies: ["chmod u-s,g-s FILE"],
  },
  {
    codes: ["TSGI3527"],
    title: "the program is a symbolic link",
    meaning: "suEXEC refuses it. The visitor sees a 500.",
    causes: ["a link into node_modules/.bin or to node"],
    remedies: ["a wrapper of two lines in its place"],
  },
  {
    codes: ["TSGI3528"],
    title: "Apache may not follow a symbolic link",
    meaning:
      "Options decides it: FollowSymLinks, or SymLinksIfOwnerMatch when link and target have one owner. Apache answers 403.",
    causes: ["Options None, or -FollowSymLinks", "a link to a file of another user"],
    remedies: ["Options +SymLinksIfOwnerMatch, and the same owner"],
  },
];
