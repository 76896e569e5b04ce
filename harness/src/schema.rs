//! The vocabulary tables: what a fault, a traffic action, a symptom or a section of a scenario accepts.
//!
//! One table per word drives everything: checking a scenario file (`scenario::check`), the reference documentation,
//! `faultlab explain`, and the typed [`Args`] that the code behind the word receives.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a value may be. The checker validates; the code behind the word may rely on it.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// Any text that is not to be shown.
    Secret,
    /// `true` or `false`.
    Bool,
    /// Whole number within bounds, both included.
    Int(i64, i64),
    /// Number with a fraction.
    Float,
    /// `"1.5s"`, `"300ms"`, `"2m"` (humantime).
    Duration,
    /// The same, in whole seconds: what gateways and the kernel count in seconds.
    Seconds,
    /// In whole seconds, up to a century: how long a certificate holds.
    Lifespan,
    /// Whole seconds with a sign: `"-2d"`, `"+90m"`, `"0s"`.
    Offset,
    /// How many: `"0"`, `"3"`, `">= 1"`, `"<= 4"`, `"2..5"` (both included).
    Count,
    /// Wireshark display filter (our documented subset).
    Filter,
    /// Capture point: `node.interface`.
    Tap,
    /// A node of the network.
    Node,
    /// A gateway of the scenario.
    Gateway,
    /// A node's name, or an IP address.
    Host,
    /// IP address.
    Addr,
    /// IP prefix: `10.1.0.0/16`.
    Prefix,
    /// Port number.
    Port,
    /// `"1024-2000"`.
    Ports,
    /// Name of a traffic step.
    Step,
    /// Name of a fault.
    Fault,
    /// A name out of a table of the RFCs, or its number.
    Number(&'static Numbers),
    /// Octets in hexadecimal: `"00ff"`.
    Hex,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these.
    List(&'static Kind),
    /// A table with these keys.
    Table(&'static [Param]),
    /// A table with exactly one key, out of these words.
    Tagged(&'static [Word]),
}

/// Numbers that have names, e.g. notify message types.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// What one of them is, with its article: `a notify message type`.
    pub what: &'static str,
    /// The greatest.
    pub most: u16,
    /// A number's name.
    pub name: fn(u16) -> Option<&'static str>,
}

impl Numbers {
    /// All names, in the order of their numbers.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        (0..=self.most).filter_map(self.name)
    }

    /// The number that a checked value of this kind means.
    pub fn number(&self, value: &Value) -> Option<u16> {
        match value {
            Value::Text(name) => (0..=self.most).find(|n| (self.name)(*n) == Some(name)),
            Value::Int(n) => u16::try_from(*n).ok().filter(|n| *n <= self.most),
            _ => None,
        }
    }
}

/// One key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Key, kebab-case.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// Must be given.
    pub required: bool,
    /// Value (as TOML text, e.g. `"\"1s\""` or `"3"`) when absent; it is filled in by the checker. Empty: stays absent.
    pub default: &'static str,
    /// One sentence.
    pub doc: &'static str,
}

impl Param {
    /// A key that must be given.
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Param {
        Param { name, kind, required: true, default: "", doc }
    }

    /// A key that may be absent.
    pub const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Param {
        Param { name, kind, required: false, default: "", doc }
    }

    /// A key with a default, written as TOML.
    pub const fn default(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Param {
        Param { name, kind, required: false, default, doc }
    }
}

/// One word of a vocabulary (a fault's action, a traffic action …) with what it accepts.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// The word, kebab-case.
    pub name: &'static str,
    /// One or two sentences.
    pub doc: &'static str,
    /// Accepted keys.
    pub params: &'static [Param],
}

/// A checked value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Text, and everything that is written as text and has no variant of its own (filters, names, addresses).
    Text(String),
    /// Text that is not shown.
    #[serde(with = "peer::secret_in_settings")]
    Secret(peer::Secret),
    /// Boolean.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Number with a fraction.
    Float(f64),
    /// Duration.
    Duration(Duration),
    /// Seconds with a sign.
    Offset(i64),
    /// Count expression.
    Count(Count),
    /// List.
    List(Vec<Value>),
    /// Table.
    Table(Args),
}

/// A checked count expression: both bounds included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Least.
    pub min: u64,
    /// Most; `None`: no limit.
    pub max: Option<u64>,
}

impl Count {
    /// Parses `"0"`, `">= 1"`, `"<= 4"`, `"2..5"`, `"> 1"`, `"< 3"`, `"== 2"`.
    pub fn parse(text: &str) -> Option<Count> {
        let text = text.trim();
        let number = |s: &str| s.trim().parse::<u64>().ok();
        if let Some(rest) = text.strip_prefix(">=") {
            Some(Count { min: number(rest)?, max: None })
        } else if let Some(rest) = text.strip_prefix("<=") {
            Some(Count { min: 0, max: Some(number(rest)?) })
        } else if let Some(rest) = text.strip_prefix("==") {
            number(rest).map(|n| Count { min: n, max: Some(n) })
        } else if let Some(rest) = text.strip_prefix('>') {
            Some(Count { min: number(rest)?.checked_add(1)?, max: None })
        } else if let Some(rest) = text.strip_prefix('<') {
            Some(Count { min: 0, max: Some(number(rest)?.checked_sub(1)?) })
        } else if let Some((a, b)) = text.split_once("..") {
            let (min, max) = (number(a)?, number(b)?);
            (min <= max).then_some(Count { min, max: Some(max) })
        } else {
            number(text).map(|n| Count { min: n, max: Some(n) })
        }
    }

    /// Does `n` satisfy it?
    pub fn contains(&self, n: u64) -> bool {
        n >= self.min && self.max.is_none_or(|max| n <= max)
    }

    /// Can no further packet make it false?
    pub fn only_grows(&self) -> bool {
        self.max.is_none()
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, Some(max)) if min == max => write!(f, "exactly {min}"),
            (0, Some(max)) => write!(f, "at most {max}"),
            (min, Some(max)) => write!(f, "{min} to {max}"),
            (min, None) => write!(f, "at least {min}"),
        }
    }
}

/// Checked arguments by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Args(pub BTreeMap<String, Value>);

impl Args {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Text of `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(s) => Some(s),
            _ => None,
        }
    }

    /// Secret of `key`.
    pub fn secret(&self, key: &str) -> Option<peer::Secret> {
        match self.get(key)? {
            Value::Secret(secret) => Some(secret.clone()),
            _ => None,
        }
    }

    /// Boolean of `key`; absent is false.
    pub fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Value::Bool(true)))
    }

    /// Whole number of `key`.
    pub fn int(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// Number of `key`.
    pub fn float(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::Float(n) => Some(*n),
            Value::Int(n) => Some(*n as f64),
            _ => None,
        }
    }

    /// Duration of `key`.
    pub fn duration(&self, key: &str) -> Option<Duration> {
        match self.get(key)? {
            Value::Duration(d) => Some(*d),
            _ => None,
        }
    }

    /// Seconds, with a sign, of `key`.
    pub fn offset(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Value::Offset(seconds) => Some(*seconds),
            _ => None,
        }
    }

    /// Count of `key`.
    pub fn count(&self, key: &str) -> Option<Count> {
        match self.get(key)? {
            Value::Count(c) => Some(*c),
            _ => None,
        }
    }

    /// Address of `key`.
    pub fn addr(&self, key: &str) -> Option<IpAddr> {
        self.text(key)?.parse().ok()
    }

    /// Texts of the list `key`; a single text counts as a list of one.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        match self.get(key) {
            Some(Value::List(items)) => items.iter().filter_map(|v| if let Value::Text(s) = v { Some(s.as_str()) } else { None }).collect(),
            Some(Value::Text(s)) => vec![s],
            _ => Vec::new(),
        }
    }

    /// Whole numbers of the list `key`.
    pub fn ints(&self, key: &str) -> Vec<i64> {
        match self.get(key) {
            Some(Value::List(items)) => items.iter().filter_map(|v| if let Value::Int(n) = v { Some(*n) } else { None }).collect(),
            Some(Value::Int(n)) => vec![*n],
            _ => Vec::new(),
        }
    }

    /// Tables of the list `key`.
    pub fn tables(&self, key: &str) -> Vec<&Args> {
        match self.get(key) {
            Some(Value::List(items)) => items.iter().filter_map(|v| if let Value::Table(t) = v { Some(t) } else { None }).collect(),
            _ => Vec::new(),
        }
    }

    /// Sub-table of `key`.
    pub fn table(&self, key: &str) -> Option<&Args> {
        match self.get(key)? {
            Value::Table(t) => Some(t),
            _ => None,
        }
    }

    /// For tests: sets a key.
    pub fn with(mut self, key: &str, value: Value) -> Args {
        self.0.insert(key.to_owned(), value);
        self
    }
}
