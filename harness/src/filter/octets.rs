//! Octets without quotes: the spellings that all versions of Wireshark read alike.

use super::fields::Kind;
use super::literal::integer;

/// Words that some version of Wireshark takes for the protocol or field of that name.
const PROTOCOLS: &[&str] = &["dc", "e100", "e164", "e212", "fc", "fc00", "fd", "fefd", "ff"];

/// Why a word is not taken for octets, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub message: String,
    pub help: String,
}

/// Reads `aa:bb`, `aa-bb`, `aa.bb`, `aabb`, and, where the field is no protocol, `0xaa`.
pub(super) fn parse(word: &str, kind: Kind) -> Result<Vec<u8>, Refused> {
    let refused = |message: String, help: String| Err(Refused { message, help });
    if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return match (u8::from_str_radix(digits, 16), kind) {
            (Ok(octet), Kind::Bytes) if digits.len() == 2 => Ok(vec![octet]),
            (Ok(octet), _) if digits.len() <= 2 => refused(format!("Wireshark's versions do not agree on {word:?}"), one(octet, kind)),
            _ => refused(format!("{word:?} is not an octet"), "write octets as aa:bb:cc, one octet as 0xaa".into()),
        };
    }
    let read = octets(word);
    if is_number(word) {
        let help = match read.as_deref() {
            // Such as 00 and 7: the same octet, whether it is read as octets or as a number.
            Some([octet]) if kind == Kind::Bytes && integer(word) == Some((*octet).into()) => return Ok(vec![*octet]),
            Some([octet]) => one(*octet, kind),
            Some(octets) => format!("write {}", colons(octets)),
            None => "write octets as aa:bb:cc".into(),
        };
        return refused(format!("{word:?} is octets in Wireshark 4.0, and a number from 4.4 on"), help);
    }
    match read {
        Some(octets) if PROTOCOLS.contains(&word) => {
            let help = if let [octet] = octets[..] { one(octet, kind) } else { format!("write {}", colons(&octets)) };
            refused(format!("Wireshark takes {word} for a protocol"), help)
        }
        Some(octets) if word.contains([':', '-', '.']) && word.len() != 3 * octets.len() - 1 => {
            refused(format!("Wireshark 4.0 wants two digits for each octet in {word:?}"), format!("write {}", colons(&octets)))
        }
        Some(octets) => Ok(octets),
        None => {
            let help = "write octets as aa:bb:cc, one octet as 0xaa, characters in double quotes".into();
            refused(format!("{word:?} is not a string of octets"), help)
        }
    }
}

/// Returns what to write for one octet.
fn one(octet: u8, kind: Kind) -> String {
    if kind == Kind::Bytes { format!("write 0x{octet:02x}") } else { format!("write \"\\x{octet:02x}\"") }
}

fn colons(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect::<Vec<_>>().join(":")
}

/// Numbers of Wireshark 4.4: decimal, `0b…`, `1.5`, `1e3`, `1e-3`.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let binary = word.strip_prefix("0b").or_else(|| word.strip_prefix("0B"));
    let float = word.split_once(['e', 'E']).is_some_and(|(mantissa, exponent)| {
        (digits(mantissa) || mantissa.split_once('.').is_some_and(|(whole, part)| digits(whole) && digits(part)))
            && digits(exponent.trim_start_matches(['+', '-']))
    });
    digits(word)
        || float
        || binary.is_some_and(|rest| rest.bytes().all(|b| matches!(b, b'0' | b'1')))
        || word.split_once('.').is_some_and(|(whole, part)| digits(whole) && digits(part))
}

fn octets(text: &str) -> Option<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_take_the_spellings_that_all_versions_share() {
        for text in ["aa:0b:01", "aa-0b-01", "aa.0b.01", "AA0b01"] {
            assert_eq!(parse(text, Kind::Protocol), Ok(vec![0xaa, 0x0b, 1]), "{text}");
        }
        assert_eq!(parse("0xff", Kind::Bytes), Ok(vec![0xff]));
        assert_eq!(parse("FF", Kind::Bytes), Ok(vec![0xff]));
        assert_eq!(parse("07", Kind::Bytes), Ok(vec![7]));
        assert!(parse("07", Kind::Protocol).is_err());
    }

    #[test]
    fn other_spellings_are_refused_with_what_to_write() {
        let help = |text: &str, kind| parse(text, kind).map_err(|r| r.help).expect_err(text);
        for (text, written) in [
            ("66", "write 0x66"),
            ("00000000", "write 00:00:00:00"),
            ("0b11", "write 0b:11"),
            ("1e10", "write 1e:10"),
            ("11.22", "write 11:22"),
            ("ff", "write 0xff"),
            ("e100", "write e1:00"),
            ("aa:b", "write aa:0b"),
            ("0xf", "write 0x0f"),
        ] {
            assert_eq!(help(text, Kind::Bytes), written, "{text}");
        }
        assert_eq!(help("0x41", Kind::Protocol), "write \"\\x41\"");
        for text in ["0x1122", "255", "aa:bb-cc", "aa::bb", "aa:", "0x", "1.", "1e3", "é"] {
            assert!(parse(text, Kind::Bytes).is_err(), "{text}");
        }
    }
}
