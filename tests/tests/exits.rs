//! The README's table of exit codes, walked row by row for every command.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod processes;

use processes::binary;

/// A quick scenario that every world can play.
const WHAT: &str = "ok-v2-psk";
const PAIR: [&str; 2] = ["--pair", "inhouse:inhouse"];
const HOST: [&str; 4] = ["--worlds", "host", "--pairs", "inhouse:inhouse"];

/// What a case needs, so that it is left out where that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Cells,
    /// A file system of its own.
    Root,
    RootAndPocket,
}

/// Where a stream goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Full {
    Neither,
    Stdout,
    Stderr,
}

struct Case {
    code: i32,
    command: &'static str,
    what: &'static str,
    args: Vec<OsString>,
    needs: Needs,
    full: Full,
    /// Options of a tmpfs that is mounted on the folder `small` before.
    small: Option<&'static str>,
    kernel: Option<&'static str>,
}

impl Case {
    fn of(code: i32, command: &'static str, what: &'static str, args: &[&dyn AsRef<std::ffi::OsStr>]) -> Case {
        let args = command.split(' ').map(OsString::from).chain(args.iter().map(|a| a.as_ref().to_owned())).collect();
        Case { code, command, what, args, needs: Needs::Nothing, full: Full::Neither, small: None, kernel: None }
    }

    fn needs(self, needs: Needs) -> Case {
        Case { needs, ..self }
    }

    fn more(mut self, args: &[&str]) -> Case {
        self.args.extend(args.iter().map(OsString::from));
        self
    }

    fn full(self, full: Full) -> Case {
        Case { full, ..self }
    }

    fn on(self, small: &'static str) -> Case {
        Case { small: Some(small), ..self }
    }
}

/// What the cases use.
struct Stage {
    folder: PathBuf,
    /// The root of this repository.
    root: PathBuf,
}

impl Stage {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn bent(&self) -> PathBuf {
        self.folder.join(OsString::from_vec(b"name\xff".to_vec()))
    }
}

fn good(s: &Stage) -> Vec<Case> {
    use Needs::Cells;
    vec![
        Case::of(0, "doctor", "something can run", &[]).needs(Cells),
        Case::of(0, "list", "all", &[]),
        Case::of(0, "show", "one", &[&WHAT]),
        Case::of(0, "check", "one", &[&WHAT]),
        Case::of(0, "check", "nobody can read what it says", &[&WHAT]).full(Full::Stderr),
        Case::of(0, "explain", "a verdict", &[&"skipped"]),
        Case::of(0, "completions", "a shell", &[&"bash"]),
        Case::of(0, "run", "reproduced", &[&WHAT, &"--world", &"host", &"--evidence", &s.at("run")]).more(&PAIR).needs(Cells),
        Case::of(0, "run", "nobody can read what it says", &[&WHAT, &"--world", &"host", &"--evidence", &s.at("mute")])
            .more(&PAIR)
            .needs(Cells)
            .full(Full::Stderr),
        Case::of(0, "matrix", "as expected", &[&WHAT, &"--out", &s.at("matrix")]).more(&HOST).needs(Cells),
        Case::of(0, "matrix", "nobody can read what it says", &[&WHAT, &"--out", &s.at("mute-matrix")])
            .more(&HOST)
            .needs(Cells)
            .full(Full::Stderr),
        Case::of(0, "matrix merge", "of one", &[&s.at("matrix"), &"--out", &s.at("merged")]).needs(Cells),
        Case::of(0, "packets", "a capture", &[&s.at("capture.pcap")]),
    ]
}

fn unexpected(s: &Stage) -> Vec<Case> {
    let wrong = s.root.join("tests/wrong/missing-symptom.toml");
    vec![
        Case::of(1, "run", "not reproduced", &[&wrong, &"--world", &"host", &"--evidence", &s.at("bad-run")])
            .more(&PAIR)
            .needs(Needs::Cells),
        Case::of(1, "matrix", "unexpected", &[&wrong, &"--out", &s.at("bad-matrix")]).more(&HOST).needs(Needs::Cells),
        Case::of(1, "matrix merge", "of an unexpected one", &[&s.at("bad-matrix"), &"--out", &s.at("bad-merged")]).needs(Needs::Cells),
    ]
}

fn wrong(s: &Stage) -> Vec<Case> {
    let (bent, taken, nowhere) = (s.bent(), s.at("taken"), s.at("nowhere"));
    vec![
        Case::of(2, "doctor", "an unknown option", &[&"--moon"]),
        Case::of(2, "list", "an unknown scenario", &[&"psk-mismatch-v3"]),
        Case::of(2, "show", "an unknown scenario", &[&"psk-mismatch-v3"]),
        Case::of(2, "check", "no such file", &[&s.at("nowhere.toml")]),
        Case::of(2, "explain", "a typo", &[&"retransmision"]),
        Case::of(2, "explain", "a typo that nobody can read of", &[&"retransmision"]).full(Full::Stderr),
        Case::of(2, "completions", "an unknown shell", &[&"clam"]),
        Case::of(2, "packets", "no such capture", &[&nowhere]),
        Case::of(2, "packets", "no filter", &[&s.at("capture.pcap"), &"ip.scr == 1.2.3.4"]),
        Case::of(2, "shell", "nothing is kept", &[&s.folder, &"west"]),
        Case::of(2, "run", "an unknown scenario", &[&"psk-mismatch-v3"]),
        Case::of(2, "run", "evidence that is no text", &[&WHAT, &"--evidence", &bent]),
        Case::of(2, "run", "evidence where a file is", &[&WHAT, &"--evidence", &taken]),
        Case::of(2, "matrix", "an unknown scenario", &[&"psk-mismatch-v3"]),
        Case::of(2, "matrix", "results that are no text", &[&WHAT, &"--out", &bent]).more(&HOST),
        Case::of(2, "matrix", "results where a file is", &[&WHAT, &"--out", &taken]).more(&HOST),
        Case::of(2, "matrix", "previous results that are not there", &[&WHAT, &"--previous", &nowhere]).more(&HOST),
        Case::of(2, "matrix merge", "no such shard", &[&nowhere, &"--out", &s.at("new")]),
        Case::of(2, "matrix merge", "results that are no text", &[&s.at("matrix"), &"--out", &bent]),
        Case::of(2, "matrix merge", "results where a file is", &[&s.at("matrix"), &"--out", &taken]).needs(Needs::Cells),
    ]
}

fn machine(s: &Stage) -> Vec<Case> {
    use Needs::{Cells, Nothing, Root, RootAndPocket};
    const NOWHERE: Option<&str> = Some("/nowhere/linux");
    let small = s.at("small/x");
    let mut cases = vec![
        Case { kernel: NOWHERE, ..Case::of(3, "run", "nothing can run", &[&WHAT, &"--world", &"pocket", &"--evidence", &s.at("no-run")]) },
        Case {
            kernel: NOWHERE,
            ..Case::of(3, "matrix", "nothing can run", &[&WHAT, &"--worlds", &"pocket", &"--out", &s.at("no-matrix")]).more(&HOST[2..])
        },
        Case::of(3, "matrix merge", "nothing could run", &[&s.at("no-matrix"), &"--out", &s.at("no-merged")]),
        Case {
            kernel: NOWHERE,
            ..Case::of(3, "matrix", "--strict", &[&WHAT, &"--strict", &"--out", &s.at("strict")]).more(&HOST[2..]).needs(Cells)
        },
        Case::of(3, "matrix merge", "to a disk that cannot be written", &[&s.at("matrix"), &"--out", &small]).needs(Root).on("ro"),
        Case::of(3, "run", "a full disk, pocket", &[&WHAT, &"--world", &"pocket", &"--evidence", &small])
            .more(&PAIR)
            .needs(RootAndPocket)
            .on("size=200k"),
    ];
    for (what, small_options) in [("a disk that cannot be written", "ro"), ("a full disk", "size=200k")] {
        cases.extend([
            Case::of(3, "run", what, &[&WHAT, &"--world", &"host", &"--evidence", &small]).more(&PAIR).needs(Root).on(small_options),
            Case::of(3, "matrix", what, &[&WHAT, &"--out", &small]).more(&HOST).needs(Root).on(small_options),
        ]);
    }
    let capture = s.at("capture.pcap");
    let told: [(&'static str, Vec<&dyn AsRef<std::ffi::OsStr>>, Needs); 9] = [
        ("doctor", vec![], Nothing),
        ("list", vec![], Nothing),
        ("show", vec![&WHAT], Nothing),
        ("explain", vec![&"skipped"], Nothing),
        ("completions", vec![&"bash"], Nothing),
        ("packets", vec![&capture], Nothing),
        ("--help", vec![], Nothing),
        ("run", vec![&WHAT, &"--world", &"host", &"--format", &"json", &"--evidence", &"json-run"], Cells),
        ("matrix", vec![&WHAT, &"--worlds", &"host", &"--pairs", &"inhouse:inhouse", &"--format", &"junit", &"--out", &"junit"], Cells),
    ];
    cases.extend(told.into_iter().map(|(c, args, needs)| Case::of(3, c, "a full stdout", &args).needs(needs).full(Full::Stdout)));
    cases
}

/// Runs a case; `Err`: what is wrong with it.
fn run(case: &Case, stage: &Stage) -> Result<(), String> {
    let mut command = match case.small {
        None => Command::new(binary()),
        Some(options) => {
            // A mount namespace of its own: nothing is left.
            let script = format!("mount -t tmpfs -o {options} none small && exec \"$@\"");
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &script, "sh"]).arg(binary());
            command
        }
    };
    command.args(&case.args).current_dir(&stage.folder).stdin(Stdio::null()).env_remove("FAULTLAB_KERNEL");
    if let Some(kernel) = case.kernel {
        command.env("FAULTLAB_KERNEL", kernel);
    }
    let full = || File::options().write(true).open("/dev/full").map_err(|e| format!("/dev/full: {e}"));
    match case.full {
        Full::Neither => {}
        Full::Stdout => drop(command.stdout(full()?)),
        Full::Stderr => drop(command.stderr(full()?)),
    }
    let out = command.output().map_err(|e| e.to_string())?;
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.code() != Some(case.code) || text.contains("panicked") {
        return Err(format!("{} ({}): {}, not exit code {}: {text}", case.command, case.what, out.status, case.code));
    }
    if case.code == 2 && case.full == Full::Neither && out.stderr.is_empty() {
        return Err(format!("{} ({}) says nothing", case.command, case.what));
    }
    Ok(())
}

/// The rows of the README's table.
fn documented(root: &Path) -> BTreeSet<i32> {
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let table = readme.split("Exit codes").nth(1).expect("a table of exit codes");
    let rows = table.lines().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(1)?.trim().parse().ok()).collect()
}

#[test]
fn every_command_ends_as_the_readme_says() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stage = Stage { folder: folder.path().to_owned(), root: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..") };
    std::fs::create_dir(stage.at("small")).expect("folder");
    std::fs::write(stage.at("taken"), "").expect("file");
    // A capture of one empty packet: there is something to write.
    let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    std::fs::write(stage.at("capture.pcap"), [&header[..], &[0; 16]].concat()).expect("file");

    let cells = Command::new(binary()).arg("doctor").output().is_ok_and(|o| o.status.success());
    let mounts = Command::new("unshare").args(["--mount", "sh", "-c", "mount -t tmpfs none small"]).current_dir(&stage.folder).output();
    let root = cells && mounts.is_ok_and(|o| o.status.success());
    let able = |needs: Needs| match needs {
        Needs::Nothing => true,
        Needs::Cells => cells,
        Needs::Root => root,
        Needs::RootAndPocket => root && faultlab::world::pocket::find().is_ok(),
    };
    let all: Vec<Case> = [good(&stage), unexpected(&stage), wrong(&stage), machine(&stage)].into_iter().flatten().collect();
    let left_out: Vec<&Case> = all.iter().filter(|c| !able(c.needs)).collect();
    if !left_out.is_empty() {
        eprintln!("exits: skipped({} cases need cells, a mount or the pocket kernel)", left_out.len());
    }
    let failed: Vec<String> = all.iter().filter(|c| able(c.needs)).filter_map(|c| run(c, &stage).err()).collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), all.len(), failed.join("\n\n"));

    // 4 is our bug: nobody can ask for one, and cli/exit.rs and run/ended.rs have its rules.
    let mut walked: BTreeSet<i32> = all.iter().map(|c| c.code).collect();
    walked.insert(faultlab::cli::exit::Exit::Bug as i32);
    assert_eq!(documented(&stage.root), walked);
}
