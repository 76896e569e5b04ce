//! The fields that filters know, with Wireshark's names, and where their values are found in a record.

mod ike;
mod net;
mod own;

use super::Analysis;
use super::value::{Sink, Value};
use crate::dissect::{Layer, Record};

/// Type of a field, as `tshark -G fields` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned integer of so many bits.
    Uint(u8),
    /// Boolean: present even when false, as in Wireshark.
    Bool,
    /// IPv4 address; a prefix may be given to compare with.
    Ipv4,
    /// IPv6 address; a prefix may be given to compare with.
    Ipv6,
    /// Ethernet address.
    Ether,
    /// Octets.
    Bytes,
    /// Text.
    Text,
    /// Seconds with a fraction.
    Seconds,
    /// Only present or not.
    None,
    /// Protocol: present or not, and its octets.
    Protocol,
    /// Protocol whose octets this subset does not offer.
    OpaqueProtocol,
}

impl Kind {
    /// For people: `unsigned integer, 16 bits`.
    pub fn describe(self) -> String {
        match self {
            Uint(bits) => format!("unsigned integer, {bits} bits"),
            Bool => "boolean".into(),
            Ipv4 => "IPv4 address".into(),
            Ipv6 => "IPv6 address".into(),
            Ether => "Ethernet address".into(),
            Bytes => "bytes".into(),
            Text => "string".into(),
            Seconds => "time in seconds".into(),
            Kind::None => "label".into(),
            Protocol => "protocol".into(),
            OpaqueProtocol => "protocol (presence only)".into(),
        }
    }

    /// Are its values octets (or text), so that slices, `contains` and `matches` work?
    pub fn sliceable(self) -> bool {
        matches!(self, Bytes | Text | Ether | Ipv4 | Ipv6 | Protocol)
    }
}

/// Returns how the name of a value is written, so that all versions of Wireshark take it for the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// With or without quotes; the name stands for its number.
    Any,
    /// In quotes; tested for equality only.
    Quoted,
    /// Without quotes; tested for equality only.
    Bare,
}

/// One row of the field table.
#[derive(Debug, Clone, Copy)]
pub struct FieldInfo {
    /// Wireshark's name, or one of ours below `faultlab.`.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// One line about it.
    pub doc: &'static str,
    /// Names of values that may be written in place of the number.
    pub values: &'static [(&'static str, u64, Spelling)],
    /// The field.
    pub field: Field,
}

macro_rules! fields {
    ($($id:ident $name:literal $kind:expr, $doc:literal $(, $values:expr)? ;)*) => {
        /// A field.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Field { $(#[doc = $doc] $id),* }

        /// Every field, in the order of the documentation.
        pub const FIELDS: &[FieldInfo] = &[
            $(FieldInfo { name: $name, kind: $kind, doc: $doc, values: fields!(@values $($values)?), field: Field::$id }),*
        ];
    };
    (@values $values:expr) => { $values };
    (@values) => { &[] };
}

const ETHER_TYPES: &[(&str, u64, Spelling)] =
    &[("ARP", 0x0806, Spelling::Any), ("IPv4", 0x0800, Spelling::Any), ("IPv6", 0x86dd, Spelling::Any)];
const PROTOCOLS: &[(&str, u64, Spelling)] = &[("ICMP", 1, Spelling::Any), ("TCP", 6, Spelling::Any), ("UDP", 17, Spelling::Any)];
const ARP_OPCODES: &[(&str, u64, Spelling)] = &[("request", 1, Spelling::Any), ("reply", 2, Spelling::Any)];
// Up to Wireshark 4.4, quoted names are looked up in IKEv1's table and others in IKEv2's, whatever their case; 4.6 compares the
// text that is shown.
const EXCHANGES: &[(&str, u64, Spelling)] = &[
    ("Identity Protection (Main Mode)", 2, Spelling::Quoted),
    ("Aggressive", 4, Spelling::Quoted),
    ("Informational", 5, Spelling::Quoted),
    ("Transaction (Config Mode)", 6, Spelling::Quoted),
    ("Quick Mode", 32, Spelling::Quoted),
    ("IKE_SA_INIT", 34, Spelling::Bare),
    ("IKE_AUTH", 35, Spelling::Bare),
    ("CREATE_CHILD_SA", 36, Spelling::Bare),
    ("INFORMATIONAL", 37, Spelling::Bare),
];

use Kind::{Bool, Bytes, Ether, Ipv4, Ipv6, OpaqueProtocol, Protocol, Seconds, Text, Uint};

fields! {
    Frame "frame" Protocol, "Any frame; its octets as captured";
    FrameNumber "frame.number" Uint(32), "Number in the file, from 1";
    FrameLen "frame.len" Uint(32), "Length on the wire";
    FrameCapLen "frame.cap_len" Uint(32), "Length that was captured";
    FrameTimeEpoch "frame.time_epoch" Seconds, "Time of capture, seconds since 1970";
    FrameTimeRelative "frame.time_relative" Seconds, "Seconds since the first frame of the file";
    FrameInterfaceName "frame.interface_name" Text, "Tap name, such as `west.wan` (pcapng only)";
    FrameInterfaceId "frame.interface_id" Uint(32), "Index of the interface block (pcapng only)";
    Eth "eth" Protocol, "Ethernet; its 14 octets";
    EthSrc "eth.src" Ether, "Source address";
    EthDst "eth.dst" Ether, "Destination address";
    EthAddr "eth.addr" Ether, "Source and destination address";
    EthType "eth.type" Uint(16), "EtherType", ETHER_TYPES;
    Arp "arp" OpaqueProtocol, "ARP";
    ArpOpcode "arp.opcode" Uint(16), "1 request, 2 reply", ARP_OPCODES;
    ArpSrcIpv4 "arp.src.proto_ipv4" Ipv4, "Sender's address";
    ArpDstIpv4 "arp.dst.proto_ipv4" Ipv4, "Target's address";
    Ip "ip" OpaqueProtocol, "IPv4";
    IpVersion "ip.version" Uint(8), "4, or 6 in IPv6 packets";
    IpHdrLen "ip.hdr_len" Uint(8), "Header length in octets";
    IpDsfield "ip.dsfield" Uint(8), "Differentiated services field (TOS octet)";
    IpDscp "ip.dsfield.dscp" Uint(8), "DSCP, upper six bits of the field";
    IpEcn "ip.dsfield.ecn" Uint(8), "ECN, lower two bits of the field";
    IpLen "ip.len" Uint(16), "Total length";
    IpId "ip.id" Uint(16), "Identification";
    IpDf "ip.flags.df" Bool, "Don't Fragment";
    IpMf "ip.flags.mf" Bool, "More Fragments";
    IpFragOffset "ip.frag_offset" Uint(16), "Fragment offset in units of eight octets";
    IpTtl "ip.ttl" Uint(8), "Time to live";
    IpProto "ip.proto" Uint(8), "Upper protocol: 1 ICMP, 6 TCP, 17 UDP, 50 ESP, 51 AH", PROTOCOLS;
    IpSrc "ip.src" Ipv4, "Source address";
    IpDst "ip.dst" Ipv4, "Destination address";
    IpAddr "ip.addr" Ipv4, "Source and destination address";
    Ipv6Proto "ipv6" OpaqueProtocol, "IPv6";
    Ipv6Version "ipv6.version" Uint(8), "6";
    Ipv6Plen "ipv6.plen" Uint(16), "Payload length";
    Ipv6Nxt "ipv6.nxt" Uint(8), "Next header of the fixed header", PROTOCOLS;
    Ipv6Hlim "ipv6.hlim" Uint(8), "Hop limit";
    Ipv6Src "ipv6.src" Ipv6, "Source address";
    Ipv6Dst "ipv6.dst" Ipv6, "Destination address";
    Ipv6Addr "ipv6.addr" Ipv6, "Source and destination address";
    Udp "udp" Protocol, "UDP; its 8 header octets";
    UdpSrcPort "udp.srcport" Uint(16), "Source port";
    UdpDstPort "udp.dstport" Uint(16), "Destination port";
    UdpPort "udp.port" Uint(16), "Source and destination port";
    UdpLength "udp.length" Uint(16), "Length field";
    UdpChecksum "udp.checksum" Uint(16), "Checksum field";
    UdpPayload "udp.payload" Bytes, "Octets after the header";
    Tcp "tcp" OpaqueProtocol, "TCP";
    TcpSrcPort "tcp.srcport" Uint(16), "Source port";
    TcpDstPort "tcp.dstport" Uint(16), "Destination port";
    TcpPort "tcp.port" Uint(16), "Source and destination port";
    TcpSeqRaw "tcp.seq_raw" Uint(32), "Sequence number as sent";
    TcpAckRaw "tcp.ack_raw" Uint(32), "Acknowledgement number as sent";
    TcpHdrLen "tcp.hdr_len" Uint(8), "Header length in octets";
    TcpLen "tcp.len" Uint(32), "Payload octets in this segment";
    TcpFlags "tcp.flags" Uint(16), "Flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128";
    TcpSyn "tcp.flags.syn" Bool, "SYN";
    TcpAck "tcp.flags.ack" Bool, "ACK";
    TcpFin "tcp.flags.fin" Bool, "FIN";
    TcpReset "tcp.flags.reset" Bool, "RST";
    TcpPush "tcp.flags.push" Bool, "PSH";
    TcpWindow "tcp.window_size_value" Uint(16), "Window field, unscaled";
    TcpChecksumStatus "tcp.checksum.status" Uint(8), "Checksum: 0 wrong, 1 right, 2 not checked (Wireshark checks when told to)";
    TcpMss "tcp.options.mss_val" Uint(16), "MSS option";
    Icmp "icmp" OpaqueProtocol, "ICMP";
    IcmpType "icmp.type" Uint(8), "Type: 0 echo reply, 3 unreachable, 8 echo request, 11 time exceeded";
    IcmpCode "icmp.code" Uint(8), "Code; 4 of type 3 is `fragmentation needed`";
    IcmpMtu "icmp.mtu" Uint(16), "Next-hop MTU of `fragmentation needed`";
    IcmpIdent "icmp.ident" Uint(16), "Identifier of an echo message";
    IcmpSeq "icmp.seq" Uint(16), "Sequence number of an echo message";
    Icmpv6 "icmpv6" OpaqueProtocol, "ICMPv6";
    Icmpv6Type "icmpv6.type" Uint(8), "Type: 1 unreachable, 2 packet too big, 128 echo request, 129 echo reply";
    Icmpv6Code "icmpv6.code" Uint(8), "Code";
    Icmpv6Mtu "icmpv6.mtu" Uint(32), "MTU of `packet too big`";
    Icmpv6Ident "icmpv6.echo.identifier" Uint(16), "Identifier of an echo message";
    Icmpv6Seq "icmpv6.echo.sequence_number" Uint(16), "Sequence number of an echo message";
    Esp "esp" OpaqueProtocol, "ESP, directly in IP or in UDP";
    EspSpi "esp.spi" Uint(32), "SPI";
    EspSequence "esp.sequence" Uint(32), "Sequence number";
    Ah "ah" OpaqueProtocol, "AH";
    AhSpi "ah.spi" Uint(32), "SPI";
    AhSequence "ah.sequence" Uint(32), "Sequence number";
    AhIcv "ah.icv" Bytes, "ICV";
    UdpEncap "udpencap" OpaqueProtocol, "Any UDP/4500 packet (RFC 3948)";
    UdpEncapKeepalive "udpencap.nat_keepalive" Kind::None, "NAT keepalive: one octet 0xff";
    UdpEncapMarker "udpencap.non_esp_marker" Kind::None, "Four zero octets before an IKE message";
    Isakmp "isakmp" Protocol, "IKE, either version; its octets without the non-ESP marker";
    IsakmpIspi "isakmp.ispi" Bytes, "Initiator's SPI (cookie)";
    IsakmpRspi "isakmp.rspi" Bytes, "Responder's SPI (cookie)";
    IsakmpNextPayload "isakmp.nextpayload" Uint(8), "Next payload, of the header and of each payload";
    IsakmpVersion "isakmp.version" Uint(8), "0x10 or 0x20";
    IsakmpExchange "isakmp.exchangetype" Uint(8), "2 main mode, 4 aggressive, 5 informational, 32 quick mode; 34 IKE_SA_INIT, 35 IKE_AUTH, 36 CREATE_CHILD_SA, 37 INFORMATIONAL", EXCHANGES;
    IsakmpFlags "isakmp.flags" Uint(8), "Flags octet";
    IsakmpFlagE "isakmp.flag_e" Bool, "IKEv1: encrypted";
    IsakmpFlagC "isakmp.flag_c" Bool, "IKEv1: commit";
    IsakmpFlagA "isakmp.flag_a" Bool, "IKEv1: authentication only";
    IsakmpFlagI "isakmp.flag_i" Bool, "IKEv2: sent by the original initiator";
    IsakmpFlagV "isakmp.flag_v" Bool, "IKEv2: speaks a higher version";
    IsakmpFlagR "isakmp.flag_r" Bool, "IKEv2: response";
    IsakmpMessageId "isakmp.messageid" Uint(32), "Message ID";
    IsakmpLength "isakmp.length" Uint(32), "Length field of the header";
    IsakmpTypePayload "isakmp.typepayload" Uint(8), "Type of each payload; proposals are 2, transforms 3";
    IsakmpCritical "isakmp.criticalpayload" Bool, "IKEv2: critical bit of each payload";
    IsakmpPropNumber "isakmp.prop.number" Uint(8), "Proposal number";
    IsakmpPropProtocol "isakmp.prop.protoid" Uint(32), "Protocol of a proposal: 1 IKE, 2 AH, 3 ESP, 4 IPCOMP";
    IsakmpPropTransforms "isakmp.prop.transforms" Uint(8), "Number of transforms of a proposal";
    IsakmpTransNumber "isakmp.trans.number" Uint(8), "IKEv1: transform number";
    IsakmpTransId "isakmp.trans.id" Uint(8), "IKEv1: transform ID";
    IsakmpTfType "isakmp.tf.type" Uint(8), "IKEv2 transform type: 1 ENCR, 2 PRF, 3 INTEG, 4 D-H, 5 ESN";
    IsakmpTfEncr "isakmp.tf.id.encr" Uint(16), "IKEv2 encryption algorithm: 12 AES-CBC, 20 AES-GCM-16";
    IsakmpTfPrf "isakmp.tf.id.prf" Uint(16), "IKEv2 PRF";
    IsakmpTfInteg "isakmp.tf.id.integ" Uint(16), "IKEv2 integrity algorithm";
    IsakmpTfDh "isakmp.tf.id.dh" Uint(16), "IKEv2 Diffie-Hellman group";
    IsakmpTfEsn "isakmp.tf.id.esn" Uint(16), "IKEv2 extended sequence numbers";
    IsakmpIke2KeyLength "isakmp.ike2.attr.key_length" Uint(16), "IKEv2 key length in bits";
    IsakmpIkeEncryption "isakmp.ike.attr.encryption_algorithm" Uint(16), "IKEv1 phase 1 encryption: 5 3DES-CBC, 7 AES-CBC";
    IsakmpIkeHash "isakmp.ike.attr.hash_algorithm" Uint(16), "IKEv1 phase 1 hash: 1 MD5, 2 SHA, 4 SHA2-256";
    IsakmpIkeAuth "isakmp.ike.attr.authentication_method" Uint(16), "IKEv1 phase 1 authentication: 1 PSK, 3 RSA-SIG";
    IsakmpIkeGroup "isakmp.ike.attr.group_description" Uint(16), "IKEv1 phase 1 Diffie-Hellman group";
    IsakmpIkeLifeType "isakmp.ike.attr.life_type" Uint(16), "IKEv1 phase 1 life type: 1 seconds, 2 kilobytes";
    IsakmpIkeLifeDuration "isakmp.ike.attr.life_duration" Uint(32), "IKEv1 phase 1 lifetime";
    IsakmpIkeKeyLength "isakmp.ike.attr.key_length" Uint(16), "IKEv1 phase 1 key length in bits";
    IsakmpIpsecLifeType "isakmp.ipsec.attr.life_type" Uint(16), "IKEv1 phase 2 life type";
    IsakmpIpsecLifeDuration "isakmp.ipsec.attr.life_duration" Uint(32), "IKEv1 phase 2 lifetime";
    IsakmpIpsecGroup "isakmp.ipsec.attr.group_description" Uint(16), "IKEv1 phase 2 PFS group";
    IsakmpIpsecMode "isakmp.ipsec.attr.encap_mode" Uint(16), "IKEv1 encapsulation mode: 1 tunnel, 2 transport, 3 and 4 in UDP";
    IsakmpIpsecAuth "isakmp.ipsec.attr.auth_algorithm" Uint(16), "IKEv1 phase 2 authentication algorithm";
    IsakmpIpsecKeyLength "isakmp.ipsec.attr.key_length" Uint(16), "IKEv1 phase 2 key length in bits";
    IsakmpSpi "isakmp.spi" Bytes, "SPI of a proposal or a notification";
    IsakmpDhGroup "isakmp.key_exchange.dh_group" Uint(16), "IKEv2: group of the key exchange payload";
    IsakmpKeData "isakmp.key_exchange.data" Bytes, "Public value of the key exchange payload";
    IsakmpNonce "isakmp.nonce" Bytes, "Nonce";
    IsakmpHash "isakmp.hash" Bytes, "IKEv1 hash payload";
    IsakmpSig "isakmp.sig" Bytes, "IKEv1 signature payload";
    IsakmpNotifyProtocol "isakmp.notify.protoid" Uint(32), "Protocol of a notification";
    IsakmpNotifyType "isakmp.notify.msgtype" Uint(16), "Notify message type: 14 NO_PROPOSAL_CHOSEN, 24 AUTHENTICATION_FAILED, 16388 NAT_DETECTION_SOURCE_IP …";
    IsakmpNotifyData "isakmp.notify.data" Bytes, "Notification data";
    IsakmpDeleteProtocol "isakmp.delete.protoid" Uint(32), "Protocol of a delete payload";
    IsakmpDeleteSpi "isakmp.delete.spi" Bytes, "SPI of a delete payload";
    IsakmpIdType "isakmp.id.type" Uint(8), "ID type: 1 IPv4 address, 2 FQDN, 3 user FQDN, 9 DN, 11 key ID";
    IsakmpIdData "isakmp.id.data" Kind::None, "Identification data is there";
    IsakmpIdIpv4 "isakmp.id.data.ipv4_addr" Ipv4, "Identification data of type 1";
    IsakmpIdFqdn "isakmp.id.data.fqdn" Text, "Identification data of type 2";
    IsakmpIdUserFqdn "isakmp.id.data.user_fqdn" Text, "Identification data of type 3";
    IsakmpIdIpv6 "isakmp.id.data.ipv6_addr" Ipv6, "Identification data of type 5";
    IsakmpIdKeyId "isakmp.id.data.key_id" Bytes, "Identification data of type 11";
    IsakmpVid "isakmp.vid_bytes" Bytes, "Vendor ID";
    IsakmpAuthMethod "isakmp.auth.method" Uint(8), "IKEv2 authentication method: 1 RSA signature, 2 shared key, 14 digital signature";
    IsakmpAuthData "isakmp.auth.data" Bytes, "IKEv2 authentication data";
    IsakmpCertEncoding "isakmp.cert.encoding" Uint(8), "Certificate encoding: 4 X.509 signature";
    IsakmpCertReqType "isakmp.certreq.type" Uint(8), "Certificate encoding that is asked for";
    IsakmpTsNumber "isakmp.ts.number" Uint(8), "IKEv2: number of traffic selectors";
    IsakmpTsType "isakmp.ts.type" Uint(8), "IKEv2 selector type: 7 IPv4 range, 8 IPv6 range";
    IsakmpTsProtocol "isakmp.ts.protoid" Uint(8), "IKEv2 selector: IP protocol";
    IsakmpTsStartPort "isakmp.ts.start_port" Uint(16), "IKEv2 selector: first port";
    IsakmpTsEndPort "isakmp.ts.end_port" Uint(16), "IKEv2 selector: last port";
    IsakmpTsStartIpv4 "isakmp.ts.start_ipv4" Ipv4, "IKEv2 selector: first address";
    IsakmpTsEndIpv4 "isakmp.ts.end_ipv4" Ipv4, "IKEv2 selector: last address";
    IsakmpTsStartIpv6 "isakmp.ts.start_ipv6" Ipv6, "IKEv2 selector: first address";
    IsakmpTsEndIpv6 "isakmp.ts.end_ipv6" Ipv6, "IKEv2 selector: last address";
    IsakmpFragNumber "isakmp.frag.number" Uint(16), "IKEv2 fragment number (RFC 7383)";
    IsakmpFragTotal "isakmp.frag.total" Uint(16), "IKEv2 fragments in total";
    IsakmpCfgType "isakmp.cfg.type" Uint(8), "Configuration payload: 1 request, 2 reply";
    IsakmpCfgAttr "isakmp.cfg.attr.type" Uint(16), "Configuration attribute";
    IsakmpNatHash "isakmp.ike.nat_hash" Bytes, "IKEv1 NAT-D hash";
    IsakmpEncData "isakmp.enc.data" Kind::None, "Something encrypted is there";
    IsakmpEncDecrypted "isakmp.enc.decrypted" Kind::None, "It was decrypted with a known key";
    Dns "dns" OpaqueProtocol, "DNS";
    DnsId "dns.id" Uint(16), "Transaction ID";
    DnsResponse "dns.flags.response" Bool, "Is an answer";
    DnsRcode "dns.flags.rcode" Uint(16), "Response code (answers only): 0 no error, 2 server failure, 3 no such name";
    DnsQryName "dns.qry.name" Text, "Name asked for";
    DnsQryType "dns.qry.type" Uint(16), "Type asked for: 1 A, 28 AAAA";
    DnsAnswers "dns.count.answers" Uint(16), "Number of answer records";
    DnsA "dns.a" Ipv4, "Address in an answer";
    DnsAaaa "dns.aaaa" Ipv6, "IPv6 address in an answer";
    Http "http" OpaqueProtocol, "HTTP";
    HttpRequest "http.request" Bool, "A request (never present in a response)";
    HttpMethod "http.request.method" Text, "Method";
    HttpUri "http.request.uri" Text, "Request target";
    HttpResponse "http.response" Bool, "A response (never present in a request)";
    HttpCode "http.response.code" Uint(16), "Status code";
    Data "data" Protocol, "Octets that no protocol claims";
    OwnTap "faultlab.tap" Text, "Tap that saw the frame: `node.interface`";
    OwnNode "faultlab.node" Text, "Node of that tap";
    OwnDirection "faultlab.direction" Text, "`in`: received by the tap's interface; `out`: sent by it";
    OwnMessage "faultlab.message" Text, "Identity of the message, 16 hex digits: equal at every tap and through every NAT";
    OwnRetransmission "faultlab.retransmission" Bool, "An IKE message whose octets this tap has seen before, in the same direction and from the same address";
    OwnCopy "faultlab.copy" Uint(32), "How often this tap has seen the message before, in the same direction and from the same address: 0, 1, 2 …";
    OwnTranslated "faultlab.translated" Bool, "The message was seen before at another tap with other addresses or ports";
    OwnLost "faultlab.lost" Bool, "The message went out here, or came in to be forwarded, and no tap further along saw it";
    OwnMalformed "faultlab.malformed" Kind::None, "A layer could not be read to its end";
    OwnInner "faultlab.inner" Kind::None, "An ESP payload was decrypted";
    OwnInnerSrc "faultlab.inner.src" Ipv4, "Source of the decrypted inner packet";
    OwnInnerDst "faultlab.inner.dst" Ipv4, "Destination of the decrypted inner packet";
    OwnInnerSrc6 "faultlab.inner.src6" Ipv6, "The same for IPv6";
    OwnInnerDst6 "faultlab.inner.dst6" Ipv6, "The same for IPv6";
    OwnInnerProto "faultlab.inner.proto" Uint(8), "Upper protocol of the decrypted inner packet", PROTOCOLS;
    OwnInnerPort "faultlab.inner.port" Uint(16), "Source and destination port of the decrypted inner packet";
    OwnInnerSrcPort "faultlab.inner.srcport" Uint(16), "Source port of the decrypted inner packet";
    OwnInnerDstPort "faultlab.inner.dstport" Uint(16), "Destination port of the decrypted inner packet";
    OwnInnerChecksum "faultlab.inner.checksum" Uint(8), "Checksum of a decrypted TCP segment, in transport mode over the addresses outside: 0 wrong, 1 right, 2 not checked";
}

impl Field {
    /// The table's row.
    pub fn info(self) -> &'static FieldInfo {
        &FIELDS[self as usize]
    }

    /// By name, exactly as Wireshark spells it.
    pub fn by_name(name: &str) -> Option<Field> {
        FIELDS.iter().find(|f| f.name == name).map(|f| f.field)
    }

    /// Hands each value to `sink` until it answers `true`; says whether it did.
    pub(super) fn visit(self, record: &Record, analysis: &Analysis, sink: &mut Sink<'_>) -> bool {
        use Field as F;
        let id = self as u16;
        if id < F::Eth as u16 {
            return net::frame(self, record, analysis, sink);
        }
        if id >= F::OwnTap as u16 {
            return own::visit(self, record, analysis, sink);
        }
        if (F::Isakmp as u16..F::Dns as u16).contains(&id) {
            return record.layers.iter().any(|l| match l {
                Layer::Ike(ike) if ike::is_ike(ike) => ike::visit(self, ike, sink),
                _ => false,
            });
        }
        net::layers(self, record, sink)
    }

    /// All values, for output.
    pub fn values(self, record: &Record, analysis: &Analysis, each: &mut dyn FnMut(Value<'_>)) {
        self.visit(record, analysis, &mut |v| {
            each(v);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_are_unique() {
        for (i, f) in FIELDS.iter().enumerate() {
            assert_eq!(f.field as usize, i, "{}", f.name);
            assert_eq!(Field::by_name(f.name), Some(f.field), "{}", f.name);
        }
    }

    #[test]
    fn the_documentation_lists_every_field() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/filters.md");
        let text = std::fs::read_to_string(path).unwrap();
        for f in FIELDS {
            let row = format!("| `{}` | {} | {} |", f.name, f.kind.describe(), f.doc);
            assert!(text.contains(&row), "docs/filters.md lacks this row:\n{row}");
        }
    }
}
