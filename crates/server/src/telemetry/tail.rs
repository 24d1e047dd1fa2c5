//! What settles, as it settles, to whoever listens.

use heapline_store::Settlement;
use tokio::sync::broadcast;

/// Settlements that a listener may be behind before he misses some.
const BEHIND: usize = 4096;

/// Tells settlements to listeners; costs nothing while there are none.
pub struct Tail(broadcast::Sender<Settlement>);

impl Default for Tail {
    fn default() -> Tail {
        Tail(broadcast::Sender::new(BEHIND))
    }
}

impl Tail {
    /// Tells `settlement`.
    pub fn settled(&self, settlement: &Settlement) {
        if self.0.receiver_count() > 0 {
            // The last listener may just have gone.
            self.0.send(settlement.clone()).ok();
        }
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Settlement> {
        self.0.subscribe()
    }
}
