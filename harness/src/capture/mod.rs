//! Captures: the kernel ring that fills them, the files that keep them, foreign files that are read.

mod order;
pub mod read;
pub mod ring;
pub mod write;
