//! The matrix: scenarios × pairings × worlds.
//!
//! A results folder holds what the matrix is about (`store::Header`), one file per result as soon as it is known
//! (`store::Record`), and the evidence. Everything else (`results::Results`, the page, JUnit) follows from these, so that an
//! interrupted matrix resumes by reading what is there, and merging shards is putting their files together.

pub mod changes;
pub mod html;
pub mod judge;
pub mod junit;
pub mod merge;
pub mod plan;
mod recorder;
pub mod results;
pub mod run;
pub mod store;
mod story;
