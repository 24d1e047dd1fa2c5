//! Collects notices: many faults of one kind become one sentence that names a few of them.

use heapline_action::plan::Notice;

use crate::text;

/// Names told in one sentence; the rest is counted.
const NAMED: usize = 5;

/// Most UTF-16 code units of a name that are told.
const NAME_UNITS: usize = 60;

/// Notices on the way.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    kinds: Vec<Kind>,
}

#[derive(Debug)]
struct Kind {
    code: &'static str,
    what: &'static str,
    names: Vec<String>,
    more: usize,
}

impl Notices {
    /// Tells `what`, a whole sentence.
    pub(crate) fn tell(&mut self, code: &'static str, what: &'static str) {
        if !self.kinds.iter().any(|kind| kind.code == code) {
            self.kinds.push(Kind { code, what, names: Vec::new(), more: 0 });
        }
    }

    /// Tells that `what`, a sentence that lacks its list, holds for `name`.
    pub(crate) fn list(&mut self, code: &'static str, what: &'static str, name: &str) {
        let at = self.kinds.iter().position(|kind| kind.code == code).unwrap_or_else(|| {
            self.kinds.push(Kind { code, what, names: Vec::new(), more: 0 });
            self.kinds.len() - 1
        });
        let Some(kind) = self.kinds.get_mut(at) else { return };
        if kind.names.len() < NAMED {
            kind.names.push(quoted(name));
        } else {
            kind.more += 1;
        }
    }

    /// All notices, one of each code, in the order in which they came up.
    pub(crate) fn finish(self) -> Vec<Notice> {
        self.kinds.into_iter().map(Kind::notice).collect()
    }
}

impl Kind {
    fn notice(self) -> Notice {
        let Kind { code, what, names, more } = self;
        let sentence = match (names.as_slice(), more) {
            ([], _) => what.to_owned(),
            (names, 0) => format!("{what}: {}.", names.join(", ")),
            (names, more) => format!("{what}: {} and {more} more.", names.join(", ")),
        };
        Notice { code, sentence }
    }
}

/// `text` in quotes, shortened for a sentence.
pub(crate) fn quoted(text: &str) -> String {
    let head = text::cut(text, NAME_UNITS);
    let dots = if head.len() < text.len() { "…" } else { "" };
    format!("\"{head}{dots}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_kind_share_a_sentence_and_the_rest_is_counted() {
        let mut notices = Notices::default();
        for n in 0..100_000 {
            notices.list("value_cut", "Values were cut to 1,023 characters", &format!("k{n}"));
        }
        notices.tell("event_blank", "The event had no name.");
        let notices = notices.finish();
        assert_eq!(notices.len(), 2);
        assert_eq!(
            notices[0].sentence,
            "Values were cut to 1,023 characters: \"k0\", \"k1\", \"k2\", \"k3\", \"k4\" and 99995 \
             more."
        );
    }

    #[test]
    fn a_long_name_is_shortened() {
        assert_eq!(quoted(&"x".repeat(70)), format!("\"{}…\"", "x".repeat(60)));
    }
}
