//! What pages say: of an integration of pages, and of one event. Always shown as their word.

use askama::Template;
use heapline_action::datetime;
use heapline_store::Millis;

use super::Console;
use super::oops::sentence;
use super::words::grouped;
use crate::admin::page_reports::{Fate, Loads, PageFailure, PageReports};
use crate::admin::pages::{self, PageWay};
use crate::control::Problem;
use crate::server::now;
use crate::workspace::{Integration, Workspace};

/// What the overview of an integration of pages shows.
#[derive(Template)]
#[template(path = "page-reports.html")]
pub(super) struct Pages {
    /// Share of the successes that pages report, in percent; none if they report none.
    rate: Option<String>,
    loads: Shares,
    browsers: Vec<(String, Shares)>,
    columns: Vec<Column>,
    events: Vec<Event>,
    failures: Vec<Failure>,
    policy: String,
    /// With the server fallback: how many events wait for the page's word.
    waiting: Option<u64>,
}

/// Pages, and shares of them in percent.
struct Shares {
    pages: String,
    /// None if nothing is known.
    shares: Option<[String; 3]>,
    other_environment: u64,
    bars: Vec<Bar>,
}

/// A piece of a column or row, in a picture of 100 by 100.
struct Bar {
    class: &'static str,
    from: f64,
    length: f64,
}

/// The pages of one hour.
struct Column {
    x: i64,
    bars: Vec<Bar>,
}

struct Event {
    class: &'static str,
    word: String,
    reason: String,
    code: String,
    in_all: String,
}

/// Failures that are alike.
struct Failure {
    /// The latest of them.
    told: PageFailure,
    times: usize,
    reason: String,
    /// The code says more than the sentence.
    coded: bool,
}

/// What became of an event in the page.
#[derive(Template)]
#[template(path = "page-way.html")]
pub(super) struct Told {
    title: String,
    /// The class of its tag.
    class: &'static str,
    word: &'static str,
    reason: String,
    code: String,
    /// Who says so.
    by: String,
    at: Option<String>,
}

const HOUR: Millis = 3_600_000;
/// Hours that are shown.
const HOURS: i64 = 24;
/// Kinds of failures that are shown.
const FAILURES: usize = 10;

/// What the pages with `integration` say of the last day; `None` if it isn't one for pages.
pub(super) fn of(console: &Console, integration: &Integration) -> Result<Option<Pages>, Problem> {
    let Some(policy) = console.control.web.policy(integration) else { return Ok(None) };
    let begin = (now() / HOUR - HOURS + 1) * HOUR;
    let since = datetime::print(begin);
    let reports = console.control.page_reports(&integration.id, Some(&since))?;
    let PageReports { rate, loads, browsers, hours, events, failures, .. } = reports;
    let columns = hours.iter().filter_map(|hour| {
        let at = datetime::read_text(&hour.at)?;
        Some(Column { x: (at - begin) / HOUR, bars: bars(&hour.loads) })
    });
    let store = &console.control.store;
    let waiting = match (&integration.fallback, store.cursor(&integration.id)?) {
        (Some(_), Some(cursor)) => Some(store.extent().next.saturating_sub(cursor)),
        (Some(_), None) => Some(0),
        (None, _) => None,
    };
    Ok(Some(Pages {
        rate: (rate > 0.0).then(|| percent(rate)),
        loads: shares(&loads),
        browsers: browsers.iter().map(|b| (b.browser.clone(), shares(&b.loads))).collect(),
        columns: columns.collect(),
        events: events.into_iter().map(event).collect(),
        failures: alike(failures),
        policy: policy.header,
        waiting,
    }))
}

fn shares(loads: &Loads) -> Shares {
    let pages = loads.pages();
    let share = |count: u64| percent(count as f64 / pages as f64);
    Shares {
        pages: grouped(pages),
        shares: (pages > 0)
            .then(|| [share(loads.loaded_in_all), share(loads.blocked), share(loads.failed)]),
        other_environment: loads.other_environment,
        bars: bars(loads),
    }
}

fn bars(loads: &Loads) -> Vec<Bar> {
    let whole = loads.pages() as f64;
    let mut from = 0.0;
    let mut bars = Vec::new();
    for (class, count) in
        [("good", loads.loaded_in_all), ("warn", loads.blocked), ("bad", loads.failed)]
    {
        if count > 0 {
            let length = count as f64 / whole * 100.0;
            bars.push(Bar { class, from, length });
            from += length;
        }
    }
    bars
}

/// The latest first, those that differ only in event and time as one.
fn alike(failures: Vec<PageFailure>) -> Vec<Failure> {
    let same = |one: &PageFailure, other: &PageFailure| {
        let what = |failure: &PageFailure| (failure.code.clone(), failure.action.clone());
        let place = |failure: &PageFailure| (failure.browser.clone(), failure.plugin.clone());
        what(one) == what(other) && place(one) == place(other) && one.revision == other.revision
    };
    let mut groups: Vec<Failure> = Vec::new();
    for told in failures {
        match groups.iter_mut().find(|group| same(&group.told, &told)) {
            Some(group) => group.times += 1,
            None => groups.push(Failure {
                reason: sentence(&told.reason),
                coded: !told.reason.contains(&told.code),
                times: 1,
                told,
            }),
        }
    }
    groups.truncate(FAILURES);
    groups
}

fn event(fate: Fate) -> Event {
    let (class, reason) = match fate.result.as_str() {
        "sent" => ("delivered", "handed to the destination's script.".to_owned()),
        "skipped" => ("filtered", pages::skipped(&fate.code)),
        _ => ("failed", pages::failed(&fate.code)),
    };
    let code = if reason.contains(&fate.code) { String::new() } else { fate.code };
    let (reason, in_all) = (sentence(&reason), grouped(fate.in_all));
    Event { class, word: fate.result, reason, code, in_all }
}

/// A share from 0 to 1 in percent. What is neither nothing nor all is never shown as such.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    let text = match text.strip_suffix(".0") {
        Some("0") if share > 0.0 => "<0.1",
        Some("100") if share < 1.0 => "99.9",
        Some(whole) => whole,
        None => &text,
    };
    format!("{text}\u{a0}%")
}

/// What became of an event in the page, by integration and action.
pub(super) fn told(now: &Workspace, ways: Vec<PageWay>) -> Vec<Told> {
    ways.into_iter().map(|way| told_of(now, way)).collect()
}

fn told_of(now: &Workspace, way: PageWay) -> Told {
    let (class, word) = match way.outcome.as_str() {
        "sent" => ("delivered", "sent"),
        "failed" => ("failed", "failed"),
        "refused" => ("refused", "refused"),
        "no_receipt" => ("pending", "no report"),
        "skipped" => ("filtered", "skipped"),
        _ => ("filtered", "filtered"),
    };
    let integration = now.integration(&way.integration);
    let action = integration.and_then(|i| i.actions.iter().find(|a| a.id == way.action));
    let title = format!(
        "{} · {}",
        integration.map_or(&*way.integration, |integration| &integration.name),
        action.map_or(&way.action, |action| &action.name)
    );
    let by = match (way.browser, way.plugin, way.revision) {
        (Some(browser), Some(plugin), Some(revision)) => {
            let plugin = if plugin.is_empty() { String::new() } else { format!(", {plugin}") };
            let revision =
                if revision == 0 { String::new() } else { format!(", revision {revision}") };
            format!("The page's word, which the server can't check: {browser}{plugin}{revision}")
        }
        (_, _, _) if way.outcome == "no_receipt" => String::new(),
        (_, _, _) => "The page reported nothing; this is what the event itself tells.".to_owned(),
    };
    let code = if way.outcome == "no_receipt" || way.reason.contains(&way.code) {
        String::new()
    } else {
        way.code
    };
    Told { title, class, word, reason: way.reason, code, by, at: way.at }
}

/// What the page says became of the event, in one sentence; `None` if there is nothing to say.
pub(super) fn verdict(told: &[Told]) -> Option<&'static str> {
    let any = |words: &[&str]| told.iter().any(|told| words.contains(&told.word));
    if any(&["sent"]) {
        Some("The page says that it handed it over.")
    } else if any(&["failed", "refused"]) {
        Some("The page could not send it.")
    } else if any(&["no report"]) {
        Some("What the page did with it isn't known: it reported nothing.")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_all() {
        let shown = [0.0, 0.000_1, 0.042, 0.05, 0.5, 0.999_9, 1.0].map(percent);
        assert_eq!(
            shown,
            ["0", "<0.1", "4.2", "5", "50", "99.9", "100"].map(|n| format!("{n}\u{a0}%"))
        );
    }

    #[test]
    fn the_parts_of_a_column_fill_it_in_the_order_of_the_legend() {
        let loads = Loads { loaded_in_all: 70, blocked: 20, failed: 10, ..Loads::default() };
        let drawn: Vec<_> =
            bars(&loads).iter().map(|b| (b.class, b.from.round(), b.length.round())).collect();
        assert_eq!(drawn, [("good", 0.0, 70.0), ("warn", 70.0, 20.0), ("bad", 90.0, 10.0)]);
        assert!(bars(&Loads::default()).is_empty());
    }
}
