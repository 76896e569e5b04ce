#!/bin/sh
# Installs the given Debian packages when they are missing; where that is impossible, says exactly what is missing and goes on:
# the lab then skips what it cannot run, with the reason.
set -u
missing=""
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing on this machine (Debian's package names):$missing" >&2
    exit 0
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
    sudo=$(command -v sudo) || { echo "not root and no sudo; please run: apt-get install --no-install-recommends$missing" >&2; exit 0; }
fi
# A package that starts a daemon when installed must not: the lab starts its own.
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$guard" >/dev/null && $sudo chmod +x "$guard"
    trap '$sudo rm -f "$guard"' EXIT
fi
echo "installing:$missing" >&2
$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
# shellcheck disable=SC2086 # the list is meant to be split
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || {
    echo "could not install:$missing" >&2
    exit 1
}
