//! What pages report of themselves and of events: read, bounded, kept.
//!
//! Anybody who sees a page can make reports up. They are never more than claims: shown as such, and
//! never counted as deliveries.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use heapline_action::destination::Configured;
use heapline_store::{Millis, PageReport, PageResult, Store};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::browser;
use crate::ingest::Reported;
use crate::workspace::Workspace;

/// The plugin sends 20 at a time.
const MOST_IN_A_BODY: usize = 100;
/// The plugin cuts an exception to 120 characters.
const MOST_REASON: usize = 120;
/// The plugin calls itself `heap-web@1.0.0`.
const MOST_PLUGIN: usize = 40;
/// The longest message id and action id that are kept; longer ones are no ids of ours.
const MOST_ID: usize = 512;

/// Reports of one minute from one address; a page of many events sends some hundred.
const MOST_OF_ADDRESS: u32 = 1_200;
/// Reports of one minute with one source's write keys.
const MOST_OF_SOURCE: u32 = 60_000;
const MINUTE: Millis = 60_000;

/// Hears each report that is kept.
pub type Listener = Box<dyn Fn(&[PageReport]) + Send + Sync>;

/// By source: its plugins.
type Pages = HashMap<Arc<str>, Vec<Plugin>>;

struct Plugin {
    /// Its name without its version.
    name: &'static str,
    /// Id of its integration.
    integration: Arc<str>,
    /// Share of the successes that its pages are told to report while nobody watches.
    share: f64,
}

/// Takes reports. One for the program.
#[derive(Default)]
pub(super) struct Receipts {
    store: OnceLock<Arc<dyn Store>>,
    listener: OnceLock<Listener>,
    pages: ArcSwap<Pages>,
    taken: Mutex<Taken>,
}

/// What was taken in this minute.
#[derive(Default)]
struct Taken {
    minute: Millis,
    by_address: HashMap<IpAddr, u32>,
    by_source: HashMap<Arc<str>, u32>,
}

#[derive(Deserialize)]
struct Body<'a> {
    /// `heap-web@1.0.0`.
    #[serde(default)]
    plugin: String,
    #[serde(default)]
    revision: u64,
    /// The share by which the page chose what it reports.
    #[serde(default)]
    rate: Option<f64>,
    #[serde(borrow, default)]
    receipts: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    #[serde(default)]
    message_id: Option<String>,
    #[serde(default)]
    action: Option<String>,
    result: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    ms: Option<f64>,
}

impl Receipts {
    /// From now on reports are kept in `store`.
    pub(super) fn keep_in(&self, store: Arc<dyn Store>) {
        // The first stays: a server has one store.
        self.store.set(store).ok();
    }

    /// From now on `listener` hears what is kept.
    pub(super) fn tell(&self, listener: Listener) {
        // The first stays: a server has one tail.
        self.listener.set(listener).ok();
    }

    /// From now on the integrations of pages are those of `workspace`.
    pub(super) fn set_workspace(&self, workspace: &Workspace) {
        let mut pages = Pages::new();
        for integration in &workspace.integrations {
            let name = integration.destination.definition().names.first();
            if let (Configured::Web(web), Some(name)) = (&integration.configured, name) {
                for source in &integration.sources {
                    pages.entry(source.clone()).or_default().push(Plugin {
                        name,
                        integration: integration.id.clone(),
                        share: web.report_share(),
                    });
                }
            }
        }
        self.pages.store(Arc::new(pages));
    }

    /// Keeps what can be understood of `reported`. Does not block.
    pub(super) fn take(&self, reported: &Reported, now: Millis) {
        let Some(store) = self.store.get() else { return };
        let Ok(body) = serde_json::from_str::<Body<'_>>(&reported.body) else { return };
        let name = body.plugin.split('@').next().unwrap_or_default();
        let pages = self.pages.load();
        let of_source = pages.get(&reported.source.id);
        let plugin = of_source.and_then(|list| list.iter().find(|plugin| plugin.name == name));
        let Some(plugin) = plugin else { return };
        let version: Box<str> = body.plugin.chars().take(MOST_PLUGIN).collect::<String>().into();
        let most = self.room(reported, now).min(MOST_IN_A_BODY);
        let browser = browser::family(&reported.agent);
        let reports: Vec<PageReport> = body
            .receipts
            .into_iter()
            .take(most)
            .filter_map(|raw| serde_json::from_str::<Receipt>(raw.get()).ok()?.read())
            .map(|read| PageReport {
                at: now,
                source: reported.source.id.clone(),
                integration: plugin.integration.clone(),
                browser: browser.into(),
                plugin: version.clone(),
                revision: body.revision,
                stands_for: plugin.stands_for(read.result, body.rate),
                ..read
            })
            .collect();
        if reports.is_empty() {
            return;
        }
        self.count(reported, reports.len());
        if let Some(listener) = self.listener.get() {
            listener(&reports);
        }
        store.report(reports);
    }

    /// How many more reports this address and this source may make in this minute.
    fn room(&self, reported: &Reported, now: Millis) -> usize {
        let mut taken = self.taken();
        if taken.minute != now / MINUTE {
            *taken = Taken { minute: now / MINUTE, ..Taken::default() };
        }
        let of_address = taken.by_address.get(&reported.client).copied().unwrap_or_default();
        let of_source = taken.by_source.get(&reported.source.id).copied().unwrap_or_default();
        let left = MOST_OF_ADDRESS.saturating_sub(of_address);
        usize::try_from(left.min(MOST_OF_SOURCE.saturating_sub(of_source))).unwrap_or_default()
    }

    fn count(&self, reported: &Reported, reports: usize) {
        let reports = u32::try_from(reports).unwrap_or(u32::MAX);
        let mut taken = self.taken();
        *taken.by_address.entry(reported.client).or_default() += reports;
        *taken.by_source.entry(reported.source.id.clone()).or_default() += reports;
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plugin {
    /// What a report of a success stands for, as the page chose it by `told`. Never more than by
    /// our own setting: else one invented report could stand for any number of pages.
    fn stands_for(&self, result: PageResult, told: Option<f64>) -> f64 {
        match result {
            PageResult::Failed => 1.0,
            PageResult::Loaded | PageResult::Sent | PageResult::Skipped => {
                let share = told.unwrap_or(self.share).max(self.share);
                if share > 0.0 { 1.0 / share.min(1.0) } else { 1.0 }
            }
        }
    }
}

impl Receipt {
    /// A report that lacks only what the request tells; `None` if it makes no sense.
    fn read(self) -> Option<PageReport> {
        let result = PageResult::of(&self.result)?;
        let message_id = self.message_id.unwrap_or_default();
        let action = self.action.unwrap_or_default();
        let of_page = message_id.is_empty();
        let fits = match result {
            PageResult::Loaded => of_page,
            PageResult::Sent | PageResult::Skipped => !of_page,
            PageResult::Failed => true,
        };
        if !fits || message_id.len() > MOST_ID || action.len() > MOST_ID {
            return None;
        }
        let reason: String = self.reason.unwrap_or_default().chars().take(MOST_REASON).collect();
        Some(PageReport {
            at: 0,
            source: Arc::default(),
            integration: Arc::default(),
            message_id: message_id.into(),
            action: if of_page { "".into() } else { action.into() },
            result,
            reason: reason.into(),
            // A float that doesn't fit becomes the nearest that does.
            ms: self.ms.unwrap_or_default() as u32,
            browser: "".into(),
            plugin: "".into(),
            revision: 0,
            stands_for: 1.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use heapline_store::{Memory, Settings};
    use serde_json::{Value, json};

    use super::*;
    use crate::ingest::{Answers, Source};
    use crate::workspace::{Format, parse};

    const NOW: Millis = 1_790_000_000_000;

    struct Desk {
        receipts: Receipts,
        store: Memory,
    }

    impl Desk {
        fn new() -> Desk {
            let document = r#"{
                "sources": [
                    {"id": "site", "kind": "javascript", "writeKeys": ["a"]},
                    {"id": "bare", "kind": "javascript", "writeKeys": ["b"]}],
                "integrations": [{
                    "id": "web", "destination": "heap-web", "sources": ["site"],
                    "settings": {"appId": "11"}}]}"#;
            let store = Memory::new(Settings::default());
            let receipts = Receipts::default();
            receipts.keep_in(Arc::new(store.clone()));
            receipts.set_workspace(&parse(document, Format::Json, 1).unwrap());
            Desk { receipts, store }
        }

        fn tell(&self, source: &str, last: u8, now: Millis, body: Value) {
            let source =
                Source { id: source.into(), web: true, enabled: true, answers: Answers::Strict };
            let reported = Reported {
                source: Arc::new(source),
                body: body.to_string(),
                client: Ipv4Addr::new(192, 0, 2, last).into(),
                agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
                    .into(),
            };
            self.receipts.take(&reported, now);
        }

        fn of(&self, message_id: &str) -> Vec<PageReport> {
            self.store.page_reports("site", message_id).unwrap()
        }

        fn known(&self) -> u64 {
            let summary = self.store.page_summary("web", 0, 0).unwrap();
            summary.events.values().chain(summary.pages.values()).map(|told| told.reports).sum()
        }
    }

    fn body(receipts: Value) -> Value {
        json!({ "v": 1, "plugin": "heap-web@1.0.0", "revision": 3, "receipts": receipts })
    }

    #[test]
    fn a_report_is_kept_with_its_integration_and_browser_and_nothing_else_of_the_page() {
        let desk = Desk::new();
        let sent = json!({ "messageId": "m1", "action": "track", "result": "sent", "ms": 2,
                           "properties": { "secret": 1 }, "url": "https://shop.example/private" });
        desk.tell("site", 1, NOW, body(json!([sent])));
        let expected = PageReport {
            at: NOW,
            source: "site".into(),
            integration: "web".into(),
            message_id: "m1".into(),
            action: "track".into(),
            result: PageResult::Sent,
            reason: "".into(),
            ms: 2,
            browser: "Firefox".into(),
            plugin: "heap-web@1.0.0".into(),
            revision: 3,
            stands_for: 20.0,
        };
        assert_eq!(desk.of("m1"), [expected]);
    }

    #[test]
    fn a_sampled_report_stands_for_what_the_page_left_out_but_never_for_more_than_we_asked() {
        let desk = Desk::new();
        let told = |rate: Value, result: &str| {
            let mut body = body(json!([{ "messageId": "m", "result": result }]));
            body["rate"] = rate;
            desk.tell("site", 1, NOW, body);
            desk.of("m").pop().unwrap().stands_for
        };
        // The setting is 0.05; a page that somebody watches reports everything.
        assert_eq!(told(json!(null), "sent"), 20.0);
        assert_eq!(told(json!(1), "skipped"), 1.0);
        assert_eq!(told(json!(0.5), "sent"), 2.0);
        assert_eq!(told(json!(0.000_001), "sent"), 20.0);
        assert_eq!(told(json!(700), "sent"), 1.0);
        assert_eq!(told(json!(0.05), "failed"), 1.0);
    }

    #[test]
    fn what_makes_no_sense_is_left_out_and_the_rest_is_kept() {
        let desk = Desk::new();
        let good = json!({ "messageId": "m1", "action": "track", "result": "failed",
                           "reason": "x".repeat(500), "ms": -1 });
        desk.tell(
            "site",
            1,
            NOW,
            body(json!([
                7,
                { "result": "dropped" },
                { "result": "sent" },
                { "result": "loaded", "messageId": "m2" },
                { "result": "sent", "messageId": 7 },
                { "result": "sent", "messageId": "x".repeat(513) },
                good
            ])),
        );
        assert_eq!(desk.known(), 1);
        assert_eq!(desk.of("m1")[0].reason.len(), 120);
        for nonsense in [json!({}), json!({ "receipts": 7 }), json!({ "plugin": 7 })] {
            desk.tell("site", 1, NOW, nonsense);
        }
        let other_plugin = json!({ "plugin": "other@1", "receipts": [{ "result": "loaded" }] });
        desk.tell("site", 1, NOW, other_plugin);
        desk.tell("bare", 1, NOW, body(json!([{ "result": "loaded" }])));
        assert_eq!(desk.known(), 1);
    }

    #[test]
    fn one_address_cannot_fill_the_store_nor_keep_others_out() {
        let desk = Desk::new();
        let many = body(Value::Array(vec![json!({ "result": "loaded" }); 1_000]));
        desk.tell("site", 1, NOW, many.clone());
        assert_eq!(desk.known(), 100, "of one body");
        for _ in 0..50 {
            desk.tell("site", 1, NOW, many.clone());
        }
        assert_eq!(desk.known(), u64::from(MOST_OF_ADDRESS));
        desk.tell("site", 2, NOW, body(json!([{ "result": "loaded" }])));
        assert_eq!(desk.known(), u64::from(MOST_OF_ADDRESS) + 1);
        desk.tell("site", 1, NOW + MINUTE, body(json!([{ "result": "loaded" }])));
        assert_eq!(desk.known(), u64::from(MOST_OF_ADDRESS) + 2);
    }
}
