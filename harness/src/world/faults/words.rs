//! The fault vocabulary: `do.<word> = { … }` in `[[fault]]` and `[[fix.also]]`.

use crate::schema::{Kind, Param, Word};

const HOOKS: Kind = Kind::Word(&["any", "in", "forward", "out"]);

const WHICH: Param = Param::optional(
    "which",
    Kind::Count,
    "which of the matching packets, numbered from 1 as they pass once the rule is there: `1` only the first, `3` only the third, `\"2..4\"`, `\">= 3\"` all from the third on; default: all",
);

/// All faults, in documentation order.
pub const WORDS: &[Word] = &[
    Word {
        name: "drop",
        doc: "Silently discards matching packets at a node. Proof: the rule's counter moved.",
        params: &[
            Param::required("at", Kind::Node, "node whose packet filter gets the rule"),
            Param::required("match", Kind::Filter, "which packets; only fields that a kernel rule can test"),
            Param::default(
                "hook",
                HOOKS,
                "\"any\"",
                "where in the node's path: received for itself (`in`), passing (`forward`), sent by itself (`out`), or all",
            ),
            WHICH,
        ],
    },
    Word {
        name: "reject",
        doc: "Discards matching packets at a node and tells the sender. Proof: the rule's counter moved.",
        params: &[
            Param::required("at", Kind::Node, "node whose packet filter gets the rule"),
            Param::required("match", Kind::Filter, "which packets; only fields that a kernel rule can test"),
            Param::default("hook", HOOKS, "\"any\"", "where in the node's path"),
            Param::default(
                "with",
                Kind::Word(&["port-unreachable", "host-unreachable", "admin-prohibited", "tcp-reset"]),
                "\"port-unreachable\"",
                "what the sender is told",
            ),
            WHICH,
        ],
    },
    Word {
        name: "link-mtu",
        doc: "Gives a link a smaller MTU. Proof: both ends read back, and a larger packet was seen before the link and not behind it.",
        params: &[Param::required("at", Kind::Tap, "either end of the link"), Param::required("mtu", Kind::Int(68, 9000), "octets")],
    },
    Word {
        name: "link-down",
        doc: "Takes a link down. Proof: the operational state read back.",
        params: &[Param::required("at", Kind::Tap, "either end of the link")],
    },
    Word {
        name: "icmp-errors-off",
        doc: "Keeps a node from sending ICMP errors. Proof: the rule's counter moved.",
        params: &[
            Param::required("at", Kind::Node, "node that keeps silent"),
            Param::default("kinds", Kind::Word(&["too-big", "all"]), "\"all\"", "`too-big`: only fragmentation needed / packet too big"),
        ],
    },
    Word {
        name: "nat",
        doc: "Translates source address and port of what leaves a node. Proof: one packet seen inside and, with another source, outside.",
        params: &[
            Param::required("at", Kind::Node, "node that translates"),
            Param::required("outside", Kind::Tap, "its public interface"),
            Param::optional("ports", Kind::Ports, "external ports to use, e.g. `\"1024-2000\"`"),
            Param::default("random", Kind::Bool, "false", "choose external ports at random"),
        ],
    },
    Word {
        name: "nat-timeout",
        doc: "Makes a node forget idle UDP mappings early. Proof: the kernel's value read back, and a mapping that was there is gone.",
        params: &[Param::required("at", Kind::Node, "node that translates"), Param::required("udp", Kind::Seconds, "idle time")],
    },
    Word {
        name: "nat-flush",
        doc: "Makes a node forget all mappings now (a rebooted router). Proof: entries before, none after.",
        params: &[Param::required("at", Kind::Node, "node that translates")],
    },
    Word {
        name: "route-missing",
        doc: "Removes a route. Proof: the kernel's route lookup fails or leads elsewhere.",
        params: &[
            Param::required("at", Kind::Node, "node that loses the route"),
            Param::required("to", Kind::Prefix, "destination, as in the layout; `0.0.0.0/0` is the default route"),
        ],
    },
    Word {
        name: "route",
        doc: "Adds or replaces a route. Proof: the kernel's route lookup answers with it.",
        params: &[
            Param::required("at", Kind::Node, "node that gets the route"),
            Param::required("to", Kind::Prefix, "destination"),
            Param::required("via", Kind::Addr, "next hop"),
        ],
    },
    Word {
        name: "change-address",
        doc: "An interface loses its addresses and gets another one (the user walks from the Wi-Fi into the mobile network). Proof: packets came from the old address before and none after, and the kernel has only the new one.",
        params: &[
            Param::required("at", Kind::Tap, "the interface"),
            Param::required(
                "to",
                Kind::Addr,
                "its new address, in a subnet of the neighbour's; all others go, those of the other family as well",
            ),
            Param::required("via", Kind::Addr, "the neighbour's address in that subnet: next hop of the default route from then on"),
        ],
    },
    Word {
        name: "forwarding-off",
        doc: "Node does not forward between its interfaces. Proof: the kernel's value read back.",
        params: &[Param::required("at", Kind::Node, "node that should have been configured as a router")],
    },
    Word {
        name: "mss-clamp",
        doc: "Lowers the MSS that passing TCP handshakes announce, both ways. Proof: the rule's counter moved.",
        params: &[
            Param::required("at", Kind::Node, "router that rewrites the option"),
            Param::required("mss", Kind::Int(88, 9000), "octets"),
        ],
    },
    Word {
        name: "service-stop",
        doc: "Stops a service of the scenario. Proof: a probe on the spot is refused.",
        params: &[Param::required("service", Kind::Text, "its name")],
    },
    Word {
        name: "service-status",
        doc: "An HTTP service answers every request with another status. Proof: a probe on the spot gets it.",
        params: &[Param::required("service", Kind::Text, "its name"), Param::required("status", Kind::Int(100, 599), "status code")],
    },
    Word {
        name: "daemon-kill",
        doc: "Kills a gateway's daemon: no goodbye to its peers. Proof: the process is gone.",
        params: &[Param::required("at", Kind::Gateway, "whose daemon")],
    },
    Word {
        name: "daemon-stop",
        doc: "Ends a gateway's daemon in good order. Proof: the process is gone. A daemon that crashes meanwhile, or does not end, makes the side inconclusive, as does any end that no fault asked for.",
        params: &[Param::required("at", Kind::Gateway, "whose daemon")],
    },
    Word {
        name: "daemon-restart",
        doc: "Kills a gateway's daemon, makes the kernel forget its SAs, and starts the daemon again, as after a power cut. Proof: a new process answers and knows no SA.",
        params: &[Param::required("at", Kind::Gateway, "whose daemon")],
    },
    Word {
        name: "ike-flood",
        doc: "Sends IKE_SA_INIT requests that nobody means to go on with, each with an SPI and a key of its own. When it begins at the start, the traffic waits for its end. Proof: all of them arrived at the gateway.",
        params: &[
            Param::required("from", Kind::Node, "who sends them; its provider must not look at sources"),
            Param::required("to", Kind::Gateway, "the victim; what is offered is what it accepts from its first peer"),
            Param::optional("sources", Kind::Prefix, "forged source addresses, used in turn; default: the sender's own"),
            Param::default("count", Kind::Int(1, 1000), "40", "requests"),
            Param::default("interval", Kind::Duration, "\"5ms\"", "between requests"),
        ],
    },
    Word {
        name: "config",
        doc: "One gateway's settings differ. Proof: the daemon confirmed that it loaded them.",
        params: &[
            Param::required("at", Kind::Gateway, "whose settings"),
            Param::required("set", Kind::Table(crate::scenario::gateway::PARAMS), "the settings that differ, as in `[gateway.<name>]`"),
        ],
    },
];
