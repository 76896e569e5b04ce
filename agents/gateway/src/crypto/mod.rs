//! Key exchange, pseudo-random functions, signatures, certificates, randomness.
