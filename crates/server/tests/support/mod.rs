//! A whole Heapline with a local Heap, for tests: in the test's process, or the real binary.

pub(crate) mod child;
pub(crate) mod client;
pub(crate) mod heap;
pub(crate) mod house;
pub(crate) mod proxy;
pub(crate) mod workspace;

use std::time::{Duration, Instant};

/// Longest wait for anything. Generous, since the machine may be busy; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until there is something, and fails after a deadline.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
