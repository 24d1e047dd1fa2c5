//! Carrying out what the lane decides, and telling it what came of that.

use std::sync::Arc;
use std::time::Instant;

use heapline_action::plan::{Answer, Reading};
use heapline_delivery::{Decision, End, Fact, Outgoing, RequestId};
use heapline_store::{Delivery, Millis, Outcome, RequestRecord, Seq, Settlement};
use tracing::{Instrument, info};

use super::run::{ACTIONS, Courier, Flight, Message};
use super::taking::UNPARK_BELOW;
use crate::telemetry::spans;

/// Requests listed with a delivery: the first few tell how it began, the last ones where it stands.
const LISTED_FIRST: usize = 5;
const LISTED: usize = 20;

impl Courier {
    pub(super) fn handle(&mut self, fact: Fact) {
        let now = self.clock();
        let mut decisions = std::mem::take(&mut self.decisions);
        self.wake_at = None;
        self.lane.handle(now, fact, &mut decisions);
        let mut thawed = Vec::new();
        for decision in decisions.drain(..) {
            match decision {
                Decision::Send(outgoing) => self.send(outgoing),
                Decision::Progress { parcel, step } => {
                    if let Some(delivery) = self.delivery(parcel) {
                        delivery.steps_done |= 1 << step;
                    }
                }
                Decision::Settle { parcel, end, steps_done, requests } => {
                    thawed.extend(self.settle(parcel, end, steps_done, &requests));
                }
                Decision::WakeAt(at) => self.wake_at = Some(at),
            }
        }
        self.decisions = decisions;
        for user in thawed {
            self.unpark(&user);
        }
        self.tell_health();
    }

    fn send(&mut self, outgoing: Outgoing) {
        let Outgoing { request, endpoint, items, carried } = outgoing;
        let at = self.at();
        let record = RequestRecord {
            id: self.around.store.next_request_id(),
            integration: self.integration.id.clone(),
            endpoint: Arc::default(),
            at,
            took_ms: 0,
            status: 0,
            items: u32::try_from(items.len()).unwrap_or(u32::MAX),
            excerpt: "".into(),
        };
        self.flights.insert(request, Flight { carried });
        let (endpoints, cloud) = (self.endpoints.clone(), self.cloud.clone());
        let (transport, outbox) = (self.around.transport.clone(), self.outbox.clone());
        let metrics = self.around.metrics.clone();
        self.around.runtime.spawn(async move {
            let (endpoint, name) = endpoints
                .get(usize::from(endpoint.0))
                .expect("a step names an endpoint of its destination");
            let span = spans::request(&record.integration, name, items.len());
            let began = Instant::now();
            let sending = transport.send(endpoint, endpoint.body(&items));
            let answer = sending.instrument(span.clone()).await;
            let took = began.elapsed();
            spans::answered(&span, answer.status);
            let reading = if answer.status == 0 { Reading::Retry } else { cloud.read(&answer) };
            metrics.request(
                &record.integration,
                name,
                answer.status,
                items.len(),
                took.as_secs_f64(),
            );
            let record = RequestRecord {
                endpoint: name.clone(),
                took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
                status: answer.status,
                excerpt: answer.excerpt.as_str().into(),
                ..record
            };
            // The courier may have left at its deadline: then the journal has the events still.
            outbox.send(Message::Ended { request, record, reading, answer }).ok();
        });
    }

    pub(super) fn ended(
        &mut self,
        request: RequestId,
        record: RequestRecord,
        reading: Reading,
        answer: Answer,
    ) {
        let Some(flight) = self.flights.remove(&request) else { return };
        let id = record.id;
        if reading != Reading::Delivered {
            let (status, endpoint) = (record.status, &*record.endpoint);
            info!(
                integration = &*self.integration.id,
                endpoint,
                status,
                items = record.items,
                answer = answer.excerpt,
                "a request was not taken"
            );
            let mut touched: Vec<Seq> = Vec::new();
            // Unless it is parted, what it carried waits for its next try.
            let waits = reading == Reading::Retry || flight.carried.len() == 1;
            for carried in flight.carried {
                if let Some(delivery) = self.delivery(carried.parcel) {
                    list(&mut delivery.requests, id);
                    touched.push(carried.parcel / ACTIONS);
                }
            }
            if waits {
                touched.dedup();
                for seq in touched {
                    let open = self.window.open(seq).or(self.holds.open_mut(seq));
                    if let Some(settlement) = open.map(|open| open.settlement.clone()) {
                        self.batch.settlements.push(settlement);
                    }
                }
            }
        }
        self.batch.requests.push(record);
        self.batch_since.get_or_insert_with(Instant::now);
        self.handle(Fact::Ended { request, record: id, reading, answer });
    }

    fn delivery(&mut self, parcel: u64) -> Option<&mut Delivery> {
        let (seq, index) = (parcel / ACTIONS, usize::try_from(parcel % ACTIONS).ok()?);
        let open = match self.window.open(seq) {
            Some(open) => open,
            None => self.holds.open_mut(seq).or(self.replays.open_mut(seq))?,
        };
        open.settlement.deliveries.get_mut(index)
    }

    /// Gives the user if he has parked events and room for them.
    fn settle(
        &mut self,
        parcel: u64,
        end: End,
        steps_done: u8,
        requests: &[u64],
    ) -> Option<Arc<str>> {
        let at = self.at();
        let title = self.integration.destination.definition().title;
        let (outcome, code, sentence) = read_end(&end, title);
        let code = self.names.get(&code);
        if let Some(delivery) = self.delivery(parcel) {
            delivery.outcome = outcome;
            delivery.code = code;
            delivery.sentence = sentence.into();
            delivery.steps_done = steps_done;
            delivery.at = at;
            for request in requests {
                list(&mut delivery.requests, *request);
            }
        }
        let seq = parcel / ACTIONS;
        if let Some(open) = self.window.open(seq) {
            open.deliveries -= 1;
            self.finish_if_done(seq);
        } else if let Some(open) = self.holds.open_mut(seq) {
            open.deliveries -= 1;
            if open.deliveries == 0
                && let Some((open, freed_by)) = self.holds.finish(seq)
            {
                self.batch.release.push((self.integration.id.clone(), seq));
                self.settled(open.settlement, &open.counted, None);
                if let Some(open) = self.window.open(freed_by) {
                    open.freed -= 1;
                    self.finish_if_done(freed_by);
                }
            }
        } else {
            self.replayed(seq);
        }
        let user = self.parcels.remove(&parcel)?;
        let entry = self.users.get_mut(&user)?;
        entry.on_the_way -= 1;
        if entry.parked.is_empty() {
            if entry.on_the_way == 0 {
                self.users.remove(&user);
            }
            return None;
        }
        (entry.on_the_way < UNPARK_BELOW).then_some(user)
    }

    fn finish_if_done(&mut self, seq: Seq) {
        let done = self.window.open(seq).filter(|open| open.deliveries == 0 && open.freed == 0);
        if done.is_some()
            && let Some(open) = self.window.finish(seq)
            && !open.settlement.deliveries.is_empty()
        {
            self.settled(open.settlement, &open.counted, Some(open.received_at));
        }
    }

    /// Those of `counted` are not counted again; `received_at` counts for how long a delivery took.
    pub(super) fn settled(
        &mut self,
        settlement: Settlement,
        counted: &[bool],
        received_at: Option<Millis>,
    ) {
        for (at, delivery) in settlement.deliveries.iter().enumerate() {
            if !counted.get(at).copied().unwrap_or_default() {
                self.tally.count(delivery, received_at);
            }
        }
        self.around.metrics.tail.settled(&settlement);
        self.batch.settlements.push(settlement);
        self.batch_since.get_or_insert_with(Instant::now);
    }
}

fn list(requests: &mut Vec<u64>, id: u64) {
    if requests.last() == Some(&id) || requests.contains(&id) {
        return;
    }
    if requests.len() >= LISTED {
        requests.remove(LISTED_FIRST);
    }
    requests.push(id);
}

fn read_end(end: &End, title: &str) -> (Outcome, String, String) {
    match end {
        End::Delivered => (Outcome::Delivered, String::new(), String::new()),
        End::Failed { step, answer } => {
            let sentence = format!(
                "{title} refused step {}: {}.",
                step + 1,
                said(answer.status, &answer.excerpt)
            );
            (Outcome::Failed, format!("http_{}", answer.status), sentence)
        }
        End::Expired { answer } => {
            let sentence = format!(
                "{title} took it at no try in time; at last: {}.",
                said(answer.status, &answer.excerpt)
            );
            (Outcome::Expired, "retries_over".to_owned(), sentence)
        }
    }
}

/// An answer in a few words; without one, why.
pub(super) fn said(status: u16, excerpt: &str) -> String {
    let excerpt: String = excerpt.chars().take(200).collect();
    match (status, excerpt.trim()) {
        (0, why) => why.to_owned(),
        (status, "") => format!("status {status}"),
        (status, text) => format!("status {status}, {text:?}"),
    }
}
