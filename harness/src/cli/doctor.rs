//! `faultlab doctor`: what this machine can run, and what to do about the rest.

use super::exit::{CliError, Exit};
use super::print;
use crate::run::drivers;
use crate::run::worlds::{Inventory, Worlds};
use crate::world::pocket;
use crate::world::probe::{Feature, features};

/// Prints the findings; the exit code tells whether scenarios can run at all.
pub async fn doctor() -> Result<Exit, CliError> {
    let mut out = String::new();
    let found = features();
    out.push_str("kernel and privilege\n");
    for f in &found {
        out.push_str(&line(f));
    }
    out.push_str("\ngateway implementations in the host world\n");
    let worlds = Worlds::default();
    let mut gateways = implementations(&mut out, &worlds.on_host(&drivers::names()).await);
    out.push_str("\npocket world: a kernel of our own, in virtual time\n");
    let inside = worlds.in_pockets(&drivers::names()).await;
    match inside.and_then(|inventory| Ok((pocket::find()?, inventory))) {
        Ok((kernel, inventory)) => {
            out.push_str(&format!("  ✓ {:<22} {}\n", "kernel", kernel.display()));
            gateways += implementations(&mut out, &inventory);
        }
        Err(missing) => out.push_str(&format!("  – {:<22} {}\n      {}\n", "kernel", missing.what, missing.hint)),
    }
    out.push_str("\ntools for you (the lab does not need them)\n");
    for (tool, package) in [("tshark", "tshark"), ("wireshark", "wireshark"), ("nft", "nftables"), ("ip", "iproute2")] {
        let here = in_path(tool);
        let hint = if here { String::new() } else { format!("apt-get install {package}") };
        out.push_str(&format!("  {} {tool:<22} {hint}\n", if here { "✓" } else { "–" }));
    }
    let able = found.iter().all(|f| f.present || !f.required) && gateways > 0;
    out.push_str(if able { "\nready: faultlab run\n" } else { "\nnot ready: see the lines marked ✗\n" });
    print(&out)?;
    Ok(if able { Exit::Expected } else { Exit::Machine })
}

/// Tells what each implementation can do; returns how many are there.
fn implementations(out: &mut String, inventory: &Inventory) -> usize {
    for driver in drivers::names() {
        match inventory.get(driver) {
            Some(Ok(p)) => {
                let can: Vec<String> =
                    p.capabilities.iter().filter_map(|c| serde_json::to_value(c).ok()?.as_str().map(str::to_owned)).collect();
                out.push_str(&format!("  ✓ {driver:<22} {}; {}; can: {}\n", p.version, p.data_path, can.join(", ")));
            }
            Some(Err(missing)) => out.push_str(&format!("  – {driver:<22} {}\n      {}\n", missing.what, missing.hint)),
            None => out.push_str(&format!("  – {driver:<22} was not asked\n")),
        }
    }
    inventory.values().filter(|p| p.is_ok()).count()
}

fn line(f: &Feature) -> String {
    let mark = match (f.present, f.required) {
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
