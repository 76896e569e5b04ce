//! Filtering a large capture on all cores.
//!
//! Dissection remembers fragments and IKE exchanges, but only between the same two addresses. So frames are dealt out by
//! their pair of addresses: each worker sees all that belongs together, in order.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::{ReadError, open};
use crate::dissect::{Dissector, Frame};
use crate::filter::{Analysis, Filter};

/// Frames handed over at once.
const BATCH: usize = 512;
/// Batches that may wait for a worker, so that reading ahead stays bounded.
const WAITING: usize = 8;

/// Numbers of the frames that the filter selects, in order. Filters with `faultlab.*` fields that compare frames of
/// different addresses are evaluated in one pass on one core.
pub fn parallel_filter(path: impl AsRef<Path>, filter: &Filter) -> Result<Vec<u32>, ReadError> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    if workers == 1 || filter.needs_analysis() {
        return sequential(path.as_ref(), filter);
    }
    // Errors are kept until the workers have ended; a damaged file has no result.
    let (mut result, mut alone) = (Ok(()), false);
    let mut selected = thread::scope(|scope| {
        let (senders, handles): (Vec<_>, Vec<_>) = (0..workers)
            // As many as the machine gives.
            .map_while(|_| {
                let (sender, receiver) = sync_channel::<(Analysis, Vec<Frame>)>(WAITING);
                let work = move || {
                    let mut dissector = Dissector::new();
                    let mut selected = Vec::new();
                    for (analysis, frames) in receiver {
                        let records = frames.into_iter().map(|f| dissector.dissect(f));
                        selected.extend(records.filter(|r| filter.matches(r, &analysis)).map(|r| r.frame.number));
                    }
                    selected
                };
                Some((sender, thread::Builder::new().spawn_scoped(scope, work).ok()?))
            })
            .unzip();
        alone = senders.is_empty();
        if alone {
            return Vec::new();
        }
        result = deal(path.as_ref(), &senders);
        drop(senders);
        let joined = handles.into_iter().map(thread::ScopedJoinHandle::join);
        joined.flat_map(|r| r.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect::<Vec<u32>>()
    });
    if alone {
        return sequential(path.as_ref(), filter);
    }
    result?;
    selected.sort_unstable();
    Ok(selected)
}

fn deal(path: &Path, senders: &[SyncSender<(Analysis, Vec<Frame>)>]) -> Result<(), ReadError> {
    let mut reader = open(path)?;
    let mut batches = vec![Vec::new(); senders.len()];
    let mut start = None;
    // A worker that has gone is a panic, which the join reports.
    let send = |to: usize, batch: Vec<Frame>, taps: &[String], start| {
        let _ = senders[to].send((Analysis::begin(taps, start), batch));
    };
    while let Some(frame) = reader.next() {
        let frame = frame?;
        start.get_or_insert(frame.time);
        let to = worker(&frame, senders.len());
        batches[to].push(frame);
        if batches[to].len() == BATCH {
            send(to, std::mem::take(&mut batches[to]), reader.taps(), start);
        }
    }
    for (to, batch) in batches.into_iter().enumerate() {
        send(to, batch, reader.taps(), start);
    }
    Ok(())
}

fn sequential(path: &Path, filter: &Filter) -> Result<Vec<u32>, ReadError> {
    let mut reader = open(path)?;
    let mut dissector = Dissector::new();
    let mut analysis = Analysis::default();
    let mut selected = Vec::new();
    let mut records = Vec::new();
    while let Some(frame) = reader.next() {
        let record = dissector.dissect(frame?);
        analysis.set_taps(reader.taps());
        analysis.push(&record);
        if filter.looks_ahead() {
            records.push(record);
        } else if filter.matches(&record, &analysis) {
            selected.push(record.frame.number);
        }
    }
    selected.extend(records.iter().filter(|r| filter.matches(r, &analysis)).map(|r| r.frame.number));
    Ok(selected)
}

/// The same for both directions between two addresses.
fn worker(frame: &Frame, workers: usize) -> usize {
    let ip = match frame.link_type {
        1 => frame.data.get(14..),
        101 | 228 | 229 => Some(&frame.data[..]),
        _ => None,
    };
    let pair = ip.and_then(|ip| match ip.first()? >> 4 {
        4 => Some((ip.get(12..16)?, ip.get(16..20)?)),
        6 => Some((ip.get(8..24)?, ip.get(24..40)?)),
        _ => None,
    });
    // Everything else goes to one worker, in order.
    let Some((a, b)) = pair else { return 0 };
    let mut hash = DefaultHasher::new();
    (a.min(b), a.max(b)).hash(&mut hash);
    (hash.finish() % workers as u64) as usize
}
