#!/bin/sh
# Installs everything that the build, the lab and the tests call, in one go. Where that is impossible, says once what is missing and
# goes on: the lab then skips what it cannot run, with the reason. None of these packages starts or enables a service.
#
# CARGO names another cargo.
set -u

# Package of Debian and Ubuntu : what is looked for, a command or a file.
needed="
gcc:gcc libc6-dev:/usr/include/stdio.h make:make ca-certificates:/etc/ssl/certs/ca-certificates.crt
flex:flex bison:bison bc:bc patch:patch tar:tar xz-utils:xz bzip2:bzip2
iproute2:ip util-linux:unshare
iputils-ping:ping traceroute:traceroute nftables:nft
tshark:tshark tcpdump:tcpdump openssl:openssl
"
# Their lines: the build; the pocket kernel's build; the lab; walking around in a network (`faultlab shell`); oracles of the tests.

say() { printf '%s\n' "dependencies: $*" >&2; }
# Some of them are where only root's PATH leads.
PATH=$PATH:/usr/sbin:/sbin

missing=""
for pair in $needed; do
    what=${pair#*:}
    case $what in
        /*) [ -e "$what" ] ;;
        *) command -v "$what" >/dev/null 2>&1 ;;
    esac || missing="$missing ${pair%%:*}"
done

# The toolchain is not a matter of packages: no stable distribution has a new enough one.
cargo=${CARGO:-cargo}
wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$(dirname "$0")/../Cargo.toml")
# shellcheck disable=SC2086 # it may be `cargo +nightly`
found=$($cargo --version 2>/dev/null | cut -d' ' -f2)
oldest=$(printf '%s\n' "$wanted" "${found:-0}" | sort -V | head -n 1)
if [ "$oldest" != "$wanted" ]; then
    say "a Rust toolchain of at least $wanted is missing ($cargo: ${found:-not found}). rustup installs one"
fi
[ -n "$missing" ] || exit 0

sudo=
going_on="Going on without them: \`faultlab doctor\` tells what can be run here"
if ! command -v apt-get >/dev/null 2>&1; then
    say "missing on this machine, which has no apt-get (the names are Debian's):$missing. $going_on"
    exit 0
elif [ "$(id -u)" != 0 ] && ! sudo=$(command -v sudo); then
    say "missing, and to be installed by root, since there is no sudo: apt-get install --no-install-recommends$missing. $going_on"
    exit 0
fi
say "installing$missing${sudo:+ (with sudo)}"
log=$(mktemp) || exit 4
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM
# One call, so that sudo asks once. Whether lists are new enough, the installation tells.
# shellcheck disable=SC2086 # the list is meant to be split
if ! $sudo env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -q; apt-get install -y -q --no-install-recommends "$@"' sh $missing </dev/null >"$log" 2>&1; then
    say "could not install$missing; apt-get says:"
    { grep -E '^[EW]:' "$log" || tail -n 5 "$log"; } | sed 's/^/dependencies:   /' >&2
    exit 1
fi
