//! Planning: from an event's text to the bytes of requests, by processor time.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use heapline_action::destination::{Cloud, Configured};
use heapline_action::plan::{Answer, Reading};
use heapline_delivery::{Decision, Fact, Lane, Outgoing, Parcel, Policy};
use heapline_server::courier::{Names, plan_event};
use heapline_server::ingest::{Answers, Limits, Request, Route, Source, SourceTable, decode};
use heapline_server::workspace::{Format, Integration, parse};
use heapline_store::{NewEvent, StoredEvent};

use crate::events::{CAPTURED, WRITE_KEY};
use crate::process::thread_cpu_ns;
use crate::reference::Reference;
use crate::report::{Report, Target};
use crate::world::{Place, document};

const BENCH: &str = "planning";

/// The wire form of the public implementation, which sends anonymous events, too.
const ALIKE: &str = r#"api = "partner", anonymous = "send", eventsPerMinute = 0, eventsPerMinutePerIdentity = 0, userUpdatesPer30Seconds = 0"#;

/// Events planned between two looks at the lane, as the courier does it.
const CHUNK: usize = 256;

/// Measures it, and the public implementation on the same events in turns.
pub(crate) fn measure(place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("planning: Heapline and the public implementation in turns");
    let mut alike = Ours::new(ALIKE)?;
    let mut default = Ours::new(crate::world::UNLIMITED)?;
    let mut whole = Reference::start("whole")?;
    let mut bare = Reference::start("bare")?;
    let (our_events, their_events) = place.pick((400_000, 10_000), (100_000, 3_000));
    // Until the compilers of both Node processes have seen it all.
    for _ in 0..2 {
        whole.plan(their_events)?;
        bare.plan(their_events)?;
    }
    alike.plan(10_000)?;
    default.plan(10_000)?;
    let mut rounds = Rounds::default();
    for _ in 0..place.pick(7, 3) {
        let ours = alike.plan(our_events)?;
        let theirs = whole.plan(their_events)?;
        let their_core = bare.plan(their_events)?;
        rounds.ours.push(ours.events_per_cpu_second);
        rounds.default.push(default.plan(our_events)?.events_per_cpu_second);
        rounds.whole.push(theirs.events_per_cpu_second);
        rounds.bare.push(their_core.events_per_cpu_second);
        rounds.ratio.push(ours.events_per_cpu_second / theirs.events_per_cpu_second);
        rounds.core_ratio.push(ours.events_per_cpu_second / their_core.events_per_cpu_second);
        rounds.our_share = ours.sent_share;
        rounds.their_requests = theirs.requests_per_event;
    }
    let unit = "events/CPU s";
    report.note(BENCH, "Heapline, partner form", unit, rounds.ours);
    report.note(BENCH, "Heapline, public form", unit, rounds.default);
    report.note(BENCH, "public implementation, event to request", unit, rounds.whole);
    report.note(BENCH, "public implementation, without its request client", unit, rounds.bare);
    report.note(BENCH, "Heapline: share of events that become requests", "", [rounds.our_share]);
    report.note(BENCH, "public implementation: requests", "/event", [rounds.their_requests]);
    let name = "Heapline ÷ public implementation, event to request";
    report.judge(BENCH, name, "×", rounds.ratio, Target::AtLeast(25.0));
    report.note(BENCH, "Heapline ÷ the same without its request client", "×", rounds.core_ratio);
    Ok(())
}

#[derive(Default)]
struct Rounds {
    ours: Vec<f64>,
    default: Vec<f64>,
    whole: Vec<f64>,
    bare: Vec<f64>,
    ratio: Vec<f64>,
    core_ratio: Vec<f64>,
    our_share: f64,
    their_requests: f64,
}

/// The courier's way from stored events to bodies, without a network.
struct Ours {
    integration: Arc<Integration>,
    cloud: Arc<dyn Cloud>,
    events: Vec<StoredEvent>,
    lane: Lane,
    names: Names,
    next: u64,
}

struct Cost {
    events_per_cpu_second: f64,
    sent_share: f64,
}

impl Ours {
    fn new(settings: &str) -> Result<Ours> {
        let workspace = parse(&document(Some(settings)), Format::Toml, 1)
            .map_err(|faults| anyhow!("the workspace has faults: {faults:?}"))?;
        let integration = workspace.integration("heap").context("no integration")?.clone();
        let Configured::Cloud(cloud) = &integration.configured else {
            anyhow::bail!("heap isn't a cloud destination");
        };
        let cloud = cloud.clone();
        let policy = Policy {
            endpoints: cloud.endpoints().to_vec(),
            retry_window_ms: cloud.retry_window_ms(),
            first_backoff_ms: 500,
            max_backoff_ms: 300_000,
            max_in_flight: 4,
            linger_ms: 5,
            seed: 1,
        };
        let (lane, names) = (Lane::new(policy), Names::default());
        Ok(Ours { integration, cloud, events: accepted()?, lane, names, next: 0 })
    }

    fn plan(&mut self, events: u64) -> Result<Cost> {
        let (mut planned, mut sent, mut now_ms) = (0, 0_u64, 1);
        let mut flying: VecDeque<Outgoing> = VecDeque::new();
        let mut decisions = Vec::new();
        let begun = thread_cpu_ns()?;
        loop {
            let mut offers = Vec::with_capacity(CHUNK);
            for _ in 0..CHUNK {
                if planned == events {
                    break;
                }
                planned += 1;
                offers.extend(self.plan_next());
            }
            sent += offers.len() as u64;
            now_ms += 1;
            self.lane.handle(now_ms, Fact::Offer(offers), &mut decisions);
            if let Some(outgoing) = flying.pop_front() {
                let answer = Answer { status: 200, retry_after_ms: None, excerpt: String::new() };
                let (request, reading) = (outgoing.request, Reading::Delivered);
                let ended = Fact::Ended { request, record: request.0, reading, answer };
                self.lane.handle(now_ms, ended, &mut decisions);
            }
            for decision in decisions.drain(..) {
                match decision {
                    Decision::Send(outgoing) => {
                        let endpoint = self.cloud.endpoints().get(usize::from(outgoing.endpoint.0));
                        let body = endpoint.context("no such endpoint")?.body(&outgoing.items);
                        std::hint::black_box(body);
                        flying.push_back(outgoing);
                    }
                    Decision::Settle { .. } | Decision::Progress { .. } | Decision::WakeAt(_) => {}
                }
            }
            if planned == events && self.lane.load().parcels == 0 {
                break;
            }
        }
        let seconds = (thread_cpu_ns()? - begun) as f64 / 1e9;
        Ok(Cost {
            events_per_cpu_second: events as f64 / seconds,
            sent_share: sent as f64 / events as f64,
        })
    }

    fn plan_next(&mut self) -> Vec<Parcel> {
        let at = usize::try_from(self.next).unwrap_or_default() % self.events.len().max(1);
        let Some(event) = self.events.get(at) else { return Vec::new() };
        self.next += 1;
        let number = self.next;
        let planned = plan_event(&self.integration, &*self.cloud, event, None, 0, &mut self.names);
        let user = event.event.user_id.as_deref().or(event.event.anonymous_id.as_deref());
        let user: Arc<str> = user.unwrap_or(&event.event.message_id).into();
        std::hint::black_box(&planned.deliveries);
        let parcels = planned.steps.into_iter().map(|(index, steps)| Parcel {
            id: number * 256 + index as u64,
            user: user.clone(),
            steps,
            done: 0,
            failing_since_ms: None,
        });
        parcels.collect()
    }
}

/// The captured events as the door puts them into the journal.
fn accepted() -> Result<Vec<StoredEvent>> {
    let source = Source { id: "bench".into(), web: false, enabled: true, answers: Answers::Strict };
    let sources = SourceTable::new([(WRITE_KEY.into(), Arc::new(source))]);
    let mut events: Vec<NewEvent> = Vec::new();
    for line in CAPTURED.lines() {
        let body = format!(r#"{{"writeKey":"{WRITE_KEY}","batch":[{line}]}}"#);
        let request = Request {
            route: Route::Batch,
            authorization: None,
            address_key: None,
            encoding: None,
            strict: true,
            body: body.as_bytes(),
            now: heapline_server::server::now(),
            client_ip: None,
        };
        let decoded = decode(&request, &sources, &Limits::default(), &String::new);
        if let Some(fault) = decoded.faults.first() {
            return Err(anyhow!("the door refuses a captured event: {fault}"));
        }
        events.extend(decoded.events);
    }
    Ok((1..).zip(events).map(|(seq, event)| StoredEvent { seq, event }).collect())
}
