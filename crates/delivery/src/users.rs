//! The users of a lane, and each one's queue.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use heapline_action::plan::{Answer, Item, Step};

use crate::message::Parcel;
use crate::random::Keyed;

/// Index of a user in [`Users`].
pub(crate) type UserId = u32;

/// How far a property update may overtake events of its user, in parcels.
const WINDOW: u64 = 1000;

/// How many requests are remembered for each parcel: so many of the first, and of the last.
const FIRST_REQUESTS: usize = 8;
const LAST_REQUESTS: usize = 24;

#[derive(Debug)]
pub(crate) struct Users {
    names: HashMap<Arc<str>, UserId, Keyed>,
    slots: Vec<User>,
    free: Vec<UserId>,
}

/// A user: a queue of parcels, of which at most one prefix is in flight.
#[derive(Debug)]
pub(crate) struct User {
    key: Arc<str>,
    pub(crate) place: Place,
    /// Parcels in order. Those that have ended out of order stay as husks until they reach the front.
    entries: VecDeque<Entry>,
    /// Position of the first entry. Positions never change.
    base: u64,
    /// Positions of the entries whose next step is a property update, in order.
    folds: VecDeque<u64>,
    /// Positions of the entries with an event before a property update: later property updates may
    /// not overtake them.
    barriers: VecDeque<u64>,
    /// Position of the first parcel in his last request, if that failed.
    pub(crate) blocker: Option<u64>,
    /// Failed attempts in a row.
    pub(crate) attempts: u32,
    /// When the user last came into a line.
    pub(crate) in_line_ms: u64,
    /// When the lane looks which of the parcels have expired.
    pub(crate) deadline_ms: Option<u64>,
}

/// Where a user is. Always exactly one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: there is nothing to send.
    Idle,
    /// In a line of an outlet, there counted with so many items.
    InLine { outlet: usize, suspect: bool, items: usize },
    /// In a request.
    InFlight,
    /// Backing off alone or with a failed batch.
    Resting,
    /// Waiting for room in a budget.
    Waiting,
}

/// A parcel inside.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) steps: Box<[Step]>,
    pub(crate) bytes: usize,
    /// Steps that the destination took, as bits.
    pub(crate) done: u8,
    /// Steps that the destination refused, as bits.
    pub(crate) refused: u8,
    /// The first refused step and what was said.
    pub(crate) refusal: Option<(u8, Arc<Answer>)>,
    /// The last failure that was no refusal.
    pub(crate) failure: Option<Arc<Answer>>,
    pub(crate) failing_since_ms: Option<u64>,
    pub(crate) offered_ms: u64,
    /// Most steps in a request with this one; 0 if it never was in a request that failed.
    pub(crate) cap: u32,
    /// [`crate::health::Health::successes`] when it last failed.
    pub(crate) seen: u64,
    /// It failed alone while the destination was alive: its failures say nothing of the endpoint.
    pub(crate) convicted: bool,
    pub(crate) ended: bool,
    pub(crate) requests: Vec<u64>,
}

/// What a user wants to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aim {
    pub(crate) outlet: usize,
    /// Property updates, ahead of events; else what is first in the queue.
    pub(crate) fold: bool,
    /// [`Entry::cap`] of the first.
    pub(crate) cap: u32,
    /// About how many items.
    pub(crate) items: usize,
}

impl Users {
    pub(crate) fn new(keyed: Keyed) -> Users {
        Users { names: HashMap::with_hasher(keyed), slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn get(&self, id: UserId) -> &User {
        self.slots.get(id as usize).expect("a user id is an index of a slot")
    }

    pub(crate) fn get_mut(&mut self, id: UserId) -> &mut User {
        self.slots.get_mut(id as usize).expect("a user id is an index of a slot")
    }

    /// The user named `key`, new if need be.
    pub(crate) fn named(&mut self, key: &Arc<str>) -> UserId {
        if let Some(&id) = self.names.get(key) {
            return id;
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.slots.push(User::empty());
                UserId::try_from(self.slots.len() - 1).expect("fewer than 2^32 users are inside")
            }
        };
        self.get_mut(id).key = key.clone();
        self.names.insert(key.clone(), id);
        id
    }

    /// Forgets a user who has nothing to send.
    pub(crate) fn forget(&mut self, id: UserId) {
        let key = std::mem::replace(self.get_mut(id), User::empty()).key;
        self.names.remove(&key);
        self.free.push(id);
        if self.names.is_empty() && self.slots.len() > 1024 {
            // Nobody is inside, so no id is in use but in stale deadlines, which are checked.
            self.slots = Vec::new();
            self.free = Vec::new();
            self.names.shrink_to_fit();
        }
    }

    /// A user who may have been forgotten.
    pub(crate) fn find(&mut self, id: UserId) -> Option<&mut User> {
        self.slots.get_mut(id as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &User> {
        self.slots.iter()
    }
}

impl User {
    fn empty() -> User {
        User {
            key: Arc::from(""),
            place: Place::Idle,
            entries: VecDeque::new(),
            base: 0,
            folds: VecDeque::new(),
            barriers: VecDeque::new(),
            blocker: None,
            attempts: 0,
            in_line_ms: 0,
            deadline_ms: None,
        }
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        let position = self.base + self.entries.len() as u64;
        if entry.next_is_fold() {
            self.folds.push_back(position);
        }
        if entry.is_barrier() {
            self.barriers.push_back(position);
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn entry(&self, position: u64) -> &Entry {
        let at = position.checked_sub(self.base).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.entries.get(at)).expect("a position names an entry until it ended")
    }

    pub(crate) fn entry_mut(&mut self, position: u64) -> &mut Entry {
        let at = position.checked_sub(self.base).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.entries.get_mut(at))
            .expect("a position names an entry until it ended")
    }

    /// Entries that have not ended, in order, with their positions.
    pub(crate) fn live(&self) -> impl Iterator<Item = (u64, &Entry)> {
        (self.base..).zip(&self.entries).filter(|(_, entry)| !entry.ended)
    }

    /// Positions whose next step is a property update that may be sent now, in order.
    pub(crate) fn folds(&self) -> impl Iterator<Item = u64> + '_ {
        let barrier = self.barriers.front().copied().unwrap_or(u64::MAX);
        self.folds.iter().copied().take_while(move |position| *position <= barrier)
    }

    /// To be called after the steps of the entry at `position` have moved on.
    pub(crate) fn moved_on(&mut self, position: u64) {
        let entry = self.entry(position);
        let (is_fold, is_barrier) = (entry.next_is_fold(), entry.is_barrier());
        set(&mut self.folds, position, is_fold);
        set(&mut self.barriers, position, is_barrier);
    }

    /// Ends the entry at `position`, keeping only a husk.
    pub(crate) fn end(&mut self, position: u64) {
        let entry = self.entry_mut(position);
        entry.ended = true;
        entry.steps = Box::default();
        self.moved_on(position);
        while self.entries.front().is_some_and(|entry| entry.ended) {
            self.entries.pop_front();
            self.base += 1;
        }
    }

    /// What to send next. Property updates go first, as far as [`WINDOW`] reaches, unless their
    /// endpoint is down and there are events before them.
    pub(crate) fn aim(&self, down: &[bool]) -> Option<Aim> {
        let head = self.entries.front()?;
        let first_fold = self.folds.front().copied();
        if let Some(position) = self.folds().next()
            && position - self.base < WINDOW
        {
            let entry = self.entry(position);
            let outlet = entry.next_outlet()?;
            let is_down = down.get(outlet).copied().unwrap_or(false);
            if position == self.base || !is_down {
                return Some(Aim { outlet, fold: true, cap: entry.cap, items: 1 });
            }
        }
        let before = first_fold.map_or(self.entries.len() as u64, |fold| fold - self.base);
        Some(Aim {
            outlet: head.next_outlet()?,
            fold: false,
            cap: head.cap,
            items: usize::try_from(before).unwrap_or(usize::MAX),
        })
    }
}

/// Puts `position` into a sorted list, or takes it out.
fn set(list: &mut VecDeque<u64>, position: u64, inside: bool) {
    match (list.binary_search(&position), inside) {
        (Ok(at), false) => {
            list.remove(at);
        }
        (Err(at), true) => list.insert(at, position),
        (Ok(_), true) | (Err(_), false) => {}
    }
}

impl Entry {
    pub(crate) fn new(parcel: Parcel, now_ms: u64) -> Entry {
        let steps = parcel.steps.into_boxed_slice();
        Entry {
            id: parcel.id,
            bytes: steps.iter().map(|step| crate::batch::size(&step.item)).sum(),
            steps,
            done: parcel.done,
            refused: 0,
            refusal: None,
            failure: None,
            failing_since_ms: parcel.failing_since_ms,
            offered_ms: now_ms,
            cap: 0,
            seen: 0,
            convicted: false,
            ended: false,
            requests: Vec::new(),
        }
    }

    /// Index of the first step that was neither taken nor refused.
    pub(crate) fn next(&self) -> Option<u8> {
        let next = (self.done | self.refused).trailing_ones();
        if (next as usize) < self.steps.len() { u8::try_from(next).ok() } else { None }
    }

    fn next_step(&self) -> Option<&Step> {
        self.steps.get(usize::from(self.next()?))
    }

    fn next_is_fold(&self) -> bool {
        matches!(self.next_step(), Some(Step { item: Item::Fold { .. }, .. }))
    }

    /// True if an event stands before a property update among the steps to come.
    fn is_barrier(&self) -> bool {
        let settled = self.done | self.refused;
        let mut to_come = self.steps.iter().zip(0_u8..).filter(|(_, at)| settled & (1 << at) == 0);
        to_come.any(|(step, _)| matches!(step.item, Item::Append(_)))
            && to_come.any(|(step, _)| matches!(step.item, Item::Fold { .. }))
    }

    pub(crate) fn next_outlet(&self) -> Option<usize> {
        self.next_step().map(|step| usize::from(step.endpoint.0))
    }

    pub(crate) fn carried_by(&mut self, request: u64) {
        if self.requests.len() == FIRST_REQUESTS + LAST_REQUESTS {
            self.requests.remove(FIRST_REQUESTS);
        }
        self.requests.push(request);
    }
}
