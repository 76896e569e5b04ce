//! nftables over netlink: tables, base chains, rules with counters, all of one table in one transaction.

use std::io;

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::netlink::{self, Attrs, Netlink, Request, attribute, attributes};

const SUBSYSTEM: u16 = 10 << 8;
const NEWTABLE: u16 = SUBSYSTEM;
const DELTABLE: u16 = SUBSYSTEM | 2;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const NEWRULE: u16 = SUBSYSTEM | 6;
const GETRULE: u16 = SUBSYSTEM | 7;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
/// nfgenmsg of the `inet` family: IPv4 and IPv6 in one table.
const INET: [u8; 4] = [1, 0, 0, 0];

/// Where a base chain is hooked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Received, before routing.
    Prerouting,
    /// For the node itself.
    Input,
    /// Passing through.
    Forward,
    /// Sent by the node itself.
    Output,
    /// About to leave.
    Postrouting,
}

impl Hook {
    /// nft's word for it, also the name of our chain.
    pub fn name(self) -> &'static str {
        match self {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        }
    }
}

/// Type of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// Filters; priority of the standard filter.
    Filter,
    /// Filters what comes in before connection tracking puts fragments together (priority -400).
    Fragments,
    /// Rewrites packets, before they are filtered.
    Mangle,
    /// Translates addresses of new connections.
    Nat,
}

/// How numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Equal.
    Eq = 0,
    /// Not equal.
    Ne = 1,
    /// Greater.
    Gt = 4,
}

/// An expression of a rule. The working register is always the same.
#[derive(Debug, Clone)]
pub struct Expr(Attrs);

const REGISTER: u32 = 8;
const SECOND: u32 = 9;

impl Expr {
    fn new(name: &str, data: Attrs) -> Expr {
        Expr(Attrs::default().text(1, name).nest(2, data))
    }

    /// Loads a property of the packet: `NFT_META_*`.
    pub fn meta(key: u32) -> Expr {
        Expr::new("meta", Attrs::default().number(2, key).number(1, REGISTER))
    }

    /// Loads octets of the packet; `transport`: counted from the transport header, else from the network header.
    pub fn payload(transport: bool, offset: u32, length: u32) -> Expr {
        let base = if transport { 2 } else { 1 };
        Expr::new("payload", Attrs::default().number(1, REGISTER).number(2, base).number(3, offset).number(4, length))
    }

    /// Masks the loaded octets.
    pub fn mask(mask: &[u8]) -> Expr {
        let value = |bytes: &[u8]| Attrs::default().put(1, bytes);
        let length = u32::try_from(mask.len()).unwrap_or(0);
        let data = Attrs::default().number(1, REGISTER).number(2, REGISTER).number(3, length);
        Expr::new("bitwise", data.nest(4, value(mask)).nest(5, value(&vec![0; mask.len()])))
    }

    /// Turns the loaded 32-bit number from the host's octet order to the network's.
    pub fn host_to_network() -> Expr {
        Expr::new("byteorder", Attrs::default().number(1, REGISTER).number(2, REGISTER).number(3, 1).number(4, 4).number(5, 4))
    }

    /// Goes on only when the loaded octets compare so.
    pub fn compare(how: Compare, value: &[u8]) -> Expr {
        Expr::new("cmp", Attrs::default().number(1, REGISTER).number(2, how as u32).nest(3, Attrs::default().put(1, value)))
    }

    /// Goes on only when the loaded octets lie within (or, negated, outside) a range.
    pub fn range(negated: bool, from: &[u8], to: &[u8]) -> Expr {
        let value = |bytes: &[u8]| Attrs::default().put(1, bytes);
        let data = Attrs::default().number(1, REGISTER).number(2, u32::from(negated));
        Expr::new("range", data.nest(3, value(from)).nest(4, value(to)))
    }

    /// Loads the MSS that a TCP handshake announces.
    pub fn load_mss() -> Expr {
        Expr::new("exthdr", Attrs::default().number(1, REGISTER).put(2, &[2]).number(3, 2).number(4, 2).number(6, 1))
    }

    /// Overwrites the announced MSS with the loaded value; the kernel only lowers it.
    pub fn store_mss() -> Expr {
        Expr::new("exthdr", Attrs::default().put(2, &[2]).number(3, 2).number(4, 2).number(6, 1).number(7, REGISTER))
    }

    /// Loads a constant.
    pub fn load(value: &[u8]) -> Expr {
        Expr::load_into(REGISTER, value)
    }

    fn load_into(register: u32, value: &[u8]) -> Expr {
        Expr::new("immediate", Attrs::default().number(1, register).nest(2, Attrs::default().put(1, value)))
    }

    /// Counts packets that get here.
    pub fn counter() -> Expr {
        Expr::new("counter", Attrs::default())
    }

    /// Loads how many packets got here before: 0 for the first.
    pub fn ordinal() -> Expr {
        Expr::new("numgen", Attrs::default().number(1, REGISTER).number(2, u32::MAX).number(3, 0))
    }

    /// Goes on in another chain of the table, and here unless that decides.
    pub fn jump(chain: &str) -> Expr {
        const JUMP: u32 = -3i32 as u32;
        let verdict = Attrs::default().number(1, JUMP).text(2, chain);
        Expr::new("immediate", Attrs::default().number(1, 0).nest(2, Attrs::default().nest(2, verdict)))
    }

    /// Discards the packet.
    pub fn drop() -> Expr {
        Expr::verdict(0)
    }

    /// Lets the packet pass this table.
    pub fn accept() -> Expr {
        Expr::verdict(1)
    }

    fn verdict(code: u32) -> Expr {
        Expr::new("immediate", Attrs::default().number(1, 0).nest(2, Attrs::default().nest(2, Attrs::default().number(1, code))))
    }

    /// Discards the packet and tells the sender by ICMP: 1 port, 2 host unreachable, 3 administratively prohibited.
    pub fn reject_icmp(code: u8) -> Expr {
        Expr::new("reject", Attrs::default().number(1, 2).put(2, &[code]))
    }

    /// Discards the TCP segment and resets the connection.
    pub fn reject_tcp() -> Expr {
        Expr::new("reject", Attrs::default().number(1, 1))
    }

    fn masquerade(ports: bool, random: bool) -> Expr {
        // NF_NAT_RANGE_PROTO_SPECIFIED (without it the kernel ignores the range), NF_NAT_RANGE_PROTO_RANDOM
        let flags = if ports { 2 } else { 0 } | if random { 4 } else { 0 };
        let data = Attrs::default().number(1, flags);
        Expr::new("masq", if ports { data.number(2, REGISTER).number(3, SECOND) } else { data })
    }

    /// Goes on only for an upper protocol.
    pub fn protocol(protocol: u8) -> [Expr; 2] {
        [Expr::meta(16), Expr::compare(Compare::Eq, &[protocol])]
    }

    fn out_interface(name: &str) -> [Expr; 2] {
        Expr::interface(7, name)
    }

    fn in_interface(name: &str) -> [Expr; 2] {
        Expr::interface(6, name)
    }

    fn interface(key: u32, name: &str) -> [Expr; 2] {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        [Expr::meta(key), Expr::compare(Compare::Eq, &bytes)]
    }
}

/// A table with chains and rules, not yet in the kernel.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    requests: Vec<Request>,
}

impl Table {
    /// An empty table.
    pub fn new(name: &str) -> Table {
        let mut table = Table { name: name.to_owned(), requests: Vec::new() };
        table.push(NEWTABLE, netlink::CREATE | netlink::EXCL, Attrs::default().text(1, name));
        table
    }

    /// Adds a base chain, named as its hook.
    pub fn chain(&mut self, kind: Chain, hook: Hook) {
        let (number, name) = (hook as u32, hook.name());
        let (word, priority) = match (kind, hook) {
            (Chain::Filter, _) => ("filter", 0),
            (Chain::Fragments, _) => ("filter", -450),
            (Chain::Mangle, _) => ("filter", -150),
            (Chain::Nat, Hook::Postrouting | Hook::Input) => ("nat", 100),
            (Chain::Nat, _) => ("nat", -100),
        };
        let at = Attrs::default().number(1, number).put(2, &i32::to_be_bytes(priority));
        let attrs = Attrs::default().text(1, &self.name).text(3, name).nest(4, at).number(5, 1).text(7, word);
        self.push(NEWCHAIN, netlink::CREATE, attrs);
    }

    /// Adds a chain that is only entered by [`Expr::jump`]; before those who jump there.
    pub fn plain_chain(&mut self, name: &str) {
        let attrs = Attrs::default().text(1, &self.name).text(3, name);
        self.push(NEWCHAIN, netlink::CREATE, attrs);
    }

    /// Adds a rule at the end of a hook's chain.
    pub fn rule(&mut self, hook: Hook, expressions: impl IntoIterator<Item = Expr>) {
        self.rule_in(hook.name(), expressions);
    }

    /// Adds a rule at the end of a chain.
    pub fn rule_in(&mut self, chain: &str, expressions: impl IntoIterator<Item = Expr>) {
        let list = expressions.into_iter().fold(Attrs::default(), |list, e| list.nest(1, e.0));
        let attrs = Attrs::default().text(1, &self.name).text(2, chain).nest(4, list);
        self.push(NEWRULE, netlink::CREATE | netlink::APPEND, attrs);
    }

    fn push(&mut self, kind: u16, flags: u16, attrs: Attrs) {
        self.requests.push(Request::new(kind, flags, [&INET[..], &attrs.0].concat()));
    }
}

/// Puts a table into the kernel of the calling thread's namespace, all or nothing.
pub fn apply(table: &Table) -> io::Result<()> {
    transact(&table.requests).map_err(|e| io::Error::new(e.kind(), format!("packet filter table `{}`: {e}", table.name)))
}

/// Removes a table with everything in it.
pub fn delete(table: &str) -> io::Result<()> {
    transact(&[Request::new(DELTABLE, 0, [&INET[..], &Attrs::default().text(1, table).0].concat())])
}

fn transact(requests: &[Request]) -> io::Result<()> {
    let frame = |kind| Request::quiet(kind, 0, vec![0, 0, 0, 10]);
    let all: Vec<Request> = std::iter::once(frame(BATCH_BEGIN)).chain(requests.iter().cloned()).chain([frame(BATCH_END)]).collect();
    Netlink::open(NETLINK_NETFILTER, 0)?.talk(&all).map(|_| ()).map_err(|(_, e)| e)
}

/// A rule's counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Chain, i.e. the hook's name.
    pub chain: String,
    /// Packets.
    pub packets: u64,
    /// Octets.
    pub bytes: u64,
}

/// Counters of all rules of a table, in order.
pub fn counters(table: &str) -> io::Result<Vec<Counter>> {
    let body = [&INET[..], &Attrs::default().text(1, table).0].concat();
    let answers = Netlink::open(NETLINK_NETFILTER, 0)?.ask(Request::quiet(GETRULE, netlink::DUMP, body))?;
    let rules = answers.iter().filter(|(kind, _)| *kind == NEWRULE).filter_map(|(_, body)| body.get(4..));
    // Kernels before 4.x ignore the table attribute of a dump: filter again.
    let own = rules.filter(|rule| attribute(rule, 1).and_then(|n| n.strip_suffix(&[0])) == Some(table.as_bytes()));
    Ok(own.flat_map(counters_of).collect())
}

fn counters_of(rule: &[u8]) -> Vec<Counter> {
    let chain = attribute(rule, 2).map(|n| String::from_utf8_lossy(n.strip_suffix(&[0]).unwrap_or(n)).into_owned()).unwrap_or_default();
    let number = |data: &[u8], kind| attribute(data, kind).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
    let expressions = attributes(attribute(rule, 4).unwrap_or_default());
    expressions
        .filter(|(_, e)| attribute(e, 1) == Some(b"counter\0"))
        .filter_map(|(_, e)| attribute(e, 2))
        .map(|data| Counter { chain: chain.clone(), packets: number(data, 2), bytes: number(data, 1) })
        .collect()
}

/// Translates the source of everything that leaves by an interface.
pub fn masquerade(table: &str, outside: &str, ports: Option<(u16, u16)>, random: bool) -> Table {
    let mut rules = Table::new(table);
    rules.chain(Chain::Nat, Hook::Postrouting);
    if let Some((from, to)) = ports {
        for protocol in [17, 6] {
            let select = Expr::out_interface(outside).into_iter().chain(Expr::protocol(protocol));
            let range = [Expr::load_into(REGISTER, &from.to_be_bytes()), Expr::load_into(SECOND, &to.to_be_bytes())];
            rules.rule(Hook::Postrouting, select.chain([Expr::counter()]).chain(range).chain([Expr::masquerade(true, random)]));
        }
    }
    let rest = Expr::out_interface(outside).into_iter().chain([Expr::counter(), Expr::masquerade(false, random)]);
    rules.rule(Hook::Postrouting, rest);
    rules
}

/// What comes from outside, belongs to no mapping and is meant for the router itself is dropped, as every home router does.
/// (It also keeps the kernel from remembering the unwanted flow, which would block its port for a new mapping.)
pub fn shield(table: &str, outside: &str) -> Table {
    let mut rules = Table::new(table);
    rules.chain(Chain::Filter, Hook::Input);
    for protocol in [17, 6] {
        let select = Expr::in_interface(outside).into_iter().chain(Expr::protocol(protocol));
        rules.rule(Hook::Input, select.chain([Expr::counter(), Expr::drop()]));
    }
    rules
}

/// Lowers the MSS that passing TCP handshakes announce.
pub fn clamp_mss(table: &str, mss: u16) -> Table {
    const SYN: u8 = 0x02;
    let mut rules = Table::new(table);
    rules.chain(Chain::Mangle, Hook::Forward);
    let syn = [Expr::payload(true, 13, 1), Expr::mask(&[SYN]), Expr::compare(Compare::Ne, &[0])];
    let larger = [Expr::load_mss(), Expr::compare(Compare::Gt, &mss.to_be_bytes()), Expr::counter()];
    let lower = [Expr::load(&mss.to_be_bytes()), Expr::store_mss()];
    rules.rule(Hook::Forward, Expr::protocol(6).into_iter().chain(syn).chain(larger).chain(lower));
    rules
}
