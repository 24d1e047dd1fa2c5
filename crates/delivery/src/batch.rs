//! Forming one request out of a line of users.

use heapline_action::plan::{Item, LimitCounts, Step};

use crate::outlet::Outlet;
use crate::random::Keyed;
use crate::users::{Aim, Place, User, UserId, Users};

/// A request in the making.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    pub(crate) taken: Vec<Taken>,
    /// Users in it, in order.
    pub(crate) users: Vec<UserId>,
    /// What was charged to budgets of single identities: key, items.
    pub(crate) charges: Vec<(u64, u32)>,
}

/// A step in a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) user: UserId,
    pub(crate) position: u64,
    pub(crate) step: u8,
    pub(crate) item: u32,
}

/// What request is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'d> {
    /// Index of the outlet.
    pub(crate) outlet: usize,
    /// From which of its lines.
    pub(crate) suspect: bool,
    /// Most steps.
    pub(crate) max_steps: usize,
    /// Outlets that are down.
    pub(crate) down: &'d [bool],
    /// Hashes identities.
    pub(crate) keyed: Keyed,
}

/// Forms the wanted request from a line of `outlet` and charges the budgets of its identities.
/// Empty if nobody in the line can send now. Users who want to go elsewhere come back in `astray`.
pub(crate) fn form(
    outlet: &mut Outlet,
    users: &mut Users,
    wanted: Wanted<'_>,
    astray: &mut Vec<UserId>,
) -> Batch {
    let Wanted { suspect, .. } = wanted;
    let mut maker = Maker {
        index: wanted.outlet,
        max_items: items_allowed(outlet),
        max_steps: wanted.max_steps,
        bytes: outlet.envelope_bytes,
        batch: Batch::default(),
        full: false,
        full_by_bytes: false,
        keyed: wanted.keyed,
    };
    let mut cap = None;
    while !maker.full {
        let Some(&id) = outlet.queue(suspect).users.front() else { break };
        let user = users.get_mut(id);
        let aim = user.aim(wanted.down);
        let aim = aim.filter(|aim| aim.outlet == wanted.outlet && (aim.cap > 0) == suspect);
        if let (Some(aim), Some(cap)) = (aim, cap)
            && aim.cap != cap
        {
            // Another failed batch begins here: the two are not mixed.
            break;
        }
        let queue = outlet.queue(suspect);
        queue.users.pop_front();
        if let Place::InLine { items, .. } = user.place {
            queue.items = queue.items.saturating_sub(items);
        }
        let Some(aim) = aim else {
            user.place = Place::Idle;
            astray.push(id);
            continue;
        };
        if suspect && cap.is_none() {
            cap = Some(aim.cap);
            maker.max_steps = maker.max_steps.min(aim.cap as usize);
        }
        match maker.take(outlet, id, user, aim) {
            Took::Some => {
                user.place = Place::InFlight;
                maker.batch.users.push(id);
            }
            Took::Nothing => {
                user.place = Place::InLine { outlet: wanted.outlet, suspect, items: aim.items };
                let queue = outlet.queue(suspect);
                queue.users.push_front(id);
                queue.items += aim.items;
                break;
            }
            Took::Waits => user.place = Place::Waiting,
        }
    }
    if maker.full_by_bytes {
        outlet.full_at = maker.batch.items.len().max(1);
    } else if maker.batch.items.len() >= outlet.full_at {
        outlet.full_at = outlet.endpoint.max_items.max(1);
    }
    maker.batch
}

/// What came of asking a user for steps.
enum Took {
    Some,
    /// The request is full.
    Nothing,
    /// The user is over his own limit, and stands in its list.
    Waits,
}

struct Maker {
    index: usize,
    max_items: usize,
    max_steps: usize,
    bytes: usize,
    batch: Batch,
    full: bool,
    full_by_bytes: bool,
    keyed: Keyed,
}

/// Steps of one identity in a row.
struct Run {
    key: u64,
    room: u32,
    items: u32,
}

impl Maker {
    fn take(&mut self, outlet: &mut Outlet, id: UserId, user: &User, aim: Aim) -> Took {
        let before = self.batch.taken.len();
        let need = aim.items;
        let mut picker = Picker { maker: self, outlet, id, need, run: None, identity: None };
        if aim.fold {
            user.folds().all(|position| picker.entry(user, position, aim));
        } else {
            user.live().all(|(position, _)| picker.entry(user, position, aim));
        }
        let waits = picker.finish();
        if self.batch.taken.len() > before {
            return Took::Some;
        }
        match waits {
            Some((budget, key)) => {
                let budget = outlet.own.get_mut(budget).expect("the index comes from this list");
                budget.wait(key, id);
                Took::Waits
            }
            None => Took::Nothing,
        }
    }
}

/// Takes steps of one user.
struct Picker<'m, 'o, 'u> {
    maker: &'m mut Maker,
    outlet: &'o mut Outlet,
    id: UserId,
    need: usize,
    run: Option<Run>,
    identity: Option<&'u str>,
}

impl<'u> Picker<'_, '_, 'u> {
    /// Takes the next steps of one entry. False if the user has to stop here.
    fn entry(&mut self, user: &'u User, position: u64, aim: Aim) -> bool {
        let entry = user.entry(position);
        let Some(first) = entry.next().filter(|_| entry.cap == aim.cap) else { return false };
        let settled = entry.done | entry.refused;
        for (step, at) in entry.steps.iter().zip(0_u8..).skip(usize::from(first)) {
            if settled & (1 << at) != 0 {
                continue;
            }
            let fits = usize::from(step.endpoint.0) == self.maker.index
                && matches!(step.item, Item::Fold { .. }) == aim.fold;
            if !fits {
                // Events may not overtake this step; property updates may, as far as it is not one.
                return aim.fold && at > first;
            }
            if !self.step(step, position, at) {
                return false;
            }
        }
        true
    }

    /// Takes one step. False if there is no room for it.
    fn step(&mut self, step: &'u Step, position: u64, at: u8) -> bool {
        let maker = &mut *self.maker;
        if maker.batch.taken.len() >= maker.max_steps {
            maker.full = true;
            return false;
        }
        if !self.outlet.own.is_empty() && self.identity != Some(&*step.identity) {
            self.end_run();
            self.identity = Some(&step.identity);
            if !self.begin_run(&step.identity) {
                return false;
            }
        }
        let maker = &mut *self.maker;
        let bytes = size(&step.item);
        let started = maker.batch.taken.last().is_some_and(|taken| taken.user == self.id);
        if maker.bytes + bytes > self.outlet.endpoint.max_bytes && !maker.batch.items.is_empty() {
            (maker.full, maker.full_by_bytes) = (true, true);
            return false;
        }
        let folded =
            started && maker.batch.items.last_mut().is_some_and(|last| last.fold(&step.item));
        if !folded {
            if maker.batch.items.len() >= maker.max_items {
                maker.full = true;
                return false;
            }
            if let Some(run) = &mut self.run {
                if run.items == run.room {
                    return false;
                }
                run.items += 1;
            }
            maker.batch.items.push(step.item.clone());
        }
        maker.bytes += bytes;
        let item = u32::try_from(maker.batch.items.len() - 1).unwrap_or(u32::MAX);
        maker.batch.taken.push(Taken { user: self.id, position, step: at, item });
        true
    }

    /// False if the identity has no room worth a request.
    fn begin_run(&mut self, identity: &str) -> bool {
        let key = self.maker.keyed.of(identity);
        let mut room = u32::MAX;
        for budget in &self.outlet.own {
            if !budget.is_open(key, self.need) {
                return false;
            }
            if budget.counts() == LimitCounts::Items {
                room = room.min(budget.room(key));
            }
        }
        self.run = Some(Run { key, room, items: 0 });
        true
    }

    fn end_run(&mut self) {
        let Some(run) = self.run.take().filter(|run| run.items > 0) else { return };
        for budget in &mut self.outlet.own {
            budget.charge(run.key, budget.amount(run.items));
        }
        self.maker.batch.charges.push((run.key, run.items));
    }

    /// The budget, by index and key, that shut this user out if one did.
    fn finish(mut self) -> Option<(usize, u64)> {
        self.end_run();
        let key = self.maker.keyed.of(self.identity?);
        let shut = self.outlet.own.iter().position(|budget| !budget.is_open(key, self.need));
        shut.map(|index| (index, key))
    }
}

/// How many items the shared budgets and the endpoint allow in the next request.
fn items_allowed(outlet: &Outlet) -> usize {
    let budgets = outlet.shared.iter().filter(|budget| budget.counts() == LimitCounts::Items);
    let room = budgets.map(|budget| budget.room(crate::budget::WHOLE) as usize).min();
    room.unwrap_or(usize::MAX).min(outlet.endpoint.max_items.max(1))
}

/// Bytes that `item` takes in a body, with its comma. Folding may need less, never more.
pub(crate) fn size(item: &Item) -> usize {
    const MEMBER: usize = "\"\":,".len();
    match item {
        Item::Append(json) => json.as_str().len() + 1,
        Item::Fold { head, member, properties } => {
            let head: usize = head.iter().map(|(k, v)| k.len() + v.as_str().len() + MEMBER).sum();
            let own: usize =
                properties.iter().map(|(k, v)| quoted(k) + v.as_str().len() + MEMBER).sum();
            head + own + member.len() + MEMBER + "{{}},".len()
        }
    }
}

/// Length of `text` in a JSON text, without the quotes; never too small.
fn quoted(text: &str) -> usize {
    let escapes = text.bytes().filter(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'));
    text.len() + escapes.count() * ("\\u0000".len() - 1)
}
