//! The traffic and service vocabularies: `do.<word> = { … }` in `[[traffic]]` and `[[service]]`.

use crate::schema::{Kind, Param, Word};

/// Traffic actions, in documentation order.
pub const WORDS: &[Word] = &[
    Word {
        name: "initiate",
        doc: "Asks a gateway to bring its tunnel up and waits until it is up, refused, given up, or the deadline passes.",
        params: &[
            Param::required("gateway", Kind::Gateway, "who starts"),
            Param::optional("peer", Kind::Gateway, "towards whom, when it has several peers"),
            Param::default("deadline", Kind::Duration, "\"8s\"", "stop waiting after this long; the attempt goes on"),
        ],
    },
    Word {
        name: "ping",
        doc: "ICMP echo requests.",
        params: &[
            Param::required("from", Kind::Node, "sender"),
            Param::required("to", Kind::Host, "target"),
            Param::default("count", Kind::Int(1, 10_000), "3", "requests"),
            Param::default("interval", Kind::Duration, "\"100ms\"", "between requests"),
            Param::default("size", Kind::Int(0, 65_000), "56", "payload octets"),
            Param::default("df", Kind::Bool, "false", "set Don't Fragment"),
            Param::default("timeout", Kind::Duration, "\"1s\"", "wait for the last answer"),
        ],
    },
    Word {
        name: "tcp",
        doc: "One TCP connection that carries octets up, down or both, checked for integrity. The server runs for as long as the step.",
        params: &[
            Param::required("from", Kind::Node, "client"),
            Param::required("to", Kind::Host, "server"),
            Param::default("port", Kind::Port, "5001", "server's port"),
            Param::default("up", Kind::Int(0, 1_000_000_000), "0", "octets from client to server"),
            Param::default("down", Kind::Int(0, 1_000_000_000), "0", "octets from server to client"),
            Param::default("timeout", Kind::Duration, "\"4s\"", "give up after this long without progress"),
        ],
    },
    Word {
        name: "udp",
        doc: "UDP datagrams, echoed by the other end unless `echo = false`.",
        params: &[
            Param::required("from", Kind::Node, "sender"),
            Param::required("to", Kind::Host, "receiver"),
            Param::default("port", Kind::Port, "5002", "receiver's port"),
            Param::default("count", Kind::Int(1, 100_000), "3", "datagrams"),
            Param::default("interval", Kind::Duration, "\"100ms\"", "between datagrams"),
            Param::default("size", Kind::Int(16, 65_000), "64", "payload octets"),
            Param::default("echo", Kind::Bool, "true", "the receiver sends each one back"),
            Param::default("timeout", Kind::Duration, "\"1s\"", "wait for the last answer (or arrival)"),
        ],
    },
    Word {
        name: "dns",
        doc: "Asks a DNS server for an address.",
        params: &[
            Param::required("from", Kind::Node, "client"),
            Param::required("server", Kind::Host, "server"),
            Param::required("name", Kind::Text, "what is looked up"),
            Param::default("tries", Kind::Int(1, 10), "2", "queries before giving up"),
            Param::default("timeout", Kind::Duration, "\"1s\"", "wait per query"),
        ],
    },
    Word {
        name: "http",
        doc: "HTTP GET.",
        params: &[
            Param::required("from", Kind::Node, "client"),
            Param::required("to", Kind::Host, "server"),
            Param::default("port", Kind::Port, "80", "server's port"),
            Param::default("path", Kind::Text, "\"/\"", "what is asked for"),
            Param::default("timeout", Kind::Duration, "\"4s\"", "give up after this long"),
        ],
    },
    Word {
        name: "idle",
        doc: "Lets time pass without traffic (a protocol timer is what is being tested).",
        params: &[Param::required("for", Kind::Duration, "how long")],
    },
    Word {
        name: "await",
        doc: "Waits until a packet has been seen.",
        params: &[
            Param::required("match", Kind::Filter, "which packet"),
            Param::required("at", Kind::Tap, "where"),
            Param::default("deadline", Kind::Duration, "\"8s\"", "go on without it after this long"),
        ],
    },
];

/// Services, in documentation order. They run on their node from the start until stopped.
pub const SERVICES: &[Word] = &[
    Word {
        name: "dns",
        doc: "DNS server on UDP/53.",
        params: &[
            Param::required("at", Kind::Node, "node it runs on"),
            Param::default("names", Kind::List(&Kind::Text), "[]", "`name=address` pairs it knows; for others it answers NXDOMAIN"),
        ],
    },
    Word {
        name: "http",
        doc: "HTTP service.",
        params: &[
            Param::required("at", Kind::Node, "node it runs on"),
            Param::default("port", Kind::Port, "80", "port"),
            Param::default("status", Kind::Int(100, 599), "200", "status code of every answer"),
            Param::default("size", Kind::Int(0, 10_000_000), "256", "octets of the answer's body"),
        ],
    },
];
