//! How long checking takes, by what a file is full of. All are as large as a file may be, or nearly: about a megabyte.
//! `cargo bench -p faultlab --bench check`

use std::hint::black_box;
use std::time::Instant;

use faultlab::cli::scenarios;
use faultlab::scenario::{Source, Vocabulary, load};

const HEAD: &str = "[scenario]\ntitle = \"t\"\n[network]\nlayout = \"two-gateways-mid\"\n[health]\nprobes = false\n";
const TAIL: &str =
    "[[expect]]\npackets = { match = \"esp\", at = \"west.wan\", count = \"0\" }\n[fix]\nabout = \"a\"\nwithout = [\"f0\"]\n";
const FAULT: &str = "[[fault]]\nname = \"f0\"\ndo.drop = { at = \"mid\", match = \"ip\" }\n";
const SIZE: usize = 1_000_000;

fn main() {
    let library = scenarios::library(None).expect("the scenarios inside the program");
    let vocabulary = scenarios::vocabulary(&library);
    let full_of = |before: &str, entry: fn(usize) -> String| {
        let mut text = format!("{HEAD}{before}");
        for entry in (0..).map(entry) {
            if text.len() + entry.len() + TAIL.len() > SIZE {
                break;
            }
            text.push_str(&entry);
        }
        text + TAIL
    };
    for (what, text) in [
        ("faults", full_of("", |n| format!("[[fault]]\nname = \"f{n}\"\ndo.drop = {{ at = \"mid\", match = \"udp.dstport == 500\" }}\n"))),
        ("steps", full_of(FAULT, |n| format!("[[traffic]]\nname = \"s{n}\"\ndo.ping = {{ from = \"alice\", to = \"bob\" }}\n"))),
        ("unknown words", full_of("", |n| format!("[[fault]]\nname = \"f{n}\"\ndo.drip = {{ at = \"mid\" }}\n"))),
        ("unknown names", full_of("", |n| format!("[[fault]]\nname = \"f{n}\"\ndo.drop = {{ at = \"mit\", mach = \"x\" }}\n"))),
        ("unknown keys", full_of(FAULT, |n| format!("key-{n} = 1\n"))),
    ] {
        check(what, &text, &vocabulary);
    }
}

/// The best of some runs: what the machine does besides can only slow it down.
fn check(what: &str, text: &str, vocabulary: &Vocabulary) {
    let source = Source::new("scenarios/bench/bench.toml", text);
    let once = || {
        let begun = Instant::now();
        let mistakes = match load(&source, vocabulary) {
            Ok(scenario) => {
                black_box(scenario);
                0
            }
            Err(found) => {
                black_box(found.render(false));
                found.list.len()
            }
        };
        (begun.elapsed(), mistakes)
    };
    let runs: Vec<_> = (0..10).map(|_| once()).collect();
    let (best, mistakes) = runs.into_iter().min().unwrap_or_default();
    println!("check, a megabyte of {what}: {:.0} ms, {mistakes} mistakes", best.as_secs_f64() * 1000.0);
}
