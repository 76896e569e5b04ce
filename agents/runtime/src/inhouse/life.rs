//! One life of an in-house gateway: its thread, from outside.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use peer::{DriverError, Ending, GatewayConfig, last_lines};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::engine::{Duty, Engine};
use super::orders::{Desk, Order};

/// For an answer that the thread gives between two packets.
const ANSWER: Duration = Duration::from_secs(10);
/// Name of the log in the gateway's folder.
pub(crate) const LOG: &str = "gateway.jsonl";

/// A running gateway, or one that has ended.
pub(crate) struct Life {
    name: String,
    number: u64,
    desk: Desk,
    /// In words, once it has ended.
    ended: watch::Receiver<Option<String>>,
    /// The end is our wish.
    expected: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Life {
    /// Starts the thread.
    pub(crate) fn begin(number: u64, desk: Desk, duty: Duty, dir: &Path, config: &GatewayConfig) -> io::Result<Life> {
        let (tell_end, ended) = watch::channel(None);
        let expected = Arc::new(AtomicBool::new(false));
        let wished = Arc::clone(&expected);
        let (name, events) = (duty.name.clone(), duty.events.clone());
        let (log, config) = (dir.join(LOG), config.clone());
        let run = move || {
            // Everything that it had open is closed when this returns.
            let outcome = catch_unwind(AssertUnwindSafe(|| Engine::new(duty).run()));
            let status = match outcome {
                Ok(Ok(())) => "stopped".to_owned(),
                Ok(Err(e)) => e.to_string(),
                Err(panic) => format!("panicked: {}", words(&*panic)),
            };
            let asked = wished.load(Ordering::SeqCst);
            Ending::in_words(status.clone()).tell(&events, &config.name, asked, || last_lines(&log, &config, |_| true));
            let _ = tell_end.send(Some(status));
        };
        let thread = std::thread::Builder::new().name(format!("gw-{name}")).spawn(run)?;
        Ok(Life { name, number, desk, ended, expected, thread: Some(thread) })
    }

    /// Which one it is, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// How it ended.
    pub(crate) fn status(&self) -> String {
        self.ended.borrow().clone().unwrap_or_else(|| "running".into())
    }

    pub(crate) fn died(&self, dir: &Path) -> DriverError {
        DriverError::Died { gateway: self.name.clone(), ending: Ending::in_words(self.status()), last: last_line(dir) }
    }

    /// Asks and waits; `None`: it has ended.
    pub(crate) async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order, limit: Duration) -> Result<Option<T>, DriverError> {
        let (tell, answer) = oneshot::channel();
        self.desk.order(order(tell));
        timeout(limit, answer).await.map(Result::ok).map_err(|_| DriverError::Timeout {
            gateway: self.name.clone(),
            condition: "the gateway's thread to answer".into(),
            waited: limit,
            last: "nothing".into(),
        })
    }

    /// Asks for what it can say at once.
    pub(crate) async fn answer<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<Option<T>, DriverError> {
        self.ask(order, ANSWER).await
    }

    /// Ends it and waits for that.
    pub(crate) async fn stop(&mut self, kill: bool, dir: &Path) -> Result<(), DriverError> {
        self.expected.store(true, Ordering::SeqCst);
        self.desk.order(Order::Stop { kill });
        let mut ended = self.ended.clone();
        if timeout(ANSWER, ended.wait_for(Option::is_some)).await.is_err() {
            let condition = "the gateway's thread to end".into();
            return Err(DriverError::Timeout { gateway: self.name.clone(), condition, waited: ANSWER, last: last_line(dir) });
        }
        if let Some(thread) = self.thread.take() {
            // It was about to return, and its panics are caught.
            let _ = thread.join();
        }
        Ok(())
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.expected.store(true, Ordering::SeqCst);
        self.desk.order(Order::Stop { kill: true });
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".into())
}

/// What was logged last.
pub(crate) fn last_line(dir: &Path) -> String {
    let text = std::fs::read(dir.join(LOG)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("nothing logged").to_owned()
}
