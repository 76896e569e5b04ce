#!/bin/bash
# strongSwan's pki 5.9.8-5+deb12u5 (Debian 12) and 6.0.1-6+deb13u7 (Debian 13): `pki --issue` leaves out what it does not understand,
# ends with 0 and writes a certificate all the same.
# - `--flag ipsecIKE` (RFC 4945's usage) is ignored without a word, as is any unknown one; ikeIntermediate, which the help does not
#   name, is understood.
# - `--san '@#0a0b'` (a key ID, valid as an identity in swanctl.conf) prints one line and is left out.
# - `--san 10.0.0.0/24`: 5.9.8 leaves it out with one line; 6.0.1 writes an iPAddress of eight octets, the form of a name
#   constraint, which OpenSSL shows as <invalid length=8>.
#
# Expected: an error, exit code not 0, no certificate, for each of the three.
# Seen: exit code 0 each time; of four flags two are in the certificate; 6.0.1: IP Address:<invalid length=8>
. "$(dirname "$0")/lib.sh"

# issue ROOT OPTION…: exit code, messages, names and usages of the certificate, joined by "; "
issue() {
    in_root "$1" bash -c 'cd /tmp; shift
        pki --gen --type ecdsa --size 256 >k 2>/dev/null; pki --self --in k --type ecdsa --ca --dn CN=ca >ca 2>/dev/null
        pki --pub --in k --type ecdsa 2>/dev/null | pki --issue --cacert ca --cakey k --dn CN=a "$@" >c 2>said
        echo "exit $?"; grep encoding said
        openssl x509 -inform der -in c -noout -ext subjectAltName,extendedKeyUsage 2>/dev/null | sed -n "s/^    //p"' _ "$@" |
        sed -z 's/\n$//; s/\n/; /g'
}

for suite in bookworm:5.9.8-5+deb12u5 trixie:6.0.1-6+deb13u7; do
    name=${suite%%:*} version=${suite#*:}
    unpack "$name" "$name" "strongswan-pki=$version" "libstrongswan-standard-plugins=$version" openssl
    same "$version, usages" 'exit 0; TLS Web Server Authentication, 1.3.6.1.5.5.8.2.2' \
        "$(issue "$name" --flag ipsecIKE --flag nonsense --flag serverAuth --flag ikeIntermediate)"
    same "$version, a key ID" 'exit 0; encoding ID_KEY_ID as generalName not supported; DNS:a.test' \
        "$(issue "$name" --san '@#0a0b' --san a.test)"
done
same "5.9.8, a subnet" 'exit 0; encoding ID_IPV4_ADDR_SUBNET as generalName not supported; DNS:a.test' \
    "$(issue bookworm --san 10.0.0.0/24 --san a.test)"
same "6.0.1, a subnet" 'exit 0; IP Address:<invalid length=8>, DNS:a.test' "$(issue trixie --san 10.0.0.0/24 --san a.test)"
echo "as described: pki --issue leaves out what it does not understand"
