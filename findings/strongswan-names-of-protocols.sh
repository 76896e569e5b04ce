#!/bin/bash
# strongSwan 5.9.8-5+deb12u5 (Debian 12) and 6.0.1-6+deb13u7 (Debian 13): a traffic selector that names its protocol needs the file
# /etc/protocols. No package of strongSwan depends on netbase, which has it, so a minimal machine or container is without it: there
# `local_ts = 10.0.1.1[udp/500]` is refused, and the message blames the selector. A number (17) is taken on both.
#
# Expected: charon knows udp, tcp, icmp and gre itself, as libreswan's `leftprotoport=` was believed to.
# Seen, without netbase: loading connection 'c' failed: invalid value for: local_ts, config discarded
#       with netbase:    local: 10.0.1.1/32[udp/isakmp], and 17/500 is shown as [udp/isakmp] too; without it, as [17/500].
. "$(dirname "$0")/lib.sh"

# load NODE SELECTOR: what charon made of it
load() {
    on "$1" sh -c "echo 'connections { c { children { k { local_ts = $2
} } } }' >/tmp/c.conf; swanctl --load-conns --file /tmp/c.conf 2>&1 | grep 'failed:' || swanctl --list-conns 2>&1 | sed -n 's/^    local:  *//p'"
}

refused="loading connection 'c' failed: invalid value for: local_ts, config discarded"
for suite in bookworm:5.9.8-5+deb12u5 trixie:6.0.1-6+deb13u7; do
    name=${suite%%:*} version=${suite#*:}
    unpack "$name" "$name" "strongswan-charon=$version" "strongswan-swanctl=$version" libcharon-extra-plugins="$version"
    [ ! -e "$tmp/$name/etc/protocols" ] || changed "strongSwan $version now brings /etc/protocols"
    node "$name" "$name"
    on "$name" /usr/lib/ipsec/charon >"$tmp/log" 2>&1 &
    wait_until 20 test -S "/proc/$(eval echo "\$pid_$name")/root/run/charon.vici"
    same "$version, udp without /etc/protocols" "$refused" "$(load "$name" '10.0.1.1[udp/500]')"
    same "$version, gre without /etc/protocols" "$refused" "$(load "$name" 'dynamic[gre]')"
    same "$version, 17 without /etc/protocols" '10.0.1.1/32[17/500]' "$(load "$name" '10.0.1.1[17/500]')"
    on "$name" sh -c 'printf "icmp 1 ICMP\nudp 17 UDP\ngre 47 GRE\n" >/etc/protocols'
    same "$version, udp with /etc/protocols" '10.0.1.1/32[udp/500]' "$(load "$name" '10.0.1.1[udp/500]')"
    same "$version, gre with /etc/protocols" 'dynamic[gre]' "$(load "$name" 'dynamic[gre]')"
    same "$version, 17 with /etc/protocols" '10.0.1.1/32[udp/500]' "$(load "$name" '10.0.1.1[17/500]')"
done
echo "as described: names of protocols need /etc/protocols"
