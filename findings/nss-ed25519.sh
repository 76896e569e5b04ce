#!/bin/bash
# NSS 3.87.1-1+deb12u2 (Debian 12) and 3.110-1+deb13u5 (Debian 13), through which libreswan 4.10 and 5.2 take certificates and keys:
# a certificate authority with an Ed25519 key cannot be added to the database of 3.87 at all, while 3.110 adds it and finds what it
# signed valid. The private key is another matter: 3.110 verifies Ed25519 but imports no such key from PKCS#12 (3.132-1 of sid,
# tried by hand on 2026-11-30, does). So on Debian 13 an Ed25519 authority works and an Ed25519 gateway does not. Ed448 fails in both.
#
# Expected: Ed25519 works in neither of them, or, where the certificate is taken, the key is too.
# Seen, 3.87:  certutil: could not add certificate to token or database: SEC_ERROR_ADDING_CERT: Error adding certificate to database.
#       3.110: certutil: certificate is valid, and then
#              pk12util: PKCS12 decode import bags failed: SEC_ERROR_PKCS12_UNABLE_TO_IMPORT_KEY: Unable to import. …
. "$(dirname "$0")/lib.sh"

# try ROOT ALGORITHM: what adding the authority, checking a certificate of it and importing its key end with
try() {
    in_root "$1" bash -c 'mkdir "/tmp/$1"; cd "/tmp/$1"; certutil -N -d sql:. --empty-password
        openssl genpkey -algorithm "$1" -out key; openssl req -x509 -key key -subj /CN=ca -out ca 2>/dev/null
        openssl ecparam -name prime256v1 -genkey -noout -out ee.key
        openssl req -new -key ee.key -subj /CN=ee | openssl x509 -req -CA ca -CAkey key -out ee 2>/dev/null
        openssl pkcs12 -export -inkey key -in ca -name ca -passout pass:x -out p12
        said() { "$@" >said 2>&1 && echo yes || grep -o -m 1 "SEC_ERROR_[A-Z0-9_]*" said || echo no; }
        echo "authority: $(said certutil -A -d sql:. -n ca -t CT,, -i ca)"
        certutil -A -d sql:. -n ee -t ,, -i ee 2>/dev/null
        certutil -V -d sql:. -n ee -u V 2>&1 | sed "s/^certutil: //"
        echo "key: $(said pk12util -i p12 -d sql:. -W x)"' _ "$2" | sed -z 's/\n$//; s/\n/; /g'
}

unpack bookworm bookworm libnss3-tools=2:3.87.1-1+deb12u2 libnss3=2:3.87.1-1+deb12u2 openssl
unpack trixie trixie libnss3-tools=2:3.110-1+deb13u5 libnss3=2:3.110-1+deb13u5 openssl
none="authority: SEC_ERROR_ADDING_CERT; certificate is invalid: Peer's Certificate issuer is not recognized.; key: SEC_ERROR_PKCS12_UNABLE_TO_IMPORT_KEY"
same "3.87, Ed25519" "$none" "$(try bookworm ed25519)"
same "3.110, Ed448" "$none" "$(try trixie ed448)"
same "3.110, Ed25519" "authority: yes; certificate is valid; key: SEC_ERROR_PKCS12_UNABLE_TO_IMPORT_KEY" "$(try trixie ed25519)"
echo "as described: NSS 3.110 verifies Ed25519 and imports no key of it"
