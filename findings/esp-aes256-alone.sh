#!/bin/bash
# strongSwan 6.0.1-6+deb13u7 (charon) and libreswan 5.2-2.2 (pluto), both of Debian 13: the word aes256 alone, as an ESP proposal, is
# taken by both and means two things. pluto adds integrity (HMAC-SHA2-512 and -256), charon adds nothing and offers the cipher by
# itself. Written on both sides, the IKE SA comes up and the Child SA never does: NO_PROPOSAL_CHOSEN whoever begins. For IKE, `aes256`
# without a hash and a group is refused by charon when it is loaded; for ESP nothing warns. `aes256-sha256` on both sides agrees.
#
# Expected: charon refuses an ESP cipher without integrity, as pluto refuses `esp=aes-none`, or both fill in the same.
# Seen, pluto: no local proposal matches remote proposals 1:ESP:ENCR=AES_CBC_256;ESN=NO
#       charon: received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built / failed to establish CHILD_SA, keeping IKE_SA
. "$(dirname "$0")/lib.sh"

# charon_load ESP, pluto_load ESP: both load the connection c with that ESP proposal
charon_load() {
    on a sh -c 'cat >/tmp/c.conf; swanctl --load-all --file /tmp/c.conf 2>&1 | grep "^loading connection\|^successfully"' <<END
connections { c {
    local_addrs = 10.9.0.1
    remote_addrs = 10.9.0.2
    proposals = $2
    local { auth = psk
    }
    remote { auth = psk
    }
    children { k { esp_proposals = $1
    } }
} }
secrets { ike { secret = "a long enough secret for the two"
} }
END
}
pluto_load() {
    on b sh -c 'cat >/tmp/c.conf; ipsec addconn --config /tmp/c.conf c' >/dev/null <<END
conn c
	left=10.9.0.2
	right=10.9.0.1
	authby=secret
	auto=add
	ike=aes256-sha2_256;modp2048
	esp=$1
END
}
initiate() { on a swanctl --initiate --child k --timeout 20 2>&1; }

unpack trixie charon strongswan-charon=6.0.1-6+deb13u7 strongswan-swanctl=6.0.1-6+deb13u7 libcharon-extra-plugins=6.0.1-6+deb13u7
unpack trixie pluto libreswan=5.2-2.2
node a charon; node b pluto; wire a 10.9.0.1 b 10.9.0.2
charon a; pluto b
on b sh -c 'echo "%any %any : PSK \"a long enough secret for the two\"" >/etc/ipsec.secrets; ipsec whack --listen; ipsec whack --rereadsecrets' >/dev/null
ike=aes256-sha256-modp2048

# With a hash the proposals agree (what follows needs ESP in the kernel).
charon_load aes256-sha256 $ike >/dev/null; pluto_load aes256-sha2_256
initiate >/dev/null || true
wait_until 10 on b grep -q 'proposal 1:ESP=AES_CBC_256-HMAC_SHA2_256_128.* chosen from remote proposals' /tmp/log
on a swanctl --terminate --ike c --force >/dev/null 2>&1 || true

same "charon, aes256 for IKE" "loading connection 'c' failed: invalid value for: proposals, config discarded" "$(charon_load aes256 aes256 | head -n 1)"
same "charon, aes256 for ESP" 'successfully loaded 1 connections, 0 unloaded' "$(charon_load aes256 $ike)"
pluto_load aes256
same "charon begins" 'received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built' "$(initiate | grep -o 'received NO_PROP.*')"
same "what pluto saw" 'no local proposal matches remote proposals 1:ESP:ENCR=AES_CBC_256;ESN=NO' "$(on b grep -o 'no local proposal matches.*' /tmp/log)"
same "what pluto has" '1:ESP=AES_CBC_256-HMAC_SHA2_512_256+HMAC_SHA2_256_128-NONE-ESN:YES+NO' "$(on b grep -o '1:ESP=.*ESN:YES+NO' /tmp/log | tail -n 1)"
same "pluto begins" 'CREATE_CHILD_SA failed with error notification NO_PROPOSAL_CHOSEN' \
    "$(on b ipsec up c 2>&1 | grep -o -m 1 'CREATE_CHILD_SA failed with.*')"
echo "as described: aes256 alone means two things"
