//! What every store promises, checked with each implementation.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::*;
use heapline_store::{
    Appended::{Duplicate, Stored},
    Embedded, Error, Extent, LedgerBatch, Link, NewEvent, Outcome, PageResult, Query, Revision,
    Settings, Store,
};

#[test]
fn an_empty_store_is_empty() {
    each(&small(), |store| {
        let Extent { first, next, .. } = store.extent();
        assert_eq!((first, next), (1, 1));
        assert_eq!(read_all(store, 1), []);
        assert_eq!(store.event(1).unwrap(), None);
        assert_eq!(store.cursor("heap").unwrap(), None);
        assert_eq!(store.revision(None).unwrap(), None);
        assert_eq!(store.find(&Query { limit: 9, ..Query::default() }).unwrap().found, []);
    });
}

#[test]
fn what_is_appended_is_read_back_the_same_in_order() {
    each(&small(), |store| {
        let all = NewEvent {
            user_id: Some("ü".into()),
            anonymous_id: Some("".into()),
            name: "Ordered ☕".into(),
            ..event("a")
        };
        let big = NewEvent { json: vec![b'x'; 9_000].into(), ..event("b") };
        let bare = NewEvent { json: Box::default(), received_at: -5, ..event("c") };
        let given = vec![all, big, bare];
        let stored = append(store, given.clone()).unwrap();
        assert_eq!(stored, [Stored(1), Stored(2), Stored(3)]);
        let read = read_all(store, 1);
        assert_eq!(read.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(read.iter().map(|e| e.event.clone()).collect::<Vec<_>>(), given);
        for event in read {
            assert_eq!(store.event(event.seq).unwrap(), Some(event));
        }
        assert_eq!(store.event(0).unwrap(), None);
        assert_eq!(store.event(4).unwrap(), None);
    });
}

#[test]
fn an_append_of_nothing_is_answered() {
    each(&small(), |store| assert_eq!(append(store, Vec::new()), Ok(Vec::new())));
}

#[test]
fn a_reader_goes_on_where_it_was_and_sees_what_comes_later() {
    each(&small(), |store| {
        append_ids(store, ["1", "2", "3"]);
        let mut reader = store.reader(2).unwrap();
        assert_eq!(ids(&reader.next(1, 1_000).unwrap()), ["2"]);
        assert_eq!(ids(&reader.next(9, 1).unwrap()), ["3"]);
        assert_eq!(reader.next(9, 1_000).unwrap(), []);
        for n in 4..90 {
            append_ids(store, [n.to_string()]);
            assert_eq!(ids(&reader.next(9, 1_000).unwrap()), [n.to_string()]);
        }
        let mut early = store.reader(90).unwrap();
        assert_eq!(early.next(9, 1_000).unwrap(), []);
        append_ids(store, ["90"]);
        assert_eq!(ids(&early.next(9, 1_000).unwrap()), ["90"]);
    });
}

#[test]
fn a_message_id_is_stored_once_for_a_source_within_the_window() {
    each(&small(), |store| {
        let at = |id: &str, source: &str, at: i64| NewEvent {
            source: source.into(),
            received_at: NOW + at,
            ..event(id)
        };
        let first = append(store, vec![at("a", "site", 0), at("a", "site", 1), at("b", "site", 2)]);
        assert_eq!(first.unwrap(), [Stored(1), Duplicate(1), Stored(2)]);
        assert_eq!(append(store, vec![at("a", "app", 3)]).unwrap(), [Stored(3)]);
        append_ids(store, (0..200).map(|n| format!("filler {n}")));
        let later =
            append(store, vec![at("a", "site", DAY), at("a", "app", DAY), at("b", "site", DAY)]);
        assert_eq!(later.unwrap(), [Duplicate(1), Duplicate(3), Duplicate(2)]);
        let next = store.extent().next;
        let after = append(store, vec![at("a", "site", DAY + 1), at("a", "site", DAY + 2)]);
        assert_eq!(after.unwrap(), [Stored(next), Duplicate(next)]);
        append_ids(store, (0..200).map(|n| format!("more {n}")));
        assert_eq!(append(store, vec![at("a", "site", DAY + 3)]).unwrap(), [Duplicate(next)]);
    });
}

#[test]
fn every_commit_wakes_with_the_new_end() {
    each(&small(), |store| {
        let woken = Arc::new(AtomicU64::new(0));
        let told = woken.clone();
        store.on_commit(Box::new(move |next| told.store(next, Ordering::SeqCst)));
        append_ids(store, ["1", "2"]);
        store.close().unwrap();
        assert_eq!(woken.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn appends_of_many_threads_are_all_stored_each_in_its_order() {
    each(&small(), |store| {
        let places = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let places = &places;
                scope.spawn(move || {
                    for n in 0..20 {
                        let events = (0..3).map(|k| event(&format!("{thread} {n} {k}"))).collect();
                        let stored = append(store, events).unwrap();
                        let [Stored(a), Stored(b), Stored(c)] = stored[..] else { panic!() };
                        assert_eq!((b, c), (a + 1, a + 2));
                        places.lock().unwrap().extend([a, b, c]);
                    }
                });
            }
        });
        let mut places = places.into_inner().unwrap();
        places.sort_unstable();
        assert_eq!(places, (1..=480).collect::<Vec<_>>());
        assert_eq!(read_all(store, 1).len(), 480);
    });
}

#[test]
fn a_closed_store_takes_nothing() {
    each(&small(), |store| {
        append_ids(store, ["1"]);
        store.close().unwrap();
        assert_eq!(append(store, vec![event("2")]), Err(Error::Closed));
        assert_eq!(store.record(&LedgerBatch::default()), Err(Error::Closed));
        store.close().unwrap();
    });
}

#[test]
fn what_is_recorded_is_known_and_replaced_by_the_next() {
    each(&small(), |store| {
        let pending = settlement(20, "heap", Outcome::Pending, "");
        let mut done = settlement(20, "heap", Outcome::Failed, "http_400");
        done.deliveries[0].requests = vec![5, 3, u64::from(u32::MAX)];
        done.deliveries[0].sentence = "Heap said no.".into();
        done.deliveries[0].notices = vec!["cut".into()];
        done.deliveries.push(delivery(Outcome::Filtered, "trigger"));
        let other = settlement(20, "second", Outcome::Delivered, "");
        let first = settlement(1, "heap", Outcome::Delivered, "");
        let record = |settlements: Vec<_>| {
            store.record(&LedgerBatch { settlements, ..LedgerBatch::default() }).unwrap();
        };
        record(vec![pending.clone(), other.clone(), first.clone()]);
        assert_eq!(store.settlements("heap", 20, 21).unwrap(), BTreeMap::from([(20, pending)]));
        record(vec![done.clone()]);
        let all = BTreeMap::from([(1, first), (20, done)]);
        assert_eq!(store.settlements("heap", 0, u64::MAX).unwrap(), all);
        assert_eq!(store.settlements("second", 1, 99).unwrap(), BTreeMap::from([(20, other)]));
        assert_eq!(store.settlements("heap", 2, 20).unwrap(), BTreeMap::new());
        assert_eq!(store.settlements("third", 0, 99).unwrap(), BTreeMap::new());
    });
}

#[test]
fn an_integration_may_be_named_as_its_action_is() {
    each(&small(), |store| {
        let odd = settlement(1, "Track Event", Outcome::Delivered, "heap");
        let even = settlement(1, "heap", Outcome::Delivered, "Track Event");
        let settlements = vec![odd.clone(), even.clone()];
        store.record(&LedgerBatch { settlements, ..LedgerBatch::default() }).unwrap();
        assert_eq!(store.settlements("Track Event", 1, 2).unwrap(), BTreeMap::from([(1, odd)]));
        assert_eq!(store.settlements("heap", 1, 2).unwrap(), BTreeMap::from([(1, even)]));
    });
}

#[test]
fn requests_are_found_by_their_ids_in_the_order_asked() {
    each(&small(), |store| {
        let (one, two) = (store.next_request_id(), store.next_request_id());
        assert!(two > one);
        for (id, seq) in [(one, 1), (two, 40)] {
            let settlements = vec![settlement(seq, "heap", Outcome::Delivered, "")];
            let requests = vec![request(id)];
            store.record(&LedgerBatch { settlements, requests, ..LedgerBatch::default() }).unwrap();
        }
        let three = store.next_request_id();
        let requests = vec![request(three)];
        store.record(&LedgerBatch { requests, ..LedgerBatch::default() }).unwrap();
        let found = store.requests(&[three, one, three + 9, two]).unwrap();
        assert_eq!(found, [request(three), request(one), request(two)]);
    });
}

#[test]
fn cursors_are_kept_by_integration() {
    each(&small(), |store| {
        let record = |seq| {
            let cursors = BTreeMap::from([("heap".into(), seq)]);
            store.record(&LedgerBatch { cursors, ..LedgerBatch::default() }).unwrap();
        };
        append_ids(store, ["1", "2"]);
        record(3);
        assert_eq!(store.cursor("heap").unwrap(), Some(3));
        record(1);
        assert_eq!(store.cursor("heap").unwrap(), Some(1));
        assert_eq!(store.cursor("other").unwrap(), None);
    });
}

#[test]
fn held_events_are_found_until_they_are_released() {
    each(&small(), |store| {
        let hold = vec![held(9, "ann", 100), held(4, "ann", 300), held(5, "bob", 200)];
        store.record(&LedgerBatch { hold, ..LedgerBatch::default() }).unwrap();
        assert_eq!(store.held("heap", "ann").unwrap(), [held(4, "ann", 300), held(9, "ann", 100)]);
        assert_eq!(store.held("other", "ann").unwrap(), []);
        let up = |now, limit| store.held_until("heap", now, limit).unwrap();
        assert_eq!(up(99, 9), []);
        assert_eq!(up(200, 9), [held(9, "ann", 100), held(5, "bob", 200)]);
        assert_eq!(up(900, 1), [held(9, "ann", 100)]);
        let release = vec![("heap".into(), 9), ("other".into(), 4)];
        store.record(&LedgerBatch { release, ..LedgerBatch::default() }).unwrap();
        assert_eq!(store.held("heap", "ann").unwrap(), [held(4, "ann", 300)]);
    });
}

#[test]
fn the_last_link_of_an_anonymous_id_counts() {
    each(&small(), |store| {
        let record =
            |links| store.record(&LedgerBatch { links, ..LedgerBatch::default() }).unwrap();
        assert_eq!(store.linked("heap", "ann").unwrap(), None);
        record(vec![link("ann", "one"), link("bob", "two")]);
        record(vec![link("ann", "three")]);
        assert_eq!(store.linked("heap", "ann").unwrap(), Some("three".into()));
        assert_eq!(store.linked("heap", "bob").unwrap(), Some("two".into()));
        assert_eq!(store.linked("other", "ann").unwrap(), None);
    });
}

#[test]
fn links_are_forgotten_that_were_not_learnt_again_for_long() {
    each(&Settings { link_age: 10 * DAY, ..small() }, |store| {
        let old = Link { at: NOW - 11 * DAY, ..link("ann", "user 1") };
        let renewed = [Link { at: NOW - 11 * DAY, ..link("bob", "user 2") }, link("bob", "user 2")];
        let links = std::iter::once(old).chain(renewed).collect();
        store.record(&LedgerBatch { links, ..LedgerBatch::default() }).unwrap();
        assert_eq!(store.linked("heap", "ann").unwrap().as_deref(), Some("user 1"));
        store.retain(NOW).unwrap();
        assert_eq!(store.linked("heap", "ann").unwrap(), None);
        assert_eq!(store.linked("heap", "bob").unwrap().as_deref(), Some("user 2"));
    });
}

#[test]
fn the_anonymous_ids_of_held_events_are_known() {
    each(&small(), |store| {
        let hold = vec![held(9, "ann", 100), held(4, "ann", 300), held(5, "bob", 200)];
        store.record(&LedgerBatch { hold, ..LedgerBatch::default() }).unwrap();
        let sorted = |integration| {
            let mut ids = store.held_anonymous_ids(integration).unwrap();
            ids.sort();
            ids
        };
        assert_eq!(sorted("heap"), ["ann", "bob"]);
        assert_eq!(sorted("other"), [""; 0]);
        let release = vec![("heap".into(), 5)];
        store.record(&LedgerBatch { release, ..LedgerBatch::default() }).unwrap();
        assert_eq!(sorted("heap"), ["ann"]);
    });
}

/// Twenty events of two users and two names; what became of every second at `heap`.
fn fill(store: &dyn Store) {
    for n in 0..20_i64 {
        let event = NewEvent {
            user_id: (n % 3 > 0).then(|| format!("u{}", n % 3).into()),
            anonymous_id: (n % 2 > 0).then(|| "ann".into()),
            name: if n % 5 == 0 { "Rare" } else { "Often" }.into(),
            source: if n < 10 { "site" } else { "app" }.into(),
            received_at: NOW + n,
            ..event(&format!("m{n}"))
        };
        append(store, vec![event]).unwrap();
    }
    let settlements = (1..=20)
        .step_by(2)
        .map(|seq| match seq % 3 {
            0 => settlement(seq, "heap", Outcome::Failed, "http_400"),
            1 => settlement(seq, "heap", Outcome::Delivered, ""),
            _ => settlement(seq, "heap", Outcome::Refused, "no_identity"),
        })
        .chain([settlement(7, "second", Outcome::Failed, "http_500")])
        .collect();
    store.record(&LedgerBatch { settlements, ..LedgerBatch::default() }).unwrap();
}

#[test]
fn find_answers_each_question_newest_first() {
    let ask = || Query { limit: 3, ..Query::default() };
    let some = |text: &str| Some(text.to_owned());
    let cases: Vec<(Query, Vec<u64>)> = vec![
        (ask(), (1..=20).rev().collect()),
        (Query { message_id: some("m4"), ..ask() }, vec![5]),
        (Query { message_id: some("nobody"), ..ask() }, vec![]),
        (Query { user_id: some("u2"), ..ask() }, vec![18, 15, 12, 9, 6, 3]),
        (Query { user_id: some("u2"), before: Some(12), ..ask() }, vec![9, 6, 3]),
        (Query { anonymous_id: some("ann"), user_id: some("u2"), ..ask() }, vec![18, 12, 6]),
        (Query { event: some("Rare"), ..ask() }, vec![16, 11, 6, 1]),
        (Query { from: Some(6), before: Some(16), event: some("Rare"), ..ask() }, vec![11, 6]),
        (Query { from: Some(9), user_id: some("u2"), ..ask() }, vec![18, 15, 12, 9]),
        (Query { from: Some(9), outcome: Some(Outcome::Failed), ..ask() }, vec![15, 9]),
        (Query { from: Some(21), ..ask() }, vec![]),
        (Query { source: some("site"), event: some("Rare"), ..ask() }, vec![6, 1]),
        (Query { since: Some(NOW + 17), ..ask() }, vec![20, 19, 18]),
        (Query { until: Some(NOW + 3), ..ask() }, vec![3, 2, 1]),
        (Query { since: Some(NOW + 5), until: Some(NOW + 7), ..ask() }, vec![7, 6]),
        (Query { outcome: Some(Outcome::Failed), ..ask() }, vec![15, 9, 7, 3]),
        (Query { outcome: Some(Outcome::Delivered), ..ask() }, vec![19, 13, 7, 1]),
        (
            Query { outcome: Some(Outcome::Failed), integration: some("heap"), ..ask() },
            vec![15, 9, 3],
        ),
        (Query { integration: some("second"), ..ask() }, vec![7]),
        (Query { code: some("no_identity"), ..ask() }, vec![17, 11, 5]),
        (Query { code: some("http_500"), integration: some("heap"), ..ask() }, vec![]),
        (Query { code: some("http_500"), outcome: Some(Outcome::Delivered), ..ask() }, vec![]),
        (Query { outcome: Some(Outcome::Failed), user_id: some("u2"), ..ask() }, vec![15, 9, 3]),
        (Query { outcome: Some(Outcome::Failed), event: some("Rare"), ..ask() }, vec![]),
        (Query { limit: 0, ..ask() }, vec![]),
    ];
    for search_limit in [1, 25, 100_000] {
        each(&Settings { search_limit, ..small() }, |store| {
            fill(store);
            for (query, wanted) in &cases {
                assert_eq!(found_seqs(store, query), *wanted, "{query:?} by {search_limit}");
            }
        });
    }
}

#[test]
fn find_gives_the_event_with_all_that_became_of_it() {
    each(&small(), |store| {
        fill(store);
        let query = Query { message_id: Some("m6".into()), limit: 9, ..Query::default() };
        let found = store.find(&query).unwrap();
        assert_eq!(found.more, None);
        let [found] = &found.found[..] else { panic!("{found:?}") };
        assert_eq!(Some(&found.event), store.event(7).unwrap().as_ref());
        let fates = [
            settlement(7, "heap", Outcome::Delivered, ""),
            settlement(7, "second", Outcome::Failed, "http_500"),
        ];
        assert_eq!(found.settlements, fates);
    });
}

#[test]
fn deliveries_are_counted_by_reason_as_they_are_now() {
    each(&small(), |store| {
        append_ids(store, (0..40).map(|n| format!("m{n}")));
        let failed = |seq: u64, code: &str, at: i64| {
            let mut settlement = settlement(seq, "heap", Outcome::Failed, code);
            settlement.deliveries[0].at = NOW + at;
            settlement.deliveries[0].sentence = format!("no {seq}").into();
            settlement
        };
        let mut settlements: Vec<_> = (1..=30).map(|n| failed(n, "http_400", n as i64)).collect();
        settlements.push(failed(31, "http_413", 31));
        settlements.push(settlement(32, "heap", Outcome::Refused, "no_identity"));
        settlements.push(settlement(33, "heap", Outcome::Delivered, ""));
        settlements.push(settlement(33, "second", Outcome::Expired, "retries_over"));
        store.record(&LedgerBatch { settlements, ..LedgerBatch::default() }).unwrap();
        let dead = [Outcome::Failed, Outcome::Expired];
        let reasons = |only| {
            let reasons = store.reasons(only, &dead).unwrap().into_iter();
            let mut all: Vec<_> = reasons
                .map(|r| (r.code.to_string(), r.count, r.last - NOW, r.latest, r.sentence.into()))
                .collect();
            all.sort();
            all
        };
        let row = |code: &str, count: u64, last: i64, latest: u64, sentence: &str| {
            (code.to_owned(), count, last, latest, sentence.to_owned())
        };
        let (many, one) =
            (row("http_400", 30, 30, 30, "no 30"), row("http_413", 1, 31, 31, "no 31"));
        assert_eq!(reasons(Some("heap")), [many.clone(), one.clone()]);
        assert_eq!(reasons(None), [many, one, row("retries_over", 1, 0, 33, "")]);
        assert_eq!(reasons(Some("nobody")), []);
        let first = store.reasons(Some("heap"), &[Outcome::Failed]).unwrap();
        assert_eq!(first.iter().map(|r| r.first - NOW).min(), Some(1));

        // What was replayed has another fate now.
        let mut settlements: Vec<_> =
            (20..=30).map(|n| settlement(n, "heap", Outcome::Delivered, "")).collect();
        settlements.push(failed(19, "http_400", 50));
        settlements.push(failed(31, "http_400", 51));
        store.record(&LedgerBatch { settlements, ..LedgerBatch::default() }).unwrap();
        assert_eq!(reasons(Some("heap")), [row("http_400", 20, 51, 31, "no 31")]);
        let settlements = vec![settlement(31, "heap", Outcome::Delivered, "")];
        store.record(&LedgerBatch { settlements, ..LedgerBatch::default() }).unwrap();
        assert_eq!(reasons(Some("heap"))[0].3, 19);
    });
}

#[test]
fn rejected_input_is_kept_up_to_the_bound() {
    each(&small(), |store| {
        store.reject((0..4).map(|n| rejected(n, "site")).collect());
        store.reject((4..7).map(|n| rejected(n, "")).collect());
        let all = store.rejected(None, 99).unwrap();
        let wanted = [(6, ""), (5, ""), (4, ""), (3, "site"), (2, "site")];
        assert_eq!(all, wanted.map(|(n, source)| rejected(n, source)));
        assert_eq!(store.rejected(Some("site"), 1).unwrap(), [rejected(3, "site")]);
        assert_eq!(store.rejected(Some("app"), 9).unwrap(), []);
    });
    each(&Settings { rejected_bytes: 100, rejected_items: 99, ..small() }, |store| {
        store.reject((0..9).map(|n| rejected(n, "site")).collect());
        assert_eq!(store.rejected(None, 99).unwrap(), [8, 7, 6].map(|n| rejected(n, "site"))[..3]);
    });
}

#[test]
fn revisions_are_numbered_and_conflicts_named() {
    each(&small(), |store| {
        assert_eq!(store.save_revision(1, NOW, "ann", "x"), Err(Error::Conflict(0)));
        assert_eq!(store.save_revision(0, NOW, "ann", "one"), Ok(1));
        assert_eq!(store.save_revision(0, NOW, "bob", "other"), Err(Error::Conflict(1)));
        assert_eq!(store.save_revision(1, NOW + 1, "bob", "two"), Ok(2));
        let one = Revision { number: 1, at: NOW, by: "ann".into(), document: "one".into() };
        let two = Revision { number: 2, at: NOW + 1, by: "bob".into(), document: "two".into() };
        assert_eq!(store.revision(Some(1)).unwrap(), Some(one.clone()));
        assert_eq!(store.revision(None).unwrap(), Some(two.clone()));
        assert_eq!(store.revision(Some(3)).unwrap(), None);
        let without = |r| Revision { document: "".into(), ..r };
        assert_eq!(store.revisions().unwrap(), [without(two), without(one)]);
    });
}

#[test]
fn retention_drops_old_events_and_says_which_were_undelivered() {
    each(&Settings { retention: DAY, ..small() }, |store| {
        append_ids(store, (0..100).map(|n| format!("old {n}")));
        let mut slow = store.reader(1).unwrap();
        let hold = vec![held(3, "ann", NOW + 9 * DAY)];
        let cursors = BTreeMap::from([("heap".into(), 41), ("quick".into(), 101)]);
        let settlements = vec![settlement(3, "heap", Outcome::Held, "")];
        let batch = LedgerBatch { hold, cursors, settlements, ..LedgerBatch::default() };
        store.record(&batch).unwrap();
        assert_eq!(store.retain(NOW + DAY).unwrap().dropped, (1, 1));

        let retained = store.retain(NOW + DAY + 1).unwrap();
        assert_eq!(retained.dropped, (1, 101));
        assert_eq!(retained.undelivered, BTreeMap::from([("heap".into(), (41, 101))]));
        let Extent { first, next, .. } = store.extent();
        assert_eq!((first, next), (101, 101));
        assert_eq!(store.event(50).unwrap(), None);
        assert_eq!(found_seqs(store, &Query { limit: 9, ..Query::default() }), []);
        assert_eq!(store.held("heap", "ann").unwrap().len(), 1);
        assert_eq!(store.settlements("heap", 1, 9).unwrap().len(), 1);

        append_ids(store, ["old 3", "new"]);
        assert_eq!(ids(&slow.next(9, 1_000).unwrap()), ["old 3", "new"]);
        assert_eq!(ids(&read_all(store, 1)), ["old 3", "new"]);
    });
}

#[test]
fn retention_keeps_to_the_bytes_allowed() {
    each(&Settings { retention_bytes: 20_000, ..small() }, |store| {
        for n in 0..300 {
            append_ids(store, [format!("{n:0100}")]);
        }
        let (from, first) = store.retain(NOW).unwrap().dropped;
        assert_eq!((from, first), (1, store.extent().first));
        assert!(first > 100, "{first}");
        assert!(store.extent().bytes <= 20_000);
        assert_eq!(read_all(store, 1).len() as u64, 301 - first);
    });
}

#[test]
fn the_embedded_store_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Embedded::open(dir.path(), small()).unwrap();
    let last_request;
    {
        let store = open();
        fill(&store);
        append_ids(&store, (0..100).map(|n| format!("f{n}")));
        let cursors = BTreeMap::from([("heap".into(), 7)]);
        let hold = vec![held(9, "ann", 100)];
        let requests = vec![request(store.next_request_id())];
        store.record(&LedgerBatch { cursors, hold, requests, ..LedgerBatch::default() }).unwrap();
        store.save_revision(0, NOW, "ann", "one").unwrap();
        store.reject(vec![rejected(1, "site")]);
        store.report(vec![report(1, "m3", PageResult::Sent, "")]);
        last_request = store.next_request_id();
        store.close().unwrap();
    }
    let store = open();
    let again = |id: &str, source: &str| NewEvent { source: source.into(), ..event(id) };
    let repeated = append(&store, vec![again("m3", "site"), again("m13", "app"), event("f99")]);
    assert_eq!(repeated.unwrap(), [Duplicate(4), Duplicate(14), Duplicate(120)]);
    assert_eq!(read_all(&store, 1).len(), 120);
    assert_eq!(append(&store, vec![event("new")]).unwrap(), [Stored(121)]);
    assert_eq!(store.cursor("heap").unwrap(), Some(7));
    assert_eq!(store.held("heap", "ann").unwrap(), [held(9, "ann", 100)]);
    assert_eq!(store.revision(None).unwrap().unwrap().number, 1);
    assert_eq!(store.rejected(None, 9).unwrap(), [rejected(1, "site")]);
    assert_eq!(store.page_reports("site", "m3").unwrap(), [report(1, "m3", PageResult::Sent, "")]);
    assert_eq!(store.settlements("heap", 1, 99).unwrap().len(), 10);
    assert!(store.next_request_id() > last_request);
    let query = Query { user_id: Some("u2".into()), limit: 2, ..Query::default() };
    assert_eq!(found_seqs(&store, &query), [18, 15, 12, 9, 6, 3]);
}

#[test]
fn two_processes_cannot_open_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Embedded::open(dir.path(), small()).unwrap();
    let Err(Error::Io(said)) = Embedded::open(dir.path(), small()) else { panic!() };
    assert!(said.contains("in use by another process"), "{said}");
}
