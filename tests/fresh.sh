#!/usr/bin/env bash
# Follows the README on a bare Debian: makes a root of the given suite with debootstrap, clones the last commit in it, and types what
# the README says, up to `make run`, which must end with exit code 0. There is no Rust toolchain in it: the program is the one that was
# built here already, and so is the pocket kernel. Everything is in memory, in namespaces that end with this script, whatever ends it.
#
# usage: fresh.sh SUITE [COMMIT]
set -euo pipefail
bare=${1:?usage: fresh.sh SUITE [COMMIT]} commit=${2:-HEAD}
cd "$(dirname "$0")/.."
say() { printf '%s\n' "fresh $bare: $*"; }
skip() {
    say "skipped($*)"
    exit 0
}
# Where a namespace of our own mounts it: a folder that every system has.
root=/mnt

# prepare MIRROR PROGRAM KERNEL: the first process of its namespaces makes the root, and becomes tests/fresh-follow.sh in it
prepare() {
    local mirror=$1 program=$2 kernel=$3 include=""
    mount -t tmpfs -o size=4G,mode=755 fresh "$root"
    if [[ $mirror = https:* ]]; then include=--include=ca-certificates; fi
    # shellcheck disable=SC2086 # nothing, or an option
    debootstrap --variant=minbase $include "$bare" "$root" "$mirror" >"$root/log" 2>&1 || { tail -n 5 "$root/log"; return 1; }
    # How this system reaches its mirror.
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-)' >"$root/etc/apt/apt.conf.d/10fresh" || true
    if [ -n "$include" ]; then cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"; fi
    git clone -q --bare . "$root/srv/faultlab.git"
    git --git-dir="$root/srv/faultlab.git" update-ref refs/heads/fresh "$(git rev-parse "$commit")"
    git --git-dir="$root/srv/faultlab.git" symbolic-ref HEAD refs/heads/fresh
    git show "$commit:README.md" >"$root/srv/README.md"
    cp "$program" "$root/srv/faultlab"
    mkdir -p "$root/var/cache/faultlab/kernel"
    cp -a "$kernel" "$root/var/cache/faultlab/kernel/"
    cp tests/fresh-follow.sh "$root/srv/follow.sh"
    install -m 755 tests/fresh-cargo.sh "$root/usr/local/bin/cargo"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    mount -t tmpfs fresh "$root/run"
    mount -t tmpfs fresh "$root/tmp"
    say "a bare root with $(dpkg-query --admindir="$root/var/lib/dpkg" -W | wc -l) packages, in $SECONDS s"
    # A root of its own, and not by chroot: the pocket world starts the program by the path that the kernel has for it.
    mkdir "$root/outside"
    cd "$root"
    pivot_root . outside
    cd /
    umount -l /outside
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive \
        SUITE="$bare" bash /srv/follow.sh
}

if [ "${3:-}" = --prepare ]; then
    shift 3
    prepare "$@"
fi

[ "$(id -u)" = 0 ] || skip "needs root, to make a root of its own"
for tool in debootstrap unshare pivot_root git; do
    command -v "$tool" >/dev/null || skip "needs $tool: apt-get install debootstrap util-linux git"
done
unshare -mpf --kill-child true 2>/dev/null || skip "needs mount and PID namespaces, which this machine does not allow"
program=
for built in target/release/faultlab target/debug/faultlab; do
    if [ -x "$built" ] && { [ -z "$program" ] || [ "$built" -nt "$program" ]; }; then program=$PWD/$built; fi
done
[ -n "$program" ] || skip "needs the program: cargo build --release -p faultlab"
kernel=$(./harness/pocket/build.sh --where)
[ -x "$kernel/linux" ] || skip "needs the pocket kernel: make kernel"
[ "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)" -gt 4000000 ] || skip "needs 4 GB of free memory"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/packages.sh
. tests/packages.sh
{ configure_apt && update; } || skip "no package list can be had"
mirror=$(debian_source | cut -d' ' -f1)
[ -n "$mirror" ] || skip "none of this system's package sources is Debian's archive"
rm -rf "$work"
say "commit $(git rev-parse --short "$commit"), program ${program#"$PWD"/}"
unshare -mpf --kill-child --propagation private bash "$0" "$bare" "$commit" --prepare "$mirror" "$program" "$kernel"
