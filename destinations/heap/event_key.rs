//! Idempotency keys: the same event of the same action always has the same one.

use std::borrow::Cow;
use std::fmt::Write;

use heapline_action::plan::PlanContext;
use sha2::{Digest, Sha256};

use crate::text::units;

/// Fewest characters of a key (a comment in Segment's code; Heap documents none).
const MIN_UNITS: usize = 8;

/// The key of one event at one action. The first trackEvent action that sends the event uses the
/// message id; the others add their own id, since Heap takes a second event with a known key for a
/// repeat. A short one is derived from the source and itself.
pub(super) fn of<'p>(message_id: &'p str, context: PlanContext<'_>) -> Cow<'p, str> {
    let key = match context.ordinal {
        0 => Cow::Borrowed(message_id),
        _ => Cow::Owned(format!("{message_id}:{}", context.action)),
    };
    if key.len() >= MIN_UNITS && units(&key) >= MIN_UNITS {
        return key;
    }
    let hash = Sha256::new().chain_update(context.source).chain_update("\n").chain_update(&*key);
    let mut hex = String::with_capacity(32);
    for byte in hash.finalize().iter().take(16) {
        write!(hex, "{byte:02x}").expect("writing to a text cannot fail");
    }
    Cow::Owned(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(message_id: &str, ordinal: usize) -> String {
        let context = PlanContext { source: "site", action: "a2", ordinal, linked_identity: None };
        of(message_id, context).into_owned()
    }

    #[test]
    fn the_first_action_uses_the_message_id_and_others_add_their_own() {
        assert_eq!(key("12345678", 0), "12345678");
        assert_eq!(key("12345678", 1), "12345678:a2");
        assert_eq!(key("12345", 1), "12345:a2");
    }

    #[test]
    fn a_short_key_is_derived_from_source_and_key() {
        // printf 'site\n1234567' | sha256sum
        assert_eq!(key("1234567", 0), "68957d92cf6f5e0bdb9d9d8fa9dc4241");
        // printf 'site\n1:a2' | sha256sum
        assert_eq!(key("1", 1), "6c0d595d4421681fccd35dca610aa07a");
    }
}
