#!/bin/sh
# Builds the pocket kernel (User-Mode Linux) from the distribution's kernel source and our configuration, and puts it into
# the cache, where `faultlab` finds it. Nothing is done when it is already there. A source that our patches do not fit, or
# that cannot be built, gives way to the next one that the distribution offers.
#
# FAULTLAB_KERNEL_SOURCE=6.12 takes that series and no other.
set -eu
# Series that this was tried with, the fastest first: of Debian's backports, of Debian 13 (and 12, as an update), of Debian 12. Each
# takes two thirds of the next one's time. Ubuntu 24.04 has 6.8, untried.
known="7.3 6.12 6.1"
# Those whose objects were compared, instruction by instruction, with ones that were compiled without `cc`; the others take twice the time.
compared="7.3"
here=$(cd "$(dirname "$0")" && pwd)
say() { printf '%s\n' "pocket kernel: $*"; }
fail() { say "$*" >&2; exit 3; }

[ "$(uname -m)" = x86_64 ] || fail "User-Mode Linux runs on x86-64 only; this machine is $(uname -m). The host world works without it."

# The same files that the program was built with: it looks for their hash.
id=$(cd "$here" && find kernel.config patches -type f | LC_ALL=C sort | xargs cat | sha1sum | cut -c1-16)
if [ "$(id -u)" = 0 ]; then base=/var/cache; else base=${XDG_CACHE_HOME:-$HOME/.cache}; fi
target=${FAULTLAB_KERNELS:-$base/faultlab/kernel}/$id
if [ -x "$target/linux" ]; then
    say "already there: $target/linux"
    exit 0
fi

# Packages are installed by root, or with sudo.
sudo=
[ "$(id -u)" = 0 ] || sudo=$(command -v sudo) || sudo=none
work=$(mktemp -d "${TMPDIR:-/tmp}/faultlab-kernel.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
cp "$here/cc" "$work/cc"

install() {
    say "installing $*"
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$work/log" 2>&1 && return
    say "apt-get could not install: $*" >&2
    tail -n 3 "$work/log" >&2
    return 1
}

# Debian and Ubuntu name packages and archives after the version: linux-source-6.1, linux-source-6.8.0.
archives() { find -L /usr/src "$work/fetched" -maxdepth 4 -type f -name 'linux-source-*.tar.*' 2>/dev/null; }
packages() { apt-cache search --names-only '^linux-source-[0-9.]+$' 2>/dev/null | cut -d' ' -f1; }
series() { sed 's|.*/||; s|^linux-source-||; s|\.tar\..*||' | cut -d. -f1,2 | sort -Vru; }
# of SERIES: that line of the input which belongs to the series
of() { grep -E "(^|/)linux-source-$(printf %s "$1" | sed 's/\./\\./g')(\.[0-9]+)*(\.tar\..*)?\$" | sort | tail -1; }

# Debian's backports have newer kernels than its releases. They are asked aside: what the system takes its packages from stays as it is.
keys=/usr/share/keyrings/debian-archive-keyring.gpg
aside() {
    tool=$1 && shift
    (cd "$work/fetched" && APT_CONFIG="$work/apt.conf" "$tool" -qq "$@")
}
backports() {
    mkdir -p "$work/fetched" "$work/lists/partial" "$work/archives/partial"
    [ -r "$keys" ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 0
    echo "deb [signed-by=$keys] http://deb.debian.org/debian trixie-backports main" >"$work/backports.list"
    cat >"$work/apt.conf" <<END
Dir::Etc::sourcelist "$work/backports.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$work/lists";
Dir::Cache "$work";
APT::Sandbox::User "";
Debug::NoLocking "1";
END
    aside apt-get update >"$work/log" 2>&1 || return 0
    aside apt-cache search --names-only '^linux-source-[0-9.]+$' 2>/dev/null | cut -d' ' -f1
}
# fetched PACKAGE: unpacks it, without installing it
fetched() {
    say "fetching $1 of Debian's backports"
    aside apt-get download "$1" >"$work/log" 2>&1 && dpkg-deb -x "$work/fetched/$1"_*.deb "$work/fetched"
}

missing=
for tool in gcc make flex bison bc patch tar xz bzip2; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
if [ -n "$missing" ]; then
    tools="gcc make flex bison bc patch tar xz-utils bzip2 libc6-dev"
    [ "$sudo" != none ] || fail "missing:$missing; as root: apt-get install $tools"
    [ -n "$(packages)" ] || $sudo apt-get update -qq >/dev/null 2>&1 || true
    # shellcheck disable=SC2086 # a list
    install $tools || exit 3
fi
here_now=$(archives | series)
offered=$(packages | series)
if [ "$sudo" != none ] && [ -z "$offered" ]; then
    $sudo apt-get update -qq >/dev/null 2>&1 || true
    offered=$(packages | series)
fi
[ "$sudo" != none ] || offered=
# What is known before what is not, and of what is known the first choice, even when it must be fetched.
choices() {
    for s in $known; do printf '%s\n' "$here_now" "$offered" "$elsewhere" | grep -xF "$s" || true; done
    printf '%s\n' "$here_now" "$offered"
}
elsewhere=
printf '%s\n' "$here_now" "$offered" | grep -qxF "${FAULTLAB_KERNEL_SOURCE:-${known%% *}}" || elsewhere=$(backports | series)
choices=${FAULTLAB_KERNEL_SOURCE:-$(choices | awk 'NF && !seen[$0]++')}

# patched: all patches fit the source in the current folder, and are in it now. Of a folder of patches, one must fit, unless a file of
# the source has the text that makes it needless.
patched() {
    for p in "$here"/patches/*; do
        fits=
        if [ -f "$p/needless" ] && read -r file text <"$p/needless" && grep -qsF "$text" "$file"; then continue; fi
        if [ -d "$p" ]; then set -- "$p"/*.patch; else set -- "$p"; fi
        for variant in "$@"; do
            if patch -p1 -s -f -F0 --dry-run <"$variant" >/dev/null 2>&1; then fits=$variant && break; fi
        done
        [ -n "$fits" ] || { say "$(basename "$p") does not fit this source"; return 1; }
        patch -p1 -s -f -F0 <"$fits" || return 1
    done
}

# kbuild ARGUMENT…: the kernel's own make, with our compiler
kbuild() { make ARCH=um CC="$compiler" "$@" >"$work/log" 2>&1; }
# headers_once: what nearly all files include, precompiled with the flags that an ordinary file gets
headers_once() {
    kbuild -j"$(nproc)" net/core/sock.o || return 1
    # shellcheck disable=SC2046 # a list of words
    set -- $(sed -n '1s/^[^=]*:= *[^ ]*//; 1s/ -c -o .*//; 1s/ -include [^ ]*//g; 1s/ -Wp,-MMD,[^ ]*//; 1s/ -D\(__\)\{0,1\}KBUILD_[^ ]*//g; 1p' net/core/.sock.o.cmd)
    for header in linux/compiler-version linux/kconfig linux/compiler_types linux/module linux/fs linux/mm linux/interrupt linux/netdevice net/sock; do
        echo "#include <$header.h>"
    done >"$work/common.h"
    gcc "$@" -x c-header "$work/common.h" -o include/linux/compiler-version.h.gch >"$work/log" 2>&1 && return
    rm -f include/linux/compiler-version.h.gch
    return 1
}

# built SERIES: makes `linux` from that series in the folder $work/source
built() {
    archive=$(archives | of "$1")
    if [ -z "$archive" ]; then
        package=$(packages | of "$1")
        if printf '%s\n' "$elsewhere" | grep -qxF "$1"; then
            fetched "linux-source-$1" || { say "cannot be fetched"; return 1; }
        elif [ -n "$package" ] && [ "$sudo" != none ]; then
            install "$package" || return 1
        else
            say "no linux-source-$1.tar.* below /usr/src" && return 1
        fi
        archive=$(archives | of "$1")
        [ -n "$archive" ] || { say "no archive of $1 below /usr/src after installing it"; return 1; }
    fi
    rm -rf "$work/source" && mkdir "$work/source" || return 1
    say "unpacking $archive"
    # Most of the archive is nothing that is built here.
    tar -C "$work/source" --strip-components=1 --exclude='*.rst' --exclude='*/Documentation/devicetree/*' --exclude='*/drivers/gpu/*.[ch]' --exclude='*/dts/*' \
        --exclude='*/tools/testing/*' --exclude='*/sound/*.[ch]' -xf "$archive" || { say "cannot unpack it"; return 1; }
    cd "$work/source" || return 1
    patched || return 1
    case " $compared " in *" $1 "*) compiler=$work/cc ;; *) compiler=gcc ;; esac
    say "configuring"
    sed 's/^# if known: //' "$here/kernel.config" >"$work/kernel.config"
    kbuild KCONFIG_ALLCONFIG="$work/kernel.config" allnoconfig || { tail "$work/log"; say "configuration failed"; return 1; }
    lost=$(grep -E '^CONFIG_[A-Z0-9_]+=y$' "$here/kernel.config" | grep -vxFf .config || true)
    [ -z "$lost" ] || { say "this source does not know" $lost; return 1; }
    say "building, a few minutes"
    [ "$compiler" = gcc ] || headers_once || say "its headers cannot be read once for all files: that takes twice the time"
    kbuild -j"$(nproc)" linux || { tail -n 30 "$work/log"; say "the build failed"; return 1; }
    strip -s linux
}

series=
for s in $choices; do
    if built "$s" >&2; then series=$s && break; fi
    say "so not with linux-source-$s" >&2
done
if [ -z "$series" ]; then
    [ "$sudo" != none ] || fail "no kernel source below /usr/src that can be built; as root: make kernel, or apt-get install linux-source-${known%% *}"
    fail "no kernel source that can be built: neither below /usr/src nor among the packages; known to work: $known"
fi

mkdir -p "$(dirname "$target")"
rm -rf "$target.new.$$"
mkdir "$target.new.$$"
cp linux "$target.new.$$/linux"
make -s ARCH=um kernelversion >"$target.new.$$/version"
# Another build may have been faster: its kernel is as good.
mv -T "$target.new.$$" "$target" 2>/dev/null || rm -rf "$target.new.$$"
say "ready: $target/linux"
