//! What tshark selects, with the run's keys.

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::Failed;

use crate::tshark::Tshark;

/// Frame numbers, one set per filter.
pub type Selected = Vec<BTreeSet<u32>>;

/// What a capture has whose parts are put together: fragments, of IP or of IKE (RFC 7383), or segments with HTTP.
const FRAGMENTS: &str =
    "ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr || isakmp.frag.total || (tcp.port in {80, 8080} && tcp.len > 0)";

/// Without it, what a lost segment or a path's MTU has reordered is never put together (docs/filters.md).
const OUT_OF_ORDER: &[&str] = &["-o", "tcp.reassemble_out_of_order:TRUE"];

/// The frames of a capture that each filter selects; `keys`: the folder with the run's key tables.
///
/// tshark joins fragments and segments that it sees at different taps, though they are copies of each other: where there are any, each
/// tap's frames are seen alone.
pub fn select(tshark: &Tshark, capture: &Path, keys: &Path, filters: &[String], taps: &[String]) -> Result<Selected, Failed> {
    let asked: Vec<String> = filters.iter().cloned().chain([FRAGMENTS.to_owned()]).collect();
    let mut selected = one_pass(tshark, capture, keys, &asked)?;
    match selected.pop() {
        Some(fragments) if !fragments.is_empty() => by_tap(tshark, capture, keys, filters, taps),
        _ => Ok(selected),
    }
}

fn one_pass(tshark: &Tshark, file: &Path, keys: &Path, filters: &[String]) -> Result<Selected, Failed> {
    let answers = tshark.select(file, Some(keys), filters, OUT_OF_ORDER)?;
    let understood =
        answers.into_iter().zip(filters).map(|(answer, filter)| answer.map_err(|e| format!("{tshark} refuses `{filter}`: {e}")));
    Ok(understood.collect::<Result<_, _>>()?)
}

fn by_tap(tshark: &Tshark, capture: &Path, keys: &Path, filters: &[String], taps: &[String]) -> Result<Selected, Failed> {
    let at: Vec<String> = taps.iter().map(|tap| format!("frame.interface_name == \"{tap}\"")).collect();
    let mut all = vec![BTreeSet::new(); filters.len()];
    for (at_tap, numbers) in at.iter().zip(one_pass(tshark, capture, keys, &at)?) {
        let numbers: Vec<u32> = numbers.into_iter().collect();
        let file = tempfile::NamedTempFile::new()?;
        tshark.extract(capture, Some(keys), at_tap, file.path())?;
        for (all, one) in all.iter_mut().zip(one_pass(tshark, file.path(), keys, filters)?) {
            all.extend(one.into_iter().filter_map(|n| numbers.get(usize::try_from(n).ok()?.checked_sub(1)?)));
        }
    }
    Ok(all)
}
