//! What the embedded store does to its directory, and with one that is not as it left it.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::*;
use heapline_store::embedded::{inspect, mend};
use heapline_store::{
    Appended::{Duplicate, Stored},
    Commit, Count, Embedded, Error, Gather, LedgerBatch, NewEvent, Note, Outcome, Query, Settings,
    Span, Store,
};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn size(dir: &Path) -> u64 {
    let mut size = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let is_dir = entry.file_type().unwrap().is_dir();
        size += if is_dir { self::size(&entry.path()) } else { entry.metadata().unwrap().len() };
    }
    size
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    paths.sort();
    paths
}

/// What is on the disk whenever `record` returns is enough, should the process be killed then.
#[test]
fn what_is_acknowledged_survives_a_kill() {
    let (dir, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Embedded::open(dir.path(), small()).unwrap();
    let mut settled = BTreeMap::new();
    for n in 1..=12_u64 {
        append_ids(&store, [format!("a{n}"), format!("b{n}")]);
        let seq = 2 * n - 1;
        let one = settlement(seq, "heap", Outcome::Delivered, "");
        settled.insert(seq, one.clone());
        let batch = LedgerBatch {
            settlements: vec![one],
            requests: vec![request(n)],
            cursors: BTreeMap::from([("heap".into(), seq + 1)]),
            hold: vec![held(seq + 1, "ann", NOW)],
            release: if n > 1 { vec![("heap".into(), seq - 1)] } else { Vec::new() },
            links: vec![link("ann", &format!("user {n}"))],
        };
        store.record(&batch).unwrap();
        let copied = copies.path().join(n.to_string());
        copy(dir.path(), &copied);

        let found = Embedded::open(&copied, small()).unwrap();
        assert_eq!(found.extent().next, 2 * n + 1);
        assert_eq!(found.settlements("heap", 1, 99).unwrap(), settled);
        assert_eq!(found.cursor("heap").unwrap(), Some(seq + 1));
        assert_eq!(found.requests(&[n]).unwrap(), [request(n)]);
        assert_eq!(found.held("heap", "ann").unwrap(), [held(seq + 1, "ann", NOW)]);
        assert_eq!(found.linked("heap", "ann").unwrap(), Some(format!("user {n}")));
        let again = append(&found, vec![event(&format!("b{n}"))]).unwrap();
        assert_eq!(again, [Duplicate(2 * n)]);
    }
}

#[test]
fn every_commit_is_observed() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let seen = seen.clone();
        Arc::new(move |commit: Commit| seen.lock().unwrap().push(commit))
    };
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { observer: Some(observer), ..small() };
    let store = Embedded::open(dir.path(), settings).unwrap();
    append_ids(&store, ["a", "b", "a"]);
    append_ids(&store, ["b"]);
    append_ids(&store, ["c"]);
    store.close().unwrap();
    let events: Vec<_> = seen.lock().unwrap().iter().map(|commit| commit.events).collect();
    assert_eq!(events, [2, 1]);
    assert!(seen.lock().unwrap().iter().all(|commit| commit.bytes > 90 && !commit.sync.is_zero()));
}

#[test]
fn retention_gives_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        segment_bytes: 64 << 10,
        ledger_span: 256,
        retention: DAY,
        ..Settings::default()
    };
    let store = Embedded::open(dir.path(), settings).unwrap();
    let empty = size(dir.path());
    for n in 0..20_u64 {
        let events = (0..100)
            .map(|k| NewEvent { json: vec![b'x'; 1_000].into(), ..event(&format!("{n} {k}")) });
        append(&store, events.collect()).unwrap();
        let range = n * 100 + 1..n * 100 + 101;
        let settlements =
            range.clone().map(|seq| settlement(seq, "heap", Outcome::Refused, "no_identity"));
        let batch = LedgerBatch {
            settlements: settlements.collect(),
            hold: range.map(|seq| held(seq, "ann", NOW)).collect(),
            cursors: BTreeMap::from([("heap".into(), n * 100 + 101)]),
            ..LedgerBatch::default()
        };
        store.record(&batch).unwrap();
    }
    let full = size(dir.path());
    assert!(full > empty + 2_000_000, "{empty} to {full}");
    let release = (1..=2_000).map(|seq| ("heap".into(), seq)).collect();
    store.record(&LedgerBatch { release, ..LedgerBatch::default() }).unwrap();
    store.retain(NOW + DAY + 1).unwrap();
    let after = size(dir.path());
    // A segment, a spare one, and the last file of the ledger remain.
    assert!(after < empty + 600_000, "{empty} to {full} to {after}");
    assert_eq!(store.extent().first, 2_001);
}

#[test]
fn damage_is_named_and_mended_deliberately() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), small()).unwrap();
    for n in 0..200 {
        append_ids(&store, [format!("m{n}")]);
    }
    store
        .record(&LedgerBatch {
            settlements: vec![settlement(150, "heap", Outcome::Delivered, "")],
            cursors: BTreeMap::from([("heap".into(), 201)]),
            ..LedgerBatch::default()
        })
        .unwrap();
    drop(store);
    let report = inspect(dir.path()).unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.first(), report.next()), (1, 201));
    assert_eq!(mend(dir.path()).unwrap(), report);

    let files = segments(dir.path());
    let mut bytes = fs::read(&files[1]).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&files[1], bytes).unwrap();
    let report = inspect(dir.path()).unwrap();
    let [damage] = &report.segments[1].damage[..] else { panic!("{report:?}") };
    assert!(damage.offset <= 1_000 && damage.offset > 800);
    let lost = damage.events.0;
    assert_eq!(damage.events.1, lost + 1);

    // A sealed segment is not looked at before it is read: then the error is loud.
    let store = Embedded::open(dir.path(), small()).unwrap();
    let Err(Error::Damaged { file, offset, .. }) = store.event(lost) else { panic!() };
    assert_eq!((Path::new(&file), offset), (&*files[1], damage.offset));
    let mut reader = store.reader(lost - 1).unwrap();
    assert_eq!(reader.next(9, 9_999).unwrap().len(), 1);
    let Err(Error::Damaged { .. }) = reader.next(9, 9_999) else { panic!() };
    let Err(Error::Damaged { .. }) = reader.next(9, 9_999) else { panic!() };
    drop(store);

    mend(dir.path()).unwrap();
    let report = inspect(dir.path()).unwrap();
    assert!(report.is_whole());
    assert_eq!(report.segments[1].lost, 1);
    let store = Embedded::open(dir.path(), small()).unwrap();
    assert_eq!(store.event(lost).unwrap(), None);
    assert_eq!(read_all(&store, 1).len(), 199);
    let all = Query { limit: 500, ..Query::default() };
    assert_eq!(found_seqs(&store, &all).len(), 199);
    let id = format!("m{}", lost);
    assert_eq!(append(&store, vec![event(&id)]).unwrap(), [Duplicate(lost + 1)]);
}

#[test]
fn a_journal_shorter_than_the_ledger_knows_is_a_loud_error_and_its_places_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), small()).unwrap();
    for n in 0..200 {
        append_ids(&store, [format!("m{n}")]);
    }
    let settlements = vec![settlement(200, "heap", Outcome::Delivered, "")];
    store.record(&LedgerBatch { settlements, ..LedgerBatch::default() }).unwrap();
    drop(store);
    fs::remove_file(segments(dir.path()).last().unwrap()).unwrap();
    let Err(Error::Damaged { what, .. }) = Embedded::open(dir.path(), small()) else { panic!() };
    assert!(what.contains("missing or cut"), "{what}");
    mend(dir.path()).unwrap();
    let store = Embedded::open(dir.path(), small()).unwrap();
    assert_eq!(append(&store, vec![event("new")]).unwrap(), [Stored(201)]);
    assert!(read_all(&store, 1).len() > 150);
}

#[test]
fn a_directory_of_another_version_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    drop(Embedded::open(dir.path(), small()).unwrap());
    let path = dir.path().join("store");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    fs::write(&path, bytes).unwrap();
    let Err(Error::Damaged { what, .. }) = Embedded::open(dir.path(), small()) else { panic!() };
    assert!(what.contains("version"), "{what}");
}

/// Makes the fixture anew: only for a new format version.
#[test]
fn the_fixture_of_version_1_opens_and_says_what_it_did() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1");
    if std::env::var_os("HEAPLINE_MAKE_FIXTURE").is_some() {
        make_fixture(&fixture);
    }
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture, dir.path());
    assert!(inspect(dir.path()).unwrap().is_whole());
    let store = Embedded::open(dir.path(), small()).unwrap();
    let wanted: Vec<NewEvent> = (0..30).map(fixture_event).collect();
    let read: Vec<NewEvent> = read_all(&store, 1).into_iter().map(|e| e.event).collect();
    assert_eq!(read, wanted);
    let again = append(&store, vec![fixture_event(2), fixture_event(29)]).unwrap();
    assert_eq!(again, [Duplicate(3), Duplicate(30)]);
    let query = Query { user_id: Some("user 1".into()), limit: 99, ..Query::default() };
    assert_eq!(
        found_seqs(&store, &query),
        (1..=30).rev().filter(|n| n % 4 == 2).collect::<Vec<_>>()
    );
    assert_eq!(store.settlements("heap", 1, 99).unwrap(), fixture_settlements());
    for outcome in Outcome::ALL {
        let query = Query { outcome: Some(outcome), limit: 99, ..Query::default() };
        let mut has: Vec<u64> = fixture_settlements()
            .into_iter()
            .filter(|(_, s)| s.deliveries.iter().any(|d| d.outcome == outcome))
            .map(|(seq, _)| seq)
            .collect();
        has.reverse();
        assert_eq!(found_seqs(&store, &query), has);
        let coded = fixture_settlements().into_values().flat_map(|s| s.deliveries);
        let coded = coded.filter(|d| d.outcome == outcome && !d.code.is_empty()).count() as u64;
        let reasons = store.reasons(None, &[outcome]).unwrap();
        assert_eq!(reasons.iter().map(|reason| reason.count).sum::<u64>(), coded);
    }
    assert_eq!(store.cursor("heap").unwrap(), Some(21));
    assert_eq!(store.requests(&[7]).unwrap(), [request(7)]);
    assert_eq!(store.held("heap", "ann").unwrap(), [held(21, "ann", NOW + 5)]);
    assert_eq!(store.linked("heap", "bob").unwrap(), Some("user 3".into()));
    assert_eq!(store.rejected(None, 9).unwrap(), [rejected(1, "site")]);
    assert_eq!(store.revision(None).unwrap().unwrap().document, "{\"sources\":[]}".into());
    assert_eq!(store.kept("token").unwrap(), BTreeMap::from([("t1".into(), "text".into())]));
    assert_eq!(store.notes(None, 9).unwrap(), [(1, fixture_note())]);
    let minute = Span::Minute.start(NOW);
    assert_eq!(
        store.counts(Span::Minute, 0, NOW).unwrap(),
        [Count { at: minute, ..fixture_count() }]
    );
}

fn fixture_note() -> Note {
    Note { at: NOW, who: "ann".into(), what: "saved".into(), revision: Some(1) }
}

fn fixture_count() -> Count {
    Count { at: NOW, subject: "heap".into(), name: "delivered".into(), value: 3, how: Gather::Sum }
}

fn fixture_event(n: i64) -> NewEvent {
    NewEvent {
        received_at: NOW + n,
        user_id: (n % 2 > 0).then(|| format!("user {}", n % 4).into()),
        anonymous_id: (n % 3 > 0).then(|| "ünïcode ☕".into()),
        ..event(&format!("message {n}"))
    }
}

fn fixture_settlements() -> BTreeMap<u64, heapline_store::Settlement> {
    let outcomes = [
        Outcome::Pending,
        Outcome::Held,
        Outcome::Delivered,
        Outcome::Filtered,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Expired,
    ];
    let settle = |(seq, outcome)| {
        let mut one = settlement(seq, "heap", outcome, "code");
        one.deliveries[0].sentence = "A sentence.".into();
        one.deliveries[0].requests = vec![7, 3];
        one.deliveries[0].notices = vec!["A notice.".into()];
        (seq, one)
    };
    (14..).zip(outcomes).map(settle).collect()
}

fn make_fixture(dir: &Path) {
    fs::remove_dir_all(dir).ok();
    let store = Embedded::open(dir, Settings { segment_bytes: 2_000, ..small() }).unwrap();
    for n in (0..30).step_by(3) {
        append(&store, (n..n + 3).map(fixture_event).collect()).unwrap();
    }
    let batch = LedgerBatch {
        settlements: fixture_settlements().into_values().collect(),
        requests: vec![request(7)],
        cursors: BTreeMap::from([("heap".into(), 21)]),
        hold: vec![held(21, "ann", NOW + 5)],
        links: vec![link("bob", "user 3")],
        ..LedgerBatch::default()
    };
    store.record(&batch).unwrap();
    store.reject(vec![rejected(1, "site")]);
    store.save_revision(0, NOW, "ann", "{\"sources\":[]}").unwrap();
    store.keep("token", "t1", Some("text")).unwrap();
    store.note(&fixture_note()).unwrap();
    store.count(&[fixture_count()]).unwrap();
    store.close().unwrap();
    drop(store);
    for extra in ["lock", "journal/spare"] {
        fs::remove_file(dir.join(extra)).ok();
    }
}
