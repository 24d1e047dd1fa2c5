//! Held events of one integration: kept until their anonymous id is linked to a user id.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use heapline_store::{Error, HeldEvent, Link, Millis, Seq, Store, StoredEvent};

use super::window::Open;

/// Held events whose time is up that are taken up at a time.
const AT_A_TIME: usize = 1000;

/// Links that are remembered beside the store's.
const REMEMBERED: usize = 10_000;

#[derive(Default)]
pub(super) struct Holds {
    integration: Arc<str>,
    /// 0: nothing is ever held.
    window_ms: u64,
    /// Anonymous ids for which something is held.
    waiting: HashSet<Box<str>>,
    /// Links seen lately: not all of them can be read from the store yet.
    links: HashMap<Box<str>, Box<str>>,
    /// Held events that were set free, each with the event that did it.
    freed: HashMap<Seq, (Open, Seq)>,
}

impl Holds {
    pub(super) fn open(
        store: &dyn Store,
        integration: &Arc<str>,
        window_ms: u64,
    ) -> Result<Holds, Error> {
        let waiting = match window_ms {
            0 => Vec::new(),
            _ => store.held_anonymous_ids(integration)?,
        };
        let waiting = waiting.into_iter().map(String::into_boxed_str).collect();
        Ok(Holds { integration: integration.clone(), window_ms, waiting, ..Holds::default() })
    }

    /// The user id that an event without one is known to belong to.
    pub(super) fn linked(
        &self,
        store: &dyn Store,
        event: &StoredEvent,
    ) -> Result<Option<Arc<str>>, Error> {
        let (None, Some(anonymous_id)) = (&event.event.user_id, &event.event.anonymous_id) else {
            return Ok(None);
        };
        if self.window_ms == 0 {
            return Ok(None);
        }
        if let Some(user) = self.links.get(anonymous_id) {
            return Ok(Some(Arc::from(&**user)));
        }
        let user = store.linked(&self.integration, anonymous_id)?;
        Ok(user.map(Arc::from))
    }

    /// True if the store holds `event`.
    pub(super) fn keeps(&self, store: &dyn Store, event: &StoredEvent) -> Result<bool, Error> {
        let (None, Some(anonymous_id)) = (&event.event.user_id, &event.event.anonymous_id) else {
            return Ok(false);
        };
        if !self.waiting.contains(anonymous_id) {
            return Ok(false);
        }
        let held = store.held(&self.integration, anonymous_id)?;
        Ok(held.iter().any(|held| held.event.seq == event.seq))
    }

    /// True if `event` links an anonymous id for which something is held.
    pub(super) fn waits_for(&self, event: &StoredEvent) -> bool {
        let event = &event.event;
        let links = event.user_id.is_some() && self.window_ms != 0;
        links && event.anonymous_id.as_ref().is_some_and(|id| self.waiting.contains(id))
    }

    /// Holds `event` until `anonymous_id` is linked.
    pub(super) fn hold(
        &mut self,
        event: &StoredEvent,
        anonymous_id: &str,
        at: Millis,
    ) -> HeldEvent {
        self.waiting.insert(anonymous_id.into());
        let mut event = event.clone();
        event.event.anonymous_id = Some(anonymous_id.into());
        let window = Millis::try_from(self.window_ms).unwrap_or(Millis::MAX);
        HeldEvent { integration: self.integration.clone(), until: at.saturating_add(window), event }
    }

    /// The link that `event` makes, if it makes one that isn't known.
    pub(super) fn link(&mut self, event: &StoredEvent, at: Millis) -> Option<Link> {
        let event = &event.event;
        let (Some(user), Some(anonymous_id)) = (&event.user_id, &event.anonymous_id) else {
            return None;
        };
        if self.window_ms == 0 {
            return None;
        }
        if self.links.get(anonymous_id).is_some_and(|known| known == user) {
            return None;
        }
        self.links.insert(anonymous_id.clone(), user.clone());
        Some(Link {
            integration: self.integration.clone(),
            anonymous_id: anonymous_id.clone(),
            user_id: user.clone(),
            at,
        })
    }

    /// The anonymous id that `event` links, if anything is held for it: from now on nothing is.
    pub(super) fn frees<'e>(&mut self, event: &'e StoredEvent) -> Option<&'e str> {
        let anonymous_id = event.event.anonymous_id.as_deref()?;
        let frees = self.waits_for(event) && self.waiting.remove(anonymous_id);
        frees.then_some(anonymous_id)
    }

    /// True if more links needn't be remembered.
    pub(super) fn remembers_enough(&self) -> bool {
        self.links.len() >= REMEMBERED
    }

    /// Forgets all links; the store has them.
    pub(super) fn forget_links(&mut self) {
        self.links.clear();
    }

    /// A held event is on its way, since the event at `by` has set it free.
    pub(super) fn freed(&mut self, seq: Seq, open: Open, by: Seq) {
        self.freed.insert(seq, (open, by));
    }

    /// A freed event that is on its way.
    pub(super) fn open_mut(&mut self, seq: Seq) -> Option<&mut Open> {
        self.freed.get_mut(&seq).map(|(open, _)| open)
    }

    /// Takes a freed event out that has nothing open any more, with the event that set it free.
    pub(super) fn finish(&mut self, seq: Seq) -> Option<(Open, Seq)> {
        self.freed.remove(&seq)
    }

    /// Held events whose time is up. Not those that are linked: they wait for the turn of the event
    /// that links them.
    pub(super) fn due(&self, store: &dyn Store, at: Millis) -> Result<Vec<HeldEvent>, Error> {
        if self.window_ms == 0 {
            return Ok(Vec::new());
        }
        let mut due = store.held_until(&self.integration, at, AT_A_TIME)?;
        let linked = |held: &HeldEvent| {
            held.event.event.anonymous_id.as_ref().is_some_and(|id| self.links.contains_key(id))
        };
        due.retain(|held| !self.freed.contains_key(&held.event.seq) && !linked(held));
        Ok(due)
    }
}
