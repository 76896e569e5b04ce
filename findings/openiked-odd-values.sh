#!/bin/bash
# OpenIKED 7.2-1 (Debian 12) and 7.4-1 (Debian 13) read numbers of iked.conf in their own way:
# - a pre-shared key of hexadecimal digits loses an odd last one in silence: `psk 0x616` is 0x61 (libreswan refuses such a key);
#   quotes make no difference, "0x6162" is two octets;
# - `ikelifetime` and `lifetime` take seconds without a unit, m and h. 90s, 1d and 1w are refused with "invalid time unit".
#
# Expected: an odd number of digits refused, quoted text kept as text, and s, d, w as in swanctl.conf (s, d) and ipsec.conf (s, d, w).
# Seen: psk 0x61; iked.conf: 1: invalid time unit
. "$(dirname "$0")/lib.sh"

# iked ROOT RULE: what `iked -n` prints about one rule: the Child SA it made of it, or the error
iked() {
    in_root "$1" bash -c 'umask 077; echo "ikev2 active esp from 10.0.0.0/24 to 10.1.0.0/16 peer 192.0.2.2 $1" >/tmp/iked.conf
        iked -nvf /tmp/iked.conf 2>&1' _ "$2" | sed -nE 's/.* (childsa .*)/\1/p; s/^[^ ]*: 1: //p' | head -n 1
}

for suite in bookworm:7.2-1 trixie:7.4-1; do
    name=${suite%%:*} version=${suite#*:}
    unpack "$name" "$name" "openiked=$version"
    echo '_iked:x:998:998::/var/empty:/bin/false' >>"$tmp/$name/etc/passwd" # also `iked -n` looks for it
    echo '_iked:x:998:' >>"$tmp/$name/etc/group"
    same "$version, odd digits" 'psk 0x61' "$(iked "$name" 'psk 0x616' | grep -o 'psk 0x.*')"
    same "$version, even digits" 'psk 0x6162' "$(iked "$name" 'psk 0x6162' | grep -o 'psk 0x.*')"
    same "$version, in quotes" 'psk 0x6162' "$(iked "$name" 'psk "0x6162"' | grep -o 'psk 0x.*')"
    same "$version, a word" 'psk 0x616263' "$(iked "$name" 'psk abc' | grep -o 'psk 0x.*')"
    for time in 90s 1d 1w; do
        same "$version, lifetime $time" 'invalid time unit' "$(iked "$name" "lifetime $time psk abc")"
    done
    for time in 90:90 2m:120 1h:3600; do
        same "$version, lifetime ${time%:*}" "lifetime ${time#*:}" "$(iked "$name" "lifetime ${time%:*} psk abc" | grep -o 'lifetime [0-9]*')"
    done
done
echo "as described: OpenIKED's numbers"
