//! Did the traffic of a period go through the tunnel? Health that bypasses the tunnel is not health.

use std::net::IpAddr;

use crate::dissect::Capture;
use crate::scenario::model::{Network, Plan, Role};
use crate::time::Timestamp;

/// Looks at all public interfaces from `since` on. `Ok`: how it was seen. `Err`: what was wrong.
pub fn inspect(capture: &Capture, plan: &Plan, since: Timestamp) -> Result<String, String> {
    let protected: Vec<_> = plan.network.nodes.iter().flat_map(|n| n.protects.iter().copied()).collect();
    let inside = |a: IpAddr| protected.iter().any(|p| p.contains(&a));
    let mut esp = 0usize;
    for tap in outside_taps(&plan.network) {
        let (mut out, mut back) = (0usize, 0usize);
        for r in capture.at(&tap).filter(|r| r.frame.time >= since) {
            let Some(ip) = r.ip() else { continue };
            if inside(ip.src) || inside(ip.dst) {
                return Err(format!("packet #{} crosses {tap} in clear: {} to {}", r.frame.number, ip.src, ip.dst));
            }
            if r.esp().is_some() || r.ah().is_some() {
                if capture_owner(plan, &tap) == plan.network.owner(ip.src) { out += 1 } else { back += 1 }
            }
        }
        if (out == 0) != (back == 0) {
            return Err(format!("{tap}: {out} ESP packets out, {back} back"));
        }
        esp += out + back;
    }
    if esp == 0 {
        Err("no ESP was seen at any gateway's public interface".to_owned())
    } else {
        Ok(format!("through the tunnel: {esp} ESP packets at the gateways' public interfaces, none of the inner packets in clear"))
    }
}

fn capture_owner<'a>(plan: &'a Plan, tap: &str) -> Option<&'a str> {
    let node = tap.split('.').next()?;
    plan.network.node(node).map(|n| n.name.as_str())
}

/// Public interfaces of all gateways.
pub fn outside_taps(network: &Network) -> Vec<String> {
    let gateways = network.nodes.iter().filter(|n| n.role == Role::Gateway);
    gateways.flat_map(|n| n.ifaces.iter().filter(|i| i.outside).map(move |i| format!("{}.{}", n.name, i.name))).collect()
}
