//! Which parcels of a lane have been tried for too long.

use std::cmp::Reverse;

use super::{KNOWN, Lane};
use crate::message::{Decision, End};
use crate::users::{Place, UserId};

impl Lane {
    /// Has the user looked at when the retry window of something that first failed at `since_ms` is
    /// over.
    fn set_deadline(&mut self, id: UserId, since_ms: u64) {
        let user = self.users.get_mut(id);
        let at_ms = since_ms.saturating_add(self.policy.retry_window_ms);
        if user.deadline_ms.is_none_or(|before_ms| at_ms < before_ms) {
            user.deadline_ms = Some(at_ms);
            self.deadlines.push(Reverse((at_ms, id)));
        }
    }

    pub(super) fn expire(&mut self, out: &mut Vec<Decision>) {
        while self.deadlines.peek().is_some_and(|Reverse((at_ms, _))| *at_ms <= self.now_ms) {
            let Some(Reverse((at_ms, id))) = self.deadlines.pop() else { break };
            let Some(user) = self.users.find(id) else { continue };
            if user.deadline_ms != Some(at_ms) {
                continue;
            }
            user.deadline_ms = None;
            if user.place != Place::InFlight {
                self.expire_blocker(id, out);
            }
        }
        for index in 0..self.outlets.len() {
            self.expire_behind(index, out);
        }
    }

    /// Ends the parcel that blocks a user if it failed for too long. What was tried behind it may
    /// have failed only in its company: it gets at least one more try.
    pub(super) fn expire_blocker(&mut self, id: UserId, out: &mut Vec<Decision>) {
        let user = self.users.get(id);
        let Some(position) = user.blocker else { return };
        let entry = user.entry(position);
        let Some((since_ms, answer)) = entry.failing_since_ms.zip(entry.failure.clone()) else {
            return;
        };
        if since_ms.saturating_add(self.policy.retry_window_ms) <= self.now_ms {
            self.settle(id, position, End::Expired { answer }, out);
        } else {
            self.set_deadline(id, since_ms);
        }
    }

    /// Ends parcels that were never tried because their endpoint has been down for too long.
    fn expire_behind(&mut self, index: usize, out: &mut Vec<Decision>) {
        while self.due_behind_ms(index).is_some_and(|due_ms| due_ms <= self.now_ms) {
            let outlet = self.outlets.get_mut(index).expect(KNOWN);
            let Some(answer) = outlet.health.down().map(|down| down.answer.clone()) else { return };
            let queue = outlet.queue(false);
            let Some(id) = queue.users.pop_front() else { return };
            if let Place::InLine { items, .. } = self.users.get(id).place {
                queue.items = queue.items.saturating_sub(items);
            }
            // A user who came before the outage may have events first that go elsewhere.
            let first = self.users.get(id).live().next();
            let first = first.filter(|(_, entry)| entry.next_outlet() == Some(index));
            if let Some(position) = first.map(|(position, _)| position) {
                self.settle(id, position, End::Expired { answer }, out);
            }
            let in_line_ms = self.users.get(id).in_line_ms;
            self.line_up(id, true);
            // What stood behind it has waited as long.
            if let Some(user) = self.users.find(id) {
                user.in_line_ms = in_line_ms;
            }
        }
    }

    /// When the first parcel in the clean line of an outlet that is down has waited too long for it
    /// to come back.
    pub(super) fn due_behind_ms(&self, index: usize) -> Option<u64> {
        let outlet = self.outlets.get(index).expect(KNOWN);
        let down = outlet.health.down()?;
        let user = self.users.get(*outlet.clean.users.front()?);
        let (_, entry) = user.live().next()?;
        let since_ms = user.in_line_ms.max(entry.offered_ms).max(down.since_ms);
        Some(since_ms.saturating_add(self.policy.retry_window_ms))
    }
}
