//! Why a scenario is not run: what is known to be lacking before any cell of it starts, as against what could not be found out.

use peer::Missing;
use serde::{Deserialize, Serialize};

use super::outcome::{Trouble, Whose};
use crate::world::namespaces::Refusal;

/// What kind of thing is lacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// The pairing or the world cannot do what the scenario needs: nothing that could be installed changes that.
    Design,
    /// Something that could be had here: a package, a kernel, a privilege.
    Missing,
}

/// Why a scenario is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// What kind of thing is lacking; of several reasons, whether any of them can be helped.
    pub lack: Lack,
    /// In words.
    pub text: String,
}

impl Skip {
    /// Nothing can be installed against it.
    pub fn design(text: impl Into<String>) -> Skip {
        Skip { lack: Lack::Design, text: text.into() }
    }

    /// Something is missing that could be had.
    pub fn missing(text: impl Into<String>) -> Skip {
        Skip { lack: Lack::Missing, text: text.into() }
    }
}

/// Why a scenario is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRun {
    /// It is known what is lacking.
    Skipped(Skip),
    /// To find that out failed, so nobody knows.
    Failed(Trouble),
}

impl From<Skip> for NotRun {
    fn from(skip: Skip) -> NotRun {
        NotRun::Skipped(skip)
    }
}

impl std::fmt::Display for NotRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotRun::Skipped(skip) => f.write_str(&skip.text),
            NotRun::Failed(trouble) => f.write_str(&trouble.text),
        }
    }
}

/// Why an implementation or a world cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absent {
    /// It is known what is missing.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// To find that out failed, so nobody knows.
    #[error("{}", .0.text)]
    Failed(Trouble),
}

impl From<Refusal> for Absent {
    /// What the machine is short of now, it may have at another time.
    fn from(refusal: Refusal) -> Absent {
        if refusal.short {
            Absent::Failed(Trouble { whose: Whose::Machine, text: refusal.to_string() })
        } else {
            let what = format!("the machine refused to {}: {}", refusal.tried, refusal.errno);
            Absent::Missing(Missing { what, hint: refusal.hint })
        }
    }
}

impl From<Absent> for NotRun {
    fn from(absent: Absent) -> NotRun {
        match absent {
            Absent::Missing(missing) => NotRun::Skipped(Skip::missing(missing.to_string())),
            Absent::Failed(trouble) => NotRun::Failed(trouble),
        }
    }
}
