//! `faultlab shell`: it enters the cell that was kept and nothing else, passes on how its command ends, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

mod processes;

use processes::{Process, all, binary, pid, until};

/// How long conditions are waited for.
const LIMIT: Duration = Duration::from_secs(30);

fn main() {
    let arguments = Arguments::from_args();
    let able = Command::new(binary()).arg("doctor").output().is_ok_and(|o| o.status.success());
    if !able && !arguments.list {
        eprintln!("shell: skipped(this machine cannot run cells or has no gateway; see `faultlab doctor`)");
    }
    // They share one kept cell.
    let trial = Trial::test("a_kept_cell_is_entered", || {
        let cell = KeptCell::begin()?;
        statuses(&cell)?;
        other_processes_are_not_entered(&cell)?;
        a_killed_shell_leaves_nothing(&cell)?;
        cell.end_and_refuse()
    });
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(!able)]).exit();
}

/// A run that is being kept, and the folder of its only side.
struct KeptCell {
    run: Child,
    folder: tempfile::TempDir,
    side: PathBuf,
}

impl KeptCell {
    fn begin() -> Result<KeptCell, Failed> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(binary());
        command.args(["run", "ok-v2-psk", "--pair", "inhouse:inhouse", "--keep", "--evidence"]).arg(folder.path());
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let lines = BufReader::new(run.stderr.take().ok_or("no pipe")?).lines();
        let mut said = String::new();
        for line in lines.map_while(Result::ok) {
            if let Some(rest) = line.split_once("faultlab shell ").map(|(_, rest)| rest) {
                let side = PathBuf::from(rest.trim_end_matches(" NODE"));
                return Ok(KeptCell { run, folder, side });
            }
            said += &line;
        }
        let _ = run.kill();
        run.wait()?;
        Err(said.into())
    }

    fn shell(&self, dir: &Path, command: &[&str]) -> Command {
        let mut shell = Command::new(binary());
        shell.arg("shell").arg(dir).arg("west").args(command).stdin(Stdio::null());
        shell
    }

    fn says(&self, dir: &Path, command: &[&str], code: i32) -> Result<String, Failed> {
        let Output { status, stdout, stderr } = self.shell(dir, command).output()?;
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        if status.code() == Some(code) { Ok(text) } else { Err(format!("{command:?}: {status}, not {code}: {text}").into()) }
    }

    /// A folder whose cell file differs from the real one.
    fn forged(&self, change: impl FnOnce(&mut Value)) -> Result<tempfile::TempDir, Failed> {
        let mut cell: Value = serde_json::from_slice(&std::fs::read(self.side.join("cell.json"))?)?;
        change(&mut cell);
        let folder = tempfile::tempdir_in(self.folder.path())?;
        std::fs::write(folder.path().join("cell.json"), cell.to_string())?;
        Ok(folder)
    }

    /// What has ended is not entered, though its file is still there.
    fn end_and_refuse(mut self) -> Result<(), Failed> {
        let stale = self.forged(|_| {})?;
        self.run.kill()?;
        self.run.wait()?;
        let text = self.says(stale.path(), &["true"], 2)?;
        if text.contains("faultlab run ID --keep") { Ok(()) } else { Err(text.into()) }
    }
}

impl Drop for KeptCell {
    fn drop(&mut self) {
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

fn statuses(cell: &KeptCell) -> Result<(), Failed> {
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "exit 2"], 2),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["no-such-program"], 127),
    ] {
        cell.says(&cell.side, command, code)?;
    }
    let text = cell.says(&cell.side, &["cat", "/proc/net/dev"], 0)?;
    if text.contains("wan") { Ok(()) } else { Err(format!("no interface of west: {text}").into()) }
}

/// Files that lead to processes of the host: stale ones, whose number somebody else has, and made-up ones.
fn other_processes_are_not_entered(cell: &KeptCell) -> Result<(), Failed> {
    use std::os::unix::fs::MetadataExt;
    let own = std::process::id();
    let started = all()?.iter().find(|p| p.pid == own).map(|p| p.started).ok_or("not there")?;
    let inode = |what: &str| std::fs::metadata(format!("/proc/self/{what}")).map(|m| m.ino());
    let net = std::fs::File::open("/proc/self/ns/net")?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&net);
    let namespaces = json!({ "user": inode("ns/user")?, "pid": inode("ns/pid")?, "mnt": inode("ns/mnt")? });
    let nodes = json!({ "west": { "fd": fd, "inode": inode("ns/net")? } });
    let files = [
        ("another process", cell.forged(|c| c["pid"] = own.into())?),
        ("another beginning", cell.forged(|c| c["started"] = 1.into())?),
        ("another network", cell.forged(|c| c["nodes"]["west"]["inode"] = 1.into())?),
        ("all of the host", cell.forged(|c| *c = json!({ "pid": own, "started": started, "namespaces": namespaces, "nodes": nodes }))?),
        ("a process that says it is a cell", cell.forged(|_| {})?),
    ];
    for (what, folder) in &files[..4] {
        let mark = folder.path().join("ran");
        cell.says(folder.path(), &["touch", &mark.display().to_string()], 2).map_err(|e| format!("{what}: {e:?}"))?;
        if mark.exists() {
            return Err(format!("{what}: the command ran").into());
        }
    }
    pretender(cell, &files[4].1)
}

/// A process with the name of a cell's first one, in the host's namespaces.
fn pretender(cell: &KeptCell, folder: &tempfile::TempDir) -> Result<(), Failed> {
    use std::os::unix::fs::MetadataExt;
    // Its second word is that of a cell; without orders it waits.
    let script = "exec 3</proc/self/ns/net; exec sh __cell";
    let pretending = folder.path().join("__cell");
    std::fs::write(&pretending, "read forever\n")?;
    let mut command = Command::new("sh");
    let mut child = command.args(["-c", script]).current_dir(folder.path()).stdin(Stdio::piped()).spawn()?;
    let ready = until(LIMIT, "it pretends", || {
        let line = std::fs::read(format!("/proc/{}/cmdline", child.id()))?;
        Ok(line.split(|b| *b == 0).nth(1) == Some(b"__cell"))
    });
    let checked = ready.and_then(|()| {
        let pid = child.id();
        let inode = |what: &str| std::fs::metadata(format!("/proc/{pid}/{what}")).map(|m| m.ino());
        let started = all()?.iter().find(|p| p.pid == pid).map(|p| p.started).ok_or("not there")?;
        let file = json!({ "pid": pid, "started": started,
            "namespaces": { "user": inode("ns/user")?, "pid": inode("ns/pid")?, "mnt": inode("ns/mnt")? },
            "nodes": { "west": { "fd": 3, "inode": inode("fd/3")? } } });
        std::fs::write(folder.path().join("cell.json"), file.to_string())?;
        let text = cell.says(folder.path(), &["true"], 2)?;
        if text.contains("is in no cell") { Ok(()) } else { Err(text.into()) }
    });
    child.kill()?;
    child.wait()?;
    checked
}

fn a_killed_shell_leaves_nothing(cell: &KeptCell) -> Result<(), Failed> {
    // One in a session of its own, one whose parent has gone, one that ignores what can be ignored.
    // No other run of this test sleeps for as long.
    let time = format!("9{}", std::process::id());
    let script = format!("setsid sleep {time} & (sleep {time} &) ; trap '' TERM HUP INT; sleep {time}");
    let line = format!("sleep\0{time}\0");
    let mut shell = cell.shell(&cell.side, &["sh", "-c", &script]).spawn()?;
    let mut sleeping: Vec<Process> = Vec::new();
    let started = until(LIMIT, "the command runs", || {
        let sleeps = |p: &Process| std::fs::read(format!("/proc/{}/cmdline", p.pid)).is_ok_and(|l| l == line.as_bytes());
        sleeping = all()?.into_iter().filter(sleeps).collect();
        Ok(sleeping.len() == 3)
    });
    kill(pid(shell.id()), Signal::SIGKILL)?;
    shell.wait()?;
    started?;
    let same = |p: &Process| sleeping.iter().any(|s| (s.pid, s.started) == (p.pid, p.started));
    let alive = || -> Result<Vec<Process>, Failed> { Ok(all()?.into_iter().filter(same).collect()) };
    let gone = until(LIMIT, "the command has ended", || Ok(alive()?.is_empty()));
    for process in alive()? {
        let _ = kill(pid(process.pid), Signal::SIGKILL);
    }
    gone?;
    // And the cell is as it was.
    cell.says(&cell.side, &["true"], 0).map(drop)
}
