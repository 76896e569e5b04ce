//! Everything that one life of a gateway has open in its node.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use peer::{Child, Connection, GatewayConfig, Inside};

use super::kernel::Kernel;
use super::routes::{Ends, table};
use super::sockets::Sockets;
use super::tun::{NAME, Tun};

/// Ordinary MTU: what hosts behind the gateway send passes the TUN whole, so that too large is told by the gateway, not by the
/// kernel, which knows nothing of the tunnel.
const MTU: u32 = 1500;

/// Descriptors in the node.
pub(crate) struct Outlook {
    pub(crate) sockets: Sockets,
    pub(crate) tun: Tun,
    pub(crate) kernel: Kernel,
    /// The node's own addresses, those inside the traffic selectors first.
    pub(crate) own: Vec<IpAddr>,
    attached: Vec<IpNet>,
    peers: Vec<Ends>,
    /// What comes to the TUN.
    prefixes: Vec<IpNet>,
    /// Addresses that the peers have given.
    given: Vec<IpAddr>,
}

impl Outlook {
    /// Opens everything that a gateway with these settings needs.
    pub(crate) fn open(inside: &dyn Inside, config: &GatewayConfig) -> io::Result<Outlook> {
        let mut opened = None;
        inside.inside(&mut || {
            opened = Some(Outlook::open_here(config)?);
            Ok(())
        })?;
        opened.ok_or_else(|| io::Error::other("the node's inside did nothing"))
    }

    fn open_here(config: &GatewayConfig) -> io::Result<Outlook> {
        let outer = |v6: bool| config.connections.iter().any(|c| c.local.is_ipv6() == v6);
        let children: Vec<Child> = config.connections.iter().flat_map(Connection::children).collect();
        let inner = children.iter().flat_map(|c| c.local_ts.iter().chain(&c.remote_ts));
        let pools = config.connections.iter().filter_map(|c| c.options.pool.as_ref());
        let inner_v6 = inner.chain(pools).any(|net| net.addr().is_ipv6());
        let sockets = Sockets::open(outer(false), outer(true))?;
        let mtu = Kernel::largest_mtu()?.max(MTU);
        let tun =
            Tun::open(u16::try_from(mtu).unwrap_or(u16::MAX)).map_err(|e| io::Error::new(e.kind(), format!("the TUN device: {e}")))?;
        let kernel = Kernel::open(NAME, tun.index(), inner_v6)?;
        let ends = children.into_iter().map(|c| Ends { local: c.local_ts, remote: c.remote_ts });
        let (none, nets) = (Vec::new(), Vec::new());
        let mut outlook =
            Outlook { sockets, tun, kernel, own: none, attached: nets, peers: ends.collect(), prefixes: Vec::new(), given: Vec::new() };
        outlook.look_around()?;
        Ok(outlook)
    }

    /// Learns the node's addresses; returns whether they have changed.
    fn look_around(&mut self) -> io::Result<bool> {
        let own = self.kernel.addresses()?;
        let inside = |ip: &IpAddr| self.peers.iter().any(|p| p.local.iter().any(|l| l.contains(ip)));
        // Stable: within each half, the kernel's order.
        let mut addresses: Vec<IpAddr> = own.iter().map(|o| o.net.addr()).collect();
        addresses.sort_by_key(|ip| !inside(ip));
        let attached: Vec<IpNet> = own.iter().map(|o| o.net.trunc()).collect();
        let changed = (&addresses, &attached) != (&self.own, &self.attached);
        (self.own, self.attached) = (addresses, attached);
        Ok(changed)
    }

    /// From now on exactly the packets to these prefixes come to the TUN.
    pub(crate) fn set_routes(&mut self, prefixes: Vec<IpNet>) -> io::Result<()> {
        self.prefixes = prefixes;
        self.apply(false)
    }

    /// From now on the inside has these addresses as well.
    pub(crate) fn set_addresses(&mut self, addresses: Vec<IpAddr>) -> io::Result<()> {
        self.kernel.set_addresses(&addresses)?;
        self.given = addresses;
        self.apply(false)
    }

    /// Something has changed in the node. With an address, the kernel may have dropped routes, and others may be wanted.
    pub(crate) fn refresh(&mut self) -> io::Result<()> {
        if self.look_around()? { self.apply(true) } else { Ok(()) }
    }

    fn apply(&mut self, anew: bool) -> io::Result<()> {
        let mut peers = self.peers.clone();
        if !self.given.is_empty() {
            // An address that was given is inside by definition.
            let local: Vec<IpNet> = self.given.iter().copied().map(IpNet::from).collect();
            peers.iter_mut().for_each(|p| p.local.extend(&local));
        }
        let sources: Vec<IpAddr> = self.given.iter().chain(&self.own).copied().collect();
        let wanted = table(&self.prefixes, &peers, &self.attached, &sources);
        self.kernel.set_routes(wanted, anew)
    }
}
