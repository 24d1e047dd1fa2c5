//! Sentences, numbers and moments as people read them.

use std::fmt::Display;

use heapline_action::datetime;

/// A sentence as HTML, its `code` as code.
pub(super) fn prose(sentence: &str) -> String {
    let mut html = String::new();
    for (at, part) in sentence.split('`').enumerate() {
        let part = escaped(part);
        // A backtick without its like is left out.
        match at % 2 {
            0 => html.push_str(&part),
            _ => html.extend(["<code>", &part, "</code>"]),
        }
    }
    html
}

fn escaped(text: &str) -> String {
    askama::filters::escape(text, askama::filters::Html)
        .map_or_else(|never| match never {}, |safe| safe.to_string())
}

/// A number with a comma after every three digits.
pub(super) fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let before = |at: usize| at > 0 && (digits.len() - at).is_multiple_of(3);
    let each = digits.chars().enumerate();
    each.flat_map(|(at, digit)| before(at).then_some(',').into_iter().chain([digit])).collect()
}

/// A time in the unit that keeps it short: `20 ms`, `1.5 s`, `3 min`.
pub(super) fn lasting(ms: &i64) -> String {
    let ms = *ms;
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h", ms / 3_600_000),
        86_400_000.. => format!("{} d", ms / 86_400_000),
    }
}

/// A count with its noun.
pub(super) fn counted(number: impl Display, one: &str, many: &str) -> String {
    let number = grouped(number);
    let noun = if number == "1" { one } else { many };
    format!("{number} {noun}")
}

/// A moment without a script to tell how long ago it was: `24 Nov, 10:54 UTC`.
pub(super) fn moment(rfc3339: &str) -> String {
    part_of(rfc3339, |time| time.strftime("%-d %b, %H:%M UTC").to_string())
}

/// A moment to the millisecond: `24 Nov 2026, 10:54:00.500 UTC`.
pub(super) fn exact(rfc3339: &str) -> String {
    part_of(rfc3339, |time| time.strftime("%-d %b %Y, %H:%M:%S%.3f UTC").to_string())
}

/// How long after the first moment the second was; empty if it wasn't.
pub(super) fn later(first: &str, second: &str) -> String {
    let between = datetime::read_text(first).zip(datetime::read_text(second));
    between.map_or_else(String::new, |(first, second)| {
        format!("+{}", lasting(&(second - first).max(0)))
    })
}

fn part_of(rfc3339: &str, print: impl Fn(jiff::Timestamp) -> String) -> String {
    let time: Option<jiff::Timestamp> = rfc3339.parse().ok();
    time.map_or_else(|| rfc3339.to_owned(), print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_in_a_sentence_is_marked_and_all_else_is_text() {
        let html = prose("map `a<b>` to <b>, or change `c`.");
        assert_eq!(html, "map <code>a&#60;b&#62;</code> to &#60;b&#62;, or change <code>c</code>.");
    }

    #[test]
    fn large_numbers_are_grouped() {
        let all = [0, 999, 1_000, 15_000, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "15,000", "1,234,567"]);
        assert_eq!(counted(1, "event", "events"), "1 event");
        assert_eq!(counted(2_000_u64, "event", "events"), "2,000 events");
    }

    #[test]
    fn moments_are_told_briefly_and_exactly() {
        let at = "2026-11-04T10:54:00.500Z";
        assert_eq!(moment(at), "4 Nov, 10:54 UTC");
        assert_eq!(exact(at), "4 Nov 2026, 10:54:00.500 UTC");
        assert_eq!(later(at, "2026-11-04T10:54:02.000Z"), "+1.5 s");
        assert_eq!((moment("?"), later("?", at)), ("?".to_owned(), String::new()));
    }

    #[test]
    fn times_are_told_in_a_fitting_unit() {
        let all = [0, 20, 999, 1_000, 1_560, 61_000, 7_200_000, 200_000_000].map(|ms| lasting(&ms));
        assert_eq!(all, ["0 ms", "20 ms", "999 ms", "1 s", "1.5 s", "1 min", "2 h", "2 d"]);
    }
}
