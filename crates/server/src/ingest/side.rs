//! What clients send beside events: their own metrics, and the page plugin's receipts.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::source::Source;

/// Reports of a page plugin, as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Whose write key they bear.
    pub source: Arc<Source>,
    /// The body: JSON text of an object.
    pub body: String,
    /// Where they came from.
    pub client: IpAddr,
    /// The header `User-Agent`; empty without.
    pub agent: String,
}

/// Takes the page plugin's reports. It must not block.
pub type Receipts = Box<dyn Fn(Reported) + Send + Sync>;

/// How many series `{"series":[…]}` has; 0 for anything else.
pub(super) fn series(body: &str) -> u64 {
    #[derive(Deserialize)]
    struct Body {
        series: Vec<IgnoredAny>,
    }
    let body: Result<Body, _> = serde_json::from_str(body);
    body.map_or(0, |body| u64::try_from(body.series.len()).unwrap_or(u64::MAX))
}
