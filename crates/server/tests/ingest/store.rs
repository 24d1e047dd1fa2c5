//! A memory store for the door, with a hand that can make appends fail or wait.

use std::sync::{Arc, Mutex, MutexGuard};

use heapline_server::ingest::Keeper;
use heapline_store::{AppendDone, Error, Memory, NewEvent, Rejected, Settings, Store};

#[derive(Clone)]
pub(crate) struct Handled(Arc<(Memory, Mutex<Hand>)>);

#[derive(Default)]
pub(crate) struct Hand {
    pub(crate) fail: Option<Error>,
    /// Appends wait.
    pub(crate) hold: bool,
    pub(crate) waiting: Vec<(Vec<NewEvent>, AppendDone)>,
}

impl Handled {
    pub(crate) fn new() -> Handled {
        Handled(Arc::new((Memory::new(Settings::default()), Mutex::default())))
    }

    pub(crate) fn hand(&self) -> MutexGuard<'_, Hand> {
        self.0.1.lock().unwrap()
    }

    /// Lets waiting appends finish.
    pub(crate) fn release(&self) {
        self.hand().hold = false;
        let waiting = std::mem::take(&mut self.hand().waiting);
        for (events, done) in waiting {
            self.append(events, done);
        }
    }

    pub(crate) fn events(&self) -> Vec<NewEvent> {
        let stored = self.0.0.reader(1).unwrap().next(usize::MAX, usize::MAX).unwrap();
        stored.into_iter().map(|one| one.event).collect()
    }

    /// Oldest first.
    pub(crate) fn refusals(&self) -> Vec<Rejected> {
        let mut rejected = self.0.0.rejected(None, usize::MAX).unwrap();
        rejected.reverse();
        rejected
    }
}

impl Keeper for Handled {
    fn append(&self, events: Vec<NewEvent>, done: AppendDone) {
        let mut hand = self.hand();
        if hand.hold {
            hand.waiting.push((events, done));
            return;
        }
        let fail = hand.fail.clone();
        drop(hand);
        match fail {
            Some(e) => done(Err(e)),
            None => self.0.0.append(events, done),
        }
    }

    fn reject(&self, rejected: Vec<Rejected>) {
        self.0.0.reject(rejected);
    }
}
