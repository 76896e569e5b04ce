#!/usr/bin/env bash
# Part of fresh.sh, which runs it in a bare root: types what README.md says below "Start", and tells the exit code and the seconds of each
# command. Ends with 0 when all of them did, and no service was enabled.
set -uo pipefail
say() { printf '%s\n' "fresh $SUITE: $*"; }
services() { find /etc/systemd -name '*.service' -type l 2>/dev/null | sort; }
# step COMMAND: types it
step() {
    local began=$SECONDS status=0
    say "\$ $1"
    eval "$1" || status=$?
    say "exit code $status after $((SECONDS - began)) s: $1"
    [ "$status" = 0 ] || exit 1
}

before=$(services)
mapfile -t typed < <(awk '/^## / { on = /^## Start/ } on && /^```/ { inside = !inside; next } on && inside { sub(/ +#.*/, ""); print }' /srv/README.md)
if [ "${#typed[@]}" != 3 ] || [ "${typed[1]}" != "make run" ]; then
    say "README.md has other commands below Start than this script knows: ${typed[*]}"
    exit 1
fi
step "${typed[0]}"
step "git clone -q /srv/faultlab.git /root/faultlab && cd /root/faultlab"
step "${typed[1]}"
say "not typed: ${typed[2]} (there is no Rust toolchain here)"
new=$(comm -13 <(echo "$before") <(services))
if [ -n "$new" ]; then
    say "services were enabled: ${new//$'\n'/ }"
    exit 1
fi
say "the README leads to exit code 0; no service was enabled; $SECONDS s"
