// Lines of suEXEC's log, and what Apache's own says of it.
// Rules: see page.ts; each was produced with a real Apache, or read in the source of the one that says it.

import type { CodePage } from "./page.ts";

export const suexecPages: readonly CodePage[] = [
  {
    codes: ["TSGI3583"],
    pattern: /suexec (?:policy violation|failure)/i,
    title: "suEXEC refused to run the program",
    meaning:
      "The visitor sees a 500. suEXEC's own log, mostly /var/log/apache2/suexec.log, says which rule was broken.",
    causes: ["owner, group or mode of the program or its folder"],
    remedies: ["tsgi doctor DIR, or tsgi doctor --error-log on suEXEC's log"],
  },
  {
    codes: ["TSGI3584"],
    pattern: /directory is writable by others/,
    title: "suEXEC: others may write to the program's folder",
    meaning: "The visitor sees a 500 (exit code 116).",
    causes: ["chmod 777 or 775"],
    remedies: ["chmod 755 the folder"],
  },
  {
    codes: ["TSGI3585"],
    pattern: /file is writable by others/,
    title: "suEXEC: others may write to the program",
    meaning: "The visitor sees a 500 (exit code 118).",
    causes: ["chmod 777 or 775"],
    remedies: ["chmod 755 FILE"],
  },
  {
    codes: ["TSGI3586"],
    pattern: /target uid\/gid \(.*\) mismatch/,
    title: "suEXEC: program or folder have another owner or group",
    meaning:
      "The visitor sees a 500 (exit code 120). The first pair is the account, the others are folder and program.",
    causes: ["an upload or unpacking as root"],
    remedies: ["chown USER:GROUP the folder and the program"],
  },
  {
    codes: ["TSGI3587"],
    pattern: /command not in docroot/,
    title: "suEXEC: the program lies outside of its document root",
    meaning: "The visitor sees a 500 (exit code 114).",
    causes: ["a site elsewhere than suEXEC was made for"],
    remedies: ["move the site; on Debian /etc/apache2/suexec/www-data"],
  },
  {
    codes: ["TSGI3588"],
    pattern: /cannot stat program|cannot stat directory|cannot get docroot information/,
    title: "suEXEC: the program cannot be looked at, or is a symbolic link",
    meaning: "The visitor sees a 500 (exit codes 115 and 117).",
    causes: ["a symbolic link in place of the program", "a folder that the account may not enter"],
    remedies: ["a real file in place of the link"],
  },
  {
    codes: ["TSGI3590"],
    pattern: /file is either setuid or setgid/,
    title: "suEXEC: the program has the setuid or setgid bit",
    meaning: "The visitor sees a 500 (exit code 119).",
    causes: ["chmod with four digits"],
    remedies: ["chmod u-s,g-s FILE"],
  },
  {
    codes: ["TSGI3591"],
    pattern: /file has no execute permission/,
    title: "suEXEC: the program is not executable",
    meaning: "The visitor sees a 500 (exit code 121).",
    causes: ["an upload drops the execute bit"],
    remedies: ["chmod 755 FILE"],
  },
  {
    codes: ["TSGI3592"],
    pattern: /cannot run as forbidden [ug]id|cannot run as '?root/,
    title: "suEXEC: it runs nobody with so low a number",
    meaning: "The visitor sees a 500 (exit codes 107 and 108).",
    causes: ["SuexecUserGroup with a user or group of the system"],
    remedies: ["SuexecUserGroup with an account of a person"],
  },
];
