//! Replays: events of the past delivered once more, by the rules of now.
//!
//! Deliveries that are still under way are skipped; each goes out with the idempotency key that it
//! had. A replay walks the journal upwards, a chunk of events at a time, and keeps in the store how
//! far it has come: below that, all is settled. So it survives a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use heapline_action::datetime;
use heapline_action::destination::Configured;
use heapline_store::{Outcome, Query, Seq};
use serde::{Deserialize, Serialize};
use tracing::{error, info};
use utoipa::ToSchema;

use super::tokens::{hex, random};
use super::views::find_integration;
use super::{Actor, Control, Problem, Role};
use crate::admin::EventParams;
use crate::courier::{Chunk, Repeated, Replayed};
use crate::server::now;

/// Kind under which the store keeps them.
const KIND: &str = "replay";
/// Places of the journal that are searched at a time.
const BLOCK: Seq = 20_000;
/// Events given to the courier at a time: enough to fill requests, little beside what a courier holds.
const EVENTS: usize = 2_000;
/// How long a replay waits before it looks again whether there is a courier.
const WAIT: Duration = Duration::from_millis(500);
/// Finished replays that are remembered.
const REMEMBERED: usize = 100;

/// Which deliveries to repeat.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// Id of the integration that delivers once more.
    pub integration: String,
    /// Only deliveries with this outcome, e.g. `failed`; with it or `code`, events that the
    /// integration never had stay out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Only deliveries with this code, e.g. `http_400`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Only events of this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Only events of this name, or type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Only events of this user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Only events of this anonymous id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<String>,
    /// Only events with this message id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Only events received at or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only events received before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// How much a selection is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Counted {
    /// Events.
    pub events: u64,
    /// What a replay does, in plain words.
    pub note: String,
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplayState {
    /// It goes on.
    Running,
    /// It waits to be told to go on.
    Paused,
    /// It was ended before its end.
    Canceled,
    /// It has come to its end.
    Done,
}

/// A replay and how far it has come.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// Names it in addresses.
    pub id: String,
    /// Which deliveries it repeats.
    pub selection: Selection,
    /// Who started it.
    pub by: String,
    /// When, RFC 3339.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Where it stands.
    pub state: ReplayState,
    /// What it waits for, if it waits; or, if it was paused or canceled, that some is on its way
    /// still.
    pub waiting: Option<String>,
    /// Events that it has to look at, counted at the start.
    pub events: u64,
    /// Events that are settled or skipped.
    pub done: u64,
    /// Events left alone: under way already, gone from the journal, or none of the integration's.
    pub skipped: u64,
    /// What became of deliveries, by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// All below this place is settled.
    pub place: u64,
    /// The places that it goes to, exclusive.
    pub end: u64,
}

/// All replays, and those who work on them.
#[derive(Default)]
pub struct Replays(Mutex<Known>);

#[derive(Default)]
struct Known {
    all: BTreeMap<String, Replay>,
    /// Those that a thread works on: also one that was told to stop, until what it has given to the
    /// courier has settled.
    worked_on: BTreeSet<String>,
}

impl Selection {
    fn query(&self) -> Result<Query, Problem> {
        let by_fate = self.outcome.is_some() || self.code.is_some();
        let params = EventParams {
            message_id: self.message_id.clone(),
            user_id: self.user_id.clone(),
            anonymous_id: self.anonymous_id.clone(),
            source: self.source.clone(),
            event: self.event.clone(),
            integration: by_fate.then(|| self.integration.clone()),
            outcome: self.outcome.clone(),
            code: self.code.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            before: None,
            limit: Some(500),
        };
        params.query()
    }

    fn repeated(&self) -> Result<Repeated, Problem> {
        Ok(Repeated { outcome: self.query()?.outcome, code: self.code.clone() })
    }
}

impl Control {
    /// How many events a selection has; sends nothing.
    pub fn count_replay(&self, selection: &Selection) -> Result<Counted, Problem> {
        find_integration(&self.workspaces.current(), &selection.integration)?;
        let end = self.store.extent().next;
        let mut events = 0;
        let mut from = self.store.extent().first;
        while from < end {
            let to = from.saturating_add(BLOCK).min(end);
            events += self.chosen_places(selection, from, to)?.len() as u64;
            from = to;
        }
        let note = "Events are judged by the rules of now, and go out with the idempotency keys \
                    that they had. Deliveries still under way are skipped.";
        Ok(Counted { events, note: note.to_owned() })
    }

    /// Starts a replay.
    pub fn start_replay(
        self: &Arc<Self>,
        who: &Actor,
        selection: Selection,
    ) -> Result<Replay, Problem> {
        who.must_be(Role::Editor)?;
        let workspace = self.workspaces.current();
        let (_, integration) = find_integration(&workspace, &selection.integration)?;
        if let Configured::Web(_) = integration.configured {
            let what =
                format!("the page delivers for {:?}, and nobody else", selection.integration);
            return Err(Problem::Conflict("web_integration", what));
        }
        let end = self.store.extent().next;
        let events = self.count_replay(&selection)?.events;
        let replay = Replay {
            id: hex(&random::<4>()?),
            by: who.name.clone(),
            started_at: datetime::print(now()),
            ended_at: None,
            state: ReplayState::Running,
            waiting: None,
            events,
            done: 0,
            skipped: 0,
            outcomes: BTreeMap::new(),
            place: self.store.extent().first,
            end,
            selection,
        };
        self.keep_replay(&replay)?;
        let what = format!(
            "started the replay {} of {events} events to {:?}",
            replay.id, replay.selection.integration
        );
        self.log(who, what)?;
        self.replays.lock().all.insert(replay.id.clone(), replay.clone());
        self.work_on(replay.id.clone())?;
        Ok(replay)
    }

    /// All replays, the latest first.
    pub fn replays(&self) -> Vec<Replay> {
        let mut all: Vec<Replay> = self.replays.lock().all.values().cloned().collect();
        all.sort_by(|one, other| other.started_at.cmp(&one.started_at));
        all
    }

    /// One replay.
    pub fn replay(&self, id: &str) -> Result<Replay, Problem> {
        let missing = || Problem::Missing(format!("no replay has the id {id:?}"));
        self.replays.lock().all.get(id).cloned().ok_or_else(missing)
    }

    /// Lets a replay pause, go on, or end: what it has given to the courier settles all the same,
    /// and is counted.
    pub fn steer_replay(
        self: &Arc<Self>,
        who: &Actor,
        id: &str,
        state: ReplayState,
    ) -> Result<Replay, Problem> {
        who.must_be(Role::Editor)?;
        let (replay, resumed) = {
            let mut known = self.replays.lock();
            let missing = || Problem::Missing(format!("no replay has the id {id:?}"));
            let is_worked_on = known.worked_on.contains(id);
            let replay = known.all.get_mut(id).ok_or_else(missing)?;
            let before = replay.state;
            let (done, word) = match (before, state) {
                (ReplayState::Running, ReplayState::Paused) => (true, "paused"),
                (ReplayState::Paused, ReplayState::Running) => (true, "resumed"),
                (ReplayState::Running | ReplayState::Paused, ReplayState::Canceled) => {
                    (true, "canceled")
                }
                (_, _) => (before == state, ""),
            };
            if !done {
                let what = format!("the replay {id} is {before:?} already").to_lowercase();
                return Err(Problem::Conflict("replay_state", what));
            }
            replay.state = state;
            replay.waiting = match state {
                ReplayState::Paused | ReplayState::Canceled if is_worked_on => {
                    Some("what is on its way settles still".to_owned())
                }
                _ => None,
            };
            if state == ReplayState::Canceled && !is_worked_on && replay.ended_at.is_none() {
                replay.ended_at = Some(datetime::print(now()));
            }
            self.keep_replay(replay)?;
            if !word.is_empty() {
                self.log(who, format!("{word} the replay {id}"))?;
            }
            (replay.clone(), before == ReplayState::Paused && state == ReplayState::Running)
        };
        if resumed {
            self.work_on(replay.id.clone())?;
        }
        Ok(replay)
    }

    /// Goes on with the replays that an earlier run of the program left.
    pub fn resume_replays(self: &Arc<Self>) -> Result<(), Problem> {
        for (id, text) in self.store.kept(KIND)? {
            let replay: Replay = serde_json::from_str(&text)
                .map_err(|e| Problem::Broken(format!("a kept replay can't be read: {e}")))?;
            let runs = replay.state == ReplayState::Running;
            self.replays.lock().all.insert(id.clone(), replay);
            if runs {
                self.work_on(id)?;
            }
        }
        Ok(())
    }

    /// The places between `from` and below `to` of events that a selection has, lowest first.
    fn chosen_places(
        &self,
        selection: &Selection,
        from: Seq,
        to: Seq,
    ) -> Result<Vec<Seq>, Problem> {
        let mut query = Query { from: Some(from), before: Some(to), ..selection.query()? };
        let mut places = Vec::new();
        loop {
            let page = self.store.find(&query)?;
            places.extend(page.found.iter().map(|found| found.event.seq));
            match page.more {
                Some(before) if before > from => query.before = Some(before),
                Some(_) | None => break,
            }
        }
        places.reverse();
        Ok(places)
    }

    fn keep_replay(&self, replay: &Replay) -> Result<(), Problem> {
        let text = serde_json::to_string(replay).expect("a replay is plain data");
        Ok(self.store.keep(KIND, &replay.id, Some(&text))?)
    }

    /// Works on a replay, on a thread of its own unless one does already, until it is done, paused
    /// or canceled, or the program ends.
    fn work_on(self: &Arc<Self>, id: String) -> Result<(), Problem> {
        if !self.replays.lock().worked_on.insert(id.clone()) {
            return Ok(());
        }
        let control = Arc::downgrade(self);
        let name = format!("replay {id}");
        let work = move || {
            if let Err(problem) = work(&control, &id) {
                error!(replay = id, error = %problem, "the replay has stopped");
                if let Some(control) = control.upgrade() {
                    control.change_replay(&id, |replay| {
                        replay.state = ReplayState::Paused;
                        replay.waiting = Some(problem.to_string());
                    });
                    control.replays.lock().worked_on.remove(&id);
                }
            }
        };
        let started = std::thread::Builder::new().name(name).spawn(work);
        started.map_err(|e| Problem::Broken(format!("cannot start a replay's thread: {e}")))?;
        Ok(())
    }

    fn say_waiting(&self, id: &str, given: bool) {
        let waiting = "the integration is disabled, or can't be delivered to now";
        let waiting = (!given).then(|| waiting.to_owned());
        if let Some(replay) = self.replays.lock().all.get_mut(id) {
            replay.waiting = waiting;
        }
    }

    /// True if the replay is to go on. Else nobody works on it any more.
    fn goes_on(&self, id: &str) -> bool {
        let mut known = self.replays.lock();
        let Known { all, worked_on } = &mut *known;
        let Some(replay) = all.get_mut(id) else { return false };
        if replay.state == ReplayState::Running && !self.is_stopping() {
            return true;
        }
        worked_on.remove(id);
        if replay.state != ReplayState::Running {
            replay.waiting = None;
        }
        if replay.state == ReplayState::Canceled && replay.ended_at.is_none() {
            replay.ended_at = Some(datetime::print(now()));
        }
        self.keep_or_say(replay);
        false
    }

    fn finish_replay(&self, id: &str) -> Result<(), Problem> {
        self.change_replay(id, |replay| {
            replay.state = ReplayState::Done;
            replay.ended_at = Some(datetime::print(now()));
        });
        self.replays.lock().worked_on.remove(id);
        info!(replay = id, "the replay is done");
        for forgotten in self.replays.forget() {
            self.store.keep(KIND, &forgotten, None)?;
        }
        Ok(())
    }

    fn change_replay(&self, id: &str, change: impl FnOnce(&mut Replay)) {
        let mut known = self.replays.lock();
        let Some(replay) = known.all.get_mut(id) else { return };
        change(replay);
        self.keep_or_say(replay);
    }

    fn keep_or_say(&self, replay: &Replay) {
        if let Err(problem) = self.keep_replay(replay) {
            // The next one may be kept; what isn't is done once more after a restart.
            error!(replay = replay.id, error = %problem, "a replay's progress can't be kept");
        }
    }
}

impl Replays {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the oldest of too many that have ended. Gives their ids.
    fn forget(&self) -> Vec<String> {
        let mut known = self.lock();
        let ended = known.all.values().filter(|replay| replay.ended_at.is_some());
        let mut ended: Vec<(String, String)> =
            ended.map(|replay| (replay.started_at.clone(), replay.id.clone())).collect();
        ended.sort();
        ended.truncate(ended.len().saturating_sub(REMEMBERED));
        let ids: Vec<String> = ended.into_iter().map(|(_, id)| id).collect();
        ids.iter().for_each(|id| {
            known.all.remove(id);
        });
        ids
    }
}

fn work(control: &Weak<Control>, id: &str) -> Result<(), Problem> {
    loop {
        let Some(here) = control.upgrade() else { return Ok(()) };
        if !here.goes_on(id) {
            return Ok(());
        }
        let replay = here.replay(id)?;
        let from = replay.place.max(here.store.extent().first);
        if from >= replay.end {
            return here.finish_replay(id);
        }
        let to = from.saturating_add(BLOCK).min(replay.end);
        let mut places = here.chosen_places(&replay.selection, from, to)?;
        let next = match places.get(EVENTS) {
            Some(next) => *next,
            None => to,
        };
        places.truncate(EVENTS);
        let events = places.len() as u64;
        let report = match places.is_empty() {
            true => Some(Replayed::default()),
            false => {
                let (told, hears) = channel();
                let chunk = Chunk {
                    seqs: places,
                    repeated: replay.selection.repeated()?,
                    done: Box::new(move |report| {
                        // Nobody listens any more if the program ends.
                        told.send(report).ok();
                    }),
                };
                let given = here.fleet.replay(&replay.selection.integration, chunk);
                here.say_waiting(id, given);
                // So that the program can end meanwhile.
                drop(here);
                if !given {
                    std::thread::sleep(WAIT);
                    continue;
                }
                listen(control, &hears)
            }
        };
        let (Some(report), Some(here)) = (report, control.upgrade()) else { continue };
        here.fleet.settle_ledger();
        here.change_replay(id, |replay| {
            replay.place = next;
            replay.done += events;
            replay.skipped += report.skipped;
            for (outcome, count) in Outcome::ALL.iter().zip(report.outcomes) {
                if count > 0 {
                    *replay.outcomes.entry(outcome.word().to_owned()).or_default() += count;
                }
            }
        });
    }
}

/// Waits for a chunk to settle. `None` if its courier ended before.
fn listen(control: &Weak<Control>, hears: &Receiver<Replayed>) -> Option<Replayed> {
    loop {
        match hears.recv_timeout(WAIT) {
            Ok(report) => return Some(report),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        control.upgrade()?;
    }
}
