//! Elliptic curve Diffie-Hellman over prime fields: RFC 5903. The KE payload has x and y, the secret is x.

use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, Sec1Point, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, Generate, PublicKey, SecretKey};

use super::KexError;
use crate::crypto::rng::Rng;

/// A curve.
#[derive(Debug, Clone, Copy)]
pub enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// A secret scalar and the public point.
    pub fn generate(self, rng: &mut Rng) -> (Vec<u8>, Vec<u8>) {
        match self {
            Curve::P256 => generate::<p256::NistP256>(rng),
            Curve::P384 => generate::<p384::NistP384>(rng),
            Curve::P521 => generate::<p521::NistP521>(rng),
        }
    }

    /// The x coordinate of the shared point (RFC 5903 §9).
    pub fn agree(self, scalar: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError> {
        match self {
            Curve::P256 => agree::<p256::NistP256>(scalar, peer),
            Curve::P384 => agree::<p384::NistP384>(scalar, peer),
            Curve::P521 => agree::<p521::NistP521>(scalar, peer),
        }
    }
}

/// SEC 1's mark of an uncompressed point, which IKE leaves out.
const UNCOMPRESSED: u8 = 4;

fn generate<C>(rng: &mut Rng) -> (Vec<u8>, Vec<u8>)
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    let secret = SecretKey::<C>::generate_from_rng(rng);
    let point: Sec1Point<C> = secret.public_key().as_affine().to_sec1_point(false);
    (secret.to_bytes().to_vec(), point.as_bytes()[1..].to_vec())
}

fn agree<C>(scalar: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    let secret = SecretKey::<C>::from_slice(scalar).expect("made by generate");
    let peer = PublicKey::<C>::from_sec1_bytes(&[&[UNCOMPRESSED], peer].concat()).map_err(|_| KexError::NotOnCurve)?;
    Ok(secret.diffie_hellman(&peer).raw_secret_bytes().to_vec())
}
