#!/bin/bash
# Wireshark's capinfos and editcap 4.0.17-0+deb12u3 (Debian 12) against 4.4.19-0+deb13u1 (Debian 13):
# - "First packet time" and "Last packet time" are called "Earliest packet time" and "Latest packet time" in 4.4, the line RIPEMD160
#   is gone, and the comments of packets are printed without being asked for ("Packet 1 Comment:    hello"). A script that looks for
#   "First packet time:" finds nothing in 4.4.
# - Both: `editcap -F pcap` of a file with comments writes it without them, says nothing and ends with 0.
#
# Expected: the same labels in both, and a warning or an error where comments are lost.
# Seen, 4.0: First packet time:   2026-01-02 00:00:00.000000000
#       4.4: Earliest packet time: 2026-01-02 00:00:00.000000000
. "$(dirname "$0")/lib.sh"

# look ROOT: what editcap ended with and said, then the labels and comments that capinfos shows, for pcapng and pcap
look() {
    in_root "$1" bash -c 'cd /tmp; export TZ=UTC
        echo "2026-01-02 00:00:00.000000 0000 ff" | text2pcap -q -t "%Y-%m-%d %H:%M:%S.%f" -u 4500,4500 - plain.pcapng >/dev/null 2>&1
        editcap -a 1:hello plain.pcapng with.pcapng
        editcap -F pcap with.pcapng without.pcap >said 2>&1; echo "editcap: $? $(wc -c <said)"
        for file in with.pcapng without.pcap; do capinfos $file | grep -oE "^(First|Last|Earliest|Latest|RIPEMD160|Packet 1 Comment.*)"; done' |
        sed -z 's/\n$//; s/\n/; /g; s/  */ /g'
}

unpack bookworm bookworm wireshark-common=4.0.17-0+deb12u3
unpack trixie trixie wireshark-common=4.4.19-0+deb13u1
same "4.0" 'editcap: 0 0; First; Last; RIPEMD160; First; Last; RIPEMD160' "$(look bookworm)"
same "4.4" 'editcap: 0 0; Earliest; Latest; Packet 1 Comment: hello; Earliest; Latest' "$(look trixie)"
echo "as described: capinfos 4.4 has other labels, editcap loses comments in silence"
