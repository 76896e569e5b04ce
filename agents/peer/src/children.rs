//! The child SAs of a connection: the first one, and those beside it under the same IKE SA.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Connection;

/// What one child SA has of its own. Everything else is the connection's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// Unique among all children of the gateway: `west-east-dmz`. The first child is called as its connection.
    pub name: String,
    /// Proposals for ESP.
    pub esp_proposals: Vec<String>,
    /// Proposals for AH: if there are any, AH is used instead of ESP.
    pub ah_proposals: Vec<String>,
    /// Own side's traffic selectors.
    pub local_ts: Vec<IpNet>,
    /// The peer side's traffic selectors.
    pub remote_ts: Vec<IpNet>,
    /// Lifetime before it is re-keyed; `None`: never.
    pub child_rekey: Option<Duration>,
    /// Hard lifetime; `None`: unlimited.
    pub child_life: Option<Duration>,
    /// Close it after this long without traffic.
    pub inactivity: Option<Duration>,
}

impl Connection {
    /// All children, in the order in which they are set up.
    pub fn children(&self) -> Vec<Child> {
        let first = Child {
            name: self.name.clone(),
            esp_proposals: self.esp_proposals.clone(),
            ah_proposals: self.ah_proposals.clone(),
            local_ts: self.local_ts.clone(),
            remote_ts: self.remote_ts.clone(),
            child_rekey: self.child_rekey,
            child_life: self.child_life,
            inactivity: self.inactivity,
        };
        std::iter::once(first).chain(self.more_children.iter().cloned()).collect()
    }

    /// The connection as it would be with this child alone, and called as it: for what has one child per connection.
    pub fn alone(&self, child: Child) -> Connection {
        Connection {
            name: child.name,
            esp_proposals: child.esp_proposals,
            ah_proposals: child.ah_proposals,
            local_ts: child.local_ts,
            remote_ts: child.remote_ts,
            child_rekey: child.child_rekey,
            child_life: child.child_life,
            inactivity: child.inactivity,
            more_children: Vec::new(),
            ..self.clone()
        }
    }
}
