//! IKEv2.
