//! ECDSA over any of the curves.

use std::ops::Add;

use ecdsa::der::{MaxOverhead, MaxSize};
use ecdsa::elliptic_curve::array::ArraySize;
use ecdsa::elliptic_curve::ops::Invert;
use ecdsa::elliptic_curve::subtle::CtOption;
use ecdsa::elliptic_curve::{CurveArithmetic, FieldBytesSize, Scalar};
use ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use ecdsa::{DigestAlgorithm, EcdsaCurve, Signature, SignatureSize, SigningKey, VerifyingKey};

/// How r and s are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// r | s, each as long as the curve's order (RFC 4754 §7).
    Raw,
    /// SEQUENCE of two INTEGERs (RFC 3279 §2.2.3).
    Der,
}

/// Signs a hash. The nonce follows from key and hash (RFC 6979): no randomness.
pub fn sign<C>(key: &SigningKey<C>, hash: &[u8], encoding: Encoding) -> Option<Vec<u8>>
where
    C: EcdsaCurve + CurveArithmetic + DigestAlgorithm,
    Scalar<C>: Invert<Output = CtOption<Scalar<C>>>,
    SignatureSize<C>: ArraySize,
    MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as Add>::Output: Add<MaxOverhead> + ArraySize,
{
    let signature: Signature<C> = key.sign_prehash(hash).ok()?;
    Some(match encoding {
        Encoding::Raw => signature.to_bytes().to_vec(),
        Encoding::Der => signature.to_der().as_bytes().to_vec(),
    })
}

/// Is this the signature of a hash?
pub fn verify<C>(key: &VerifyingKey<C>, hash: &[u8], encoding: Encoding, signature: &[u8]) -> bool
where
    C: EcdsaCurve + CurveArithmetic,
    SignatureSize<C>: ArraySize,
    MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as Add>::Output: Add<MaxOverhead> + ArraySize,
{
    let signature = match encoding {
        Encoding::Raw => Signature::<C>::from_slice(signature),
        Encoding::Der => Signature::<C>::from_der(signature),
    };
    signature.is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok())
}
