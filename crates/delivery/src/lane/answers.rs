//! What a lane makes of the answers to its requests.

use std::cmp::Reverse;
use std::sync::Arc;

use heapline_action::plan::{Answer, Blame, Reading};

use super::{Flight, KNOWN, Lane};
use crate::batch::Taken;
use crate::budget::WHOLE;
use crate::health::{Probe, backoff};
use crate::message::{Decision, End, RequestId};
use crate::users::{Place, UserId};

impl Lane {
    pub(super) fn ended(
        &mut self,
        request: RequestId,
        record: u64,
        reading: Reading,
        answer: Answer,
        out: &mut Vec<Decision>,
    ) {
        let Some(flight) = self.flights.remove(&request.0) else { return };
        let now_ms = self.now_ms;
        let outlet = self.outlet(flight.outlet);
        outlet.queue(flight.suspect).in_flight -= 1;
        for budget in &mut outlet.shared {
            budget.answer(now_ms, WHOLE, budget.amount(flight.items));
        }
        for budget in &mut outlet.own {
            for (key, items) in &flight.charges {
                budget.answer(now_ms, *key, budget.amount(*items));
            }
        }
        for taken in &flight.taken {
            self.users.get_mut(taken.user).entry_mut(taken.position).carried_by(record);
        }
        match reading {
            Reading::Delivered => self.delivered(&flight, out),
            Reading::Rejected(blame) => {
                if self.outlet(flight.outlet).health.refuses(blame) {
                    let cause = Cause::Endpoint { refused: Some(blame) };
                    self.failed(request.0, &flight, answer, cause, out);
                } else {
                    self.rejected(&flight, answer, out);
                }
            }
            Reading::Retry => {
                let cause = self.cause(&flight, &answer);
                self.failed(request.0, &flight, answer, cause, out);
            }
        }
    }

    fn delivered(&mut self, flight: &Flight, out: &mut Vec<Decision>) {
        self.outlet(flight.outlet).health.delivers();
        *self.down.get_mut(flight.outlet).expect(KNOWN) = false;
        for taken in &flight.taken {
            let entry = self.users.get_mut(taken.user).entry_mut(taken.position);
            entry.done |= 1 << taken.step;
            let (parcel, step) = (entry.id, taken.step);
            if !self.move_on(taken, out) {
                out.push(Decision::Progress { parcel, step });
            }
        }
        for &id in &flight.users {
            let user = self.users.get_mut(id);
            (user.attempts, user.blocker) = (0, None);
            self.line_up(id, false);
        }
    }

    /// A single step was refused for good; several are parted, and tried again at once.
    fn rejected(&mut self, flight: &Flight, answer: Answer, out: &mut Vec<Decision>) {
        self.outlet(flight.outlet).health.lives();
        *self.down.get_mut(flight.outlet).expect(KNOWN) = false;
        if let [taken] = flight.taken.as_slice() {
            let answer = Arc::new(answer);
            let entry = self.users.get_mut(taken.user).entry_mut(taken.position);
            entry.refused |= 1 << taken.step;
            entry.refusal.get_or_insert((taken.step, answer));
            self.move_on(taken, out);
            self.users.get_mut(taken.user).blocker = None;
            self.line_up(taken.user, false);
            return;
        }
        let successes = self.outlet(flight.outlet).health.successes;
        self.part(flight, successes);
        for &id in flight.users.iter().rev() {
            self.line_up(id, true);
        }
    }

    fn failed(
        &mut self,
        request: u64,
        flight: &Flight,
        answer: Answer,
        cause: Cause,
        out: &mut Vec<Decision>,
    ) {
        let now_ms = self.now_ms;
        let answer = Arc::new(answer);
        if let Some(wait_ms) = answer.retry_after_ms {
            self.quiet_until_ms = self.quiet_until_ms.max(now_ms.saturating_add(wait_ms));
        }
        let until_ms = if let Cause::Endpoint { refused } = cause {
            let (next, steps) = (self.next_request, flight.taken.len());
            *self.down.get_mut(flight.outlet).expect(KNOWN) = true;
            let outlet = self.outlets.get_mut(flight.outlet).expect(KNOWN);
            let probe = Probe { request, steps, next, refused };
            outlet.health.fails(now_ms, probe, &answer, &self.policy, &mut self.random)
        } else {
            let users = flight.users.iter();
            let attempts = users.map(|id| self.users.get(*id).attempts).max().unwrap_or(0);
            now_ms.saturating_add(backoff(&self.policy, attempts, &mut self.random))
        };
        let successes = self.outlet(flight.outlet).health.successes;
        if cause == Cause::SomeItem {
            self.part(flight, successes);
        } else {
            let throttled = answer.status == TOO_MANY_REQUESTS;
            let max_items = self.outlet(flight.outlet).endpoint.max_items;
            let whole = u32::try_from(max_items).unwrap_or(u32::MAX).max(1);
            for taken in &flight.taken {
                let entry = self.users.get_mut(taken.user).entry_mut(taken.position);
                if entry.cap == 0 && !throttled {
                    entry.cap = whole;
                }
                entry.convicted |= cause == Cause::ThisItem;
                entry.seen = successes;
                entry.failure = Some(answer.clone());
                entry.failing_since_ms.get_or_insert(now_ms);
            }
        }
        let mut firsts = flight.taken.iter();
        for &id in &flight.users {
            let first = firsts.find(|taken| taken.user == id);
            self.users.get_mut(id).blocker = first.map(|taken| taken.position);
            self.expire_blocker(id, out);
        }
        for &id in &flight.users {
            let user = self.users.get_mut(id);
            user.place = Place::Resting;
            // Parting is progress, and an outage has its own count: only an item that fails alone
            // makes its user wait longer and longer.
            if cause == Cause::ThisItem {
                user.attempts = user.attempts.saturating_add(1);
            }
        }
        self.resting.push(Reverse((until_ms, request, flight.users.clone())));
    }

    /// What a failure that is no refusal says, and of whom.
    fn cause(&self, flight: &Flight, answer: &Answer) -> Cause {
        let entries = flight.taken.iter().map(|t| self.users.get(t.user).entry(t.position));
        let (mut convicted, mut last_seen) = (false, flight.successes);
        for entry in entries.filter(|entry| entry.cap > 0) {
            convicted |= entry.convicted;
            last_seen = last_seen.min(entry.seen);
        }
        let alive = self.outlets.get(flight.outlet).expect(KNOWN).health.successes > last_seen;
        if answer.status == TOO_MANY_REQUESTS || !(alive || convicted) {
            Cause::Endpoint { refused: None }
        } else if flight.taken.len() > 1 {
            Cause::SomeItem
        } else {
            Cause::ThisItem
        }
    }

    /// Lets the steps of a failed batch go only in batches of half its size. One of them is to
    /// blame: the others have not begun to fail.
    fn part(&mut self, flight: &Flight, successes: u64) {
        let half = u32::try_from(flight.taken.len() / 2).unwrap_or(u32::MAX).max(1);
        for taken in &flight.taken {
            let entry = self.users.get_mut(taken.user).entry_mut(taken.position);
            entry.cap = half;
            entry.seen = successes;
            (entry.failing_since_ms, entry.failure) = (None, None);
        }
    }

    /// To be called after a step was taken or refused. True if that was the parcel's end.
    fn move_on(&mut self, taken: &Taken, out: &mut Vec<Decision>) -> bool {
        let user = self.users.get_mut(taken.user);
        let entry = user.entry_mut(taken.position);
        // What is known of one step says nothing of the next.
        (entry.cap, entry.convicted) = (0, false);
        (entry.failing_since_ms, entry.failure) = (None, None);
        if entry.next().is_some() {
            user.moved_on(taken.position);
            return false;
        }
        let end = match entry.refusal.take() {
            Some((step, answer)) => End::Failed { step, answer },
            None => End::Delivered,
        };
        self.settle(taken.user, taken.position, end, out);
        true
    }

    pub(super) fn settle(&mut self, id: UserId, position: u64, end: End, out: &mut Vec<Decision>) {
        let user = self.users.get_mut(id);
        user.blocker = user.blocker.filter(|blocker| *blocker != position);
        let entry = user.entry_mut(position);
        self.parcels -= 1;
        self.bytes -= entry.bytes;
        out.push(Decision::Settle {
            parcel: entry.id,
            end,
            steps_done: entry.done,
            requests: std::mem::take(&mut entry.requests),
        });
        user.end(position);
    }
}

/// Who is to blame for a failure that is no refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The endpoint, for all we know; it may have refused this like everything else.
    Endpoint { refused: Option<Blame> },
    /// Others were served since this batch was last tried: something in it makes it fail.
    SomeItem,
    /// The same, and it was alone.
    ThisItem,
}

/// RFC 6585, section 4: the sender is too fast, which says nothing of what it sent.
const TOO_MANY_REQUESTS: u16 = 429;
