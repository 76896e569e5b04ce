//! What must go on while a side runs: the gateways' daemons, the services, our own tasks. An end or a silence that neither a fault nor a
//! step of the plan asked for makes the side inconclusive, whatever was seen: the first one is remembered.

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use peer::{DriverError, is_shortage};

use super::drivers;
use super::outcome::{Trouble, Whose};
use crate::time::Timestamp;

/// What is known of the side's daemons, services and tasks.
pub struct Lives {
    /// Implementation of each gateway.
    players: BTreeMap<String, String>,
    begun: Timestamp,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// Gateways that a fault has taken down.
    down: BTreeSet<String>,
    /// Gateways that can no longer answer.
    mute: BTreeSet<String>,
    trouble: Option<Trouble>,
}

impl Lives {
    /// All are alive. `begun`: when the side began.
    pub fn new(players: BTreeMap<String, String>, begun: Timestamp) -> Lives {
        Lives { players, begun, state: RefCell::default() }
    }

    /// A fault of the plan is about to end the daemon.
    pub fn asked(&self, gateway: &str) {
        self.state.borrow_mut().down.insert(gateway.to_owned());
    }

    /// And has started it again.
    pub fn back(&self, gateway: &str) {
        self.state.borrow_mut().down.remove(gateway);
    }

    /// Has a fault ended the daemon?
    pub fn is_down(&self, gateway: &str) -> bool {
        self.state.borrow().down.contains(gateway)
    }

    /// Is there no use in asking the daemon anything?
    pub fn is_mute(&self, gateway: &str) -> bool {
        self.state.borrow().mute.contains(gateway)
    }

    /// The first trouble.
    pub fn trouble(&self) -> Ref<'_, Option<Trouble>> {
        Ref::map(self.state.borrow(), |s| &s.trouble)
    }

    /// A daemon ended. `killed`: by a signal that no process gets for its own mistakes.
    pub fn ended(&self, gateway: &str, status: &str, killed: bool, last: &[String], at: Timestamp) {
        let how = if self.is_down(gateway) {
            "when a fault of the scenario ended it".to_owned()
        } else {
            format!("{}, which nothing in the scenario asked for", self.since(at))
        };
        let said = if last.is_empty() { "it said nothing".to_owned() } else { format!("its last lines: {}", last.join(" ⏎ ")) };
        let whose = if killed { Whose::Outside } else { self.whose(gateway) };
        // "panicked: …" is a sentence already.
        let verb = if ["signal", "exit status"].iter().any(|begin| status.starts_with(begin)) { "ended with " } else { "ended: " };
        self.mute(gateway);
        self.fail(Trouble { whose, text: format!("{} {verb}{status} {how}; {said}", self.daemon(gateway)) });
    }

    /// A signal has stopped a daemon, or has for a while.
    pub fn stopped(&self, gateway: &str, signal: &str, at: Timestamp) {
        let text = format!("{} was stopped by {signal} {}, which nothing in the scenario asked for", self.daemon(gateway), self.since(at));
        self.mute(gateway);
        self.fail(Trouble { whose: Whose::Outside, text });
    }

    /// A daemon that should have answered did not.
    pub fn failed(&self, gateway: &str, e: &DriverError) {
        let text = match e {
            DriverError::Timeout { condition, waited, last, .. } => {
                let waited = if waited.is_zero() { String::new() } else { format!(" {} s", waited.as_secs_f64()) };
                format!("{} hangs: waited{waited} in vain for {condition}; its last line: {last}", self.daemon(gateway))
            }
            _ => format!("{} failed: {e}", self.daemon(gateway)),
        };
        self.mute(gateway);
        self.fail(Trouble { whose: self.whose(gateway), text });
    }

    /// A service ended by itself.
    pub fn service_ended(&self, service: &str, e: &io::Error) {
        let whose = if is_shortage(e) { Whose::Machine } else { Whose::Us };
        self.fail(Trouble { whose, text: format!("service `{service}` ended, which nothing in the scenario asked for: {e}") });
    }

    /// A task or a thread of ours ended in a panic.
    pub fn task_died(&self, why: &str) {
        self.fail(Trouble { whose: Whose::Us, text: format!("a task of faultlab was given up: {why}") });
    }

    fn mute(&self, gateway: &str) {
        self.state.borrow_mut().mute.insert(gateway.to_owned());
    }

    fn fail(&self, trouble: Trouble) {
        self.state.borrow_mut().trouble.get_or_insert(trouble);
    }

    fn daemon(&self, gateway: &str) -> String {
        let player = self.players.get(gateway).map_or("of nobody", String::as_str);
        format!("{gateway}'s daemon ({player})")
    }

    /// Whose fault it is when a gateway fails by itself. The default implementation is our own.
    fn whose(&self, gateway: &str) -> Whose {
        let own = self.players.get(gateway).is_some_and(|player| drivers::is_default(player));
        if own { Whose::Us } else { Whose::Peer }
    }

    fn since(&self, at: Timestamp) -> String {
        let since: Duration = at.since(self.begun);
        format!("{:.1} s after the start", since.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives() -> Lives {
        let players = [("west", "inhouse"), ("east", "strongswan")].map(|(g, i)| (g.to_owned(), i.to_owned()));
        Lives::new(players.into(), Timestamp(0))
    }

    fn told(lives: &Lives) -> (Whose, String) {
        let trouble = lives.trouble().clone().unwrap();
        (trouble.whose, trouble.text)
    }

    const AT: Timestamp = Timestamp(3_210_000_000);

    #[test]
    fn an_end_that_nothing_asked_for_tells_how_when_and_what_was_said_last() {
        let lives = lives();
        lives.ended("east", "signal 9 (SIGKILL)", true, &["one".into(), "two".into()], AT);
        let text = "east's daemon (strongswan) ended with signal 9 (SIGKILL) 3.2 s after the start, which nothing in the scenario asked for; \
                    its last lines: one ⏎ two";
        assert_eq!(told(&lives), (Whose::Outside, text.to_owned()));
        assert!(lives.is_mute("east") && !lives.is_mute("west"));
    }

    #[test]
    fn a_crash_is_the_implementations_and_a_panic_our_own() {
        let east = lives();
        east.ended("east", "signal 11 (SIGSEGV)", false, &[], AT);
        assert_eq!(told(&east).0, Whose::Peer);
        let west = lives();
        west.ended("west", "panicked: as asked for", false, &[], AT);
        let (whose, text) = told(&west);
        assert!(whose == Whose::Us && text.contains("ended: panicked: as asked for 3.2 s"), "{text}");
    }

    #[test]
    fn the_first_trouble_is_told() {
        let lives = lives();
        lives.ended("east", "exit status 1", false, &[], AT);
        lives.stopped("west", "signal 19", AT);
        assert!(told(&lives).1.starts_with("east's daemon (strongswan) ended with exit status 1"));
    }

    #[test]
    fn a_crash_at_an_end_that_was_asked_for_says_so() {
        let lives = lives();
        lives.asked("east");
        lives.ended("east", "signal 6 (SIGABRT)", false, &[], AT);
        assert!(told(&lives).1.contains("when a fault of the scenario ended it"));
        lives.back("east");
        assert!(!lives.is_down("east"));
    }

    #[test]
    fn silence_is_a_hang() {
        let lives = lives();
        let waited = Duration::from_secs(10);
        lives
            .failed("east", &DriverError::Timeout { gateway: "east".into(), condition: "an answer".into(), waited, last: "loaded".into() });
        assert_eq!(
            told(&lives),
            (Whose::Peer, "east's daemon (strongswan) hangs: waited 10 s in vain for an answer; its last line: loaded".into())
        );
    }

    #[test]
    fn services_and_tasks_are_ours_or_the_machines() {
        for (error, whose) in [(io::Error::from_raw_os_error(24), Whose::Machine), (io::Error::other("panicked"), Whose::Us)] {
            let lives = lives();
            lives.service_ended("web", &error);
            assert_eq!(told(&lives).0, whose);
        }
        let lives = lives();
        lives.task_died("panicked");
        assert_eq!(told(&lives).0, Whose::Us);
    }
}
