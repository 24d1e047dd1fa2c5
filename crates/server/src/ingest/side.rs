//! What clients send beside events: their own metrics, and the page plugin's receipts.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::source::Source;

/// Takes the page plugin's reports: the source, and the body as JSON text. It must not block.
pub type Receipts = Box<dyn Fn(Arc<Source>, String) + Send + Sync>;

/// How many series `{"series":[…]}` has; 0 for anything else.
pub(super) fn series(body: &str) -> u64 {
    #[derive(Deserialize)]
    struct Body {
        series: Vec<IgnoredAny>,
    }
    let body: Result<Body, _> = serde_json::from_str(body);
    body.map_or(0, |body| u64::try_from(body.series.len()).unwrap_or(u64::MAX))
}
