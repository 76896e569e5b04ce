use super::*;

#[test]
fn both_sides_agree() {
    let mut rng = Rng::new([1; 32]);
    for group in Group::ALL {
        let initiator = Initiator::new(group, &mut rng);
        let (public, secret) = respond(group, initiator.public(), &mut rng).unwrap();
        assert_eq!(initiator.finish(&public).unwrap(), secret, "{group}");
        assert_eq!(
            (initiator.public().len(), public.len(), secret.len()),
            (group.initiator_len(), group.responder_len(), group.secret_len())
        );
    }
}
