//! `faultlab doctor`: what this machine can run, and what to do about the rest.

use super::exit::{CliError, Exit};
use super::print;
use crate::run::drivers;
use crate::run::lack::Absent;
use crate::run::worlds::{Inventory, Worlds};
use crate::text;
use crate::world::pocket;
use crate::world::probe::{Feature, features};

/// Tools that are not part of the lab: program, its package, and what needs it.
const TOOLS: [(&str, &str, &str); 6] = [
    ("ip", "iproute2", "libreswan and OpenIKED; and tells what a kernel's IPsec can do"),
    ("tshark", "tshark", "you, and the tests"),
    ("wireshark", "wireshark", "you"),
    ("tcpdump", "tcpdump", "you, in `faultlab shell`"),
    ("ping", "iputils-ping", "you, in `faultlab shell`"),
    ("nft", "nftables", "you, in `faultlab shell`"),
];

/// Prints the findings; the exit code tells whether scenarios can run at all.
pub async fn doctor() -> Result<Exit, CliError> {
    let mut out = String::new();
    let worlds = Worlds::default();
    let on_host = worlds.on_host(&drivers::names()).await;
    let in_pockets = worlds.in_pockets(&drivers::names()).await.and_then(|inventory| Ok((pocket::find()?, inventory)));
    let pocket_gateways = in_pockets.as_ref().map_or(0, |(_, inventory)| present(inventory));
    out.push_str("kernel and privilege\n");
    let found = features();
    for f in &found {
        out.push_str(&line(f, pocket_gateways > 0));
    }
    out.push_str("\ngateway implementations in the host world\n");
    implementations(&mut out, &on_host);
    out.push_str("\npocket world: a kernel of our own, in virtual time\n");
    match &in_pockets {
        Ok((kernel, inventory)) => {
            out.push_str(&format!("  ✓ {:<22} {}\n", "kernel", text::path(kernel)));
            implementations(&mut out, inventory);
        }
        Err(absent) => out.push_str(&without("kernel", absent)),
    }
    out.push_str("\ntools\n");
    for (tool, package, user) in TOOLS {
        let (mark, hint) = if in_path(tool) { ("✓", String::new()) } else { ("–", format!("; apt-get install {package}")) };
        out.push_str(&format!("  {mark} {tool:<22} for {user}{hint}\n"));
    }
    let host = found.iter().all(|f| f.present || !f.required) && present(&on_host) > 0;
    let (verdict, exit) = verdict(host, pocket_gateways > 0);
    out.push_str(&format!("\n{verdict}\n"));
    print(&out)?;
    Ok(exit)
}

/// Returns a line that says what a user can do now.
fn verdict(host: bool, pocket: bool) -> (&'static str, Exit) {
    match (host, pocket) {
        (true, true) => ("ready: faultlab run", Exit::Expected),
        (true, false) => (
            "ready: host world only: faultlab run; what needs the pocket world is skipped (see the lines marked – under `pocket world`)",
            Exit::Expected,
        ),
        (false, true) => (
            "ready: pocket world only: faultlab run; for the host world run as root, or allow what the lines marked – under `kernel and privilege` say",
            Exit::Expected,
        ),
        (false, false) => ("not ready: see the lines marked ✗", Exit::Machine),
    }
}

/// Counts the implementations that are there.
fn present(inventory: &Inventory) -> usize {
    inventory.values().filter(|p| p.is_ok()).count()
}

/// Tells what each implementation can do.
fn implementations(out: &mut String, inventory: &Inventory) {
    let mut answers = inventory.values();
    if let Some(Err(first)) = answers.next()
        && answers.all(|other| other.as_ref() == Err(first))
    {
        out.push_str(&without("none", first));
        return;
    }
    for driver in drivers::names() {
        match inventory.get(driver) {
            Some(Ok(p)) => {
                let can: Vec<String> =
                    p.capabilities.iter().filter_map(|c| serde_json::to_value(c).ok()?.as_str().map(str::to_owned)).collect();
                out.push_str(&format!("  ✓ {driver:<22} {}; {}; can: {}\n", p.version, p.data_path, can.join(", ")));
            }
            Some(Err(absent)) => out.push_str(&without(driver, absent)),
            None => out.push_str(&format!("  – {driver:<22} was not asked\n")),
        }
    }
}

/// Tells why something cannot be used, and what to do.
fn without(name: &str, absent: &Absent) -> String {
    match absent {
        Absent::Missing(missing) => format!("  – {name:<22} {}\n      {}\n", missing.what, missing.hint),
        Absent::Failed(trouble) => {
            format!(
                "  ? {name:<22} nobody knows: {}\n      ask again when the machine is at rest\n",
                trouble.text.replace('\n', "\n      ")
            )
        }
    }
}

/// `elsewhere`: without it there is another world.
fn line(f: &Feature, elsewhere: bool) -> String {
    let mark = match (f.present, f.required && !elsewhere) {
        (true, _) => "✓",
        (false, true) => "✗",
        (false, false) => "–",
    };
    format!("  {mark} {:<22} {}\n", f.name, f.detail)
}

fn in_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(tool).is_file())
}
