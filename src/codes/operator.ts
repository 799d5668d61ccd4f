// The codes of what the machine, its settings or its processes did: TSGI3xxx.

import type { CodePage } from "./page.ts";

const requestPages: readonly CodePage[] = [
  {
    codes: ["TSGI3001"],
    title: "there is no such file, or no application at this address",
    meaning: "The script that was named or asked for is not there. A client gets a 404.",
    causes: ["a wrong path in the command or in Apache's configuration", "a file that was removed or renamed"],
    remedies: ["compare SCRIPT_FILENAME with what is on the disk", "`tsgi check FILE` looks where the daemon looks"],
  },
  {
    codes: ["TSGI3002"],
    title: "the file exports no application",
    meaning: "The module was loaded, and has no export of the name that was asked for, or it is no function.",
    causes: ["the export has another name than `application`", "a default export where a named one is wanted"],
    remedies: ["export it, or name it: `app.ts#admin`", "`tsgi check FILE` lists what is exported"],
  },
  {
    codes: ["TSGI3003"],
    title: "the application failed while it was loaded",
    meaning: "Its own code threw at the top level, or an import leads nowhere. The message says where.",
    causes: ["a missing package: `npm install` was not run there", "a setting or database that is not there at start"],
    remedies: [
      "run `tsgi check FILE` as the user that the workers are",
      "look at the first place that the message names",
    ],
  },
  {
    codes: ["TSGI3004"],
    title: "the application does not compile",
    meaning:
      "A file of it has a syntax error; the message has file, line and a caret. Code that served before goes on.",
    causes: ["a typing mistake", "a file that was saved half, or by a merge with conflict marks"],
    remedies: ["mend the place; `tsgi check FILE` tells whether it compiles"],
  },
  {
    codes: ["TSGI3005"],
    title: "the file is there and may not be run",
    meaning: "It lies outside the script root, is hidden, or could be changed by anybody. A client gets a 403.",
    causes: [
      "a link that leads out of the root",
      "permissions such as 0777 or 0666",
      "a file without a script's ending",
    ],
    remedies: ["`chmod o-w` the file", "give the folder that really holds the scripts as --script-root"],
  },
  {
    codes: ["TSGI3006"],
    title: "there is no folder for compiled scripts",
    meaning:
      "A script that was not compiled before cannot be run: compiled scripts may only lie where nobody else can write.",
    causes: [
      "the disk or a quota is full",
      "the home folder and the temporary folder are read-only, or belong to somebody else",
      "the folder of --cache-dir is another user's, or others may enter it",
    ],
    remedies: ["make room", "name a folder of the running user's own, with mode 0700, with --cache-dir"],
  },
  {
    codes: ["TSGI3101"],
    title: "a setting is wrong",
    meaning:
      "A flag, a variable or the configuration file has a value that cannot be used. Each has a line of its own.",
    causes: ["a typing mistake, or a setting of another command"],
    remedies: ["`--help` after the command shows what is taken"],
  },
  {
    codes: ["TSGI3102"],
    title: "this machine does not let us start",
    meaning: "A port or socket is in use, a folder or file may not be used, Apache or a module of it is missing.",
    causes: [
      "another daemon runs already",
      "the user may not write to the folder of the socket, the log or the pid file",
    ],
    remedies: ["do what the message says", "`tsgi status` tells whether a daemon runs"],
  },
  {
    codes: ["TSGI3103"],
    title: "overloaded: requests were answered 503",
    meaning: "More requests came than run and wait at once, or they waited longer than --queue-timeout.",
    causes: ["more load than the workers manage", "slow requests that hold their places", "no worker could be started"],
    remedies: [
      "look at `tsgi status`",
      "raise --processes, --max-concurrency or --queue-limit, or make requests faster",
    ],
  },
  {
    codes: ["TSGI3104"],
    title: "the server stopped before the request had ended",
    meaning:
      "A stop or reload gave the request its time, and it took longer. The client got a 503 or a broken response.",
    causes: ["long requests such as event streams or downloads"],
    remedies: ["raise --shutdown-timeout or --graceful-timeout", "let event streams end when tsgi.signal fires"],
  },
];

const processPages: readonly CodePage[] = [
  {
    codes: ["TSGI3121"],
    title: "an uploaded file cannot be stored",
    meaning:
      "The folder for temporary files cannot be written or is not safe. The client gets a 507 when the disk is full, else a 500.",
    causes: ["the disk is full", "TMPDIR is not writable", "the uploads' folder belongs to somebody else"],
    remedies: ["make room, or set TMPDIR", "give parseForm a `directory` of your own"],
  },
  {
    codes: ["TSGI3201"],
    title: "no worker takes connections",
    meaning: "The supervisor accepts them itself, and answers 503 to those that wait longer than --queue-timeout.",
    causes: ["all workers are blocked, crash or are being started"],
    remedies: ["the lines before say what became of the workers", "`tsgi status` shows them, and the last boot error"],
  },
  {
    codes: ["TSGI3202"],
    title: "a worker is killed",
    meaning: "It did not end by itself; `cause` in the line says why it had to.",
    causes: ["blocked: see TSGI2102", "its start or its end took longer than the timeout for it"],
    remedies: ["raise --startup-timeout, --graceful-timeout or --deadlock-timeout where the work needs that long"],
  },
  {
    codes: ["TSGI3203"],
    title: "requests were cut off",
    meaning: "A worker that was to end had requests that did not end within the time for it.",
    causes: ["long requests such as event streams or downloads"],
    remedies: ["see TSGI3104"],
  },
  {
    codes: ["TSGI3204"],
    title: "a worker has ended unexpectedly",
    meaning: "The supervisor starts another, more and more slowly when that goes on. `reason` says how it ended.",
    causes: [
      "out of memory: the heap was full, or the system killed it",
      "an uncaught error, an exit that the application asked for, or a crash of a native module",
      "somebody sent it a signal",
    ],
    remedies: ["look at the line before it from the same worker", "set --memory-limit, or raise --max-old-space-size"],
  },
  {
    codes: ["TSGI3205"],
    title: "the new generation could not start",
    meaning: "A reload found code that cannot be loaded. The old workers go on with the old code.",
    causes: ["see TSGI3003 and TSGI3004"],
    remedies: ["mend the application and reload again; `tsgi status` has the last boot error"],
  },
  {
    codes: ["TSGI3206"],
    title: "a worker or a group could not start",
    meaning: "It is tried again, more and more slowly, and at once when a file of the application changes.",
    causes: ["the application cannot be loaded any more", "its user may not read it, or may not open the log file"],
    remedies: ["look at `problem` in the line", "`tsgi check FILE` as that user"],
  },
  {
    codes: ["TSGI3207"],
    title: "something else is where the socket was",
    meaning: "The daemon leaves it alone. Apache reaches whoever made it.",
    causes: ["another daemon with the same --listen", "a deployment that replaced the folder"],
    remedies: ["give each daemon an address of its own", "remove the file: the socket is then made anew"],
  },
  {
    codes: ["TSGI3208"],
    title: "the socket's file was gone and has been made anew",
    meaning: "Requests of the last second or two may have failed.",
    causes: ["something cleans the folder, such as tmpreaper or systemd-tmpfiles"],
    remedies: ["keep the socket in a folder of /run, not of /tmp"],
  },
  {
    codes: ["TSGI3209"],
    title: "the socket's file is gone and cannot be made anew",
    meaning: "Apache cannot reach the daemon until it can. It is tried again.",
    causes: ["the folder is gone, or may not be written to any more"],
    remedies: ["make the folder again, with the owner that it had"],
  },
  {
    codes: ["TSGI3215"],
    title: "the supervisor cannot accept connections",
    meaning: "While no worker takes connections they wait in the system's queue until one does.",
    causes: ["no descriptors are left: see `ulimit -n`"],
    remedies: ["raise the limit (LimitNOFILE= under systemd)"],
  },
  {
    codes: ["TSGI3217"],
    title: "a blocked worker has ended itself",
    meaning: "Its event loop was blocked and the supervisor that would have killed it is gone.",
    causes: ["the supervisor was killed"],
    remedies: ["see TSGI2102; look into the system's log for what killed the supervisor"],
  },
];

const surroundingPages: readonly CodePage[] = [
  {
    codes: ["TSGI3211"],
    title: "accepting on the control socket failed",
    meaning: "A status, reload or stop could not be asked for; requests are served as before.",
    causes: ["no descriptors are left: see `ulimit -n`"],
    remedies: ["raise the limit (LimitNOFILE= under systemd)"],
  },
  {
    codes: ["TSGI3212"],
    title: "the control socket could not be removed",
    meaning: "The daemon ends and leaves the file; the next one replaces it.",
    causes: ["the folder may not be written to any more"],
    remedies: ["remove the file"],
  },
  {
    codes: ["TSGI3231"],
    title: "accepting on the status socket failed",
    meaning: "The status page could not be asked for; requests are served as before.",
    causes: ["no descriptors are left: see `ulimit -n`"],
    remedies: ["raise the limit (LimitNOFILE= under systemd)"],
  },
  {
    codes: ["TSGI3232"],
    title: "the status socket was removed and cannot be made again",
    meaning: "There is no status page until a restart; requests are served as before.",
    causes: ["the folder was removed, or may not be written to any more"],
    remedies: ["restart the daemon", "choose a folder that nobody cleans up, such as /run/tsgi"],
  },
  {
    codes: ["TSGI3213"],
    title: "the control socket was removed and is made again",
    meaning: "Somebody removed its file while the daemon runs.",
    causes: ["something cleans the folder"],
    remedies: ["keep it in a folder of /run, or choose another place with --control"],
  },
  {
    codes: ["TSGI3214"],
    title: "the control socket is lost until a restart",
    meaning: "It was removed and cannot be made again. Signals still work.",
    causes: ["another file has its place, or the folder may not be written to"],
    remedies: ["use SIGHUP and SIGTERM until the daemon is restarted"],
  },
  {
    codes: ["TSGI3216"],
    title: "the service manager cannot be notified",
    meaning: "systemd does not hear that the daemon is ready or well, and may end it.",
    causes: ["systemd-notify is missing", "NotifyAccess=all is missing in the unit"],
    remedies: ["install systemd's tools", "set NotifyAccess=all, or Type=exec without WatchdogSec"],
  },
  {
    codes: ["TSGI3218"],
    title: "the log file could not be opened again",
    meaning: "After SIGUSR1 the file with the name of --log-file could not be opened. Lines go on to the old file.",
    causes: ["the folder may not be entered, or the file not written, by the user of the process"],
    remedies: ["have logrotate make the file with the owner that it had, then send SIGUSR1 to the daemon again"],
  },
  {
    codes: ["TSGI3219"],
    title: "the error page cannot be used",
    meaning:
      "The file of TSGI_ERROR_PAGE, or of --error-page, cannot be read any more. Failed requests get the plain page.",
    causes: ["a wrong path, or permissions", "a file of more than 256 KiB"],
    remedies: ["give an absolute path that the application's user may read"],
  },
];

export const operatorPages: readonly CodePage[] = [...requestPages, ...processPages, ...surroundingPages];
