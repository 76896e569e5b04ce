//! A field's value in a record.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// One value, borrowed from the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Unsigned integer.
    Uint(u64),
    /// Boolean.
    Bool(bool),
    /// IPv4 address.
    Ipv4(u32),
    /// IPv6 address.
    Ipv6(u128),
    /// Octets; also Ethernet addresses and protocols.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// Nanoseconds.
    Nanos(i64),
    /// Present, without a value.
    Present,
}

/// Receives values; answers `true` to stop.
pub(super) type Sink<'s> = dyn FnMut(Value<'_>) -> bool + 's;

impl From<Ipv4Addr> for Value<'_> {
    fn from(a: Ipv4Addr) -> Self {
        Value::Ipv4(a.to_bits())
    }
}

impl From<Ipv6Addr> for Value<'_> {
    fn from(a: Ipv6Addr) -> Self {
        Value::Ipv6(a.to_bits())
    }
}

impl fmt::Display for Value<'_> {
    /// As `tshark -T fields` prints: decimal numbers, colon-separated octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Uint(n) => write!(f, "{n}"),
            Value::Bool(b) => write!(f, "{}", u8::from(b)),
            Value::Ipv4(a) => write!(f, "{}", Ipv4Addr::from_bits(a)),
            Value::Ipv6(a) => write!(f, "{}", Ipv6Addr::from_bits(a)),
            Value::Bytes(octets) => {
                for (i, o) in octets.iter().enumerate() {
                    write!(f, "{}{o:02x}", if i == 0 { "" } else { ":" })?;
                }
                Ok(())
            }
            Value::Text(t) => f.write_str(t),
            Value::Nanos(n) => {
                let sign = if n < 0 { "-" } else { "" };
                let n = n.unsigned_abs();
                write!(f, "{sign}{}.{:09}", n / 1_000_000_000, n % 1_000_000_000)
            }
            Value::Present => f.write_str("1"),
        }
    }
}
