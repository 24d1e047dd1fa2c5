//! The ledger's writer: one thread that takes batches from all couriers and writes them together.
//!
//! A full disk is waited out, with the batch kept: couriers block once the queue is full, and
//! nothing that was decided is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use heapline_store::{Error, LedgerBatch, Store};
use tracing::{error, warn};

/// Batches that may wait.
const QUEUE: usize = 8;

/// Settlements that are written in one transaction, at least as far as whole batches go.
const TOGETHER: usize = 4000;

enum Entry {
    /// With what is to be done once it is written.
    Batch(LedgerBatch, Written),
    /// Answered once all before it is written.
    Barrier(SyncSender<()>),
    /// The last one.
    End,
}

/// Told once a batch is in the store.
pub(super) type Written = Box<dyn FnOnce() + Send>;

/// Where couriers put what they know.
#[derive(Clone)]
pub(super) struct Ledger {
    queue: SyncSender<Entry>,
    broken: Arc<AtomicBool>,
}

impl Ledger {
    /// Starts the writer.
    pub(super) fn start(store: Arc<dyn Store>) -> Result<(Ledger, JoinHandle<()>)> {
        let (queue, batches) = sync_channel(QUEUE);
        let broken = Arc::new(AtomicBool::new(false));
        let flag = broken.clone();
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || write_all(&*store, &batches, &flag))
            .context("cannot start the ledger's thread")?;
        Ok((Ledger { queue, broken }, thread))
    }

    /// Queues `batch`, and calls `written` once it is in the store; waits while the queue is full.
    pub(super) fn write(&self, batch: LedgerBatch, written: Written) {
        // Couriers have ended before the writer does.
        self.queue.send(Entry::Batch(batch, written)).ok();
    }

    /// Waits until all that was queued before is written.
    pub(super) fn settle(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.send(Entry::Barrier(done)).is_ok() {
            wait.recv().ok();
        }
    }

    /// Lets the writer end once all that was queued before is written.
    pub(super) fn end(&self) {
        self.queue.send(Entry::End).ok();
    }

    /// True once the ledger can't be written any more: couriers must stop sending.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

fn write_all(store: &dyn Store, entries: &Receiver<Entry>, broken: &AtomicBool) {
    while let Ok(first) = entries.recv() {
        let mut whole = LedgerBatch::default();
        let mut after = Vec::new();
        let mut barriers = Vec::new();
        let mut next = Some(first);
        let mut ends = false;
        while let Some(entry) = next {
            match entry {
                Entry::Batch(batch, written) => {
                    append(&mut whole, batch);
                    after.push(written);
                }
                Entry::Barrier(done) => barriers.push(done),
                Entry::End => ends = true,
            }
            next = match whole.settlements.len() {
                ..TOGETHER => entries.try_recv().ok(),
                _ => None,
            };
        }
        if write(store, &whole, broken) {
            after.into_iter().for_each(|written| written());
        }
        for done in barriers {
            done.send(()).ok();
        }
        if ends {
            return;
        }
    }
}

/// True once it is written; false if it can't be.
fn write(store: &dyn Store, batch: &LedgerBatch, broken: &AtomicBool) -> bool {
    loop {
        match store.record(batch) {
            Ok(()) => return true,
            Err(Error::Full(what)) => {
                warn!(what, "the ledger waits for disk space");
                std::thread::sleep(Duration::from_secs(1));
            }
            Err(e) => {
                error!(error = %e, "the ledger can't be written; deliveries stop");
                broken.store(true, Ordering::Relaxed);
                return false;
            }
        }
    }
}

fn append(whole: &mut LedgerBatch, more: LedgerBatch) {
    whole.settlements.extend(more.settlements);
    whole.requests.extend(more.requests);
    whole.cursors.extend(more.cursors);
    whole.hold.extend(more.hold);
    whole.release.extend(more.release);
    whole.links.extend(more.links);
}
