//! The recorder: one kernel ring per tap, one thread for all of them, frames delivered in time order.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::sync::mpsc;

use super::order::Order;
use crate::dissect::Frame;
use crate::scenario::model::Role;
use crate::sys::{PacketRing, PacketSlots, RawFrame, RingShape};
use crate::time::Timestamp;
use crate::world::kernel::xfrm;
use crate::world::{World, WorldError};

/// How long the thread sleeps when nothing happens.
const IDLE: Duration = Duration::from_millis(20);
/// From this many taps on, rings are smaller.
const MANY: usize = 40;
/// More taps than this have small rings without timers.
const MOST_RINGS: usize = 120;

/// Why recording failed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A tap's name is wrong.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The kernel refused a ring.
    #[error("tap {tap}: cannot capture: {source}; it takes CAP_NET_RAW and a kernel with AF_PACKET and its rings (TPACKET_V2 and V3)")]
    Ring {
        /// Tap name.
        tap: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Our thread failed.
    #[error("the capture thread: {0}")]
    Thread(String),
}

/// What the rings counted, by tap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// One entry per tap, in tap order.
    pub taps: Vec<TapStats>,
    /// Frames that came too late to be delivered in time order (the machine was too busy).
    pub late: u64,
}

impl Stats {
    /// Frames lost on all taps.
    pub fn dropped(&self) -> u64 {
        self.taps.iter().map(|t| t.dropped).sum()
    }
}

/// Counters of one tap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TapStats {
    /// Tap name.
    pub tap: String,
    /// Frames received.
    pub received: u64,
    /// Frames that the kernel had no room for.
    pub dropped: u64,
}

/// A running capture.
#[derive(Debug)]
pub struct Recorder {
    /// Wakes the thread.
    wake: Arc<OwnedFd>,
    /// What it is woken for: the end, or just a fresh look.
    over: Arc<AtomicBool>,
    horizon: Arc<AtomicI64>,
    stats: Receiver<io::Result<Stats>>,
}

/// How frames are taken from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Through mapped rings: hundreds of thousands of frames per second.
    Ring,
    /// One by one, through rings without any timer: for virtual time, and for very many taps.
    OneByOne,
}

impl How {
    /// In real time. Mapped rings of 804 taps (a star with 200 spokes) take 1.6 GB, small ones without timers 50 MB; but the room that
    /// their sockets need is only for the machine's root. Either way the kernel waits for each, which is most of what such a star takes.
    pub fn of(taps: usize) -> How {
        if taps > MOST_RINGS && PacketSlots::open(slots(taps)).is_ok() { How::OneByOne } else { How::Ring }
    }
}

/// Frames that wait until they are taken one by one, so that a burst may pass before the capture thread's turn.
fn slots(taps: usize) -> usize {
    if taps > MOST_RINGS {
        256
    } else if taps > MANY {
        512
    } else {
        2048
    }
}

#[derive(Debug)]
enum Tap {
    Ring(PacketRing),
    Slots(PacketSlots),
}

impl Tap {
    fn bind(&self, index: u32) -> io::Result<()> {
        match self {
            Tap::Ring(ring) => ring.bind(index),
            Tap::Slots(slots) => slots.bind(index),
        }
    }

    fn take(&mut self, each: impl FnMut(RawFrame<'_>)) {
        match self {
            Tap::Ring(ring) => ring.take(each),
            Tap::Slots(slots) => slots.take(each),
        }
    }

    fn statistics(&self) -> io::Result<(u64, u64)> {
        match self {
            Tap::Ring(ring) => ring.statistics(),
            Tap::Slots(slots) => slots.statistics(),
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Tap::Ring(ring) => ring.as_fd(),
            Tap::Slots(slots) => slots.as_fd(),
        }
    }
}

/// Rings that are being opened side by side: for each the kernel waits until every CPU has noticed (an RCU grace period,
/// about 10 ms), and those waits can be shared, also with the building of the network's links.
#[derive(Debug)]
pub struct Rings {
    how: How,
    shape: RingShape,
    /// By tap: the tap at the far end of its link, if the tap's node may see frames that were never on the link.
    senders: Vec<Option<u16>>,
    opening: Vec<(String, u32, JoinHandle<io::Result<Tap>>)>,
}

impl Rings {
    /// Begins to open a ring for each tap; the nodes must be there, their interfaces need not.
    pub fn open(world: &World, taps: &[String], how: How) -> Result<Rings, RecordError> {
        let few = taps.len() <= MANY;
        // Every block that is handed over, full or not, stays taken until it has been read. Many small ones last for a second of
        // trickling traffic on a machine that is too busy to run us, and still hold a burst.
        let shape = RingShape { block: 16 << 10, blocks: if few { 256 } else { 128 }, retire_ms: if few { 4 } else { 8 } };
        let slots = slots(taps.len());
        let begin = |tap: &String| {
            let (node, index, _) = world.tap(tap)?;
            let open = move || match how {
                How::Ring => node.run(|| PacketRing::open(shape))?.map(Tap::Ring),
                How::OneByOne => node.run(|| PacketSlots::open(slots))?.map(Tap::Slots),
            };
            let thread = std::thread::Builder::new().name("ring".into()).spawn(open).map_err(Rings::refused(tap))?;
            Ok((tap.clone(), index, thread))
        };
        Ok(Rings { how, shape, senders: senders(world, taps)?, opening: taps.iter().map(begin).collect::<Result<_, RecordError>>()? })
    }

    fn bind(self) -> Result<Vec<(String, Tap)>, RecordError> {
        let bind = |(tap, index, thread): (String, u32, JoinHandle<io::Result<Tap>>)| {
            let opened = thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that opens the ring panicked")));
            let ring = opened.and_then(|ring| ring.bind(index).map(|()| ring)).map_err(Rings::refused(&tap))?;
            Ok((tap, ring))
        };
        self.opening.into_iter().map(bind).collect()
    }

    fn refused(tap: &str) -> impl FnOnce(io::Error) -> RecordError {
        let tap = tap.to_owned();
        move |source| RecordError::Ring { tap, source }
    }
}

impl Recorder {
    /// Starts capturing; when this returns, every frame from now on is seen. Frames come numbered from 1 in batches; the
    /// channel ends after [`Recorder::finish`].
    pub fn start(rings: Rings) -> Result<(Recorder, mpsc::UnboundedReceiver<Vec<Frame>>), RecordError> {
        let pace = Pace::of(rings.how, rings.shape);
        let senders = rings.senders.clone();
        let rings = rings.bind()?;
        let (send, frames) = mpsc::unbounded_channel();
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| RecordError::Thread(e.to_string()))?;
        let (wake, over) = (Arc::new(wake), Arc::new(AtomicBool::new(false)));
        let (woken, told) = (Arc::clone(&wake), Arc::clone(&over));
        let (tell, stats) = std::sync::mpsc::channel();
        let horizon = Arc::new(AtomicI64::new(0));
        let reached = Arc::clone(&horizon);
        std::thread::Builder::new()
            .name("capture".into())
            .spawn(move || {
                let mut rings = rings;
                // Where it is allowed (not in a user namespace); it only makes losses rarer.
                let _ = rustix::process::setpriority_process(None, -10);
                let result = record(&mut rings, pace, senders, &send, (&woken, &told), &reached);
                // The channel of frames ends before the statistics come. Closing the rings takes the kernel some
                // milliseconds each, which nobody has to wait for.
                drop(send);
                let _ = tell.send(result);
            })
            .map_err(|e| RecordError::Thread(e.to_string()))?;
        Ok((Recorder { wake, over, horizon, stats }, frames))
    }

    /// Every frame up to this moment has been delivered. The question makes the thread look anew, for the next question.
    pub fn horizon(&self) -> Timestamp {
        self.wake();
        Timestamp(self.horizon.load(Ordering::Acquire))
    }

    /// Ends the capture: flushes what is in the rings (a few milliseconds), then says what was received and lost.
    pub fn finish(self) -> Result<Stats, RecordError> {
        self.tell();
        match self.stats.recv() {
            Ok(result) => result.map_err(|e| RecordError::Thread(e.to_string())),
            Err(_) => Err(RecordError::Thread("it ended without its statistics".into())),
        }
    }

    fn tell(&self) {
        self.over.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // Cannot fail: the counter is far from full, and the descriptor is ours.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tell();
    }
}

/// Only gateways decapsulate, and only a kernel with IPsec shows it.
fn senders(world: &World, taps: &[String]) -> Result<Vec<Option<u16>>, RecordError> {
    if !xfrm::is_there() {
        return Ok(vec![None; taps.len()]);
    }
    let gateway = |tap: &str| {
        let node = tap.split_once('.').map_or(tap, |(node, _)| node);
        world.network().nodes.iter().any(|n| n.name == node && n.role == Role::Gateway)
    };
    let sender = |tap: &String| -> Result<Option<u16>, RecordError> {
        let (_, far) = world.link_of(tap)?;
        let index = taps.iter().position(|t| *t == far).and_then(|i| u16::try_from(i).ok());
        Ok(index.filter(|_| gateway(tap)))
    };
    taps.iter().map(sender).collect()
}

/// How the recording thread waits.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Frames are handed over at most this long after they passed.
    settle: Duration,
    /// How long to wait for more while some are held back for ordering.
    soon: Duration,
    /// How long to wait when nothing happens; `None`: until something does.
    idle: Option<Duration>,
}

impl Pace {
    fn of(how: How, shape: RingShape) -> Pace {
        let retire = Duration::from_millis(u64::from(shape.retire_ms));
        match how {
            // The kernel hands over a block that is not full when its timer has fired twice.
            How::Ring => Pace { settle: retire * 3 + Duration::from_millis(2), soon: retire, idle: Some(IDLE) },
            How::OneByOne => Pace { settle: Duration::from_millis(1), soon: Duration::from_millis(1), idle: None },
        }
    }
}

fn record(
    rings: &mut [(String, Tap)],
    pace: Pace,
    senders: Vec<Option<u16>>,
    send: &mpsc::UnboundedSender<Vec<Frame>>,
    (wake, over): (&OwnedFd, &AtomicBool),
    reached: &AtomicI64,
) -> io::Result<Stats> {
    let mut order = Order::of(senders);
    let mut stopping: Option<Instant> = None;
    loop {
        // Read before the rings: what came before this moment minus the hold-back has been handed over by now.
        let horizon = Timestamp::now() - pace.settle;
        let ended = stopping.is_some_and(|until| Instant::now() >= until);
        for (tap, (_, ring)) in rings.iter_mut().enumerate() {
            ring.take(|raw| order.add(tap, raw));
        }
        let settled = order.release((!ended).then_some(horizon));
        // Without a listener there is nobody to record for, but the counters still matter.
        if !settled.is_empty() {
            let _ = send.send(settled);
        }
        reached.store(horizon.0, Ordering::Release);
        if ended {
            break;
        }
        let soon = stopping.is_some() || order.holds();
        wait(rings, wake, if soon { Some(pace.soon) } else { pace.idle })?;
        if over.load(Ordering::Acquire) && stopping.is_none() {
            stopping = Some(Instant::now() + pace.settle);
        }
    }
    let mut stats = Stats { late: order.late(), ..Stats::default() };
    for (tap, ring) in rings {
        let (received, dropped) = ring.statistics()?;
        stats.taps.push(TapStats { tap: tap.clone(), received, dropped });
    }
    Ok(stats)
}

/// Until a ring has something, somebody wakes us, or time is up.
fn wait(rings: &[(String, Tap)], wake: &OwnedFd, limit: Option<Duration>) -> io::Result<()> {
    let mut fds: Vec<PollFd<'_>> = rings.iter().map(|(_, ring)| PollFd::from_borrowed_fd(ring.as_fd(), PollFlags::IN)).collect();
    fds.push(PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN));
    let timeout = limit.map(|l| Timespec { tv_sec: i64::try_from(l.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(l.subsec_nanos()) });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    for ((_, ring), polled) in rings.iter().zip(&fds) {
        if polled.revents().contains(PollFlags::ERR) {
            // An interface that went down: not our error, but it must be taken away or the next poll would not wait.
            socket2::SockRef::from(ring).take_error()?;
        }
    }
    if fds.last().is_some_and(|woken| !woken.revents().is_empty()) {
        // What is to be done is written elsewhere; it only must not wake us again.
        let _ = rustix::io::read(wake, &mut [0u8; 8]);
    }
    Ok(())
}
