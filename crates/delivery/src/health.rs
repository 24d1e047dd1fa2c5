//! Whether an endpoint is alive, and when it may be tried again.

use std::sync::Arc;

use heapline_action::plan::Answer;

use crate::message::Policy;
use crate::random::Random;

#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Answers so far that show life.
    pub(crate) successes: u64,
    down: Option<Down>,
}

#[derive(Debug)]
pub(crate) struct Down {
    pub(crate) since_ms: u64,
    pub(crate) until_ms: u64,
    failures: u32,
    /// Most steps in the next probe. Each is half as large as the one before, so that no single item
    /// can make a living endpoint look dead; after the smallest they start anew.
    pub(crate) max_steps: usize,
    pub(crate) answer: Arc<Answer>,
    /// Requests from this one on are probes; those before were sent in good faith.
    first_probe: u64,
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
}

impl Health {
    pub(crate) fn down(&self) -> Option<&Down> {
        self.down.as_ref()
    }

    /// An answer that shows life: one success ends an outage.
    pub(crate) fn lives(&mut self) {
        self.successes += 1;
        self.down = None;
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
        });
        if probe.request >= down.first_probe {
            let wait = backoff(policy, down.failures, random);
            down.failures = down.failures.saturating_add(1);
            down.until_ms = now_ms.saturating_add(wait);
            down.first_probe = probe.next;
            down.max_steps = if probe.steps > 1 { probe.steps / 2 } else { usize::MAX };
            down.answer = answer.clone();
        }
        down.until_ms
    }
}

/// Full jitter: uniform in (0, min(max, first · 2^`failures`)], in milliseconds.
pub(crate) fn backoff(policy: &Policy, failures: u32, random: &mut Random) -> u64 {
    let factor = 1_u64.checked_shl(failures).unwrap_or(u64::MAX);
    random.up_to(policy.first_backoff_ms.saturating_mul(factor).min(policy.max_backoff_ms))
}
