//! The stretch of the journal between the first unsettled event and the last one read.
//!
//! Everything below [`Window::base`] is settled or held: that is the cursor which survives a crash.

use std::collections::VecDeque;

use heapline_store::{Millis, Seq, Settlement};

/// An event of which some delivery is still open.
#[derive(Debug)]
pub(super) struct Open {
    /// What is known so far.
    pub(super) settlement: Settlement,
    /// Deliveries that are still on their way.
    pub(super) deliveries: u32,
    /// Held events that this event has set free, and that are not settled yet.
    pub(super) freed: u32,
    /// Deliveries by index that reached their outcome, and were counted, before this one began.
    pub(super) counted: Vec<bool>,
    /// For the age of the oldest.
    pub(super) received_at: Millis,
}

#[derive(Debug)]
enum Slot {
    Done,
    Open(Box<Open>),
    /// Not planned yet, since its user has enough on the way already.
    Parked(Millis),
}

#[derive(Debug)]
pub(super) struct Window {
    base: Seq,
    slots: VecDeque<Slot>,
    unsettled: usize,
}

impl Window {
    pub(super) fn starting_at(base: Seq) -> Window {
        Window { base, slots: VecDeque::new(), unsettled: 0 }
    }

    /// Everything below is settled or held.
    pub(super) fn base(&self) -> Seq {
        self.base
    }

    /// The place after the last event that was read.
    pub(super) fn end(&self) -> Seq {
        self.base + self.slots.len() as u64
    }

    /// Events that are read and not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// When the oldest unsettled event was received.
    pub(super) fn oldest(&self) -> Option<Millis> {
        match self.slots.front()? {
            Slot::Open(open) => Some(open.received_at),
            Slot::Parked(received_at) => Some(*received_at),
            Slot::Done => None,
        }
    }

    /// Retention has dropped events: the journal goes on at `seq`.
    pub(super) fn skip_to(&mut self, seq: Seq) {
        while self.end() < seq {
            if self.slots.is_empty() {
                self.base = seq;
            } else {
                self.slots.push_back(Slot::Done);
            }
        }
    }

    /// The next event is settled already.
    pub(super) fn push_done(&mut self) {
        if self.slots.is_empty() {
            self.base += 1;
        } else {
            self.slots.push_back(Slot::Done);
        }
    }

    /// The next event is on its way.
    pub(super) fn push_open(&mut self, open: Open) {
        self.unsettled += 1;
        self.slots.push_back(Slot::Open(Box::new(open)));
    }

    /// The next event waits for its user's turn.
    pub(super) fn push_parked(&mut self, received_at: Millis) {
        self.unsettled += 1;
        self.slots.push_back(Slot::Parked(received_at));
    }

    /// A parked event is planned: it is on its way, or settled.
    pub(super) fn unpark(&mut self, seq: Seq, open: Option<Open>) {
        let Some(slot) = self.slot(seq) else { return };
        match open {
            Some(open) => *slot = Slot::Open(Box::new(open)),
            None => {
                *slot = Slot::Done;
                self.unsettled -= 1;
                self.advance();
            }
        }
    }

    /// True if the event was read, and nothing of it is open.
    pub(super) fn is_done(&mut self, seq: Seq) -> bool {
        seq < self.base || matches!(self.slot(seq), Some(Slot::Done))
    }

    /// An open event, if `seq` is one.
    pub(super) fn open(&mut self, seq: Seq) -> Option<&mut Open> {
        match self.slot(seq)? {
            Slot::Open(open) => Some(open),
            Slot::Done | Slot::Parked(_) => None,
        }
    }

    /// Takes an event out that has nothing open any more, and lets the base follow.
    pub(super) fn finish(&mut self, seq: Seq) -> Option<Open> {
        let slot = self.slot(seq)?;
        if !matches!(slot, Slot::Open(_)) {
            return None;
        }
        let Slot::Open(open) = std::mem::replace(slot, Slot::Done) else { return None };
        self.unsettled -= 1;
        self.advance();
        Some(*open)
    }

    fn slot(&mut self, seq: Seq) -> Option<&mut Slot> {
        let at = usize::try_from(seq.checked_sub(self.base)?).ok()?;
        self.slots.get_mut(at)
    }

    fn advance(&mut self) {
        while let Some(Slot::Done) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(seq: Seq) -> Open {
        let settlement =
            Settlement { seq, integration: "heap".into(), revision: 1, deliveries: vec![] };
        let received_at = 1000 + seq as i64;
        Open { settlement, deliveries: 1, freed: 0, counted: Vec::new(), received_at }
    }

    #[test]
    fn the_base_follows_the_first_unsettled_event() {
        let mut window = Window::starting_at(5);
        window.push_done();
        window.push_open(open(6));
        window.push_done();
        window.push_open(open(8));
        assert_eq!((window.base(), window.end(), window.unsettled()), (6, 9, 2));
        assert_eq!(window.oldest(), Some(1006));
        assert!(window.finish(8).is_some());
        assert_eq!((window.base(), window.unsettled()), (6, 1));
        assert!(window.finish(6).is_some());
        assert_eq!((window.base(), window.unsettled(), window.oldest()), (9, 0, None));
    }

    #[test]
    fn an_event_is_finished_once() {
        let mut window = Window::starting_at(1);
        window.push_open(open(1));
        assert!(window.finish(1).is_some());
        assert!(window.finish(1).is_none() && window.open(1).is_none());
    }

    #[test]
    fn a_parked_event_holds_the_base_until_it_is_planned_and_settled() {
        let mut window = Window::starting_at(1);
        window.push_parked(7);
        window.push_done();
        assert_eq!((window.base(), window.oldest()), (1, Some(7)));
        window.unpark(1, Some(open(1)));
        assert_eq!(window.base(), 1);
        assert!(window.finish(1).is_some());
        assert_eq!(window.base(), 3);
    }

    #[test]
    fn what_retention_dropped_is_passed_over() {
        let mut window = Window::starting_at(1);
        window.skip_to(4);
        assert_eq!((window.base(), window.end()), (4, 4));
        window.push_open(open(4));
        window.skip_to(7);
        assert_eq!((window.base(), window.end()), (4, 7));
        window.finish(4);
        assert_eq!(window.base(), 7);
    }
}
