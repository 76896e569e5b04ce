//! Display filters: a documented subset of Wireshark's language over our records.

pub mod kernel;
