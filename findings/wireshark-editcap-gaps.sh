#!/bin/bash
# Wireshark's editcap 4.0.17-0+deb12u3 (Debian 12) and 4.4.19-0+deb13u1 (Debian 13): `editcap -i 10` writes a file also for each ten
# seconds that have no frame. Three NAT keepalives, at 0, 20 and 100 s, become ten files, seven of them empty. The times in the names
# differ: 4.4 counts up by the interval, so the keepalive of 20 s is in the file called 10 s (a frame on the border belongs to what was
# before) and that of 100 s in the one called 90 s; 4.0 names each file after the frame that was read when it was opened, so eight
# files have the time of the last frame, and the empty ones are told apart by their number only.
#
# Expected: files only where there are frames, each named after its first frame, as with `-c 1`.
# Seen, 4.0: out_00002_20260102000140.pcapng … out_00009_20260102000140.pcapng
#       4.4: out_00002_20260102000020.pcapng … out_00009_20260102000130.pcapng
. "$(dirname "$0")/lib.sh"

# look ROOT: the time in the name of each file and its number of frames
look() {
    in_root "$1" bash -c 'cd /tmp; export TZ=UTC
        printf "2026-01-02 00:0%s.0 0000 ff\n" 0:00 0:20 1:40 | text2pcap -q -t "%Y-%m-%d %H:%M:%S.%f" -u 4500,4500 - in.pcapng >/dev/null 2>&1
        editcap -i 10 in.pcapng out.pcapng 2>/dev/null
        for file in out_*; do time=${file##*20260102}; echo "${time%.pcapng}:$(capinfos -c -m -T "$file" | sed -n "s/^out_.*,//p")"; done' | sed -z 's/\n$//; s/\n/ /g'
}

unpack bookworm bookworm wireshark-common=4.0.17-0+deb12u3
unpack trixie trixie wireshark-common=4.4.19-0+deb13u1
same "4.0" '000000:1 000020:1 000140:0 000140:0 000140:0 000140:0 000140:0 000140:0 000140:0 000140:1' "$(look bookworm)"
same "4.4" '000000:1 000010:1 000020:0 000030:0 000040:0 000050:0 000100:0 000110:0 000120:0 000130:1' "$(look trixie)"
echo "as described: editcap -i writes files without frames"
