//! Lets the script of a side run while packets and events arrive, and looks whether everything is decided: as rarely as it can,
//! since in virtual time, where silence costs nothing, looks are most of what a side costs.

use std::rc::Rc;
use std::time::Duration;

use peer::GatewayEvent;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attend::{self, Stops};
use super::lab::Lab;
use super::script;
use super::worlds::WorldKind;
use crate::capture::ring::Recorder;
use crate::dissect::{Frame, Record};
use crate::event::What;

/// How often keys are fetched, proofs looked for and expectations looked at.
const TICK: Duration = Duration::from_millis(40);
/// How long proofs of faults are waited for after everything else is decided.
const PROOF_PATIENCE: Duration = Duration::from_millis(1500);

/// How often the supervisor looks. In real time always equally often; in virtual time, where hours of silence must cost
/// nothing, ever more rarely while nothing happens, and not at all while nobody waits for what a look finds.
pub struct Pace {
    tick: Duration,
    slowest: Duration,
    quiet: u32,
    /// Time since the last news.
    silence: Duration,
}

impl Pace {
    /// Looks without news before they become rarer.
    const QUIET: u32 = 2;
    /// After a long silence a look may come later by this part of it, up to a limit.
    const PART: u32 = 100;
    const RAREST: Duration = Duration::from_secs(10);
    /// No look until there is news: longer than any side.
    const NEVER: Duration = Duration::from_secs(30 * 86_400);

    /// For a world.
    pub fn of(world: WorldKind) -> Pace {
        let slowest = match world {
            WorldKind::Host => TICK,
            WorldKind::Pocket => Duration::from_millis(500),
        };
        Pace { tick: TICK, slowest, quiet: 0, silence: Duration::ZERO }
    }

    /// Until the next look. `awaited`: somebody waits for what it finds, so it cannot be left to the next news.
    fn next(&mut self, news: bool, awaited: bool) -> Duration {
        if news {
            self.news();
        } else {
            self.quiet += 1;
            self.silence += self.tick;
            if self.quiet > Pace::QUIET {
                self.tick = (self.tick * 2).min(self.rarest());
            }
        }
        if awaited || self.is_steady() { self.tick } else { Pace::NEVER }
    }

    fn news(&mut self) {
        (self.tick, self.quiet, self.silence) = (TICK, 0, Duration::ZERO);
    }

    fn is_steady(&self) -> bool {
        self.slowest == TICK
    }

    fn rarest(&self) -> Duration {
        if self.is_steady() { TICK } else { (self.silence / Pace::PART).clamp(self.slowest, Pace::RAREST) }
    }

    /// Something has happened: look soon.
    fn hurry(&mut self, mut ticks: std::pin::Pin<&mut tokio::time::Sleep>) {
        self.news();
        let soon = Instant::now() + TICK;
        if ticks.deadline() > soon {
            ticks.as_mut().reset(soon);
        }
    }
}

/// Until everything is decided, the deadline passes, or something ends that nothing asked to end: no evidence can be had from then on.
pub async fn supervise(
    lab: &Rc<Lab>,
    recorder: &Recorder,
    frames: &mut mpsc::UnboundedReceiver<Vec<Frame>>,
    events: &mut mpsc::UnboundedReceiver<GatewayEvent>,
    deadline: Instant,
    mut pace: Pace,
) {
    let script = script::run(Rc::clone(lab));
    tokio::pin!(script);
    let mut script_over: Option<Instant> = None;
    let ticks = tokio::time::sleep(TICK);
    tokio::pin!(ticks);
    let mut stops = Stops::watch(lab);
    let mut known = 0;
    let mut locked = false;
    while lab.lives.trouble().is_none() {
        tokio::select! {
            () = &mut script, if script_over.is_none() => {
                script_over = Some(Instant::now());
                pace.hurry(ticks.as_mut());
            }
            Some(batch) = frames.recv() => {
                locked |= take_frames(lab, batch);
                pace.hurry(ticks.as_mut());
            }
            Some(event) = events.recv() => {
                attend::hear(lab, event);
                pace.hurry(ticks.as_mut());
            }
            () = stops.next() => stops.look(lab),
            () = lab.look.notified() => pace.hurry(ticks.as_mut()),
            () = &mut ticks => {
                attend::tasks_and_services(lab);
                let so_far = lab.ledger.events().len();
                let news = so_far != known;
                known = so_far;
                // Before the script is over, only new exchanges and packets that cannot be read promise new keys.
                if news || locked || (script_over.is_some() && pace.quiet <= Pace::QUIET) {
                    locked = !fetch_keys(lab).await;
                }
                // First the horizon, then what was delivered up to it.
                let now = recorder.horizon();
                while let Ok(batch) = frames.try_recv() {
                    locked |= take_frames(lab, batch);
                }
                lab.captured.set(now);
                lab.arrivals.send_modify(|n| *n += 1);
                let proved = lab.faults.borrow_mut().prove(lab, false);
                let awaited = script_over.is_some() || locked || !proved || now < lab.wanted.get();
                ticks.as_mut().reset(Instant::now() + pace.next(news, awaited));
                // Before, an early decision would save nothing, and each look at all packets so far keeps the probes and services,
                // which share this thread, from their work.
                let Some(over) = script_over else { continue };
                let decided = lab.judge.borrow_mut().look(&lab.ledger.events(), now);
                if decided && (proved || over.elapsed() > PROOF_PATIENCE) {
                    return;
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                let text = format!("the deadline of {} passed before everything was decided", humantime::format_duration(lab.plan.deadline));
                lab.ledger.emit(What::Note { text });
                return;
            }
        }
    }
}

/// Returns whether keys may be missing: of an exchange that was just seen, or of ESP that could not be read.
fn take_frames(lab: &Rc<Lab>, batch: Vec<Frame>) -> bool {
    let mut judge = lab.judge.borrow_mut();
    let before = judge.capture().records.len();
    judge.frames(batch);
    let locked = |r: &Record| r.ike().is_some() || (r.esp().is_some() && r.esp_inner.is_empty());
    let missing = judge.capture().records.iter().skip(before).any(locked);
    drop(judge);
    lab.arrivals.send_modify(|n| *n += 1);
    script::set_faults_due_to_packets(lab);
    missing
}

/// Returns whether every gateway was asked.
pub async fn fetch_keys(lab: &Lab) -> bool {
    let mut all = true;
    for gateway in lab.gateways.values() {
        // A gateway that is busy initiating is asked at the next tick.
        let Ok(mut g) = gateway.try_lock() else {
            all = false;
            continue;
        };
        let keys = g.keys().await;
        let new = lab.judge.borrow_mut().add_keys(keys);
        if let Some(new) = new {
            lab.ledger.emit(What::Keys { of: new.names() });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_looked_at_ever_more_rarely_while_somebody_waits_and_else_not_at_all() {
        let mut pace = Pace::of(WorldKind::Pocket);
        assert_eq!(pace.next(true, false), Pace::NEVER);
        let looks: Vec<Duration> = (0..300).map(|_| pace.next(false, true)).collect();
        assert_eq!(looks[0], TICK);
        assert!(looks.is_sorted());
        assert!(looks[20] <= Duration::from_millis(500), "for short waits soon enough: {:?}", looks[20]);
        assert_eq!(pace.next(true, true), TICK);
    }

    #[test]
    fn real_time_is_looked_at_steadily() {
        let mut pace = Pace::of(WorldKind::Host);
        assert!((0..100).all(|n| pace.next(n % 7 == 0, n % 3 == 0) == TICK));
    }
}
