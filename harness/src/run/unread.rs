//! Tunnels whose keys nobody told: their packets stay encrypted in the capture, and whatever needs their contents is inconclusive.

use std::collections::{BTreeMap, BTreeSet};

use peer::{GatewayEventKind, Keys};

use crate::dissect::Capture;
use crate::event::{Event, What};

/// Returns a sentence for each SA that a gateway reported as up, whose ESP is in the capture, and of which no key is known.
pub fn sentences(events: &[Event], capture: &Capture, keys: &Keys) -> Vec<String> {
    let known: BTreeSet<u32> = keys.esp.iter().map(|k| k.spi).collect();
    let mut closed: BTreeMap<u32, usize> = BTreeMap::new();
    for esp in capture.records.iter().filter(|r| r.esp_inner.is_empty()).filter_map(|r| r.esp()) {
        if !known.contains(&esp.spi) {
            *closed.entry(esp.spi).or_default() += 1;
        }
    }
    let mut sentences = Vec::new();
    for event in events {
        let What::Gateway { gateway, what: GatewayEventKind::ChildUp { child, spi_in, spi_out, .. } } = &event.what else { continue };
        for spi in [spi_in, spi_out] {
            if let Some(packets) = closed.remove(spi) {
                sentences.push(format!(
                    "{gateway} reported child SA `{child}` as up, and no gateway told a key of SPI 0x{spi:08x}: {packets} frames of ESP stay encrypted"
                ));
            }
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symptom::testkit::{EAST, Story, WEST, ms};

    #[test]
    fn esp_without_a_key_is_told_once_and_of_nobodys_sa_not() {
        let mut story = Story::new();
        story.esp(1, "west.wan", WEST, EAST, 0x17, 1);
        story.esp(2, "west.wan", WEST, EAST, 0x17, 2);
        let up = GatewayEventKind::ChildUp { connection: "west-east".into(), child: "net".into(), spi_in: 1, spi_out: 0x17 };
        let event = Event { time: ms(0), what: What::Gateway { gateway: "west".into(), what: up } };
        let told = sentences(&[event.clone(), event], &story.capture, &Keys::default());
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("west") && told[0].contains("0x00000017: 2 frames"), "{told:?}");
        assert!(sentences(&[], &story.capture, &Keys::default()).is_empty());
    }
}
