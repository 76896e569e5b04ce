//! Sockets and waiting for the trials.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use faultlab::capture::ring::{How, Recorder, Rings, Stats};
use faultlab::dissect::{Capture, Dissector, Frame};
use faultlab::world::{NodeHandle, World};
use tokio::sync::mpsc::UnboundedReceiver;

/// Result of a trial: what went wrong, in words.
pub type Outcome = Result<(), String>;

/// Any error in words.
pub fn say(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// Fails the trial unless true.
pub fn ensure(condition: bool, what: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(what()) }
}

/// A UDP socket of a node, with a read timeout.
pub fn udp(node: &NodeHandle, at: &str) -> Result<UdpSocket, String> {
    let socket = node.run(|| UdpSocket::bind(at)).and_then(|r| r).map_err(|e| format!("{}: bind {at}: {e}", node.name()))?;
    socket.set_read_timeout(Some(Duration::from_millis(300))).map_err(say)?;
    Ok(socket)
}

/// Sends one datagram and says what arrived, from where.
pub fn exchange(from: &UdpSocket, to: &UdpSocket, target: &str, payload: &[u8]) -> io::Result<(usize, SocketAddr)> {
    from.send_to(payload, target)?;
    to.recv_from(&mut [0; 2048])
}

/// Waits until something is true.
pub fn eventually(limit: Duration, what: &str, mut check: impl FnMut() -> Result<bool, String>) -> Outcome {
    let deadline = Instant::now() + limit;
    while !check()? {
        if Instant::now() > deadline {
            return Err(format!("waited {} ms for {what}", limit.as_millis()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// A recorder of all taps.
pub struct Taps {
    recorder: Recorder,
    frames: UnboundedReceiver<Vec<Frame>>,
    dissector: Dissector,
    capture: Capture,
}

impl Taps {
    pub fn start(world: &World) -> Result<Taps, String> {
        let taps = world.taps();
        // As the lab does it in each world; the pocket kernel is told by its command line.
        let pocket = std::fs::read_to_string("/proc/cmdline").is_ok_and(|c| c.contains("rootfstype=hostfs"));
        let how = if pocket { How::OneByOne } else { How::Ring };
        let (recorder, frames) = Recorder::start(Rings::open(world, &taps, how).map_err(say)?).map_err(say)?;
        Ok(Taps { recorder, frames, dissector: Dissector::new(), capture: Capture { taps, records: Vec::new() } })
    }

    /// What has been captured so far.
    pub fn so_far(&mut self) -> &Capture {
        while let Ok(batch) = self.frames.try_recv() {
            self.capture.records.extend(batch.into_iter().map(|frame| self.dissector.dissect(frame)));
        }
        &self.capture
    }

    /// Ends the capture.
    pub fn finish(mut self) -> Result<(Capture, Stats), String> {
        let stats = self.recorder.finish().map_err(say)?;
        while let Ok(batch) = self.frames.try_recv() {
            self.capture.records.extend(batch.into_iter().map(|frame| self.dissector.dissect(frame)));
        }
        Ok((self.capture, stats))
    }
}
