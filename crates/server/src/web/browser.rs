//! A browser's family, which is all that is kept of what it calls itself.

/// Mark in `User-Agent` to family. The first that is found counts: most call themselves by the
/// names of others, too.
const FAMILIES: [(&str, &str); 10] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// The family of the browser with this `User-Agent`.
pub(super) fn family(agent: &str) -> &'static str {
    let found = FAMILIES.iter().find(|(mark, _)| agent.contains(mark));
    found.map_or("other", |(_, family)| family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart() {
        let blink = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
        for (agent, expected) in [
            (format!("{blink} Chrome/156.0.0.0 Safari/537.36"), "Chrome"),
            (format!("{blink} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0"), "Edge"),
            (format!("{blink} Chrome/156.0.0.0 Safari/537.36 OPR/120.0.0.0"), "Opera"),
            (format!("{blink} Version/26.0 Safari/605.1.15"), "Safari"),
            ("Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0".into(), "Firefox"),
            ("curl/8.14.1".into(), "other"),
            (String::new(), "other"),
        ] {
            assert_eq!(family(&agent), expected, "{agent}");
        }
    }
}
