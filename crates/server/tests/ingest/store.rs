//! A store that keeps what the door hands over, and that can be told to fail.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use heapline_store::{
    AppendDone, Appended, Error, Extent, HeldEvent, LedgerBatch, Millis, NewEvent, Page, Query,
    Reader, Rejected, RequestRecord, Retained, Revision, Seq, Settlement, Store,
};

/// What was handed over. Only the verbs that the door uses do anything.
#[derive(Default)]
pub(crate) struct Kept(Mutex<State>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) events: Vec<NewEvent>,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) fail: Option<Error>,
    /// Appends that wait, while `hold` is true.
    pub(crate) hold: bool,
    pub(crate) waiting: Vec<(Vec<NewEvent>, AppendDone)>,
}

impl Kept {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Lets waiting appends finish.
    pub(crate) fn release(&self) {
        self.state().hold = false;
        let waiting = std::mem::take(&mut self.state().waiting);
        for (events, done) in waiting {
            self.append(events, done);
        }
    }
}

impl Store for Kept {
    fn append(&self, events: Vec<NewEvent>, done: AppendDone) {
        let mut state = self.state();
        if state.hold {
            state.waiting.push((events, done));
            return;
        }
        if let Some(e) = state.fail.clone() {
            drop(state);
            return done(Err(e));
        }
        let mut appended = Vec::new();
        for event in events {
            let same = |e: &NewEvent| e.source == event.source && e.message_id == event.message_id;
            appended.push(match state.events.iter().position(same) {
                Some(at) => Appended::Duplicate(at as Seq + 1),
                None => {
                    state.events.push(event);
                    Appended::Stored(state.events.len() as Seq)
                }
            });
        }
        drop(state);
        done(Ok(appended));
    }

    fn reject(&self, rejected: Vec<Rejected>) {
        self.state().rejected.extend(rejected);
    }

    fn reader(&self, _: Seq) -> Result<Box<dyn Reader>, Error> {
        Err(Error::Closed)
    }
    fn event(&self, _: Seq) -> Result<Option<heapline_store::StoredEvent>, Error> {
        Err(Error::Closed)
    }
    fn extent(&self) -> Extent {
        Extent::default()
    }
    fn on_commit(&self, _: Box<dyn Fn(Seq) + Send + Sync>) {}
    fn record(&self, _: LedgerBatch) -> Result<(), Error> {
        Err(Error::Closed)
    }
    fn next_request_id(&self) -> u64 {
        0
    }
    fn cursor(&self, _: &str) -> Result<Option<Seq>, Error> {
        Err(Error::Closed)
    }
    fn settlements(&self, _: &str, _: Seq, _: Seq) -> Result<BTreeMap<Seq, Settlement>, Error> {
        Err(Error::Closed)
    }
    fn requests(&self, _: &[u64]) -> Result<Vec<RequestRecord>, Error> {
        Err(Error::Closed)
    }
    fn held(&self, _: &str, _: &str) -> Result<Vec<HeldEvent>, Error> {
        Err(Error::Closed)
    }
    fn held_until(&self, _: &str, _: Millis, _: usize) -> Result<Vec<HeldEvent>, Error> {
        Err(Error::Closed)
    }
    fn find(&self, _: &Query) -> Result<Page, Error> {
        Err(Error::Closed)
    }
    fn rejected(&self, _: Option<&str>, _: usize) -> Result<Vec<Rejected>, Error> {
        Err(Error::Closed)
    }
    fn save_revision(&self, _: u64, _: Millis, _: &str, _: &str) -> Result<u64, Error> {
        Err(Error::Closed)
    }
    fn revision(&self, _: Option<u64>) -> Result<Option<Revision>, Error> {
        Err(Error::Closed)
    }
    fn revisions(&self) -> Result<Vec<Revision>, Error> {
        Err(Error::Closed)
    }
    fn retain(&self, _: Millis) -> Result<Retained, Error> {
        Err(Error::Closed)
    }
    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
