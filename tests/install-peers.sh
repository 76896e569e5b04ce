#!/bin/sh
# Unpacks gateways whose Debian packages conflict with strongSwan's, each with the libraries that this machine lacks, into a
# private root of its own. Nothing is installed and no root is needed. The driver crates look for what this leaves:
#   <folder>/libreswan/usr/libexec/ipsec/pluto
#   <folder>/openiked/usr/sbin/iked
# Says exactly what is missing when it cannot; exit code 1 when any of them is not there afterwards.
set -u

if [ -n "${FAULTLAB_PEERS:-}" ]; then folder=$FAULTLAB_PEERS
elif [ "$(id -u)" = 0 ]; then folder=/var/cache/faultlab/peers
else folder=${XDG_CACHE_HOME:-${HOME:?neither HOME nor FAULTLAB_PEERS is set}/.cache}/faultlab/peers
fi

work=
trap 'rm -rf "${work:-}"' EXIT
trap 'exit 1' HUP INT TERM

say() { echo "peers: $*" >&2; }

# apt with the machine's package lists, or with ours once they were fetched.
apt() {
    apt_verb=$1
    shift
    if [ -d "$work/lists" ]; then
        set -- -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" "$@"
    fi
    # The sandbox user could not write into our folder.
    LC_ALL=C apt-get -o APT::Sandbox::User=root "$apt_verb" -q "$@"
}

# Package lists of our own: the machine's may be absent or older than what the mirrors still have.
update() {
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" && apt update >"$work/log" 2>&1
}

# The package and those libraries it needs which apt would install or upgrade with it. Not libc: it must match the machine's
# loader. Tools and services are left out, since nothing here runs them, but openssl, which makes keys.
wanted() {
    apt install -s --no-install-recommends "$1" >"$work/plan" 2>"$work/log" || return 1
    sed -n 's/^Inst \([^ ]*\) .*/\1/p' "$work/plan" | while read -r package; do
        case ${package%%:*} in
            "$1" | openssl) echo "$package" ;;
            *-dev | libc6 | libc-bin | libgcc-s1) ;;
            lib*) echo "$package" ;;
        esac
    done
}

# download PACKAGE: all that is wanted for it, into $work/debs
download() {
    packages=$(wanted "$1") && [ -n "$packages" ] || return 1
    rm -rf "$work/debs" && mkdir -p "$work/debs" || return 1
    # shellcheck disable=SC2086 # the list is meant to be split
    (cd "$work/debs" && apt download $packages) >"$work/log" 2>&1
}

# peer PACKAGE PROGRAM: <folder>/PACKAGE, which has PROGRAM in it
peer() {
    if [ -f "$folder/$1/$2" ]; then return 0; fi
    if [ -e "/$2" ] && dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; then
        say "$1 is installed on this machine: not unpacked"
        return 0
    fi
    for tool in apt-get dpkg-deb; do
        command -v "$tool" >/dev/null 2>&1 || { say "cannot unpack $1: no $tool on this machine (install $1 by its own means)"; return 1; }
    done
    mkdir -p "$folder" && work=$(mktemp -d "$folder/.$1.XXXXXX") || { say "cannot write to $folder"; return 1; }
    say "unpacking $1 into $folder/$1"
    if ! download "$1" && ! { update && download "$1"; }; then
        say "cannot download $1 or what it needs; apt says:"
        grep -E '^[EW]:' "$work/log" >&2 || tail -n 3 "$work/log" >&2
        return 1
    fi
    mkdir "$work/root" && chmod 755 "$work/root" || return 1
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -x "$deb" "$work/root" || { say "cannot unpack ${deb##*/}"; return 1; }
    done
    [ -f "$work/root/$2" ] || { say "the package $1 of this distribution has no /$2"; return 1; }
    # Whoever was first wins; a leftover without the program gives way.
    if [ -e "$folder/$1" ] && [ ! -f "$folder/$1/$2" ]; then rm -rf "${folder:?}/$1"; fi
    mv -T "$work/root" "$folder/$1" 2>/dev/null || [ -f "$folder/$1/$2" ] || { say "cannot create $folder/$1"; return 1; }
}

failed=0
for gateway in libreswan:usr/libexec/ipsec/pluto openiked:usr/sbin/iked; do
    peer "${gateway%%:*}" "${gateway#*:}" || failed=1
    rm -rf "${work:-}"
    work=
done
exit $failed
