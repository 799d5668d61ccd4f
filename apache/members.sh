#!/bin/sh
# Apache in the container of apache/Dockerfile, with a member of the balancer for each address that the name `app` has now.
# Where addresses come or go, as with `docker compose up --scale app=3`, Apache is restarted gracefully: no request is lost.
set -eu

addresses() { getent ahostsv4 app | awk '{ print $1 }' | sort -u; }

# The member of /etc/tsgi/site.conf stands for all: its line, with an address and a route of its own for each.
write_members() {
  awk -v addresses="$1" '
    $1 != "BalancerMember" { print; next }
    {
      count = split(addresses, list, /[ \n]+/)
      for (i = 1; i <= count; i += 1) {
        text = $0
        sub(/fcgi:\/\/app:/, "fcgi://" list[i] ":", text)
        sub(/route=m[0-9]+/, "route=m" i, text)
        print text
      }
    }' /etc/tsgi/site.conf > /tmp/site.conf.new
  mv /tmp/site.conf.new /tmp/site.conf
}

members=$(addresses)
until [ -n "$members" ]; do
  sleep 1
  members=$(addresses)
done
write_members "$members"

httpd -f /etc/tsgi/httpd.conf -DFOREGROUND &
server=$!
trap 'kill -WINCH "$server"' WINCH TERM INT

while kill -0 "$server" 2> /dev/null; do
  # `wait` returns at once when a signal comes, `sleep` alone would not.
  sleep 2 &
  wait $! || true
  now=$(addresses) || continue
  if [ -n "$now" ] && [ "$now" != "$members" ] && kill -0 "$server" 2> /dev/null; then
    members=$now
    write_members "$members"
    kill -USR1 "$server"
  fi
done
wait "$server"
