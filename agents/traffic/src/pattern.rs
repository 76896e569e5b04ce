//! A reproducible stream of octets whose every position can be checked.

/// Octet at position `n` of stream `seed`.
fn at(seed: u64, n: u64) -> u8 {
    // SplitMix64's finisher over the word that the octet lies in: cheap, and no two streams look alike.
    let mut z = (seed ^ (n >> 3)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()[(n & 7) as usize]
}

/// Fills `buffer` with the stream from position `from` on.
pub fn fill(seed: u64, from: u64, buffer: &mut [u8]) {
    for (n, b) in (from..).zip(buffer.iter_mut()) {
        *b = at(seed, n);
    }
}

/// First position at which `received` differs from the stream.
pub fn first_difference(seed: u64, from: u64, received: &[u8]) -> Option<u64> {
    (from..).zip(received).find(|(n, b)| at(seed, *n) != **b).map(|(n, _)| n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_a_stream_agrees_with_itself_and_a_flipped_bit_shows() {
        let mut all = [0; 100];
        fill(7, 0, &mut all);
        let mut part = [0; 20];
        fill(7, 33, &mut part);
        assert_eq!(part, all[33..53]);
        assert_eq!(first_difference(7, 33, &part), None);
        part[5] ^= 1;
        assert_eq!(first_difference(7, 33, &part), Some(38));
        assert!(first_difference(8, 33, &part).is_some());
    }
}
