//! Events some time after they came: the fallback for pages waits for what the page tells.

use std::collections::VecDeque;

use heapline_store::{Error, Millis, PageReport, PageResult, Reader, Store, StoredEvent};

use crate::server::now;

/// A reader that gives an event once it is `age` milliseconds old.
pub(super) struct Ripe {
    inner: Box<dyn Reader>,
    age: Millis,
    waiting: VecDeque<StoredEvent>,
}

impl Ripe {
    pub(super) fn new(inner: Box<dyn Reader>, age: Millis) -> Ripe {
        Ripe { inner, age, waiting: VecDeque::new() }
    }
}

impl Reader for Ripe {
    fn next(&mut self, max_events: usize, max_bytes: usize) -> Result<Vec<StoredEvent>, Error> {
        if self.waiting.is_empty() {
            self.waiting.extend(self.inner.next(max_events, max_bytes)?);
        }
        let until = now() - self.age;
        let unripe = self.waiting.iter().position(|event| event.event.received_at > until);
        let ripe = unripe.unwrap_or(self.waiting.len()).min(max_events);
        Ok(self.waiting.drain(..ripe).collect())
    }
}

/// Ids of the actions of which the page told that it couldn't, since the destination's script
/// doesn't run there.
pub(super) fn left_to_us(
    store: &dyn Store,
    integration: &str,
    event: &StoredEvent,
) -> Result<Vec<Box<str>>, Error> {
    let reports = store.page_reports(&event.event.source, &event.event.message_id)?;
    let sent =
        |action: &str| reports.iter().any(|r| *r.action == *action && r.result == PageResult::Sent);
    let without_script = |report: &&PageReport| {
        *report.integration == *integration
            && report.result == PageResult::Failed
            && matches!(&*report.reason, "sdk_load_failed" | "sdk_not_ready")
            && !sent(&report.action)
    };
    Ok(reports.iter().filter(without_script).map(|report| report.action.clone()).collect())
}
