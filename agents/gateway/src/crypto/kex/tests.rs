use super::*;
use crate::crypto::unhex;
use sha2::{Digest, Sha256, Sha512};

mod hostile;
mod known;

#[test]
fn both_sides_agree() {
    let mut rng = Rng::new([1; 32]);
    for group in Group::ALL {
        assert_eq!(Group::from_transform_id(group.transform_id()), Some(group));
        assert_ne!(group.name(), "?");
        let initiator = Initiator::new(group, &mut rng);
        let (public, secret) = respond(group, initiator.public(), &mut rng).unwrap();
        assert_eq!(initiator.finish(&public).unwrap(), secret, "{group}");
        assert_eq!(
            (initiator.public().len(), public.len(), secret.len()),
            (group.initiator_len(), group.responder_len(), group.secret_len())
        );
        assert_ne!(initiator.public(), Initiator::new(group, &mut rng).public());
    }
}

#[test]
fn same_seed_same_octets() {
    for group in Group::ALL {
        let once = || respond(group, Initiator::new(group, &mut Rng::new([2; 32])).public(), &mut Rng::new([3; 32])).unwrap();
        assert_eq!(once(), once(), "{group}");
    }
}
