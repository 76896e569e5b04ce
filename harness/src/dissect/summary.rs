//! One line per packet, for people.

use std::fmt::Write;

use wire::ike::{Body, Encryption, Message, names};

use super::{Icmp, Ike, Ip, Layer, Record, Tcp};
use crate::text::hex;

/// One line that says what a packet is: addresses, then the topmost layers.
pub fn summary(record: &Record) -> String {
    let mut line = layers(record.own());
    if !record.quoted().is_empty() {
        let _ = write!(line, " [quoting {}]", layers(record.quoted()));
    }
    if !record.esp_inner.is_empty() {
        let _ = write!(line, " {{{}}}", layers(&record.esp_inner));
    }
    line
}

fn layers(layers: &[Layer]) -> String {
    let mut parts: Vec<String> = Vec::new();
    // With something readable on top, UDP is only told by its ports.
    let top = layers.iter().rposition(|l| !matches!(l, Layer::Data(_) | Layer::Malformed { .. }));
    for (index, layer) in layers.iter().enumerate() {
        let is_top = top == Some(index);
        parts.push(match layer {
            Layer::Ethernet(e) if is_top => format!("Ethernet type 0x{:04x}", e.ether_type),
            Layer::Ethernet(_) | Layer::UdpEncap(_) | Layer::Data(_) => continue,
            Layer::Arp(a) if a.operation == 1 => format!("ARP who has {} tell {}", a.target, a.sender),
            Layer::Arp(a) if a.operation == 2 => format!("ARP {} is here (for {})", a.sender, a.target),
            Layer::Arp(a) => format!("ARP operation {} {}→{}", a.operation, a.sender, a.target),
            Layer::Ip(i) => ip(i, is_top),
            Layer::Udp(u) if is_top => format!("UDP {}→{} len={}", u.src, u.dst, u.payload.len()),
            Layer::Udp(u) => format!("UDP {}→{}", u.src, u.dst),
            Layer::Tcp(t) => tcp(t),
            Layer::Icmp(i) => icmp(i),
            Layer::NatKeepalive => "NAT keepalive".to_owned(),
            Layer::Ike(i) => ike(i),
            Layer::Esp(e) => {
                let verdict = if e.icv_ok == Some(false) { " BAD ICV" } else { "" };
                let place = if e.udp { " in UDP" } else { "" };
                format!("ESP SPI=0x{:08x} seq={} len={}{place}{verdict}", e.spi, e.seq, e.len)
            }
            Layer::Ah(a) => format!("AH SPI=0x{:08x} seq={}", a.spi, a.seq),
            Layer::Dns(d) => {
                let asked: Vec<String> = d.questions.iter().map(|(name, kind)| format!("{} {name}", record_type(*kind))).collect();
                let answered: Vec<String> = d.addresses.iter().map(ToString::to_string).collect();
                let what = if d.response { format!("response rcode={}", d.rcode) } else { "query".to_owned() };
                format!("DNS {what} {} {}", asked.join(" "), answered.join(" ")).trim_end().to_owned()
            }
            Layer::Http(h) => match h.status {
                Some(status) => format!("HTTP {status}"),
                None => format!("HTTP {} {}", h.method, h.uri),
            },
            Layer::Malformed { layer, why } => format!("[{layer}: {why}]"),
        });
    }
    parts.join(" ")
}

fn ip(i: &Ip, is_top: bool) -> String {
    let mut text = format!("{}→{}", i.src, i.dst);
    if i.is_fragment() {
        let end = if i.more_fragments { "+" } else { "" };
        let _ = write!(text, " fragment id={} offset={}{end}", i.id, i.fragment_offset);
    }
    if i.reassembled {
        text.push_str(" (reassembled)");
    }
    if is_top {
        let _ = write!(text, " protocol {} len={}", i.protocol, i.total_len);
    }
    text
}

fn tcp(t: &Tcp) -> String {
    const FLAGS: [(u8, &str); 8] =
        [(2, "SYN"), (1, "FIN"), (4, "RST"), (8, "PSH"), (0x10, "ACK"), (0x20, "URG"), (0x40, "ECE"), (0x80, "CWR")];
    let flags: Vec<&str> = FLAGS.iter().filter(|(bit, _)| t.flags & bit != 0).map(|(_, name)| *name).collect();
    let mut text = format!("TCP {}→{} {} seq={}", t.src, t.dst, flags.join(","), t.seq);
    if t.flags & 0x10 != 0 {
        let _ = write!(text, " ack={}", t.ack);
    }
    let _ = write!(text, " win={} len={}", t.window, t.payload_len);
    if let Some(mss) = t.mss {
        let _ = write!(text, " mss={mss}");
    }
    text
}

fn icmp(i: &Icmp) -> String {
    let name = match (i.v6, i.kind, i.code) {
        (false, 0, _) | (true, 129, _) => "echo reply",
        (false, 8, _) | (true, 128, _) => "echo request",
        (false, 3, 0) => "network unreachable",
        (false, 3, 1) => "host unreachable",
        (false, 3, 2) => "protocol unreachable",
        (false, 3, 3) | (true, 1, 4) => "port unreachable",
        (false, 3, 4) => "fragmentation needed",
        (false, 3, 9 | 10 | 13) | (true, 1, 1) => "administratively prohibited",
        (false, 5, _) | (true, 137, _) => "redirect",
        (false, 11, 0) | (true, 3, 0) => "time exceeded in transit",
        (false, 11, 1) | (true, 3, 1) => "reassembly time exceeded",
        (false, 12, _) | (true, 4, _) => "parameter problem",
        (true, 1, 0) => "no route",
        (true, 1, 3) => "address unreachable",
        (true, 2, _) => "packet too big",
        (true, 133, _) => "router solicitation",
        (true, 134, _) => "router advertisement",
        (true, 135, _) => "neighbour solicitation",
        (true, 136, _) => "neighbour advertisement",
        _ => "",
    };
    let mut text = format!("ICMP{} {}/{} {name}", if i.v6 { "v6" } else { "" }, i.kind, i.code).trim_end().to_owned();
    if let Some(mtu) = i.mtu {
        let _ = write!(text, " mtu={mtu}");
    }
    if let Some((id, seq)) = i.echo {
        let _ = write!(text, " id={id} seq={seq}");
    }
    text
}

fn ike(i: &Ike) -> String {
    let m = &i.message;
    let exchange = names::exchange(m.major(), m.exchange).map_or_else(|| format!("exchange {}", m.exchange), str::to_owned);
    let direction = match (m.major(), m.is_response()) {
        (2, true) => " response",
        (2, false) => " request",
        (1, _) => "",
        _ => " (unknown version)",
    };
    let mut text = format!("{exchange}{direction} mid={} SPIi={:016x} SPIr={:016x}", MessageId(m), m.spi_i, m.spi_r);
    if m.payloads.is_empty() && m.encryption == Encryption::Opaque {
        text.push_str(" (encrypted)");
    }
    for p in &m.payloads {
        let _ = write!(text, " {}", payload(m, p.kind, &p.body));
    }
    if m.encryption == Encryption::Failed {
        text.push_str(if i.unverified.is_some() { " (integrity check failed:" } else { " (decryption failed" });
        for p in i.unverified.iter().flatten() {
            let _ = write!(text, " {}", payload(m, p.kind, &p.body));
        }
        text.push(')');
    }
    text
}

/// Small and sequential in IKEv2, random in IKEv1.
struct MessageId<'a>(&'a Message);

impl std::fmt::Display for MessageId<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.major() {
            1 if self.0.message_id != 0 => write!(f, "0x{:08x}", self.0.message_id),
            _ => write!(f, "{}", self.0.message_id),
        }
    }
}

fn payload(m: &Message, kind: u8, body: &Body) -> String {
    let name = names::payload(m.major(), kind);
    match body {
        Body::Notify { kind, data, .. } => {
            let notify = names::notify(m.major(), *kind).map_or_else(|| kind.to_string(), str::to_owned);
            // Which CREATE_CHILD_SA an IKE_FOLLOWUP_KE belongs to (RFC 9370 §2.2.4).
            match (m.major(), *kind) {
                (2, 16441) => format!("N({notify} {})", hex(data.get(..16).unwrap_or(data))),
                _ => format!("N({notify})"),
            }
        }
        Body::Delete { protocol, spis, .. } => {
            let spis: Vec<String> = spis.iter().map(|spi| hex(spi)).collect();
            format!("D({} {})", names::protocol(*protocol).unwrap_or("?"), spis.join(" ")).replace(" )", ")")
        }
        Body::Ke { group: Some(group), .. } => {
            format!("KE({})", names::group(*group).map_or_else(|| group.to_string(), str::to_owned))
        }
        Body::Nonce(_) if m.major() == 2 => if m.is_response() { "Nr" } else { "Ni" }.to_owned(),
        Body::Skf { number, total, .. } => format!("SKF({number}/{total})"),
        Body::Fragment { number, last, .. } => format!("FRAG({number}{})", if *last { ", last" } else { "" }),
        Body::Cut => format!("{} (cut short)", name.map_or_else(|| format!("payload {kind}"), str::to_owned)),
        _ => name.map_or_else(|| format!("payload {kind}"), str::to_owned),
    }
}

fn record_type(kind: u16) -> String {
    match kind {
        1 => "A".to_owned(),
        2 => "NS".to_owned(),
        5 => "CNAME".to_owned(),
        6 => "SOA".to_owned(),
        12 => "PTR".to_owned(),
        16 => "TXT".to_owned(),
        28 => "AAAA".to_owned(),
        other => format!("TYPE{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follow_up_shows_its_link_and_its_key_exchange() {
        let message = wire::ike::parse(&[[7; 16].as_slice(), &[0, 0x20, 44, 0x08, 0, 0, 0, 9, 0, 0, 0, 28]].concat());
        let ke = Body::Ke { group: Some(36), data: vec![0; 1184] };
        let link = Body::Notify { protocol: 0, spi: vec![], kind: 16441, data: vec![0xab; 40] };
        assert_eq!(payload(&message, 34, &ke), "KE(ML_KEM_768)");
        assert_eq!(payload(&message, 41, &link), format!("N(ADDITIONAL_KEY_EXCHANGE {})", "ab".repeat(16)));
        let line = ike(&Ike { message, raw: vec![], marker: false, beyond: false, unverified: None });
        assert!(line.starts_with("IKE_FOLLOWUP_KE request mid=9"), "{line}");
    }
}
