#!/bin/sh
# Builds the pocket kernel (User-Mode Linux) from the distribution's kernel source and our configuration, and puts it into
# the cache, where `faultlab` finds it. Nothing is done when it is already there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
say() { printf '%s\n' "pocket kernel: $*"; }
fail() { say "$*" >&2; exit 3; }

[ "$(uname -m)" = x86_64 ] || fail "User-Mode Linux runs on x86-64 only; this machine is $(uname -m). The host world works without it."

# The same files that the program was built with: it looks for their hash.
id=$(cat "$here/kernel.config" "$here"/patches/*.patch | sha1sum | cut -c1-16)
if [ "$(id -u)" = 0 ]; then base=/var/cache; else base=${XDG_CACHE_HOME:-$HOME/.cache}; fi
target=${FAULTLAB_KERNELS:-$base/faultlab/kernel}/$id
if [ -x "$target/linux" ]; then
    say "already there: $target/linux"
    exit 0
fi

# Debian and Ubuntu name the source after its version; the newest is taken.
archive() { find /usr/src -maxdepth 2 -name 'linux-source-*.tar.*' 2>/dev/null | sort -V | tail -1; }
missing=
for tool in gcc make flex bison bc patch tar xz; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
source=$(archive)
if [ -n "$missing" ] || [ -z "$source" ]; then
    packages="gcc make flex bison bc patch tar xz-utils libc6-dev"
    if [ -z "$source" ]; then
        name=$(apt-cache search --names-only '^linux-source-[0-9.]+$' 2>/dev/null | cut -d' ' -f1 | sort -V | tail -1)
        packages="$packages ${name:-linux-source}"
    fi
    [ "$(id -u)" = 0 ] || fail "missing:${missing:- the kernel source}; as root: apt-get install $packages"
    say "installing $packages"
    # shellcheck disable=SC2086 # a list
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null || fail "apt-get could not install: $packages"
    source=$(archive)
    [ -n "$source" ] || fail "no linux-source-*.tar.* below /usr/src after installing $packages"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/faultlab-kernel.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
say "unpacking $source"
tar -C "$work" -xf "$source"
cd "$work"/linux-source-*
for p in "$here"/patches/*.patch; do patch -p1 -s <"$p" || fail "$(basename "$p") does not fit $source"; done
say "configuring"
make ARCH=um KCONFIG_ALLCONFIG="$here/kernel.config" allnoconfig >"$work/log" 2>&1 || { tail "$work/log" >&2; fail "configuration failed"; }
lost=$(grep -E '^CONFIG_[A-Z0-9_]+=y$' "$here/kernel.config" | grep -vxFf .config || true)
[ -z "$lost" ] || fail "this source does not know: $lost"
say "building, a few minutes"
make ARCH=um -j"$(nproc)" >"$work/log" 2>&1 || { tail -30 "$work/log" >&2; fail "the build failed"; }
strip -s linux
mkdir -p "$(dirname "$target")"
rm -rf "$target.new.$$"
mkdir "$target.new.$$"
cp linux "$target.new.$$/linux"
make -s ARCH=um kernelversion >"$target.new.$$/version"
# Another build may have been faster: its kernel is as good.
mv -T "$target.new.$$" "$target" 2>/dev/null || rm -rf "$target.new.$$"
say "ready: $target/linux"
