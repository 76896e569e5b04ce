//! The tables of a scenario file itself: what each section accepts.

use crate::schema::{Kind, Param};

/// Words of [`peer::Capability`].
pub const CAPABILITIES: &[&str] = &[
    "ikev1",
    "aggressive",
    "ikev2",
    "raw-esp",
    "udp-esp",
    "ah",
    "transport",
    "mobike",
    "esn",
    "ipcomp",
    "natt-off",
    "nat-prohibition",
    "certificates",
    "certificate-chains",
    "eap",
    "additional-ke",
    "ml-kem",
    "more-children",
    "misbehave",
];
/// What a scenario may need: capabilities of its gateways, and of the world.
pub const NEEDS: &[&str] = &[
    "ikev1",
    "aggressive",
    "ikev2",
    "raw-esp",
    "udp-esp",
    "ah",
    "transport",
    "mobike",
    "esn",
    "ipcomp",
    "natt-off",
    "nat-prohibition",
    "certificates",
    "certificate-chains",
    "eap",
    "additional-ke",
    "ml-kem",
    "more-children",
    "misbehave",
    VIRTUAL_TIME,
];
/// Hours pass in seconds.
pub const VIRTUAL_TIME: &str = "virtual-time";

/// `[scenario]`.
pub const SCENARIO: &[Param] = &[
    Param::required("title", Kind::Text, "the failure in one line"),
    Param::default("ticket", Kind::Text, "\"\"", "the user's complaint, in the user's words"),
    Param::default("diagnosis", Kind::Text, "\"\"", "how to find the cause; shown when the run is over"),
    Param::default("hints", Kind::List(&Kind::Text), "[]", "hints for the training lab, mildest first"),
    Param::default("slides", Kind::List(&Kind::Int(1, 999)), "[]", "slides of the seed deck that the scenario shows"),
    Param::default("rfc", Kind::List(&Kind::Text), "[]", "sections that apply: `\"RFC 7296 §2.4\"`"),
    Param::default("level", Kind::Word(&["core", "extended"]), "\"core\"", "`core` scenarios run by default"),
    Param::default("tags", Kind::List(&Kind::Text), "[]", "free words for selection on the command line"),
    Param::default("kind", Kind::Word(&["failure", "control"]), "\"failure\"", "a control has no fault and must simply work"),
    Param::default(
        "needs",
        Kind::List(&Kind::Word(NEEDS)),
        "[]",
        "what the gateway implementations must be able to do; `virtual-time`: only the pocket world will do",
    ),
    Param::default("deadline", Kind::Duration, "\"60s\"", "judge what is there this long after the start of a side"),
];

/// `[network]`.
pub const NETWORK: &[Param] = &[
    Param::required("layout", Kind::Text, "name of the layout"),
    Param::default("ip", Kind::Word(&["v4", "v6"]), "\"v4\"", "address family of gateways, tunnels and probes"),
    Param::optional("spokes", Kind::Int(1, 200), "how many times the layout's `{n}` parts are repeated; default 3 where there are any"),
    Param::optional("mtu", Kind::Int(1280, 9000), "MTU of all links, octets; default: the layout's, normally 1500"),
    Param::optional(
        "initiator",
        Kind::Text,
        "gateway that brings the tunnel up before the first traffic step; `\"\"`: nobody. Default: the first gateway with a single peer; nobody when the traffic has an `initiate` of its own",
    ),
];

/// `[health]`.
pub const HEALTH: &[Param] = &[
    Param::default("probes", Kind::Bool, "true", "probe at all: ping, small and bulk TCP through the tunnel"),
    Param::optional("from", Kind::Node, "client; default: the host behind the initiator"),
    Param::optional("to", Kind::Node, "server; default: the host behind the initiator's peer"),
    Param::default(
        "when-broken",
        Kind::Word(&["absent", "present", "whatever"]),
        "\"absent\"",
        "health on the broken side: must fail, must succeed, or is not judged",
    ),
    Param::default("bulk", Kind::Int(1, 100_000_000), "262144", "octets of the bulk transfer"),
];

/// `[[service]]`, beside `do`.
pub const SERVICE: &[Param] = &[Param::required("name", Kind::Text, "unique among the services")];

/// A packet seen at a tap.
pub const PACKET: &[Param] =
    &[Param::required("match", Kind::Filter, "which packet"), Param::required("at", Kind::Tap, "where it is seen")];

/// `when` of a fault: exactly one key.
pub const WHEN: &[Param] = &[
    Param::optional("after", Kind::Duration, "this long after the first traffic step began"),
    Param::optional("step", Kind::Step, "when this traffic step has ended"),
    Param::optional("packet", Kind::Table(PACKET), "when such a packet has been seen: it has passed by then, and so may have others"),
];

/// `[[fault]]`, beside `do`.
pub const FAULT: &[Param] = &[
    Param::required("name", Kind::Text, "unique among the faults"),
    Param::optional("when", Kind::Table(WHEN), "when it begins; default: before the gateways start"),
];

/// `[[fix.also]]`, beside `do`.
pub const REMEDY: &[Param] = &[
    Param::optional("name", Kind::Text, "default: the word and its number, `mss-clamp-1`"),
    Param::optional("when", Kind::Table(WHEN), "when it begins; default: before the gateways start"),
];

/// `[[traffic]]`, beside `do`.
pub const TRAFFIC: &[Param] = &[
    Param::optional("name", Kind::Text, "unique among the steps; default: the word and its number, `ping-1`"),
    Param::default("background", Kind::Bool, "false", "the next step does not wait for this one"),
];

/// `[[expect]]`, beside `symptom`.
pub const EXPECT: &[Param] =
    &[Param::default("persists", Kind::Bool, "false", "may also be seen on the fixed side; only in a failure's `[[expect]]`")];

/// `[[fix.expect]]`, beside `symptom`.
pub const FIX_EXPECT: &[Param] = &[];

/// `[fix]`, beside `gateway`, `also` and `expect`.
pub const FIX: &[Param] = &[
    Param::required("about", Kind::Text, "what the repair does, in words"),
    Param::default("without", Kind::List(&Kind::Fault), "[]", "faults that the repair removes; the others stay"),
];

/// Top-level keys.
pub const TOP: &[&str] = &["scenario", "network", "health", "gateway", "service", "fault", "traffic", "expect", "fix"];
