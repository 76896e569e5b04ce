#!/bin/bash
# libreswan 5.2-2.2 (Debian 13) raises a lifetime that is shorter than rekeymargin and rekeyfuzz together (540 s and 100 %, if
# nothing is said) to their sum: `ikelifetime=90` becomes 18 minutes, with a line that names a margin of 0 s, and exit code 0.
# 4.10-2+deb12u1 (Debian 12) keeps what was written and, for `salifetime=` alone, halves the margin instead. A test that shortens
# lifetimes to see a re-key must set rekeymargin and rekeyfuzz too, then both keep 90 s.
#
# Expected: 90 s in both, or a shorter margin in both.
# Seen, 4.10: ike_life: 90s, rekey_margin: 540s; with salifetime=5m ipsec_life: 300s, rekey_margin: 150s
#       5.2:  "c": ikelifetime=90 must be greater than rekeymargin=0s + rekeyfuzz=100%, setting to 1080 seconds
. "$(dirname "$0")/lib.sh"
unpack bookworm old libreswan=4.10-2+deb12u1; node old old; pluto old
unpack trixie new libreswan=5.2-2.2; node new new; pluto new
# lives NAME SETTING…: the lifetimes of IKE and Child SA and the margin, in seconds
lives() {
    local name=$1; conn "$@" >/dev/null
    status "$name" 'ike_life:.*rekey_fuzz: [0-9]+%' | sed -E 's/^ike_life: ([0-9]+)s; ipsec_life: ([0-9]+)s;.*rekey_margin: ([0-9]+)s.*/\1 \2 \3/'
}

same "4.10, ikelifetime=90" '90 28800 540' "$(lives old ikelifetime=90)"
same "4.10, salifetime=5m" '28800 300 150' "$(lives old salifetime=5m)"
same "5.2, ikelifetime=90" '1080 28800 540' "$(lives new ikelifetime=90)"
same "5.2, salifetime=5m" '28800 1080 540' "$(lives new salifetime=5m)"
same "5.2, what it says" '"c": ikelifetime=90 must be greater than rekeymargin=0s + rekeyfuzz=100%, setting to 1080 seconds
exit 0' "$(conn new ikelifetime=90)"
same "4.10, with a margin" '90 28800 10' "$(lives old ikelifetime=90 rekeymargin=10 rekeyfuzz=0%)"
same "5.2, with a margin" '90 28800 10' "$(lives new ikelifetime=90 rekeymargin=10 rekeyfuzz=0%)"
echo "as described: libreswan 5.2 raises short lifetimes"
