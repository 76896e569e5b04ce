//! Everything a scenario file may name that is not its own: words, symptoms, layouts, and the filter language.

use std::ops::Range;

use super::layout::Layouts;
use crate::schema::{Param, Word};

/// A mistake inside a filter: where in its text, what, and what to write instead.
pub type FilterMistake = (Range<usize>, String, Option<String>);

/// Checks a filter's text.
pub type FilterCheck = fn(&str) -> Result<(), FilterMistake>;

/// What scenario files are checked against.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// Fault words.
    pub faults: &'static [Word],
    /// Traffic words.
    pub traffic: &'static [Word],
    /// Service words.
    pub services: &'static [Word],
    /// Symptom codes with what they accept.
    pub symptoms: Vec<(&'static str, &'static [Param])>,
    /// Checks a display filter.
    pub filter: FilterCheck,
    /// Checks a filter that must become a kernel rule: those of faults.
    pub kernel_filter: FilterCheck,
    /// Known layouts.
    pub layouts: Layouts,
}

impl Vocabulary {
    /// The program's own words and layouts, with the given symptoms and filter language.
    pub fn new(symptoms: Vec<(&'static str, &'static [Param])>, filter: FilterCheck) -> Vocabulary {
        Vocabulary {
            faults: crate::world::faults::words::WORDS,
            traffic: crate::run::traffic::words::WORDS,
            services: crate::run::traffic::words::SERVICES,
            symptoms,
            filter,
            kernel_filter: filter,
            layouts: Layouts::embedded(),
        }
    }

    /// With a stricter check for what must become a kernel rule.
    pub fn with_kernel_filter(self, kernel_filter: FilterCheck) -> Vocabulary {
        Vocabulary { kernel_filter, ..self }
    }

    /// With other layouts, such as a [`super::library::Library`]'s.
    pub fn with_layouts(self, layouts: Layouts) -> Vocabulary {
        Vocabulary { layouts, ..self }
    }
}
