//! The live tail: what is accepted, what settles and what pages report, as it happens.
//!
//! A listener that is slower than events come is told how many he missed; nobody waits for him.

use std::sync::Arc;
use std::time::Duration;

use heapline_action::datetime;
use heapline_store::{Outcome, PageReport, Query, Reader, Settlement, StoredEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use utoipa::{IntoParams, ToSchema};

use super::{Control, Problem};
use crate::admin::events::{DeliverySummary, Summary, delivery_summary, event_summary};
use crate::admin::pages;

/// What a listener wants to hear; all that are given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct TailParams {
    /// `accepted`, `settled` or `reported`; all if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Id of a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Event name, or type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// User id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Only what settles at this integration, or pages report of it. While somebody asks for one of
    /// pages, those that load anew report everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// Only what settles with this outcome at some action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum TailItem {
    /// An event was accepted.
    Accepted(Summary),
    /// An event settled at an integration.
    Settled(Summary),
    /// A page reported something: its word, not a delivery. Only where neither event, user nor
    /// outcome are asked for.
    Reported(Reported),
    /// The listener was too slow.
    #[serde(rename_all = "camelCase")]
    Missed {
        /// So many.
        count: u64,
    },
}

/// What a page says of itself or of an event.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// When the report arrived, RFC 3339.
    pub at: String,
    /// Id of the source.
    pub source: String,
    /// Id of the integration.
    pub integration: String,
    /// Message id of the event; none if it is about the page as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Id of the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// `loaded`, `sent`, `skipped` or `failed`.
    pub result: String,
    /// Short fixed name of the reason, or the beginning of an exception.
    pub code: String,
    /// In one sentence.
    pub reason: String,
    /// The browser's family.
    pub browser: String,
    /// The page's plugin and its version.
    pub plugin: String,
    /// Revision of the workspace by which the page worked; 0 if it didn't say.
    pub revision: u64,
}

/// Things that wait for a listener.
const WAITING: usize = 256;
/// How often the journal is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Events of the journal that a listener may be behind before he misses some.
const BEHIND: u64 = 4096;

impl Control {
    /// Listens from now on. The tail ends with the listener, or when the server stops.
    pub fn tail(self: &Arc<Self>, params: TailParams) -> Result<mpsc::Receiver<TailItem>, Problem> {
        let kinds = ["accepted", "settled", "reported"];
        if let Some(kind) = params.kind.as_deref().filter(|kind| !kinds.contains(kind)) {
            let what = format!("kind: expected accepted, settled or reported, found {kind:?}");
            return Err(Problem::Bad(what));
        }
        if let Some(word) = params.outcome.as_deref()
            && !Outcome::ALL.iter().any(|o| o.word() == word)
        {
            return Err(Problem::Bad(format!("outcome: there is no outcome {word:?}")));
        }
        let (told, hears) = mpsc::channel(WAITING);
        let by_fate = params.integration.is_some() || params.outcome.is_some();
        let wants = |kind: &str| params.kind.as_deref().is_none_or(|k| k == kind);
        if wants("settled") {
            tokio::spawn(tell_settled(self.clone(), params.clone(), told.clone()));
        }
        let by_event = params.event.is_some() || params.user_id.is_some();
        if wants("reported") && !by_event && params.outcome.is_none() {
            let hears = self.metrics.tail.listen_to_pages();
            tokio::spawn(tell_reported(self.clone(), params.clone(), hears, told.clone()));
        }
        if wants("accepted") && !by_fate {
            tokio::spawn(tell_accepted(self.clone(), params, told));
        }
        Ok(hears)
    }

    /// The first event of a source: the latest that is there, or the next that comes.
    pub async fn first_event(self: &Arc<Self>, source: &str) -> Result<Option<Summary>, Problem> {
        super::views::find_source(&self.workspaces.current(), source)?;
        let params = TailParams { source: Some(source.to_owned()), ..TailParams::default() };
        let params = TailParams { kind: Some("accepted".into()), ..params };
        // Listening first: so none can fall in between.
        let mut hears = self.tail(params)?;
        let query = Query { source: Some(source.to_owned()), limit: 1, ..Query::default() };
        let control = self.clone();
        let found = tokio::task::spawn_blocking(move || control.store.find(&query)).await;
        let found =
            found.map_err(|e| Problem::Broken(format!("the search ended early: {e}")))??;
        if let Some(found) = found.found.first() {
            return Ok(Some(event_summary(&found.event)));
        }
        while let Some(item) = hears.recv().await {
            if let TailItem::Accepted(summary) = item {
                return Ok(Some(summary));
            }
        }
        Ok(None)
    }
}

impl TailParams {
    fn takes(&self, event: &StoredEvent) -> bool {
        let same = |asked: &Option<String>, has: Option<&str>| {
            asked.as_deref().is_none_or(|asked| has == Some(asked))
        };
        same(&self.source, Some(&event.event.source))
            && same(&self.event, Some(&event.event.name))
            && same(&self.user_id, event.event.user_id.as_deref())
    }

    fn takes_fate(&self, settlement: &Settlement) -> bool {
        self.integration.as_deref().is_none_or(|asked| *settlement.integration == *asked)
            && self
                .outcome
                .as_deref()
                .is_none_or(|asked| settlement.deliveries.iter().any(|d| d.outcome.word() == asked))
    }
}

/// False once nobody listens.
async fn tell(told: &mpsc::Sender<TailItem>, item: TailItem) -> bool {
    told.send(item).await.is_ok()
}

async fn tell_settled(control: Arc<Control>, params: TailParams, told: mpsc::Sender<TailItem>) {
    let mut settled = control.metrics.tail.listen();
    let mut stopping = control.stopping.clone();
    loop {
        let heard = tokio::select! {
            heard = settled.recv() => heard,
            () = told.closed() => return,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let item = match heard {
            Ok(settlement) if params.takes_fate(&settlement) => {
                let store = control.store.clone();
                let seq = settlement.seq;
                let event = tokio::task::spawn_blocking(move || store.event(seq)).await;
                let Ok(Ok(Some(event))) = event else { continue };
                if !params.takes(&event) {
                    continue;
                }
                let deliveries = settlement.deliveries.iter();
                let deliveries: Vec<DeliverySummary> =
                    deliveries.map(|d| delivery_summary(&settlement.integration, d)).collect();
                TailItem::Settled(Summary { deliveries, ..event_summary(&event) })
            }
            Ok(_) => continue,
            Err(RecvError::Lagged(count)) => TailItem::Missed { count },
            Err(RecvError::Closed) => return,
        };
        if !tell(&told, item).await {
            return;
        }
    }
}

async fn tell_reported(
    control: Arc<Control>,
    params: TailParams,
    mut reports: broadcast::Receiver<PageReport>,
    told: mpsc::Sender<TailItem>,
) {
    let _watching = params.integration.as_deref().map(|id| control.web.watch(id));
    let mut stopping = control.stopping.clone();
    let same = |asked: &Option<String>, has: &str| asked.as_deref().is_none_or(|a| a == has);
    loop {
        let heard = tokio::select! {
            heard = reports.recv() => heard,
            () = told.closed() => return,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let item = match heard {
            Ok(report) => {
                let ours = same(&params.integration, &report.integration)
                    && same(&params.source, &report.source);
                if !ours {
                    continue;
                }
                TailItem::Reported(Reported::of(report))
            }
            Err(RecvError::Lagged(count)) => TailItem::Missed { count },
            Err(RecvError::Closed) => return,
        };
        if !tell(&told, item).await {
            return;
        }
    }
}

impl Reported {
    fn of(report: PageReport) -> Reported {
        let of_event = !report.is_of_page();
        Reported {
            at: datetime::print(report.at),
            reason: pages::sentence(&report),
            source: report.source.to_string(),
            integration: report.integration.to_string(),
            message_id: of_event.then(|| report.message_id.into()),
            action: of_event.then(|| report.action.into()),
            result: report.result.word().to_owned(),
            code: report.reason.into(),
            browser: report.browser.into(),
            plugin: report.plugin.into(),
            revision: report.revision,
        }
    }
}

async fn tell_accepted(control: Arc<Control>, params: TailParams, told: mpsc::Sender<TailItem>) {
    let mut stopping = control.stopping.clone();
    let mut place = control.store.extent().next;
    let Ok(mut reader) = control.store.reader(place) else { return };
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = told.closed() => return,
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        loop {
            let next = control.store.extent().next;
            if next > place + BEHIND {
                if !tell(&told, TailItem::Missed { count: next - place }).await {
                    return;
                }
                place = next;
                let Ok(anew) = control.store.reader(place) else { return };
                reader = anew;
            }
            let read = tokio::task::spawn_blocking(move || read(reader)).await;
            let Ok((again, events)) = read else { return };
            reader = again;
            let Some(last) = events.last() else { break };
            place = last.seq + 1;
            for event in events.iter().filter(|event| params.takes(event)) {
                if !tell(&told, TailItem::Accepted(event_summary(event))).await {
                    return;
                }
            }
        }
    }
}

fn read(mut reader: Box<dyn Reader>) -> (Box<dyn Reader>, Vec<StoredEvent>) {
    // What can't be read ends the tail of it, not the server.
    let events = reader.next(256, 1 << 20).unwrap_or_default();
    (reader, events)
}
