#!/bin/bash
# libreswan 4.10-2+deb12u1 (Debian 12) and 5.2-2.2 (Debian 13): `ah=`, `esp=` and `phase2alg=` mean the same, and only `phase2=ah`
# chooses the protocol. `ah=sha2_256` alone is read as an ESP proposal and refused; `ah=aes256-sha2_256` loads and is ESP;
# `phase2=ah` with `esp=sha2_256` is AH.
#
# Expected: `ah=` sets AH's algorithms and chooses AH, `esp=` beside `phase2=ah` is ignored.
# Seen, 5.2: "c": failed to add connection: ESP encryption algorithm 'sha2_256' is not recognized
. "$(dirname "$0")/lib.sh"
unpack bookworm old libreswan=4.10-2+deb12u1; node old old; pluto old
unpack trixie new libreswan=5.2-2.2; node new new; pluto new
for name in old new; do
    [ "$(conn $name ah=sha2_256 | tail -n 1)" != 'exit 0' ] || changed "$name takes ah=sha2_256 alone"
    conn $name ah=aes256-sha2_256 >/dev/null
    same "$name, ah=aes256-sha2_256" 'ESP algorithms: AES_CBC_256-HMAC_SHA2_256_128' "$(status $name '(AH|ESP) algorithms: .*')"
    for key in ah esp phase2alg; do
        conn $name phase2=ah $key=sha2_256 >/dev/null
        same "$name, phase2=ah $key=sha2_256" 'AH algorithms: HMAC_SHA2_256_128' "$(status $name '(AH|ESP) algorithms: .*')"
    done
done
same "5.2, what it says" "\"c\": failed to add connection: ESP encryption algorithm 'sha2_256' is not recognized" "$(conn new ah=sha2_256 | head -n 1)"
echo "as described: ah= does not choose AH"
