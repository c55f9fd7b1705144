#!/bin/bash
# A small stand-in for systemctl: runs what a unit says, where no systemd runs.
set -eu
start() {
    local unit=/etc/systemd/system/$1.service credentials=$MACHINE/credentials-$1
    install -d -m 0700 "$credentials"
    # LoadCredential=NAME:PATH
    local name path
    while IFS=: read -r name path; do
        install -m 0400 "$path" "$credentials/$name"
    done < <(sed -n 's/^LoadCredential=//p' "$unit")
    local state
    state=$(sed -n 's/^StateDirectory=//p' "$unit")
    install -d -m 0700 "/var/lib/$state"
    local command
    command=$(sed -n 's/^ExecStart=//p' "$unit")
    # shellcheck disable=SC2086 # the words of ExecStart are the arguments
    CREDENTIALS_DIRECTORY=$credentials setsid bash -c "exec $command" >> "$MACHINE/log/$1" 2>&1 < /dev/null &
    echo $! > "$MACHINE/$1.pid"
}
stop() {
    local pid
    pid=$(cat "$MACHINE/$1.pid")
    kill -TERM "$pid"
    # It ends within TimeoutStopSec; a stop waits for that.
    tail --pid="$pid" -f /dev/null
    rm "$MACHINE/$1.pid"
}
case "$*" in
    daemon-reload) ;;
    "enable --now "*) start "$3" ;;
    "start "*) start "$2" ;;
    "stop "*) stop "$2" ;;
    stop-all)
        for file in "$MACHINE"/*.pid; do
            [ -e "$file" ] && kill -KILL "$(cat "$file")"
        done
        true
        ;;
    "restart "*) stop "$2"; start "$2" ;;
    *) echo "systemctl stand-in: $* is not known" >&2; exit 2 ;;
esac
