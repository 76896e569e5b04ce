#!/bin/bash
# strongSwan 5.9.8-5+deb12u5 (Debian 12) and 6.0.1-6+deb13u7 (Debian 13): `version = 3` is a connection like any other until it is
# used. swanctl says "successfully loaded 1 connections", --list-conns shows it as "(3)", and only --initiate fails,
# with a text that does not tell why; the reason ("IKE version 3 not supported") is in charon's log. Meanwhile `mobike = maybe` and
# any unknown key are refused, and so are algorithms in upper case: `AES128-SHA256-MODP2048` is an invalid proposal.
#
# Expected: version 3 refused as an invalid value; upper case taken, as libreswan does.
# Seen: c: (3), no reauthentication, rekeying every 14400s
. "$(dirname "$0")/lib.sh"

# load NODE SETTING
load() { on "$1" sh -c "echo 'connections { c { remote_addrs = 127.0.0.9
$2
children { k { } } } }' >/tmp/c.conf; swanctl --load-conns --file /tmp/c.conf 2>&1 | grep -E 'failed:|successfully'"; }

refused="loading connection 'c' failed: invalid value for:"
for suite in bookworm:5.9.8-5+deb12u5 trixie:6.0.1-6+deb13u7; do
    name=${suite%%:*} version=${suite#*:}
    unpack "$name" "$name" "strongswan-charon=$version" "strongswan-swanctl=$version" "libcharon-extra-plugins=$version"
    node "$name" "$name"
    on "$name" /usr/lib/ipsec/charon >"$tmp/log" 2>&1 &
    wait_until 20 test -S "/proc/$(eval echo "\$pid_$name")/root/run/charon.vici"
    same "$version, an unknown word for mobike" "$refused mobike, config discarded" "$(load "$name" 'mobike = maybe')"
    same "$version, upper case" "$refused proposals, config discarded" "$(load "$name" 'proposals = AES128-SHA256-MODP2048')"
    same "$version, lower case" 'successfully loaded 1 connections, 0 unloaded' "$(load "$name" 'proposals = aes128-sha256-modp2048')"
    same "$version, version 3" 'successfully loaded 1 connections, 0 unloaded' "$(load "$name" 'version = 3')"
    same "$version, what is listed" 'c: (3), no reauthentication, rekeying every 14400s' "$(on "$name" swanctl --list-conns 2>&1 | grep ^c:)"
    same "$version, what initiating says" "initiate failed: establishing CHILD_SA 'k' failed" \
        "$(on "$name" swanctl --initiate --child k 2>&1 | grep '^initiate')"
done
echo "as described: version = 3 loads"
