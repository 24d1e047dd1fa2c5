//! What settles and what pages report, as it happens, to whoever listens.

use heapline_store::{PageReport, Settlement};
use tokio::sync::broadcast;

/// Things that a listener may be behind before he misses some.
const BEHIND: usize = 4096;

/// Tells listeners; costs nothing while there are none.
pub struct Tail {
    settlements: broadcast::Sender<Settlement>,
    reports: broadcast::Sender<PageReport>,
}

impl Default for Tail {
    fn default() -> Tail {
        Tail {
            settlements: broadcast::Sender::new(BEHIND),
            reports: broadcast::Sender::new(BEHIND),
        }
    }
}

impl Tail {
    /// Tells `settlement`.
    pub fn settled(&self, settlement: &Settlement) {
        if self.settlements.receiver_count() > 0 {
            // The last listener may just have gone.
            self.settlements.send(settlement.clone()).ok();
        }
    }

    /// Tells what a page reported.
    pub fn reported(&self, reports: &[PageReport]) {
        if self.reports.receiver_count() > 0 {
            for report in reports {
                self.reports.send(report.clone()).ok();
            }
        }
    }

    /// Listens to settlements from now on.
    pub fn listen(&self) -> broadcast::Receiver<Settlement> {
        self.settlements.subscribe()
    }

    /// Listens to pages from now on.
    pub fn listen_to_pages(&self) -> broadcast::Receiver<PageReport> {
        self.reports.subscribe()
    }
}
