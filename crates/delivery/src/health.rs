//! Whether an endpoint is alive, whether it is to be believed, and when it may be tried again.

use std::sync::Arc;

use heapline_action::plan::{Answer, Blame};

use crate::message::{Policy, Standing, Trouble};
use crate::random::Random;

/// So much doubt, and an endpoint is held: it refuses everything, whatever it is sent.
const HELD_AT: u32 = 100;

/// Doubt from a refusal that finds fault with the account or the address: 20 in a row hold it.
/// Bisecting 1,000 items for one that is to blame takes at most 11 refusals in a row.
const BY_ACCOUNT: u32 = 5;

/// Doubt from a refusal that doesn't say: 100 in a row hold it.
const BY_UNSAID: u32 = 1;

/// A hold that ends with so many refusals in a row, or fewer, since it began was a false alarm: the
/// items may have been to blame after all.
const FALSE_ALARM: u32 = 3;

/// Each false alarm doubles the doubt that the next hold takes, so many times.
const DOUBLINGS: u32 = 6;

#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Answers so far that show life.
    pub(crate) successes: u64,
    down: Option<Down>,
    /// From refusals since something was last taken.
    doubt: u32,
    /// False alarms in a row.
    false_alarms: u32,
}

#[derive(Debug)]
pub(crate) struct Down {
    pub(crate) since_ms: u64,
    pub(crate) until_ms: u64,
    failures: u32,
    /// Most steps in the next probe. In an outage each is half as large as the one before, so that
    /// no single item can make a living endpoint look dead. After the smallest they start anew or
    /// stay small by chance, so that no batch is always the one that is sent whole.
    pub(crate) max_steps: usize,
    pub(crate) answer: Arc<Answer>,
    /// Requests from this one on are probes; those before were sent in good faith.
    first_probe: u64,
    /// It refuses everything, with this blame. Each probe is a single step, each of another user,
    /// since any of them may be to blame.
    refuses: Option<Blame>,
}

/// A request that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// Its number.
    pub(crate) request: u64,
    /// How many steps it carried.
    pub(crate) steps: usize,
    /// Number of the next request.
    pub(crate) next: u64,
    /// It was refused like all others.
    pub(crate) refused: Option<Blame>,
}

impl Health {
    pub(crate) fn down(&self) -> Option<&Down> {
        self.down.as_ref()
    }

    pub(crate) fn standing(&self) -> Standing {
        let Some(down) = &self.down else { return Standing::Open };
        let Down { since_ms, until_ms, .. } = *down;
        let trouble = Trouble { since_ms, until_ms, answer: down.answer.clone() };
        if down.is_held() { Standing::Held(trouble) } else { Standing::Down(trouble) }
    }

    /// It has taken something: that ends an outage, a hold, and all doubt.
    pub(crate) fn delivers(&mut self) {
        if let Some(held) = self.down.as_ref().filter(|down| down.is_held()) {
            match held.failures {
                // An earlier lane held it, and what was wrong has been mended since.
                0 => {}
                1..=FALSE_ALARM => self.false_alarms += 1,
                _ => self.false_alarms = 0,
            }
        }
        self.doubt = 0;
        self.lives();
    }

    /// An answer that shows life: one ends an outage.
    pub(crate) fn lives(&mut self) {
        self.successes += 1;
        self.down = None;
    }

    /// It has refused something. True if it is held for that: then the refusal says nothing of the
    /// items.
    pub(crate) fn refuses(&mut self, blame: Blame) -> bool {
        let (doubt, enough) = match blame {
            Blame::Items => {
                self.doubt = 0;
                return false;
            }
            Blame::Account => (BY_ACCOUNT, true),
            // Something has changed if it no longer says that it is the account.
            Blame::Unsaid => (BY_UNSAID, self.held_for() != Some(Blame::Account)),
        };
        if self.held_for().is_some() {
            if !enough {
                self.doubt = 0;
            }
            return enough;
        }
        self.doubt = self.doubt.saturating_add(doubt);
        self.doubt >= HELD_AT << self.false_alarms.min(DOUBLINGS)
    }

    /// An earlier lane had it held since then: one probe tells whether it still is to be.
    pub(crate) fn hold(&mut self, since_ms: u64, until_ms: u64, answer: Arc<Answer>) {
        self.down = Some(Down {
            since_ms,
            until_ms,
            failures: 0,
            max_steps: 1,
            answer,
            first_probe: 0,
            refuses: Some(Blame::Unsaid),
        });
    }

    /// A failure that says something about the endpoint and not about an item. Gives the time until
    /// which the endpoint is left alone.
    pub(crate) fn fails(
        &mut self,
        now_ms: u64,
        probe: Probe,
        answer: &Arc<Answer>,
        policy: &Policy,
        random: &mut Random,
    ) -> u64 {
        let down = self.down.get_or_insert_with(|| Down {
            since_ms: now_ms,
            until_ms: 0,
            failures: 0,
            max_steps: usize::MAX,
            answer: answer.clone(),
            first_probe: probe.request,
            refuses: None,
        });
        let was_held = down.is_held();
        down.refuses = probe.refused.or(down.refuses);
        if probe.request >= down.first_probe || was_held != down.is_held() {
            let wait = backoff(policy, down.failures, random);
            down.failures = down.failures.saturating_add(1);
            down.until_ms = now_ms.saturating_add(wait);
            down.first_probe = probe.next;
            down.max_steps = match down.refuses {
                Some(_) => 1,
                None if probe.steps > 1 => probe.steps / 2,
                None if random.up_to(2) == 1 => 1,
                None => usize::MAX,
            };
            down.answer = answer.clone();
        }
        down.until_ms
    }

    fn held_for(&self) -> Option<Blame> {
        self.down.as_ref().and_then(|down| down.refuses)
    }
}

impl Down {
    pub(crate) fn is_held(&self) -> bool {
        self.refuses.is_some()
    }
}

/// Full jitter: uniform in (0, min(max, first · 2^`failures`)], in milliseconds.
pub(crate) fn backoff(policy: &Policy, failures: u32, random: &mut Random) -> u64 {
    let factor = 1_u64.checked_shl(failures).unwrap_or(u64::MAX);
    random.up_to(policy.first_backoff_ms.saturating_mul(factor).min(policy.max_backoff_ms))
}
