//! Names that become parts of paths. Whatever comes from outside and names a file or a folder is one of these.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Characters that a name may have at most.
const MOST: usize = 100;
/// What a name may be, for messages.
pub const FORM: &str = "a to z, 0 to 9 and hyphens, at most 100, not beginning with a hyphen";

/// A name that leads nowhere else: `[a-z0-9][a-z0-9-]*`. Reading one from a file refuses all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathName(String);

/// A text that is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be a name: {FORM}", .0.escape_debug())]
pub struct BadName(String);

impl PathName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PathName {
    type Error = BadName;
    fn try_from(text: String) -> Result<PathName, BadName> {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        match text.as_bytes() {
            [first, rest @ ..] if fine(*first) && rest.len() < MOST && rest.iter().all(|b| fine(*b) || *b == b'-') => Ok(PathName(text)),
            _ => Err(BadName(text)),
        }
    }
}

impl std::str::FromStr for PathName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<PathName, BadName> {
        text.to_owned().try_into()
    }
}

impl From<PathName> for String {
    fn from(name: PathName) -> String {
        name.0
    }
}

impl std::ops::Deref for PathName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for PathName {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl fmt::Display for PathName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl PartialEq<str> for PathName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for PathName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_nowhere_else_is_a_name() {
        for good in ["a", "0", "ok-v2-psk", "a--b-", &"x".repeat(MOST)] {
            assert_eq!(good.parse::<PathName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "-a", "a/b", "/a", "a.b", "A", "a b", "a\n", "a\0", "\u{e4}", "a\u{202e}", &"x".repeat(MOST + 1)] {
            assert!(bad.parse::<PathName>().is_err(), "{bad:?}");
            assert!(serde_json::from_value::<PathName>(bad.into()).is_err(), "{bad:?}");
        }
    }
}
