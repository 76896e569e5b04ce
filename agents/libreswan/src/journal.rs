//! Follows the daemon's log: wakes up when it grows, forwards events, collects keys, and lets others wait for statements.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peer::{GatewayEvent, GatewayEventKind, Keys, write_private};
use rustix::fs::inotify;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::families::Families;
use crate::keylog::KeyLog;
use crate::track::Tracker;

/// Statements that come within this time are read together: with its keys the daemon writes hundreds of lines for each exchange,
/// and to wake up for each costs far more than the exchange.
const TOGETHER: Duration = Duration::from_millis(1);
/// How much is read at once.
const PIECE: usize = 64 << 10;

/// The log of all lives of one daemon.
#[derive(Debug, Clone)]
pub(crate) struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    gateway: String,
    families: Families,
    events: UnboundedSender<GatewayEvent>,
    /// Connections whose child went down.
    down: UnboundedSender<String>,
    state: Mutex<State>,
    /// Changes whenever something was read.
    grown: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// Stands where reading goes on.
    file: File,
    /// The last line while it has no end.
    partial: Vec<u8>,
    keys: KeyLog,
    tracker: Tracker,
    listening: bool,
    last: String,
}

impl Journal {
    /// Begins with an empty file.
    pub(crate) fn create(
        path: PathBuf,
        gateway: &str,
        families: Families,
        events: UnboundedSender<GatewayEvent>,
        down: UnboundedSender<String>,
    ) -> io::Result<Journal> {
        write_private(&path, "")?;
        let state = State {
            file: File::open(&path)?,
            partial: Vec::new(),
            keys: KeyLog::default(),
            tracker: Tracker::default(),
            listening: false,
            last: String::new(),
        };
        let (state, grown) = (Mutex::new(state), watch::Sender::default());
        let shared = Shared { path, gateway: gateway.to_owned(), families, events, down, state, grown };
        Ok(Journal(Arc::new(shared)))
    }

    /// Reads on whenever the file grows, until it is aborted.
    pub(crate) fn follow(&self) -> io::Result<tokio::task::JoinHandle<()>> {
        let watcher = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(&watcher, &self.0.path, inotify::WatchFlags::MODIFY)?;
        // Not a pipe, but a descriptor that is read like one.
        let watcher = pipe::Receiver::from_owned_fd_unchecked(watcher)?;
        let journal = self.clone();
        Ok(tokio::spawn(async move {
            // An error would be the end of the file system; whoever waits for a statement then meets his deadline.
            while wait(&watcher).await.is_ok() {
                tokio::time::sleep(TOGETHER).await;
                journal.catch_up();
            }
        }))
    }

    /// Reads what the daemon has written until now.
    pub(crate) fn catch_up(&self) {
        let mut state = self.state();
        let new = rest(&mut state.file);
        if new.is_empty() {
            return;
        }
        for part in new.split_inclusive(|b| *b == b'\n') {
            state.partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut state.partial);
                self.line(&mut state, String::from_utf8_lossy(&line).trim_end_matches('\n'));
            }
        }
        drop(state);
        self.0.grown.send_modify(|n| *n += 1);
    }

    fn line(&self, state: &mut State, line: &str) {
        // `Nov 24 03:34:22.720924: text`
        let Some((_, text)) = line.split_once(": ") else { return };
        if let Some(detail) = text.strip_prefix("| ") {
            state.keys.say(detail);
            return;
        }
        state.last = line.to_owned();
        state.listening |= text == "listening for IKE messages";
        let Some(mut what) = state.tracker.say(text) else { return };
        if let GatewayEventKind::ChildDown { connection, .. } = &what
            && !state.tracker.connection(connection).is_some_and(|c| c.is_up())
        {
            // Nobody listens any more when the gateway is being dropped.
            let _ = self.0.down.send(connection.clone());
        }
        self.0.families.adopt(&mut what);
        let _ = self.0.events.send(GatewayEvent { gateway: self.0.gateway.clone(), what });
    }

    /// Everything that belongs to the daemon's last life is over.
    pub(crate) fn new_life(&self) {
        self.catch_up();
        let mut state = self.state();
        state.keys.restart();
        (state.tracker, state.listening) = (Tracker::default(), false);
    }

    /// Keys of all lives, complete at the time of the call.
    pub(crate) fn keys(&self) -> Keys {
        self.catch_up();
        self.state().keys.keys().clone()
    }

    /// The last statement that was not debugging output.
    pub(crate) fn last(&self) -> String {
        self.catch_up();
        let last = self.state().last.clone();
        if last.is_empty() { "nothing logged".into() } else { last }
    }

    /// Asks something about the connections.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Tracker) -> T) -> T {
        self.catch_up();
        question(&self.state().tracker)
    }

    /// Waits until `answer` has one.
    pub(crate) async fn until<T>(&self, mut answer: impl FnMut(&Tracker) -> Option<T>) -> T {
        self.wait(|state| answer(&state.tracker)).await
    }

    /// Waits until the daemon listens, which it does after it has begun to serve its control socket.
    pub(crate) async fn until_listening(&self) {
        self.wait(|state| state.listening.then_some(())).await
    }

    async fn wait<T>(&self, mut answer: impl FnMut(&State) -> Option<T>) -> T {
        let mut grown = self.0.grown.subscribe();
        loop {
            grown.mark_unchanged();
            self.catch_up();
            if let Some(found) = answer(&self.state()) {
                return found;
            }
            if grown.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a file has beyond what was read. An unreadable log tells nothing; waits for its statements end at their deadlines.
fn rest(file: &mut File) -> Vec<u8> {
    let mut new = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        // Not `read_to_end`, which asks for the size before and reads once more after: four system calls where mostly one is enough.
        match file.read(&mut piece) {
            Ok(length) => {
                new.extend_from_slice(piece.get(..length).unwrap_or_default());
                if length < PIECE {
                    return new;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return new,
        }
    }
}

/// Waits for the next change and forgets what it was.
async fn wait(watcher: &pipe::Receiver) -> io::Result<()> {
    let mut told = [0; 4096];
    loop {
        watcher.readable().await?;
        match watcher.try_read(&mut told) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            read => return read.map(|_| ()),
        }
    }
}
