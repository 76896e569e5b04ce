#!/bin/sh
# Unpacks the foreign gateways, each with everything that it needs down to libc, into a private root of its own. Nothing is installed
# into the system and no root is needed; the packages are those of the system's own package sources. The driver crates look for
#   <folder>/strongswan/usr/lib/ipsec/charon
#   <folder>/libreswan/usr/libexec/ipsec/pluto
#   <folder>/openiked/usr/sbin/iked
# <root>/packages lists what was unpacked, one `name version` per line. It is written last: a root without it is incomplete, or of an
# older make, and is replaced. Exit code 1 when any of the three is not there afterwards.
#
# usage: install-peers.sh [GATEWAY …]; all three without arguments
set -u

# What a gateway's root is made of, the gateway's own package first. Scripts that daemons execute need a shell and its usual tools.
# usr-is-merged stands for usrmerge, which would bring all of Perl.
packages_of() {
    case $1 in
        strongswan)
            echo strongswan-charon strongswan-swanctl libcharon-extra-plugins libcharon-extauth-plugins libstrongswan-extra-plugins \
                libstrongswan-standard-plugins iproute2 dash coreutils usr-is-merged
            ;;
        libreswan) echo libreswan iproute2 dash coreutils sed grep mawk sysvinit-utils usr-is-merged ;;
        openiked) echo openiked openssl dash coreutils usr-is-merged ;;
        *) return 1 ;;
    esac
}
program_of() {
    case $1 in
        strongswan) echo usr/lib/ipsec/charon ;;
        libreswan) echo usr/libexec/ipsec/pluto ;;
        openiked) echo usr/sbin/iked ;;
    esac
}

say() { printf '%s\n' "peers: $*" >&2; }

# The drivers look into the machine's cache, too, unless a folder is named.
machine=/var/cache/faultlab/peers
if [ -n "${FAULTLAB_PEERS:-}" ]; then folder=$FAULTLAB_PEERS machine=$FAULTLAB_PEERS
elif [ "$(id -u)" = 0 ]; then folder=$machine
else folder=${XDG_CACHE_HOME:-${HOME:?neither HOME nor FAULTLAB_PEERS is set}/.cache}/faultlab/peers
fi
# Folders of a root are readable by everyone: daemons give up root.
umask 022
# ldconfig is not in an ordinary user's PATH.
PATH=$PATH:/usr/sbin:/sbin

work=
trap 'rm -rf "${work:-}"' EXIT
trap 'exit 1' HUP INT TERM

# is_whole GATEWAY [FOLDER]
is_whole() { [ -f "${2:-$folder}/$1/packages" ] && [ -f "${2:-$folder}/$1/$(program_of "$1")" ]; }
size() { du -sm "$1" | cut -f1; }
# version GATEWAY [FOLDER]: of the gateway's own package
version() {
    version_of=${2:-$folder}/$1/packages
    # shellcheck disable=SC2046 # the list is meant to be split
    set -- $(packages_of "$1")
    sed -n "s/^$1 //p" "$version_of"
}

# The system's package sources, as if no package were installed.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/packages.sh
. "$here/packages.sh"
apt_says() { apt_complains "$work/log" | sed 's/^/peers:   /' >&2; }

# closure GATEWAY: `name version architecture` of every package to unpack. A list of plugins that the distribution has under another
# name, or in another package, is no reason to go without the gateway.
closure() {
    # shellcheck disable=SC2046 # the list is meant to be split
    set -- $(packages_of "$1")
    own=$1
    if ! apt install -s "$@" >"$work/plan" 2>"$work/log"; then
        for package in "$@"; do
            shift
            if apt_cache show --no-all-versions "$package" >/dev/null 2>&1; then set -- "$@" "$package"
            elif [ "$package" = "$own" ]; then return 1
            else say "without $package: this distribution has none"
            fi
        done
        apt install -s "$@" >"$work/plan" 2>"$work/log" || return 1
    fi
    sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*\[\([a-z0-9-]*\)\]).*/\1 \2 \3/p' "$work/plan" >"$work/closure"
    [ -s "$work/closure" ]
}

# download: the packages of $work/closure, into $work/archives
download() {
    # shellcheck disable=SC2046 # the list is meant to be split
    (cd "$work/archives" && apt download $(awk '{ print $1 "=" $2 }' "$work/closure")) >"$work/log" 2>&1
}

# unpack ROOT: the packages of $work/closure, without their scripts; what these would do for a gateway is done here
unpack() {
    mkdir -p "$1/usr" || return 1
    # Folders that lead into usr, as on the system itself; on which of them there are depends on the architecture.
    for name in bin sbin lib lib32 lib64 libx32; do
        [ -e "/$name" ] && mkdir -p "$1/usr/$name" && ln -s "usr/$name" "$1/$name"
    done
    while read -r name version architecture; do
        # apt writes the colon of an epoch in this way.
        deb=$work/archives/${name}_$(printf %s "$version" | sed 's/:/%3a/g')_$architecture.deb
        dpkg-deb --fsys-tarfile "$deb" | tar -C "$1" -x --keep-directory-symlink --no-same-owner --no-same-permissions \
            --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' || { say "cannot unpack ${deb##*/}"; return 1; }
    done <"$work/closure"
    # The loader's usual name may be an absolute link, which would lead out of the root to the system's loader.
    for loader in "$1"/usr/lib*/ld*.so*; do
        case $(readlink "$loader") in /*) ln -sfn "../..$(readlink "$loader")" "$loader" || return 1 ;; esac
    done
    mkdir -p "$1/run" "$1/tmp" "$1/var/lib" "$1/var/empty" "$1/dev" "$1/proc" "$1/sys" "$1/root" "$1/etc" || return 1
    cat >"$1/etc/passwd" <<END
root:x:0:0:root:/root:/bin/sh
_iked:x:998:998::/var/empty:/usr/sbin/nologin
nobody:x:65534:65534::/:/usr/sbin/nologin
END
    printf '%s\n' 'root:x:0:' 'shadow:x:42:' '_iked:x:998:' 'nogroup:x:65534:' >"$1/etc/group"
    printf '%s\n' '127.0.0.1 localhost' '::1 localhost' >"$1/etc/hosts"
    printf '%s: files\n' passwd group shadow hosts networks protocols services >"$1/etc/nsswitch.conf"
    # Without this file `addconn` of libreswan refuses every connection.
    : >"$1/etc/resolv.conf"
    [ -e "$1/usr/bin/sh" ] || ln -s dash "$1/usr/bin/sh" || return 1
    [ -e "$1/usr/bin/awk" ] || [ ! -e "$1/usr/bin/mawk" ] || ln -s mawk "$1/usr/bin/awk" || return 1
    # The loader searches the usual folders without its cache, too.
    ldconfig -r "$1" 2>/dev/null || say "no cache of libraries in $1: ldconfig cannot be run"
}

# peer GATEWAY: the root $folder/GATEWAY
peer() {
    began=$(date +%s)
    if ! closure "$1"; then
        say "cannot have $1; apt-get says:"
        apt_says
        return 1
    fi
    if ! download; then
        say "cannot download $1 or what it needs; apt-get says:"
        apt_says
        return 1
    fi
    unpack "$work/$1" || return 1
    [ -f "$work/$1/$(program_of "$1")" ] || { say "the packages of this distribution have no /$(program_of "$1")"; return 1; }
    cut -d' ' -f1,2 "$work/closure" | LC_ALL=C sort >"$work/$1/packages" || return 1
    # Another process may have been faster: whoever was first wins.
    if ! is_whole "$1"; then
        [ ! -e "$folder/$1" ] || mv -T "$folder/$1" "$work/old.$1" || return 1
        mv -T "$work/$1" "$folder/$1" 2>/dev/null
    fi
    is_whole "$1" || { say "cannot create $folder/$1"; return 1; }
    say "$1 $(version "$1"): $(wc -l <"$folder/$1/packages") packages, $(size "$folder/$1") MB, $(($(date +%s) - began)) s, in $folder/$1"
}

[ $# -gt 0 ] || set -- strongswan libreswan openiked
wanted=
for gateway in "$@"; do
    packages_of "$gateway" >/dev/null || { say "no gateway is called $gateway; there are strongswan, libreswan and openiked"; exit 2; }
    there=
    for place in "$folder" "$machine"; do
        if [ -z "$there" ] && is_whole "$gateway" "$place"; then there=$place; fi
    done
    if [ -n "$there" ]; then say "$gateway $(version "$gateway" "$there"): there already, in $there/$gateway"
    else wanted="$wanted $gateway"
    fi
done
[ -n "$wanted" ] || exit 0

missing=
for tool in apt-get apt-cache dpkg dpkg-deb tar awk; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
if [ -n "$missing" ]; then
    say "cannot unpack$wanted: this machine has no$missing (it takes Debian or Ubuntu). A gateway that is installed by other means is used, too."
    exit 1
fi
if ! mkdir -p "$folder" || ! work=$(mktemp -d "$folder/.work.XXXXXX") || ! configure_apt; then
    say "cannot unpack$wanted: $folder cannot be written to"
    exit 1
fi
say "unpacking$wanted from this system's package sources, beside the system"
if ! update; then
    say "cannot unpack$wanted: no package list can be had (no network, or no package source on this machine); apt-get says:"
    apt_says
    exit 1
elif grep -q '^[EW]:' "$work/log"; then
    say "not every package list can be had; apt-get says:"
    apt_says
fi
failed=
for gateway in $wanted; do peer "$gateway" || failed="$failed $gateway"; done
[ -z "$failed" ] || { say "not there:$failed; faultlab skips what needs them, and says so. Once more: make peers"; exit 1; }
