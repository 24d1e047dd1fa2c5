//! Searches through the admin API, in a store that was filled with very many events.
//!
//! The distribution is one of life: few names and sources have most events, few users are busy, two
//! in five events are of visitors without a user id, most are delivered and few fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use heapline_action::datetime;
use heapline_store::{
    Delivery, Embedded, LedgerBatch, Millis, NewEvent, Outcome, Seq, Settings, Settlement, Store,
};
use serde_json::Value;

use crate::events::CAPTURED;
use crate::load::Connection;
use crate::report::{Report, Target};
use crate::world::{Data, Place, Server};

const BENCH: &str = "search";
/// How far back the events go: within the journal's retention.
const SPAN: Millis = 6 * 24 * 3_600_000;
/// Different values that are asked for, of one kind.
const ASKED: u64 = 20;
/// What an answer may take.
const MOST_MS: f64 = 100.0;
/// Requests that may be needed for one page.
const PATIENCE: usize = 2_000;

/// Half of all events; the others share the rest, ever less.
const NAMES: [&str; 12] = [
    "Page viewed",
    "Product Viewed",
    "Product Added",
    "Search",
    "identify",
    "Cart Viewed",
    "Checkout Started",
    "Order Completed",
    "Coupon Applied",
    "Signed Up",
    "Plan Changed",
    "Refund",
];
/// One event in so many has this name, or is of this source.
const RARE: u64 = 100_000;
const RARE_NAME: &str = "Account Deleted";
const RARE_SOURCE: &str = "import";
const SOURCES: [&str; 3] = ["site", "app", "backend"];

/// File in a kept store's directory that tells when it was filled.
const FILLED: &str = "filled.json";

/// Fills a store, and asks.
pub(crate) fn measure(
    place: &Place,
    events: u64,
    keep: Option<PathBuf>,
    report: &mut Report,
) -> Result<()> {
    let events = place.pick(events, events.min(200_000));
    let data = match keep {
        None => Data::Passing(tempfile::tempdir_in(&place.scratch)?),
        Some(dir) => Data::Kept(dir),
    };
    let filled = data.path().join(FILLED);
    let world = match std::fs::read(&filled) {
        Ok(text) => serde_json::from_slice(&text).context("a kept store of another version")?,
        Err(_) => {
            eprintln!("search: filling a store with {events} events");
            let world = World { events, now: heapline_server::server::now() };
            let begun = Instant::now();
            world.fill(data.path())?;
            std::fs::write(&filled, serde_json::to_vec(&world)?)?;
            let seconds = begun.elapsed().as_secs_f64();
            report.note(BENCH, "filling the store", "s", [seconds]);
            world
        }
    };
    report.note(BENCH, "events", "events", [world.events as f64]);
    let gigabytes = size(data.path())? as f64 / 1e9;
    report.note(BENCH, "journal, indexes and ledger on disk", "GB", [gigabytes]);

    let begun = Instant::now();
    let server = Server::start_on(place, data, &document())?;
    report.note(BENCH, "start of the server on them", "s", [begun.elapsed().as_secs_f64()]);
    let mut asker = Asker::of(&server)?;
    for (name, questions, target) in world.questions() {
        let (mut times, mut requests, mut found) = (Vec::new(), 0, 0);
        for question in &questions {
            let begun = Instant::now();
            let page = asker.page(question)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            requests += page.requests;
            found += page.found;
        }
        let each = found / questions.len().max(1);
        let extra = match requests - questions.len() {
            0 => String::new(),
            _ => format!(", {:.1} requests", requests as f64 / questions.len() as f64),
        };
        let name = format!("{name} ({each} found{extra})");
        match target {
            Some(most) => report.judge(BENCH, name, "ms", times, Target::AtMost(most)),
            None => report.note(BENCH, name, "ms", times),
        }
    }
    for path in ["/dead-letters?refused=true", "/statistics", "/overview"] {
        let mut times = Vec::new();
        for _ in 0..ASKED {
            let begun = Instant::now();
            asker.get(path)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        report.judge(BENCH, format!("GET {path}"), "ms", times, Target::AtMost(MOST_MS));
    }
    report.note(BENCH, "server, peak memory", "MB", [server.program.peak_memory()?]);
    Ok(())
}

/// What is searched.
#[derive(serde::Serialize, serde::Deserialize)]
struct World {
    events: u64,
    now: Millis,
}

/// A kind of question: its name, questions, and what each may take in milliseconds.
type Kind = (String, Vec<String>, Option<f64>);

impl World {
    fn fill(&self, dir: &Path) -> Result<()> {
        let settings = Settings { retention_bytes: u64::MAX, ..Settings::default() };
        let store = Embedded::open(dir, settings)?;
        let lines: Vec<&str> = CAPTURED.lines().collect();
        let (told, hears) = channel();
        let mut first = 1;
        while first <= self.events {
            let next = (first + 1_000).min(self.events + 1);
            let events = (first..next).map(|n| self.event(n, &lines)).collect();
            let told = told.clone();
            store.append(events, Box::new(move |done| told.send(done.map(|_| ())).unwrap_or(())));
            first = next;
        }
        drop(told);
        hears.iter().collect::<Result<Vec<()>, _>>()?;
        let mut first = 1;
        while first <= self.events {
            let next = (first + 4_000).min(self.events + 1);
            let settlements = (first..next).flat_map(|n| self.fates(n)).collect();
            let cursors = [("heap".into(), next), ("second".into(), next)].into();
            store.record(&LedgerBatch { settlements, cursors, ..LedgerBatch::default() })?;
            first = next;
        }
        store.close()?;
        Ok(())
    }

    fn event(&self, n: Seq, lines: &[&str]) -> NewEvent {
        let user = self.user(n);
        NewEvent {
            source: self.source(n).into(),
            received_at: self.received_at(n),
            message_id: self.message_id(n).into(),
            user_id: user.map(Into::into),
            anonymous_id: Some(self.visitor(n).into()),
            name: self.name(n).into(),
            json: lines[n as usize % lines.len()].as_bytes().into(),
        }
    }

    fn received_at(&self, n: Seq) -> Millis {
        let back = (self.events - n) as f64 / self.events as f64 * SPAN as f64;
        self.now - back as Millis - 60_000
    }

    fn message_id(&self, n: Seq) -> String {
        format!("{:016x}-{n}", mix(n))
    }

    /// Two in five have none. Of a million users few are busy.
    fn user(&self, n: Seq) -> Option<String> {
        let share = part(n, 1);
        (part(n, 2) >= 0.4).then(|| format!("user-{:07}", (share.powi(4) * 1e6) as u64))
    }

    fn visitor(&self, n: Seq) -> String {
        format!("visitor-{:07}", (part(n, 3).powi(2) * 2e6) as u64)
    }

    fn name(&self, n: Seq) -> &'static str {
        if n.is_multiple_of(RARE) {
            return RARE_NAME;
        }
        let mut at = 0;
        let mut luck = part(n, 4);
        while luck < 0.5 && at + 1 < NAMES.len() {
            (luck, at) = (luck * 2.0, at + 1);
        }
        NAMES[at]
    }

    fn source(&self, n: Seq) -> &'static str {
        match part(n, 5) {
            _ if n % RARE == 7 => RARE_SOURCE,
            ..0.6 => SOURCES[0],
            ..0.85 => SOURCES[1],
            _ => SOURCES[2],
        }
    }

    /// What became of an event: at the first integration, and of some at the second.
    fn fates(&self, n: Seq) -> Vec<Settlement> {
        let at = self.received_at(n) + 200;
        let delivery = |action: &str, outcome, code: &str, sentence: &str| Delivery {
            action: action.into(),
            outcome,
            code: code.into(),
            sentence: sentence.into(),
            steps_done: u8::from(outcome == Outcome::Delivered),
            requests: vec![n / 500],
            digest: [n as u8; 16],
            notices: Vec::new(),
            at,
            revision: None,
        };
        let filtered = |action| delivery(action, Outcome::Filtered, "trigger", "");
        let luck = part(n, 6);
        let sent = |action| match luck {
            _ if self.user(n).is_none() => {
                let why = "A server event without a user id can't be seen in Heap.";
                delivery(action, Outcome::Refused, "no_identity", why)
            }
            ..0.008 => delivery(action, Outcome::Failed, "http_400", "Heap refused step 1."),
            ..0.00801 => delivery(action, Outcome::Failed, "http_413", "Heap refused step 1."),
            ..0.009 => delivery(action, Outcome::Expired, "retries_over", "No try was taken."),
            _ => delivery(action, Outcome::Delivered, "", ""),
        };
        let deliveries = match self.name(n) {
            "identify" => vec![filtered("trackEvent-1"), sent("identifyUser-1")],
            _ => vec![sent("trackEvent-1"), filtered("identifyUser-1")],
        };
        let settlement = |integration: &str, deliveries| Settlement {
            seq: n,
            integration: Arc::from(integration),
            revision: 1,
            deliveries,
        };
        let mut all = vec![settlement("heap", deliveries)];
        if self.source(n) == SOURCES[2] {
            let one = match part(n, 7) {
                ..0.01 => delivery("orders", Outcome::Delivered, "", ""),
                _ => filtered("orders"),
            };
            all.push(settlement("second", vec![one]));
        }
        all
    }

    fn questions(&self) -> Vec<Kind> {
        let spread: Vec<Seq> = (1..=ASKED).map(|k| k * self.events / (ASKED + 1)).collect();
        let with_user = |n: &Seq| (*n..).find_map(|n| self.user(n)).unwrap_or_default();
        let each = |of: &dyn Fn(&Seq) -> String| spread.iter().map(of).collect::<Vec<String>>();
        let same = |question: String| vec![question; spread.len()];
        let hour = |n: &Seq| {
            let at = self.received_at(*n);
            let (since, until) = (datetime::print(at - 3_600_000), datetime::print(at));
            format!("since={since}&until={until}")
        };
        let busy = format!("userId=user-{:07}", 0);
        let deep = self.events / 10;
        let must = Some(MOST_MS);
        let mut kinds: Vec<Kind> = vec![
            ("message id".into(), each(&|n| format!("messageId={}", self.message_id(*n))), must),
            ("no such message id".into(), each(&|n| format!("messageId=none-{n}")), must),
            ("user id".into(), each(&|n| format!("userId={}", with_user(n))), must),
            ("the busiest user".into(), same(busy.clone()), must),
            ("no such user id".into(), each(&|n| format!("userId=none-{n}")), must),
            ("anonymous id".into(), each(&|n| format!("anonymousId={}", self.visitor(*n))), must),
            (
                "the busiest user, and a rare name".into(),
                same(format!("{busy}&event=Refund")),
                must,
            ),
            ("an hour".into(), each(&hour), None),
            ("an hour, page of 500".into(), each(&|n| format!("{}&limit=500", hour(n))), None),
            ("an hour, and a name".into(), each(&|n| format!("{}&event=Refund", hour(n))), None),
            ("an hour, and failed".into(), each(&|n| format!("{}&outcome=failed", hour(n))), None),
        ];
        for (what, question) in [
            ("the latest", ""),
            ("frequent name", "event=Page%20viewed"),
            ("infrequent name", "event=Refund"),
            ("rare name", "event=Account%20Deleted"),
            ("no such name", "event=Nothing"),
            ("large source", "source=site"),
            ("rare source", "source=import"),
            ("delivered", "outcome=delivered"),
            ("filtered", "outcome=filtered"),
            ("refused", "outcome=refused"),
            ("failed", "outcome=failed"),
            ("expired", "outcome=expired"),
            ("pending (none)", "outcome=pending"),
            ("failed, by a rare code", "outcome=failed&code=http_413"),
            ("a code", "code=http_400"),
            ("integration", "integration=second"),
            ("integration, and delivered", "integration=second&outcome=delivered"),
            ("frequent name, and failed", "event=Page%20viewed&outcome=failed"),
            ("infrequent name, and expired", "event=Refund&outcome=expired"),
            ("rare name, and failed", "event=Account%20Deleted&outcome=failed"),
            ("frequent name, and delivered", "event=Page%20viewed&outcome=delivered"),
            ("name and source", "event=Refund&source=backend"),
            ("name and source that never meet", "event=Account%20Deleted&source=import"),
        ] {
            kinds.push((what.into(), same(question.into()), None));
            if matches!(what, "the latest" | "delivered" | "frequent name" | "failed") {
                let page = format!("{question}&limit=500");
                kinds.push((format!("{what}, page of 500"), same(page.clone()), None));
                let deep = format!("{page}&before={deep}");
                kinds.push((format!("{what}, page of 500 deep down"), same(deep), None));
            }
        }
        kinds
    }
}

/// A workspace that knows what the events are of.
fn document() -> String {
    let mut document = String::new();
    for id in SOURCES.into_iter().chain([RARE_SOURCE]) {
        document += &format!("[[sources]]\nid = \"{id}\"\nwriteKeys = [\"wk_{id}\"]\n");
    }
    for (id, sources) in [("heap", "\"site\", \"app\", \"backend\""), ("second", "\"backend\"")] {
        document += &format!(
            "[[integrations]]\nid = \"{id}\"\ndestination = \"heap\"\nsources = [{sources}]\n\
             settings = {{ appId = \"11\", baseUrl = \"http://127.0.0.1:9\" }}\n"
        );
    }
    document
}

/// Asks the admin API over one connection.
struct Asker {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
    token: String,
}

/// A page, as whoever wants it whole gets it.
struct Page {
    found: usize,
    requests: usize,
}

impl Asker {
    fn of(server: &Server) -> Result<Asker> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(Connection::open(server.address))?;
        Ok(Asker { runtime, connection, token: server.token.clone() })
    }

    fn get(&mut self, path: &str) -> Result<Value> {
        let request = format!(
            "GET /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token
        );
        let status = self.runtime.block_on(self.connection.ask(request.as_bytes()))?;
        if status != 200 {
            bail!("{path}: {status} {}", String::from_utf8_lossy(self.connection.body()));
        }
        serde_json::from_slice(self.connection.body()).with_context(|| format!("{path}: no JSON"))
    }

    /// The first page, or all there is: a search that would take long answers in pieces.
    fn page(&mut self, question: &str) -> Result<Page> {
        let mut page = Page { found: 0, requests: 0 };
        let wanted = if question.contains("limit=500") { 500 } else { 50 };
        let mut before = String::new();
        while page.requests < PATIENCE {
            let question = match before.as_str() {
                "" => question.to_owned(),
                before => {
                    let others = question.split('&').filter(|part| !part.starts_with("before="));
                    let others: Vec<&str> = others.filter(|part| !part.is_empty()).collect();
                    format!("{}&before={before}", others.join("&"))
                }
            };
            let answer = self.get(&format!("/events?{}", question.trim_start_matches('&')))?;
            page.requests += 1;
            page.found += answer.get("events").and_then(Value::as_array).map_or(0, Vec::len);
            match answer.get("next").and_then(Value::as_u64) {
                Some(next) if page.found < wanted => before = next.to_string(),
                Some(_) | None => return Ok(page),
            }
        }
        bail!("{question}: no whole page after {PATIENCE} requests")
    }
}

/// A well-mixed number of `n`.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Even luck in 0..1, for each `what` another.
fn part(n: u64, what: u64) -> f64 {
    (mix(n ^ (what << 56)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn size(dir: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        size += match entry.file_type()?.is_dir() {
            true => self::size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(size)
}
