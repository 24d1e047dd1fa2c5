//! What a page has in its head to load a client from this server.

const SNIPPET: &str = include_str!("snippet.html");

/// For Customer.io's client, of the server at `origin` and the source with `key`.
pub(crate) fn customerio(origin: &str, key: &str) -> String {
    filled(origin, key, [("GLOBAL", "cioanalytics"), ("SCRIPTS", "/s/"), ("VENDOR", "customerio")])
}

/// For Segment's client.
pub(crate) fn segment(origin: &str, key: &str) -> String {
    filled(origin, key, [("GLOBAL", "analytics"), ("SCRIPTS", "/s/seg/"), ("VENDOR", "segment")])
}

fn filled(origin: &str, key: &str, client: [(&str, &str); 3]) -> String {
    let own = [("https://cdp.shop.example", origin), ("WRITE_KEY", key)];
    let blanks = client.into_iter().chain(own);
    blanks.fold(SNIPPET.trim_end().to_owned(), |text, (blank, by)| text.replace(blank, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_shows_the_same() {
        let guide = include_str!("../../../../docs/web.md");
        for snippet in [customerio, segment] {
            assert!(guide.contains(&snippet("https://cdp.shop.example", "WRITE_KEY")));
        }
    }
}
