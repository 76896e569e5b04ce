//! faultlab, the failure lab for IPsec. See ARCHITECTURE.md for the map.

pub mod capture;
pub mod cli;
pub mod dissect;
pub mod event;
pub mod filter;
pub mod limits;
pub mod matrix;
pub mod name;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schema;
pub mod symptom;
pub mod sys;
pub mod text;
pub mod time;
pub mod world;
