//! The whole data path.
