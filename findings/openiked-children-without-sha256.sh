#!/bin/bash
# OpenIKED 7.2-1 (Debian 12) and 7.4-1 (Debian 13) on Linux: what a Child SA offers by default has HMAC-SHA2-384, -512 and SHA1 for
# integrity, but not HMAC-SHA2-256, which the IKE SA has first. `childsa auth hmac-sha2-256` is taken when it is written. So against a
# peer with aes256-sha256 for ESP, the commonest setting of the other daemons, the defaults have no integrity algorithm in common.
#
# Expected: hmac-sha2-256 first in both.
# Seen: childsa enc aes-256 enc aes-192 enc aes-128 auth hmac-sha2-384 auth hmac-sha2-512 auth hmac-sha1 group none noesn …
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
    rest='group none noesn lifetime 10800 bytes 4294967296 psk 0x78'
    same "$version, the default" "childsa enc aes-256 enc aes-192 enc aes-128 auth hmac-sha2-384 auth hmac-sha2-512 auth hmac-sha1 $rest" \
        "$(iked "$name" 'psk "x"')"
    same "$version, with a cipher" "childsa enc aes-256 auth hmac-sha2-384 auth hmac-sha2-512 auth hmac-sha1 $rest" \
        "$(iked "$name" 'childsa enc aes-256 psk "x"')"
    same "$version, named" "childsa enc aes-256 auth hmac-sha2-256 $rest" "$(iked "$name" 'childsa enc aes-256 auth hmac-sha2-256 psk "x"')"
done
echo "as described: OpenIKED's Child SAs have no HMAC-SHA2-256 by default"
