//! What the pages with an integration report, summed up.
//!
//! Of successes pages report a sample; each report is counted for what it stands for. All of it is
//! the pages' word.

use std::collections::BTreeMap;

use heapline_action::datetime;
use heapline_action::destination::Configured;
use heapline_store::{Error, Millis, PageReport, PageResult, Store, Told};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pages::failed;
use crate::workspace::Integration;

/// What the pages with an integration report. It is their word: none of it is a delivery by this
/// server.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageReports {
    /// Id of the integration.
    pub integration: String,
    /// From when on, RFC 3339.
    pub since: String,
    /// Share of the successes that pages report, 0 to 1, while nobody watches live. Failures are
    /// all reported.
    pub rate: f64,
    /// Loads of the destination's script, in all browsers.
    pub loads: Loads,
    /// The same by browser, by name.
    pub browsers: Vec<BrowserLoads>,
    /// The same by hour, oldest first; hours without a report are left out.
    pub hours: Vec<HourLoads>,
    /// Events by what became of them.
    pub events: Vec<Fate>,
    /// The latest failures, newest first, at most 50.
    pub failures: Vec<PageFailure>,
}

/// How many pages loaded the destination's script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Loads {
    /// Reports that it runs: a sample.
    pub loaded: u64,
    /// Pages in which it runs, reckoned from the sample.
    pub loaded_in_all: u64,
    /// Pages in which it was blocked or couldn't be loaded; all are reported.
    pub blocked: u64,
    /// Pages in which it didn't run in time; all are reported.
    pub failed: u64,
    /// Pages that run it for another environment, which may be among those in which it runs; all
    /// are reported.
    pub other_environment: u64,
}

/// How many pages in one browser loaded the destination's script.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BrowserLoads {
    /// The browser's family.
    pub browser: String,
    /// What pages in it reported.
    #[serde(flatten)]
    pub loads: Loads,
}

/// How many pages loaded the destination's script in one hour.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HourLoads {
    /// The beginning of the hour, RFC 3339.
    pub at: String,
    /// What pages reported in it.
    #[serde(flatten)]
    pub loads: Loads,
}

/// How many events had one fate.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fate {
    /// `sent`, `skipped`, `failed`.
    pub result: String,
    /// Why: a short fixed name, or the beginning of an exception.
    pub code: String,
    /// Reports. All failures are reported; of the rest a sample.
    pub count: u64,
    /// Events and actions with this fate, reckoned from the sample.
    pub in_all: u64,
}

/// One failure.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageFailure {
    /// When its report arrived, RFC 3339.
    pub at: String,
    /// Message id of the event; none if it is about the page as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Id of the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Short fixed name, or the beginning of an exception.
    pub code: String,
    /// In one sentence.
    pub reason: String,
    /// The browser's family.
    pub browser: String,
    /// The page's plugin and its version, such as `heap-web@1.0.0`.
    pub plugin: String,
    /// Revision of the workspace by which the page worked; 0 if it didn't say.
    pub revision: u64,
}

impl Loads {
    /// Pages that told what became of the script.
    pub fn pages(&self) -> u64 {
        self.loaded_in_all + self.blocked + self.failed
    }
}

/// Failures that are told.
const FAILURES: usize = 50;

/// What pages report of `integration`; `None` if it isn't one for pages.
pub(super) fn reports(
    store: &dyn Store,
    integration: &Integration,
    since: Millis,
) -> Result<Option<PageReports>, Error> {
    let Configured::Web(web) = &integration.configured else { return Ok(None) };
    let summary = store.page_summary(&integration.id, since, FAILURES)?;
    let mut loads = Counted::default();
    let mut browsers: BTreeMap<Box<str>, Counted> = BTreeMap::new();
    let mut hours: BTreeMap<Millis, Counted> = BTreeMap::new();
    for ((hour, browser, result, reason), told) in summary.pages {
        loads.add(result, &reason, told);
        hours.entry(hour).or_default().add(result, &reason, told);
        browsers.entry(browser).or_default().add(result, &reason, told);
    }
    let browsers = browsers
        .into_iter()
        .map(|(browser, counted)| BrowserLoads { browser: browser.into(), loads: counted.loads() });
    let hours = hours
        .into_iter()
        .map(|(hour, counted)| HourLoads { at: datetime::print(hour), loads: counted.loads() });
    let events = summary.events.into_iter().map(|((result, code), told)| Fate {
        result: result.word().to_owned(),
        code: code.into(),
        count: told.reports,
        in_all: told.in_all.round() as u64,
    });
    Ok(Some(PageReports {
        integration: integration.id.to_string(),
        since: datetime::print(since),
        rate: web.report_share(),
        loads: loads.loads(),
        browsers: browsers.collect(),
        hours: hours.collect(),
        events: events.collect(),
        failures: summary.failures.into_iter().map(failure).collect(),
    }))
}

/// [`Loads`] before the reckoning is rounded.
#[derive(Default)]
struct Counted {
    whole: Loads,
    in_all: f64,
}

impl Counted {
    fn add(&mut self, result: PageResult, reason: &str, told: Told) {
        let loads = &mut self.whole;
        match (result, reason) {
            (PageResult::Failed, "sdk_load_failed") => loads.blocked += told.reports,
            (PageResult::Failed, "other_environment") => loads.other_environment += told.reports,
            (PageResult::Failed, _) => loads.failed += told.reports,
            (PageResult::Loaded | PageResult::Sent | PageResult::Skipped, _) => {
                loads.loaded += told.reports;
                self.in_all += told.in_all;
            }
        }
    }

    fn loads(self) -> Loads {
        Loads { loaded_in_all: self.in_all.round() as u64, ..self.whole }
    }
}

fn failure(report: PageReport) -> PageFailure {
    let of_event = !report.is_of_page();
    PageFailure {
        at: datetime::print(report.at),
        message_id: of_event.then(|| report.message_id.to_string()),
        action: of_event.then(|| report.action.to_string()),
        reason: failed(&report.reason),
        code: report.reason.into(),
        browser: report.browser.into(),
        plugin: report.plugin.into(),
        revision: report.revision,
    }
}
