//! Any octets at all may be fed to a gateway: it does not panic, does not fall for them, and its memory stays bounded.

mod sim;

use std::net::SocketAddr;

use faultlab_gateway::Command;
use proptest::prelude::*;
use sim::*;

fn peer_flight(port: u16, data: Vec<u8>) -> Flight {
    let at = |host: u8, port: u16| SocketAddr::from(([192, 0, 2, host], port));
    Flight { from: at(1, port), to: at(2, port), data }
}

/// Everything that two gateways say to each other in a short life with all exchanges.
fn dialogue() -> Vec<Flight> {
    let mut pair = Pair::new(5, FAIR, |w, _| w.connections[0].force_encap = true);
    pair.initiate(WEST);
    pair.run_s(1);
    pair.passes();
    pair.command(WEST, Command::RekeyChild("west-east".into()));
    pair.run_s(1);
    pair.command(WEST, Command::RekeyIke("west-east".into()));
    pair.run_s(1);
    pair.sent.into_iter().map(|(_, f)| f).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_octets_do_nothing(port in prop_oneof![Just(0u16), Just(500), Just(4500)], data in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut pair = Pair::new(1, FAIR, |_, _| {});
        pair.inject(peer_flight(port, data.clone()));
        pair.inner(EAST, &data);
        pair.run_s(1);
        pair.initiate(WEST);
        pair.run_s(2);
        prop_assert!(pair.passes());
    }

    #[test]
    fn altered_messages_do_not_keep_a_pair_from_working(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        before in any::<bool>(),
    ) {
        let all = dialogue();
        let mut flight = which.get(&all).clone();
        for (at, octet) in &flips {
            let at = at.index(flight.data.len());
            flight.data[at] ^= octet;
        }
        if let Some(cut) = cut {
            flight.data.truncate(cut.index(flight.data.len()));
        }
        // As it was, a packet of ESP that is still to come would be taken, and the real one then be a replay.
        prop_assume!(flight.data != which.get(&all).data);
        let mut pair = Pair::new(5, FAIR, |w, _| {
            w.connections[0].force_encap = true;
            w.connections[0].keying_tries = 0;
        });
        if before {
            pair.inject(flight.clone());
        }
        pair.initiate(WEST);
        pair.run_s(1);
        pair.inject(flight);
        pair.run_s(60);
        pair.initiate(WEST);
        pair.run_s(10);
        prop_assert!(pair.passes(), "{}", pair.story());
    }
}

#[test]
fn a_flood_of_first_requests_fills_no_memory() {
    let mut pair = Pair::new(1, FAIR, |_, e| e.connections[0].remote = None);
    let first = dialogue().remove(0).data;
    for n in 0..100_000_u32 {
        let mut data = first.clone();
        data[..4].copy_from_slice(&n.to_be_bytes());
        let [_, b, c, d] = n.to_be_bytes();
        let from = SocketAddr::from(([198, 18 + b, c, d], 500));
        pair.inject(Flight { from, to: SocketAddr::from(([192, 0, 2, 2], 500)), data });
        pair.run(std::time::Duration::from_micros(10));
        pair.sent.clear();
        pair.sides[EAST].log.clear();
    }
    let half_open = pair.sides[EAST].gateway.describe().lines().filter(|l| l.contains("expects IKE_AUTH")).count();
    assert!(half_open <= 30, "{half_open}");
    // Who shows the cookie gets in.
    pair.initiate(WEST);
    pair.run_s(3);
    assert!(pair.passes(), "{}", pair.story());
}

#[test]
fn one_address_gets_few_half_open_sas() {
    let mut pair = Pair::new(1, FAIR, |_, _| {});
    let first = dialogue().remove(0).data;
    for n in 0..20_u32 {
        let mut data = first.clone();
        data[..4].copy_from_slice(&n.to_be_bytes());
        pair.inject(peer_flight(500, data));
    }
    pair.run_s(1);
    let half_open = pair.sides[EAST].gateway.describe().lines().filter(|l| l.contains("expects IKE_AUTH")).count();
    assert_eq!(half_open, 5);
    pair.run_s(31);
    pair.initiate(WEST);
    pair.run_s(3);
    assert!(pair.passes(), "they are forgotten: {}", pair.story());
}
