//! Faults: put in place, proved, taken back with the cell.

pub mod words;
