//! What every store promises of what couriers don't write: notes, counts, reports of pages.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod common;

use common::*;
use heapline_store::{
    Count, Embedded, Gather, Note, PageReport, PageResult, PageSummary, Settings, Span, Store, Told,
};

#[test]
fn small_texts_are_kept_by_kind_and_key() {
    each(&small(), |store| {
        store.keep("token", "a", Some("one")).unwrap();
        store.keep("token", "b", Some("two")).unwrap();
        store.keep("replay", "a", Some("three")).unwrap();
        store.keep("token", "a", Some("four")).unwrap();
        store.keep("token", "c", None).unwrap();
        let all = |kind| store.kept(kind).unwrap().into_iter().collect::<Vec<_>>();
        let pair = |key: &str, text: &str| (key.to_owned(), text.to_owned());
        assert_eq!(all("token"), [pair("a", "four"), pair("b", "two")]);
        store.keep("token", "a", None).unwrap();
        assert_eq!(all("token"), [pair("b", "two")]);
        assert_eq!(all("replay"), [pair("a", "three")]);
        assert_eq!(all("other"), []);
    });
}

#[test]
fn the_log_of_changes_is_read_newest_first() {
    each(&small(), |store| {
        let note = |n: i64| Note {
            at: NOW + n,
            who: "ann".into(),
            what: format!("did {n}").into(),
            revision: (n % 2 == 0).then_some(7),
        };
        (1..=5).for_each(|n| store.note(&note(n)).unwrap());
        let newest = store.notes(None, 2).unwrap();
        assert_eq!(newest, [(5, note(5)), (4, note(4))]);
        assert_eq!(store.notes(Some(4), 9).unwrap(), [(3, note(3)), (2, note(2)), (1, note(1))]);
    });
}

#[test]
fn counts_are_gathered_by_minute_and_hour_for_as_long_as_each_is_kept() {
    each(&small(), |store| {
        let hour = NOW - NOW % HOUR;
        let count = |at, name: &str, value, how| Count {
            at,
            subject: "heap".into(),
            name: name.into(),
            value,
            how,
        };
        let (sum, peak) = (Gather::Sum, Gather::Peak);
        store
            .count(&[
                count(hour + 5, "delivered", 3, sum),
                count(hour + 59_999, "delivered", 4, sum),
                count(hour + 7, "pending", 9, peak),
            ])
            .unwrap();
        store
            .count(&[
                count(hour + 60_000, "delivered", 5, sum),
                count(hour + 8, "pending", 2, peak),
                count(hour + HOUR, "delivered", 6, sum),
            ])
            .unwrap();
        let minutes = [
            count(hour, "delivered", 7, sum),
            count(hour, "pending", 9, peak),
            count(hour + 60_000, "delivered", 5, sum),
        ];
        assert_eq!(store.counts(Span::Minute, hour, hour + HOUR).unwrap(), minutes);
        let hours = [
            count(hour, "delivered", 12, sum),
            count(hour, "pending", 9, peak),
            count(hour + HOUR, "delivered", 6, sum),
        ];
        assert_eq!(store.counts(Span::Hour, hour, hour + 2 * HOUR).unwrap(), hours);
        store.retain(hour + 2 * DAY + 1).unwrap();
        assert_eq!(store.counts(Span::Minute, 0, hour + HOUR).unwrap(), minutes[2..]);
        assert_eq!(store.counts(Span::Hour, hour, hour + 2 * HOUR).unwrap(), hours);
        store.retain(hour + 400 * DAY + 1).unwrap();
        assert_eq!(store.counts(Span::Hour, 0, hour + 2 * HOUR).unwrap(), hours[2..]);
    });
}

#[test]
fn reports_of_pages_are_found_by_event_and_summed_by_integration() {
    use PageResult::{Failed, Loaded, Sent};
    let about = |n, id: &str, result, reason: &str| report(n, id, result, reason);
    let other = PageReport { integration: "other".into(), ..about(5, "a", Sent, "") };
    let foreign = PageReport { source: "app".into(), ..about(6, "a", Failed, "boom") };
    let chrome =
        PageReport { browser: "Chrome".into(), stands_for: 20.0, ..about(7, "", Loaded, "") };
    let given = vec![
        about(0, "old", Sent, ""),
        about(1, "a", Failed, "consent"),
        about(2, "b", Sent, ""),
        about(3, "a", Sent, ""),
        about(4, "", Failed, "sdk_load_failed"),
        other.clone(),
        foreign.clone(),
        chrome,
        about(8, "", Loaded, ""),
        PageReport { stands_for: 2.5, ..about(9, "", Loaded, "") },
        about(HOUR, "", Loaded, ""),
    ];
    each(&small(), |store| {
        store.report(given.clone());
        let of_a = store.page_reports("site", "a").unwrap();
        assert_eq!(of_a, [given[1].clone(), given[3].clone(), other.clone()]);
        assert_eq!(store.page_reports("app", "a").unwrap(), std::slice::from_ref(&foreign));
        assert_eq!(store.page_reports("site", "").unwrap(), [], "pages are no event");

        let summary = store.page_summary("web", NOW + 1, 2).unwrap();
        let hour = NOW - NOW % HOUR;
        let told = |reports, in_all| Told { reports, in_all };
        let pages = [
            ((hour, "Chrome".into(), Loaded, "".into()), told(1, 20.0)),
            ((hour, "Firefox".into(), Loaded, "".into()), told(2, 3.5)),
            ((hour, "Firefox".into(), Failed, "sdk_load_failed".into()), told(1, 1.0)),
            ((hour + HOUR, "Firefox".into(), Loaded, "".into()), told(1, 1.0)),
        ];
        assert_eq!(summary.pages, pages.into());
        let events = [
            ((Sent, "".into()), told(2, 2.0)),
            ((Failed, "boom".into()), told(1, 1.0)),
            ((Failed, "consent".into()), told(1, 1.0)),
        ];
        assert_eq!(summary.events, events.into());
        assert_eq!(summary.failures, [foreign.clone(), given[4].clone()]);
        assert_eq!(store.page_summary("nobody", 0, 9).unwrap(), PageSummary::default());
    });
}

#[test]
fn reports_of_pages_are_kept_up_to_the_bounds_and_as_long_as_events() {
    /// Of the text of such a report: site, web, m0, track, Firefox, p@1.
    const BYTES: usize = 4 + 3 + 2 + 5 + 7 + 3;
    let told = |n: i64| report(n, &format!("m{n}"), PageResult::Sent, "");
    let known = |store: &dyn Store| {
        (0..9)
            .filter(|n| !store.page_reports("site", &format!("m{n}")).unwrap().is_empty())
            .collect::<Vec<i64>>()
    };
    each(&Settings { report_items: 5, ..small() }, |store| {
        store.report((0..4).map(told).collect());
        assert_eq!(known(store), [0, 1, 2, 3]);
        store.report((4..7).map(told).collect());
        assert_eq!(known(store), [2, 3, 4, 5, 6]);
    });
    each(&Settings { report_bytes: 3 * BYTES, ..small() }, |store| {
        store.report((0..9).map(told).collect());
        assert_eq!(known(store), [6, 7, 8]);
    });
    each(&Settings { retention: 4, ..small() }, |store| {
        store.report((0..9).map(told).collect());
        store.retain(NOW + 9).unwrap();
        assert_eq!(known(store), [5, 6, 7, 8]);
    });
}

#[test]
fn reports_that_an_earlier_program_wrote_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    Embedded::open(dir.path(), small()).unwrap().close().unwrap();
    let file = dir.path().join("reports.db");
    std::fs::remove_file(&file).unwrap();
    let old = rusqlite::Connection::open(&file).unwrap();
    old.execute_batch(
        "CREATE TABLE reports (
            id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, source TEXT NOT NULL,
            integration TEXT NOT NULL, message_id TEXT NOT NULL, action TEXT NOT NULL,
            result TEXT NOT NULL, reason TEXT NOT NULL, ms INTEGER NOT NULL,
            browser TEXT NOT NULL, bytes INTEGER NOT NULL);
         CREATE INDEX reports_event ON reports (source, message_id) WHERE message_id <> '';
         CREATE INDEX reports_integration ON reports (integration, at);
         CREATE INDEX reports_at ON reports (at);
         INSERT INTO reports VALUES
            (1, 5, 'site', 'web', 'm', 'track', 'sent', '', 3, 'Firefox', 20);
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    for _ in 0..2 {
        let store = Embedded::open(dir.path(), small()).unwrap();
        let kept = PageReport {
            at: 5,
            plugin: "".into(),
            revision: 0,
            ..report(0, "m", PageResult::Sent, "")
        };
        assert_eq!(store.page_reports("site", "m").unwrap(), [kept]);
        store.close().unwrap();
    }
}
