#!/bin/bash
# libreswan 4.10-2+deb12u1 (Debian 12) and 5.2-2.2 (Debian 13): `dpddelay=` takes fractions and milliseconds but keeps whole seconds,
# rounded down, and 0 means off. `dpddelay=500ms` and `dpddelay=0.9` therefore switch liveness off without a word (exit code 0), and
# 1500ms is one second. `retransmit-interval=100ms` beside it is kept to the millisecond.
#
# Expected: half a second, or an error.
# Seen: liveness: passive; … dpddelay:0s
. "$(dirname "$0")/lib.sh"
unpack bookworm old libreswan=4.10-2+deb12u1; node old old; pluto old
unpack trixie new libreswan=5.2-2.2; node new new; pluto new
for name in old new; do
    for delay in 500ms:passive:0s 0.9:passive:0s 1:active:1s 1500ms:active:1s; do
        IFS=: read -r value liveness seconds <<<"$delay"
        same "$name, dpddelay=$value" 'exit 0' "$(conn $name "dpddelay=$value")"
        same "$name, liveness of dpddelay=$value" "liveness: $liveness" "$(status $name 'liveness: [a-z]+')"
        same "$name, delay of dpddelay=$value" "dpddelay:$seconds" "$(status $name 'dpddelay:[0-9a-z.]+')"
    done
    conn $name retransmit-interval=100ms >/dev/null
    same "$name, retransmit-interval=100ms" 'retransmit-interval: 100ms' "$(status $name 'retransmit-interval: [0-9a-z]+')"
done
echo "as described: dpddelay below a second switches liveness off"
