//! Literals: text in a filter to a constant of the field's type.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::FilterError;
use super::fields::{Field, FieldInfo, Kind, Spelling};
use super::lex::{Kind as T, Token};
use super::octets::{self, Refused};

/// A constant to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Const {
    /// Integer.
    Uint(u64),
    /// Boolean.
    Bool(bool),
    /// IPv4 address and the mask of its prefix.
    Ipv4(u32, u32),
    /// IPv6 address and the mask of its prefix.
    Ipv6(u128, u128),
    /// Octets.
    Bytes(Vec<u8>),
    /// Text.
    Text(String),
    /// Nanoseconds.
    Nanos(i64),
}

/// Which names of a field's values are numbers here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// All: they are compared for equality.
    All,
    /// Those that have an order.
    Ordered,
    /// None: what is compared is computed from the field.
    None,
}

/// Reads a constant for comparing with values of `kind`; `field` gives names of values and bounds.
pub(super) fn parse(kind: Kind, field: &FieldInfo, token: &Token, accepted: Names) -> Result<Const, FilterError> {
    let wrong = |message: String| FilterError::new(token.span.clone(), message);
    if matches!(kind, Kind::Uint(_))
        && let Some(n) = named(field, token, accepted)?
    {
        return Ok(Const::Uint(n));
    }
    match (kind, &token.kind) {
        (Kind::Uint(bits), T::Char(c)) if bits > 0 => Ok(Const::Uint((*c).into())),
        (Kind::Uint(bits), T::Word(w)) => {
            let n = integer(w).ok_or_else(|| names(wrong(format!("{w:?} is not a number")), field))?;
            if n > most(bits) {
                return Err(wrong(format!("{w} is too big for {}, which goes up to {}", field.name, most(bits))));
            }
            Ok(Const::Uint(n))
        }
        (Kind::Bool, T::Word(w)) => match w.as_str() {
            "True" | "TRUE" => Ok(Const::Bool(true)),
            "False" | "FALSE" => Ok(Const::Bool(false)),
            "true" => Err(wrong("Wireshark 4.0 knows no \"true\" in lower case".into()).help("write True")),
            "false" => Err(wrong("Wireshark 4.0 knows no \"false\" in lower case".into()).help("write False")),
            _ => integer(w).map(|n| Const::Bool(n != 0)).ok_or_else(|| wrong(format!("{w:?} is neither True nor False nor a number"))),
        },
        (Kind::Ipv4, T::Word(w)) => ipv4(w).ok_or_else(|| wrong(format!("{w:?} is not an IPv4 address or prefix"))),
        (Kind::Ipv6, T::Word(w)) => ipv6(w).ok_or_else(|| wrong(format!("{w:?} is not an IPv6 address or prefix"))),
        (Kind::Ether | Kind::Bytes | Kind::Protocol, T::Word(w)) => match octets::parse(w, kind) {
            Ok(octets) if kind == Kind::Ether && octets.len() != 6 => {
                Err(wrong(format!("{w:?} is not an Ethernet address: six octets such as 02:00:00:00:00:01")))
            }
            Ok(octets) => Ok(Const::Bytes(octets)),
            Err(Refused { message, help }) => Err(wrong(message).help(help)),
        },
        (Kind::Bytes | Kind::Protocol, T::Text(t)) => Ok(Const::Bytes(t.clone())),
        (Kind::Bytes | Kind::Protocol, T::Char(c)) => Ok(Const::Bytes(vec![*c])),
        (Kind::Text, T::Text(t)) => Ok(Const::Text(String::from_utf8_lossy(t).into_owned())),
        (Kind::Text, T::Word(w)) => Err(wrong(format!("{} is a string", field.name)).help(format!("write it in quotes: \"{w}\""))),
        (Kind::Seconds, T::Word(w)) => match seconds(w) {
            Some(nanos) if nanos.unsigned_abs() < (MOST_SECONDS + 1) * 1_000_000_000 => Ok(Const::Nanos(nanos)),
            Some(_) => Err(wrong(format!("Wireshark takes {w} for a negative number of seconds up to 4.4"))
                .help(format!("write at most {MOST_SECONDS}"))),
            None => Err(wrong(format!("{w:?} is not a number of seconds")).help("for example 1.5")),
        },
        (_, T::Text(_)) => {
            Err(names(wrong(format!("{} is of type {}: a quoted string cannot be compared with it", field.name, kind.describe())), field))
        }
        _ => Err(wrong(format!("this cannot be compared with {}, which is of type {}", field.name, kind.describe()))),
    }
}

/// Above, Wireshark 4.0 and 4.4 take the second for a negative one.
const MOST_SECONDS: u64 = i32::MAX as u64;

/// Returns the largest number of so many bits.
pub(super) fn most(bits: u8) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// The number that the name of a value stands for; `None` when it is no name.
fn named(field: &FieldInfo, token: &Token, accepted: Names) -> Result<Option<u64>, FilterError> {
    let (text, quoted) = match &token.kind {
        T::Word(w) => (w.as_str(), false),
        T::Text(t) => (std::str::from_utf8(t).unwrap_or_default(), true),
        _ => return Ok(None),
    };
    let Some((name, n, spelling)) = field.values.iter().find(|(name, ..)| *name == text) else { return Ok(None) };
    let error = |message: String| FilterError::new(token.span.clone(), message);
    match spelling {
        _ if accepted == Names::None => {
            Err(error(format!("a name stands for a number of {} itself only", field.name)).help(format!("write {n}")))
        }
        Spelling::Any => Ok(Some(*n)),
        _ if accepted == Names::Ordered => {
            let message = format!("Wireshark 4.6 puts names of {} into no order", field.name);
            Err(error(message).help(format!("write the number, {n}")))
        }
        Spelling::Quoted if !quoted => Err(error(format!("Wireshark 4.0 and 4.4 take {name} without quotes for another name, or none"))
            .help(format!("write \"{name}\" or {n}"))),
        Spelling::Bare if quoted => Err(error(format!("Wireshark 4.0 and 4.4 take \"{name}\" in quotes for another name, or none"))
            .help(format!("write {name} or {n}"))),
        Spelling::Quoted | Spelling::Bare => Ok(Some(*n)),
    }
}

fn names(error: FilterError, field: &FieldInfo) -> FilterError {
    if !field.values.is_empty() {
        let quoted = |name: &str, spelling| if spelling == Spelling::Bare { name.to_owned() } else { format!("\"{name}\"") };
        let list: Vec<String> = field.values.iter().map(|(name, n, spelling)| format!("{} ({n})", quoted(name, *spelling))).collect();
        return error.help(format!("names of {}: {}", field.name, list.join(", ")));
    }
    match field.field {
        Field::IsakmpNotifyType => error.help("Wireshark 4.0 knows no names here: write the number, such as 24"),
        _ => error,
    }
}

/// Decimal, 0x hexadecimal, 0b binary, or octal with a leading 0.
pub(super) fn integer(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    // from_str_radix would take a sign.
    if digits.starts_with(['+', '-']) { None } else { u64::from_str_radix(digits, radix).ok() }
}

fn ipv4(text: &str) -> Option<Const> {
    let (address, prefix) = split_prefix(text, 32)?;
    let address: Ipv4Addr = address.parse().ok()?;
    Some(Const::Ipv4(address.to_bits(), u32::MAX.checked_shl(32 - prefix).unwrap_or(0)))
}

fn ipv6(text: &str) -> Option<Const> {
    let (address, prefix) = split_prefix(text, 128)?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some(Const::Ipv6(address.to_bits(), u128::MAX.checked_shl(128 - prefix).unwrap_or(0)))
}

fn split_prefix(text: &str, most: u32) -> Option<(&str, u32)> {
    match text.split_once('/') {
        None => Some((text, most)),
        Some((address, prefix)) => prefix.parse().ok().filter(|p| *p <= most).map(|p| (address, p)),
    }
}

fn seconds(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    // Wireshark 4.4 reads 011 as octal.
    let octal = whole.len() > 1 && whole.starts_with('0');
    if octal || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(format!("{fraction:0<9}").parse().ok()?)?;
    Some(if negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_times() {
        assert_eq!(integer("0764"), Some(500));
        assert_eq!(integer("0x1F4"), Some(500));
        assert_eq!(integer("0b11"), Some(3));
        assert_eq!(integer("0"), Some(0));
        assert_eq!(integer("0800"), None);
        assert_eq!(integer("-1"), None);
        assert_eq!(seconds("1.5"), Some(1_500_000_000));
        assert_eq!(seconds("-0.25"), Some(-250_000_000));
        assert_eq!(seconds("1e3"), None);
        assert_eq!(seconds("011"), None);
        assert_eq!(seconds("99999999999999999999"), None);
    }
}
