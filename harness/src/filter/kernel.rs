//! Filters that the kernel itself can apply: conjunctions of simple tests, for packet-filter rules.

mod leaf;
mod normal;

use ipnet::IpNet;

use super::{Filter, FilterError};

/// One rule: all tests must be true. A filter becomes a list of clauses, any of which may match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clause {
    /// The tests.
    pub tests: Vec<Test>,
}

/// A test with its sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// True: the packet must not be like this.
    pub negated: bool,
    /// What is compared.
    pub what: What,
}

/// What a kernel rule can compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// IP version 4 or 6.
    Version(u8),
    /// Upper protocol.
    Protocol(u8),
    /// Source address in a prefix.
    Source(IpNet),
    /// Destination address in a prefix.
    Destination(IpNet),
    /// Source port in a range, of UDP (17) or TCP (6).
    SourcePort(u8, u16, u16),
    /// Destination port in a range.
    DestinationPort(u8, u16, u16),
    /// Whole IP packet's length in a range.
    Length(u32, u32),
    /// ICMP type (`true`: ICMPv6).
    IcmpType(bool, u8),
    /// ICMP code.
    IcmpCode(bool, u8),
    /// Is a fragment (offset above 0 or more to come).
    Fragment,
    /// DF bit.
    DontFragment,
    /// UDP payload octets at an offset.
    UdpPayload(u16, Vec<u8>),
}

impl Clause {
    /// Does it want a fragment?
    pub fn wants_fragment(&self) -> bool {
        self.tests.iter().any(|t| t.what == What::Fragment && !t.negated)
    }

    /// Does it tell fragments from whole packets?
    pub fn looks_at_fragments(&self) -> bool {
        self.tests.iter().any(|t| t.what == What::Fragment)
    }
}

/// The filter in disjunctive normal form: a packet matches when all tests of any clause are true. A clause without tests
/// matches every packet; no clause at all, none. Fields that a kernel rule cannot test are refused. Unlike Wireshark, the
/// kernel does not look into packets quoted by ICMP errors.
pub fn clauses(filter: &Filter) -> Result<Vec<Clause>, FilterError> {
    let whole = 0..filter.text().len();
    let formula = leaf::formula(&filter.node).map_err(|mut e| {
        e.span = whole.clone();
        e
    })?;
    normal::disjunctive(&formula).ok_or_else(|| {
        FilterError::new(whole, format!("as packet-filter rules this filter takes more than {} of them", normal::MOST))
            .help("split the fault in two, or compare fewer values")
    })
}
