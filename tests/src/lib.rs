//! See the files in `tests/`.
