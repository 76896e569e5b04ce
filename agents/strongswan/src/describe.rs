//! `list-sas` and counters as text for people.

use std::fmt::Write;

use crate::vici::Node;

/// An indented listing: `name: value`, sections by indentation.
pub(crate) fn text(node: &Node) -> String {
    let mut out = String::new();
    write_entries(&mut out, node, 0);
    out
}

fn write_entries(out: &mut String, node: &Node, depth: usize) {
    for (name, value) in node.entries() {
        let pad = 2 * depth;
        // Writing to a String cannot fail.
        let _ = match value {
            Node::Text(text) => writeln!(out, "{:pad$}{name}: {text}", ""),
            Node::List(items) => writeln!(out, "{:pad$}{name}: {}", "", items.join(", ")),
            Node::Section(_) => writeln!(out, "{:pad$}{name}", ""),
        };
        write_entries(out, value, depth + 1);
    }
}
