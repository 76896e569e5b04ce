# Sourced by the scripts of this folder: unpacks pinned Debian packages into roots of their own and runs programs in them.
# Needs root, apt-get, dpkg-deb, util-linux and, for nodes, iproute2. Installs nothing and leaves nothing behind.
# $FINDINGS_CACHE, if set, names a folder that keeps package lists and packages between runs.
set -eu
export LC_ALL=C

# Everything below runs in a process namespace of its own, whose end takes every daemon and mount with it.
if [ "${FINDINGS_INSIDE:-}" != yes ]; then
    [ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 2; }
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    FINDINGS_INSIDE=yes FINDINGS_TMP=$tmp unshare --mount --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$@"
    exit
fi
tmp=$FINDINGS_TMP
cache=${FINDINGS_CACHE:-$tmp}

# Prints what is not as described and ends with 1.
changed() { echo "CHANGED: $*" >&2; exit 1; }

# same WHAT EXPECTED SEEN: compares two texts
same() { [ "$2" = "$3" ] || changed "$1
  described: $2
  seen:      $3"; }

# wait_until SECONDS COMMAND…: waits until the command succeeds
wait_until() {
    local deadline=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then echo "not in time: $*" >&2; exit 2; fi
        read -rt 0.1 <>"$tmp/never" || true
    done
}
[ -p "$tmp/never" ] || mkfifo "$tmp/never"

# unpack SUITE NAME PACKAGE=VERSION…: makes $tmp/NAME of the packages and all that they need, libc too
unpack() {
    local suite=$1 root=$tmp/$2 lists=$cache/lists-$1; shift 2
    local site; site=$(apt-get indextargets --format '$(SITE)' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
    [ -n "$site" ] || site=$(apt-get indextargets --format '$(SITE)' | grep '/debian/*$' | sort -u | head -n 1)
    mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{etc,proc,dev,run,tmp,var,root} "$lists/lists/partial" "$cache/archives/partial"
    ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root"; ln -s /run "$root/var/run"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $suite main" >"$lists/sources"
    : >"$lists/status"
    local apt=(apt-get -qq -o "Dir::Etc::SourceList=$lists/sources" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null
        -o Dir::Etc::PreferencesParts=/dev/null -o "Dir::State=$lists" -o "Dir::State::status=$lists/status" -o "Dir::State::Lists=$lists/lists"
        -o "Dir::Cache=$cache" -o APT::Sandbox::User=root -o APT::Install-Recommends=false -o Acquire::Languages=none
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
        -o Debug::NoLocking=true)
    if [ ! -e "$lists/updated" ]; then
        "${apt[@]}" update >"$tmp/apt.log" 2>&1 || { tail -n 3 "$tmp/apt.log" >&2; exit 2; }
        : >"$lists/updated"
    fi
    "${apt[@]}" -o "Dir::Cache::archives=$tmp" --print-uris install "$@" bash coreutils sed grep mawk >"$tmp/uris" 2>"$tmp/apt.log" &&
        "${apt[@]}" -y --download-only install "$@" bash coreutils sed grep mawk >"$tmp/apt.log" 2>&1 || { cat "$tmp/apt.log" >&2; exit 2; }
    local deb
    for deb in $(cut -d' ' -f2 "$tmp/uris"); do
        dpkg-deb --fsys-tarfile "$cache/archives/$deb" |
            tar -x --keep-directory-symlink -C "$root" --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*'
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"; echo 'root:x:0:' >"$root/etc/group"
    : >"$root/etc/resolv.conf"; echo '127.0.0.1 localhost' >"$root/etc/hosts"
    [ -e "$root/usr/bin/sh" ] || ln -s bash "$root/usr/bin/sh"
    [ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
    ldconfig -r "$root" 2>/dev/null
}

# in_root NAME COMMAND…: runs a program of $tmp/NAME, without a network
in_root() {
    local root=$tmp/$1; shift
    unshare --mount --net --propagation private bash -c '
        r=$1; shift
        mount -t proc proc "$r/proc"; mount --bind /dev "$r/dev"
        exec chroot "$r" "$@"' _ "$root" "$@"
}

# node NAME ROOT: makes a machine with a network of its own and a writable copy of $tmp/ROOT
node() {
    mkdir -p "$tmp/node-$1"
    unshare --mount --net --propagation private bash -c '
        n=$1; mount -t tmpfs tmpfs "$n"; mkdir "$n"/{up,work,root}
        mount -t overlay -o "lowerdir=$2,upperdir=$n/up,workdir=$n/work" overlay "$n/root"
        mount -t proc proc "$n/root/proc"; mount --bind /dev "$n/root/dev"
        mount -t tmpfs tmpfs "$n/root/run"; mount -t tmpfs tmpfs "$n/root/tmp"; ip link set lo up
        exec chroot "$n/root" cat' _ "$tmp/node-$1" "$tmp/$2" <>"$tmp/never" >/dev/null &
    eval "pid_$1=$!"
    wait_until 20 sh -c "[ \"\$(cat /proc/$!/comm)\" = cat ]"
}

# on NAME COMMAND…: runs a program on that machine
on() { local pid=pid_$1; shift; nsenter -t "${!pid}" -m -n -r -w "$@"; }

# wire A ADDRESS B ADDRESS: joins two machines by a cable whose ends are called wan
wire() {
    local a=pid_$1 b=pid_$3
    nsenter -t "${!a}" -n ip link add wan type veth peer name wan netns "${!b}"
    nsenter -t "${!a}" -n sh -c "ip addr add $2/24 dev wan; ip link set wan up"
    nsenter -t "${!b}" -n sh -c "ip addr add $4/24 dev wan; ip link set wan up"
}

# charon NAME: starts strongSwan's daemon on that machine; its messages are in $tmp/NAME.log
charon() {
    on "$1" /usr/lib/ipsec/charon >"$tmp/$1.log" 2>&1 &
    wait_until 20 on "$1" test -S /run/charon.vici
}

# pluto NAME: starts libreswan's daemon on that machine; its messages are in /tmp/log there
pluto() {
    on "$1" sh -c 'mkdir -p /run/pluto /etc/ipsec.d /var/lib/ipsec/nss; printf "config setup\n" >/etc/ipsec.conf; touch /etc/ipsec.secrets
        ipsec initnss && /usr/libexec/ipsec/pluto --config /etc/ipsec.conf --logfile /tmp/log' >"$tmp/$1.log" 2>&1
    wait_until 20 on "$1" test -S /run/pluto/pluto.ctl
}

# conn NAME LINE…: loads the connection c of these lines with the two addresses; prints the messages, then "exit N"
conn() {
    local name=$1; shift
    printf 'conn c\n\tleft=192.0.2.1\n\tright=192.0.2.2\n\tauthby=secret\n\tauto=ignore\n' >"$tmp/conn"
    printf '\t%s\n' "$@" >>"$tmp/conn"
    on "$name" sh -c 'cat >/tmp/c.conf; ipsec whack --delete --name c >/dev/null 2>&1; ipsec addconn --config /tmp/c.conf c 2>&1; echo "exit $?"' <"$tmp/conn" |
        sed -E '/unoriented|^$/d; s/^(ERROR: )?(ipsec )?addconn[:,] *//'
}

# status NAME PATTERN: what matches in the status of connection c
status() { on "$1" ipsec status | sed 's/^000 //' | grep '^"c"' | grep -oE "$2" | head -n 1; }
