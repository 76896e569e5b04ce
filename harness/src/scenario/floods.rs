//! Forged requests: the fault `ike-flood`, where it meets the network.

use ipnet::IpNet;

use super::model::{Fault, Network};
use super::walk::Walker;

/// Can the requests come to the victim, whose peers use IPv6 or IPv4?
pub(super) fn check(walker: &mut Walker<'_>, network: &Network, v6: bool, faults: &[Fault]) {
    let (family, option) = if v6 { ("IPv6", "v6") } else { ("IPv4", "v4") };
    for fault in faults.iter().filter(|f| f.action == "ike-flood") {
        let from = fault.args.text("from").unwrap_or_default();
        let at = walker.line_span(fault.line);
        let gateways = format!("the gateways of this scenario use {family} with each other (`network.ip = \"{option}\"`)");
        if network.node(from).is_some_and(|n| n.address(v6).is_none()) {
            walker.mistake("wrong-family", at, format!("{from} has no {family} address to send from"), "", [gateways]);
        } else if let Some(sources) = fault.args.text("sources").filter(|s| s.parse::<IpNet>().is_ok_and(|net| net.addr().is_ipv6() != v6))
        {
            walker.mistake("wrong-family", at, format!("nothing from {sources} can come to an {family} address"), "", [gateways]);
        }
    }
}
