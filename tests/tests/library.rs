//! Scenario files that are right: what becomes of them; and that no text whatever makes the loader panic.

mod vocabulary;

use std::time::Duration;

use faultlab::scenario::layout::Layouts;
use faultlab::scenario::library::{self, Library};
use faultlab::scenario::model::{Must, Scenario, ScenarioKind, When};
use faultlab::scenario::reference;
use faultlab::scenario::{self, Source};
use faultlab::schema::Value;
use proptest::prelude::*;
use vocabulary::vocabulary;

const FAILURE: &str = r#"
[scenario]
title = "x"
[network]
layout = "two-gateways-mid"
[[fault]]
name = "filter"
do.drop = { at = "mid", match = "udp.dstport == 500" }
[[expect]]
packets = { match = "isakmp", at = "west.wan" }
[[expect]]
symptom.retransmission = { by = "west", at = "west.wan" }
persists = true
[fix]
about = "y"
without = ["filter"]
"#;

fn load(text: &str) -> Scenario {
    scenario::load(&Source::new("scenarios/group/id.toml", text), &vocabulary()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_scenario_of_the_library_loads() {
    let library = Library::from_sources(library::embedded()).unwrap();
    assert!(library.all().count() >= 2);
    let vocabulary = faultlab::cli::scenarios::vocabulary(&library);
    for source in library.all() {
        scenario::load(source, &vocabulary).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn the_two_sides_differ_by_the_fix() {
    let s = load(FAILURE);
    let fixed = s.fixed.as_ref().unwrap();
    assert_eq!((s.id.as_str(), s.group.as_str(), s.kind), ("id", "group", ScenarioKind::Failure));
    assert_eq!((s.broken.faults.len(), fixed.faults.len()), (1, 0));
    assert_eq!(s.broken.faults[0].when, When::Start);
    assert_eq!(s.broken.faults[0].args.text("hook"), Some("any"), "defaults are filled in");
    assert_eq!(s.broken.expects.iter().map(|e| e.must).collect::<Vec<_>>(), [Must::Hold, Must::Hold]);
    assert_eq!(fixed.expects.iter().map(|e| e.must).collect::<Vec<_>>(), [Must::Vanish, Must::Whatever]);
    assert_eq!((s.broken.health.must, fixed.health.must), (Must::Vanish, Must::Hold));
    assert_eq!((s.broken.health.from.as_str(), s.broken.health.to.as_str()), ("alice", "bob"));
    assert_eq!(s.broken.steps[0].action, "initiate");
    assert_eq!(s.broken.steps[0].args.text("gateway"), Some("west"));
    assert_eq!(s.broken.steps[0].args.duration("deadline"), Some(Duration::from_secs(8)));
}

#[test]
fn gateways_know_each_other() {
    let s = load(FAILURE);
    let west = &s.broken.gateway("west").unwrap().connections[0];
    assert_eq!((west.name.as_str(), west.peer.as_str()), ("west-east", "east"));
    assert_eq!((west.local.to_string().as_str(), west.remote.unwrap().to_string().as_str()), ("192.0.2.2", "198.51.100.2"));
    assert_eq!((west.local_id.as_str(), west.remote_id.as_str()), ("west.example", "east.example"));
    assert_eq!(west.local_ts, ["10.1.0.0/16".parse().unwrap()]);
    assert_eq!(west.remote_ts, ["10.2.0.0/16".parse().unwrap()]);
    assert_eq!(s.broken.gateway("west").unwrap().nat_keepalive, Some(Duration::from_secs(20)));
}

#[test]
fn settings_overlay_one_another() {
    let text = FAILURE.replace(
        "without = [\"filter\"]",
        "[fix.gateway.east]\nid = \"z\"\nnat-keepalive = \"0s\"\n[[fix.also]]\ndo.mss-clamp = { at = \"mid\", mss = 1200 }",
    ) + r#"
[gateway.all]
psk = "common"
dpd-delay = "1s"
[gateway.east]
psk = "own"
id = "e"
[[fault]]
name = "typo"
do.config = { at = "west", set = { psk = "wrong", id = "w" } }
[[fix.expect]]
packets = { match = "esp", at = "west.wan" }
"#;
    let s = load(&text);
    let (west, east) = (&s.broken.gateway("west").unwrap().connections[0], &s.broken.gateway("east").unwrap().connections[0]);
    assert_eq!((west.psk.expose().as_str(), west.local_id.as_str(), west.remote_id.as_str()), ("wrong", "w", "e"));
    assert_eq!(
        (east.psk.expose().as_str(), east.local_id.as_str(), east.remote_id.as_str()),
        ("own", "e", "west.example"),
        "the fault is one-sided"
    );
    assert_eq!((west.dpd_delay, east.dpd_delay), (Some(Duration::from_secs(1)), Some(Duration::from_secs(1))));
    let set = s.broken.faults[1].args.table("set").unwrap();
    assert_eq!(set.0.keys().collect::<Vec<_>>(), ["id", "psk"], "a configuration fault carries no defaults");
    let fixed = s.fixed.unwrap();
    assert_eq!(fixed.gateway("east").unwrap().connections[0].local_id, "z");
    assert_eq!(fixed.gateway("east").unwrap().nat_keepalive, None);
    assert_eq!(fixed.gateway("west").unwrap().connections[0].psk.expose(), "wrong", "faults that are not removed stay");
    let remedy = fixed.faults.last().unwrap();
    assert!(remedy.remedy);
    assert_eq!((remedy.name.as_str(), remedy.args.get("mss")), ("mss-clamp-1", Some(&Value::Int(1200))));
    assert_eq!(fixed.expects.last().unwrap().must, Must::Hold);
}

#[test]
fn children_inherit_what_they_do_not_say() {
    let s = load(
        r#"
[scenario]
title = "x"
kind = "control"
[network]
layout = "two-gateways-dmz"
[gateway.all]
child-rekey = "1h"
child-life = "2h"
[gateway.west]
local-ts = ["10.1.0.0/24"]
esp-proposals = ["aes128-sha1"]
[[gateway.west.children]]
name = "dmz"
local-ts = ["10.1.1.0/24"]
child-rekey = "0s"
[[gateway.west.children]]
name = "voice"
local-ts = ["10.1.2.0/24"]
esp-proposals = ["aes256-sha256"]
"#,
    );
    let west = &s.broken.gateway("west").unwrap().connections[0];
    let [first, dmz, voice] = west.children().try_into().unwrap();
    assert_eq!([first.name.as_str(), dmz.name.as_str(), voice.name.as_str()], ["west-east", "west-east-dmz", "west-east-voice"]);
    assert_eq!((&dmz.local_ts, &dmz.remote_ts), (&vec!["10.1.1.0/24".parse().unwrap()], &first.remote_ts));
    assert_eq!((dmz.child_rekey, voice.child_rekey, dmz.child_life), (None, first.child_rekey, first.child_life));
    assert_eq!((dmz.esp_proposals, voice.esp_proposals), (first.esp_proposals, vec!["aes256-sha256".to_owned()]));
    assert!(s.broken.gateway("east").unwrap().connections[0].more_children.is_empty());
    assert!(s.broken.needs().contains(&peer::Capability::MoreChildren));
}

#[test]
fn a_child_may_be_for_one_of_several_peers() {
    let s = load(
        "[scenario]\ntitle = \"x\"\nkind = \"control\"\n[network]\nlayout = \"star\"\nspokes = 2\n\
         [[gateway.hub.children]]\nname = \"dmz\"\npeer = \"spoke-2\"\nlocal-ts = [\"10.3.0.0/24\"]\n",
    );
    let children = s.broken.gateway("hub").unwrap().connections.iter().map(|c| c.children().len()).collect::<Vec<_>>();
    assert_eq!(children, [1, 2]);
}

#[test]
fn every_layout_makes_a_control_in_both_families() {
    let fixed = ["two-gateways", "two-gateways-dmz", "two-gateways-mid", "two-gateways-stranger", "road-warrior-nat", "roaming"]
        .map(|layout| (layout, 0));
    for (layout, spokes) in fixed.into_iter().chain([("star", 1), ("star", 3), ("star", 50)]) {
        for ip in ["v4", "v6"] {
            let spokes_line = if spokes > 0 { format!("spokes = {spokes}\n") } else { String::new() };
            let text =
                format!("[scenario]\ntitle = \"x\"\nkind = \"control\"\n[network]\nlayout = \"{layout}\"\nip = \"{ip}\"\n{spokes_line}");
            let s = load(&text);
            assert!(s.fixed.is_none());
            assert_eq!(s.broken.health.must, Must::Hold);
            assert_eq!(s.broken.gateways.len(), if spokes > 0 { spokes + 1 } else { 2 });
            for gateway in &s.broken.gateways {
                for c in &gateway.config.connections {
                    assert_eq!(c.local.is_ipv6(), ip == "v6");
                    assert!(!c.local_ts.is_empty() && !c.remote_ts.is_empty());
                    assert!(c.local_ts.iter().chain(&c.remote_ts).all(|t| t.addr().is_ipv6() == (ip == "v6")));
                    let warrior = layout == "road-warrior-nat" && c.peer == "carol";
                    assert_eq!(c.remote.is_none(), warrior, "{}", c.name);
                }
            }
            if layout == "star" {
                assert_eq!(s.broken.gateway("hub").unwrap().connections.len(), spokes);
                assert_eq!(s.broken.gateway("spoke-1").unwrap().connections[0].peer, "hub");
                assert_eq!((s.broken.health.from.as_str(), s.broken.health.to.as_str()), ("host-1", "server"));
            }
            if layout == "road-warrior-nat" {
                assert_eq!(s.broken.steps[0].args.text("gateway"), Some("carol"));
            }
        }
    }
}

#[test]
fn all_sections_are_understood() {
    let s = load(
        r#"
[scenario]
title = "x"
ticket = "t"
hints = ["a", "b"]
slides = [1, 2]
rfc = ["RFC 7296"]
level = "extended"
tags = ["a"]
needs = ["ikev1", "udp-esp"]
deadline = "1m"
[network]
layout = "two-gateways"
ip = "v6"
mtu = 1400
initiator = ""
[health]
from = "bob"
to = "alice"
when-broken = "present"
bulk = 1000
[[service]]
name = "web"
do.http = { at = "bob", port = 8080 }
[[fault]]
name = "stop"
when = { step = "get" }
do.service-stop = { service = "web" }
[[fault]]
name = "cut"
when = { packet = { match = "esp", at = "west.wan" } }
do.link-down = { at = "west.lan" }
[[fault]]
name = "later"
when = { after = "1.5s" }
do.daemon-kill = { at = "east" }
[[traffic]]
name = "get"
background = true
do.http = { from = "alice", to = "bob" }
[[traffic]]
do.udp = { from = "alice", to = "fd02::10" }
[[traffic]]
do.udp = { from = "alice", to = "bob", count = 5 }
[[expect]]
symptom.probe = { step = "udp-2", outcome = "failed" }
[[expect]]
packets = { match = "esp", at = "west.wan", count = "2..5" }
[fix]
about = "z"
without = ["stop", "cut", "later"]
"#,
    );
    assert_eq!(s.broken.deadline, Duration::from_secs(60));
    assert_eq!(s.needs, [peer::Capability::Ikev1, peer::Capability::UdpEsp]);
    assert_eq!(s.broken.steps.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["get", "udp-1", "udp-2"]);
    assert_eq!(s.broken.faults[0].when, When::Step("get".into()));
    assert_eq!(s.broken.faults[1].when, When::Packet { filter: "esp".into(), tap: "west.wan".into() });
    assert_eq!(s.broken.faults[2].when, When::After(Duration::from_millis(1500)));
    assert_eq!(s.broken.services[0].node, "bob");
    assert_eq!(s.broken.health.must, Must::Hold);
    assert!(s.broken.network.links.iter().all(|l| l.mtu == 1400));
    assert_eq!(s.broken.expects.iter().map(|e| e.line).collect::<Vec<_>>(), [45, 47]);
}

#[test]
fn plans_survive_the_way_into_a_cell() {
    let s = load(FAILURE);
    let text = serde_json::to_string(&s).unwrap();
    assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), s);
}

#[test]
fn a_mistake_in_a_layout_is_reported_in_its_own_file() {
    let good = "[scenario]\ntitle = \"x\"\nkind = \"control\"\n[network]\nlayout = \"mine\"\n";
    let layout =
        Source::new("scenarios/layouts/mine.toml", "about = \"x\"\n[[node]]\nname = \"a\"\nrole = \"hots\"\niface.lan = [\"10.1.0.1\"]\n");
    let vocabulary = vocabulary().with_layouts(Layouts::from_sources([layout]));
    let mistakes = scenario::load(&Source::new("x.toml", good), &vocabulary).unwrap_err().machine();
    assert!(mistakes.iter().all(|m| m.file == "scenarios/layouts/mine.toml"), "{mistakes:#?}");
    assert!(mistakes.iter().any(|m| (m.line, m.column, m.label.as_str()) == (4, 8, "did you mean `host`?")), "{mistakes:#?}");
    assert!(mistakes.iter().any(|m| m.line == 5 && m.text == "\"10.1.0.1\""), "{mistakes:#?}");
}

#[test]
fn deep_nesting_is_answered() {
    for text in
        ["[".repeat(100_000), format!("x = {}", "[".repeat(100_000)), format!("{}b = 1", "a.".repeat(100_000)), "{a=".repeat(100_000)]
    {
        assert!(scenario::load(&Source::new("x.toml", text), &vocabulary()).is_err());
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "(?s).{0,200}") {
        let _ = scenario::load(&Source::new("x.toml", text), &vocabulary()).map_err(|e| e.render(false));
    }

    /// Cuts, repeats and swaps pieces of a good file: near misses reach deeper than noise.
    #[test]
    fn any_mutilated_scenario_is_answered(cuts in prop::collection::vec((0usize..700, 0usize..40, ".{0,6}"), 1..6)) {
        let mut text = FAILURE.to_owned();
        for (at, len, put) in cuts {
            let at = at.min(text.len());
            let end = (at + len).min(text.len());
            text.replace_range(at..end, &put);
            if !text.is_char_boundary(text.len()) { break }
            text.retain(|c| c.is_ascii());
        }
        let _ = scenario::load(&Source::new("x.toml", text), &vocabulary()).map_err(|e| { e.machine(); e.render(true) });
    }
}

#[test]
fn every_scenario_fits_a_page() {
    let library = Library::from_sources(library::embedded()).unwrap();
    for source in library.all() {
        let Ok(scenario) = scenario::load(source, &vocabulary()) else { continue };
        let page = faultlab::cli::show::show(&scenario);
        assert!(page.lines().all(|l| l.chars().count() <= 100), "{page}");
        assert!(page.contains(&scenario.title) && page.contains("Network"), "{page}");
    }
}

/// `UPDATE=1` rewrites the generated tables of the reference.
#[test]
fn the_reference_is_in_step_with_the_vocabulary() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenario-reference.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let filled = reference::fill(&text, &vocabulary()).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, filled).unwrap();
    } else {
        assert!(text == filled, "docs/scenario-reference.md: run `UPDATE=1 cargo test -p faultlab-tests --test library`");
    }
}
