#!/bin/bash
# libreswan 4.10-2+deb12u1 (Debian 12) and 5.2-2.2 (Debian 13) take other forms of `leftsubnet=`:
#   10.0.0.0/255.255.255.0       4.10 yes, 5.2 no: "non-decimal digit in number"
#   10.0.0.1 (no length)         4.10 no, 5.2 yes: /32
#   10.0.1.0/24,10.0.2.0/24      4.10 no, 5.2 yes: both in one Child SA (leftsubnets= remains one Child SA for each)
#   10.0.0.0/24:17/500           4.10 no, 5.2 yes: with protocol and port
#   10/8 and 0/0                 both
#   10.0.0.5/24                  both: 10.0.0.0/24; 4.10 says nothing, 5.2 "zeroing non-sero address identifier"
#
# Expected: the list and the netmask refused by both, the bare address taken by both, 10.0.0.5/24 refused.
. "$(dirname "$0")/lib.sh"
unpack bookworm old libreswan=4.10-2+deb12u1; node old old; pluto old
unpack trixie new libreswan=5.2-2.2; node new new; pluto new
# subnet NAME FORM: what the connection has before "===" , or "refused"
subnet() { conn "$1" "leftsubnet=$2" >/dev/null; local seen; seen=$(status "$1" '^"c": .*===' | sed 's/^"c": //; s/===.*//'); echo "${seen:-refused}"; }

while read -r form old new; do
    same "4.10, $form" "$old" "$(subnet old "$form")"
    same "5.2, $form" "$new" "$(subnet new "$form")"
done <<'END'
10.0.0.0/255.255.255.0 10.0.0.0/24 refused
10.0.0.1 refused 10.0.0.1/32
10.0.1.0/24,10.0.2.0/24 refused 10.0.1.0/24
10.0.0.0/24:17/500 refused 10.0.0.0/24/UDP/500
10/8 10.0.0.0/8 10.0.0.0/8
0/0 0.0.0.0/0 0.0.0.0/0
10.0.0.5/24 10.0.0.0/24 10.0.0.0/24
END
same "5.2, the second of a list" '10.0.2.0/24===' "$(conn new leftsubnet=10.0.1.0/24,10.0.2.0/24 >/dev/null; status new '10.0.2.0/24===')"
same "4.10, 10.0.0.5/24" 'exit 0' "$(conn old leftsubnet=10.0.0.5/24)"
echo "as described: other forms of leftsubnet="
