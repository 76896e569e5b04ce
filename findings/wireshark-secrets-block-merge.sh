#!/bin/bash
# Wireshark's mergecap and editcap 4.0.17-0+deb12u3 (Debian 12) against 4.4.19-0+deb13u1 (Debian 13), on a pcapng that has a block of
# decryption secrets, as `editcap --inject-secrets` of the same version writes it:
# - mergecap 4.0 refuses it: "The capture file being read can't be written as a "pcapng" file", exit code not 0, no file. 4.4 merges,
#   with the secrets of both files.
# - `editcap -F pcap` of 4.0 refuses it too (exit code 2); 4.4 writes the pcap without the secrets, says nothing and ends with 0.
#
# Expected: both merge and keep the secrets, both refuse or warn where pcap cannot hold them.
# Seen, 4.0: mergecap: The capture file being read can't be written as a "pcapng" file.
#       4.4: Number of decryption secrets in file: 2
. "$(dirname "$0")/lib.sh"

# look ROOT: how merging and converting end, what the merged file has, how many frames the pcap has
look() {
    in_root "$1" bash -c 'cd /tmp; printf "0000 ff\n" | text2pcap -q -u 4500,4500 - plain.pcapng >/dev/null 2>&1
        echo "CLIENT_RANDOM 00 00" >secrets; editcap --inject-secrets tls,secrets plain.pcapng with.pcapng
        mergecap -w merged.pcapng with.pcapng with.pcapng 2>/dev/null && echo merged || echo "not merged"
        capinfos merged.pcapng 2>/dev/null | grep "decryption secrets"
        editcap -F pcap with.pcapng without.pcap >said 2>&1; echo "pcap $?"
        grep -o "can.t be written.*" said; capinfos -c -m -T without.pcap 2>/dev/null | sed -n "s/^without.pcap,//p"' | sed -z 's/\n$//; s/\n/; /g'
}

unpack bookworm bookworm wireshark-common=4.0.17-0+deb12u3
unpack trixie trixie wireshark-common=4.4.19-0+deb13u1
same "4.0" "not merged; pcap 2; can't be written as a \"pcap\" file." "$(look bookworm)"
same "4.4" 'merged; Number of decryption secrets in file: 2; pcap 0; 1' "$(look trixie)"
echo "as described: 4.0 refuses files with secrets, 4.4 merges them"
