//! What the running kernel and our privileges allow, each found out by trying.

use super::cell::CellHandle;

/// One feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Name.
    pub name: &'static str,
    /// Is it there?
    pub present: bool,
    /// Without it nothing runs.
    pub required: bool,
    /// What was seen, or what to do.
    pub detail: String,
}

/// Probes everything.
pub fn features() -> Vec<Feature> {
    let (cell, why) = match CellHandle::try_out() {
        Ok(()) => (true, "namespaces for cells can be made".to_owned()),
        Err(e) => (false, format!("{e}")),
    };
    let tun = strongswan::tun();
    vec![
        Feature { name: "cells", present: cell, required: true, detail: why },
        Feature {
            name: "/dev/net/tun",
            present: tun.is_ok(),
            // A kernel with ESP does without.
            required: false,
            detail: match tun {
                Ok(()) => "userspace ESP gateways can make their interface".to_owned(),
                Err(e) => format!("{e}; load the `tun` module or make the device accessible"),
            },
        },
    ]
}
