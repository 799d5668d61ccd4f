// The `apachectl` of a server root made by `tsgi setup-server`: a shell script that starts and stops Apache and the daemon.
// Rules: plain POSIX sh; a process id is believed only when the process still names this server root; every wait ends.

import { shellWord } from "../../apache/htaccess.ts";
import { serverRootNames as names } from "../../apache/server-root.ts";
import { daemonCommand, workingFolder } from "./programs.ts";
import type { ServerRoot } from "./root.ts";

const script = `
# Is the process of this pid file alive, and one of this server root?
is_running() {
  [ -s "$1" ] || return 1
  pid=$(cat "$1")
  kill -0 "$pid" 2>/dev/null || return 1
  if [ -r "/proc/$pid/cmdline" ]; then command=$(tr '\\0' ' ' <"/proc/$pid/cmdline"); else command=$(ps -o args= -p "$pid"); fi
  case $command in *"$root"*) return 0 ;; *) return 1 ;; esac
}

# Waits up to 15 s until the command fails (or, with "!", succeeds).
wait_while() {
  tries=0
  while "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || return 1
    sleep 0.1
  done
}

not_listening() { [ ! -S "$root/${names.daemonSocket}" ] && kill -0 "$daemon_pid" 2>/dev/null; }

start_daemon() {
  [ -n "$has_daemon" ] || return 0
  is_running "$daemon_pid_file" && return 0
  echo "--- start $(date)" >>"$root/${names.daemonLog}"
  (
    cd "$work" || exit 1
    exec_daemon </dev/null >>"$root/${names.daemonLog}" 2>&1 &
    echo $! >"$daemon_pid_file"
  )
  daemon_pid=$(cat "$daemon_pid_file")
  wait_while not_listening
  [ -S "$root/${names.daemonSocket}" ] && return 0
  echo "apachectl: the daemon did not start; the end of $root/${names.daemonLog}:" >&2
  tail -n 5 "$root/${names.daemonLog}" >&2
  rm -f "$daemon_pid_file"
  return 1
}

stop_daemon() {
  [ -n "$has_daemon" ] || return 0
  if is_running "$daemon_pid_file"; then
    kill -TERM "$(cat "$daemon_pid_file")"
    wait_while is_running "$daemon_pid_file" || kill -KILL "$(cat "$daemon_pid_file")"
  fi
  rm -f "$daemon_pid_file"
}

start() {
  start_daemon || return 1
  is_running "$pid_file" && { echo "apachectl: Apache runs already"; return 0; }
  rm -f "$pid_file"
  start_httpd || { stop_daemon; return 1; }
  wait_while not_written || { echo "apachectl: Apache did not start; see $root/${names.errorLog}" >&2; stop_daemon; return 1; }
}

# After a stop, a program that mod_fcgid had started may hold Apache's port for the moment that it still lives.
start_httpd() {
  tries=0
  until said=$(httpd -k start 2>&1); do
    tries=$((tries + 1))
    case $said in *AH00072*) [ "$tries" -lt "\${patience:-1}" ] ;; *) false ;; esac || { echo "$said" >&2; return 1; }
    sleep 0.1
  done
  [ -z "$said" ] || echo "$said" >&2
}

not_written() { [ ! -s "$pid_file" ]; }

stop() {
  if is_running "$pid_file"; then
    httpd_pid=$(cat "$pid_file") # the file goes before the process does
    kill -TERM "$httpd_pid"
    wait_while kill -0 "$httpd_pid" 2>/dev/null || { echo "apachectl: Apache does not stop" >&2; return 1; }
  fi
  stop_daemon
  rm -f "$root/${names.sockets}/"*
}

status() {
  code=0
  if is_running "$pid_file"; then echo "Apache runs: process $(cat "$pid_file"), $url"; else echo "Apache does not run"; code=1; fi
  [ -n "$has_daemon" ] || return $code
  if is_running "$daemon_pid_file"; then echo "the daemon runs: process $(cat "$daemon_pid_file")"; else echo "the daemon does not run"; code=1; fi
  return $code
}

case "\${1:-}" in
  start) start ;;
  stop) stop ;;
  restart) stop && patience=50 && start ;;
  graceful) is_running "$pid_file" && httpd -k graceful ;;
  status) status ;;
  configtest) httpd -t ;;
  *)
    echo "usage: $0 start|stop|restart|graceful|status|configtest" >&2
    exit 2
    ;;
esac
`;

function words(command: readonly string[]): string {
  return command.map(shellWord).join(" ");
}

/** The script for a server root whose Apache listens at `url`. */
export function apachectl(root: ServerRoot, url: string): string {
  const { folder, server, account } = root;
  const daemon = daemonCommand({ ...server, folder });
  if (account.isOther) daemon.push("--user", account.user);
  return [
    "#!/bin/sh",
    "# Starts and stops the private Apache of this folder, and the daemon behind it. Written by tsgi.",
    `root=${shellWord(folder)}`,
    `url=${shellWord(url)}`,
    `work=${shellWord(workingFolder(server.site))}`,
    `pid_file="$root/${names.pidFile}"`,
    `daemon_pid_file="$root/${names.daemonPidFile}"`,
    `has_daemon=${server.mode === "proxy_fcgi" ? "yes" : ""}`,
    `httpd() { ${words(root.httpdCommand)} "$@"; }`,
    `exec_daemon() { exec ${words(daemon)}; }`,
    script,
  ].join("\n");
}
