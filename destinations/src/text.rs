//! Lengths and cuts of text as JavaScript counts them, and which identifiers count as given.

/// Length in UTF-16 code units.
pub(crate) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// True if `text` has more than `most` UTF-16 code units.
pub(crate) fn longer_than(text: &str, most: usize) -> bool {
    text.len() > most && units(text) > most
}

/// The longest beginning of `text` with at most `most` UTF-16 code units that ends between two
/// characters.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut room = most;
    for (at, c) in text.char_indices() {
        match room.checked_sub(c.len_utf16()) {
            Some(rest) => room = rest,
            None => return text.get(..at).expect("char_indices gives boundaries"),
        }
    }
    text
}

/// `text` without blanks around it, as JavaScript trims: so the page and the server agree. It takes
/// U+FEFF for a blank, and U+0085 for none.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}'))
}

/// The trimmed identifier, if there is one: absent, blank and `"0"` (which trackers send for failed
/// logins) name nobody.
pub(crate) fn identifier(text: Option<&str>) -> Option<&str> {
    let text = trim(text?);
    (!text.is_empty() && text != "0").then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("ab😀c", 3), "ab");
        assert_eq!(cut("ab😀c", 4), "ab😀");
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
    }

    #[test]
    fn blank_and_zero_are_no_identifiers() {
        for text in [None, Some(""), Some(" \u{a0}\n"), Some("0"), Some(" 0 "), Some("\u{feff}")] {
            assert_eq!(identifier(text), None, "{text:?}");
        }
        assert_eq!(identifier(Some(" u1 ")), Some("u1"));
        assert_eq!(identifier(Some("00")), Some("00"));
        assert_eq!(identifier(Some("\u{feff}u1\u{85}")), Some("u1\u{85}"));
    }

    proptest! {
        #[test]
        fn a_cut_is_the_longest_beginning_that_fits(text in "\\PC{0,40}", most in 0_usize..50) {
            let head = cut(&text, most);
            prop_assert!(text.starts_with(head));
            prop_assert!(units(head) <= most);
            if let Some(next) = text.chars().nth(head.chars().count()) {
                prop_assert!(units(head) + next.len_utf16() > most);
            }
            prop_assert_eq!(longer_than(&text, most), head.len() < text.len());
        }
    }
}
