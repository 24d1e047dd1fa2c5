//! The journal on disks that lose, cut, flip and refuse.

mod memfs;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

use proptest::prelude::*;

use super::{HashKey, IdKind, Journal, doctor};
use crate::{
    Appended::{self, Duplicate, Stored},
    Error, NewEvent, Reader, Settings, StoredEvent,
};
use memfs::{Faults, MemFs};

const KEY: HashKey = HashKey([1, 2]);
const NOW: i64 = 1_790_000_000_000;
const DAY: i64 = 24 * 3_600_000;

fn try_open(fs: &MemFs, segment_bytes: u32) -> Result<Journal, Error> {
    let settings = Settings { segment_bytes, retention: DAY, ..Settings::default() };
    Journal::open(Arc::new(fs.clone()), PathBuf::from("j"), KEY, settings)
}

fn open(fs: &MemFs, segment_bytes: u32) -> Journal {
    try_open(fs, segment_bytes).unwrap()
}

fn event(id: &str) -> NewEvent {
    NewEvent {
        source: "s".into(),
        received_at: NOW,
        message_id: id.into(),
        user_id: Some(format!("user of {id}").into()),
        anonymous_id: None,
        name: "n".into(),
        json: vec![b'j'; id.len() * 3].into(),
    }
}

fn append(journal: &Journal, ids: &[&str]) -> Result<Vec<Appended>, Error> {
    let (told, hears) = channel();
    let events = ids.iter().map(|id| event(id)).collect();
    journal.append(events, Box::new(move |result| told.send(result).unwrap()));
    hears.recv().unwrap()
}

/// All events up to the first error.
fn read(journal: &Journal) -> (Vec<StoredEvent>, Option<Error>) {
    let mut reader = journal.reader(1);
    let mut all = Vec::new();
    loop {
        match reader.next(5, 1_000) {
            Ok(some) if some.is_empty() => return (all, None),
            Ok(some) => all.extend(some),
            Err(error) => return (all, Some(error)),
        }
    }
}

fn ids(events: &[StoredEvent]) -> Vec<&str> {
    events.iter().map(|e| &*e.event.message_id).collect()
}

fn log(base: u64) -> PathBuf {
    Path::new("j").join(format!("{base:020}.log"))
}

/// Commits of one, two and three events; where each ends in the file, and in events.
fn commits(fs: &MemFs, segment_bytes: u32) -> (Vec<StoredEvent>, Vec<(usize, usize)>) {
    let journal = open(fs, segment_bytes);
    let mut ends = vec![(64, 0)];
    for n in 0..9 {
        let names: Vec<String> = (0..=n % 3).map(|k| format!("event {n} {k}")).collect();
        append(&journal, &names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        let segments = journal.segments();
        let bounds = segments.last().unwrap().bounds();
        ends.push((bounds.end as usize, journal.extent().next as usize - 1));
    }
    journal.close();
    (read(&journal).0, ends)
}

#[test]
fn a_tail_cut_at_any_byte_leaves_the_whole_commits_before_it() {
    let fs = MemFs::default();
    let (all, ends) = commits(&fs, 1 << 16);
    for cut in 0..=ends.last().unwrap().0 {
        let fs = fs.copy();
        fs.change(&log(1), |bytes| bytes.truncate(cut));
        if cut < 64 {
            let Err(Error::Damaged { offset: 0, .. }) = try_open(&fs, 1 << 16) else { panic!() };
            continue;
        }
        let kept = ends.iter().rfind(|(end, _)| *end <= cut).unwrap().1;
        let journal = open(&fs, 1 << 16);
        assert_eq!(read(&journal), (all[..kept].to_vec(), None), "cut at {cut}");
        assert_eq!(append(&journal, &["after"]), Ok(vec![Stored(kept as u64 + 1)]));
        journal.close();
        let journal = open(&fs, 1 << 16);
        assert_eq!(read(&journal).0.len(), kept + 1);
    }
}

#[test]
fn a_flipped_byte_gives_the_whole_commits_before_it_or_a_loud_error() {
    for segment_bytes in [1 << 16, 700] {
        let fs = MemFs::default();
        let (all, ends) = commits(&fs, segment_bytes);
        let journal = open(&fs, segment_bytes);
        journal.close();
        let (mut errors, mut cuts) = (0, 0);
        for path in fs.names().iter().filter(|path| path.extension().is_some()) {
            for at in 0..fs.contents(path).len() {
                let fs = fs.copy();
                fs.change(path, |bytes| bytes[at] ^= 1 << (at % 8));
                let journal = match try_open(&fs, segment_bytes) {
                    Ok(journal) => journal,
                    Err(Error::Damaged { file, .. }) => {
                        assert_eq!(Path::new(&file), path);
                        errors += 1;
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                };
                let (read, error) = read(&journal);
                assert_eq!(read, all[..read.len()], "{} at {at}", path.display());
                if read.len() < all.len() && error.is_none() {
                    assert!(ends.iter().any(|(_, events)| *events == read.len()));
                    assert!(ends[ends.len() - 2].1 <= read.len());
                    cuts += 1;
                }
                errors += usize::from(error.is_some());
                for event in &all {
                    let found = journal.event(event.seq);
                    assert!(
                        matches!(found, Err(Error::Damaged { .. }))
                            || found == Ok(Some(event.clone()))
                            || (found == Ok(None) && event.seq >= journal.extent().next)
                    );
                }
                // An index that is wrong never hides an event, nor lets one in twice.
                for (event, segment) in all.iter().zip(segments_of(&journal, &all)) {
                    let Some(segment) = segment else { continue };
                    let user = event.event.user_id.as_deref().unwrap();
                    match journal.ids(&segment, IdKind::User, user) {
                        Ok(found) => {
                            assert!(found.contains(&((event.seq - segment.base) as u32)));
                        }
                        Err(error) => assert!(matches!(error, Error::Damaged { .. })),
                    }
                }
                match append(&journal, &[&all[0].event.message_id]) {
                    Ok(appended) => assert_eq!(appended, [Duplicate(1)]),
                    Err(error) => assert!(matches!(error, Error::Damaged { .. }), "{error}"),
                }
                journal.close();
            }
        }
        assert!(errors > 100 && cuts > 10, "{errors} errors, {cuts} cuts");
    }
}

fn segments_of(journal: &Journal, all: &[StoredEvent]) -> Vec<Option<Arc<super::Segment>>> {
    let segments = journal.segments();
    let of = |seq: u64| {
        segments.iter().find(|segment| segment.base <= seq && seq < segment.next()).cloned()
    };
    all.iter().map(|event| of(event.seq)).collect()
}

#[test]
fn damage_can_be_mended_at_the_price_of_the_broken_events() {
    for segment_bytes in [1 << 16, 700] {
        let fs = MemFs::default();
        let (all, _) = commits(&fs, segment_bytes);
        for path in fs.names().iter().filter(|path| path.extension().is_some_and(|e| e == "log")) {
            for at in (0..fs.contents(path).len()).step_by(7) {
                let fs = fs.copy();
                fs.change(path, |bytes| bytes[at] ^= 0x10);
                let dir = Path::new("j");
                let found = doctor::inspect(&fs, dir, Some(KEY)).unwrap();
                doctor::mend(&fs, dir, &found, all.len() as u64 + 1).unwrap();
                let journal = open(&fs, segment_bytes);
                let (read, error) = read(&journal);
                assert_eq!(error, None);
                assert!(read.iter().all(|event| all.contains(event)));
                let lost = all.len() - read.len();
                assert!(lost <= 3 || at < 64, "{lost} lost at {at}");
                assert_eq!(journal.extent().next, all.len() as u64 + 1);
                let next = all.len() as u64 + 1;
                assert_eq!(append(&journal, &["after"]), Ok(vec![Stored(next)]));
                journal.close();
                let again = doctor::inspect(&fs, dir, Some(KEY)).unwrap();
                assert!(again.iter().all(|segment| segment.is_whole()), "{again:?}");
                assert_eq!(again.iter().map(|s| s.lost).sum::<u64>(), lost as u64);
            }
        }
    }
}

#[test]
fn an_index_that_is_gone_is_made_anew() {
    let fs = MemFs::default();
    let (all, _) = commits(&fs, 700);
    open(&fs, 700).close();
    let index = Path::new("j").join(format!("{:020}.idx", 1));
    let before = fs.contents(&index);
    super::Fs::remove(&fs, &index).unwrap();
    let journal = open(&fs, 700);
    assert_eq!(append(&journal, &[&all[0].event.message_id]), Ok(vec![Duplicate(1)]));
    journal.close();
    assert_eq!(fs.contents(&index), before);
}

#[test]
fn a_missing_segment_is_a_loud_error() {
    let fs = MemFs::default();
    commits(&fs, 700);
    open(&fs, 700).close();
    let logs: Vec<_> =
        fs.names().into_iter().filter(|p| p.extension().is_some_and(|e| e == "log")).collect();
    assert!(logs.len() > 3);
    super::Fs::remove(&fs, &logs[1]).unwrap();
    let Err(Error::Damaged { file, what, .. }) = try_open(&fs, 700) else { panic!() };
    assert_eq!(Path::new(&file), logs[0]);
    assert!(what.contains("the next segment should begin"), "{what}");
}

#[test]
fn a_full_disk_stores_nothing_and_goes_on_when_there_is_space() {
    for segment_bytes in [1 << 16, 500] {
        let fs = MemFs::default();
        let journal = open(&fs, segment_bytes);
        append(&journal, &["a", "b"]).unwrap();
        journal.close();
        // No spare file, and the one in use is cut short: the next write must grow it.
        super::Fs::remove(&fs, Path::new("j/spare")).ok();
        let end = journal.segments().last().unwrap().bounds().end as usize;
        fs.change(&log(1), |bytes| bytes.truncate(end));
        for room in 0..300 {
            let fs = fs.copy();
            fs.fail(Faults { capacity: Some(fs.used() + room), ..Faults::default() });
            let journal = open(&fs, segment_bytes);
            let names = ["c", "d", "a fairly long name to fill the segment"];
            let Err(Error::Full(said)) = append(&journal, &names) else { panic!("room {room}") };
            assert!(said.contains("j/"), "{said}");
            assert_eq!(ids(&read(&journal).0), ["a", "b"]);
            assert_eq!(journal.extent().next, 3);
            fs.fail(Faults::default());
            assert_eq!(append(&journal, &["d", "a"]), Ok(vec![Stored(3), Duplicate(1)]));
            assert_eq!(append(&journal, &["c"]), Ok(vec![Stored(4)]));
            journal.close();
            assert_eq!(ids(&read(&open(&fs, segment_bytes)).0), ["a", "b", "d", "c"]);
        }
    }
}

#[test]
fn a_failed_fsync_or_write_poisons_until_it_is_opened_anew() {
    let syncs = Faults { syncs: true, ..Faults::default() };
    let writes = Faults { writes: true, ..Faults::default() };
    for faults in [syncs, writes] {
        let fs = MemFs::default();
        let journal = open(&fs, 1 << 16);
        append(&journal, &["a"]).unwrap();
        fs.fail(faults);
        let Err(Error::Poisoned(_)) = append(&journal, &["b"]) else { panic!() };
        fs.fail(Faults::default());
        let Err(Error::Poisoned(said)) = append(&journal, &["c"]) else { panic!() };
        assert!(said.contains("made to fail"), "{said}");
        assert_eq!(ids(&read(&journal).0), ["a"]);
        journal.close();
        let journal = open(&fs.crash(|| false), 1 << 16);
        assert_eq!(append(&journal, &["b"]), Ok(vec![Stored(2)]));
    }
}

#[test]
fn what_a_failed_fsync_left_behind_is_made_durable_before_it_counts() {
    let fs = MemFs::default();
    let journal = open(&fs, 1 << 16);
    append(&journal, &["a"]).unwrap();
    fs.fail(Faults { syncs: true, ..Faults::default() });
    append(&journal, &["b", "c"]).unwrap_err();
    fs.fail(Faults::default());
    journal.close();
    // The process starts again, without a loss of power: it reads what is on no disk.
    let journal = open(&fs, 1 << 16);
    assert_eq!(append(&journal, &["b"]), Ok(vec![Duplicate(2)]));
    assert_eq!(append(&journal, &["d"]), Ok(vec![Stored(4)]));
    journal.close();
    assert_eq!(ids(&read(&open(&fs.crash(|| false), 1 << 16)).0), ["a", "b", "c", "d"]);
}

#[test]
fn short_writes_are_carried_on() {
    let fs = MemFs::default();
    fs.fail(Faults { short_writes: Some(5), ..Faults::default() });
    let (all, ends) = commits(&fs, 700);
    assert_eq!(all.len(), ends.last().unwrap().1);
    assert_eq!(read(&open(&fs, 700)), (all, None));
}

#[test]
fn a_recycled_segment_never_gives_back_its_old_events() {
    let fs = MemFs::default();
    let (old, ends) = commits(&fs, 4_000);
    let before = fs.contents(&log(1));
    for path in fs.names() {
        super::Fs::remove(&fs, &path).unwrap();
    }
    let spare = Path::new("j/spare");
    super::Fs::create(&fs, spare).unwrap();
    fs.change(spare, |bytes| {
        *bytes = before;
        bytes.resize(4_000, 0);
    });
    // The same events at the same places, so that each old record is just where a new one may be.
    let journal = open(&fs, 4_000);
    assert_eq!(fs.contents(&log(1)).len(), 4_000);
    let mut from = 0;
    for (_, to) in ends.into_iter().skip(1) {
        let names: Vec<&str> = ids(old.get(from..to).unwrap());
        append(&journal, &names).unwrap();
        assert_eq!(read(&open(&fs.copy(), 4_000)), (old[..to].to_vec(), None));
        from = to;
    }
    journal.close();
}

#[test]
fn retention_keeps_one_file_for_the_next_segment() {
    let fs = MemFs::default();
    let (_, _) = commits(&fs, 700);
    let journal = open(&fs, 700);
    journal.close();
    *journal.shared.spare.lock().unwrap() = false;
    let spare = Path::new("j/spare");
    super::Fs::remove(&fs, spare).ok();
    fs.change(&log(1), |bytes| bytes.resize(700, 7));
    let old = fs.contents(&log(1));
    journal.shared.drop_oldest().unwrap();
    assert_eq!(fs.contents(spare), old);
    let before = fs.names().len();
    journal.shared.drop_oldest().unwrap();
    assert_eq!(fs.names().len(), before - 2);
    assert_eq!(fs.contents(spare), old);
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u8>),
    Fail(Vec<u8>),
    Full(Vec<u8>, u8),
    Crash,
    Reopen,
    FailAndReopen(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let some = || proptest::collection::vec(0..40_u8, 0..5);
    prop_oneof![
        6 => some().prop_map(Step::Append),
        1 => some().prop_map(Step::Fail),
        1 => (some(), any::<u8>()).prop_map(|(some, room)| Step::Full(some, room)),
        1 => Just(Step::Crash),
        1 => Just(Step::Reopen),
        1 => some().prop_map(Step::FailAndReopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever fails and wherever power is lost: what was acknowledged is there, in order, once;
    /// what wasn't is there as a whole append or not at all.
    #[test]
    fn nothing_acknowledged_is_lost_and_no_append_is_halved(
        steps in proptest::collection::vec(step(), 1..25),
        luck in proptest::collection::vec(any::<bool>(), 64),
        segment_bytes in 300..3_000_u32,
    ) {
        let mut fs = MemFs::default();
        let mut journal = open(&fs, segment_bytes);
        let mut stored: Vec<String> = Vec::new();
        let mut luck = luck.into_iter().cycle();
        for step in steps {
            let mut unsure: Vec<String> = Vec::new();
            let name = |some: &[u8]| -> Vec<String> {
                some.iter().map(|n| format!("{n} {}", "x".repeat(usize::from(*n)))).collect()
            };
            let add = |journal: &Journal, names: &[String]| {
                append(journal, &names.iter().map(String::as_str).collect::<Vec<_>>())
            };
            let fresh = |stored: &[String], names: &[String]| {
                let mut new: Vec<String> = Vec::new();
                for name in names {
                    if !stored.contains(name) && !new.contains(name) {
                        new.push(name.clone());
                    }
                }
                new
            };
            let mut crash = false;
            match step {
                Step::Append(some) => {
                    let names = name(&some);
                    let appended = add(&journal, &names).unwrap();
                    stored.extend(fresh(&stored, &names));
                    for (name, appended) in names.iter().zip(appended) {
                        let (Stored(seq) | Duplicate(seq)) = appended;
                        prop_assert_eq!(&stored[seq as usize - 1], name);
                    }
                }
                Step::Fail(some) => {
                    let names = name(&some);
                    fs.fail(Faults { syncs: true, ..Faults::default() });
                    match add(&journal, &names) {
                        Ok(_) => prop_assert!(fresh(&stored, &names).is_empty()),
                        Err(_) => unsure = fresh(&stored, &names),
                    }
                    crash = true;
                }
                Step::Full(some, room) => {
                    let names = name(&some);
                    let capacity = Some(fs.used() + usize::from(room));
                    fs.fail(Faults { capacity, ..Faults::default() });
                    match add(&journal, &names) {
                        Ok(_) => stored.extend(fresh(&stored, &names)),
                        Err(error) => prop_assert!(matches!(error, Error::Full(_)), "{}", error),
                    }
                    fs.fail(Faults::default());
                }
                Step::FailAndReopen(some) => {
                    let names = name(&some);
                    fs.fail(Faults { syncs: true, ..Faults::default() });
                    let added = add(&journal, &names);
                    let before = journal.extent().next;
                    journal.close();
                    fs.fail(Faults::default());
                    journal = open(&fs, segment_bytes);
                    // It may have failed before anything was written.
                    if added.is_err() && journal.extent().next > before {
                        stored.extend(fresh(&stored, &names));
                    }
                }
                Step::Crash => crash = true,
                Step::Reopen => {
                    journal.close();
                    journal = open(&fs, segment_bytes);
                }
            }
            if crash {
                let after = fs.crash(|| luck.next().unwrap());
                journal.close();
                fs = after;
                journal = open(&fs, segment_bytes);
                let (all, error) = read(&journal);
                prop_assert_eq!(error, None);
                if all.len() > stored.len() {
                    stored.append(&mut unsure);
                }
            }
            let (all, error) = read(&journal);
            prop_assert_eq!(error, None);
            prop_assert_eq!(ids(&all), stored.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
