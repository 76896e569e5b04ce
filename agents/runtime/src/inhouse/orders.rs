//! How the driver speaks to the gateway's thread: a channel, and a bell that wakes it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use peer::{Keys, Outcome};
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;

/// What the driver wants.
pub(crate) enum Order {
    /// Bring a connection up. `Err`: there is no such connection.
    Initiate(String, oneshot::Sender<Result<Outcome, String>>),
    /// SAs and counters, for people.
    Describe(oneshot::Sender<String>),
    /// Hear and see nothing, or go on.
    Pause(bool, oneshot::Sender<()>),
    /// End, with a goodbye to the peers or without.
    Stop {
        /// Without.
        kill: bool,
    },
}

/// Wakes the thread.
pub(crate) struct Bell(OwnedFd);

impl Bell {
    fn new() -> io::Result<Bell> {
        Ok(Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    fn ring(&self) {
        // It can only fail when it has been rung 2^64 - 2 times.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// For `poll`.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// It has been heard.
    pub(crate) fn hush(&self) {
        // Nothing to read: it was heard before.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// The driver's end.
pub(crate) struct Desk {
    orders: Sender<Order>,
    bell: Arc<Bell>,
}

impl Desk {
    /// Both ends.
    pub(crate) fn new() -> io::Result<(Desk, Tray)> {
        let (orders, waiting) = channel();
        let bell = Arc::new(Bell::new()?);
        Ok((Desk { orders, bell: Arc::clone(&bell) }, Tray { waiting, bell }))
    }

    /// Gives an order; one that the thread does not live to see is dropped with its answer.
    pub(crate) fn order(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            self.bell.ring();
        }
    }
}

/// The thread's end.
pub(crate) struct Tray {
    waiting: Receiver<Order>,
    bell: Arc<Bell>,
}

impl Tray {
    /// The next order that is there.
    pub(crate) fn next(&self) -> Option<Order> {
        self.waiting.try_recv().ok()
    }

    /// What wakes us.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

/// All keys so far, of all lives.
#[derive(Clone, Default)]
pub(crate) struct KeyRing(Arc<Mutex<Keys>>);

impl KeyRing {
    /// Adds keys.
    pub(crate) fn add(&self, keys: Keys) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).merge(keys);
    }

    /// A copy.
    pub(crate) fn get(&self) -> Keys {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
