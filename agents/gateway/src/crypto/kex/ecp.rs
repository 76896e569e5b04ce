//! Elliptic curve Diffie-Hellman over prime fields: RFC 5903, RFC 5114 (192 and 224 bits), RFC 6954 (Brainpool). The KE payload has x and y, the secret is x.

use p256::elliptic_curve::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, Sec1Point, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, Generate, PublicKey, SecretKey};

use super::KexError;
use crate::crypto::rng::Rng;

/// A curve.
#[derive(Debug, Clone, Copy)]
pub enum Curve {
    P192,
    P224,
    P256,
    P384,
    P521,
    Brainpool256,
    Brainpool384,
}

impl Curve {
    /// A secret scalar.
    pub fn secret(self, rng: &mut Rng) -> Vec<u8> {
        match self {
            Curve::P192 => secret::<p192::NistP192>(rng),
            Curve::P224 => secret::<p224::NistP224>(rng),
            Curve::P256 => secret::<p256::NistP256>(rng),
            Curve::P384 => secret::<p384::NistP384>(rng),
            Curve::P521 => secret::<p521::NistP521>(rng),
            Curve::Brainpool256 => secret::<bp256::BrainpoolP256r1>(rng),
            Curve::Brainpool384 => secret::<bp384::BrainpoolP384r1>(rng),
        }
    }

    /// The public point.
    pub fn public(self, scalar: &[u8]) -> Vec<u8> {
        match self {
            Curve::P192 => public::<p192::NistP192>(scalar),
            Curve::P224 => public::<p224::NistP224>(scalar),
            Curve::P256 => public::<p256::NistP256>(scalar),
            Curve::P384 => public::<p384::NistP384>(scalar),
            Curve::P521 => public::<p521::NistP521>(scalar),
            Curve::Brainpool256 => public::<bp256::BrainpoolP256r1>(scalar),
            Curve::Brainpool384 => public::<bp384::BrainpoolP384r1>(scalar),
        }
    }

    /// The x coordinate of the shared point (RFC 5903 §9).
    pub fn agree(self, scalar: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError> {
        match self {
            Curve::P192 => agree::<p192::NistP192>(scalar, peer),
            Curve::P224 => agree::<p224::NistP224>(scalar, peer),
            Curve::P256 => agree::<p256::NistP256>(scalar, peer),
            Curve::P384 => agree::<p384::NistP384>(scalar, peer),
            Curve::P521 => agree::<p521::NistP521>(scalar, peer),
            Curve::Brainpool256 => agree::<bp256::BrainpoolP256r1>(scalar, peer),
            Curve::Brainpool384 => agree::<bp384::BrainpoolP384r1>(scalar, peer),
        }
    }
}

/// SEC 1's mark of an uncompressed point, which IKE leaves out.
const UNCOMPRESSED: u8 = 4;

fn secret<C: CurveArithmetic>(rng: &mut Rng) -> Vec<u8> {
    SecretKey::<C>::generate_from_rng(rng).to_bytes().to_vec()
}

fn public<C>(scalar: &[u8]) -> Vec<u8>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    let point: Sec1Point<C> = own::<C>(scalar).public_key().as_affine().to_sec1_point(false);
    point.as_bytes()[1..].to_vec()
}

fn agree<C>(scalar: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    let peer = PublicKey::<C>::from_sec1_bytes(&[&[UNCOMPRESSED], peer].concat()).map_err(|_| KexError::NotOnCurve)?;
    Ok(diffie_hellman(own::<C>(scalar).to_nonzero_scalar(), peer.as_affine()).raw_secret_bytes().to_vec())
}

fn own<C: CurveArithmetic>(scalar: &[u8]) -> SecretKey<C> {
    SecretKey::from_slice(scalar).expect("made by `secret`")
}
