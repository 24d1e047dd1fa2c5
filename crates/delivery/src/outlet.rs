//! One endpoint of the destination: who waits for it, and what holds them back.

use std::collections::VecDeque;

use heapline_action::plan::{Endpoint, EndpointId, LimitCounts, LimitScope};

use crate::budget::{Budget, WHOLE};
use crate::health::Health;
use crate::message::{Policy, Usage};
use crate::random::Keyed;
use crate::users::UserId;

#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) endpoint: Endpoint,
    pub(crate) envelope_bytes: usize,
    /// Users whose next steps never failed.
    pub(crate) clean: Queue,
    /// Users whose next steps were in a request that failed.
    pub(crate) suspect: Queue,
    /// Which line is asked first: scarce budgets are shared by both.
    pub(crate) suspects_turn: bool,
    pub(crate) health: Health,
    /// Budgets of the whole integration.
    pub(crate) shared: Vec<Budget>,
    /// Budgets of each identity.
    pub(crate) own: Vec<Budget>,
    /// Items that make a full request, as learned from the last ones that were full by bytes.
    pub(crate) full_at: usize,
}

/// Users in line.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) users: VecDeque<UserId>,
    /// About how many items they have.
    pub(crate) items: usize,
    /// When the first of them came, or when a request was last made from them.
    pub(crate) since_ms: u64,
    /// Requests from this line that have not ended.
    pub(crate) in_flight: usize,
}

/// Whether a request may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Not before this time.
    At(u64),
    /// Not before something else happens.
    Shut,
}

impl Outlet {
    pub(crate) fn new(endpoint: Endpoint, keyed: Keyed) -> Outlet {
        let budgets = |scope: LimitScope| {
            let limits = endpoint.limits.iter().filter(|limit| limit.scope == scope);
            limits.map(|limit| Budget::new(*limit, keyed)).collect()
        };
        Outlet {
            envelope_bytes: endpoint.body([]).len(),
            clean: Queue::default(),
            suspect: Queue::default(),
            suspects_turn: true,
            health: Health::default(),
            shared: budgets(LimitScope::Integration),
            own: budgets(LimitScope::Identity),
            full_at: endpoint.max_items.max(1),
            endpoint,
        }
    }

    pub(crate) fn queue(&mut self, suspect: bool) -> &mut Queue {
        if suspect { &mut self.suspect } else { &mut self.clean }
    }

    pub(crate) fn usage(
        &self,
        endpoint: EndpointId,
        now_ms: u64,
    ) -> impl Iterator<Item = Usage> + '_ {
        self.shared.iter().chain(&self.own).map(move |budget| {
            let (limit, used, budgets, exhausted) = budget.usage(now_ms);
            Usage { endpoint, limit, used, budgets, exhausted }
        })
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.clean.in_flight + self.suspect.in_flight
    }

    /// May a request be made from the clean or the suspect line?
    pub(crate) fn gate(&self, now_ms: u64, suspect: bool, policy: &Policy) -> Gate {
        let line = if suspect { &self.suspect } else { &self.clean };
        if line.users.is_empty() || self.in_flight() >= policy.max_in_flight.max(1) {
            return Gate::Shut;
        }
        let mut at_ms = now_ms;
        if let Some(down) = self.health.down() {
            // One probe at a time, and rather with items that never failed.
            if self.in_flight() > 0 || (suspect && !self.clean.users.is_empty()) {
                return Gate::Shut;
            }
            at_ms = down.until_ms;
        } else if suspect {
            // Suspects may hang: they never take all the room.
            if self.suspect.in_flight >= policy.max_in_flight.div_ceil(2) {
                return Gate::Shut;
            }
        } else if line.items < self.full_at {
            if line.in_flight > 0 {
                return Gate::Shut;
            }
            at_ms = line.since_ms.saturating_add(policy.linger_ms);
        }
        for budget in &self.shared {
            let need = match budget.counts() {
                LimitCounts::Items => (self.clean.items + self.suspect.items).min(self.full_at),
                LimitCounts::Requests => 1,
            };
            if !budget.is_open(WHOLE, need) {
                match budget.next_change_ms() {
                    Some(ms) => at_ms = at_ms.max(ms),
                    None => return Gate::Shut,
                }
            }
        }
        if at_ms <= now_ms { Gate::Open } else { Gate::At(at_ms) }
    }
}
