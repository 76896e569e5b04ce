//! ESP: RFC 4303, its SAD and SPD as RFC 4301 names them.
//!
//! ```text
//!  inner packet ─▶ SPD: which policy? ─▶ SAD: its outbound SA ─▶ fits the path? ─▶ seal ─▶ Send
//!                        none: drop          none: Acquire, drop     no: ICMP ─────────────▶ Deliver
//!  ESP packet ─▶ SAD: by SPI ─▶ replay? ─▶ open ─▶ padding, inner header, selectors, ECN ──▶ Deliver
//! ```

mod params;

use std::net::IpAddr;

pub use params::{Ends, InstallError, Limits, PathEvent, PolicyInfo, PolicyParams, SaInfo, SaParams, Usage};

use crate::gateway::{Outer, Verdict};
use crate::time::Time;

/// The largest anti-replay window, packets.
pub const MAX_REPLAY_WINDOW: u32 = 4096;

/// SAD, SPD and everything that happens to single packets.
#[derive(Debug, Default)]
pub struct DataPath {}

impl DataPath {
    /// An empty one. `inside` are the gateway's own inside addresses; the first of each family is the source of ICMP errors.
    pub fn new(inside: &[IpAddr]) -> DataPath {
        let _ = inside;
        DataPath {}
    }

    /// Makes or replaces a policy. Its SAs stay.
    pub fn set_policy(&mut self, id: u32, params: PolicyParams) {
        let _ = (id, params);
    }

    /// Removes a policy and its SAs.
    pub fn remove_policy(&mut self, id: u32) {
        let _ = id;
    }

    /// Installs one direction of a child SA. A new outbound SA is used from now on; see [`DataPath::use_outbound`].
    pub fn install(&mut self, now: Time, sa: SaParams, outbound: bool) -> Result<(), InstallError> {
        let _ = (now, sa, outbound);
        Ok(())
    }

    /// From now on (until the next outbound SA is installed) the policy uses this outbound SA: a responder to a re-key keeps the old
    /// one until the initiator has shown that it knows the new one. Returns whether there is such an SA.
    pub fn use_outbound(&mut self, policy: u32, spi: u32) -> bool {
        let _ = (policy, spi);
        false
    }

    /// Removes an SA. When it is the outbound SA in use, the newest that is left is used. Returns whether there was such an SA.
    pub fn remove_sa(&mut self, policy: u32, spi: u32, outbound: bool) -> bool {
        let _ = (policy, spi, outbound);
        false
    }

    /// All SAs of a policy, in both directions, have other ends from now on (RFC 4555 §3.5, RFC 7296 §2.23).
    pub fn repoint_policy(&mut self, policy: u32, ends: Ends) {
        let _ = (policy, ends);
    }

    /// One SA has other ends from now on. Returns whether there is such an SA.
    pub fn repoint_sa(&mut self, policy: u32, spi: u32, outbound: bool, ends: Ends) -> bool {
        let _ = (policy, spi, outbound, ends);
        false
    }

    /// Packets of more than `mtu` octets (outer IP header included) do not pass to `remote`, or so an ICMP error says. 0: a router
    /// that does not tell; the next lower plateau of RFC 1191 §7.1 is taken. Forgotten after ten minutes (RFC 1191 §6.3,
    /// RFC 4301 §8.2.2). Values below 576 (IPv6: 1280, RFC 8201 §4) are not believed. Returns whether it was.
    pub fn set_path_mtu(&mut self, now: Time, remote: IpAddr, mtu: u16) -> bool {
        let _ = (now, remote, mtu);
        false
    }

    /// MTU of the own outer link, octets; 1500 until told. No path's MTU is larger.
    pub fn set_link_mtu(&mut self, mtu: u16) {
        let _ = mtu;
    }

    /// What a policy's SAs have carried; `None`: no such policy.
    pub fn usage(&self, policy: u32) -> Option<Usage> {
        let _ = policy;
        None
    }

    /// The SAD: inbound SAs by SPI, then outbound ones by policy and SPI.
    pub fn sas(&self) -> Vec<SaInfo> {
        Vec::new()
    }

    /// The SPD, in the order in which it is searched.
    pub fn policies(&self) -> Vec<PolicyInfo> {
        Vec::new()
    }

    /// What IKE must know next; to be called until there is nothing.
    pub fn poll_event(&mut self) -> Option<PathEvent> {
        None
    }

    /// SPD, SAD and counters, for people. No keys.
    pub fn describe(&self) -> String {
        String::new()
    }

    /// Takes a packet from the inside through the SPD and the SAD (RFC 4301 §5.1). [`Verdict::Send`]: `out` is the ESP packet;
    /// [`Verdict::Deliver`]: `out` is an ICMP error for the inside. Nothing is allocated when `out` has room.
    pub fn outbound(&mut self, now: Time, packet: &[u8], out: &mut Vec<u8>) -> Verdict {
        let _ = (now, packet, out);
        Verdict::Nothing
    }

    /// Takes an ESP packet (from the SPI on) through the SAD (RFC 4301 §5.2). `outer` is as on the wire: `from` and the first port are the
    /// sender's; `df` is not looked at. The packet is decrypted in place; with [`Verdict::Deliver`] `out` is the inner packet.
    pub fn inbound(&mut self, now: Time, outer: Outer, packet: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        let _ = (now, outer, packet, out);
        Verdict::Nothing
    }
}
