#!/bin/bash
# libreswan 4.10-2+deb12u1 (Debian 12) refuses a connection with a wrong value; 5.2-2.2 (Debian 13) warns on the terminal, forgets the
# setting and loads the connection with the default, exit code 0. So `type=beet` is a tunnel in 5.2, `esn=perhaps` offers both, and
# whoever looks at the exit code only sees success. A key given twice: 4.10 refuses the connection but ends with 0, 5.2 keeps the
# first. Not all are treated so: `dpddelay=x` and an empty `ike=` are still refused by 5.2 (exit 56), while 4.10 takes these without a word.
#
# Expected: both refuse, with an exit code that is not 0.
# Seen, 4.10: keyword type, invalid value: beet                                    exit 1
#       5.2:  /tmp/c.conf:6: warning: invalid, keyword ignored: type=beet          exit 0, policy: …+TUNNEL+…
. "$(dirname "$0")/lib.sh"
unpack bookworm old libreswan=4.10-2+deb12u1; node old old; pluto old
unpack trixie new libreswan=5.2-2.2; node new new; pluto new
for key in type:beet phase2:foo fragmentation:maybe esn:perhaps; do
    same "4.10, ${key/:/=}" "/tmp/c.conf: 6: keyword ${key%:*}, invalid value: ${key#*:}
exit 1" "$(conn old "${key/:/=}" | sed 's/^ERROR: //')"
    same "5.2, ${key/:/=}" "/tmp/c.conf:6: warning: invalid, keyword ignored: ${key/:/=}
exit 0" "$(conn new "${key/:/=}")"
done
conn new type=beet >/dev/null
same "5.2, what type=beet became" '+TUNNEL+' "$(status new '[+]TUNNEL[+]')"
same "4.10, a key twice" 'exit 0' "$(conn old pfs=yes pfs=no | tail -n 1)"
same "4.10, a key twice: no connection" '' "$(status old 'policy: IKEv2.*')"
same "5.2, a key twice" '/tmp/c.conf:7: warning: ignoring duplicate conn keyword: pfs=no
exit 0' "$(conn new pfs=yes pfs=no)"
same "5.2, which of the two counts" '+PFS+' "$(status new '[+]PFS[+]')"
same "4.10, dpddelay=x" 'exit 0' "$(conn old dpddelay=x)"
same "5.2, dpddelay=x" 'exit 56' "$(conn new dpddelay=x | tail -n 1)"
same "4.10, an empty ike=" 'exit 0' "$(conn old ike=)"
same "5.2, an empty ike=" 'exit 56' "$(conn new ike= | tail -n 1)"
echo "as described: libreswan 5.2 loads connections with wrong values"
