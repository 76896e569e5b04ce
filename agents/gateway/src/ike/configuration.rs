//! Configuration payloads: an address and name servers for a road warrior (RFC 7296 §2.19, §3.15).

use std::net::IpAddr;

use peer::Connection;
use wire::ike::emit::Part;

use super::content::Content;
use super::context::Context;
use super::numbers::notify;
use super::parts;
use super::sa::IkeSa;

const CFG_REQUEST: u8 = 1;
const CFG_REPLY: u8 = 2;
const INTERNAL_IP4_ADDRESS: u16 = 1;
const INTERNAL_IP4_DNS: u16 = 3;
const INTERNAL_IP6_ADDRESS: u16 = 8;
const INTERNAL_IP6_DNS: u16 = 10;

/// What an initiator asks for.
pub(crate) fn request(c: &Connection) -> Option<Part> {
    let kinds = if c.local.is_ipv4() { [INTERNAL_IP4_ADDRESS, INTERNAL_IP4_DNS] } else { [INTERNAL_IP6_ADDRESS, INTERNAL_IP6_DNS] };
    c.options.virtual_ip.then(|| parts::configuration(CFG_REQUEST, kinds.map(|k| (k, Vec::new())).to_vec()))
}

/// The address that a reply gives.
pub(crate) fn assigned(content: Content<'_>) -> Option<IpAddr> {
    let (CFG_REPLY, attributes) = content.configuration()? else { return None };
    attributes.iter().find_map(|(kind, value)| match *kind {
        INTERNAL_IP4_ADDRESS => <[u8; 4]>::try_from(value.as_slice()).ok().map(IpAddr::from),
        // A prefix length follows the address.
        INTERNAL_IP6_ADDRESS => value.first_chunk::<16>().map(|a| IpAddr::from(*a)),
        _ => None,
    })
}

impl IkeSa {
    /// Responder: gives an address from the pool to a peer who asks. `Err`: the notify that refuses.
    pub(crate) fn assign_address(&mut self, ctx: &mut Context<'_>, content: Content<'_>) -> Result<Option<Part>, u16> {
        let Some((CFG_REQUEST, asked)) = content.configuration() else { return Ok(None) };
        let c = &ctx.config.connections[self.connection];
        let Some(pool) = c.options.pool else { return Ok(None) };
        let wanted = if pool.addr().is_ipv4() { INTERNAL_IP4_ADDRESS } else { INTERNAL_IP6_ADDRESS };
        if !asked.iter().any(|(kind, _)| *kind == wanted) {
            return Ok(None);
        }
        let who = self.peer_id.as_ref().map(|(kind, data)| parts::identity_text((*kind, data))).unwrap_or_default();
        let own = ctx.leases.iter().find(|(conn, _, by)| *conn == self.connection && *by == who).map(|(_, ip, _)| *ip);
        let free = || pool.hosts().find(|ip| !ctx.leases.iter().any(|(_, taken, _)| taken == ip));
        let Some(ip) = own.or_else(free) else { return Err(notify::INTERNAL_ADDRESS_FAILURE) };
        if own.is_none() {
            ctx.leases.push((self.connection, ip, who));
        }
        self.leased = Some(ip);
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(a) => a.octets().to_vec(),
            IpAddr::V6(a) => a.octets().to_vec(),
        };
        let mut value = octets(ip);
        if ip.is_ipv6() {
            value.push(128);
        }
        let mut attributes = vec![(wanted, value)];
        for dns in c.options.dns.iter().filter(|d| d.is_ipv4() == ip.is_ipv4()) {
            attributes.push((if ip.is_ipv4() { INTERNAL_IP4_DNS } else { INTERNAL_IP6_DNS }, octets(*dns)));
        }
        self.log(ctx, format!("the peer gets the address {ip}"));
        Ok(Some(parts::configuration(CFG_REPLY, attributes)))
    }
}
