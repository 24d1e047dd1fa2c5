//! Who watches an integration live: while anybody does, its pages report everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Web;

/// By id of the integration: how many watch it.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<BTreeMap<Arc<str>, usize>>);

impl Watched {
    /// True if somebody watches the integration.
    pub(super) fn is(&self, integration: &str) -> bool {
        self.lock().contains_key(integration)
    }

    /// True if nobody did before.
    fn add(&self, integration: &Arc<str>) -> bool {
        let mut watched = self.lock();
        let watchers = watched.entry(integration.clone()).or_default();
        *watchers += 1;
        *watchers == 1
    }

    /// True if nobody does now.
    fn remove(&self, integration: &Arc<str>) -> bool {
        let mut watched = self.lock();
        if let Some(watchers) = watched.get_mut(integration) {
            *watchers -= 1;
            if *watchers == 0 {
                watched.remove(integration);
                return true;
            }
        }
        false
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody watches an integration, as long as this is kept.
pub struct Watching {
    web: Arc<Web>,
    integration: Arc<str>,
}

impl Watching {
    pub(super) fn new(web: Arc<Web>, integration: &str) -> Watching {
        let integration = Arc::from(integration);
        if web.watched.add(&integration) {
            web.tell_pages_of(&integration);
        }
        Watching { web, integration }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.web.watched.remove(&self.integration) {
            self.web.tell_pages_of(&self.integration);
        }
    }
}
