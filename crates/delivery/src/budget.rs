//! How much may still be sent under one [`Limit`]: a sliding window kept by the sender.
//!
//! What is in flight counts. Once it is answered it counts for one window more, since the
//! destination may have seen it at any time up to the answer.

use std::collections::{HashMap, VecDeque};

use heapline_action::plan::{Limit, LimitCounts};

use crate::random::Keyed;
use crate::users::UserId;

/// The key of a budget that belongs to the whole integration.
pub(crate) const WHOLE: u64 = 0;

/// A window is cut into so many steps; entries that end in the same step are kept as one.
const STEPS: u64 = 256;

/// A sender waits until this share of the limit is free again, so that an exhausted budget is used
/// in a few large requests rather than in many small ones.
const SHARES: u32 = 16;

#[derive(Debug)]
pub(crate) struct Budget {
    limit: Limit,
    used: HashMap<u64, u32, Keyed>,
    answered: VecDeque<Spent>,
    waiting: HashMap<u64, Vec<UserId>, Keyed>,
}

#[derive(Debug)]
struct Spent {
    until_ms: u64,
    key: u64,
    amount: u32,
}

impl Budget {
    pub(crate) fn new(limit: Limit, keyed: Keyed) -> Budget {
        Budget {
            limit,
            used: HashMap::with_hasher(keyed),
            answered: VecDeque::new(),
            waiting: HashMap::with_hasher(keyed),
        }
    }

    pub(crate) fn counts(&self) -> LimitCounts {
        self.limit.counts
    }

    /// What a request with so many items of one key counts.
    pub(crate) fn amount(&self, items: u32) -> u32 {
        match self.limit.counts {
            LimitCounts::Items => items,
            LimitCounts::Requests => 1,
        }
    }

    /// How much `key` may send now.
    pub(crate) fn room(&self, key: u64) -> u32 {
        self.count().saturating_sub(self.used.get(&key).copied().unwrap_or(0))
    }

    /// True if `key` has room for `need`, or so much room that it is worth a request.
    pub(crate) fn is_open(&self, key: u64, need: usize) -> bool {
        let need = u32::try_from(need).unwrap_or(u32::MAX);
        let worth = match self.limit.counts {
            LimitCounts::Items => (self.count() / SHARES).max(1),
            LimitCounts::Requests => 1,
        };
        self.room(key) >= need.min(worth).max(1)
    }

    /// The limit, the most that any key has used at `now_ms`, keys that have used something, and
    /// those without room.
    pub(crate) fn usage(&self, now_ms: u64) -> (Limit, u32, usize, usize) {
        let mut gone: HashMap<u64, u32, Keyed> = HashMap::with_hasher(*self.used.hasher());
        for spent in self.answered.iter().take_while(|spent| spent.until_ms <= now_ms) {
            *gone.entry(spent.key).or_insert(0) += spent.amount;
        }
        let left = |(key, used): (&u64, &u32)| used - gone.get(key).copied().unwrap_or(0);
        let used = self.used.iter().map(left).filter(|used| *used > 0);
        used.fold((self.limit, 0, 0, 0), |(limit, most, keys, full), used| {
            (limit, used.max(most), keys + 1, full + usize::from(used >= self.count()))
        })
    }

    /// `amount` is being sent.
    pub(crate) fn charge(&mut self, key: u64, amount: u32) {
        *self.used.entry(key).or_insert(0) += amount;
    }

    /// What was charged has been answered.
    pub(crate) fn answer(&mut self, now_ms: u64, key: u64, amount: u32) {
        let step = (self.limit.window_ms / STEPS).max(1);
        let until_ms = (now_ms.saturating_add(self.limit.window_ms) / step + 1) * step;
        match self.answered.back_mut() {
            Some(last) if last.until_ms == until_ms && last.key == key => last.amount += amount,
            _ => self.answered.push_back(Spent { until_ms, key, amount }),
        }
    }

    /// Forgets what has left the window, and names the users who waited for that.
    pub(crate) fn advance(&mut self, now_ms: u64, woken: &mut Vec<UserId>) {
        while self.answered.front().is_some_and(|spent| spent.until_ms <= now_ms) {
            let Some(spent) = self.answered.pop_front() else { break };
            if let Some(used) = self.used.get_mut(&spent.key) {
                *used -= spent.amount;
                if *used == 0 {
                    self.used.remove(&spent.key);
                }
            }
            if let Some(users) = self.waiting.remove(&spent.key) {
                woken.extend(users);
            }
        }
        if self.used.is_empty() && self.used.capacity() > 1024 {
            self.used.shrink_to_fit();
            self.answered.shrink_to_fit();
        }
    }

    /// Remembers that `user` waits for `key` to get room. Only while `key` has something in use.
    pub(crate) fn wait(&mut self, key: u64, user: UserId) {
        self.waiting.entry(key).or_default().push(user);
    }

    /// When room comes back by itself.
    pub(crate) fn next_change_ms(&self) -> Option<u64> {
        self.answered.front().map(|spent| spent.until_ms)
    }

    /// The same, if anybody waits for it.
    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        if self.waiting.is_empty() { None } else { self.next_change_ms() }
    }

    fn count(&self) -> u32 {
        self.limit.count.max(1)
    }
}
