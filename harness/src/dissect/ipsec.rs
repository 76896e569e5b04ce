//! IKE, ESP, AH and the encapsulation in UDP, with decryption where keys are known.

use std::mem;
use std::sync::Arc;

use peer::Ikev2Keys;
use wire::crypto::Integrity;
use wire::esp::Encapsulated;
use wire::ike::{Encryption, Message, Payload, v1};

use super::walk::{Inside, View, Walk};
use super::{Ah, Esp, Ike, Layer};

/// Octets by which the length of an IKE header may exceed the datagram in Wireshark.
const TOLERATED: usize = 4;

impl Walk<'_> {
    /// UDP/4500 (RFC 3948).
    pub(super) fn udp_encap(&mut self, view: View<'_>) {
        match wire::esp::encapsulated(view.bytes()) {
            Encapsulated::Keepalive => self.layers.push(Layer::NatKeepalive),
            Encapsulated::Short => self.malformed("udpencap", format!("{} octets are neither a keepalive nor IKE nor ESP", view.len())),
            Encapsulated::Ike(_) => {
                self.layers.push(Layer::UdpEncap(true));
                self.ike(view.skip(4), true);
            }
            Encapsulated::Esp(_) => {
                self.layers.push(Layer::UdpEncap(false));
                self.esp(view, true);
            }
        }
    }

    /// UDP/500. Keepalives belong to UDP/4500 (RFC 3948 §2.3); charon sends one here when its time has come before it has moved there.
    pub(super) fn ike_port(&mut self, view: View<'_>) {
        match view.bytes() {
            [0xff] => self.data(view),
            _ => self.ike(view, false),
        }
    }

    fn ike(&mut self, view: View<'_>, marker: bool) {
        let raw = view.bytes();
        let mut message = wire::ike::parse_captured(raw);
        let mut unverified = None;
        if self.inside == Inside::Frame && self.missing == 0 {
            let state = &mut *self.state;
            match message.major() {
                1 => {
                    let keys = state.keys.ikev1(message.spi_i, message.spi_r);
                    let secrets = keys.map(|k| v1::Secrets { cipher: k.encryption, hash: k.hash, key: &k.key });
                    state.chains.handle(&mut message, raw, secrets);
                }
                2 if message.encryption == Encryption::Opaque => unverified = self.open_ike(&mut message, raw),
                _ => {}
            }
        }
        let complaint = message.malformed.clone();
        let beyond = self.inside == Inside::Frame && message.length as usize > raw.len() + self.missing + TOLERATED;
        self.layers.push(Layer::Ike(Box::new(Ike { message, raw: raw.to_vec(), marker, beyond, unverified })));
        if let Some(why) = complaint {
            self.malformed("isakmp", why);
        }
    }

    /// Decrypts with the set of keys that the ICV proves right: an SA has further ones after each IKE_INTERMEDIATE (RFC 9370 §2.2.2).
    /// When the ICV fails with all of them, returns what is there with those that make most sense of it.
    fn open_ike(&mut self, message: &mut Message, raw: &[u8]) -> Option<Vec<Payload>> {
        let state = &mut *self.state;
        let keys = state.keys.ikev2(message.spi_i, message.spi_r);
        for k in keys {
            let (sk_e, sk_a) = of_sender(k, message);
            state.fragments.decrypt(self.tap.into(), message, raw, k.encryption, k.integrity, sk_e, sk_a);
            if message.encryption == Encryption::Decrypted {
                return None;
            }
        }
        let checked = |k: &&Ikev2Keys| k.encryption.is_aead() || k.integrity != Integrity::None;
        let tries = keys.iter().filter(checked).filter_map(|k| {
            let (sk_e, _) = of_sender(k, message);
            wire::ike::open_unverified(message, raw, k.encryption, k.integrity, sk_e)
        });
        tries.max_by_key(|opened| opened.read).map(|opened| opened.payloads)
    }

    pub(super) fn esp(&mut self, view: View<'_>, udp: bool) {
        let packet = view.bytes();
        let Some(header) = wire::esp::parse(packet) else {
            return self.malformed("esp", format!("{} octets, the header has {}", packet.len(), wire::esp::HEADER_LEN));
        };
        let mut tail = [0; 12];
        match packet.last_chunk() {
            Some(last) => tail = *last,
            None => tail[12 - packet.len()..].copy_from_slice(packet),
        }
        let mut opened = None;
        let mut icv_ok = None;
        if self.inside == Inside::Frame && self.missing == 0 {
            for k in self.state.keys.esp(header.spi) {
                let result = wire::esp::decrypt(packet, k.encryption, &k.key, k.integrity, &k.integrity_key);
                icv_ok = Some(result.is_ok());
                opened = result.ok();
                if opened.is_some() {
                    break;
                }
            }
        }
        let len = (packet.len() + self.missing) as u32;
        self.layers.push(Layer::Esp(Esp { spi: header.spi, seq: header.seq, udp, len, tail, icv_ok }));
        if let Some(opened) = opened {
            self.inner(opened);
        }
    }

    /// Walks through a decrypted packet, whose layers are kept apart.
    fn inner(&mut self, opened: wire::esp::Opened) {
        let data: Arc<[u8]> = opened.data.into();
        let outer = mem::replace(&mut self.layers, Vec::with_capacity(4));
        let addresses = self.addresses;
        self.inside = Inside::Esp;
        self.upper(opened.next_header, View::whole(&data));
        self.inside = Inside::Frame;
        self.missing = 0;
        self.addresses = addresses;
        self.esp_inner = mem::replace(&mut self.layers, outer);
    }

    /// Pushes the header; next protocol and header length.
    pub(super) fn ah(&mut self, view: View<'_>) -> Option<(u8, usize)> {
        let Some(header) = wire::ah::parse(view.bytes()) else {
            self.malformed("ah", "the header is cut short, or its length field is below the minimum");
            return None;
        };
        self.layers.push(Layer::Ah(Ah { spi: header.spi, seq: header.seq, icv: header.icv }));
        Some((header.next_header, header.len))
    }
}

/// SK_e and SK_a of whoever has sent this message (RFC 7296 §2.14).
fn of_sender<'k>(k: &'k Ikev2Keys, message: &Message) -> (&'k [u8], &'k [u8]) {
    if message.from_initiator() { (&k.sk_ei, &k.sk_ai) } else { (&k.sk_er, &k.sk_ar) }
}
