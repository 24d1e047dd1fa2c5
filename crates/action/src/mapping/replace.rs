//! Replacing literal text, with or without regard to case.

/// One pattern and what it is replaced by.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    pub(super) pattern: String,
    pub(super) replacement: String,
}

impl Replacement {
    /// How long `text` can become.
    pub(super) fn most_bytes(&self, text: &str) -> usize {
        let places = text.len() / self.pattern.len().max(1);
        text.len().saturating_add(places.saturating_mul(self.replacement.len()))
    }

    /// `text` with the first or all occurrences replaced, from left to right.
    pub(super) fn apply(&self, text: &str, ignore_case: bool, all: bool) -> String {
        match (ignore_case, all) {
            (false, true) => text.replace(&self.pattern, &self.replacement),
            (false, false) => text.replacen(&self.pattern, &self.replacement, 1),
            (true, _) => self.apply_ignoring_case(text, all),
        }
    }

    fn apply_ignoring_case(&self, text: &str, all: bool) -> String {
        let pattern: Vec<char> = self.pattern.chars().map(fold).collect();
        let chars: Vec<char> = text.chars().collect();
        let (mut out, mut at, mut done) = (String::with_capacity(text.len()), 0, false);
        while let Some(&c) = chars.get(at) {
            let window = chars.get(at..at + pattern.len()).unwrap_or_default();
            let same =
                !window.is_empty() && window.iter().map(|&c| fold(c)).eq(pattern.iter().copied());
            if same && !done {
                out.push_str(&self.replacement);
                at += pattern.len();
                done = !all;
            } else {
                out.push(c);
                at += 1;
            }
        }
        out
    }
}

/// A character without its case, as JavaScript's regular expressions see it: its upper case, if
/// that is one UTF-16 unit and doesn't turn other letters into ASCII.
/// Source: ECMA-262, Canonicalize(rer, ch) without the flags `u` and `v`.
fn fold(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if c.len_utf16() == 1 && upper.len_utf16() == 1 => {
            if upper.is_ascii() && !c.is_ascii() { c } else { upper }
        }
        _ => c,
    }
}
