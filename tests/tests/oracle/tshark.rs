//! What tshark selects, with the run's keys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;

/// Frame numbers, one set per filter.
pub type Selected = Vec<BTreeSet<u32>>;

/// What a capture with fragments has, of IP or of IKE (RFC 7383).
const FRAGMENTS: &str = "ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr || isakmp.frag.total";

/// The frames of a capture that each filter selects; `keys`: the folder with the run's key tables.
///
/// tshark joins fragments that it sees at different taps, though they are copies of each other: with fragments, each tap's frames
/// are seen alone.
pub fn select(capture: &Path, keys: &Path, filters: &[String], taps: &[String]) -> Result<Selected, Failed> {
    let asked: Vec<String> = filters.iter().cloned().chain([FRAGMENTS.to_owned()]).collect();
    let mut selected = one_pass(capture, keys, &asked)?;
    match selected.pop() {
        Some(fragments) if !fragments.is_empty() => by_tap(capture, keys, filters, taps),
        _ => Ok(selected),
    }
}

fn one_pass(file: &Path, keys: &Path, filters: &[String]) -> Result<Selected, Failed> {
    let scratch = tempfile::tempdir()?;
    let [list, out] = ["filters", "out"].map(|n| scratch.path().join(n));
    std::fs::write(&list, filters.join("\n"))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/select.lua");
    let mut tshark = command(file, keys);
    tshark.arg("-q").arg("-X").arg(format!("lua_script:{}", script.display()));
    let ended = tshark.env("ORACLE_FILTERS", &list).env("ORACLE_OUT", &out).output()?;
    let text = std::fs::read_to_string(&out).unwrap_or_default();
    let mut selected = vec![BTreeSet::new(); filters.len()];
    let mut understood = 0;
    for line in text.lines() {
        let (filter, frame) = line.split_once(' ').ok_or_else(|| format!("tshark's script said `{line}`"))?;
        match filter.parse::<usize>()? {
            0 => understood = frame.parse()?,
            filter => drop(selected[filter - 1].insert(frame.parse()?)),
        }
    }
    if ended.status.success() && understood == filters.len() {
        Ok(selected)
    } else {
        Err(format!("tshark understood {understood} of {} filters: {}", filters.len(), String::from_utf8_lossy(&ended.stderr)).into())
    }
}

fn by_tap(capture: &Path, keys: &Path, filters: &[String], taps: &[String]) -> Result<Selected, Failed> {
    let at: Vec<String> = taps.iter().map(|tap| format!("frame.interface_name == \"{tap}\"")).collect();
    let mut all = vec![BTreeSet::new(); filters.len()];
    for (at_tap, numbers) in at.iter().zip(one_pass(capture, keys, &at)?) {
        let numbers: Vec<u32> = numbers.into_iter().collect();
        let file = tempfile::NamedTempFile::new()?;
        let out = command(capture, keys).args(["-Y", at_tap, "-w"]).arg(file.path()).output()?;
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned().into());
        }
        for (all, one) in all.iter_mut().zip(one_pass(file.path(), keys, filters)?) {
            all.extend(one.into_iter().filter_map(|n| numbers.get(usize::try_from(n).ok()?.checked_sub(1)?)));
        }
    }
    Ok(all)
}

fn command(file: &Path, keys: &Path) -> Command {
    let mut tshark = Command::new("tshark");
    // The evidence folder holds the key tables under the names that Wireshark looks for.
    tshark.env("WIRESHARK_CONFIG_DIR", PathBuf::from(keys)).args(["-n", "-r"]).arg(file);
    tshark
}
