//! Measures the embedded store: `cargo run --release -p heapline-store --example measure -- DIR [EVENTS]`.
//!
//! DIR is emptied of nothing: give it a new one. With EVENTS, 10,000,000 say, opening and searching
//! are measured at that size.
#![allow(clippy::unwrap_used, reason = "a measurement that fails may stop")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::time::{Duration, Instant};

use heapline_store::{
    Appended, Delivery, Embedded, LedgerBatch, NewEvent, Outcome, Query, Settings, Settlement,
    Store,
};

const NOW: i64 = 1_790_000_000_000;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("the first argument is a directory");
    let dir = Path::new(&dir);
    let most: u64 = args.next().map_or(0, |n| n.parse().expect("the second is a number"));
    for (name, producers, batch) in
        [("1 producer", 1, 1), ("256 producers", 256, 1), ("16 x 100", 16, 100)]
    {
        let store = Embedded::open(&dir.join(name), Settings::default()).unwrap();
        std::thread::sleep(Duration::from_secs(1));
        let rate = appends(&store, producers, batch, Duration::from_secs(5));
        let each = cpu("journal") * 1e6 / (store.extent().next - 1) as f64;
        println!("appends, {name}: {rate:.0} events/s, {each:.2} us of the journal's thread each");
        store.close().unwrap();
        std::fs::remove_dir_all(dir.join(name)).unwrap();
    }
    settle(&dir.join("ledger"));
    if most > 0 {
        large(&dir.join("large"), most);
    }
}

/// Processor time that threads of this name have used; of this thread if it is "measure".
fn cpu(name: &str) -> f64 {
    let mut ns = 0.0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        if std::fs::read_to_string(task.join("comm")).unwrap().trim() == name {
            let used = std::fs::read_to_string(task.join("schedstat")).unwrap();
            ns += used.split(' ').next().unwrap().parse::<f64>().unwrap();
        }
    }
    ns / 1e9
}

fn main_name() -> String {
    std::fs::read_to_string("/proc/thread-self/comm").unwrap().trim().to_owned()
}

fn event(n: usize) -> NewEvent {
    let json = format!(
        r#"{{"type":"track","event":"Order Completed","messageId":"message-{n:012}","userId":"user-{:07}","properties":{{"filler":"{}"}}}}"#,
        n % 1_000_000,
        "x".repeat(850)
    );
    NewEvent {
        source: "site".into(),
        received_at: NOW + n as i64 / 1_000,
        message_id: format!("message-{n:012}").into(),
        user_id: Some(format!("user-{:07}", n % 1_000_000).into()),
        anonymous_id: Some(format!("visitor-{:07}", n % 1_000_003).into()),
        name: if n.is_multiple_of(1_000_000) { "Rare" } else { "Order Completed" }.into(),
        json: json.into_bytes().into(),
    }
}

/// Each producer waits for one append before it makes the next.
fn appends(store: &Embedded, producers: usize, batch: usize, time: Duration) -> f64 {
    let (made, stored) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..producers {
            scope.spawn(|| {
                let (told, hears) = sync_channel(1);
                while begun.elapsed() < time {
                    let first = made.fetch_add(batch, Ordering::Relaxed);
                    let told = told.clone();
                    let done = Box::new(move |result| told.send(result).unwrap());
                    store.append((first..first + batch).map(event).collect(), done);
                    let appended: Vec<Appended> = hears.recv().unwrap().unwrap();
                    stored.fetch_add(appended.len(), Ordering::Relaxed);
                }
            });
        }
    });
    stored.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

fn settlements(first: u64, count: u64, request: u64) -> LedgerBatch {
    let (integration, action, none): (Arc<str>, Arc<str>, Arc<str>) =
        ("heap".into(), "Track Event".into(), "".into());
    let delivery = |seq: u64| Delivery {
        action: action.clone(),
        outcome: if seq.is_multiple_of(1_000) { Outcome::Failed } else { Outcome::Delivered },
        code: if seq.is_multiple_of(1_000) { "http_400".into() } else { none.clone() },
        sentence: "".into(),
        steps_done: 1,
        requests: vec![request],
        digest: [seq as u8; 16],
        notices: Vec::new(),
        at: NOW,
        revision: None,
    };
    let filtered = |seq| Delivery {
        outcome: Outcome::Filtered,
        code: "trigger".into(),
        requests: Vec::new(),
        digest: [0; 16],
        ..delivery(seq)
    };
    LedgerBatch {
        settlements: (first..first + count)
            .map(|seq| Settlement {
                seq,
                integration: integration.clone(),
                revision: 1,
                deliveries: vec![delivery(seq), filtered(seq)],
            })
            .collect(),
        cursors: [(integration.clone(), first + count)].into(),
        ..LedgerBatch::default()
    }
}

fn settle(dir: &Path) {
    let store = Embedded::open(dir, Settings::default()).unwrap();
    for batch in [200, 1_000, 5_000] {
        let (mut next, mut busy, mut used) = (1, Duration::ZERO, 0.0);
        while next < 1_000_000 {
            let batch = settlements(next, batch, next);
            next += batch.settlements.len() as u64;
            let (begun, before) = (Instant::now(), cpu(&main_name()));
            store.record(&batch).unwrap();
            busy += begun.elapsed();
            used += cpu(&main_name()) - before;
        }
        let used = used * 1e6 / next as f64;
        let each = busy.as_secs_f64() * 1e6 / next as f64;
        println!(
            "settlements, {batch} at a time: {each:.2} us each, {used:.2} us of processor, {:.0}/s",
            1e6 / each
        );
    }
    drop(store);
    std::fs::remove_dir_all(dir).unwrap();
}

fn large(dir: &Path, most: u64) {
    let store = Embedded::open(dir, Settings { retention_bytes: u64::MAX, ..Settings::default() });
    let store = store.unwrap();
    let begun = Instant::now();
    let (told, hears) = channel();
    let mut next = store.extent().next;
    while next <= most {
        let told = told.clone();
        let done = Box::new(move |result: Result<_, _>| told.send(result.is_ok()).unwrap());
        store.append((next..next + 1_000).map(|n| event(n as usize)).collect(), done);
        next += 1_000;
    }
    drop(told);
    assert!(hears.iter().all(|stored| stored));
    println!("{most} events filled in {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let mut first = store.cursor("heap").unwrap().unwrap_or(1);
    while first <= most {
        store.record(&settlements(first, 5_000, first)).unwrap();
        first += 5_000;
    }
    println!("{most} settlements filled in {:.1} s", begun.elapsed().as_secs_f64());
    store.close().unwrap();
    drop(store);

    let begun = Instant::now();
    let store = Embedded::open(dir, Settings::default()).unwrap();
    println!("open: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let ask = || Query { limit: 50, ..Query::default() };
    let some = |text: String| Some(text);
    let middle = most / 2;
    let queries = [
        ("message id", Query { message_id: some(format!("message-{middle:012}")), ..ask() }),
        ("no such message id", Query { message_id: some("nobody".into()), ..ask() }),
        ("user id", Query { user_id: some(format!("user-{:07}", middle % 1_000_000)), ..ask() }),
        ("anonymous id", Query { anonymous_id: some(format!("visitor-{:07}", 77)), ..ask() }),
        ("latest", ask()),
        ("failed", Query { outcome: Some(Outcome::Failed), ..ask() }),
        ("expired (none)", Query { outcome: Some(Outcome::Expired), ..ask() }),
        ("code", Query { code: some("http_400".into()), ..ask() }),
        ("name (rare; first page)", Query { event: some("Rare".into()), ..ask() }),
        ("an hour ago", Query { until: Some(NOW + middle as i64 / 1_000), ..ask() }),
    ];
    for (name, query) in queries {
        let mut times = Vec::new();
        let mut page = None;
        for _ in 0..5 {
            let begun = Instant::now();
            page = Some(store.find(&query).unwrap());
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let page = page.unwrap();
        println!(
            "find by {name}: {:.1} ms first, {:.1} ms then; {} found, more: {:?}",
            times.remove(0),
            times.iter().copied().fold(f64::MAX, f64::min),
            page.found.len(),
            page.more
        );
    }
    let (begun, before) = (Instant::now(), cpu(&main_name()));
    let mut reader = store.reader(1).unwrap();
    let mut read = 0;
    while read < 1_000_000 {
        let some = reader.next(1_000, 1 << 20).unwrap();
        if some.is_empty() {
            break;
        }
        read += some.len();
    }
    println!(
        "read: {:.2} us an event, {:.2} us of processor",
        begun.elapsed().as_secs_f64() * 1e6 / read as f64,
        (cpu(&main_name()) - before) * 1e6 / read as f64
    );
    let (next, before) = (store.extent().next, cpu("journal"));
    let rate = appends_beyond(&store, most);
    let each = (cpu("journal") - before) * 1e6 / (store.extent().next - next) as f64;
    println!(
        "appends to {most} events: {rate:.0} events/s, {each:.2} us of the journal's thread each"
    );
}

/// New message ids, with all of the old ones in the dedup window.
fn appends_beyond(store: &Embedded, most: u64) -> f64 {
    let begun = Instant::now();
    let (told, hears) = channel();
    let mut sent = 0;
    let mut next = (most + store.extent().next) as usize + 1_000_000;
    while begun.elapsed() < Duration::from_secs(3) {
        let told = told.clone();
        let done = Box::new(move |result: Result<_, _>| told.send(result.is_ok()).unwrap());
        store.append((next..next + 100).map(event).collect(), done);
        next += 100;
        sent += 100;
    }
    drop(told);
    assert!(hears.iter().all(|stored| stored));
    f64::from(sent) / begun.elapsed().as_secs_f64()
}
