//! Thousands of seeded lives under loss, duplication and reordering: nothing panics, nothing is wedged, the same seed gives the same octets.
//!
//! `STORM_SEED=n cargo test -p faultlab-gateway --test storm -- --nocapture` replays one life and prints both logs; `STORM_RUNS=n` says
//! how many there are.

mod sim;

use std::time::Duration;

use faultlab_gateway::Command;
use faultlab_gateway::crypto::Rng;
use sim::*;

/// What became of one life: a fingerprint of everything sent, or what was wrong.
fn live(seed: u64, told: bool) -> Result<u64, String> {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&seed.to_be_bytes());
    let mut rng = Rng::new(key);
    let mut draw = |n: u32| rng.u32() % n;
    let weather = Weather { delay_ms: u64::from(draw(100)), jitter_ms: u64::from(draw(400)), loss_pct: draw(40), double_pct: draw(30) };
    let two = seed % 5 == 1;
    let mut pair = Pair::new(seed, weather, |w, e| {
        if two {
            with_dmz(w, WEST);
            with_dmz(e, EAST);
        }
        for c in [&mut w.connections[0], &mut e.connections[0]] {
            c.keying_tries = 0;
            if seed.is_multiple_of(2) {
                c.esp_proposals = vec!["aes128-sha256-curve25519".into()];
            }
            // Key exchanges that go on after CREATE_CHILD_SA.
            if seed % 16 == 3 {
                c.ike_proposals = vec!["aes128-sha256-curve25519-ke1_mlkem768".into()];
                c.esp_proposals = vec!["aes128-sha256-curve25519-ke1_mlkem512-ke2_ecp256".into()];
            }
            // Who gives a request up forgets the SA; without liveness checks its peer would never know.
            c.dpd_delay = Some(Duration::from_secs(3));
        }
        w.connections[0].force_encap = seed.is_multiple_of(3);
    });
    pair.initiate(if draw(2) == 0 { WEST } else { EAST });
    if draw(4) == 0 {
        pair.run(Duration::from_millis(u64::from(draw(500))));
        pair.initiate(WEST);
        pair.initiate(EAST);
    }
    for _ in 0..2 + draw(6) {
        pair.run(Duration::from_millis(u64::from(draw(3000))));
        let side = draw(2) as usize;
        let name = pair.name(side);
        let command = match draw(8) {
            0..=2 => Command::RekeyChild(NAMES[side][if two { draw(2) as usize } else { 0 }].into()),
            3 | 4 => Command::RekeyIke(name),
            5 => Command::Close(name),
            _ => Command::Initiate(name),
        };
        // "No IKE SA" is a fine answer in such a life.
        pair.try_command(side, command);
        let packet = udp_packet(side, b"through the storm");
        pair.inner(side, &packet);
    }
    // The storm is over: whatever was begun must come to an end, and a new beginning must work.
    pair.weather = FAIR;
    pair.run_s(200);
    for side in [WEST, EAST] {
        pair.initiate(side);
        pair.run_s(30);
    }
    let passes = pair.passes() && (!two || pair.passes_in(DMZ));
    if told {
        println!("{}", pair.story());
    }
    if !passes {
        return Err(format!("seed {seed}: nothing passes in the end\n{}", pair.story()));
    }
    // After a collision of set-ups there may be two pairs, as RFC 7296 §2.8 allows; never more.
    let counts = [WEST, EAST].map(|s| (pair.ike_sas(s), pair.children(s)));
    if counts.iter().any(|(ikes, children)| *ikes == 0 || *ikes > 3 || *children > if two { 6 } else { 3 }) {
        return Err(format!("seed {seed}: {counts:?} IKE and child SAs in the end\n{}", pair.story()));
    }
    let mut fingerprint = 0xcbf2_9ce4_8422_2325_u64;
    for (at, flight) in &pair.sent {
        for octet in at.0.as_nanos().to_be_bytes().iter().chain(&flight.data) {
            fingerprint = (fingerprint ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(fingerprint)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_is_wedged_by_any_weather() {
    if let Some(seed) = number("STORM_SEED") {
        live(seed, true).unwrap();
        return;
    }
    let runs = number("STORM_RUNS").unwrap_or(10_000);
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let failures: Vec<String> = std::thread::scope(|scope| {
        let work = |w: u64| (w..runs).step_by(workers as usize).filter_map(|seed| live(seed, false).err()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..workers).map(|w| scope.spawn(move || work(w))).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{} of {runs} lives; replay with STORM_SEED=n; the first:\n{}", failures.len(), failures[0]);
}

#[test]
fn the_same_life_is_lived_twice_alike() {
    for seed in 0..20 {
        assert_eq!(live(seed, false), live(seed, false));
    }
}
