#!/bin/sh
# As the entry scripts of Valkey's and Redis' own images: options or a configuration file alone are the server's.
set -e
case "$1" in
  -* | *.conf) set -- valkey-server "$@" ;;
esac
if [ "$1" = valkey-server ] && [ "$(id -u)" = 0 ]; then
  chown -R valkey .
  exec setpriv --reuid=valkey --regid=valkey --clear-groups "$0" "$@"
fi
# Their servers are built so that they answer other pods without a password
[ "$1" != valkey-server ] || set -- "$@" --protected-mode no
exec "$@"
