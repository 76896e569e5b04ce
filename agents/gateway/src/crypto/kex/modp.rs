//! Diffie-Hellman over the integers modulo a prime: RFC 7296 appendix B, RFC 3526, RFC 5114.

use std::sync::LazyLock;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};

use super::{KexError, primes};
use crate::crypto::rng::Rng;

/// A group with what its arithmetic needs; made once, when first used.
pub struct Modp {
    bits: u32,
    monty: BoxedMontyParams,
    generator: BoxedMontyForm,
    /// Order of the generator's subgroup, where it is small.
    order: Option<BoxedUint>,
    /// Bits of secret exponents.
    exponent_bits: u32,
}

/// Secret exponents are as short as RFC 3526 §8 and RFC 7919 appendix A allow for the group's strength, rounded up: the full
/// length would be eight times slower and no safer.
macro_rules! safe_prime_group {
    ($name:ident, $bits:literal, $prime:ident, exponent $exponent_bits:literal) => {
        pub static $name: LazyLock<Modp> = LazyLock::new(|| Modp::new($bits, primes::$prime, "02", None, $exponent_bits));
    };
}

macro_rules! subgroup {
    ($name:ident, $bits:literal, $prime:ident, $generator:ident, $order:ident, exponent $exponent_bits:literal) => {
        pub static $name: LazyLock<Modp> =
            LazyLock::new(|| Modp::new($bits, primes::$prime, primes::$generator, Some(primes::$order), $exponent_bits));
    };
}

safe_prime_group!(MODP_768, 768, P768, exponent 256);
safe_prime_group!(MODP_1024, 1024, P1024, exponent 256);
safe_prime_group!(MODP_1536, 1536, P1536, exponent 256);
safe_prime_group!(MODP_2048, 2048, P2048, exponent 256);
safe_prime_group!(MODP_3072, 3072, P3072, exponent 320);
safe_prime_group!(MODP_4096, 4096, P4096, exponent 384);
safe_prime_group!(MODP_6144, 6144, P6144, exponent 448);
safe_prime_group!(MODP_8192, 8192, P8192, exponent 512);
// One bit less than the order: always smaller than it.
subgroup!(MODP_1024_160, 1024, P1024_160, G1024_160, Q1024_160, exponent 159);
subgroup!(MODP_2048_224, 2048, P2048_224, G2048_224, Q2048_224, exponent 223);
subgroup!(MODP_2048_256, 2048, P2048_256, G2048_256, Q2048_256, exponent 255);

impl Modp {
    fn new(bits: u32, prime: &str, generator: &str, order: Option<&str>, exponent_bits: u32) -> Modp {
        let number = |hex: &str| BoxedUint::from_str_radix_with_precision_vartime(hex, 16, bits).expect("hexadecimal constant");
        let monty = BoxedMontyParams::new_vartime(Odd::new(number(prime)).expect("odd"));
        Modp { bits, generator: BoxedMontyForm::new(number(generator), &monty), monty, order: order.map(number), exponent_bits }
    }

    /// A secret exponent with its highest bit set.
    pub fn secret(&self, rng: &mut Rng) -> Vec<u8> {
        let mut exponent = rng.bytes(self.exponent_bits.div_ceil(8) as usize);
        let top = 1 << ((self.exponent_bits - 1) % 8);
        exponent[0] = exponent[0] & (top - 1) | top;
        exponent
    }

    /// The public value, as long as the prime.
    pub fn public(&self, exponent: &[u8]) -> Vec<u8> {
        octets(&self.power(&self.generator, exponent))
    }

    /// The shared secret, as long as the prime (RFC 7296 §2.14).
    pub fn agree(&self, exponent: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError> {
        let peer = BoxedUint::from_be_slice(peer, self.bits).map_err(|_| KexError::OutOfRange)?;
        let one = BoxedUint::one_with_precision(self.bits);
        let last = self.monty.modulus().as_ref().wrapping_sub(&one); // p-1
        if peer <= one || peer >= last {
            return Err(KexError::OutOfRange);
        }
        let peer = BoxedMontyForm::new(peer, &self.monty);
        if let Some(order) = &self.order {
            let bits = order.bit_width_vartime();
            if peer.pow_bounded_exp(order, bits).retrieve() != one {
                return Err(KexError::NotInSubgroup);
            }
        }
        Ok(octets(&self.power(&peer, exponent)))
    }

    fn power(&self, base: &BoxedMontyForm, exponent: &[u8]) -> BoxedMontyForm {
        base.pow(&BoxedUint::from_be_slice_vartime(exponent))
    }
}

/// Big-endian, left-padded to the length of the prime.
fn octets(number: &BoxedMontyForm) -> Vec<u8> {
    number.retrieve().to_be_bytes().into_vec()
}
