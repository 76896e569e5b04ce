//! Counters of everything that does not pass, in the spirit of Linux's /proc/net/xfrm_stat.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what happened. Everything but `sent`, `fragmented`, `delivered` and `early` is the end of a packet.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Names and values, in the order of declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Outbound: ESP packets made.
    sent,
    /// Outbound: of these, packets that are larger than the path and must be fragmented on the outside.
    fragmented,
    /// Inbound: inner packets handed on.
    delivered,
    /// Inbound: packets that came before their SA, and wait for it.
    early,
    /// Outbound: no IP packet, or shorter than its header says.
    out_header,
    /// Outbound: no policy covers it (XfrmOutNoStates' neighbour XfrmOutPolBlock).
    out_no_policy,
    /// Outbound: its policy has no SA for it (XfrmOutNoStates).
    out_no_sa,
    /// Outbound: its policy's only SA has reached a hard limit (XfrmOutStateExpired).
    out_expired,
    /// Outbound: the SA's last sequence number is used (XfrmOutStateSeqError).
    out_sequence,
    /// Outbound: too big for the path, and an ICMP error says so.
    out_too_big,
    /// Outbound: too big, and no ICMP error may be sent.
    out_too_big_silent,
    /// Outbound: too big, and the limit of ICMP errors is reached.
    out_too_big_limited,
    /// Inbound: shorter than an ESP packet, or no whole number of blocks (XfrmInHdrError).
    in_header,
    /// Inbound: no SA has its SPI (XfrmInNoStates).
    in_no_sa,
    /// Inbound: the SA has reached a hard limit (XfrmInStateExpired).
    in_expired,
    /// Inbound: seen before, or too old to tell (XfrmInStateSeqError).
    in_replay,
    /// Inbound: the ICV is wrong (XfrmInStateProtoError).
    in_icv_fail,
    /// Inbound: the padding is not 1, 2, 3 … (RFC 4303 §2.4).
    in_bad_padding,
    /// Inbound: dummy packets, next header 59 (RFC 4303 §2.6). Not a fault.
    in_dummy,
    /// Inbound: the next header is neither IPv4 nor IPv6 (XfrmInStateModeError).
    in_next_header,
    /// Inbound: the inner packet is no sound IP packet.
    in_inner_header,
    /// Inbound: the inner packet is outside the SA's selectors (XfrmInTmplMismatch).
    in_selector_mismatch,
    /// Inbound: congestion experienced outside, no ECN inside (RFC 6040 §4.2).
    in_ecn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed() {
        let counters = Counters { sent: 1, in_ecn: 3, ..Counters::default() };
        assert_eq!(counters.iter().map(|(_, n)| n).sum::<u64>(), 4);
        assert_eq!(counters.iter().last(), Some(("in_ecn", 3)));
        assert_eq!(counters.iter().count(), 23);
    }
}
