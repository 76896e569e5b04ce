#!/bin/sh
# Builds the pocket kernel (User-Mode Linux) from the distribution's kernel source and our configuration, and puts it into
# the cache, where `faultlab` finds it. Nothing is done when it is already there. A source that our patches do not fit, or
# that cannot be built, gives way to the next one that the distribution offers. Nothing is installed and no root is needed:
# sources come from below /usr/src, or from the system's package sources, fetched aside.
#
# usage: build.sh [--where]; with it, only tells the folder of the kernel
#
# FAULTLAB_KERNEL_SOURCE=6.12 takes that series and no other. FAULTLAB_PROGRESS=terminal: progress is one line that changes,
# as it is on a terminal; otherwise there is a line every 20 seconds.
set -eu
# Series that this was tried with, the fastest first: of Debian's backports, of Debian 13 (and 12, as an update), of Debian 12. Each
# takes two thirds of the next one's time.
known="7.3 6.12 6.1"
# Those whose objects were compared, instruction by instruction, with ones that were compiled without `cc`; the others take twice the time.
compared="7.3"
# How many files are compiled, about.
files=900
here=$(cd "$(dirname "$0")" && pwd)
say() { printf '%s\n' "pocket kernel: $*"; }
fail() { say "$*" >&2; exit 3; }

[ "$(uname -m)" = x86_64 ] || fail "User-Mode Linux runs on x86-64 only; this machine is $(uname -m). The host world works without it."

# The same files that the program was built with: it looks for their hash.
id=$(cd "$here" && find kernel.config patches -type f | LC_ALL=C sort | xargs cat | sha1sum | cut -c1-16)
if [ "$(id -u)" = 0 ]; then base=/var/cache; else base=${XDG_CACHE_HOME:-$HOME/.cache}; fi
target=${FAULTLAB_KERNELS:-$base/faultlab/kernel}/$id
if [ "${1:-}" = --where ]; then
    echo "$target"
    exit 0
fi
# The program looks into the machine's cache, too.
for there in "$target" "/var/cache/faultlab/kernel/$id"; do
    if [ -x "$there/linux" ]; then
        say "already there: $there/linux"
        exit 0
    fi
done

without="Without a pocket kernel there is the host world, in which \`faultlab run\` plays what this machine's own kernel can, and says of the rest why it is skipped."
missing=
for tool in gcc make flex bison bc patch tar xz bzip2; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
[ -z "$missing" ] || fail "missing:$missing. They come with: make install-deps. $without"

work=$(mktemp -d "${TMPDIR:-/tmp}/faultlab-kernel.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
cp "$here/cc" "$work/cc"
# shellcheck source=tests/packages.sh
. "$here/../../tests/packages.sh"
mkdir "$work/fetched"

# Debian and Ubuntu name packages and archives after the version: linux-source-6.1, linux-source-6.8.0.
archives() { find -L /usr/src "$work/fetched" -maxdepth 4 -type f -name 'linux-source-*.tar.*' 2>/dev/null; }
packages() { apt_cache search --names-only '^linux-source-[0-9.]+$' 2>/dev/null | cut -d' ' -f1; }
series() { sed 's|.*/||; s|^linux-source-||; s|\.tar\..*||' | cut -d. -f1,2 | sort -Vru; }
# of SERIES: that line of the input which belongs to the series
of() { grep -E "(^|/)linux-source-$(printf %s "$1" | sed 's/\./\\./g')(\.[0-9]+)*(\.tar\..*)?\$" | sort | tail -1; }

# within SUITE COMMAND…: the command with packages of that suite instead of the system's sources
# shellcheck disable=SC2030,SC2031 # that it is local is the point
within() { (suite=$1 && shift && "$@"); }
# backports: their packages. Debian's backports have newer kernels than its releases; Debian 12 and 13 both take those of 13.
newer=trixie-backports
backports() {
    if ! other_suite "$newer"; then
        say "skipped: $newer. None of this system's package sources is Debian's archive, which has them" >&2
    elif ! within "$newer" update; then
        say "skipped: $newer. The mirror of this system, $(debian_source | cut -d' ' -f1), gives no list of it: $(apt_complains "$work/log" | head -n 1)" >&2
    else
        within "$newer" packages
    fi
}
# fetched PACKAGE: unpacks it, without installing it
fetched() {
    # shellcheck disable=SC2031
    say "fetching $1${suite:+ of $suite}: $(apt_cache show --no-all-versions "$1" | awk '/^Size:/ { printf "%d MB", $2 / 1000000; exit }')"
    if ! (cd "$work/fetched" && apt download "$1") >"$work/log" 2>&1; then
        apt_complains "$work/log" | sed "s/^/pocket kernel:   /"
        return 1
    fi
    dpkg-deb -x "$work/fetched/$1"_*.deb "$work/fetched" && rm -f "$work/fetched/$1"_*.deb
}

here_now=$(archives | series)
offered='' elsewhere=''
first=${FAULTLAB_KERNEL_SOURCE:-${known%% *}}
if printf '%s\n' "$here_now" | grep -qxF "$first"; then :
elif ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null || ! configure_apt; then
    say "skipped: fetching kernel source, which takes apt-get and dpkg-deb. Only archives below /usr/src (linux-source-*.tar.*) are tried" >&2
elif ! update; then
    say "skipped: fetching kernel source. No package list can be had: $(apt_complains "$work/log" | head -n 1)" >&2
else
    offered=$(packages | series)
    printf '%s\n' "$offered" | grep -qxF "$first" || elsewhere=$(backports | series)
fi
# What is known before what is not, and of what is known the first choice, even when it must be fetched.
choices() {
    for s in $known; do printf '%s\n' "$here_now" "$offered" "$elsewhere" | grep -xF "$s" || true; done
    printf '%s\n' "$here_now" "$offered"
}
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
# with_progress COMMAND…: what it says goes to $work/log, and how many files it has compiled is told
with_progress() {
    began=$(date +%s) told=$(date +%s) compiled=0 status=1
    if [ -t 2 ] || [ "${FAULTLAB_PROGRESS:-}" = terminal ]; then back='\r' end=; else back='' end='\n'; fi
    { "$@" 2>&1 && echo "$done_word"; } | {
        : >"$work/log"
        while IFS= read -r line; do
            case $line in
                "$done_word") status=0 ;;
                *" CC "*)
                    compiled=$((compiled + 1)) now=$(date +%s)
                    if [ -z "$end" ] || [ $((now - told)) -ge 20 ]; then
                        told=$now
                        printf "${back}pocket kernel: compiled %d of about %d files, %d s$end" "$compiled" "$files" $((now - began))
                    fi
                    ;;
            esac
            printf '%s\n' "$line" >>"$work/log"
        done
        [ -n "$end" ] || echo
        say "compiled $compiled files in $(($(date +%s) - began)) s"
        return "$status"
    }
}
# No line of a compiler.
done_word="make has ended well"
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
    case " $known " in *" $1 "*) ;; *) say "linux-source-$1 is untried: patches may not fit it, or it may not build; then the next source is taken" ;; esac
    archive=$(archives | of "$1")
    if [ -z "$archive" ]; then
        from=''
        if printf '%s\n' "$elsewhere" | grep -qxF "$1"; then from=$newer; fi
        package=$(within "$from" packages | of "$1")
        [ -n "$package" ] || { say "no linux-source-$1.tar.* below /usr/src, and no package of it"; return 1; }
        within "$from" fetched "$package" || { say "cannot be fetched"; return 1; }
        archive=$(archives | of "$1")
        [ -n "$archive" ] || { say "the package $package has no archive"; return 1; }
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
    [ -z "$lost" ] || { say "this source does not know $(echo "$lost" | tr '\n' ' ')"; return 1; }
    say "building: some minutes, once"
    [ "$compiler" = gcc ] || headers_once || say "its headers cannot be read once for all files: that takes twice the time"
    with_progress make ARCH=um CC="$compiler" -j"$(nproc)" linux || { tail -n 30 "$work/log"; say "the build failed"; return 1; }
    strip -s linux
}

series=
for s in $choices; do
    if built "$s" >&2; then series=$s && break; fi
    rm -rf "$work/fetched/usr"
    say "so not with linux-source-$s" >&2
done
[ -n "$series" ] || fail "no kernel source that can be built (known to work: $known), neither below /usr/src nor among the packages. $without"

mkdir -p "$(dirname "$target")"
rm -rf "$target.new.$$"
mkdir "$target.new.$$"
cp linux "$target.new.$$/linux"
make -s ARCH=um kernelversion >"$target.new.$$/version"
# Another build may have been faster: its kernel is as good.
mv -T "$target.new.$$" "$target" 2>/dev/null || rm -rf "$target.new.$$"
say "ready: $target/linux"
