//! What pages reported of themselves and of events.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Millis;

/// What a page says became of an event at an action, or of the destination's own script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageResult {
    /// The destination's script runs.
    Loaded,
    /// The page handed the event to that script.
    Sent,
    /// The action didn't take it.
    Skipped,
    /// It couldn't; or the script doesn't run.
    Failed,
}

impl PageResult {
    /// All of them.
    pub const ALL: [PageResult; 4] =
        [PageResult::Loaded, PageResult::Sent, PageResult::Skipped, PageResult::Failed];

    /// Its word in reports and answers.
    pub fn word(self) -> &'static str {
        match self {
            PageResult::Loaded => "loaded",
            PageResult::Sent => "sent",
            PageResult::Skipped => "skipped",
            PageResult::Failed => "failed",
        }
    }

    /// The one with this word.
    pub fn of(word: &str) -> Option<PageResult> {
        PageResult::ALL.into_iter().find(|result| result.word() == word)
    }
}

/// One report. Whoever has the page's write key can make one up: it is never more than a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct PageReport {
    /// When it arrived.
    pub at: Millis,
    /// Id of the source.
    pub source: Arc<str>,
    /// Id of the integration.
    pub integration: Arc<str>,
    /// Message id of the event; empty if it is about the page as a whole.
    pub message_id: Box<str>,
    /// Id of the action; empty if it is about the page as a whole.
    pub action: Box<str>,
    /// What became of it.
    pub result: PageResult,
    /// Short name of the reason, or the beginning of an exception; empty if none.
    pub reason: Box<str>,
    /// How long the action took, in milliseconds.
    pub ms: u32,
    /// The browser's family, such as `Firefox`.
    pub browser: Box<str>,
    /// The page's plugin and its version, such as `heap-web@1.0.0`.
    pub plugin: Box<str>,
    /// Revision of the workspace by which the page worked; 0 if it didn't say.
    pub revision: u64,
    /// Things of its kind that it speaks for, since only a sample is told; 1 if all are.
    pub stands_for: f64,
}

impl PageReport {
    /// Bytes of its text.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [&*self.source, &self.integration, &self.message_id, &self.action];
        let more = [&*self.reason, &self.browser, &self.plugin];
        texts.iter().chain(&more).map(|text| text.len()).sum()
    }

    /// True if it is about the page as a whole.
    pub fn is_of_page(&self) -> bool {
        self.message_id.is_empty()
    }
}

/// What the pages with an integration reported of themselves, within some time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageSummary {
    /// Reports of pages as a whole by the beginning of the hour, browser, result and reason.
    pub pages: BTreeMap<(Millis, Box<str>, PageResult, Box<str>), Told>,
    /// Reports of events by result and reason.
    pub events: BTreeMap<(PageResult, Box<str>), Told>,
    /// The latest failures, of pages and of events, newest first.
    pub failures: Vec<PageReport>,
}

/// How much was reported of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// Reports.
    pub reports: u64,
    /// What they stand for, since of some things only a sample is reported.
    pub in_all: f64,
}

impl Told {
    /// One more report.
    pub(crate) fn add(&mut self, report: &PageReport) {
        self.reports += 1;
        self.in_all += report.stands_for;
    }
}

/// An hour, in milliseconds.
pub(crate) const HOUR: Millis = 3_600_000;
