//! Private roots bring all they need: with the system's libraries out of the way, every program finds its own, and every daemon starts
//! and loads a connection.
#![allow(clippy::unwrap_used)] // a panic is a failed trial

use std::path::{Path, PathBuf};
use std::process::Command;

use faultlab::run::worlds::Worlds;
use faultlab::world::cell;
use faultlab::world::pocket;
use libtest_mimic::{Arguments, Failed, Trial};
use peer::Home;

/// Implementation, and what of its root is looked at: programs, and folders of plugins.
const ROOTS: [(&str, &[&str]); 3] = [
    ("strongswan", &["/usr/lib/ipsec/charon", "/usr/sbin/swanctl", "/usr/lib/ipsec/plugins"]),
    (
        "libreswan",
        &["/usr/libexec/ipsec/pluto", "/usr/libexec/ipsec/whack", "/usr/libexec/ipsec/addconn", "/usr/bin/certutil", "/usr/bin/pk12util"],
    ),
    ("openiked", &["/usr/sbin/iked", "/usr/sbin/ikectl"]),
];

fn main() {
    cell::entry(faultlab::run::lab::cell_main);
    let arguments = Arguments::from_args();
    let kernel = pocket::find().err().map(|m| m.to_string());
    let trials = ROOTS.iter().flat_map(|(name, programs)| {
        let home = Home::candidates(name).into_iter().find(Home::is_private);
        let absent = home.is_none().then(|| format!("no private root of {name}: make peers"));
        let skip = |reason: Option<&String>, what: &str| {
            if let (Some(reason), false) = (reason, arguments.list) {
                eprintln!("roots {what} {name}: skipped({reason})");
            }
            reason.is_some()
        };
        let libraries = skip(absent.as_ref(), "libraries");
        let daemon = skip(absent.as_ref().or(kernel.as_ref()), "daemon");
        [
            Trial::test(format!("{name} finds its libraries in its root"), move || own_libraries(home.as_ref(), programs))
                .with_ignored_flag(libraries),
            Trial::test(format!("{name} starts and loads a connection"), move || starts(&[name])).with_ignored_flag(daemon),
        ]
    });
    let all_there = ROOTS.iter().all(|(name, _)| Home::candidates(name).iter().any(Home::is_private));
    let together = Trial::test("all are asked at once", || starts(&ROOTS.map(|(name, _)| name)));
    let together = together.with_ignored_flag(!all_there || kernel.is_some());
    libtest_mimic::run(&arguments, trials.chain([together]).collect()).exit();
}

/// Asks the loader where it would find each library.
fn own_libraries(home: Option<&Home>, programs: &[&str]) -> Result<(), Failed> {
    let home = home.ok_or("no root")?;
    let root = home.file("/");
    let mut looked_at = 0;
    for file in programs.iter().flat_map(|p| files(&home.file(p))) {
        let seen = Path::new("/").join(file.strip_prefix(&root)?);
        let command = home.command(&seen);
        let command = command.as_std();
        let told = Command::new(command.get_program()).arg("--list").args(command.get_args()).output()?;
        let text = String::from_utf8_lossy(&told.stdout);
        // `libfoo.so.1 => /root/usr/lib/…/libfoo.so.1 (0x…)`, or ` => not found`; the kernel's own object has no file.
        for line in text.lines().filter(|l| l.contains("=>")) {
            let found = line.split_once("=> ").map(|(_, at)| at.trim()).unwrap_or_default();
            if !found.starts_with(&*root.to_string_lossy()) {
                return Err(format!("{}: {}", seen.display(), line.trim()).into());
            }
            looked_at += 1;
        }
        if !told.status.success() {
            return Err(format!("{}: {}{text}", seen.display(), String::from_utf8_lossy(&told.stderr)).into());
        }
    }
    if looked_at > 0 { Ok(()) } else { Err("the loader named no library".into()) }
}

/// A file, or the files of a folder.
fn files(path: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.filter_map(|e| Some(e.ok()?.path())).collect(),
        Err(_) => vec![path.to_owned()],
    }
}

/// The probe starts daemons in a pocket, where `/usr` and `/etc` are their root's, and loads a connection into each. All want the same
/// ports.
fn starts(names: &[&str]) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(Worlds::default().in_pockets(names)).map_err(|m| m.to_string())?;
    for name in names {
        match found.get(*name) {
            Some(Ok(_)) => {}
            Some(Err(missing)) => return Err(missing.to_string().into()),
            None => return Err(format!("{name} was not asked").into()),
        }
    }
    Ok(())
}
