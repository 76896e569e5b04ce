//! Literals: text in a filter to a constant of the field's type.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::FilterError;
use super::fields::{Field, FieldInfo, Kind};
use super::lex::{Kind as T, Token};

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

/// A constant for comparing with values of `kind`; `field` gives names of values and bounds.
pub(super) fn parse(kind: Kind, field: &FieldInfo, token: &Token) -> Result<Const, FilterError> {
    let wrong = |message: String| FilterError::new(token.span.clone(), message);
    let name = match &token.kind {
        T::Word(w) => Some(w.clone()),
        T::Text(t) => std::str::from_utf8(t).ok().map(str::to_owned),
        _ => None,
    };
    if let (Kind::Uint(_), Some(name)) = (kind, &name)
        && let Some((_, n)) = field.values.iter().find(|(text, _)| text == name)
    {
        return Ok(Const::Uint(*n));
    }
    match (kind, &token.kind) {
        (Kind::Uint(bits), T::Char(c)) if bits > 0 => Ok(Const::Uint((*c).into())),
        (Kind::Uint(bits), T::Word(w)) => {
            let n = integer(w).ok_or_else(|| names(wrong(format!("{w:?} is not a number")), field))?;
            let most = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
            if n > most {
                return Err(wrong(format!("{w} is too big for {}, which goes up to {most}", field.name)));
            }
            Ok(Const::Uint(n))
        }
        (Kind::Bool, T::Word(w)) => match w.as_str() {
            "true" | "True" | "TRUE" => Ok(Const::Bool(true)),
            "false" | "False" | "FALSE" => Ok(Const::Bool(false)),
            _ => integer(w).map(|n| Const::Bool(n != 0)).ok_or_else(|| wrong(format!("{w:?} is neither True nor False nor a number"))),
        },
        (Kind::Ipv4, T::Word(w)) => ipv4(w).ok_or_else(|| wrong(format!("{w:?} is not an IPv4 address or prefix"))),
        (Kind::Ipv6, T::Word(w)) => ipv6(w).ok_or_else(|| wrong(format!("{w:?} is not an IPv6 address or prefix"))),
        (Kind::Ether, T::Word(w)) => match octets(w) {
            Some(octets) if octets.len() == 6 => Ok(Const::Bytes(octets)),
            _ => Err(wrong(format!("{w:?} is not an Ethernet address: six octets such as 02:00:00:00:00:01"))),
        },
        (Kind::Bytes | Kind::Protocol, T::Word(w)) => octets(w).map(Const::Bytes).ok_or_else(|| {
            wrong(format!("{w:?} is not a string of octets"))
                .help("write octets as aa:bb:cc, one octet as 0xaa, characters in double quotes")
        }),
        (Kind::Bytes | Kind::Protocol, T::Text(t)) => Ok(Const::Bytes(t.clone())),
        (Kind::Bytes | Kind::Protocol, T::Char(c)) => Ok(Const::Bytes(vec![*c])),
        (Kind::Text, T::Text(t)) => Ok(Const::Text(String::from_utf8_lossy(t).into_owned())),
        (Kind::Text, T::Word(w)) => Err(wrong(format!("{} is a string", field.name)).help(format!("write it in quotes: \"{w}\""))),
        (Kind::Seconds, T::Word(w)) => {
            seconds(w).map(Const::Nanos).ok_or_else(|| wrong(format!("{w:?} is not a number of seconds")).help("for example 1.5"))
        }
        (_, T::Text(_)) => {
            Err(names(wrong(format!("{} is of type {}: a quoted string cannot be compared with it", field.name, kind.describe())), field))
        }
        _ => Err(wrong(format!("this cannot be compared with {}, which is of type {}", field.name, kind.describe()))),
    }
}

fn names(error: FilterError, field: &FieldInfo) -> FilterError {
    if !field.values.is_empty() {
        let list: Vec<String> = field.values.iter().map(|(n, v)| format!("\"{n}\" ({v})")).collect();
        return error.help(format!("names of {}: {}", field.name, list.join(", ")));
    }
    match field.field {
        Field::IsakmpNotifyType => error.help("Wireshark knows no names here: write the number, such as 24"),
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

/// `aa:bb`, `aa-bb`, `aa.bb`, `aabb`, or `0xaa`.
pub(super) fn octets(text: &str) -> Option<Vec<u8>> {
    if let Some(one) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u8::from_str_radix(one, 16).ok().filter(|_| one.len() <= 2).map(|o| vec![o]);
    }
    let octet = |digits: &str| {
        let right = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if right { u8::from_str_radix(digits, 16).ok() } else { None }
    };
    match text.find([':', '-', '.']) {
        Some(at) => text.split(char::from(text.as_bytes()[at])).map(octet).collect(),
        None if text.len() == 1 => octet(text).map(|o| vec![o]),
        None if text.is_ascii() && text.len().is_multiple_of(2) => (0..text.len()).step_by(2).map(|i| octet(&text[i..i + 2])).collect(),
        None => None,
    }
}

fn seconds(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(format!("{fraction:0<9}").parse().ok()?)?;
    Some(if negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_take_the_spellings_of_wireshark() {
        for text in ["aa:0b:1", "aa-0b-1", "aa.0b.01", "AA0b01"] {
            assert_eq!(octets(text), Some(vec![0xaa, 0x0b, 1]), "{text}");
        }
        assert_eq!(octets("0xff"), Some(vec![0xff]));
        assert_eq!(octets("0x1122"), None);
        assert_eq!(octets("255"), None);
        assert_eq!(octets("aa:bb-cc"), None);
        assert_eq!(octets("aa::bb"), None);
    }

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
        assert_eq!(seconds("99999999999999999999"), None);
    }
}
