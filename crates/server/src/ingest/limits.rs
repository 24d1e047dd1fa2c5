//! How much the door takes: all settings, with their defaults.

use std::time::Duration;

/// Bounds of what is taken. Sizes are bytes of JSON text, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A larger item is refused.
    pub item: usize,
    /// A larger item is taken with a warning.
    pub item_warning: usize,
    /// A larger batch is refused whole.
    pub batch: usize,
    /// A larger batch is taken with a warning.
    pub batch_warning: usize,
    /// A batch of more items is refused whole.
    pub items: usize,
    /// An item nested deeper is refused; the item itself is level 1.
    pub nesting: usize,
    /// The longest message id, in characters.
    pub message_id: usize,
    /// Nothing above this is read or unpacked at all. Between `batch` and this, a body is still
    /// read, so that its refusal can tell the sizes of its items.
    pub body: usize,
    /// Bytes of bodies and of the events made from them in memory at one time, over all requests;
    /// what goes beyond is answered 503.
    pub bodies: usize,
    /// Requests in progress at one time; more are answered 503.
    pub requests: usize,
    /// How long a client may take to send its body.
    pub read_timeout: Duration,
    /// What `Retry-After` says with a 503.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            item: 64 * 1024,
            item_warning: 32 * 1024,
            batch: 1024 * 1024,
            batch_warning: 500_000,
            items: 2_500,
            nesting: 64,
            message_id: 100,
            body: 8 * 1024 * 1024,
            bodies: 256 * 1024 * 1024,
            requests: 1_024,
            read_timeout: Duration::from_secs(30),
            retry_after: Duration::from_secs(5),
        }
    }
}
