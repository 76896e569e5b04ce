//! Which of the daemon's connections are children of one connection of the lab.

use std::sync::Arc;

use peer::{Connection, GatewayEventKind};

/// Connection and child, in the order in which they are set up.
#[derive(Debug, Clone)]
pub(crate) struct Families(Arc<[(String, String)]>);

impl Families {
    pub(crate) fn of(connections: &[Connection]) -> Families {
        let children = connections.iter().flat_map(|c| c.children().into_iter().map(|child| (c.name.clone(), child.name)));
        Families(children.collect())
    }

    /// What the daemon has in place of a connection.
    pub(crate) fn children(&self, connection: &str) -> Vec<String> {
        self.0.iter().filter(|(c, _)| c == connection).map(|(_, child)| child.clone()).collect()
    }

    /// The daemon tells of its own connections; the lab knows theirs.
    pub(crate) fn adopt(&self, what: &mut GatewayEventKind) {
        let (GatewayEventKind::IkeUp { connection }
        | GatewayEventKind::IkeDown { connection }
        | GatewayEventKind::ChildUp { connection, .. }
        | GatewayEventKind::ChildDown { connection, .. }) = what
        else {
            return;
        };
        if let Some((parent, _)) = self.0.iter().find(|(_, child)| child == connection) {
            connection.clone_from(parent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_told_of_as_its_connections() {
        let families = Families(Arc::new([("net".into(), "net".into()), ("net".into(), "net-dmz".into())]));
        assert_eq!(families.children("net"), ["net", "net-dmz"]);
        let mut told = GatewayEventKind::ChildDown { connection: "net-dmz".into(), child: "net-dmz".into() };
        families.adopt(&mut told);
        assert_eq!(told, GatewayEventKind::ChildDown { connection: "net".into(), child: "net-dmz".into() });
    }
}
