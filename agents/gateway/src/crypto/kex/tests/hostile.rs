//! Peers' values that must be refused, and any others, which must not hurt.

use proptest::prelude::*;

use super::*;
use crate::crypto::kex::primes;
use crate::crypto::rng::Rng;

/// Both sides' answer to a peer's value of the right length.
fn both(group: Group, value: &[u8]) -> [Result<Vec<u8>, KexError>; 2] {
    let mut rng = Rng::new([9; 32]);
    let initiator = Initiator::new(group, &mut rng);
    [initiator.finish(value), respond(group, value, &mut rng).map(|(_, secret)| secret)]
}

#[test]
fn lengths() {
    let mut rng = Rng::new([4; 32]);
    for group in Group::ALL {
        let initiator = Initiator::new(group, &mut rng);
        let want = group.responder_len();
        for got in [0, 1, want - 1, want + 1, 4 * want] {
            assert_eq!(initiator.finish(&vec![1; got]), Err(KexError::Length { group, got, want }));
        }
        let want = group.initiator_len();
        for got in [0, 1, want - 1, want + 1, 4 * want] {
            assert_eq!(respond(group, &vec![1; got], &mut rng), Err(KexError::Length { group, got, want }));
        }
    }
}

/// RFC 6989 §2.1: only 2 … p-2. The primes end in 1 bits, so that p±1 needs no carry.
#[test]
fn modp_range() {
    for (group, prime) in [(Group::Modp768, primes::P768), (Group::Modp2048, primes::P2048), (Group::Modp8192, primes::P8192)] {
        let p = unhex(prime);
        let last = |octet: u8| [&p[..p.len() - 1], &[octet]].concat();
        let small = |n: u8| [&vec![0; p.len() - 1][..], &[n]].concat();
        for refused in [small(0), small(1), last(0xfe), last(0xff), vec![0xff; p.len()]] {
            assert_eq!(both(group, &refused), [Err(KexError::OutOfRange), Err(KexError::OutOfRange)], "{group}");
        }
        assert!(both(group, &small(2)).iter().all(Result::is_ok));
        assert!(both(group, &last(0xfd)).iter().all(Result::is_ok));
    }
}

/// RFC 6989 §2.2: 2 is no element of the small subgroups.
#[test]
fn modp_subgroup() {
    for group in [Group::Modp1024s160, Group::Modp2048s224, Group::Modp2048s256] {
        let mut two = vec![0; group.initiator_len()];
        *two.last_mut().unwrap() = 2;
        assert_eq!(both(group, &two), [Err(KexError::NotInSubgroup), Err(KexError::NotInSubgroup)]);
    }
}

/// RFC 6989 §2.3.
#[test]
fn ecp_off_the_curve() {
    let mut rng = Rng::new([5; 32]);
    for group in Group::ALL {
        let Family::Ecp(_) = group.family() else { continue };
        let point = Initiator::new(group, &mut rng).public().to_vec();
        let mut moved = point.clone();
        *moved.last_mut().unwrap() ^= 1;
        let origin = vec![0; point.len()];
        let beyond_the_field = [vec![0xff; point.len() / 2], point[point.len() / 2..].to_vec()].concat();
        for refused in [moved, origin, beyond_the_field] {
            assert_eq!(both(group, &refused), [Err(KexError::NotOnCurve), Err(KexError::NotOnCurve)], "{group}");
        }
    }
}

/// RFC 7748 §6: points of small order, some of them not reduced modulo p.
#[test]
fn small_orders() {
    let p_25519 = unhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    let p_448 = [vec![0xff; 28], vec![0xfe], vec![0xff; 27]].concat();
    let with_first = |p: &[u8], octet: u8| [&[octet], &p[1..]].concat();
    let one = |len: usize| [vec![1], vec![0; len - 1]].concat();
    for refused in [
        vec![0; 32],
        one(32),
        unhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        unhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        with_first(&p_25519, 0xec),
        p_25519.clone(),
        with_first(&p_25519, 0xee),
    ] {
        assert_eq!(both(Group::Curve25519, &refused), [Err(KexError::ZeroSecret), Err(KexError::ZeroSecret)], "{refused:02x?}");
    }
    let p_plus_1 = [vec![0; 28], vec![0xff; 28]].concat();
    for refused in [vec![0; 56], one(56), with_first(&p_448, 0xfe), p_448, p_plus_1] {
        assert_eq!(both(Group::Curve448, &refused), [Err(KexError::ZeroSecret), Err(KexError::ZeroSecret)], "{refused:02x?}");
    }
}

/// FIPS 203 §7.2: coefficients must be below q. Any ciphertext is taken, and gives a secret that nobody else has.
#[test]
fn ml_kem() {
    let mut rng = Rng::new([6; 32]);
    for group in [Group::MlKem512, Group::MlKem768, Group::MlKem1024] {
        assert_eq!(respond(group, &vec![0xff; group.initiator_len()], &mut rng), Err(KexError::NotAKey));
        let initiator = Initiator::new(group, &mut rng);
        let (mut ciphertext, secret) = respond(group, initiator.public(), &mut rng).unwrap();
        ciphertext[7] ^= 1;
        assert_ne!(initiator.finish(&ciphertext).unwrap(), secret);
    }
}

/// Cheap methods of every family.
const CHEAP: [Group; 6] = [Group::Modp768, Group::Modp1024s160, Group::Ecp256, Group::Curve25519, Group::Curve448, Group::MlKem512];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_octets(group in proptest::sample::select(&CHEAP), seed: [u8; 32], cut in 0..4usize, fill in proptest::option::of(any::<u8>())) {
        let mut rng = Rng::new(seed);
        let value = |len: usize, rng: &mut Rng| match fill {
            Some(octet) => vec![octet; len.saturating_sub(cut)],
            None => rng.bytes(len.saturating_sub(cut)),
        };
        let initiator = Initiator::new(group, &mut rng);
        if let Ok(secret) = initiator.finish(&value(group.responder_len(), &mut rng)) {
            prop_assert_eq!((secret.len(), cut), (group.secret_len(), 0));
        }
        let peer = value(group.initiator_len(), &mut rng);
        if let Ok((public, secret)) = respond(group, &peer, &mut rng) {
            prop_assert_eq!((public.len(), secret.len(), cut), (group.responder_len(), group.secret_len(), 0));
        }
    }

    #[test]
    fn any_seed_agrees(group in proptest::sample::select(&CHEAP), seed: [u8; 32]) {
        let mut rng = Rng::new(seed);
        let initiator = Initiator::new(group, &mut rng);
        let (public, secret) = respond(group, initiator.public(), &mut rng).unwrap();
        prop_assert_eq!(initiator.finish(&public), Ok(secret));
    }
}
