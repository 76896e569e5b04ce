//! What the operator wants, and what he may ask.

use crate::gateway::{Command, Gateway};
use crate::ike::context::Profile;
use crate::ike::sa::{IkeSa, Task};
use crate::time::Time;

impl Gateway {
    /// What the operator wants. `Err`: it knows no such connection.
    pub fn command(&mut self, now: Time, command: Command) -> Result<(), String> {
        match command {
            Command::Initiate(name) => {
                let (connection, children) = match self.connection(&name) {
                    Ok(connection) => (connection, self.all_children(connection)),
                    Err(_) => self.child(&name).map(|(connection, child)| (connection, vec![child]))?,
                };
                self.initiate(now, connection, children, 1);
            }
            Command::RekeyChild(name) => {
                let (connection, child) = self.child(&name)?;
                let task = |sa: &IkeSa| sa.children.iter().find(|c| c.index == child).map(|c| Task::RekeyChild(c.spi_in));
                self.give_task(now, connection, task)?;
            }
            Command::RekeyIke(name) => self.give_task(now, self.connection(&name)?, |_| Some(Task::RekeyIke))?,
            Command::Close(name) => self.give_task(now, self.connection(&name)?, |_| Some(Task::DeleteIke))?,
            Command::Shutdown => {
                self.planned.clear();
                for own in self.sas.keys().copied().collect::<Vec<_>>() {
                    self.with_sa(now, own, |sa, ctx| {
                        // Whatever is outstanding does not matter any more.
                        sa.window.pending = None;
                        sa.tasks.clear();
                        sa.tasks.push_back(Task::DeleteIke);
                        sa.pump(ctx);
                    });
                }
            }
            Command::Moved { from, to } => {
                for c in self.config.connections.iter_mut().filter(|c| c.local == from) {
                    c.local = to;
                }
                for own in self.sas.iter().filter(|(_, sa)| sa.local.ip() == from).map(|(own, _)| *own).collect::<Vec<_>>() {
                    self.with_sa(now, own, |sa, ctx| {
                        if sa.announced.mobike {
                            sa.local.set_ip(to);
                            sa.tasks.push_back(Task::Addresses);
                            sa.pump(ctx);
                        }
                    });
                }
            }
            Command::PathMtu { to, mtu } => {
                self.path.set_path_mtu(now, to, mtu);
            }
            Command::LinkMtu(mtu) => self.path.set_link_mtu(mtu),
        }
        Ok(())
    }

    fn connection(&self, name: &str) -> Result<usize, String> {
        self.config.connections.iter().position(|c| c.name == name).ok_or_else(|| format!("no connection `{name}`"))
    }

    /// A connection and the index of its child, by the child's name.
    fn child(&self, name: &str) -> Result<(usize, usize), String> {
        let place = |(at, p): (usize, &Profile)| Some((at, p.children.iter().position(|c| c.settings.name == name)?));
        self.profiles.iter().enumerate().find_map(place).ok_or_else(|| format!("no child SA is called `{name}`"))
    }

    pub(crate) fn all_children(&self, connection: usize) -> Vec<usize> {
        (0..self.profiles[connection].children.len()).collect()
    }

    /// Are all child SAs of this connection up?
    pub fn is_up(&self, connection: &str) -> bool {
        let Ok(connection) = self.connection(connection) else { return false };
        let has = |child: &usize| self.sas.values().any(|sa| sa.connection == connection && sa.is_established() && sa.has_child(*child));
        self.all_children(connection).iter().all(has)
    }

    fn give_task(&mut self, now: Time, connection: usize, task: impl Fn(&IkeSa) -> Option<Task>) -> Result<(), String> {
        let found = self.sas.iter().find(|(_, sa)| sa.connection == connection && sa.is_established()).map(|(own, _)| *own);
        let own = found.ok_or_else(|| format!("`{}` has no IKE SA", self.config.connections[connection].name))?;
        self.with_sa(now, own, |sa, ctx| {
            sa.tasks.extend(task(sa));
            sa.pump(ctx);
        });
        Ok(())
    }
}
