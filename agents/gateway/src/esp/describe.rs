//! SPD, SAD and counters as text. No keys.

use std::fmt::Write;

use super::params::{Ends, SaInfo, Usage};
use super::{DataPath, Selector};
use crate::time::Time;

impl DataPath {
    /// SPD, SAD and counters, for people (RFC 4301 §4.4). No keys.
    pub fn describe(&self) -> String {
        let mut text = String::from("SPD (searched in this order; what no entry covers is discarded)\n");
        for policy in self.policies() {
            let p = &policy.params;
            let sa = match policy.outbound {
                Some(spi) => format!("outbound SA {spi:#010x}"),
                None if p.trap => "no SA, asks for one".to_owned(),
                None => "no SA".to_owned(),
            };
            let _ = writeln!(
                text,
                "  policy {} {}: PROTECT esp tunnel, local {} remote {}; {sa}",
                policy.id,
                p.name,
                list(&p.local_ts),
                list(&p.remote_ts)
            );
            let _ = writeln!(text, "    {}", usage(&policy.usage));
        }
        text.push_str("SAD\n");
        for sa in self.sas() {
            sa_lines(&mut text, &sa);
        }
        text.push_str("Path MTU\n");
        for (remote, mtu) in self.paths.learned() {
            let _ = writeln!(text, "  {remote}: {mtu}");
        }
        text.push_str("Counters\n");
        for (name, value) in self.counters.iter().filter(|(_, value)| *value > 0) {
            let _ = writeln!(text, "  {name} {value}");
        }
        text
    }
}

fn sa_lines(text: &mut String, sa: &SaInfo) {
    let direction = if sa.outbound { "out" } else { "in " };
    let state = match (sa.expired, sa.outbound, sa.current) {
        (true, _, _) => ", hard limit reached",
        (false, true, true) => ", in use",
        _ => "",
    };
    let esn = if sa.esn { ", extended sequence numbers" } else { "" };
    let _ = writeln!(
        text,
        "  {direction} SPI {:#010x} policy {}: {}, {:?} {:?}{esn}{state}",
        sa.spi,
        sa.policy,
        ends(&sa.ends, sa.outbound),
        sa.cipher,
        sa.integrity
    );
    let _ = writeln!(text, "    local {} remote {}", list(&sa.local_ts), list(&sa.remote_ts));
    let _ = write!(
        text,
        "    {} packets {} octets, sequence {}, installed {}, last {}",
        sa.packets,
        sa.octets,
        sa.sequence,
        moment(Some(sa.installed)),
        moment(sa.last)
    );
    let _ = match sa.max_inner {
        Some(most) => writeln!(text, ", inner packets up to {most}"),
        None => writeln!(text, ", window {}, {} replays, {} wrong ICVs", sa.replay_window, sa.replays, sa.icv_fails),
    };
}

fn ends(ends: &Ends, outbound: bool) -> String {
    let (from, to) = if outbound { (ends.local, ends.remote) } else { (ends.remote, ends.local) };
    match ends.ports {
        None => format!("{from} -> {to}"),
        Some((own, peers)) => {
            let (from_port, to_port) = if outbound { (own, peers) } else { (peers, own) };
            format!("{from} -> {to} in UDP {from_port} -> {to_port}")
        }
    }
}

fn usage(u: &Usage) -> String {
    format!(
        "in {} packets {} octets, last {}; out {} packets {} octets, last {}",
        u.packets_in,
        u.octets_in,
        moment(u.last_in),
        u.packets_out,
        u.octets_out,
        moment(u.last_out)
    )
}

fn moment(at: Option<Time>) -> String {
    at.map_or("never".to_owned(), |at| format!("{:.3} s", at.0.as_secs_f64()))
}

fn list(selectors: &[Selector]) -> String {
    selectors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
